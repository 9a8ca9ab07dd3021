"""Variants: a graph with other nodes in the places of some of its own, for comparing and for forks.

    graph.variant({"draft": draft.but(prompt="Shorter: {{ text }}")})

Rules:
1. Who takes a node's place takes what it took, and answers what it answered: so every proof of the graph stands. Its name
   becomes the other's, as records and calls by name go by that.
2. A node is replaced wherever it stands: on arrows, behind call edges and hand-overs, in graphs within.
3. Neither the graph nor its nodes change. What nothing was replaced in is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeAlias, TypeVar

from graphflow.declaration.arrows import Edge, Path
from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.options import NO_OPTIONS
from graphflow.errors import DeclarationError, GraphError
from graphflow.messages.types import type_name
from graphflow.proofs.proven import AnyGraph, ProvenGraph

G = TypeVar("G", bound=AnyGraph)
FramePath: TypeAlias = tuple[str, ...]
"""The names of the graphs around a node, but for the outermost."""
NodeKey: TypeAlias = AnyNode | str
"""What says which node is replaced: the node, or its name, behind those of graphs around it if need be (`inner > draft`)."""
Change: TypeAlias = AnyNode | Callable[[AnyNode], AnyNode]
"""What takes a node's place, or what makes it of that node."""
Changes: TypeAlias = Mapping[NodeKey, Change]
"""What takes whose place."""
Callees: TypeAlias = Sequence[AnyNode | str]
Handoffs: TypeAlias = Sequence[Handoff]


def variant(graph: G, changes: Changes) -> G:
    """The graph with other nodes in the places of some.

    Raises:
        DeclarationError: nothing of a name stands in it, several things do, or the other one takes or answers something else.
    """
    swap = _Swap(graph, changes)
    twin = swap.graph(graph, ())
    swap.check_all_met()
    if twin is not graph:
        before = changed_nodes(graph)
        twin.__dict__[_CHANGED] = before | swap.changed
    return twin


_CHANGED = "_changed_nodes"


def changed_nodes(graph: AnyGraph) -> frozenset[str]:
    """The names of the nodes that a variant has in the places of others; of any other graph none."""
    names: frozenset[str] = graph.__dict__.get(_CHANGED, frozenset())
    return names


class _Swap:
    """Replaces nodes, all over a graph."""

    def __init__(self, graph: AnyGraph, changes: Changes) -> None:
        self._whose = f"a variant of {graph.name!r}"
        self._changes = changes
        self._met: dict[NodeKey, AnyNode] = {}
        """What each key has stood for."""
        self._names: dict[str, None] = {}
        """What stands in the graph, for errors."""
        self._twins: dict[tuple[int, FramePath], AnyNode] = {}

    @property
    def changed(self) -> frozenset[str]:
        """The names of the nodes that were replaced."""
        replaced = self._met.values()
        return frozenset(node.name for node in replaced)

    def check_all_met(self) -> None:
        """Refuses names that nothing has."""
        for key in self._changes:
            if key in self._met:
                continue
            name = key if isinstance(key, str) else key.name
            near = get_close_matches(name, self._names, n=3)
            candidates = near or self._names
            listed = ", ".join(map(repr, candidates))
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
        edges += [self._edge(edge, path) for edge in graph.state_edges]
        if not has_changed:
            return graph
        paths: list[object] = [Path((), tuple(edges), (), None)]
        try:
            twin = type(graph)(
                graph.name,
                paths,
                model=graph.model,
                limits=graph.limits,
                input=graph.declared_input,
                ends=graph.ends,
                deps=graph.deps,
                state=graph.state,
                uses=graph.uses,
                description=graph.description,
                claims=graph.claims,
                secrets=graph.secrets,
                untrusted=graph.on_untrusted,
            )
        except GraphError as error:  # it names a line of this file; each problem names its own
            raise GraphError(error.graph, error.problems) from None
        # As they were read: they are checked already.
        for option in (*NO_OPTIONS, "plain", "where"):
            twin.__dict__[option] = getattr(graph, option)
        return twin

    def _edge(self, edge: Edge, path: FramePath) -> Edge:
        origin = edge.origin
        source = origin.node
        if isinstance(source, Node):
            twin = self._node(source, path)
            if twin is not source:
                origin = origin.but(node=twin)
        target = edge.target
        if isinstance(target, Node):
            target = self._node(target, path)
        if origin is edge.origin and target is edge.target:
            return edge
        return Edge(origin, target, edge.port, edge.where)

    def _node(self, node: AnyNode, path: FramePath) -> AnyNode:
        """What stands in a node's place."""
        # A node that stands in several places of a graph has one twin, so that it is one node there, too.
        place = (id(node), path)
        known = self._twins.get(place)
        if known is not None:
            return known
        twin = self._other(node, path)
        if twin is None:
            twin = self._with_parts(node, path)
        self._twins[place] = twin
        return twin

    def _other(self, node: AnyNode, path: FramePath) -> AnyNode | None:
        """What somebody wants in its place; None if nothing is said of it."""
        way = (*path, node.name)
        full_name = " > ".join(way)
        self._names[full_name] = None
        for key, other in self._changes.items():
            if isinstance(key, str):
                is_meant = _ends_with(way, key)
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
            if not isinstance(other, Node) and callable(other):
                other = other(node)
            return self._checked(node, other)
        return None

    def _checked(self, node: AnyNode, other: AnyNode) -> AnyNode:
        """Refuses what takes or answers something else."""
        if not isinstance(other, Node):
            raise DeclarationError(
                f"{self._whose}: {other!r} in the place of {node.name!r} is not a node"
            )
        wanted = _signature(node)
        found = _signature(other)
        if wanted != found:
            raise DeclarationError(
                f"{self._whose}: {other.name!r} is {found}, and {node.name!r} is {wanted}; "
                "what takes a node's place takes and answers the same"
            )
        if other.name == node.name:
            return other
        # Calls by name, and records, go by the old one.
        return other.named(node.name)

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

    def _all(self, callees: Callees, path: FramePath) -> Callees:
        found: list[AnyNode | str] = []
        for callee in callees:
            if not isinstance(callee, str):
                callee = self._node(callee, path)
            found.append(callee)
        if _are_same(found, callees):
            return callees
        return tuple(found)

    def _handoffs(self, handoffs: Handoffs, path: FramePath) -> Handoffs:
        found: list[Handoff] = []
        for handoff in handoffs:
            target = handoff.target
            if isinstance(target, Node):
                other = self._node(target, path)
                if other is not target:
                    handoff = replace(handoff, target=other)
            found.append(handoff)
        if _are_same(found, handoffs):
            return handoffs
        return tuple(found)


def _are_same(found: Sequence[object], known: Sequence[object]) -> bool:
    """Whether nothing in a row was replaced."""
    pairs = zip(found, known, strict=True)
    return all(one is other for one, other in pairs)


def _ends_with(way: FramePath, name: str) -> bool:
    """Whether a name such as 'inner > draft' stands at the end of a way."""
    parts = tuple(name.split(" > "))
    end = way[-len(parts) :]
    return end == parts


def _signature(node: AnyNode) -> str:
    """What a node takes and answers, in words."""
    ports: list[str] = []
    for port in node.ports:
        kind = type_name(port.type)
        ports.append(f"{port.name}: {kind}")
    taken = ", ".join(ports)
    answer = type_name(node.output)
    return f"({taken}) -> {answer}"
