"""What a run keeps of the hops of a loop, and how old ones are dropped: a loop may go on for ever, memory may not.

Rules:
1. A stretch knows where it begins (node, message, laps), a snapshot how the walk stood: what came later can be derived
   from either alone.
2. Only what lies before such a row is dropped, and only of its own frame and of frames within that have been left. The
   newest stay, always enough of them to hold each node of the graph.
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
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    RunStarted,
)
from graphflow.walk.snapshot import Snapshot

STRETCH_LENGTH = 1024
"""Activations of a loop after which a new row begins that everything later can be derived from."""

KEEP_STEPS = 4096
"""Activations that a walk which nobody listens to keeps at least, if it is not told otherwise. Half of the time of a loop
of 10,000 laps went into the garbage collector's looks at the outputs it kept."""


VALUES_A_HOP = 4
"""Values that a hop adds to `Stretch.hops`."""


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

    def __init__(
        self, frame: int, first: int, slot: int, message: Any, laps: Sequence[int]
    ) -> None:
        self.frame = frame
        self.first = first
        self.slot = slot
        self.message = message
        self.laps = tuple(laps)
        self.hops: list[Any] = []

    def __len__(self) -> int:
        return len(self.hops) // VALUES_A_HOP


Row = Event | Stretch | Snapshot
"""A row of the journal."""


def without_old(rows: Sequence[Row], frame: int, most: int) -> tuple[list[Row], int]:
    """The rows without what a frame told before its last `most` activations; and how many activations were dropped.

    What artifacts were kept, and what still goes on in the background, stays.
    """
    #     start | stretch 1 | stretch 2 | enter 1 ... exit 1 | stretch 3       the last two stretches hold enough:
    #     start |             stretch 2 | enter 1 ... exit 1 | stretch 3       stretch 2 says how all began
    place = _beginning(rows, frame, most)
    if place is None:
        return list(rows), 0
    old, new = rows[:place], rows[place:]
    gone = {frame, *_left_within(old, frame)}
    kept: list[Row] = []
    dropped = 0
    for row in old:
        if row.frame not in gone:
            kept.append(row)
            continue
        dropped += _activations(row)
        if _stays(row, frame):
            kept.append(row)
    return [*kept, *new], dropped


def _activations(row: Row) -> int:
    """How many activations a row tells the end of."""
    if isinstance(row, Stretch):
        return len(row)
    return 1 if isinstance(row, (NodeFinished, NodeFailed, NodeCancelled)) else 0


def _beginning(rows: Sequence[Row], frame: int, most: int) -> int | None:
    """Where the newest row stands that a frame's last activations can be derived from, if anything lies before it."""
    count = 0
    for number in range(len(rows) - 1, -1, -1):
        row = rows[number]
        if row.frame != frame:
            continue
        count += _activations(row)
        if count >= most and isinstance(row, (Stretch, Snapshot)):
            return number if _tells_of(rows[:number], frame) else None
    return None


def _tells_of(rows: Sequence[Row], frame: int) -> bool:
    """Whether these rows tell of activations of a frame."""
    for row in rows:
        if row.frame == frame and _activations(row):
            return True
    return False


def _left_within(rows: Sequence[Row], frame: int) -> set[int]:
    """The frames inside of a frame that were entered and left again."""
    inside = {frame}
    left: set[int] = set()
    for row in rows:
        if isinstance(row, FrameEntered) and row.parent in inside and row.frame != frame:
            inside.add(row.frame)
        elif isinstance(row, FrameExited) and row.frame in inside:
            left.add(row.frame)
    return left


def _stays(row: Row, frame: int) -> bool:
    """Whether a row is kept although it is old: what a frame began with, and what outlasts its activations."""
    if isinstance(row, (ArtifactKept, BackgroundStarted, BackgroundFinished)):
        return True
    return isinstance(row, (RunStarted, FrameEntered)) and row.frame == frame
