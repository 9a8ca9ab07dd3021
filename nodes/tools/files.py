"""Reads, lists, searches, writes and edits files below one folder."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import threading
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from graphflow import Tool, ToolError, factory, tool
from graphflow.security import Untrusted

from .._support.pattern_worker import NEWLINE
from .._support.patterns import matching_lines
from .._support.root import Entry, Root

FILE_LIMIT = 5_000_000
"""Bytes of a file that is read or written, unless said otherwise."""
MAX_SEARCHED = 32_000_000
"""Bytes that one search looks at, in files of at most FILE_LIMIT."""
MAX_ENTRIES = 50_000
"""Files and folders that one listing or search visits."""
VISITING_S = 10.0
"""Seconds that visiting them may take: a disk may be slow, or at the other end of a network."""
MATCHING_S = 5.0
"""Seconds that matching a pattern may take."""
MAX_LINE = 2_000
"""Characters of a line that are shown."""
WHOLE_OUTPUT = 100_000
"""What a model is shown of a file at once: the lines it asked for, not the tool's usual 30,000 characters."""

MAX_COMPARED = 200
"""Characters of a line that are compared when the nearest one is looked for."""
MIN_LIKENESS = 0.6
"""How much of a line has to be the same for it to be named as the nearest."""
MAX_CLOSE = 200
"""Lines that are compared closely; one takes some milliseconds at most."""

FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
FolderPath = Annotated[str, Field(max_length=4096)]
Glob = Annotated[str, Field(min_length=1, max_length=500)]
Content = Annotated[str, Field(max_length=FILE_LIMIT)]


@factory
def files(
    root: str | Path, *, write: bool = False, hidden: bool = False, file_limit: int = FILE_LIMIT
) -> tuple[Tool[Any, Any], ...]:
    """Tools for the files below one folder: read_file, list_files, grep_files, and with `write` write_file, edit_file.

    Args:
        root: the folder; it must exist. Nothing outside is reached, links are not followed.
        write: whether files may be written and edited.
        hidden: whether names that begin with a point are in reach; `.git` never is.
        file_limit: bytes that a file may have to be read or written.
    """
    folder_root = Root(root, hidden=hidden)
    # One root for all of them: its folder is resolved once, and a link that takes its place later leads nowhere.
    read_file = _read_file(folder_root, file_limit)
    grep_files = _grep_files(folder_root, file_limit)
    readers = (read_file, _list_files(folder_root), grep_files)
    if not write:
        return readers
    return (*readers, *_writers(folder_root, file_limit))


def _read_file(folder_root: Root, file_limit: int) -> Tool[Any, Any]:
    @tool(
        effects=["reads"],
        paths=folder_root.reached,
        timeout_s=20,
        output_limit=WHOLE_OUTPUT,
    )
    def read_file(
        path: FilePath,
        start: Annotated[int, Field(ge=1)] = 1,
        lines: Annotated[int, Field(ge=1, le=10_000)] = 1_000,
    ) -> Untrusted[str]:
        """Read a text file; each line comes with its number and a tab before it, which are not part of the file.

        Args:
            path: the file, relative to the root folder.
            start: the first line to show.
            lines: how many lines to show.
        """
        content = folder_root.read(path, file_limit)
        text = text_of(path, content)
        every = NEWLINE.split(text.removeprefix("\ufeff"))
        if every[-1] == "":
            every.pop()
        count = len(every)
        if not count:
            return f"[{path} is empty]"
        if start > count:
            raise ToolError(
                f"{path!r} has {count} lines, so none from line {start} on; choose a smaller start"
            )
        before = start - 1
        part = every[before : before + lines]
        last = before + len(part)
        shown = [f"{number}\t{short(line)}" for number, line in enumerate(part, start)]
        if start > 1 or last < count:
            shown.append(f"[lines {start} to {last} of {count}]")
        return "\n".join(shown)

    return read_file


_MARKS = {"folder": "/", "link": " (a link, not followed)", "other": " (no file)"}
"""What stands behind the path of what is not a file."""


def _list_files(folder_root: Root) -> Tool[Any, Any]:
    @tool(effects=["reads"], paths=folder_root.reached, timeout_s=20)
    def list_files(
        folder: FolderPath = ".",
        pattern: Glob = "*",
        recursive: bool = False,
        most: Annotated[int, Field(ge=1, le=5_000)] = 500,
    ) -> Untrusted[str]:
        """List a folder: one path a line, folders with a slash at the end, files with their size in bytes.

        Args:
            folder: the folder, relative to the root folder.
            pattern: only names like this, for example *.py; with a slash in it, only paths like this.
            recursive: whether to list the folders in it, too.
            most: how many paths at most.
        """
        shown: list[str] = []
        for entry in visited(folder_root, folder, recursive=recursive):
            if not fits(entry.path, pattern):
                continue
            if len(shown) == most:
                shown.append(
                    f"[the first {most}; there are more: narrow the folder or the pattern]"
                )
                break
            mark = _MARKS.get(entry.kind, f"  {entry.size}")
            shown.append(visible(entry.path) + mark)
        return "\n".join(shown) or f"[nothing like {pattern!r} in {folder!r}]"

    return list_files


