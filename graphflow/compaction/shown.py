r"""What is shown of a list of turns, of which some are left out.

turns     U A U A | U A   U A T A   U A   U A T A | U   A T   A T
          examples  \_ left out __/ \_ shown ___/  message, activity
                                  ^ exchanges = 10
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphflow.compaction.omission import WHOLE, Omission
from graphflow.compaction.sizes import TurnSizes
from graphflow.model.turns import AssistantTurn, Turn, UserTurn

RECALLED = "What was said and done so far, in short?"
"""What the model seems to have been asked before it said the summary: on every wire a turn of its own needs a question."""
GO_ON = "Go on."


def shown_turns(sizes: TurnSizes, turns: Sequence[Turn], omission: Omission) -> tuple[Turn, ...]:
    """The turns that are shown, in order.

    Args:
        sizes: what is known of the turns.
        turns: all of them; they may be longer than when they were measured.
        omission: what is left out.
    """
    if omission == WHOLE:
        return tuple(turns)
    examples = sizes.layout.examples
    message = sizes.layout.message
    history = _Region(sizes, turns, examples, message)
    activity = _Region(sizes, turns, message + 1, len(turns))
    results = omission.results
    summary = omission.summary
    has_gap = omission.exchanges > examples

    shown = list(turns[:examples])
    history.add_pinned(shown, omission.exchanges, results)
    # Where the gap is: two turns more, as no wire takes two of one side in a row.
    if summary and has_gap:
        shown.append(UserTurn(RECALLED))
        shown.append(AssistantTurn(summary))
    shown += sizes.brief_of(omission)
    history.add_rest(shown, omission.exchanges, results)
    shown.append(turns[message])
    if summary and not has_gap:
        shown.append(AssistantTurn(summary))
        shown.append(UserTurn(GO_ON))
    activity.add_pinned(shown, omission.activity, results)
    activity.add_rest(shown, omission.activity, results)
    return tuple(shown)


@dataclass(frozen=True, slots=True)
class _Region:
    """The history or the activity."""

    sizes: TurnSizes
    turns: Sequence[Turn]
    first: int
    end: int

    def add_pinned(self, shown: list[Turn], start: int, results: int) -> None:
        """Adds what stays of that which is left out, with results before a place masked."""
        begin = self._within(start)
        border = self._within(results)
        pins = self.sizes.pins
        for place in range(self.first, begin):
            if place not in pins:
                continue
            if place < border:
                turn = self._masked(place)
            else:
                turn = self.turns[place]
            shown.append(turn)

    def add_rest(self, shown: list[Turn], start: int, results: int) -> None:
        """Adds what is not left out, with results before a place masked."""
        begin = self._within(start)
        border = self._within(max(results, begin))
        for place in range(begin, border):
            turn = self._masked(place)
            shown.append(turn)
        shown += self.turns[border : self.end]

    def _masked(self, place: int) -> Turn:
        turn = self.turns[place]
        return self.sizes.masks.get(place, turn)

    def _within(self, place: int) -> int:
        if place < self.first:
            return self.first
        return min(place, self.end)
