"""What the straight path notes of its hops, and how old hops are dropped: a loop may go on for ever, memory may not.

Rules:
1. A stretch knows where it begins (node, message, laps), so that what happened in it can be derived from it alone.
2. Only whole stretches are dropped, and with them what else their frame told before: the newest stay, always enough of
   them to hold each node of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphflow.events import (
    ArtifactKept,
    BackgroundFinished,
    BackgroundStarted,
    Event,
    FrameEntered,
    FrameExited,
    RunStarted,
)

KEPT = 4096
"""Activations that a walk which nobody listens to keeps at least, if it is not told otherwise. Half of the time of a loop
of 10,000 laps went into the garbage collector's looks at the outputs it kept."""


class Stretch:
    """Hops of one frame in a row, flat, so that the garbage collector has little to look at.

    Attributes:
        frame: the frame's number.
        first: the number of the first activation; the following ones count up.
        slot: the number of the node that it begins with.
        message: what that node was given.
        laps: how often each lap edge had been taken.
        hops: slot, started, ended (both by the process clock), output; and again for each hop.
    """

    __slots__ = ("first", "frame", "hops", "laps", "message", "slot")

    def __init__(self, frame: int, first: int, slot: int, message: Any, laps: Sequence[int]) -> None:
        self.frame = frame
        self.first = first
        self.slot = slot
        self.message = message
        self.laps = tuple(laps)
        self.hops: list[Any] = []

    def __len__(self) -> int:
        return len(self.hops) // 4


def without_old(rows: Sequence[Event | Stretch], frame: int, most: int) -> tuple[list[Event | Stretch], int]:
    """The rows without what a frame told before its last `most` hops; and the number of the activation it now begins with.

    What artifacts were kept, and what still goes on in the background, stays.
    """
    place = _beginning(rows, frame, most)
    if place is None:
        return list(rows), 1
    gone = {frame, *_left_within(rows[:place], frame)}
    kept = [row for row in rows[:place] if row.frame not in gone or _stays(row, frame)]
    beginning = rows[place]
    assert isinstance(beginning, Stretch)
    return [*kept, *rows[place:]], beginning.first


def _beginning(rows: Sequence[Event | Stretch], frame: int, most: int) -> int | None:
    """Where the oldest stretch stands that is needed to hold the last hops; None if all are."""
    held = 0
    older = False
    place = None
    for number in range(len(rows) - 1, -1, -1):
        row = rows[number]
        if not isinstance(row, Stretch) or row.frame != frame:
            continue
        if held >= most:
            older = True
            break
        held += len(row)
        place = number
    return place if older else None


def _left_within(rows: Sequence[Event | Stretch], frame: int) -> set[int]:
    """The frames inside of a frame that were entered and left again."""
    inside = {frame}
    left: set[int] = set()
    for row in rows:
        if isinstance(row, FrameEntered) and row.parent in inside and row.frame != frame:
            inside.add(row.frame)
        elif isinstance(row, FrameExited) and row.frame in inside:
            left.add(row.frame)
    return left


def _stays(row: Event | Stretch, frame: int) -> bool:
    if isinstance(row, (ArtifactKept, BackgroundStarted, BackgroundFinished)):
        return True
    return isinstance(row, (RunStarted, FrameEntered)) and row.frame == frame
