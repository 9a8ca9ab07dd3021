"""The context policies that an agent may have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from graphflow.compaction.room import Room
from graphflow.errors import DeclarationError
from graphflow.keywords import strict_keywords
from graphflow.model.seam import Model
from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn

INSTRUCTIONS = (
    "Sum up for the one who goes on with this conversation: who wants what, facts, names, numbers, decisions, what was "
    "done and what came of it, what is open. Leave out courtesies."
)
Pins = str | Sequence[str] | Callable[[Turn], bool]
"""Which units always stay: those with one of these texts in them, or with a turn that a function says yes to."""


@strict_keywords
@dataclass(frozen=True)
class Window:
    """What fits, the newest first: old results of tools are masked, then whole exchanges are left out, the oldest first.

    Nothing happens until a request is nearly as long as the model can read. Then so much is left out at once that nothing
    more has to be for a while, and what is shown keeps its beginning, as prompt caches want it.

    Attributes:
        results: how many results of tools are not masked, the last ones (arXiv 2508.21433: masking the others halves the
            cost at the same quality).
        max_tokens: tokens of a request at most; None = what the model can read, less what its answer may take.
        pins: texts: a unit in which one of them stands is never left out; or a function that says so of a turn.
        full: from which share of that on something is left out.
        target: which share is shown then, at most.
    """

    results: int = 3
    max_tokens: int | None = None
    pins: Pins = ()
    full: float = 0.85
    target: float = 0.5
    word: ClassVar[str] = "window"
    """What files call it."""
    head: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not self.results >= 0:
            raise DeclarationError(f"{self!r}: results must be at least 0")
        if self.max_tokens is not None and not self.max_tokens >= 1:
            raise DeclarationError(f"{self!r}: max_tokens must be at least 1")
        if not callable(self.pins):
            texts = (self.pins,) if isinstance(self.pins, str) else tuple(self.pins)
            object.__setattr__(self, "pins", texts)
        if not 0 < self.target < self.full <= 1:
            raise DeclarationError(f"{self!r}: 0 < target < full <= 1 must hold")

    def is_pinned(self, turn: Turn) -> bool:
        """Whether the unit of a turn always stays."""
        pins = self.pins
        if callable(pins):
            return bool(pins(turn))
        if not pins:
            return False
        content = _text_of(turn)
        return any(text in content for text in pins)


@strict_keywords
@dataclass(frozen=True)
class HeadTail(Window):
    """The first exchanges, and of the others what fits, the newest first.

    Attributes:
        head: how many exchanges always stay, the first ones.
    """

    head: int = 1  # type: ignore[misc]  # of a window there are none
    word: ClassVar[str] = "head_tail"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.head >= 0:
            raise DeclarationError(f"{self!r}: head must be at least 0")


@strict_keywords
@dataclass(frozen=True)
class Summarise(Window):
    """What fits, and in the place of what does not what a model makes of it in a few words.

    The model is asked each time that something is left out, piece by piece: what is too long to be read at once is summed up
    all the same. Its questions are the agent's: counted, limited, kept in the record.

    Attributes:
        model: "provider:model" or a `Model` that sums up; None = the agent's own.
        words: how long a summary may be.
        instructions: what is to be kept in it.
    """

    model: Model | str | None = None
    words: int = 200
    instructions: str = INSTRUCTIONS
    word: ClassVar[str] = "summarise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.words >= 1:
            raise DeclarationError(f"{self!r}: words must be at least 1")


ContextFunction: TypeAlias = Callable[
    [Sequence[Turn], Room], Sequence[Turn] | Awaitable[Sequence[Turn]]
]
"""Says before each question which of all turns are shown. The same turns have to give the same: a run may go on later."""
ContextPolicy: TypeAlias = Window | ContextFunction
"""What an agent's `context=` takes."""

DEFAULT = Window()
"""What an agent has that is shown what was said before, and names no policy."""


def _text_of(turn: Turn) -> str:
    match turn:
        case UserTurn():
            return turn.text
        case AssistantTurn():
            arguments = [call.arguments for call in turn.calls]
            return "\n".join([turn.text, *arguments])
        case ToolTurn():
            return "\n".join([result.text for result in turn.results])


POLICIES: Mapping[str, type[Window]] = {kind.word: kind for kind in (Window, HeadTail, Summarise)}
"""By the word that files have for them."""
