"""Auggie in print mode: `auggie --print --output-format json`.

One line of JSON when it is done; it knows no schema, so answers of a type are asked for in words. Reference:
https://docs.augmentcode.com/cli/reference
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
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
)
from graphflow.model import Finished, ModelEvent, Request, TextDelta
from graphflow.providers.commands.process import Command, Invocation, failed, instructions, prompt
from graphflow.providers.spoken import schema_of

NAME = "auggie"
SYSTEM_FILE = "system.txt"
_WORDS: tuple[tuple[str, type[ModelError]], ...] = (
    (r"No auth provided|Authentication failed|log in", AuthError),
    (r"Rate limited", RateLimited),
    (r"out of (user messages|credits)|usage limit", QuotaExceeded),
    (r"Unknown model", NotFound),
    (r"context (window|length)|prompt (is )?too long", ContextOverflow),
    (r"unavailable|overloaded", Overloaded),
)
_NOTICE = re.compile(r"^You are out of (user messages|credits) for account")
"""How Augment says that nothing is left: as if it were an answer."""


def build(request: Request, model: str, folder: Path) -> Invocation:
    """Asked, not allowed to do: no session kept, no workspace but an empty folder."""
    arguments = ["--print", "--output-format", "json", "--ask", "--dont-save-session", "--no-update-terminal-title"]
    arguments += ["--workspace-root", str(folder)]
    if model != "default":
        arguments += ["--model", model]
    system = instructions(request)
    schema = schema_of(request)
    if schema is not None:
        system = "\n\n".join(
            [
                *([system] if system else []),
                f"Answer with nothing but JSON that fits this JSON schema:\n{json.dumps(schema)}",
            ]
        )
    files = {SYSTEM_FILE: system} if system else {}
    if system:
        arguments += ["--override-system-prompt", str(folder / SYSTEM_FILE)]
    return Invocation(tuple(arguments), prompt(request, NAME), files)


class AuggieLines:
    """Reads its output."""

    def __init__(self, request: Request) -> None:
        self.done = False

    def line(self, data: Any) -> list[ModelEvent]:
        """The one line."""
        if data.get("type") != "result":
            return []
        text = str(data.get("result") or "")
        if data.get("is_error") or _NOTICE.match(text):
            raise _error(text or str(data.get("subtype")))
        self.done = True
        return [TextDelta(text)] if text else []

    def end(self, code: int, complaint: str) -> list[ModelEvent]:
        """Finish; it tells no usage."""
        if code:
            raise _error(complaint or f"it ended with exit code {code}", code)
        if not self.done:
            raise MalformedReply(f"{NAME}: it ended without an answer", provider=NAME)
        return [Finished("stop", "result")]


def _error(text: str, code: int = 0) -> ModelError:
    text = " ".join(text.replace("❌", " ").split())
    kind = next((kind for words, kind in _WORDS if re.search(words, text, re.IGNORECASE)), CommandFailed)
    return failed(NAME, text, kind, code=str(code or ""))


COMMAND = Command(
    NAME,
    "auggie",
    "one JSON line",
    "install it with: npm install -g @augmentcode/auggie, and log in with: auggie login",
    build,
    AuggieLines,
)
