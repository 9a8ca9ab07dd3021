"""The lanes of a timeline: which there are, which spans are in which row, what is too short to be drawn alone.

Each step costs O(n log n) at most; rows are bounded, and what does not fit is counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from graphflow.render.timeline.spans import Span, Story

MOST_ROWS = 16
"""Activations of one node that are drawn beside each other; more at the same time are only counted."""


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


def named(span: Span) -> str:
    """A span in words: "node", "node > callee", "node > model"."""
    return span.node if span.what == "node" else f"{span.node} > {span.label}"


def leaves(pieces: Sequence[tuple[Span, float, float]]) -> list[tuple[Span, float, float]]:
    """The path without overlaps: each moment belongs to the innermost span of the path that was at work."""
    inner: dict[int, list[tuple[float, float]]] = {}
    for span, start, end in pieces:
        if span.parent is not None:
            inner.setdefault(id(span.parent), []).append((start, end))
    told: list[tuple[Span, float, float]] = []
    for span, start, end in pieces:
        cursor = start
        for a, b in sorted(inner.get(id(span), ())):
            if a > cursor:
                told.append((span, cursor, a))
            cursor = max(cursor, b)
        if end > cursor or (end == start and id(span) not in inner):
            told.append((span, cursor, end))
    return sorted(told, key=lambda piece: (piece[1], piece[2]))


def lanes_of(story: Story) -> list[Lane]:
    """The lanes in the order in which their frames and nodes first appeared, what a frame holds below its own lane."""
    Key = tuple[tuple[str, ...], str]
    lanes: dict[Key, Lane] = {}
    below: dict[tuple[str, ...], list[Key]] = {}
    nodes = [span for span in story.spans if span.what == "node"]
    graphs = {s.path for s in nodes if len(s.path) > 1 and s.parent is not None and s.parent.what == "node"}

    def level(path: tuple[str, ...]) -> int:
        return lanes[path, ""].depth + 1 if (path, "") in lanes else 0

    def add(key: Key, lane: Lane, path: tuple[str, ...]) -> None:
        if key not in lanes:
            lanes[key] = lane
            below.setdefault(path, []).append(key)

    for span in nodes:
        path = span.path
        for depth in range(1, len(path)):  # a frame that was called stands one step in
            add((path[: depth + 1], ""), Lane(path[depth], level(path[:depth]) + 1, is_frame=True), path[:depth])
        alone = len(path) > 1 and path[-1] == span.node
        key: Key = (path, "" if alone else span.node)
        if (*path, span.node) in graphs:  # a graph that is a node here: its frame's lane is its own
            key = ((*path, span.node), "")
        add(key, Lane(span.node, level(path), is_frame=not key[1]), path)
        lanes[key].spans.append(span)
    ordered: list[Lane] = []
    stack = [iter(below.get(path, ())) for path in dict.fromkeys(span.path[:1] for span in story.spans)]
    while stack:
        following = next(stack[-1], None)
        if following is None:
            stack.pop()
            continue
        key = following
        ordered.append(lanes[key])
        if not key[1]:
            stack.append(iter(below.get(key[0], ())))
    return ordered


def pack(lane: Lane) -> None:
    """Puts overlapping spans into rows: each into the row that has been free the longest."""
    free: list[tuple[float, int]] = []
    for span in sorted(lane.spans, key=lambda s: (s.started, s.ended)):
        if free and free[0][0] <= span.started:
            _, row = heapq.heappop(free)
        elif len(lane.rows) < MOST_ROWS:
            row = len(lane.rows)
            lane.rows.append([])
        else:
            lane.hidden += 1
            continue
        lane.rows[row].append(span)
        heapq.heappush(free, (span.ended, row))


def blocks_of(row: list[Span], least: float) -> list[list[Span]]:
    """A row's spans, those shorter than `least` put together where less than `least` lies between them."""
    blocks: list[list[Span]] = []
    for span in row:
        last = blocks[-1] if blocks else None
        tiny = span.seconds < least
        if last and tiny and last[-1].seconds < least and span.started - last[-1].ended < least:
            last.append(span)
        else:
            blocks.append([span])
    return blocks


def at_once(story: Story) -> list[tuple[float, int]]:
    """How many activations were at work, and from when on; one that waits for a frame that it has entered is not."""
    changes: list[tuple[float, int]] = []
    for span in story.spans:
        if span.what == "node":
            changes += [(span.started, 1), (span.ended, -1)]
            for start, end in union(span.waits):
                changes += [(start, -1), (min(end, span.ended), 1)]
    changes.sort()  # at the same moment what ends goes before what begins
    steps: list[tuple[float, int]] = []
    count = 0
    for at, change in changes:
        count += change
        if steps and steps[-1][0] == at:
            steps[-1] = (at, count)
        else:
            steps.append((at, count))
    return steps


def union(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Stretches of time with those that touch joined."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
