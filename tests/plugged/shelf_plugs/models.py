"""A model that shouts, one that is none, and an embedder that counts letters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from graphflow.model import Finished, ModelEvent, Request, TextDelta


class ShoutModel:
    """Says what it was told, in capitals."""

    def __init__(self, name: str, marks: int) -> None:
        self.name = f"shout:{name}"
        self.marks = marks

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """One piece."""
        yield TextDelta(request.turns[-1].text.upper() + "!" * self.marks)
        yield Finished("stop")


def open_shout(name: str, *, marks: int = 1) -> ShoutModel:
    """The model of that name."""
    return ShoutModel(name, marks)


def open_mute(name: str) -> object:
    """Something that is no model."""
    return name


class LetterEmbedder:
    """Tells texts apart by their letters."""

    def __init__(self, name: str) -> None:
        self.name = f"letters:{name}"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """How often each letter stands in each text, as a unit vector."""
        return list(map(_letters, texts))


def _letters(text: str) -> list[float]:
    counts = [1.0 + text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    length = sum(count * count for count in counts) ** 0.5
    return [count / length for count in counts]


def open_letters(name: str) -> LetterEmbedder:
    """The embedder of that name."""
    return LetterEmbedder(name)
