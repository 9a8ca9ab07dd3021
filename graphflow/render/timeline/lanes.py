"""The lanes of a timeline: which there are, which spans are in which row, what is too short to be drawn alone.

Each step costs O(n log n) at most; rows are bounded, and what does not fit is counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from typing import NamedTuple

from graphflow.render.timeline.spans import FramePath, Interval, Span, Story

MAX_ROWS = 16
"""Activations of one node that are drawn beside each other; more at the same time are only counted."""

LaneKey = tuple[FramePath, str]
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
        free: list[_FreeRow] = []
        """A heap: first the row that has been free the longest."""
        in_time = sorted(self.spans, key=attrgetter("started", "ended"))
        for span in in_time:
            if free and free[0].since <= span.started:
                _, row = heapq.heappop(free)
            elif len(self.rows) < MAX_ROWS:
                row = len(self.rows)
                self.rows.append([])
            else:
                self.hidden += 1
                continue
            self.rows[row].append(span)
            taken = _FreeRow(span.ended, row)
            heapq.heappush(free, taken)


class _FreeRow(NamedTuple):
    """From when on a row is free."""

    since: float
    row: int


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
        self.lanes: dict[LaneKey, Lane] = {}
        self.below: dict[FramePath, list[LaneKey]] = {}
        """The lanes right below that of a frame."""
        self.graphs: set[FramePath] = set()
        """The paths of frames that a node of a graph entered, and not a call."""
        for span in story.activations:
            parent = span.parent
            if parent is None or parent.what != "node":
                continue
            if len(span.path) > 1:
                self.graphs.add(span.path)

    def add_span(self, span: Span) -> None:
        path = span.path
        depth = len(path)
        for end in range(2, depth + 1):
            self._add_frame(path[:end])
        inner = (*path, span.node)
        key: LaneKey = (path, span.node)
        if inner in self.graphs:
            # A graph that is a node here has no lane as a node: that of its frame would show the same bars.
            key = (inner, "")
        elif span.is_alone:
            key = (path, "")
        if key not in self.lanes:
            _, node = key
            depth = self._depth_in(path)
            lane = Lane(span.node, depth, is_frame=not node)
            self._add(key, lane, path)
        self.lanes[key].spans.append(span)

    def _add_frame(self, path: FramePath) -> None:
        around = path[:-1]
        key: LaneKey = (path, "")
        if key in self.lanes:
            return
        # A frame that was called stands one step in.
        depth = self._depth_in(around) + 1
        name = path[-1]
        lane = Lane(name, depth, is_frame=True)
        self._add(key, lane, around)

    def _add(self, key: LaneKey, lane: Lane, around: FramePath) -> None:
        self.lanes[key] = lane
        siblings = self.below.setdefault(around, [])
        siblings.append(key)

    def _depth_in(self, path: FramePath) -> int:
        key = (path, "")
        frame = self.lanes.get(key)
        if frame is None:
            return 0
        return frame.depth + 1

    def in_order(self, roots: Iterable[FramePath]) -> list[Lane]:
        """All lanes from the top down: a walk through the tree, depth first."""
        ordered: list[Lane] = []
        # Iterators: a frame continues where it was left when what lies below one of its lanes is done.
        todo = [self._keys_below(path) for path in roots]
        while todo:
            key = next(todo[-1], None)
            if key is None:
                todo.pop()
                continue
            ordered.append(self.lanes[key])
            path, node = key
            if not node:
                todo.append(self._keys_below(path))
        return ordered

    def _keys_below(self, path: FramePath) -> Iterator[LaneKey]:
        keys = self.below.get(path, [])
        return iter(keys)


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


class LoadStep(NamedTuple):
    """How many activations are at work from a moment on, or how many more or fewer than before."""

    at: float
    working: int


def at_once(story: Story) -> list[LoadStep]:
    """How many activations were at work, and from when on; one that waits for a frame that it has entered is not."""
    changes: list[LoadStep] = []
    for span in story.activations:
        begin = LoadStep(span.started, 1)
        end = LoadStep(span.ended, -1)
        changes += (begin, end)
        for wait in union(span.waits):
            resumed = min(wait.end, span.ended)
            pause = LoadStep(wait.start, -1)
            resumption = LoadStep(resumed, 1)
            changes += (pause, resumption)
    # At the same moment what ends goes before what begins.
    changes.sort()
    steps: list[LoadStep] = []
    count = 0
    for change in changes:
        count += change.working
        if steps:
            last = steps[-1]
            # Two changes at one moment are one step: in between there was no time.
            if last.at == change.at:
                steps.pop()
        step = LoadStep(change.at, count)
        steps.append(step)
    return steps


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals of time with those that touch joined."""
    joined: list[Interval] = []
    for interval in sorted(intervals):
        if joined:
            # Sorted by their begin, so that only the last one can touch what comes.
            last = joined[-1]
            if interval.start <= last.end:
                joined.pop()
                end = max(last.end, interval.end)
                interval = Interval(last.start, end)
        joined.append(interval)
    return joined


def time_of(intervals: Iterable[Interval]) -> float:
    """How long these intervals are by the clock on the wall: what went on side by side counts once."""
    time = 0.0
    for interval in union(intervals):
        time += interval.end - interval.start
    return time
