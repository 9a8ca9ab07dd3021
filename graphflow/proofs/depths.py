"""What a depth limit never lets in, though an edge leads to it.

A team that nests deeper than its limit still builds and runs: at the limit a model is not even offered its sub-agents. So nobody would
see that some of them never get a turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphflow.declaration.node import AnyNode, Node
from graphflow.limits import DEFAULT_DEPTH, Limits

if TYPE_CHECKING:
    from graphflow.proofs.proven import AnyGraph


@dataclass(frozen=True, slots=True)
class FramedNode:
    """A node in one of the frames in which it may be activated or called."""

    graph: AnyGraph
    node: AnyNode
    way: tuple[str, ...]
    """Names of the frames around it, the outermost graph's first."""
    ceiling: int
    """The level that the limits around it allow."""
    called: bool = False

    @property
    def entered(self) -> bool:
        """Whether it pushes a frame of its own."""
        if self.called:
            return self.node.enters != "never"
        return self.node.enters == "always"

    @property
    def level(self) -> int:
        """Its own level, or that of the frame which it runs in."""
        depth = len(self.way)
        return depth if self.entered else depth - 1

    @property
    def refused(self) -> bool:
        """Whether the depth limit does not let it in."""
        if not self.entered:
            return False
        return self.level > self.ceiling


def out_of_reach(graph: AnyGraph) -> str | None:
    """A warning that names the first node that the depth limit never lets in, nearest first; None if there is none."""
    place = _first_refused(graph)
    if place is None:
        return None
    node = place.node
    way = " > ".join([*place.way, node.name])
    missing = place.level - place.ceiling
    return (
        f"{node.kind} {node.name!r} is out of reach: {way} would be level {place.level}, and the depth limit is "
        f"{place.ceiling}, so it is never asked; raise the limit, Limits(depth=...), by {missing}, or delegate less deeply"
    )


def _first_refused(graph: AnyGraph) -> FramedNode | None:
    """The nearest place of a node that is refused wherever it stands."""
    ceiling = _ceiling(graph.limits, 0, DEFAULT_DEPTH)
    todo = deque(_in_graph(graph, (graph.name,), ceiling))
    seen: set[object] = set()
    inside: set[int] = set()
    refused: list[FramedNode] = []
    while todo:
        place = todo.popleft()
        # Calls may go round. What follows from a place depends on these four alone, so the same ones are not followed
        # twice; the level grows with each round, and ends at the ceiling.
        key = (id(place.node), place.level, place.ceiling, place.called)
        if key in seen:
            continue
        seen.add(key)
        if place.refused:
            refused.append(place)
            continue
        inside.add(id(place.node))
        todo.extend(_next(place))
    for place in refused:
        if id(place.node) not in inside:
            return place
    return None


def _ceiling(limits: Limits | None, level: int, around: int) -> int:
    """The level that is allowed below a frame of that level."""
    if limits is None or limits.depth is None:
        return around
    return min(around, level + limits.depth)


def _in_graph(graph: AnyGraph, way: tuple[str, ...], ceiling: int) -> Iterator[FramedNode]:
    """What stands on a graph's arrows."""
    for node in graph.nodes:
        yield FramedNode(graph, node, way, ceiling)


def _next(place: FramedNode) -> Iterator[FramedNode]:
    """What may be activated or called from within a node."""
    node = place.node
    graph = place.graph
    target, limits = node.entry()
    way = place.way
    ceiling = place.ceiling
    if place.entered:
        way = (*way, node.name)
        ceiling = _ceiling(limits, place.level, ceiling)
    inner: Any = target
    if hasattr(inner, "program"):
        lower = _ceiling(inner.limits, place.level, ceiling)
        yield from _in_graph(inner, way, lower)
        return
    callees = graph.program.callees.get(target.name, ())
    for callee in callees:
        yield FramedNode(graph, callee, way, ceiling, called=True)
    if place.entered:  # in a frame of its own, it hands over within that
        for handoff in target.handoffs:
            if isinstance(handoff.target, Node):
                yield FramedNode(graph, handoff.target, way, ceiling)
