"""Claude Code in print mode: `claude -p --output-format stream-json`.

Its lines carry the events of the Messages API, so they are read by the same parser. Reference:
https://code.claude.com/docs/en/headless
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphflow.errors import (
    AuthError,
    BadRequest,
    CommandFailed,
    ContextOverflow,
    MalformedReply,
    ModelError,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    ServerError,
)
from graphflow.model import Finished, ModelEvent, Request, TextDelta, ThinkingDelta, UsageDelta
from graphflow.providers.commands.process import Command, Invocation, failed, instructions, prompt
from graphflow.providers.spoken import schema_of
from graphflow.providers.wires.anthropic import FINISH, MessagesParser, parse_usage
from graphflow.providers.wires.wire import Dialect

NAME = "claude-code"
SYSTEM_FILE = "system.txt"
ERRORS: dict[str, type[ModelError]] = {
    "authentication_failed": AuthError,
    "oauth_org_not_allowed": AuthError,
    "billing_error": QuotaExceeded,
    "usage_limit_reached": QuotaExceeded,
    "rate_limit": RateLimited,
    "overloaded": Overloaded,
    "invalid_request": BadRequest,
    "model_not_found": NotFound,
    "server_error": ServerError,
    "prompt_too_long": ContextOverflow,
}


def build(request: Request, model: str, folder: Path) -> Invocation:
    """No tools, no settings, no memory of the user's projects: only the model."""
    arguments = ["-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages"]
    arguments += ["--tools", "", "--setting-sources", "", "--strict-mcp-config", "--no-session-persistence"]
    arguments += ["--system-prompt-file", str(folder / SYSTEM_FILE)]
    if model != "default":
        arguments += ["--model", model]
    schema = schema_of(request)
    if schema is not None:
        arguments += ["--json-schema", json.dumps(_object(schema))]
    if isinstance(request.thinking, str):
        arguments += ["--effort", request.thinking]
    system = instructions(request) or "You are a helpful assistant."
    return Invocation(tuple(arguments), prompt(request, NAME), {SYSTEM_FILE: system})


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    """The tool wants an object at the root: a choice of calls goes into a field of one."""
    if "anyOf" not in schema:
        return schema
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    wrapped: dict[str, Any] = {
        "type": "object",
        "properties": {WRAPPER: inner},
        "required": [WRAPPER],
        "additionalProperties": False,
    }
    return wrapped | ({"$defs": schema["$defs"]} if "$defs" in schema else {})


WRAPPER = "next"


class ClaudeLines:
    """Reads its output: partial messages for display, the result for the truth."""

    def __init__(self, request: Request) -> None:
        self.parser = MessagesParser(Dialect(NAME))
        self.structured = request.output_schema is not None or bool(request.tools)
        self.told: list[str] = []
        self.result: dict[str, Any] | None = None
        self.kind = ""
        self.raw = ""

    def line(self, data: Any) -> list[ModelEvent]:
        """One line."""
        match data.get("type"):
            case "stream_event":
                return self._partial(data.get("event") or {})
            case "assistant":
                self.kind = str(data.get("error") or self.kind)
                self.raw = str((data.get("message") or {}).get("stop_reason") or self.raw)
            case "result":
                self.result = data
        return []

    def _partial(self, event: dict[str, Any]) -> list[ModelEvent]:
        if event.get("type") == "message_delta":
            self.raw = str((event.get("delta") or {}).get("stop_reason") or self.raw)
        if event.get("type") not in ("content_block_start", "content_block_delta"):
            return []
        shown = [e for e in self.parser.event(event, "") if isinstance(e, (TextDelta, ThinkingDelta))]
        if self.structured:
            shown = [e for e in shown if isinstance(e, ThinkingDelta)]  # the answer is the result's own field
        self.told += [e.text for e in shown if isinstance(e, TextDelta)]
        return list(shown)

    def end(self, code: int, complaint: str) -> list[ModelEvent]:
        """The result: its text as far as it was not told, usage, cost."""
        result = self.result
        if result is None:
            if code:
                raise failed(NAME, complaint or f"it ended with exit code {code}", CommandFailed, code=str(code))
            raise MalformedReply(f"{NAME}: it ended without a result", provider=NAME)
        if result.get("is_error"):
            raise self._error(result)
        events: list[ModelEvent] = []
        text, told = self._text(result), "".join(self.told)
        if text.startswith(told) and text != told:
            events.append(TextDelta(text[len(told) :]))
        usage = parse_usage(result.get("usage") or {})
        usage.usd = result.get("total_cost_usd")
        raw = self.raw or str(result.get("stop_reason") or "")
        reason = "stop" if self.structured else FINISH.get(raw, "stop")
        return [*events, usage, Finished(reason, raw)]

    def _text(self, result: dict[str, Any]) -> str:
        value = result.get("structured_output")
        if not self.structured or value is None:
            return str(result.get("result") or "")
        if isinstance(value, dict) and set(value) == {WRAPPER}:
            value = value[WRAPPER]
        return json.dumps(value)

    def _error(self, result: dict[str, Any]) -> ModelError:
        text = str(result.get("result") or "; ".join(map(str, result.get("errors") or ())) or result.get("subtype"))
        code = str(result.get("api_error") or self.kind or result.get("api_error_type") or "")
        kind = ERRORS.get(code) or ERRORS.get(self.kind) or CommandFailed
        if "prompt is too long" in text.lower():
            kind = ContextOverflow
        status = result.get("api_error_status")
        return failed(NAME, text, kind, code=code, status=status if isinstance(status, int) else None)


COMMAND = Command(
    NAME,
    "claude",
    "stream-json",
    "install it with: npm install -g @anthropic-ai/claude-code, and log in with: claude",
    build,
    ClaudeLines,
)
__all__ = ["COMMAND", "UsageDelta"]
