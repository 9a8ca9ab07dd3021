"""Who belongs to a graph: the nodes on its arrows, and those that they hand over to.

A hand-over is written as an edge like any other, by whoever declared the agent; the graph only adds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import cast

from graphflow.declaration.arrows import END, START, Edge, Origin, Where
from graphflow.declaration.handoffs import Handoff, HandTo
from graphflow.declaration.node import AnyNode, Node
from graphflow.proofs.arms import nearest
from graphflow.proofs.problems import Problems

NOWHERE: Where = ("", 0)


class Membership:
    """The nodes of one graph, and its edges: those that were written, and those that hand-overs imply."""

    def __init__(self, written: Iterable[Edge], problems: Problems, *, alone: bool) -> None:
        self.edges = list(written)
        self.nodes: list[AnyNode] = []
        self.index: dict[str, int] = {}
        """The number of each node, by its name."""
        self.handoffs: dict[str, list[tuple[Handoff, AnyNode]]] = {}
        self.implied: set[Edge] = set()
        """Edges that nobody wrote: hand-overs, and `>> END` behind their targets."""
        self.alone = alone
        """Whether this is one node entered as a frame, whose call edges its caller's graph has resolved."""
        self._problems = problems
        self._collect_nodes()
        self._check_ends()
        self._add_handoffs()

    def _collect_nodes(self) -> None:
        # By identity first: nearly every end of an edge was the other end of the edge before.
        index, nodes = self.index, self.nodes
        admitted = {id(START), id(END)}
        for edge in self.edges:
            for end in (edge.origin.node, edge.target):
                if id(end) in admitted:
                    continue
                node = cast("AnyNode", end)
                if node.name not in index:
                    index[node.name] = len(nodes)
                    nodes.append(node)
                elif not self._is_known(node, edge.where):
                    continue
                admitted.add(id(node))

    def _is_known(self, node: AnyNode, where: Where) -> bool:
        """Whether a node is the one that has its name already: two that share a name have to be the same by value."""
        known = self.nodes[self.index[node.name]]
        if known is node or known == node:
            return True
        self._problems.add(
            f"two different nodes are named {node.name!r}: {known!r} and {node!r}; "
            f"rename one with .named('{node.name}_2')",
            where,
        )
        return False

    def _append(self, node: AnyNode) -> None:
        self.index[node.name] = len(self.nodes)
        self.nodes.append(node)

    def _check_ends(self) -> None:
        if not self.edges:
            self._problems.add("it has no edges; write at least START >> node >> END")
            return
        if all(edge.origin.node is not START for edge in self.edges):
            self._problems.add("nothing leaves START; write START >> the node that comes first")
        if all(edge.target is not END for edge in self.edges):
            self._problems.add("nothing reaches END; write the node that answers >> END")

    # -- hand-overs ----------------------------------------------------------------------------------------------------
    def _add_handoffs(self) -> None:
        """Adds the hand-over edges, and `target >> END` for targets without arrows of their own."""
        todo = deque(node for node in self.nodes if node.handoffs)
        if not todo:
            return
        leaving = {edge.origin.node for edge in self.edges}
        while todo:
            node = todo.popleft()
            for handoff in node.handoffs:
                target = self._target_of(node, handoff)
                if target is None:
                    continue
                if target.name not in self.index:
                    self._append(target)
                    if target.handoffs:
                        todo.append(target)
                self._imply_handoff(node, handoff, target)
                if target not in leaving:
                    leaving.add(target)
                    self._imply(Edge(Origin(target), END, None, node.where or NOWHERE))

    def _imply_handoff(self, node: AnyNode, handoff: Handoff, target: AnyNode) -> None:
        origin = Origin(node, arm=HandTo(handoff), laps=handoff.laps)
        self._imply(Edge(origin, target, None, node.where or NOWHERE))
        self.handoffs.setdefault(node.name, []).append((handoff, target))

    def _imply(self, edge: Edge) -> None:
        self.edges.append(edge)
        self.implied.add(edge)

    def _target_of(self, node: AnyNode, handoff: Handoff) -> AnyNode | None:
        """Whom an agent hands over to; None if there is something wrong with it."""
        target = self._named_target(node, handoff)
        if target is None:
            return None
        required = [port for port in target.ports if not port.optional]
        if len(required) != 1:
            self._problems.add(
                f"{node.name!r} hands over to {target.name!r}, which takes several messages; give it one port",
                node.where,
            )
            return None
        if handoff.conversation and target.kind != "agent":
            self._problems.add(
                f"{node.name!r} hands its conversation to {target.name!r}, which is a {target.kind}; "
                "only agents read one",
                node.where,
            )
            return None
        return target

    def _named_target(self, node: AnyNode, handoff: Handoff) -> AnyNode | None:
        number = self.index.get(handoff.name)
        known = None if number is None else self.nodes[number]
        target = handoff.target
        if isinstance(target, Node):
            if known is None or known == target:
                return known or target
            self._problems.add(
                f"{node.name!r} hands over to {target!r}, and {known!r} has the same name; rename one", node.where
            )
            return None
        if known is None and not self.alone:  # alone in a frame, an agent hands over only to what it names as a node
            near = nearest(handoff.name, self.index)
            self._problems.add(
                f"{node.name!r} hands over to {handoff.name!r}, and no node in the graph has that name{near}",
                node.where,
            )
        return known
