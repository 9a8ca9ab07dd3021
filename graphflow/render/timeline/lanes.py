"""The lanes of a timeline: which there are, which spans are in which row, what is too short to be drawn alone.

Each step costs O(n log n) at most; rows are bounded, and what does not fit is counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter

from graphflow.render.timeline.spans import Path, Span, Story, Stretch

MAX_ROWS = 16
"""Activations of one node that are drawn beside each other; more at the same time are only counted."""

Key = tuple[Path, str]
"""A lane: the frames around it, and its node; no node for the lane of a frame."""


@dataclass(slots=True)
class Lane:
    """A line of the picture: a frame or a node in one."""

    label: str
    depth: int
    is_frame: bool = False
    spans: list[Span] = field(default_factory=list)
    rows: list[list[Span]] = field(default_factory=list)
    hidden: int = 0
    top: float = 0.0

    def pack(self) -> None:
        """Puts overlapping spans into rows: each into the row that has been free the longest."""
        free: list[tuple[float, int]] = []  # a heap of rows by the moment from which they are free
        for span in sorted(self.spans, key=attrgetter("started", "ended")):
            free_since = free[0][0] if free else inf
            if free_since <= span.started:
                _, row = heapq.heappop(free)
            elif len(self.rows) < MAX_ROWS:
                row = len(self.rows)
                self.rows.append([])
            else:
                self.hidden += 1
                continue
            self.rows[row].append(span)
            heapq.heappush(free, (span.ended, row))


def lanes_of(story: Story) -> list[Lane]:
    """The lanes in the order in which their frames and nodes first appeared, what a frame holds below its own lane."""
    lanes = _Lanes(story)
    for span in story.activations:
        lanes.add_span(span)
    roots = dict.fromkeys(span.path[:1] for span in story.spans)
    return lanes.in_order(roots)


class _Lanes:
    """The lanes while spans are put into them."""

    def __init__(self, story: Story) -> None:
        self.lanes: dict[Key, Lane] = {}
        self.below: dict[Path, list[Key]] = {}
        """The lanes right below that of a frame."""
        self.graphs: set[Path] = set()
        """The paths of frames that a node of a graph entered, and not a call."""
        for span in story.activations:
            parent = span.parent
            is_entered_by_node = parent is not None and parent.what == "node"
            if is_entered_by_node and len(span.path) > 1:
                self.graphs.add(span.path)

    def add_span(self, span: Span) -> None:
        path = span.path
        for end in range(2, len(path) + 1):
            self._add_frame(path[:end])
        inner = (*path, span.node)
        key: Key = (path, span.node)
        if inner in self.graphs:  # a graph that is a node here: its frame's lane is its own
            # It has no lane of its own as a node, for both would show the same bars.
            key = (inner, "")
        elif span.is_alone:
            key = (path, "")
        if key not in self.lanes:
            is_frame = not key[1]
            lane = Lane(span.node, self._depth_in(path), is_frame)
            self._add(key, lane, path)
        self.lanes[key].spans.append(span)

    def _add_frame(self, path: Path) -> None:
        around = path[:-1]
        key: Key = (path, "")
        if key not in self.lanes:  # a frame that was called stands one step in
            depth = self._depth_in(around) + 1
            lane = Lane(path[-1], depth, is_frame=True)
            self._add(key, lane, around)

    def _add(self, key: Key, lane: Lane, around: Path) -> None:
        self.lanes[key] = lane
        self.below.setdefault(around, []).append(key)

    def _depth_in(self, path: Path) -> int:
        frame = self.lanes.get((path, ""))
        return 0 if frame is None else frame.depth + 1

    def in_order(self, roots: Iterable[Path]) -> list[Lane]:
        """All lanes from the top down: a walk through the tree, depth first."""
        ordered: list[Lane] = []
        todo = [iter(self.below.get(path, ())) for path in roots]
        while todo:
            key = next(todo[-1], None)
            if key is None:
                todo.pop()
                continue
            ordered.append(self.lanes[key])
            path, node = key
            if not node:
                todo.append(iter(self.below.get(path, ())))
        return ordered


def blocks_of(row: list[Span], least: float) -> list[list[Span]]:
    """A row's spans, those shorter than `least` put together where less than `least` lies between them."""
    blocks: list[list[Span]] = []
    tiny_until = -inf
    """When the last block ended, if it is of tiny spans: what is tiny, too, and begins soon after it belongs to it."""
    for span in row:
        is_tiny = span.seconds < least
        if is_tiny and span.started - tiny_until < least:
            blocks[-1].append(span)
        else:
            blocks.append([span])
        tiny_until = span.ended if is_tiny else -inf
    return blocks


def at_once(story: Story) -> list[tuple[float, int]]:
    """How many activations were at work, and from when on; one that waits for a frame that it has entered is not."""
    changes: list[tuple[float, int]] = []
    for span in story.activations:
        changes.append((span.started, 1))
        changes.append((span.ended, -1))
        for start, end in union(span.waits):
            changes.append((start, -1))
            changes.append((min(end, span.ended), 1))
    changes.sort()  # at the same moment what ends goes before what begins
    steps: list[tuple[float, int]] = []
    count = 0
    for at, change in changes:
        count += change
        if steps and steps[-1][0] == at:
            # Two changes at one moment are one step: in between there was no time.
            steps.pop()
        steps.append((at, count))
    return steps


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches of time with those that touch joined."""
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1]:
            # Sorted by their begin, so that only the last one can touch what comes.
            first, last = joined.pop()
            joined.append((first, max(end, last)))
        else:
            joined.append((start, end))
    return joined


def time_of(stretches: Iterable[Stretch]) -> float:
    """How long these stretches are by the clock on the wall: what went on side by side counts once."""
    time = 0.0
    for start, end in union(stretches):
        time += end - start
    return time
