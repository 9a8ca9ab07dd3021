"""Files that are read whole: a pipe might never end, `/dev/zero` does not."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from graphflow.errors import FileUnreadable


def read_regular(path: str | Path, largest: int | None = None) -> str:
    """The text of a regular file, of so many bytes at most.

    Raises:
        FileUnreadable: it is missing, is something else, is too large, or is not UTF-8.
    """
    file = Path(path)
    try:
        state = file.stat()
        # Looked at before it is opened: a pipe would wait for whoever writes into it.
        kind = _irregular(state.st_mode)
        content = b"" if kind else _read(file, largest)
    except FileNotFoundError:
        raise FileUnreadable(f"there is no file {file}") from None
    except (OSError, ValueError) as error:
        raise FileUnreadable(f"{file} cannot be read: {error}") from None
    if kind:
        raise FileUnreadable(f"{file} cannot be read: it is {kind}; give a file")
    if largest is not None and len(content) > largest:
        raise FileUnreadable(f"{file} cannot be read: it has more than {largest:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start
    what = _encoding_of(content) or f"byte {start} is not UTF-8"
    place = _place_of(content, start)
    raise FileUnreadable(f"{file}:{place} cannot be read: {what}; save it as UTF-8")


def _place_of(content: bytes, position: int) -> str:
    """Line and column of a byte, counted from one."""
    before = content[:position]
    ends = before.count(b"\n")
    line = ends + 1
    # Where there is none, -1: columns are counted from one.
    last_end = before.rfind(b"\n")
    column = position - last_end
    return f"{line}:{column}"


_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""What editors put in front of a text in UTF-16."""


def _encoding_of(content: bytes) -> str:
    """What a text is written in that is not UTF-8; empty if it does not say so."""
    if content.startswith(_MARKS):
        return "it is UTF-16"
    return ""


def _irregular(mode: int) -> str:
    """What it is instead of a file; empty for a file."""
    if stat.S_ISREG(mode):
        return ""
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or device"


def _read(file: Path, largest: int | None) -> bytes:
    """The content, or one byte more than is allowed, which tells that it is too large."""
    with file.open("rb") as opened:
        if largest is None:
            return opened.read()
        return opened.read(largest + 1)
