"""What a depth limit never lets in, though an edge leads to it.

A team that nests deeper than its limit still builds and runs: at the limit a model is not even offered its sub-agents. So nobody would
see that some of them never get a turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphflow.declaration.node import Node
from graphflow.limits import DEFAULT_DEPTH, Limits

if TYPE_CHECKING:
    from graphflow.proofs.proven import AnyGraph


@dataclass(frozen=True, slots=True)
class FramedNode:
    """A node in one of the frames in which it may be activated or called."""

    graph: AnyGraph
    node: Node[Any, Any]
    way: tuple[str, ...]
    """Names of the frames around it, the outermost graph's first."""
    ceiling: int
    """The level that the limits around it allow."""
    called: bool = False

    @property
    def entered(self) -> bool:
        """Whether it pushes a frame of its own."""
        return self.node.enters == "always" or (self.called and self.node.enters == "called")

    @property
    def level(self) -> int:
        """Its own level, or that of the frame which it runs in."""
        return len(self.way) - (not self.entered)


def out_of_reach(graph: AnyGraph) -> str | None:
    """A warning that names the first node that the depth limit never lets in, nearest first; None if there is none."""
    todo = deque(_in_graph(graph, (graph.name,), _ceiling(graph.limits, 0, DEFAULT_DEPTH)))
    seen: set[tuple[int, int, int, bool]] = set()
    inside: set[int] = set()
    refused: list[FramedNode] = []
    while todo:
        place = todo.popleft()
        key = (id(place.node), place.level, place.ceiling, place.called)
        if key in seen:
            continue
        seen.add(key)
        if place.entered and place.level > place.ceiling:
            refused.append(place)
            continue
        inside.add(id(place.node))
        todo.extend(_next(place))
    first = next((place for place in refused if id(place.node) not in inside), None)
    if first is None:
        return None
    way = " > ".join([*first.way, first.node.name])
    return (
        f"{first.node.kind} {first.node.name!r} is out of reach: {way} would be level {first.level}, and the depth limit is "
        f"{first.ceiling}, so it is never asked; raise the limit, Limits(depth=...), by {first.level - first.ceiling}, or "
        "delegate less deeply"
    )


def _ceiling(limits: Limits | None, level: int, around: int) -> int:
    """The level that is allowed below a frame of that level."""
    return around if limits is None or limits.depth is None else min(around, level + limits.depth)


def _in_graph(graph: AnyGraph, way: tuple[str, ...], ceiling: int) -> Iterator[FramedNode]:
    """What stands on a graph's arrows."""
    for node in graph.nodes:
        yield FramedNode(graph, node, way, ceiling)


def _next(place: FramedNode) -> Iterator[FramedNode]:
    """What may be activated or called from within a node."""
    node, graph = place.node, place.graph
    target, limits = node.entry()
    way = (*place.way, node.name) if place.entered else place.way
    ceiling = _ceiling(limits, place.level, place.ceiling) if place.entered else place.ceiling
    inner: Any = target
    if hasattr(inner, "program"):
        yield from _in_graph(inner, way, _ceiling(inner.limits, place.level, ceiling))
        return
    for callee in graph.program.callees.get(target.name, ()):
        yield FramedNode(graph, callee, way, ceiling, called=True)
    if place.entered:  # in a frame of its own, it hands over within that
        for handoff in target.handoffs:
            if isinstance(handoff.target, Node):
                yield FramedNode(graph, handoff.target, way, ceiling)
