"""A file of events, a line of JSON each; when it has grown too large, it is set aside, and a new one begins.

    events.jsonl        {"format": "graphflow.events", "version": 1, ...}      the first line of each file
                        {"kind": "run.start", "run": "...", "number": 0, "time": "...", "path": ["desk"], ...}
    events.jsonl.1      the one before it; `.2` is older

Rules:
1. Each line is whole and on the disk's way before the next one is taken. What was written of a line that did not fit goes.
2. A disk that is full, or a folder that has gone, is said once. The file is tried again after `RETRY_S`; what came meanwhile
   is lost, and counted.
3. Several processes may add to one file. Who finds that another one has set it aside goes on with the new one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from time import monotonic
from typing import IO, Any

from graphflow._version import __version__
from graphflow.errors import FileUnreadable
from graphflow.messages.message import error_text
from graphflow.redaction import scrub

FORMAT = "graphflow.events"
VERSION = 1
"""Of the lines. A reader refuses a later one."""
MAX_BYTES = 100_000_000
BACKUPS = 5
RETRY_S = 10.0
"""Seconds after which a file is tried again that could not be written."""


class EventLines:
    """A file that lines are added to.

    Args:
        path: the file; it is gone on with if it is there.
        say: is told why lines are lost, once.
        max_bytes: after so many a new file begins.
        backups: how many older ones stay.
        anew: whether what is there is replaced.

    Attributes:
        lost: how many lines could not be written.

    Raises:
        FileUnreadable: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        say: Callable[[str], None],
        *,
        max_bytes: int = MAX_BYTES,
        backups: int = BACKUPS,
        anew: bool = False,
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.backups = backups
        self.lost = 0
        self._say = say
        self._size = 0
        self._is_regular = True
        self._is_torn = False
        """Whether half a line stands at the end."""
        self._tries_again_at = 0.0
        self._file: IO[bytes] | None = None
        try:
            self._file = self._opened("wb" if anew else "ab")
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None

    def add(self, record: Callable[[], Mapping[str, Any]]) -> None:
        """Adds a line. Whatever goes wrong with it is counted, and harms nobody.

        Args:
            record: makes what stands in it.
        """
        if self._file is None and monotonic() < self._tries_again_at:
            self.lost += 1
            return
        try:
            text = json.dumps(record(), ensure_ascii=False, allow_nan=False)
            self._write(text.encode() + b"\n")
        except OSError as error:
            self._give_up(error)
        except (ValueError, RecursionError, MemoryError) as error:  # what cannot be written as JSON
            self._lose(error)

    def close(self) -> None:
        """Closes the file; what was written of it is there."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    # -- writing -----------------------------------------------------------------------------------
    def _write(self, line: bytes) -> None:
        file = self._file or self._opened("ab")
        self._file = file
        if self._size + len(line) > self.max_bytes and self._size > 0 and self._is_regular:
            file = self._rotated(file)
        if self._is_torn:
            line = b"\n" + line
        self._write_whole(file, line)
        self._is_torn = False
        self._size += len(line)

    def _write_whole(self, file: IO[bytes], line: bytes) -> None:
        """Writes a line, or nothing of it.

        Raises:
            OSError: there is no room for it, or the file has gone.
        """
        rest = memoryview(line)
        try:
            # Where a disk has room for a part of it only, the system writes that, and fails at the rest.
            while rest:
                written = file.write(rest)
                rest = rest[written:]
        except OSError:
            self._take_back(file, len(line) - len(rest))
            raise

    def _take_back(self, file: IO[bytes], written: int) -> None:
        """Cuts off half a line."""
        if not written or not self._is_regular:
            return
        self._is_torn = True
        with suppress(OSError):
            end = file.tell()
            # Behind it somebody else may have written a line of theirs.
            if os.fstat(file.fileno()).st_size == end:
                os.ftruncate(file.fileno(), end - written)
                self._is_torn = False

    def _opened(self, mode: str) -> IO[bytes]:
        file: IO[bytes] = self.path.open(mode, buffering=0)
        try:
            found = os.fstat(file.fileno())
            self._is_regular = S_ISREG(found.st_mode)
            self._size = found.st_size if self._is_regular else 0
            if self._size == 0:
                header = {"format": FORMAT, "version": VERSION, "by": __version__}
                line = json.dumps(header).encode() + b"\n"
                self._write_whole(file, line)
                self._size = len(line)
            elif self._is_regular:
                self._is_torn = _ends_within_a_line(self.path)
        except OSError:
            file.close()
            raise
        return file

    def _rotated(self, file: IO[bytes]) -> IO[bytes]:
        """Sets the file aside, and begins a new one."""
        self._file = None
        self._is_torn = False
        try:
            # Until the file is closed, whoever else wants to set it aside waits.
            _lock(file)
            if self._is_still_there(file):
                self._set_aside()
        finally:
            file.close()
        self._file = self._opened("ab")
        return self._file

    def _is_still_there(self, file: IO[bytes]) -> bool:
        """Whether nobody else has set it aside."""
        with suppress(FileNotFoundError):
            return os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        return False

    def _set_aside(self) -> None:
        self._backup(self.backups).unlink(missing_ok=True)
        for number in range(self.backups - 1, -1, -1):
            with suppress(FileNotFoundError):
                self._backup(number).rename(self._backup(number + 1))

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    # -- what cannot be written --------------------------------------------------------------------
    def _give_up(self, error: OSError) -> None:
        """Leaves the file alone for a while."""
        self.close()
        self._tries_again_at = monotonic() + RETRY_S
        self._lose(error)

    def _lose(self, error: BaseException) -> None:
        self.lost += 1
        if self.lost == 1:
            why = getattr(error, "strerror", None) or error_text(error) or type(error).__name__
            self._say(scrub(why))


def _lock(file: IO[bytes]) -> None:
    """Has a file for oneself, among those who ask, until it is closed."""
    try:
        from fcntl import LOCK_EX, flock
    except ImportError:  # Windows lets nobody set a file aside that another one has open
        return
    flock(file.fileno(), LOCK_EX)


def _ends_within_a_line(path: Path) -> bool:
    """Whether the last line of a file is half a one: its process died while it was being written."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
