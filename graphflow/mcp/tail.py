"""The last words of a server's process: why it ended stands on its standard error."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
from typing import TextIO

MAX_BYTES = 4_000
"""Bytes of the end that are kept."""
CAN_POLL = os.name == "posix"
POLL_S = 0.5
"""Seconds after which the thread looks whether it is still wanted."""


class Tail:
    """Reads what a process writes, so that it never blocks, and keeps the end of it.

    A pipe and a thread, as the process needs a real file and not every loop can wait for one. The thread ends with the
    pipe, or after `close`: a child that the process leaves behind may hold the pipe for ever.
    """

    def __init__(self) -> None:
        self._end = b""
        self._is_over = False
        reading, writing = os.pipe()
        self.file: TextIO = os.fdopen(writing, "w")
        self._thread = threading.Thread(
            target=self._read, args=(reading,), name="graphflow:mcp-stderr", daemon=True
        )
        self._thread.start()

    def _read(self, reading: int) -> None:
        with contextlib.suppress(OSError), os.fdopen(reading, "rb", buffering=0) as pipe:
            while not self._is_over:
                if CAN_POLL and not select.select([pipe], [], [], POLL_S)[0]:
                    continue
                piece = pipe.read(8192)  # whatever there is: a full pipe would stop the server
                if not piece:
                    break
                self._end = (self._end + piece)[-MAX_BYTES:]

    def started(self) -> None:
        """The process holds its own end by now; the pipe shall end when it does."""
        with contextlib.suppress(OSError):
            self.file.close()

    def close(self) -> None:
        """Nobody wants to know any more."""
        self.started()
        self._is_over = True

    async def text(self, wait_s: float = 0.2) -> str:
        """What was written last, once the process is gone: the pipe has ended then, unless children of its hold it."""
        self.started()
        waited = 0.0
        while self._thread.is_alive() and waited < wait_s:
            await asyncio.sleep(0.01)
            waited += 0.01
        return self._end.decode(errors="replace").strip()
