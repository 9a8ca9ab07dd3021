"""Units: turns that stay together, or go together.

    examples    history                                  message   activity
    U A U A     [U A] [U A T A] [U A T A T A]            U         [A T] [A T] [A U] [A T]

Rules:
1. In the history a unit is an exchange: what somebody said, and all that came of it. In what an agent does now it is one
   turn of its model with the results of its calls, or with the words by which it was asked again.
2. So a call is never without its result, nor a result without its call; thinking stays with its turn, and so do items of a
   provider's own. A turn in which the provider's own tools have paused is followed by the one that goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from graphflow.model.turns import AssistantTurn, Block, ToolTurn, Turn, UserTurn

COMPACTIONS = frozenset({"compaction", "compaction_summary"})
"""Types of items in which a provider has summed up what stands before them (Anthropic's and OpenAI's)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which turns of an activation are what.

    Attributes:
        examples: how many turns stand first that are always shown.
        message: the place of the turn that is answered.
    """

    examples: int
    message: int


def begins_unit(turns: Sequence[Turn], place: int, layout: Layout) -> bool:
    """Whether a unit begins at a place that lies in the history or in the activity."""
    first_step = layout.message + 1
    if place in (layout.examples, first_step):
        return True
    turn = turns[place]
    before = turns[place - 1]
    if place > layout.message:
        return isinstance(turn, AssistantTurn) and not isinstance(before, AssistantTurn)
    if not isinstance(turn, UserTurn):
        return False
    waits_for_results = isinstance(before, AssistantTurn) and bool(before.calls)
    return not waits_for_results


def two_texts(unit: Sequence[Turn]) -> Sequence[Turn]:
    """An exchange without the way to its answer: what was said, and what was answered; nothing, if that is not shorter."""
    first = unit[0]
    last = unit[-1]
    # Nothing is shorter than a message and its answer.
    if len(unit) <= 2:
        return ()
    if not isinstance(first, UserTurn):
        return ()
    if not isinstance(last, AssistantTurn):
        return ()
    # No wire takes an answer without words.
    if not last.text:
        return ()
    answer = AssistantTurn(last.text)
    return first, answer


def is_compaction(turn: Turn, readers: Collection[str] = ()) -> bool:
    """Whether its provider has summed up in it what stands before it, for a model that can read that.

    Args:
        turn: the turn.
        readers: the models that may be asked, "provider:model": a block goes back to the one that has made it, and is dropped
            for all others, so it stands for nothing there. None: nobody knows who will be.
    """
    if not isinstance(turn, AssistantTurn):
        return False
    # Turns of a list that somebody has kept may not tell who made them: they are taken for whoever's wire they are on.
    if readers and turn.model and turn.model not in readers:
        return False
    blocks = [part for part in turn.parts if isinstance(part, Block)]
    return any(map(_sums_up, blocks))


def _sums_up(block: Block) -> bool:
    item = block.keep.get("item")
    if not isinstance(item, dict):
        return False
    return item.get("type") in COMPACTIONS


def orphan_in(turns: Sequence[Turn]) -> str:
    """What no provider would take of these turns, in words: calls without their results, results without their calls; or ""."""
    waiting: list[str] = []
    for place, turn in enumerate(turns):
        answered: list[str] = []
        if isinstance(turn, ToolTurn):
            answered = [result.id for result in turn.results]
        if answered != waiting:
            return f"turn {place} has results of calls {answered}, and the calls before it are {waiting}"
        waiting = []
        if isinstance(turn, AssistantTurn):
            waiting = [call.id for call in turn.calls]
    if waiting:
        return f"calls {waiting} have no results"
    return ""
