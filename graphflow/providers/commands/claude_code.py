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
from graphflow.model.seam import (
    Finish,
    Finished,
    ModelEvent,
    Opened,
    Request,
    Restarted,
    TextDelta,
    ThinkingDelta,
)
from graphflow.model.settings import Settings
from graphflow.providers.commands.command import (
    CommandLineTool,
    check_request,
    instructions,
    prompt,
    tool_error,
)
from graphflow.providers.commands.process import CommandLine
from graphflow.providers.prompted_tools import schema_of
from graphflow.providers.wires.anthropic_reply import FINISH, MessagesParser, parse_usage
from graphflow.providers.wires.demands import cannot
from graphflow.providers.wires.reply_fields import finish_of
from graphflow.providers.wires.wire import Dialect

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


FLAGS = (
    *("-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json"),
    "--include-partial-messages",
    *("--tools", ""),
    *("--setting-sources", ""),
    "--strict-mcp-config",
    "--disable-slash-commands",
    *("--permission-mode", "dontAsk"),
    "--no-session-persistence",
)
"""It answers in lines of JSON, and has nothing to do anything with."""


def build(request: Request, model: str, folder: Path) -> CommandLine:
    """No tools, no settings, no memory of the user's projects: only the model.

    The prompt goes in as a message composed by a client: a typed one would read the files that an `@path` in it names.
    """
    check_request(NAME, request)
    settings = request.settings
    thinking = settings.thinking
    is_budget = isinstance(thinking, int) and thinking > 1
    if is_budget or thinking is True:
        raise cannot(NAME, f"thinking={thinking!r}", "give an effort, as thinking='high'")
    arguments = [*FLAGS, "--system-prompt-file", str(folder / SYSTEM_FILE)]
    if model != "default":
        arguments += ["--model", model]
    if isinstance(thinking, str):
        effort = "low" if thinking == "minimal" else thinking
        arguments += ["--effort", effort]
    schema = schema_of(request)
    if schema is not None:
        text = json.dumps(to_json_value(schema))
        arguments += ["--json-schema", text]
    files = {SYSTEM_FILE: instructions(request)}
    return CommandLine(tuple(arguments), _input(request), files, _variables(settings))


def _input(request: Request) -> str:
    message = {"role": "user", "content": prompt(request, NAME)}
    line = {
        "type": "user",
        "message": message,
        "parent_tool_use_id": None,
        "client_composed": True,
    }
    return json.dumps(line) + "\n"


def _variables(settings: Settings) -> dict[str, str]:
    """What it takes as variables only."""
    variables = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    if settings.thinking is False:
        variables["MAX_THINKING_TOKENS"] = "0"
    if settings.max_tokens is not None:
        variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(settings.max_tokens)
    return variables


class ClaudeLines:
    """Reads its output: partial messages for display, the result for the truth.

    Attributes:
        texts: the pieces of the answer that were shown so far.
        error: what it calls its error, if it had one.
        raw: why the model stopped, in its own word.
    """

    def __init__(self, request: Request) -> None:
        self.parser = MessagesParser(Dialect(NAME))
        self.structured = request.output_schema is not None or bool(request.tools)
        self.texts: list[str] = []
        self.done = False
        self.result: dict[str, Any] | None = None
        self.error = ""
        self.raw = ""

    def note(self, text: str) -> None:
        """Nothing that matters."""

    def line(self, data: Any) -> list[ModelEvent]:
        """One line."""
        match data.get("type"):
            case "stream_event":
                event = data.get("event") or {}
                is_void = data.get("abandoned_blocks") or event.get("abandoned_blocks")
                if is_void and self.texts and event.get("type") != "message_delta":
                    return self._restart()
                return self._partial(event)
            case "assistant":
                message = data.get("message") or {}
                self.error = str(data.get("error") or self.error)
                self.raw = str(message.get("stop_reason") or self.raw)
            case "result":
                self.result = data
                self.done = True
        return []

    def _restart(self) -> list[ModelEvent]:
        """The tool's own connection broke: what it has shown is void, and it begins again."""
        self.texts = []
        self.parser = MessagesParser(Dialect(NAME))
        return [Restarted(), Opened(NAME)]

    def _partial(self, event: dict[str, Any]) -> list[ModelEvent]:
        kind = event.get("type")
        delta = event.get("delta") or {}
        if kind == "message_delta":
            self.raw = str(delta.get("stop_reason") or self.raw)
        if kind != "content_block_start" and delta.get("type") not in SHOWN:
            return []
        shown: list[ModelEvent] = []
        for each in self.parser.event(event, ""):
            if isinstance(each, ThinkingDelta):
                shown.append(each)
            # Else the answer is a field of the result.
            elif isinstance(each, TextDelta) and not self.structured:
                self.texts.append(each.text)
                shown.append(each)
        return shown

    def end(self, code: int, complaint: str) -> list[ModelEvent]:
        """The result: the text that was not shown yet, usage, cost."""
        result = self.result
        if result is None:
            if code:
                raise tool_error(
                    NAME,
                    complaint or f"the tool ended with exit code {code}",
                    CommandFailed,
                    provider_code=str(code),
                )
            raise MalformedReply(f"{NAME}: the tool ended without a result", provider=NAME)
        if result.get("is_error"):
            raise self._error(result)
        events: list[ModelEvent] = []
        shown = "".join(self.texts)
        text = _text(result)
        if text.startswith(shown) and text != shown:
            rest = text[len(shown) :]
            events.append(TextDelta(rest))
        # Its own count and price of all that it has asked: it may have asked more than once.
        usage = parse_usage(result.get("usage") or {})
        usage.usd = result.get("total_cost_usd")
        events.append(usage)
        raw = self.raw or str(result.get("stop_reason") or "")
        events.append(Finished(self._reason(raw), raw))
        return events

    def _reason(self, raw: str) -> Finish:
        # A schema is met by a call of the tool's own, which does not end the answer.
        if not raw or self.structured:
            return "stop"
        return finish_of(FINISH, raw, NAME)

    def _error(self, result: dict[str, Any]) -> ModelError:
        subtype = str(result.get("subtype") or "")
        reasons = "; ".join(map(str, result.get("errors") or ()))
        text = result.get("result") or reasons or subtype or None
        code = self._code(result) or subtype
        kind = ERRORS.get(code, CommandFailed)
        status = result.get("api_error_status")
        if not isinstance(status, int):
            status = None
        return tool_error(NAME, str(text), kind, provider_code=code, status=status)

    def _code(self, result: dict[str, Any]) -> str:
        """The most telling of the words that its lines have for the error; empty if there is none that is known."""
        words = {self.error}
        for field in ("api_error", "terminal_reason", "stop_reason", "api_error_type"):
            words.add(str(result.get(field) or ""))
        for code in ERRORS:
            if code in words:
                return code
        return ""


def _text(result: dict[str, Any]) -> str:
    value = result.get("structured_output")
    if value is None:
        return str(result.get("result") or "")
    return json.dumps(value)


COMMAND = CommandLineTool(
    NAME,
    "claude",
    "stream-json",
    "install it with: npm install -g @anthropic-ai/claude-code, and log in with: claude",
    build,
    ClaudeLines,
    tells_cost=True,
    own=("ANTHROPIC_*", "CLAUDE_*", "DISABLE_*", "MAX_THINKING_TOKENS"),
)
