"""Room: how many tokens a model can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphflow.compaction.tokens import MARGIN, tokens_of_turn
from graphflow.model.prices import context_window
from graphflow.model.seam import Model
from graphflow.model.turns import Turn


@dataclass(frozen=True, slots=True)
class Room:
    """How much a model can be shown.

    Attributes:
        tokens: tokens of a request at most, its answer left out; None = nobody knows.
        full: from so many tokens on something is left out.
        target: so many tokens are shown then, at most.
    """

    tokens: int | None
    full: float
    target: float

    @classmethod
    def of(cls, tokens: int | None, full: float, target: float) -> Room:
        """The room for estimates, which may be wrong by `MARGIN`.

        Args:
            tokens: tokens of a request at most; None = nobody knows.
            full: from which share of it on something is left out.
            target: how much of it is shown then.
        """
        size = float("inf") if tokens is None else tokens / MARGIN
        return cls(tokens, size * full, size * target)

    def count(self, turns: Sequence[Turn]) -> int:
        """About how many tokens turns are."""
        return sum(map(tokens_of_turn, turns))


def window_of(model: Model) -> int | None:
    """Tokens that a model reads and writes at most: as it says itself (`context_window`), or as the table of prices has it."""
    if hasattr(model, "context_window"):
        window: int | None = model.context_window
        return window
    return context_window(model.name)


def readers_of(model: Model) -> Sequence[str]:
    """The models that may be asked, as turns name them: those that a model says it hands on to (`readers`), or itself."""
    # As with `context_window`: who writes a model of their own need not know of it.
    readers: Sequence[str] = getattr(model, "readers", ())
    return readers or (model.name,)


def tokens_for(window: int | None, answer: int | None) -> int | None:
    """Tokens of a request at most, where an answer may take so many of the window. At least half of it is for the request."""
    if window is None:
        return None
    return window - min(answer or 0, window // 2)
