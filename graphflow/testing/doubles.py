"""Test doubles: models and embedders that need no network and do exactly what a test says.

    model = ScriptedModel(calls("divide", a=1, b=0), says("cannot"))
    run = await graph.run("1/0", model=model)
    model.done()                      # fails if part of the script was not used

A reply with `when="text"` answers only requests whose last turn contains that text, so parallel agents can share one
script in any order.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import hypot, log
from operator import itemgetter
from typing import TypeAlias

from graphflow.errors import ScriptError
from graphflow.messages.message import to_text
from graphflow.model.seam import (
    CallDelta,
    Finished,
    Likely,
    LogprobsDelta,
    ModelEvent,
    Request,
    TextDelta,
    UsageDelta,
)
from graphflow.model.turns import AssistantTurn, ToolTurn, UserTurn

Likelihood: TypeAlias = tuple[str, float]
"""A label, and its probability or the logarithm of that."""


@dataclass(slots=True)
class Scripted:
    """One scripted reply."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    when: str | None = None
    wait_s: float | None = 0.0
    """Seconds before it answers; None = never."""
    error: BaseException | None = None
    likely: tuple[Likelihood, ...] = ()
    """Tokens that the first place of the answer could have held, with their probabilities."""


def says(text: str, *, when: str | None = None, wait_s: float = 0.0) -> Scripted:
    """A reply of plain text."""
    if not isinstance(text, str):
        raise TypeError(f"says({text!r}): a model says text; write gives(...) for a value as JSON")
    return Scripted(text=text, when=when, wait_s=wait_s)


def gives(value: object, *, when: str | None = None) -> Scripted:
    """A reply of JSON: what an agent with a typed output expects."""
    return Scripted(text=to_text(value), when=when)


def calls(name: str, /, *, when: str | None = None, **arguments: object) -> Scripted:
    """A reply that calls one tool."""
    call = (name, to_text(arguments))
    return Scripted(calls=[call], when=when)


def both(*replies: Scripted) -> Scripted:
    """A reply that makes the calls of all these at once, in one turn."""
    together = Scripted(when=replies[0].when)
    for reply in replies:
        together.text += reply.text
        together.calls += reply.calls
    return together


def weighs(**labels: float) -> Scripted:
    """A reply to a router, with the probability of each label: `weighs(billing=0.7, support=0.3)`."""
    best = max(labels, key=labels.__getitem__)
    text = to_text({"label": best})
    likely = tuple(labels.items())
    return Scripted(text=text, likely=likely)


def fails(error: BaseException, *, when: str | None = None) -> Scripted:
    """A model that raises."""
    return Scripted(error=error, when=when)


def hangs(*, when: str | None = None) -> Scripted:
    """A model that never answers."""
    return Scripted(wait_s=None, when=when)


class ScriptedModel:
    """A model that follows a script and records what it was asked.

    Attributes:
        requests: every request, in the order they came.
        name: "scripted".

    Raises (from `stream` and `done`):
        ScriptError: it was asked more than the script holds, or less.
    """

    top_logprobs = 20

    def __init__(
        self, *replies: object, tokens: tuple[int, int] = (10, 5), usd: float | None = 0.0
    ) -> None:
        self.name = "scripted"
        self.left = [_scripted(reply) for reply in replies]
        self.requests: list[Request] = []
        self.tokens = tokens
        self.usd = usd

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Plays the next reply that fits, word by word."""
        # Before anything can fail, so that a test can see what was asked.
        self.requests.append(request)
        reply = self._next(request)
        number = len(self.requests)
        async for event in _played(reply, f"call_{number}", self.tokens, self.usd):
            yield event

    def _next(self, request: Request) -> Scripted:
        # The first that fits, not the next: parallel agents ask in any order.
        last = _last_text(request)
        for reply in self.left:
            if reply.when is None or reply.when in last:
                self.left.remove(reply)
                return reply
        number = len(self.requests)
        end = last[-200:]
        left = self._shown_left() or "nothing"
        raise ScriptError(
            f"request {number} has no reply in the script; it ends with {end!r}; left in the script: {left}"
        )

    def _shown_left(self) -> str:
        return ", ".join(map(_shown, self.left))

    def done(self) -> None:
        """Fails if part of the script was never asked for."""
        count = len(self.left)
        if count:
            left = self._shown_left()
            raise ScriptError(f"{count} scripted replies were never asked for: {left}")

    def __repr__(self) -> str:
        asked = len(self.requests)
        left = len(self.left)
        return f"<scripted model: {asked} asked, {left} left>"


class ComputedModel:
    """A model whose reply is made of the request alone, by a function: the same question has the same reply in every order.

    What is proven from many runs of a graph (`check_crash_safety`) needs such a model: a script would be at another place in
    each of them.

    Args:
        reply: makes the reply, as `ScriptedModel` takes them: `says(...)`, `calls(...)`, a text, a value that goes as JSON.
        tokens: input and output tokens of each answer.
        usd: what each answer costs; None: nobody knows.

    Attributes:
        requests: every request, in the order they came.
        name: "computed".
    """

    top_logprobs = 20

    def __init__(
        self,
        reply: Callable[[Request], object],
        *,
        tokens: tuple[int, int] = (10, 5),
        usd: float | None = 0.0,
    ) -> None:
        self.name = "computed"
        self.reply = reply
        self.requests: list[Request] = []
        self.tokens = tokens
        self.usd = usd

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Plays the reply, word by word."""
        self.requests.append(request)
        reply = _scripted(self.reply(request))
        # Turns of a conversation, and not requests so far, tell one call from another: the same in every order.
        number = len(request.turns)
        async for event in _played(reply, f"call_{number}", self.tokens, self.usd):
            yield event

    def __repr__(self) -> str:
        asked = len(self.requests)
        return f"<computed model: {asked} asked>"


