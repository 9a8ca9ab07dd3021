"""A guard by meaning: how near a message is to examples."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakKeyDictionary

from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guard
from graphflow.errors import DeclarationError
from graphflow.messages.message import to_text
from graphflow.model.resolve import open_embedder
from graphflow.model.seam import Embedder


@dataclass(frozen=True, init=False)
class Similarity(Guard):
    """Rejects messages that are not near enough to any example, or too near to one.

    Attributes:
        examples: texts.
        least: the cosine that the nearest example must have at least; None = no bound.
        most: the cosine that the nearest may have at most; None = no bound.
        embedder: "provider:model" or an `Embedder`.
    """

    examples: tuple[str, ...]
    least: float | None
    most: float | None
    embedder: Embedder | str
    name = "similarity"

    def __init__(
        self,
        examples: Sequence[str],
        *,
        least: float | None = None,
        most: float | None = None,
        embedder: Embedder | str = "local:use",
    ) -> None:
        if isinstance(examples, str) or not examples:
            raise DeclarationError(f"Similarity({examples!r}): give a list of texts")
        if least is None and most is None:
            raise DeclarationError("Similarity(...): give least= or most=, a cosine from -1 to 1")
        object.__setattr__(self, "examples", tuple(examples))
        object.__setattr__(self, "least", least)
        object.__setattr__(self, "most", most)
        object.__setattr__(self, "embedder", embedder)

    async def check(self, message: object, ctx: Context) -> str | None:
        embedder = self.embedder
        if isinstance(embedder, str):
            embedder = open_embedder(embedder)
        known = await _vectors(embedder, self.examples)
        text = to_text(message)
        [vector] = await embedder.embed([text])
        cosines = [_cosine(vector, example) for example in known]
        return self._judge(max(cosines))

    def _judge(self, nearest: float) -> str | None:
        """Why a message is rejected whose nearest example is so near."""
        count = len(self.examples)
        # "Not below" would let pass what cannot be compared (NaN); so would "not above".
        if self.least is not None and not nearest >= self.least:
            return f"it is nearer than {self.least:g} to none of {count} examples"
        if self.most is not None and not nearest <= self.most:
            return f"it is nearer than {self.most:g} to one of {count} examples"
        return None


Vector: TypeAlias = list[float]
Examples: TypeAlias = tuple[str, ...]
VectorsByExamples: TypeAlias = dict[Examples, list[Vector]]
_known: WeakKeyDictionary[Embedder, VectorsByExamples] = WeakKeyDictionary()
"""Vectors of examples: constants of these and the embedder, computed once a process."""


async def _vectors(embedder: Embedder, examples: Examples) -> list[Vector]:
    known = _known.setdefault(embedder, {})
    if examples not in known:
        known[examples] = await embedder.embed(examples)
    return known[examples]


def _cosine(one: Vector, other: Vector) -> float:
    products = map(operator.mul, one, other)
    length = math.hypot(*one) * math.hypot(*other)
    if not length:
        return 0.0
    return math.fsum(products) / length
