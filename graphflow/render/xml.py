"""Text as SVG and HTML may hold it: markup taken away, characters that XML forbids replaced, length bounded."""

from __future__ import annotations

import re
from asyncio import CancelledError
from html import escape
from pathlib import Path

from graphflow.errors import DeclarationError, WalkCancelled
from graphflow.messages.message import error_text
from graphflow.redaction import current

_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]"
)
"""Everything outside of XML 1.0's `Char`, the C1 controls it discourages, and what is not a character at all."""
REPLACEMENT = "\ufffd"
ELLIPSIS = "\u2026"
MAX_SECRET = 4_000
"""Characters that are looked at beyond those that are shown."""
CANCELLATIONS = ("CancelledError", "WalkCancelled")


def clean(value: object, limit: int = 400) -> str:
    """The text without secrets and forbidden characters, cut to a number of characters, with a note of how many are missing."""
    text = value if isinstance(value, str) else str(value)
    start = scrubbed_start(text, limit)
    left = len(text) - limit
    if left > 0:
        start += f"... ({left:,} characters more)"
    return _FORBIDDEN.sub(REPLACEMENT, start)


def scrubbed_start(text: str, limit: int) -> str:
    """The first characters, without secrets: also without the beginning of one that goes on beyond the limit."""
    # A secret that begins within the limit may end beyond it: cut first, half of it would not be known as one.
    far_end = limit + MAX_SECRET
    head = text[:far_end]
    shown = current().name(head)
    return shown[:limit]


def xml(value: object, limit: int = 400) -> str:
    """`clean`, escaped for an element or a quoted attribute."""
    text = clean(value, limit)
    return escape(text, quote=True)


def short(value: object, limit: int) -> str:
    """The text on one line, cut to a number of characters: a label."""
    text = clean(value, limit * 4)
    words = text.split()
    line = " ".join(words)
    return clip(line, limit)


def clip(text: str, limit: int) -> str:
    """The text, cut to a number of characters."""
    if len(text) <= limit:
        return text
    end = limit - 1
    return text[:end] + ELLIPSIS


def seconds_text(seconds: float) -> str:
    """A length of time as a person reads it: 840 us, 12.5 ms, 3.42 s, 2 min 5 s."""
    if seconds < 0.001:
        microseconds = seconds * 1e6
        return f"{microseconds:.0f} \u00b5s"
    # With three digits, more would be written as 1e+03 ms.
    if seconds < 0.9995:
        milliseconds = seconds * 1e3
        return f"{milliseconds:.3g} ms"
    if seconds < 1:
        return "1 s"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = int(seconds // 60)
    rest = int(seconds % 60)
    return f"{minutes} min {rest} s"


def check_written(path: str | Path, endings: tuple[str, ...], what: str) -> None:
    """Refuses the name of a file that promises something else than what would be in it.

    Raises:
        DeclarationError: names the ending, and those that are right.
    """
    ending = Path(path).suffix
    if ending.lower() in endings:
        return
    name = str(path)
    fault = f"ends in {ending!r}" if ending else "has no ending"
    choice = " or ".join(endings)
    raise DeclarationError(f"{name!r} {fault}, but {what}: use {choice}")


def was_cancelled(error: object) -> bool:
    """Whether something ended because others stopped it: then it has not failed."""
    if isinstance(error, BaseException):
        return isinstance(error, (CancelledError, WalkCancelled))
    # A record has kept its type and its text.
    if isinstance(error, dict):
        return error.get("type") in CANCELLATIONS
    return False


def error_words(error: object) -> str:
    """An error in words: an exception of an event, or what a record has kept of one."""
    if error is None:
        return ""
    if isinstance(error, BaseException):
        kind = type(error).__name__
        text = error_text(error)
        return f"{kind}: {text}"
    if isinstance(error, dict):
        kind = error.get("type", "error")
        text = error.get("text", "")
        return f"{kind}: {text}"
    return str(error)
