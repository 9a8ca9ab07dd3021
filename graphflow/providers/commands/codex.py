"""Codex without a terminal: `codex exec --json`.

Lines are events of a thread; the answer is an item of type agent_message. Reference:
https://developers.openai.com/codex/noninteractive
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from graphflow.errors import (
    AuthError,
    CommandFailed,
    ConnectionFailed,
    ContextOverflow,
    MalformedReply,
    ModelError,
    Overloaded,
    QuotaExceeded,
    RateLimited,
)
from graphflow.messages.message import to_json_value
from graphflow.model.seam import Finished, ModelEvent, Request, TextDelta, ThinkingDelta, UsageDelta
from graphflow.providers.commands.process import Command, Invocation, failed, in_words, instructions, prompt, sayable
from graphflow.providers.prompted_tools import schema_of
from graphflow.providers.structured_output import fit
from graphflow.providers.wires.wire import cannot

NAME = "codex"
SYSTEM_FILE, SCHEMA_FILE = "instructions.md", "schema.json"
_WORDS: tuple[tuple[str, type[ModelError]], ...] = (
    (r"usage limit|quota exceeded|out of credits|spend cap|upgrade to plus", QuotaExceeded),
    (r"429 Too Many Requests", RateLimited),
    (r"401 Unauthorized|not logged in|sign in again|could not be refreshed", AuthError),
    (r"context window", ContextOverflow),
    (r"high demand|at capacity", Overloaded),
    (r"stream disconnected", ConnectionFailed),
)
"""Codex tells errors in words only."""
OFF = (
    *("shell_tool", "unified_exec", "view_image", "apps", "multi_agent", "goals", "plugins", "hooks", "tool_suggest"),
    "image_generation",
)
"""Features that let it do things: it shall answer."""
SILENT = (
    *("include_permissions_instructions", "include_environment_context", "include_apps_instructions"),
    *("include_collaboration_mode_instructions", "skills.include_instructions", "skills.bundled.enabled"),
    *("agents.enabled", "analytics.enabled", "check_for_update_on_startup"),
)
"""What it would add to a prompt of its own accord, or do beside it."""


def build(request: Request, model: str, folder: Path) -> Invocation:
    """Read-only, outside any project, without the user's configuration: only the model."""
    sayable(NAME, request, "max_tokens")
    if request.settings.thinking is not None and not isinstance(request.settings.thinking, str):
        raise cannot(NAME, f"thinking={request.settings.thinking!r}", "give an effort, as thinking='high'")
    arguments = ["exec", "--json", "--skip-git-repo-check", "--ephemeral", "--sandbox", "read-only"]
    arguments += ["--ignore-user-config", "--ignore-rules", "--cd", str(folder)]
    settings = ['web_search="disabled"', "project_doc_max_bytes=0"]
    settings += [f"{name}=false" for name in (*SILENT, *(f"features.{name}" for name in OFF))]
    system = instructions(request)
    files: dict[str, str] = {}
    settings.append(f"model_instructions_file={json.dumps(str(folder / SYSTEM_FILE))}")
    if model != "default":
        arguments += ["--model", model]
    if isinstance(request.settings.thinking, str):
        settings.append(f"model_reasoning_effort={json.dumps(request.settings.thinking)}")
    schema = schema_of(request)
    if schema is not None:
        shape, strict = fit(schema, "strict")
        if strict and not request.tools:  # it wants an object at the root, and calls are a choice of several
            files[SCHEMA_FILE] = json.dumps(to_json_value(shape))
            arguments += ["--output-schema", str(folder / SCHEMA_FILE)]
        else:
            system = "\n\n".join(part for part in (system, in_words(schema)) if part)
    files[SYSTEM_FILE] = system or "Answer."
    for setting in settings:
        arguments += ["--config", setting]
    return Invocation((*arguments, "-"), prompt(request, NAME), files)


class CodexLines:
    """Reads its output."""

    def __init__(self, request: Request) -> None:
        self.done = False
        self.complaint = ""
        self.answer: str | None = None
        self.usage: UsageDelta | None = None

    def note(self, text: str) -> None:
        """Nothing that matters."""

    def line(self, data: Any) -> list[ModelEvent]:
        """One line."""
        match data.get("type"):
            case "item.completed":
                return self._item(data.get("item") or {})
            case "turn.completed":
                self.usage = parse_usage(data.get("usage") or {})
                self.done = True
            case "turn.failed":
                raise self._error(str((data.get("error") or {}).get("message") or self.complaint))
            case "error":
                self.complaint = str(data.get("message") or "")
        return []

    def _item(self, item: dict[str, Any]) -> list[ModelEvent]:
        text = str(item.get("text") or "")
        if item.get("type") == "agent_message":
            before, self.answer = self.answer, text
            return [ThinkingDelta(before)] if before else []  # all but the last message are notes on the way
        return [ThinkingDelta(text)] if item.get("type") == "reasoning" and text else []

    def end(self, code: int, complaint: str) -> list[ModelEvent]:
        """Usage and finish."""
        if code:
            raise self._error(self.complaint or complaint or f"it ended with exit code {code}", code)
        if self.usage is None:
            raise MalformedReply(f"{NAME}: it ended before its turn was completed", provider=NAME)
        said: list[ModelEvent] = [TextDelta(self.answer)] if self.answer else []
        return [*said, self.usage, Finished("stop", "turn.completed")]

    def _error(self, text: str, code: int = 0) -> ModelError:
        kind = next((kind for words, kind in _WORDS if re.search(words, text, re.IGNORECASE)), CommandFailed)
        return failed(NAME, text, kind, code=str(code or ""))


def parse_usage(usage: dict[str, Any]) -> UsageDelta:
    """Token counts; cached ones are part of the input here. A subscription has no price a token."""
    return UsageDelta(
        usage.get("input_tokens") or 0,
        usage.get("output_tokens") or 0,
        cache_read_tokens=usage.get("cached_input_tokens"),
        cache_write_tokens=usage.get("cache_write_input_tokens"),
        reasoning_tokens=usage.get("reasoning_output_tokens"),
    )


COMMAND = Command(
    NAME,
    "codex",
    "exec --json",
    "install it with: npm install -g @openai/codex, and log in with: codex login",
    build,
    CodexLines,
    own=("OPENAI_*", "CODEX_*"),
)
