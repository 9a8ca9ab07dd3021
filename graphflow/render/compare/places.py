"""Finds what a recorded event speaks of: the level of its frame, its node, its edge.

An edge is found by what the event says of it rather than by its place: that changes when somebody moves a line of the
declaration. What it leaves (with the arm), where it leads and to which port do not. A place is believed only where the edge
there is the one that is told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphflow.declaration.node import Node
from graphflow.proofs.proven import AnyGraph
from graphflow.render.picture import Level, callees_of, graph_within, members_of

EdgeKey = tuple[str, str, str, str]
"""Origin (`critic[Rejected]`), source, target, port."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an event says of its edge; a record from an older version says less."""

    origin: str
    source: str
    target: str
    port: str

    def fits(self, key: EdgeKey) -> bool:
        """Whether this may be that edge: what is not told fits everything."""
        origin, source, target, port = key
        return (
            (source, target) == (self.source, self.target)
            and (not self.origin or self.origin == origin)
            and (not self.port or self.port == port)
        )


class Edges:
    """The edges of one graph, to be found again."""

    def __init__(self, graph: AnyGraph) -> None:
        self.keys: list[EdgeKey] = []
        for declared in graph.edges:
            edge = declared.edge
            ports = getattr(edge.target, "ports", ())
            port = ports[declared.port].name if 0 <= declared.port < len(ports) else ""
            self.keys.append((edge.origin.but(laps=None).text(), edge.origin.node.name, edge.target.name, port))

    def find(self, told: Told, index: int) -> int | None:
        """The place of the edge that is meant, or None where this graph has no such edge."""
        if 0 <= index < len(self.keys) and told.fits(self.keys[index]):
            return index
        return next((place for place, key in enumerate(self.keys) if told.fits(key)), None)


@dataclass(slots=True)
class Place:
    """Where a frame is: the level it walks, or the one node it stands for."""

    level: Level
    graph: AnyGraph | None
    alone: str | None = None
    inner: str | None = None
    """The name of that node within its own frame, where it has another."""

    def owns(self, node: str) -> bool:
        """Whether this is a sub-agent alone in its frame: its call, or its activation outside, is what counts."""
        if self.graph is None:
            return len(self.level) > 1 and self.level[-1] == node
        return self.alone is not None

    def named(self, name: str) -> str:
        """The name by which a node of this frame is drawn."""
        return self.alone if self.alone is not None and name == self.inner else name


class Places:
    """The frames of a walk, and where each is in the graph that was walked."""

    def __init__(self, graph: AnyGraph | None, name: str) -> None:
        self.frames: dict[int, Place] = {0: Place((name,), graph)}
        self._members: dict[int, dict[str, Node[Any, Any]]] = {}
        self._edges: dict[int, Edges] = {}

    def of(self, frame: int) -> Place:
        """Where a frame is; one that nobody has entered counts as the outermost."""
        return self.frames.get(frame, self.frames[0])

    def enter(self, frame: int, parent: int, name: str) -> None:
        """A frame was pushed by a node of another."""
        if frame < 1:
            return  # the outermost is entered by no one
        around = self.of(parent)
        node = self.member(around, name)
        inner = graph_within(node) if node is not None else None
        if inner is not None or around.graph is None:
            self.frames[frame] = Place((*around.level, name), inner)
        else:
            target = node.entry()[0].name if node is not None else name
            self.frames[frame] = Place(around.level, around.graph, name, target)

    def member(self, place: Place, name: str) -> Node[Any, Any] | None:
        """The node of that name on the level of a place."""
        if place.graph is None:
            return None
        members = self._members.setdefault(id(place.graph), {})
        if not members:
            members.update(members_of(place.graph))
        return members.get(name)

    def callee(self, place: Place, name: str, caller: str) -> str:
        """The name under which what is called is drawn: the tools of a server are drawn as the server."""
        if place.graph is None or self.member(place, name) is not None:
            return name
        member = self.member(place, place.named(caller))
        servers = [c.name for c in callees_of(place.graph, member) if c.source] if member is not None else []
        return servers[0] if servers else name

    def edge(self, place: Place, told: Told, index: int) -> int | None:
        """The place of an edge among those of its graph, or None where that has no such edge."""
        if place.graph is None:
            return None
        edges = self._edges.get(id(place.graph))
        if edges is None:
            edges = self._edges[id(place.graph)] = Edges(place.graph)
        return edges.find(told, index)
