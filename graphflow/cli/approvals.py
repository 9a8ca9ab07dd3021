"""Approvals on a terminal: what is about to be done is shown, and only a clear yes lets it happen.

Rules:
1. `y` and `yes` are a yes, `a` and `always` one for the rest of the run, `e` and `edit` one to other arguments. Everything
   else is a no: an empty line, another word, the end of the input.
2. What was typed before the question was on the screen does not answer it.
3. What a model wrote cannot pass for the question: it stands in quotes, on lines of its own, with its control characters shown.
"""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase

from pydantic import BaseModel

from graphflow.cli.printing import note, say
from graphflow.cli.terminal import ask_line, forget_typed
from graphflow.cli.visible import visible
from graphflow.errors import InputInvalid
from graphflow.messages.media import Media
from graphflow.messages.message import to_json_value
from graphflow.messages.types import type_name
from graphflow.policy import (
    Approval,
    ApprovalAnswer,
    Use,
    allow,
    always,
    deny,
    effect_words,
    undecided,
)
from graphflow.redaction import scrub
from graphflow.runtime.consent import answer_of
from graphflow.runtime.options import ForkOptions

YES = ("y", "yes")
"""What counts as a yes."""
ALWAYS = ("a", "always")
"""What counts as one to all further calls of the node in this run, too."""
EDIT = ("e", "edit")
PROMPT = "Allow it? [y/N/a(lways)/e(dit)]"
MAX_SHOWN = 2_000
"""Characters of one value that are shown, with the number of those that are not."""


ALL = "all"
"""What `--approve` says of every call."""


class Beforehand:
    """Approvals that a command line gives, by the names of what is called; everything else is asked for as ever.

    Args:
        names: what may be called; `*` and `?` stand for any text, and "all" for every name.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    async def ask(self, use: Use) -> ApprovalAnswer:
        """A yes where the name is one of them."""
        for name in self.names:
            if name == ALL or fnmatchcase(use.node, name):
                return allow
        return undecided


def approved_beforehand(options: ForkOptions, names: Sequence[str] | None) -> None:
    """Adds to the options of a run what its command line approves.

    Raises:
        InputInvalid: a name is empty.
    """
    if not names:
        return
    if not all(map(str.strip, names)):
        raise InputInvalid("--approve: name what may be called, or write all")
    options["approve"] = Beforehand(names).ask


def ask_here(options: ForkOptions, aside: Callable[[], AbstractContextManager[None]]) -> None:
    """Has the person at the terminal asked about what the command line does not approve.

    Args:
        options: of the run.
        aside: takes away what is drawn on the screen while a question stands there.
    """
    asker = Asker(aside)
    beforehand = options.get("approve")

    async def ask(use: Use) -> ApprovalAnswer:
        answer: ApprovalAnswer = undecided
        if beforehand is not None:
            answer = await answer_of(beforehand, use)
        return await asker.ask(use) if answer is undecided else answer

    options["approve"] = ask


class Asker:
    """Asks the person at the terminal, one question at a time.

    Args:
        aside: takes away what is drawn on the screen while a question stands there.
    """

    def __init__(self, aside: Callable[[], AbstractContextManager[None]]) -> None:
        self.aside = aside
        self._turn = asyncio.Lock()

    async def ask(self, use: Use) -> Approval:
        """Whether this call may be made."""
        from graphflow.cli.questions import edited  # which stands above

        # Branches may ask at the same time; an answer must be to the question above it.
        async with self._turn:
            with self.aside():
                forget_typed()
                say(question(use))
                try:
                    approval = await consent_of(lambda: edited(use.arguments))
                except EOFError:
                    approval = deny()
        if approval.consent == "deny":
            note(f"{use.node!r} is refused")
        return approval


async def consent_of(change: Callable[[], Awaitable[Approval]]) -> Approval:
    """What somebody types of a call: only a clear yes is one.

    Args:
        change: asks for other arguments.

    Raises:
        EOFError: the input has ended.
    """
    line = await ask_line(PROMPT)
    answer = line.strip().casefold()
    if answer in YES:
        return allow
    if answer in ALWAYS:
        return always
    if answer in EDIT:
        return await change()
    return deny()


def question(use: Use) -> str:
    """What is asked: what would be called, what it may do, and each argument with its type."""
    head = f"graphflow: may the {use.kind} {use.node!r} be called{_where(use.path)}?"
    words = effect_words(use.effects)
    if words:
        head += f" It {words}."
    lines = [visible(head)]
    for line in argument_lines(use.arguments):
        lines.append(f"    {line}")
    return "\n".join(lines)


def head_of(node: str, path: Sequence[str], does: str) -> str:
    """The first line of a question of a node."""
    return f"graphflow: {node!r}{_where(path)} {does}"


def _where(path: Sequence[str]) -> str:
    if not path:
        return ""
    graphs = " > ".join(path)
    return f" (in {graphs})"


def argument_lines(arguments: object) -> Iterator[str]:
    """One line a field for a model, one a key for a mapping, else one for the whole."""
    if isinstance(arguments, BaseModel) and not isinstance(arguments, Media):
        for name, field in type(arguments).model_fields.items():
            kind = type_name(field.annotation)
            yield _line_of(name, kind, getattr(arguments, name))
    elif isinstance(arguments, dict):
        for name, value in arguments.items():
            yield _line_of(str(name), type(value).__name__, value)
    else:
        yield _line_of("message", type(arguments).__name__, arguments)


def _line_of(name: str, kind: str, value: object) -> str:
    text = _text_of(value)
    return shown(f"{name} ({kind}): {text}")


def _text_of(value: object) -> str:
    """A value on one line; what is left out is counted, since nobody agrees to what is not shown."""
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    if isinstance(value, Media):
        return repr(value)[:MAX_SHOWN]
    plain = to_json_value(value)
    text = json.dumps(plain, ensure_ascii=False)
    # Scrubbed before it is cut: half a secret would not be known as one.
    text = scrub(text)
    more = len(text) - MAX_SHOWN
    if more <= 0:
        return text
    return f"{text[:MAX_SHOWN]}... and {more} characters that are not shown here"


def shown(text: str) -> str:
    """The text on one line, with what would move, turn around or hide letters written out."""
    one_line = text.replace("\n", "\\n")
    characters = map(_unhidden, visible(one_line))
    return "".join(characters)


def _unhidden(character: str) -> str:
    """A character, or its code if it is a mark for the direction or the layout of text: those are not seen."""
    if unicodedata.category(character) in ("Cf", "Zl", "Zp"):
        return f"\\u{ord(character):04x}"
    return character
