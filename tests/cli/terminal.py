"""A command on a real terminal (a pty)."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import programs

PATIENCE_S = 60


class Terminal:
    """A command on a pty, and all that it has written to it."""

    def __init__(self, process: Any, handle: int) -> None:
        self.process = process
        self.handle = handle
        self.text = ""

    def wait_for(self, words: str, after: int = 0) -> int:
        """Reads until the words are there; the place behind them."""
        until = time.monotonic() + PATIENCE_S
        while words not in self.text[after:]:
            assert time.monotonic() < until, f"{words!r} has not come; there is: {self.text!r}"
            if not self._read():
                raise AssertionError(
                    f"{words!r} has not come, and the command has ended: {self.text!r}"
                )
        return self.text.index(words, after) + len(words)

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def wait_until_it_waits(self) -> None:
        """Reads until the command sleeps: Python does not see a signal that comes just before it looks for keys."""
        state = Path(f"/proc/{self.process.pid}/stat")
        while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "S":
            self._read()

    def type(self, text: str) -> None:
        os.write(self.handle, text.encode())

    def end(self) -> int:
        """Reads to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.handle], [], [], 0.2)
        if not ready:
            return self.process.poll() is None
        try:
            piece = os.read(self.handle, 65_536)
        except OSError:  # how Linux says that nobody has the other end any more
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)


@contextmanager
def on_a_terminal(folder: Path, *arguments: str, stdout: int | None = None) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = programs.start(
        "-m",
        "graphflow",
        *arguments,
        cwd=folder,
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
