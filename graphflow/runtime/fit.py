"""The fit of a record and a walk: recorded facts move a fresh walk of the graph as it is now.

Whatever does not fit is refused at its first fact, before anything is begun: the graph has changed, or the record is another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import copy_context

from graphflow.errors import Diverged
from graphflow.events import NodeCancelled
from graphflow.places import begins_with
from graphflow.runtime.past import Past
from graphflow.runtime.records import Fact, FrameRecord
from graphflow.runtime.stops import counts
from graphflow.walk.commands import Activation
from graphflow.walk.machine import Walk


def check_fits(fact: Fact, walk: Walk) -> Activation:
    """The activation that a fact is of. One that is held back for want of room may have ended all the same: there was more.

    Raises:
        Diverged: the graph has changed, or the record is another graph's.
    """
    id = fact.activation
    node = fact.node
    act = walk.running.get(id) or walk.waiting.get(id)
    if act is not None and act.slot.name == node:
        return act
    if act is None:
        found = _running_text(walk)
    else:
        found = f"{act.slot.name!r} in its place"
    raise Diverged(walk.path, f"activation {id} of {node!r}", found, node)


def _running_text(walk: Walk) -> str:
    running: list[str] = []
    for act in walk.running.values():
        running.append(f"{act.slot.name!r} as {act.id}")
    return ", ".join(running) or "nothing"


def push_facts(
    walk: Walk, facts: Iterable[Fact], count: Callable[[Activation], None] | None = None
) -> int:
    """Lets recorded facts move a walk; how many activations have ended because the walk itself had stopped them.

    Args:
        walk: the walk.
        facts: what it was told.
        count: is given each activation that has ended.

    Raises:
        Diverged: one does not fit the graph as it is now.
    """
    cancelled = 0
    context = copy_context()
    for fact in facts:
        if counts(fact, walk):
            act = check_fits(fact, walk)
            if count is not None:
                count(act)
            walk.apply(fact, context)
            cancelled += isinstance(fact, NodeCancelled)
    return cancelled


def check_places(past: Past, frame: FrameRecord, within: str, walk: Walk) -> None:
    """Refuses to go on where code that is begun again would not find what it has got: it would do it twice.

    Args:
        past: what is recorded of the run.
        frame: what is recorded of the frame.
        within: the frame's place.
        walk: the frame's walk, with all facts pushed.

    Raises:
        Diverged: an activation under way has another place now.
    """
    #     START >> pay >> END            /pay 1/bank~...
    #     START >> (pay, log) >> END     /pay ((0, 0),)/bank~...     a place tells of the forks on the way to it
    over = {fact.activation for fact in frame.facts}
    for activation, known in past.asked_in(frame.number):
        recorded = f"that activation {activation} has got {known}"
        act = walk.running.get(activation) or walk.waiting.get(activation)
        if act is None:
            if activation in over:
                continue
            raise Diverged(walk.path, recorded, "no such activation")
        name = act.slot.name
        way: object = act.scope
        if walk.program.straight:  # `Frame.scope_of`: laps are no forks
            way = () if frame.number else activation
        place = begins_with(within, f"{name} {way}")
        if not _stands_at(known, place):
            raise Diverged(walk.path, recorded, f"{name!r} at {place}", name)


def _stands_at(known: str, place: str) -> bool:
    """Whether what is known stands at a place, or below it."""
    if not known.startswith(place):
        return False
    # `/pay 1` is not where `/pay 12` begins.
    length = len(place)
    after = known[length : length + 1]
    return after in ("", "/", "~")
