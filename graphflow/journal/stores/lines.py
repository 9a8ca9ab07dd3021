"""Files of whole lines, and of whole values: how they are named, and written so that they last."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from graphflow.journal.stored import Json

CREATE = os.O_CREAT | os.O_CLOEXEC
MODE = 0o644
"""Who may do what with a new file: its owner may write."""
MAX_NAME = 200
"""Bytes of a file's name that an id may take; file systems allow 255."""
CHUNK = 1024 * 1024
"""Bytes that are overwritten at a time."""


def write_lines(path: Path, lines: Sequence[Json], sound: int) -> None:
    """Adds whole lines behind the sound part of a file; what is left of a line that was torn goes.

    All of them or none: if there is no room for the last one, the file is cut to what it was.
    """
    texts = [json.dumps(line, separators=(",", ":")) for line in lines]
    text = "\n".join([*texts, ""])
    handle = os.open(path, os.O_WRONLY | CREATE, MODE)
    try:
        os.ftruncate(handle, sound)
        try:
            _write_all(handle, text.encode(errors="surrogatepass"), sound)
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, sound)
            raise
    finally:
        os.close(handle)
    if sound == 0:  # it may be new
        _sync_folder(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a new file. A reader sees all of it or nothing."""
    # Its name is the promise that it is whole, so it gets that name when it is.
    half = path.with_suffix(".half")
    handle = os.open(half, os.O_WRONLY | os.O_TRUNC | CREATE, MODE)
    try:
        _write_all(handle, content, 0)
        os.fsync(handle)
    finally:
        os.close(handle)
    half.replace(path)
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Removes a file if it is there, and overwrites what was in it.

    On a disk that writes elsewhere each time (an SSD, a copy-on-write file system) the former blocks may last a while.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        path.unlink()  # before: nobody is to read half of it
        _overwrite(handle)
    finally:
        os.close(handle)


def replace_whole(path: Path, content: bytes) -> None:
    """Writes a file anew, and overwrites what was in it before."""
    former = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        write_whole(path, content)
        _overwrite(former)
    finally:
        os.close(former)


def _overwrite(handle: int) -> None:
    rest, at = os.fstat(handle).st_size, 0
    while rest:
        zeros = bytes(min(rest, CHUNK))
        _write_all(handle, zeros, at)
        rest, at = rest - len(zeros), at + len(zeros)
    os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    """Makes the names of a folder's files last: that of a new one is not part of the file."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, content: bytes, at: int) -> None:
    rest = memoryview(content)
    while rest:
        written = os.pwrite(handle, rest, at)
        rest, at = rest[written:], at + written


def file_name(run: str) -> str:
    """A file's name for an id. One that is too long for a file system keeps its beginning, and has a digest."""
    name = quote(run, safe=" @+,=")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) <= MAX_NAME:
        return name
    beginning = name[: MAX_NAME - 40]
    digest = sha256(run.encode(errors="surrogatepass")).hexdigest()
    return f"{beginning}~{digest[:32]}"
