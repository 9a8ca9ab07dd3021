"""Variants: a graph with other nodes in the places of some of its own, for comparing and for forks.

    graph.variant({"draft": draft.but(prompt="Shorter: {{ text }}")})

Rules:
1. Who takes a node's place takes what it took, and answers what it answered: so every proof of the graph stands. Its name
   becomes the other's, as records and calls by name go by that.
2. A node is replaced wherever it stands: on arrows, behind call edges and hand-overs, in graphs within.
3. Neither the graph nor its nodes change. What nothing was replaced in is shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeAlias, TypeVar

from graphflow.declaration.arrows import Edge, Path
from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.options import NO_OPTIONS
from graphflow.errors import DeclarationError
from graphflow.messages.types import type_name
from graphflow.proofs.proven import AnyGraph, ProvenGraph

G = TypeVar("G", bound=AnyGraph)
FramePath: TypeAlias = tuple[str, ...]


def variant(graph: G, changes: Mapping[AnyNode | str, AnyNode]) -> G:
    """The graph with other nodes in the places of some.

    Raises:
        DeclarationError: nothing of a name stands in it, several things do, or the other one takes or answers something else.
    """
    swap = _Swap(graph, changes)
    twin = swap.graph(graph, ())
    swap.check_all_met()
    if twin is not graph:
        twin.__dict__[_CHANGED] = changed_nodes(graph) | swap.changed
    return twin


_CHANGED = "_changed_nodes"


def changed_nodes(graph: AnyGraph) -> frozenset[str]:
    """The names of the nodes that a variant has in the places of others; of any other graph none."""
    names: frozenset[str] = graph.__dict__.get(_CHANGED, frozenset())
    return names


class _Swap:
    """Replaces nodes, all over a graph."""

    def __init__(self, graph: AnyGraph, changes: Mapping[AnyNode | str, AnyNode]) -> None:
        self._whose = f"a variant of {graph.name!r}"
        self._changes = changes
        self._met: dict[AnyNode | str, AnyNode] = {}
        """What each key has stood for."""
        self._names: dict[str, None] = {}
        """What stands in the graph, for errors."""
        self._twins: dict[tuple[int, FramePath], AnyNode] = {}

    @property
    def changed(self) -> frozenset[str]:
        """The names of the nodes that were replaced."""
        return frozenset(node.name for node in self._met.values())

    def check_all_met(self) -> None:
        """Refuses names that nothing has."""
        for key in self._changes:
            if key in self._met:
                continue
            name = key if isinstance(key, str) else key.name
            near = get_close_matches(name, self._names, n=3)
            listed = ", ".join(map(repr, near or self._names))
            raise DeclarationError(
                f"{self._whose}: {name!r} does not stand in it; there are {listed}"
            )

    def graph(self, graph: G, path: FramePath) -> G:
        """A graph with its nodes replaced; itself, if none of them is."""
        edges: list[Edge] = []
        has_changed = False
        for typed in graph.edges:
            # Who hands over brings these edges along.
            if graph.is_implied(typed):
                continue
            edge = self._edge(typed.edge, path)
            has_changed = has_changed or edge is not typed.edge
            edges.append(edge)
        if not has_changed:
            return graph
        paths: list[object] = [Path((), tuple(edges), (), None)]
        twin = type(graph)(
            graph.name,
            paths,
            model=graph.model,
            limits=graph.limits,
            input=graph.declared_input,
            ends=graph.ends,
            deps=graph.deps,
            description=graph.description,
        )
        # As they were read: they are checked already.
        for option in (*NO_OPTIONS, "plain", "where"):
            twin.__dict__[option] = graph.__dict__[option]
        return twin

    def _edge(self, edge: Edge, path: FramePath) -> Edge:
        origin, target = edge.origin, edge.target
        if isinstance(origin.node, Node):
            source = self._node(origin.node, path)
            if source is not origin.node:
                origin = origin.but(node=source)
        if isinstance(target, Node):
            target = self._node(target, path)
        if origin is edge.origin and target is edge.target:
            return edge
        return Edge(origin, target, edge.port, edge.where)

    def _node(self, node: AnyNode, path: FramePath) -> AnyNode:
        """What stands in a node's place."""
        # A node that stands in several places of a graph has one twin, so that it is one node there, too.
        known = self._twins.get((id(node), path))
        if known is None:
            other = self._other(node, path)
            known = self._with_parts(node, path) if other is None else other
            self._twins[id(node), path] = known
        return known

    def _other(self, node: AnyNode, path: FramePath) -> AnyNode | None:
        """What somebody wants in its place; None if nothing is said of it."""
        way = (*path, node.name)
        self._names[" > ".join(way)] = None
        for key, other in self._changes.items():
            if isinstance(key, str):
                parts = tuple(key.split(" > "))
                is_meant = way[-len(parts) :] == parts
            else:
                is_meant = key is node
            if not is_meant:
                continue
            # The very node may stand in several places; several nodes of one name are another matter.
            before = self._met.setdefault(key, node)
            if before is not node:
                raise DeclarationError(
                    f"{self._whose}: {key!r} stands for several nodes; say which, as in 'inner > {key}'"
                )
            return self._checked(node, other)
        return None

    def _checked(self, node: AnyNode, other: AnyNode) -> AnyNode:
        """Refuses what takes or answers something else."""
        if not isinstance(other, Node):
            raise DeclarationError(
                f"{self._whose}: {other!r} in the place of {node.name!r} is no node"
            )
        wanted, found = _signature(node), _signature(other)
        if wanted != found:
            raise DeclarationError(
                f"{self._whose}: {other.name!r} is {found}, and {node.name!r} is {wanted}; "
                "what takes a node's place takes and answers the same"
            )
        # Calls by name, and records, go by the old one.
        return other if other.name == node.name else other.named(node.name)

    def _with_parts(self, node: AnyNode, path: FramePath) -> AnyNode:
        """The node with what it calls, hands over to or stands for replaced; itself, if none of that is."""
        if isinstance(node, ProvenGraph):
            return self.graph(node, (*path, node.name))
        changed: dict[str, object] = {}
        # Names stay names: they stand for whatever the graph has under them.
        calls = self._all(node.calls, path)
        if calls is not node.calls:
            changed["calls"] = calls
        handoffs = self._handoffs(node.handoffs, path)
        if handoffs is not node.handoffs:
            changed["handoffs"] = handoffs
        target, _ = node.entry()
        if target is not node:
            other = self._node(target, path)
            if other is not target:
                changed["target"] = other
        if not changed:
            return node
        return node.twin(**changed)

    def _all(self, nodes: Sequence[AnyNode | str], path: FramePath) -> Sequence[AnyNode | str]:
        found: list[AnyNode | str] = []
        for each in nodes:
            found.append(each if isinstance(each, str) else self._node(each, path))
        if all(one is other for one, other in zip(found, nodes, strict=True)):
            return nodes
        return tuple(found)

    def _handoffs(self, handoffs: Sequence[Handoff], path: FramePath) -> Sequence[Handoff]:
        found: list[Handoff] = []
        for handoff in handoffs:
            target = handoff.target
            if isinstance(target, Node):
                other = self._node(target, path)
                if other is not target:
                    handoff = replace(handoff, target=other)
            found.append(handoff)
        if all(one is other for one, other in zip(found, handoffs, strict=True)):
            return handoffs
        return tuple(found)


def _signature(node: AnyNode) -> str:
    """What a node takes and answers, in words."""
    ports = ", ".join(f"{port.name}: {type_name(port.type)}" for port in node.ports)
    return f"({ports}) -> {type_name(node.output)}"
