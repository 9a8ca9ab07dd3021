"""The lines that somebody types to a chat, or that come through a pipe."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from graphflow.cli.exit_codes import Terminated

PROMPT = "> "
MAX_REMEMBERED = 200
"""Lines of earlier sittings that the arrow keys bring back."""


def is_at_terminal() -> bool:
    """Whether somebody types the lines, who may be asked and can see what is drawn."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def next_line(*, is_typed: bool) -> str:
    """The next line, without its newline. It blocks: between two messages nothing goes on that could wait for it.

    Raises:
        EOFError: the input has ended.
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    with _signals_that_raise():
        if is_typed:
            return input(PROMPT)
        line = sys.stdin.readline()
    if not line:
        raise EOFError("the input has ended")
    return line.rstrip("\r\n")


@contextmanager
def _signals_that_raise() -> Iterator[None]:
    """The event loop hears of signals only when it has its turn, which it has not while a line is waited for."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    former_term = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        signal.signal(signal.SIGTERM, former_term)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated("the chat was stopped")


def remember_lines(lines: Iterable[str]) -> None:
    """Puts lines of earlier sittings behind the arrow keys. Nothing of them is written to a file."""
    with suppress(ImportError):  # Windows has no readline
        import readline

        for line in list(lines)[-MAX_REMEMBERED:]:
            if "\n" not in line:
                readline.add_history(line)
