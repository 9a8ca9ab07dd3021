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
    ConnectionFailed,
    ContextOverflow,
    MalformedReply,
    ModelError,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Refused,
    ServerError,
)
from graphflow.messages.message import to_json_value
from graphflow.model.seam import Finish, Finished, ModelEvent, Opened, Request, Restarted, TextDelta, ThinkingDelta
from graphflow.providers.commands.process import Command, Invocation, failed, instructions, prompt, sayable
from graphflow.providers.prompted_tools import schema_of
from graphflow.providers.wires.anthropic import FINISH, MessagesParser, parse_usage
from graphflow.providers.wires.wire import Dialect, cannot, finish_of

NAME = "claude-code"
SYSTEM_FILE = "system.txt"
SHOWN = ("text_delta", "thinking_delta")
"""The pieces that are shown; the others are of tools that it calls itself."""
ERRORS: dict[str, type[ModelError]] = {
    "usage_limit_reached": QuotaExceeded,
    "connection_failed": ConnectionFailed,
    "overloaded_error": Overloaded,
    "authentication_failed": AuthError,
    "oauth_org_not_allowed": AuthError,
    "account_on_hold": AuthError,
    "verification_required": AuthError,
    "cloud_credential_error": AuthError,
    "billing_error": QuotaExceeded,
    "rate_limit": RateLimited,
    "overloaded": Overloaded,
    "model_not_found": NotFound,
    "prompt_too_long": ContextOverflow,
    "blocking_limit": ContextOverflow,
    "refusal": Refused,
    "invalid_request": BadRequest,
    "invalid_request_error": BadRequest,
    "server_error": ServerError,
}
"""What its lines call an error, the most telling word first."""


def build(request: Request, model: str, folder: Path) -> Invocation:
    """No tools, no settings, no memory of the user's projects: only the model.

    The prompt goes in as a message composed by a client: a typed one would read the files that an `@path` in it names.
    """
    sayable(NAME, request)
    if request.settings.thinking is True or (
        isinstance(request.settings.thinking, int) and request.settings.thinking > 1
    ):
        raise cannot(NAME, f"thinking={request.settings.thinking!r}", "give an effort, as thinking='high'")
    arguments = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    arguments += ["--include-partial-messages", "--tools", "", "--setting-sources", "", "--strict-mcp-config"]
    arguments += ["--disable-slash-commands", "--permission-mode", "dontAsk", "--no-session-persistence"]
    arguments += ["--system-prompt-file", str(folder / SYSTEM_FILE)]
    if model != "default":
        arguments += ["--model", model]
    schema = schema_of(request)
    if schema is not None:
        arguments += ["--json-schema", json.dumps(to_json_value(schema))]
    variables = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    if isinstance(request.settings.thinking, str):
        arguments += ["--effort", "low" if request.settings.thinking == "minimal" else request.settings.thinking]
    elif request.settings.thinking is False:
        variables["MAX_THINKING_TOKENS"] = "0"
    if request.settings.max_tokens is not None:
        variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(request.settings.max_tokens)
    message = {"role": "user", "content": prompt(request, NAME)}
    line = {"type": "user", "message": message, "parent_tool_use_id": None, "client_composed": True}
    return Invocation(tuple(arguments), json.dumps(line) + "\n", {SYSTEM_FILE: instructions(request)}, variables)


class ClaudeLines:
    """Reads its output: partial messages for display, the result for the truth."""

    def __init__(self, request: Request) -> None:
        self.parser = MessagesParser(Dialect(NAME))
        self.structured = request.output_schema is not None or bool(request.tools)
        self.told: list[str] = []
        self.done = False
        self.result: dict[str, Any] | None = None
        self.kind = ""
        self.raw = ""

    def note(self, text: str) -> None:
        """Nothing that matters."""

    def line(self, data: Any) -> list[ModelEvent]:
        """One line."""
        match data.get("type"):
            case "stream_event":
                voided = {"abandoned_blocks": data["abandoned_blocks"]} if data.get("abandoned_blocks") else {}
                return self._partial({**(data.get("event") or {}), **voided})
            case "assistant":
                self.kind = str(data.get("error") or self.kind)
                self.raw = str((data.get("message") or {}).get("stop_reason") or self.raw)
            case "result":
                self.result = data
                self.done = True
        return []

    def _partial(self, event: dict[str, Any]) -> list[ModelEvent]:
        kind = event.get("type")
        if kind == "message_delta":
            self.raw = str((event.get("delta") or {}).get("stop_reason") or self.raw)
        elif event.get("abandoned_blocks") and self.told:  # the tool's own connection broke: it begins again
            self.told, self.parser = [], MessagesParser(Dialect(NAME))
            return [Restarted(), Opened(NAME)]
        shows = kind == "content_block_start" or (event.get("delta") or {}).get("type") in SHOWN
        if not shows:
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
        reason: Finish = "stop"  # a schema is met by a call of the tool's own
        if raw and not self.structured:
            reason = finish_of(FINISH, raw, NAME)
        return [*events, usage, Finished(reason, raw)]

    def _text(self, result: dict[str, Any]) -> str:
        value = result.get("structured_output")
        return str(result.get("result") or "") if value is None else json.dumps(value)

    def _error(self, result: dict[str, Any]) -> ModelError:
        text = str(result.get("result") or "; ".join(map(str, result.get("errors") or ())) or result.get("subtype"))
        keys = ("api_error", "terminal_reason", "stop_reason", "api_error_type")
        words = {self.kind, *(str(result.get(key) or "") for key in keys)}
        code = next((word for word in ERRORS if word in words), str(result.get("subtype") or ""))
        status = result.get("api_error_status")
        kind = ERRORS.get(code, CommandFailed)
        return failed(NAME, text, kind, code=code, status=status if isinstance(status, int) else None)


COMMAND = Command(
    NAME,
    "claude",
    "stream-json",
    "install it with: npm install -g @anthropic-ai/claude-code, and log in with: claude",
    build,
    ClaudeLines,
    tells_cost=True,
    own=("ANTHROPIC_*", "CLAUDE_*", "DISABLE_*", "MAX_THINKING_TOKENS"),
)
