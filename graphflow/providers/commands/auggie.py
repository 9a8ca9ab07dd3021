"""Auggie in print mode: `auggie --print --output-format json`.

One line of JSON when it is done; it knows no schema, so answers of a type are asked for in words. Reference:
https://docs.augmentcode.com/cli/reference
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from graphflow.errors import (
    AuthError,
    BadRequest,
    ConnectionFailed,
    ContextOverflow,
    MalformedReply,
    ModelError,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
)
from graphflow.model.seam import Finished, ModelEvent, Request, TextDelta
from graphflow.providers.commands.command import (
    CommandLineTool,
    KindsByWords,
    check_request,
    instructions,
    kind_by_words,
    paragraphs,
    prompt,
    tool_error,
)
from graphflow.providers.commands.process import CommandLine
from graphflow.providers.prompted_tools import schema_of
from graphflow.providers.structured_output import schema_instruction

NAME = "auggie"
SYSTEM_FILE = "system.txt"
_WORDS: KindsByWords = (
    (r"No auth provided|Authentication failed|Permission denied", AuthError),
    (r"Rate limited", RateLimited),
    (r"out of (user messages|credits)|subscription for|402 Payment", QuotaExceeded),
    (r"augmentTooLarge|413 ", ContextOverflow),
    (r"Invalid request", BadRequest),
    (r"unavailable: HTTP error: 5", Overloaded),
    (r"fetch failed", ConnectionFailed),
)
_NOTICE = re.compile(
    r"^You are out of (user messages|credits) for account|^\W*Your subscription for .{1,200} is inactive"
)
"""How Augment says that nothing is left: as if it were an answer."""


TOOLS = (
    *(
        "launch-process",
        "kill-process",
        "read-process",
        "write-process",
        "list-processes",
        "web-fetch",
    ),
    *(
        "codebase-retrieval",
        "remove-files",
        "save-file",
        "apply_patch",
        "str-replace-editor",
        "view",
        "view-session",
    ),
    *(
        "view-range-untruncated",
        "search-untruncated",
        "view_tasklist",
        "reorganize_tasklist",
        "update_tasks",
        "add_tasks",
    ),
)
"""What it brings along; names that an account does not know are passed over."""


FLAGS = (
    *("--print", "--quiet", "--output-format", "json"),
    *("--dont-save-session", "--no-update-terminal-title", "--no-discover-workspaces"),
    *("--max-turns", "1"),
    *("--retry-timeout", "60"),
)


def build(request: Request, model: str, folder: Path) -> CommandLine:
    """No tools (`--ask` would leave it its shell), no session kept, no workspace but an empty folder."""
    check_request(NAME, request, "max_tokens", "thinking")
    arguments = [*FLAGS, "--workspace-root", str(folder)]
    for tool in TOOLS:
        arguments += ["--remove-tool", tool]
    if model != "default":
        arguments += ["--model", model]
    # It takes neither a schema nor our tools: both are put into words, and the answer is read back.
    schema = schema_instruction(schema_of(request))
    system = paragraphs(instructions(request), schema)
    files: dict[str, str] = {}
    if system:
        files[SYSTEM_FILE] = system
        arguments += ["--override-system-prompt", str(folder / SYSTEM_FILE)]
    variables = {"AUGMENT_DISABLE_AUTO_UPDATE": "1"}
    return CommandLine(tuple(arguments), prompt(request, NAME), files, variables)


class AuggieLines:
    """Reads its output."""

    def __init__(self, request: Request) -> None:
        self.done = False

    def note(self, text: str) -> None:
        """A model that it does not know is only noted, and another one answers: better no answer than another model's."""
        if "Unknown model" in text:
            raise tool_error(NAME, " ".join(text.split()), NotFound)

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
        """Finish; it counts no tokens."""
        if code:
            raise _error(complaint or f"the tool ended with exit code {code}", code)
        if not self.done:
            raise MalformedReply(f"{NAME}: the tool ended without an answer", provider=NAME)
        return [Finished("stop", "result")]


def _error(text: str, code: int = 0) -> ModelError:
    text = " ".join(text.replace("❌", " ").split())
    return tool_error(NAME, text, kind_by_words(text, _WORDS), provider_code=str(code or ""))


COMMAND = CommandLineTool(
    NAME,
    "auggie",
    "one JSON line",
    "install it with: npm install -g @augmentcode/auggie, and log in with: auggie login",
    build,
    AuggieLines,
    own=("AUGMENT_*",),
)
