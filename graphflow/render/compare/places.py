"""Finds what a recorded event refers to: the level of its frame, its node, its edge.

An edge is found by its ends rather than by its index, which changes when a line of the declaration is moved: the node (and
arm) that it leaves, the node that it leads to, and the port. The index is used only if the edge there has those ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphflow.declaration.node import AnyNode
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.proven import AnyGraph
from graphflow.render.labels import printable
from graphflow.render.members import callees_of, graph_within, members_of
from graphflow.render.picture import Level
from graphflow.render.xml import clip


@dataclass(frozen=True, slots=True)
class EdgeWords:
    """An edge as an event describes it; records of older versions have fewer fields.

    Attributes:
        origin: the node that it leaves, with its arm: `critic[Rejected]`.
        source: the name of that node.
        target: the name of the node that it leads to.
        port: the port of it.
    """

    origin: str
    source: str
    target: str
    port: str

    def fits(self, edge: EdgeWords) -> bool:
        """Whether this may be that edge; an empty field fits everything."""
        if self.source != edge.source:
            return False
        if self.target != edge.target:
            return False
        if self.origin and self.origin != edge.origin:
            return False
        return self.port in ("", edge.port)

    def __str__(self) -> str:
        source = self.origin or self.source
        target = self.target
        if self.port:
            target += f".{self.port}"
        arrow = f"{source} >> {target}"
        words = clip(arrow, 160)
        return printable(words)


class Edges:
    """The edges of one graph, to be found again."""

    def __init__(self, graph: AnyGraph) -> None:
        self.edges = [_edge_words(declared) for declared in graph.edges]

    def find(self, words: EdgeWords, index: int) -> int | None:
        """The place of the edge that is meant, or None where this graph has no such edge."""
        # Two edges may read alike (two guards of one arm): there the place decides, as long as it fits.
        if 0 <= index < len(self.edges):
            edge = self.edges[index]
            if words.fits(edge):
                return index
        for place, edge in enumerate(self.edges):
            if words.fits(edge):
                return place
        return None


def _edge_words(declared: TypedEdge) -> EdgeWords:
    edge = declared.edge
    origin = edge.origin
    target = edge.target
    # How often a loop goes round may be changed, and it is still the same edge.
    without_laps = origin.but(laps=None)
    text = without_laps.text()
    ports = getattr(target, "ports", ())
    port = ""
    if 0 <= declared.port < len(ports):
        entered = ports[declared.port]
        port = entered.name
    return EdgeWords(text, origin.node.name, target.name, port)


@dataclass(slots=True)
class FramePlace:
    """Where a frame is: the level it walks, or the one node it stands for."""

    level: Level
    graph: AnyGraph | None
    alone: str | None = None
    inner: str | None = None
    """The name of that node within its own frame, where it has another."""

    def owns(self, node: str) -> bool:
        """Whether this is a sub-agent alone in its frame: its call, or its activation outside, is what counts."""
        if self.graph is not None:
            return self.alone is not None
        level = self.level
        if len(level) < 2:
            return False
        return level[-1] == node

    def named(self, name: str) -> str:
        """The name by which a node of this frame is drawn."""
        if self.alone is not None and name == self.inner:
            return self.alone
        return name


class Places:
    """The frames of a walk, and where each is in the graph that was walked."""

    def __init__(self, graph: AnyGraph | None, name: str) -> None:
        outermost = FramePlace((name,), graph)
        self.frames: dict[int, FramePlace] = {0: outermost}
        self._members: dict[int, dict[str, AnyNode]] = {}
        self._edges: dict[int, Edges] = {}

    def of(self, frame: int) -> FramePlace:
        """Where a frame is; a frame that was never entered counts as the outermost."""
        return self.frames.get(frame, self.frames[0])

    def enter(self, frame: int, parent: int, name: str) -> None:
        """A frame was pushed by a node of another."""
        # The outermost is entered by no one.
        if frame < 1:
            return
        around = self.of(parent)
        node = self.member(around, name)
        inner: AnyGraph | None = None
        inner_name = name
        if node is not None:
            inner = graph_within(node)
            target, _ = node.entry()
            inner_name = target.name
        # Without a graph, every frame is taken for a level: nothing says which of them are graphs.
        is_level = inner is not None or around.graph is None
        if is_level:
            level = (*around.level, name)
            place = FramePlace(level, inner)
        else:
            place = FramePlace(around.level, around.graph, name, inner_name)
        self.frames[frame] = place

    def member(self, place: FramePlace, name: str) -> AnyNode | None:
        """The node of that name on the level of a place."""
        graph = place.graph
        if graph is None:
            return None
        # Looked up for each event, and gathering them walks the whole graph.
        key = id(graph)
        members = self._members.get(key)
        if members is None:
            members = members_of(graph)
            self._members[key] = members
        return members.get(name)

    def callee(self, place: FramePlace, name: str, caller: str) -> str:
        """The name under which what is called is drawn: the tools of a server are drawn as the server."""
        if place.graph is None or self.member(place, name) is not None:
            return name
        caller_name = place.named(caller)
        member = self.member(place, caller_name)
        if member is None:
            return name
        # What a server offers is known only at run time, and is not in the declaration.
        for callee in callees_of(place.graph, member):
            if callee.source:
                return callee.name
        return name

    def edge(self, place: FramePlace, words: EdgeWords, index: int) -> int | None:
        """The place of an edge among those of its graph, or None where that has no such edge."""
        graph = place.graph
        if graph is None:
            return None
        key = id(graph)
        edges = self._edges.get(key)
        if edges is None:
            edges = Edges(graph)
            self._edges[key] = edges
        return edges.find(words, index)