def _grep_files(folder_root: Root, file_limit: int) -> Tool[Any, Any]:
    @tool(effects=["reads"], paths=folder_root.reached, timeout_s=30)
    def grep_files(
        pattern: Annotated[str, Field(min_length=1, max_length=1_000)],
        folder: FolderPath = ".",
        files: Glob = "*",
        ignore_case: bool = False,
        most: Annotated[int, Field(ge=1, le=1_000)] = 200,
    ) -> Untrusted[str]:
        """Find the lines of text files that match a pattern, as path:line: text, in a folder and the folders in it.

        Args:
            pattern: a regular expression (Python's syntax), matched line by line.
            folder: the folder or the one file to search, relative to the root folder.
            files: only files named like this, for example *.py.
            ignore_case: whether capitals do not matter.
            most: how many lines at most.
        """
        paths, texts, note = _texts(folder_root, folder, files, file_limit)
        found = matching_lines(
            pattern, texts, ignore_case=ignore_case, most=most + 1, seconds=MATCHING_S
        )
        shown = [f"{paths[text]}:{line}: {words}" for text, line, words in found[:most]]
        if len(found) > most:
            shown.append(
                f"[the first {most} lines; there are more: narrow the pattern or the folder]"
            )
        elif not shown:
            shown.append(f"[no line matches in {len(texts)} text files]")
        if note:
            shown.append(note)
        return "\n".join(shown)

    return grep_files


def _texts(
    folder_root: Root, folder: str, files: str, file_limit: int
) -> tuple[list[str], list[str], str]:
    """The paths and texts of the files below a folder that are searched, and a note if there are more."""
    paths: list[str] = []
    texts: list[str] = []
    left = MAX_SEARCHED
    for entry in visited(folder_root, folder, recursive=True):
        if entry.kind != "file" or entry.size > file_limit or not fits(entry.path, files):
            continue
        path = visible(entry.path)
        if entry.size > left:
            searched = MAX_SEARCHED - left
            note = f"[only {searched} bytes were searched, up to {path}: narrow the folder]"
            return paths, texts, note
        with contextlib.suppress(ToolError):  # a binary file, or one that was there a moment ago
            content = folder_root.read(entry.path, file_limit)
            texts.append(text_of(entry.path, content))
            paths.append(path)
            left -= len(content)
    return paths, texts, ""


def _writers(folder_root: Root, file_limit: int) -> tuple[Tool[Any, Any], Tool[Any, Any]]:
    # `concurrency_safe` keeps the calls of one turn apart; two agents at the same time are kept apart by this.
    lock = threading.Lock()

    @tool(effects=["writes"], paths=folder_root.reached, concurrency_safe=False, timeout_s=20)
    def write_file(path: FilePath, content: Content) -> str:
        """Write a text file: a new one, or all of an old one. Missing folders are made.

        Args:
            path: the file, relative to the root folder.
            content: all that shall be in it.
        """
        with lock:
            try:
                old = folder_root.read(path, file_limit)
            except ToolError:  # there is none yet; whatever else is wrong, writing says, too
                old = b""
            text = stored_like(old, content)
            written = stored(path, text, file_limit)
            folder_root.write(path, written)
        return f"{path} has {len(written)} bytes now"

    @tool(
        effects=["reads", "writes"], paths=folder_root.reached, concurrency_safe=False, timeout_s=20
    )
    def edit_file(
        path: FilePath, old: Annotated[str, Field(min_length=1)], new: Content, every: bool = False
    ) -> str:
        """Replace a piece of a text file. The old text must be in the file exactly once, or `every` is true.

        Args:
            path: the file, relative to the root folder.
            old: the text to replace, exactly as it is in the file (without line numbers), long enough to be unique.
            new: the text to put there.
            every: whether to replace it everywhere it is.
        """
        with lock:
            before = folder_root.read(path, file_limit)
            text = text_of(path, before)
            if only_crlf(text):  # models write \n, whatever the file has
                old = with_crlf(old)
                new = with_crlf(new)
            places = places_of(old, text)
            if not places:
                raise ToolError(f"{path!r} does not have that text; {nearest(old, text)}")
            times = len(places)
            if times > 1 and not every:
                numbers = [str(line_of(text, place)) for place in places[:10]]
                lines = ", ".join(numbers)
                raise ToolError(
                    f"{path!r} has that text {times} times (lines {lines}); give more of what is around it, "
                    "or set every=true"
                )
            count = text.count(old)
            growth = len(new) - len(old)
            # Before it is made: a file times a file fills any memory.
            size = len(text) + count * growth
            if size > file_limit:
                raise ToolError(
                    f"{path!r} would have more than {file_limit} characters; replace it by less"
                )
            replaced = text.replace(old, new)
            folder_root.write(path, stored(path, replaced, file_limit))
        first = line_of(text, places[0])
        return f"{path}: replaced {count} at line {first}"

    return write_file, edit_file


