"""Plans: what has to be left out, so that a request fits.

First old results of tools are masked, then whole exchanges are left out, then the oldest turns of what the agent does now:
each only as far as it takes to come down to the target. So much is left out at once that nothing more is for a while: what
is shown keeps its beginning from one question to the next, and the provider's prompt cache holds. Of the last exchange its
message and its answer stay.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from graphflow.compaction.omission import WHOLE, Omission
from graphflow.compaction.room import Room
from graphflow.compaction.sizes import TurnSizes
from graphflow.model.turns import AssistantTurn, Turn

Estimate = Callable[[Omission], float]
"""About how many tokens a request is with something left out."""


def with_room(
    sizes: TurnSizes, before: Omission, end: int, keep: int, target: float, estimate: Estimate
) -> Omission:
    """What has to be left out beside what is already, so that about `target` tokens are shown; as much as may be, at most.

    Args:
        sizes: of the turns.
        before: what is left out already.
        end: how many turns there are.
        keep: how many results of tools are not masked, the last ones.
        target: tokens that are to be shown at most.
        estimate: how many are.
    """
    results = sizes.results_before(keep, end)
    omission = replace(before, results=max(before.results, results))
    if estimate(omission) <= target:
        return omission
    omission = _without_exchanges(sizes, omission, end, target, estimate)
    if estimate(omission) <= target or not sizes.steps:
        return omission
    return _without_steps(sizes, omission, target, estimate)


def _without_exchanges(
    sizes: TurnSizes, omission: Omission, end: int, target: float, estimate: Estimate
) -> Omission:
    """Leaves out the oldest exchanges; one that is under way stays, and of the last one its two texts, if they fit."""
    last = sizes.layout.message
    if end <= last:
        last = sizes.starts[bisect_left(sizes.starts, end) - 1]
    places = [*_between(sizes.starts, omission.exchanges, last), last]
    found = _first_fitting(
        places, lambda place: replace(omission, exchanges=place, brief=False), target, estimate
    )
    if found.exchanges != sizes.layout.message or not sizes.starts:
        return found
    # Whoever asks "and why?" means what was said last, however long the way to it was.
    brief = replace(found, brief=True)
    if not sizes.brief_of(brief) or estimate(brief) > target:
        return found
    return brief


def _without_steps(
    sizes: TurnSizes, omission: Omission, target: float, estimate: Estimate
) -> Omission:
    """Leaves out the oldest turns of what the agent does now; the last one stays."""
    last = sizes.steps[-1]
    places = [*_between(sizes.steps, omission.activity, last), last]
    return _first_fitting(places, lambda place: replace(omission, activity=place), target, estimate)


def _between(starts: Sequence[int], after: int, before: int) -> Sequence[int]:
    """The beginnings of units behind a place and before another."""
    return starts[bisect_right(starts, after) : bisect_left(starts, before)]


def _first_fitting(
    places: Sequence[int],
    make: Callable[[int], Omission],
    target: float,
    estimate: Estimate,
) -> Omission:
    """What leaves out as little as it takes; all that may be left out, if that is not enough."""

    def size(place: int) -> float:
        return -estimate(make(place))

    # The further the place, the less is shown: the sizes, with their sign turned, are sorted.
    found = bisect_left(places, -target, key=size)
    return make(places[min(found, len(places) - 1)])


def standing_omission(
    sizes: TurnSizes,
    turns: Sequence[Turn],
    around: int,
    keep: int,
    room: Room,
    kept: Omission = WHOLE,
) -> Omission:
    """What is left out of a history, as it has come about: exchange by exchange, each time that the room was full.

    It is worked out from the history alone. So every run of a conversation begins with what the one before it has shown,
    and nobody has to keep it.

    Args:
        sizes: of the turns.
        turns: all of them.
        around: tokens of a request beside its turns.
        keep: how many results of tools are not masked, the last ones.
        room: how much is shown.
        kept: what is known to have been left out some time ago; the history goes on from there.
    """
    layout = sizes.layout
    omission = kept
    begin = max(layout.examples, kept.exchanges)
    for end in range(begin + 1, layout.message + 1):
        # Before each of its answers a model was shown what there was then.
        if isinstance(turns[end - 1], AssistantTurn):
            continue
        estimate = partial(_estimate, sizes, around, end)
        if estimate(omission) > room.full:
            omission = with_room(sizes, omission, end, keep, room.target, estimate)
    return omission


def cut_off_at(sizes: TurnSizes, omission: Omission, place: int) -> Omission:
    """What is left out where somebody wants nothing before a place of the history to be shown as it is; pinned turns stay."""
    start = sizes.unit_from(place)
    if start <= omission.exchanges:
        return omission
    results = max(omission.results, start)
    return replace(omission, exchanges=start, results=results, brief=False)


def _estimate(sizes: TurnSizes, around: int, end: int, omission: Omission) -> float:
    return around + sizes.tokens(omission, end)
