"""The terminal as a place to ask: a question on standard error, a line from standard input."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import TextIO

from graphflow.cli.visible import visible
from graphflow.concurrency import in_thread


def can_ask() -> bool:
    """Whether somebody is at a terminal who can read a question and answer it."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def _is_terminal(stream: TextIO | None) -> bool:
    if stream is None or stream.closed:  # as for a service, or a program without a console
        return False
    return stream.isatty()


async def ask_line(prompt: str) -> str:
    """What somebody types behind a prompt, without its newline.

    Raises:
        EOFError: the input has ended.
    """
    print(visible(prompt), end=" ", file=sys.stderr, flush=True)
    try:
        line = await _line()
    except asyncio.CancelledError:
        print(file=sys.stderr, flush=True)  # what is said next begins a line of its own
        raise
    if not line.endswith("\n"):
        print(file=sys.stderr, flush=True)
        raise EOFError("the input has ended")
    return line.rstrip("\r\n")


def forget_typed() -> None:
    """Drops what was typed before the question."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no termios
        import termios

        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


async def _line() -> str:
    """The next line of the terminal; without its newline where the input has ended. A walk that ends meanwhile waits for nobody."""
    loop, handle = asyncio.get_running_loop(), sys.stdin.fileno()
    ready = asyncio.Event()
    try:
        loop.add_reader(handle, ready.set)
    except NotImplementedError:  # the event loop of Windows
        return await in_thread(sys.stdin.readline, kind="hook")
    try:
        await ready.wait()
    finally:
        loop.remove_reader(handle)
    return os.read(handle, 4096).decode(errors="replace")
