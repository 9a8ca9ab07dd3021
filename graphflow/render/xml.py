"""Text as SVG and HTML may hold it: markup taken away, characters that XML forbids replaced, length bounded."""

from __future__ import annotations

import re
from asyncio import CancelledError
from html import escape
from pathlib import Path
from typing import Any

from graphflow.errors import DeclarationError, WalkCancelled
from graphflow.messages.message import error_text
from graphflow.redaction import current

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")
"""Everything outside of XML 1.0's `Char`, the C1 controls it discourages, and what is no character at all."""


LONGEST_SECRET = 4_000
"""Characters that are looked at beyond those that are shown."""


def clean(value: object, limit: int = 400) -> str:
    """The text without secrets and what no document may hold, cut to so many characters, with a mark where it was cut."""
    text = value if isinstance(value, str) else str(value)
    cut = scrubbed_start(text, limit)
    if len(text) > limit:
        cut += f"... ({len(text) - limit:,} characters more)"
    return _FORBIDDEN.sub("\ufffd", cut)


def scrubbed_start(text: str, limit: int) -> str:
    """The first so many characters, without secrets: also without the beginning of one that goes on after them."""
    head = current().name(text[: limit + LONGEST_SECRET])
    return head[:limit]


def xml(value: object, limit: int = 400) -> str:
    """`clean`, escaped for an element or a quoted attribute."""
    return escape(clean(value, limit), quote=True)


def short(value: object, limit: int) -> str:
    """The text on one line, so many characters at most: a label."""
    line = " ".join(clean(value, limit * 4).split())
    return line if len(line) <= limit else line[: limit - 1] + "\u2026"


def seconds_text(seconds: float) -> str:
    """A length of time as a person reads it: 840 us, 12.5 ms, 3.42 s, 2 min 5 s."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} \u00b5s"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms" if seconds < 0.9995 else "1 s"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def check_written(path: str | Path, endings: tuple[str, ...], what: str) -> None:
    """Refuses the name of a file that promises something else than what would be in it.

    Raises:
        DeclarationError: names the ending, and those that are right.
    """
    ending = Path(path).suffix
    if ending.lower() not in endings:
        told = f"ends in {ending!r}" if ending else "has no ending"
        raise DeclarationError(f"{str(path)!r} {told}, but {what}: use {' or '.join(endings)}")


def was_cancelled(error: Any) -> bool:
    """Whether something ended because others stopped it: then it has not failed."""
    if isinstance(error, BaseException):
        return isinstance(error, (CancelledError, WalkCancelled))
    return isinstance(error, dict) and error.get("type") in ("CancelledError", "WalkCancelled")


def error_words(error: Any) -> str:
    """What an event says went wrong: an exception, or what a record has kept of one."""
    if error is None or error == "":
        return ""
    if isinstance(error, BaseException):
        return f"{type(error).__name__}: {error_text(error)}"
    if isinstance(error, dict):
        return f"{error.get('type', 'error')}: {error.get('text', '')}"
    return str(error)