async def _played(
    reply: Scripted, call_id: str, tokens: tuple[int, int], usd: float | None
) -> AsyncIterator[ModelEvent]:
    """A reply as a provider streams it."""
    if reply.wait_s is None:  # for ever: what waits for it has to be cancelled
        await asyncio.Event().wait()
    elif reply.wait_s:
        await asyncio.sleep(reply.wait_s)
    if reply.error is not None:
        raise reply.error
    for piece in _pieces(reply.text):
        yield TextDelta(piece)
    for index, (name, arguments) in enumerate(reply.calls):
        id = f"{call_id}_{index}"
        yield CallDelta(index, id=id, name=name)
        # In two pieces, as providers send them: whoever reads only the first is found out.
        half = len(arguments) // 2
        yield CallDelta(index, arguments=arguments[:half])
        yield CallDelta(index, arguments=arguments[half:])
    if reply.likely:
        places = _places(reply.text, reply.likely)
        yield LogprobsDelta(places)
    yield UsageDelta(*tokens, usd)
    if reply.calls:
        yield Finished("tool_calls")
    else:
        yield Finished("stop")


def _scripted(reply: object) -> Scripted:
    """A reply as it may be given: made by one of the functions above, a text, or a value that goes as JSON."""
    if isinstance(reply, Scripted):
        return reply
    if isinstance(reply, str):
        return says(reply)
    return gives(reply)


def _pieces(text: str) -> Iterator[str]:
    """A text word by word, each with the space before it."""
    if not text:
        return
    first, *others = text.split(" ")
    yield first
    for word in others:
        yield f" {word}"


def _places(text: str, likely: Sequence[Likelihood]) -> tuple[Likely, ...]:
    """The tokens of `{"label":"..."}`: what is sure, the label with its rivals, and the rest."""
    best, _ = max(likely, key=itemgetter(1))
    head, tail = text.rsplit(best, 1)
    rivals: list[Likelihood] = []
    for label, probability in likely:
        logprob = log(probability)
        rivals.append((label, logprob))
    # Logarithms: 0.0 is what is sure.
    before = Likely(head, ((head, 0.0),))
    choice = Likely(best, tuple(rivals))
    after = Likely(tail, ((tail, 0.0),))
    return before, choice, after


def _shown(reply: Scripted) -> str:
    if not reply.calls:
        beginning = reply.text[:60]
        return f"says {beginning!r}"
    calls: list[str] = []
    for name, arguments in reply.calls:
        calls.append(f"calls {name}({arguments})")
    return " and ".join(calls)


def _last_text(request: Request) -> str:
    turn = request.turns[-1]
    match turn:
        case UserTurn():
            return turn.text
        case ToolTurn():
            texts = [result.text for result in turn.results]
            return "\n".join(texts)
        case AssistantTurn():
            return turn.text


def _words(text: str) -> list[str]:
    for sign in "?.,":
        text = text.replace(sign, " ")
    return text.lower().split()


class FakeEmbedder:
    """Vectors of hashed words: texts that share words are near. Deterministic, no weights."""

    def __init__(self, size: int = 64, words: Callable[[str], Sequence[str]] | None = None) -> None:
        self.name = "fake"
        self.size = size
        self.words = words or _words

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.size
        # Each word falls on one of the axes; by a digest, as Python's own hashes differ from run to run.
        for word in self.words(text):
            content = word.encode()
            digest = hashlib.sha256(content).digest()
            axis = digest[0] % self.size
            vector[axis] += 1.0
        length = hypot(*vector) or 1.0  # a text without words stays at the origin
        return [value / length for value in vector]
