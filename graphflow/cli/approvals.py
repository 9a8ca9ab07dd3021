"""Approvals on a terminal: what is about to be done is shown, and only a clear yes lets it happen.

Rules:
1. Everything but `y` or `yes` is a no: an empty line, another word, the end of the input.
2. What was typed before the question was on the screen does not answer it.
3. What a model wrote cannot pass for the question: it stands in quotes, on lines of its own, with its control characters shown.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any, TextIO

from pydantic import BaseModel

from graphflow.cli.show import note
from graphflow.cli.visible import visible
from graphflow.concurrency import in_thread
from graphflow.messages.media import Media
from graphflow.messages.message import to_json_value
from graphflow.messages.types import type_name
from graphflow.policy import Use
from graphflow.redaction import scrub

YES = ("y", "yes")
"""What counts as a yes."""
MAX_SHOWN = 2_000
"""Characters of one value that are shown, with the number of those that are not."""
EFFECT_VERBS = {"reads": "reads", "writes": "writes", "network": "uses the network", "executes": "runs programs"}


def can_ask() -> bool:
    """Whether somebody is at a terminal who can read a question and answer it."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def _is_terminal(stream: TextIO | None) -> bool:
    if stream is None or stream.closed:  # as for a service, or a program without a console
        return False
    return stream.isatty()


class Asker:
    """Asks the person at the terminal, one question at a time.

    Args:
        aside: takes away what is drawn on the screen while a question stands there.
    """

    def __init__(self, aside: Callable[[], AbstractContextManager[Any]]) -> None:
        self.aside = aside
        self._turn = asyncio.Lock()

    async def ask(self, use: Use) -> bool:
        """Whether this call may be made."""
        # Branches may ask at the same time; an answer must be to the question above it.
        async with self._turn:
            with self.aside():
                _forget_typed()
                print(question(use), end=" ", file=sys.stderr, flush=True)
                answer = await _line()
                if not answer.endswith("\n"):
                    print(file=sys.stderr, flush=True)
        is_whole = answer.endswith("\n")  # else the input has ended
        granted = is_whole and answer.strip().casefold() in YES
        if not granted:
            note(f"{use.node!r} is refused")
        return granted


def question(use: Use) -> str:
    """What is asked: what would be called, what it may do, and each argument with its type."""
    where = f" (in {' > '.join(use.path)})" if use.path else ""
    head = f"graphflow: may the {use.kind} {use.node!r} be called{where}?"
    verbs = [verb for effect, verb in EFFECT_VERBS.items() if effect in use.effects]
    if verbs:
        head += f" It {' and '.join(verbs)}."
    arguments = [f"    {line}" for line in _lines(use.arguments)]
    return "\n".join([visible(head), *arguments, "Allow it? [y/N]"])


def _lines(arguments: object) -> Iterator[str]:
    """One line a field for a model, one a key for a mapping, else one for the whole."""
    if isinstance(arguments, BaseModel) and not isinstance(arguments, Media):
        for name, field in type(arguments).model_fields.items():
            yield _line_of(name, type_name(field.annotation), getattr(arguments, name))
    elif isinstance(arguments, dict):
        for name, value in arguments.items():
            yield _line_of(str(name), type(value).__name__, value)
    else:
        yield _line_of("message", type(arguments).__name__, arguments)


def _line_of(name: str, kind: str, value: object) -> str:
    return _shown(f"{name} ({kind}): ") + _shown(_text_of(value))


def _text_of(value: object) -> str:
    """A value on one line; what is left out is counted, since nobody agrees to what is not shown."""
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    if isinstance(value, Media):
        return repr(value)[:MAX_SHOWN]
    text = scrub(json.dumps(to_json_value(value), ensure_ascii=False))
    more = len(text) - MAX_SHOWN
    if more <= 0:
        return text
    return f"{text[:MAX_SHOWN]}... and {more} characters that are not shown here"


def _shown(text: str) -> str:
    """The text on one line, with what would move, turn around or hide letters written out."""
    one_line = visible(text.replace("\n", "\\n"))
    return "".join(_unhidden(character) for character in one_line)


def _unhidden(character: str) -> str:
    """A character, or its code if it is a mark for the direction or the layout of text: those are not seen."""
    if unicodedata.category(character) in ("Cf", "Zl", "Zp"):
        return f"\\u{ord(character):04x}"
    return character


def _forget_typed() -> None:
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
