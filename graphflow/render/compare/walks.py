"""Compares two walks: what they were given, who did what how often, which messages went where, how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub
from graphflow.render.builder import picture
from graphflow.render.compare.difference import (
    ADDED,
    CHANGED,
    MARKS,
    REMOVED,
    Change,
    Difference,
    NamePair,
    Sign,
    headline,
)
from graphflow.render.compare.overlay import CallKey, EdgeKey, NodeKey, Overlay, digest
from graphflow.render.compare.tally import Tally, Traffic
from graphflow.render.labels import printable
from graphflow.render.members import graph_at
from graphflow.render.picture import Drawn, Level, Line, Open, Picture, node_id
from graphflow.render.records import EventSource, recorded_events
from graphflow.render.talk import json_text
from graphflow.render.xml import clip

SAME = "did the same and answered the same"
MAX_MESSAGE = 60
"""Characters of a message that two walks do not share."""
LineKey = EdgeKey | CallKey


def compare_walks(
    a: EventSource, b: EventSource, graph: AnyGraph | None, open: Open, names: NamePair
) -> Difference:
    """What differs between two walks; the picture is that of the graph, with what they did otherwise."""
    one = _read(a, graph)
    other = _read(b, graph)
    walks = _Walks(one, other, graph)
    changes: list[Change] = [(CHANGED, text) for text in walks.whole_differences()]
    changes += walks.compare_nodes()
    changes += walks.compare_lines()
    if graph is None:
        return Difference(names, tuple(changes), None, SAME)
    drawn = picture(graph, open=open)
    walks.mark(drawn)
    drawn.headline = headline(names)
    return Difference(names, tuple(changes), drawn, SAME)


def _read(walk: EventSource, graph: AnyGraph | None) -> Overlay:
    """What a walk did; one over another version of the graph is compared as it is, not refused."""
    # Both are called "walk", so that records of graphs of two names can be compared node by node.
    overlay = Overlay(graph, "walk", strict=False, compares=True)
    return overlay.take_all(recorded_events(walk))


@dataclass(frozen=True, slots=True)
class _EdgeCounts:
    """How often something went along one edge or call edge in both walks."""

    key: LineKey
    words: str
    before: int
    after: int


class _Walks:
    """Two walks, and what differs between them.

    Attributes:
        nodes: the sign of each node that differs, and
        lines: that of each edge and call edge.
    """

    def __init__(self, one: Overlay, other: Overlay, graph: AnyGraph | None) -> None:
        self.one = one
        self.other = other
        self.graph = graph
        self.nodes: dict[NodeKey, Sign] = {}
        self.lines: dict[LineKey, Sign] = {}

    def whole_differences(self) -> list[str]:
        """What differs in the walks as wholes."""
        one = self.one
        other = self.other
        found: list[str] = []
        if one.name != other.name:
            before = clip(printable(one.name), 80)
            after = clip(printable(other.name), 80)
            found.append(f"graph {before} -> {after}")
        if _differ(one.input, other.input):
            before = _message(one.input)
            after = _message(other.input)
            found.append(f"it was given {before} -> {after}")
        same_end = one.status == other.status and one.error == other.error
        if not same_end:
            before = _end(one)
            after = _end(other)
            found.append(f"it {before} -> {after}")
        elif _differ(one.output, other.output):
            before = _message(one.output)
            after = _message(other.output)
            found.append(f"it answered {before} -> {after}")
        return found

    def compare_nodes(self) -> list[Change]:
        """What nodes did otherwise."""
        changes: list[Change] = []
        for key in {**self.one.nodes, **self.other.nodes}:
            before, after = self._tallies(key)
            before_words = _did(before)
            after_words = _did(after)
            what = ""
            if before_words != after_words:
                what = f"{before_words} -> {after_words}"
            elif before.answers != after.answers:
                what = "answered something else"
            sign = _sign(before.ended, after.ended, differs=bool(what))
            if sign is None:
                continue
            self.nodes[key] = sign
            node = node_id(*key)
            changes.append((sign, f"node {node}: {what}"))
        return changes

    def compare_lines(self) -> list[Change]:
        """What went along edges and call edges otherwise."""
        changes: list[Change] = []
        for counts in self._counts():
            before = counts.before
            after = counts.after
            sign = _sign(before, after, differs=before != after)
            if sign is not None:
                self.lines[counts.key] = sign
                words = f"{counts.words}: {before} -> {after}"
                changes.append((sign, words))
        return changes

    def _counts(self) -> Iterator[_EdgeCounts]:
        edges = {*self.one.edges, *self.other.edges}
        for edge in sorted(edges, key=str):
            before = self.one.edges.get(edge, Traffic())
            after = self.other.edges.get(edge, Traffic())
            words = self._edge_words(*edge)
            yield _EdgeCounts(edge, f"edge {words}", before.sent, after.sent)
        calls = {*self.one.calls, *self.other.calls}
        for call in sorted(calls):
            level, caller, callee = call
            where = " > ".join(level)
            words = f"call {where}: {caller} >> {callee}"
            calls_before = self.one.calls.get(call, 0)
            calls_after = self.other.calls.get(call, 0)
            yield _EdgeCounts(call, words, calls_before, calls_after)

    def _edge_words(self, level: Level, index: int | str) -> str:
        where = " > ".join(level)
        graph = graph_at(self.graph, level)
        if isinstance(index, str) or graph is None:
            return f"{index} of {where}"
        edges = graph.edges
        if not 0 <= index < len(edges):
            return f"{index} of {where}"
        edge = edges[index].edge
        return f"{edge!r} of {where}"

    # -- the picture -------------------------------------------------------------------------------
    def mark(self, drawn: Picture) -> None:
        """Marks what differs in a picture of the graph."""
        drawn.overlay = "difference"
        for key, place in drawn.places.items():
            self._mark_place(key, place)
        for line in drawn.lines:
            self._mark_line(line)

    def _mark_place(self, key: NodeKey, place: Drawn) -> None:
        sign = self.nodes.get(key)
        if not place.mark and sign is not None:
            place.mark = MARKS[sign]
        is_known = key in self.one.nodes or key in self.other.nodes
        if place.mark and is_known:
            before, after = self._tallies(key)
            place.badge = f"{_did(before)} \u2192 {_did(after)}"

    def _tallies(self, key: NodeKey) -> tuple[Tally, Tally]:
        """What a node did in each of the two walks."""
        before = self.one.nodes.get(key, Tally())
        after = self.other.nodes.get(key, Tally())
        return before, after

    def _signs_on(self, line: Line) -> set[Sign]:
        """The signs of the edges, or of the call edge, that a line stands for."""
        keys: list[LineKey] = [(line.level, index) for index in line.indexes]
        if not keys:
            keys = [(line.level, *line.names)]
        signs: set[Sign] = set()
        for key in keys:
            if key in self.lines:
                signs.add(self.lines[key])
        return signs

    def _mark_line(self, line: Line) -> None:
        signs = self._signs_on(line)
        if not signs:
            return
        sign = signs.pop()
        # A line that stands for several edges may have gained on one and lost on another.
        line.mark = MARKS[CHANGED] if signs else MARKS[sign]
        before = self.one.traffic_on(line).sent
        after = self.other.traffic_on(line).sent
        line.badge = f"{before} \u2192 {after}"


def _differ(one: object, other: object) -> bool:
    """Whether two messages differ, of which one may come from a run and one from a record."""
    return digest(one) != digest(other)


def _message(value: object) -> str:
    text = value if isinstance(value, str) else json_text(value)
    shown = scrub(printable(text))
    line = shown.replace("\n", " ")
    return clip(line, MAX_MESSAGE)


def _end(overlay: Overlay) -> str:
    if not overlay.error:
        return overlay.status
    error = clip(printable(overlay.error), 80)
    return f"{overlay.status} ({error})"


def _did(tally: Tally) -> str:
    # How often, and not how long or for how much: two walks never take the same time.
    words: list[str] = []
    for word, count in tally.outcomes.items():
        words.append(f"{count} {word}")
    return ", ".join(words) or "nothing"


def _sign(before: int, after: int, differs: bool) -> Sign | None:
    """The sign of something that was done so often in the first walk and in the second."""
    if after and not before:
        return ADDED
    if before and not after:
        return REMOVED
    return CHANGED if differs else None
