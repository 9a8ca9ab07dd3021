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
from graphflow.render.talk import plain_text
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
    changes = walks.compare_wholes()
    changes += walks.compare_nodes()
    changes += walks.compare_lines()
    drawn: Picture | None = None
    if graph is not None:
        drawn = picture(graph, open=open)
        drawn.headline = headline(names)
        walks.mark(drawn)
    return Difference(names, tuple(changes), drawn, SAME)


def _read(walk: EventSource, graph: AnyGraph | None) -> Overlay:
    """What a walk did; one over another version of the graph is compared as it is, not refused."""
    # Both are called "walk", so that records of graphs of two names can be compared node by node.
    overlay = Overlay(graph, "walk", strict=False, compares=True)
    events = recorded_events(walk)
    return overlay.take_all(events)


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

    def compare_wholes(self) -> list[Change]:
        """What differs in the walks as wholes: their graphs, what they were given, and how they ended."""
        one = self.one
        other = self.other
        changes: list[Change] = []
        if one.name != other.name:
            before = _short(one.name)
            after = _short(other.name)
            changes.append((CHANGED, f"graph {before} -> {after}"))
        if _differ(one.input, other.input):
            before = _message(one.input)
            after = _message(other.input)
            changes.append((CHANGED, f"it was given {before} -> {after}"))
        if one.status != other.status or one.error != other.error:
            before = _end(one)
            after = _end(other)
            changes.append((CHANGED, f"it {before} -> {after}"))
        elif _differ(one.output, other.output):
            before = _message(one.output)
            after = _message(other.output)
            changes.append((CHANGED, f"it answered {before} -> {after}"))
        return changes

    def compare_nodes(self) -> list[Change]:
        """What nodes did otherwise."""
        changes: list[Change] = []
        for key in {**self.one.nodes, **self.other.nodes}:
            before, after = self._tallies(key)
            what = _difference(before, after)
            differs = what != ""
            sign = _sign(before.ended, after.ended, differs)
            if sign is None:
                continue
            self.nodes[key] = sign
            node = node_id(*key)
            words = f"node {node}: {what}"
            changes.append((sign, words))
        return changes

    def compare_lines(self) -> list[Change]:
        """What went along edges and call edges otherwise."""
        changes: list[Change] = []
        for counts in self._counts():
            before = counts.before
            after = counts.after
            differs = before != after
            sign = _sign(before, after, differs)
            if sign is None:
                continue
            self.lines[counts.key] = sign
            words = f"{counts.words}: {before} -> {after}"
            changes.append((sign, words))
        return changes

    def _counts(self) -> Iterator[_EdgeCounts]:
        one = self.one
        other = self.other
        nothing = Traffic()
        edges = {*one.edges, *other.edges}
        for edge in sorted(edges, key=str):
            traffic_before = one.edges.get(edge, nothing)
            traffic_after = other.edges.get(edge, nothing)
            level, index = edge
            words = self._edge_words(level, index)
            yield _EdgeCounts(edge, words, traffic_before.sent, traffic_after.sent)
        calls = {*one.calls, *other.calls}
        for call in sorted(calls):
            before = one.calls.get(call, 0)
            after = other.calls.get(call, 0)
            level, caller, callee = call
            where = " > ".join(level)
            words = f"call {where}: {caller} >> {callee}"
            yield _EdgeCounts(call, words, before, after)

    def _edge_words(self, level: Level, index: int | str) -> str:
        where = " > ".join(level)
        graph = graph_at(self.graph, level)
        name = str(index)
        # Records of another version of the graph may number edges that this one does not have.
        if graph is not None and isinstance(index, int):
            edges = graph.edges
            if 0 <= index < len(edges):
                edge = edges[index].edge
                name = repr(edge)
        return f"edge {name} of {where}"

    # -- the picture -------------------------------------------------------------------------------
    def mark(self, drawn: Picture) -> None:
        """Marks what differs in a picture of the graph."""
        drawn.overlay = "difference"
        for key, place in drawn.places.items():
            self._mark_place(key, place)
        for line in drawn.lines:
            self._mark_line(line)

    def _mark_place(self, key: NodeKey, place: Drawn) -> None:
        if not place.mark:
            sign = self.nodes.get(key)
            if sign is not None:
                place.mark = MARKS[sign]
        is_known = key in self.one.nodes or key in self.other.nodes
        if place.mark and is_known:
            tallies = self._tallies(key)
            before, after = map(_did, tallies)
            place.badge = f"{before} \u2192 {after}"

    def _tallies(self, key: NodeKey) -> tuple[Tally, Tally]:
        """What a node did in each of the two walks."""
        nothing = Tally()
        before = self.one.nodes.get(key, nothing)
        after = self.other.nodes.get(key, nothing)
        return before, after

    def _signs_on(self, line: Line) -> set[Sign]:
        """The signs of the edges, or of the call edge, that a line stands for."""
        keys: list[LineKey] = [(line.level, index) for index in line.indexes]
        if not keys:
            keys = [(line.level, *line.names)]
        signs: set[Sign] = set()
        for key in keys:
            sign = self.lines.get(key)
            if sign is not None:
                signs.add(sign)
        return signs

    def _mark_line(self, line: Line) -> None:
        signs = self._signs_on(line)
        if not signs:
            return
        sign = signs.pop()
        # A line that stands for several edges may have gained on one and lost on another.
        if signs:
            sign = CHANGED
        line.mark = MARKS[sign]
        before = self.one.traffic_on(line).sent
        after = self.other.traffic_on(line).sent
        line.badge = f"{before} \u2192 {after}"


def _differ(one: object, other: object) -> bool:
    """Whether two messages differ, of which one may come from a run and one from a record."""
    return digest(one) != digest(other)


def _message(value: object) -> str:
    text = plain_text(value)
    shown = printable(text)
    shown = scrub(shown)
    line = shown.replace("\n", " ")
    return clip(line, MAX_MESSAGE)


def _short(text: str) -> str:
    shown = printable(text)
    return clip(shown, 80)


def _end(overlay: Overlay) -> str:
    status = overlay.status
    if not overlay.error:
        return status
    error = _short(overlay.error)
    return f"{status} ({error})"


def _difference(before: Tally, after: Tally) -> str:
    """What a node did otherwise in the second walk; nothing if it did the same."""
    did_before = _did(before)
    did_after = _did(after)
    if did_before != did_after:
        return f"{did_before} -> {did_after}"
    if before.answers != after.answers:
        return "answered something else"
    return ""


def _did(tally: Tally) -> str:
    # How often, and not how long or for how much: two walks never take the same time.
    words: list[str] = []
    for word, count in tally.outcomes.items():
        words.append(f"{count} {word}")
    if not words:
        return "nothing"
    return ", ".join(words)


def _sign(before: int, after: int, differs: bool) -> Sign | None:
    """The sign of something that was done so often in the first walk and in the second."""
    if after and not before:
        return ADDED
    if before and not after:
        return REMOVED
    if differs:
        return CHANGED
    return None