def visited(folder_root: Root, folder: str, *, recursive: bool) -> Iterator[Entry]:
    """What is in a folder, bounded in number and time.

    Raises:
        ToolError: it is too much.
    """
    end = time.monotonic() + VISITING_S
    for count, entry in enumerate(folder_root.entries(folder, recursive=recursive), 1):
        if count > MAX_ENTRIES or time.monotonic() > end:
            raise ToolError(
                f"{folder!r} has too much in it to look at (over {count - 1} entries); name a folder in it"
            )
        yield entry


def fits(path: str, pattern: str) -> bool:
    """Whether a file's name, or with a slash in the pattern its path, is like a pattern such as `*.py`."""
    if "/" in pattern:
        return fnmatchcase(path, pattern)
    name = path.rsplit("/", 1)[-1]
    return fnmatchcase(name, pattern)


def text_of(path: str, content: bytes) -> str:
    """A file's text.

    Raises:
        ToolError: it is binary, or not UTF-8.
    """
    if b"\0" in content:
        raise ToolError(
            f"{path!r} is a binary file of {len(content)} bytes; there is no text to show"
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        byte = f"{content[error.start]:#04x}"
        where = f"{error.start} of {len(content)}"
        raise ToolError(
            f"{path!r} is not UTF-8: byte {byte} at {where}; it is a binary file or has another encoding"
        ) from None


def stored_like(old: bytes, content: str) -> str:
    """A text with the newlines of the file that it replaces."""
    with contextlib.suppress(ToolError):
        if only_crlf(text_of("", old)):
            return with_crlf(content)
    return content


def stored(path: str, content: str, most: int) -> bytes:
    """A text as bytes for a file.

    Raises:
        ToolError: it has half characters in it, or would be too large.
    """
    try:
        written = content.encode()
    except UnicodeEncodeError as error:
        raise ToolError(
            f"half a character (a lone surrogate) is at {error.start} of the text; write it whole"
        ) from None
    if len(written) > most:
        raise ToolError(
            f"{path!r} would have {len(written)} bytes, more than {most}; put less into it"
        )
    return written


def only_crlf(text: str) -> bool:
    """Whether every line of a text ends as Windows ends them."""
    # A file with both kinds of ends is left as it is: there is no telling which one is meant.
    ends = text.count("\r\n")
    return ends > 0 and ends == text.count("\n") == text.count("\r")


def with_crlf(text: str) -> str:
    """A text with each newline, of whatever kind, as Windows writes it."""
    return NEWLINE.sub("\r\n", text)


def places_of(piece: str, text: str) -> list[int]:
    """Where a piece stands in a text, overlapping ones too: `aa` is twice in `aaa`, so not unique. 1,000 at most."""
    places: list[int] = []
    place = text.find(piece)
    while place >= 0 and len(places) < 1_000:
        places.append(place)
        place = text.find(piece, place + 1)
    return places


def line_of(text: str, place: int) -> int:
    """The number of the line that a place is in."""
    return len(NEWLINE.split(text[:place]))


def nearest(piece: str, text: str) -> str:
    """What the text has that is most like the first line of a piece, in words."""
    stripped = [line.strip() for line in NEWLINE.split(piece)]
    first = next((line for line in stripped if line), "")[:MAX_COMPARED]
    lines = [line.strip()[:MAX_COMPARED] for line in NEWLINE.split(text)[:20_000]]
    place = most_like(first, lines) if first else None
    if place is None:
        return "no line is like its first; read the file again"
    line = f"line {place + 1}: {lines[place]!r}"
    return f"the nearest to its first line is {line}; compare spaces and the lines that follow"


def most_like(wanted: str, lines: list[str]) -> int | None:
    """The place of the line that is most like the wanted one, if one is rather like it.

    Counting the characters that two lines share costs some 50 us, so that 20,000 lines take a second. Really comparing them
    grows with the product of their lengths: only so many of those that come close are compared.
    """
    matcher = difflib.SequenceMatcher(b=wanted)
    best, place, left = MIN_LIKENESS, None, MAX_CLOSE
    for number, line in enumerate(lines):
        matcher.set_seq1(line)
        # Both are upper bounds of the ratio, and far cheaper.
        if matcher.real_quick_ratio() < best or matcher.quick_ratio() < best:
            continue
        left -= 1
        if left < 0:
            break
        ratio = matcher.ratio()
        if ratio > best or (place is None and ratio == best):
            best, place = ratio, number
    return place


def short(line: str) -> str:
    """A line, cut if it is very long."""
    if len(line) <= MAX_LINE:
        return line
    return f"{line[:MAX_LINE]} [and {len(line) - MAX_LINE} more characters]"


def visible(path: str) -> str:
    """A path as text: bytes of a name that are not UTF-8 are written as escapes, newlines too."""
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match[0]):02x}", shown)
