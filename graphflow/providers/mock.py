"""Models that need no network, no key and no weights, for graphs that are only tried: `mock:echo` and `replay:PATH`.

    graphflow run desk "hello" --model mock:echo
    graphflow run desk "hello" --model replay:case.jsonl

`mock:echo` answers by these rules:
1. Where a type is asked for, it gives the smallest value that fits the schema.
2. A text `/tool NAME {"argument": 1}` makes it call that tool once; it then answers with what the tool said.
3. Anything else it says back.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence

from graphflow.errors import DeclarationError
from graphflow.model.seam import (
    CallDelta,
    Finished,
    JsonSchema,
    Model,
    ModelEvent,
    Request,
    TextDelta,
    UsageDelta,
)
from graphflow.model.turns import ToolTurn, Turn
from graphflow.providers.recording import replay
from graphflow.providers.sample import sample

_COMMAND = "/tool "


class EchoModel:
    """A model that says what it was told. Its tokens are words, and they cost nothing."""

    name = "mock:echo"

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields the answer word by word."""
        asked = request.turns[-1]
        command = _command(asked)
        if command is not None:
            name, arguments = command
            yield CallDelta(0, "call_1", name, arguments)
            yield _usage(request.turns, arguments)
            yield Finished("tool_calls")
            return
        text = _answer(asked, request.output_schema)
        for piece in _pieces(text):
            yield TextDelta(piece)
        yield _usage(request.turns, text)
        yield Finished("stop")

    def __repr__(self) -> str:
        return "<model mock:echo>"


def open_mock(name: str) -> Model:
    """The model behind `mock:NAME`.

    Raises:
        DeclarationError: there is no such one.
    """
    if name != "echo":
        raise DeclarationError(f"'mock:{name}' is not a model; there is one, 'mock:echo'")
    return EchoModel()


def open_replay(path: str) -> Model:
    """The model behind `replay:PATH`: it answers from what `record(PATH, model)` has written.

    Raises:
        FileUnreadable: there is no such file, or it is not a recording.
    """
    return replay(path)


def _command(asked: Turn) -> tuple[str, str] | None:
    """The tool that a turn wants called, and its arguments as JSON; None if it does not."""
    if isinstance(asked, ToolTurn) or not asked.text.startswith(_COMMAND):
        return None
    name, _, arguments = asked.text.removeprefix(_COMMAND).strip().partition(" ")
    return name, arguments or "{}"


def _answer(asked: Turn, schema: JsonSchema | None) -> str:
    if schema is not None:
        value = sample(schema)
        return json.dumps(value)
    return _text_of(asked)


def _text_of(turn: Turn) -> str:
    if isinstance(turn, ToolTurn):
        return "\n".join(result.text for result in turn.results)
    return turn.text


def _pieces(text: str) -> list[str]:
    """A text word by word, each with the space behind it."""
    *words, last = text.split(" ")
    return [*(f"{word} " for word in words), last]


def _usage(turns: Sequence[Turn], answer: str) -> UsageDelta:
    asked = sum(len(_text_of(turn).split()) for turn in turns)
    answered = len(answer.split())
    return UsageDelta(asked, answered, usd=0.0)
