"""Ends the workers of a process that was killed.

A worker that waits sees its pipe close and ends by itself. One that computes sees nothing, and goes on for as long as its
code may: so a small shell waits beside it, is told which workers are computing, and kills these when its own pipe closes.
The system closes that whatever happens to this process, be it `kill -9`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SHELL = Path("/bin/sh")
SCRIPT = """busy=" "
while read -r mark pid; do
  case "$mark" in
    +) busy="$busy$pid " ;;
    -) case "$busy" in *" $pid "*) busy="${busy%% $pid *} ${busy#* $pid }" ;; esac ;;
  esac
done
[ "$busy" = " " ] || kill -9 $busy 2>/dev/null
"""
"""A worker is named only while it computes: it is alive then, and its number is nobody else's."""


class Warden:
    """The shell that waits. Systems without one (Windows) go without: code there ends when its own time is up."""

    def __init__(self) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        if SHELL.exists():
            quiet = subprocess.DEVNULL
            # A session of its own, as Ctrl-C and whoever ends this process's group are not to end it first.
            self._shell = subprocess.Popen(
                [str(SHELL), "-c", SCRIPT],
                stdin=subprocess.PIPE,
                stdout=quiet,
                stderr=quiet,
                bufsize=0,
                env={},
                cwd="/",
                start_new_session=True,
            )

    @contextmanager
    def watching(self, worker: int | None) -> Iterator[None]:
        """While a worker computes."""
        if worker is None:
            yield
            return
        self._tell(f"+ {worker}")
        try:
            yield
        finally:
            self._tell(f"- {worker}")

    def _tell(self, line: str) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            # It was killed: then nobody waits any more, and all goes on as before.
            with suppress(OSError):
                self._shell.stdin.write(f"{line}\n".encode())

    def close(self) -> None:
        """Ends it; nothing is computing any more."""
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.kill()  # also one that was stopped
            with suppress(OSError):
                self._shell.stdin.close()
            self._shell.wait()
