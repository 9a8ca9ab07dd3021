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
    ContextOverflow,
    MalformedReply,
    ModelError,
    Overloaded,
    QuotaExceeded,
)
from graphflow.model import Finished, ModelEvent, Request, TextDelta, ThinkingDelta, UsageDelta
from graphflow.providers.commands.process import Command, Invocation, failed, instructions, prompt
from graphflow.providers.shapes import fit
from graphflow.providers.spoken import schema_of

NAME = "codex"
SYSTEM_FILE, SCHEMA_FILE = "instructions.md", "schema.json"
_WORDS: tuple[tuple[str, type[ModelError]], ...] = (
    (r"usage limit|quota|out of credits", QuotaExceeded),
    (r"401 Unauthorized|not logged in|login", AuthError),
    (r"context window|context length", ContextOverflow),
    (r"high demand|overloaded|at capacity", Overloaded),
)
"""Codex tells errors in words only."""


def build(request: Request, model: str, folder: Path) -> Invocation:
    """Read-only, outside any project, without the user's configuration: only the model."""
    arguments = ["exec", "--json", "--skip-git-repo-check", "--ephemeral", "--sandbox", "read-only"]
    arguments += ["--ignore-user-config", "--ignore-rules", "--cd", str(folder)]
    files: dict[str, str] = {}
    system = instructions(request)
    if system:
        files[SYSTEM_FILE] = system
        arguments += ["--config", f"model_instructions_file={json.dumps(str(folder / SYSTEM_FILE))}"]
    if model != "default":
        arguments += ["--model", model]
    if isinstance(request.thinking, str):
        arguments += ["--config", f"model_reasoning_effort={json.dumps(request.thinking)}"]
    schema = None if request.tools else schema_of(request)
    if schema is not None:
        shape, strict = fit(schema, "strict")
        if strict:
            files[SCHEMA_FILE] = json.dumps(shape)
            arguments += ["--output-schema", str(folder / SCHEMA_FILE)]
    return Invocation((*arguments, "-"), prompt(request, NAME), files)


class CodexLines:
    """Reads its output."""

    def __init__(self, request: Request) -> None:
        self.complaint = ""
        self.usage: UsageDelta | None = None

    def line(self, data: Any) -> list[ModelEvent]:
        """One line."""
        match data.get("type"):
            case "item.completed":
                return self._item(data.get("item") or {})
            case "turn.completed":
                self.usage = parse_usage(data.get("usage") or {})
            case "turn.failed":
                raise self._error(str((data.get("error") or {}).get("message") or self.complaint))
            case "error":
                self.complaint = str(data.get("message") or "")
        return []

    def _item(self, item: dict[str, Any]) -> list[ModelEvent]:
        text = str(item.get("text") or "")
        if item.get("type") == "agent_message" and text:
            return [TextDelta(text)]
        return [ThinkingDelta(text)] if item.get("type") == "reasoning" and text else []

    def end(self, code: int, complaint: str) -> list[ModelEvent]:
        """Usage and finish."""
        if code:
            raise self._error(self.complaint or complaint or f"it ended with exit code {code}", code)
        if self.usage is None:
            raise MalformedReply(f"{NAME}: it ended before its turn was completed", provider=NAME)
        return [self.usage, Finished("stop", "turn.completed")]

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
)
