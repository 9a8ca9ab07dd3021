"""Derivation: what follows from the facts of a run, by pushing them through fresh walks.

facts     run.start                                  node.end               node.end   run.end
derived              edge.send  node.start                      edge.send
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from graphflow.events import (
    Event,
    Events,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    NodeStarted,
    Resumed,
    RunStarted,
    Stopped,
)
from graphflow.journal.stretch import Row, Stretch
from graphflow.limits import Limits
from graphflow.proofs.program import Program
from graphflow.runtime.stops import counts
from graphflow.walk.machine import Walk
from graphflow.walk.snapshot import Snapshot

FrameInfo = tuple[Program, tuple[str, ...], Limits]
"""What a frame walks, its path, and the limits of its walk."""
_MOVES = (NodeFinished, NodeFailed, NodeCancelled, NodeRefused, Stopped)
"""Facts that a walk under way takes."""


def derived(
    facts: Sequence[Event],
    frames: Sequence[FrameInfo],
    beginnings: Mapping[int, Stretch | Snapshot],
) -> list[Event]:
    """The facts with what follows from them, in order.

    Args:
        facts: those of a run, in the order of time.
        frames: its frames, by number.
        beginnings: where the record of a frame begins whose oldest facts were dropped.
    """
    walks: dict[int, Walk] = {}
    events: list[Event] = Events()
    refused = _refused(facts)
    newest = _newest_sitting(facts)
    for place, fact in enumerate(facts):
        events.append(fact)
        number = fact.frame
        if isinstance(fact, (RunStarted, FrameEntered)):
            begun = beginnings.get(number)
            walks[number] = beginning_walk(fact, frames[number], begun)
        walk = walks.get(number)
        if walk is None:
            continue
        if isinstance(fact, _MOVES) and (place >= newest or counts(fact, walk)):
            walk.apply(fact)
        if walk.outbox:
            events += [event for event in walk.outbox if not _is_start_of(event, refused)]
            walk.outbox.clear()
    return events


def walk_of(
    facts: Sequence[Event],
    frame: FrameInfo,
    begun: Stretch | Snapshot | None,
) -> Walk | None:
    """The outermost walk of a run, moved by all of its facts; None if it has not begun.

    Args:
        facts: those of the run, in the order of time.
        frame: its outermost frame.
        begun: where the record of that frame begins, if its oldest facts were dropped.
    """
    walk: Walk | None = None
    newest = _newest_sitting(facts)
    for place, fact in enumerate(facts):
        if fact.frame != 0:
            continue
        if isinstance(fact, RunStarted):
            walk = beginning_walk(fact, frame, begun)
            continue
        if walk is None or not isinstance(fact, _MOVES):
            continue
        if place >= newest or counts(fact, walk):
            walk.apply(fact)
        if walk.outbox:
            walk.outbox.clear()
    return walk


def _newest_sitting(facts: Sequence[Event]) -> int:
    """Where the newest sitting of a run begins: how the ones before it were stopped moves no walk."""
    last = len(facts) - 1
    for place in range(last, 0, -1):
        if isinstance(facts[place], Resumed):
            return place
    return 0


def beginnings_of(rows: Sequence[Row], shortened: Container[int]) -> dict[int, Stretch | Snapshot]:
    """The oldest row of each shortened frame that everything later can be derived from."""
    beginnings: dict[int, Stretch | Snapshot] = {}
    for row in rows:
        if isinstance(row, (Stretch, Snapshot)) and row.frame in shortened:
            beginnings.setdefault(row.frame, row)
    return beginnings


def _refused(facts: Sequence[Event]) -> set[tuple[int, int]]:
    """Activations that were refused before they began, by frame and number: no `node.start` tells of them."""
    refused: set[tuple[int, int]] = set()
    for fact in facts:
        if isinstance(fact, NodeRefused):
            refused.add((fact.frame, fact.activation))
        elif refused and isinstance(fact, (NodeFinished, NodeFailed)):
            # It was refused in an earlier sitting only.
            refused.discard((fact.frame, fact.activation))
    return refused


def _is_start_of(event: Event, activations: Container[tuple[int, int]]) -> bool:
    """Whether it tells of the start of one of these activations."""
    if not isinstance(event, NodeStarted):
        return False
    return (event.frame, event.activation) in activations


def beginning_walk(fact: Event, frame: FrameInfo, begun: Stretch | Snapshot | None) -> Walk:
    """A frame's walk where its record begins: at its first fact, or in the middle if the oldest were dropped."""
    if isinstance(begun, Snapshot):
        return begun.resumed()
    program, path, limits = frame
    walk = Walk(program, limits, frame=fact.frame, path=path, observed=True)
    if begun is None:
        walk.apply(fact)
    else:
        walk.begin_at(begun.first, begun.slot, begun.message, begun.laps, fact.at)
    return walk
