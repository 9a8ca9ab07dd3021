"""Who belongs to a graph: the nodes on its arrows, and those that they hand over to.

A hand-over is written as an edge like any other, by whoever declared the agent; the graph only adds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from graphflow.declaration.arrows import END, START, Edge, Origin, Terminal, Where
from graphflow.declaration.handoffs import Handoff, HandTo
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.ports import required_ports
from graphflow.proofs.arms import nearest
from graphflow.proofs.problems import Problems

NOWHERE: Where = ("", 0)


class Membership:
    """The nodes of one graph, and its edges: those that were written, and those that hand-overs imply."""

    def __init__(self, written: Iterable[Edge], problems: Problems, *, alone: bool) -> None:
        self.edges = list(written)
        self.nodes: list[AnyNode] = []
        self.special: list[AnyNode] = []
        """Those of them of which more is to be proven than what their types say."""
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
        # By identity first: nearly every node is an end of several edges.
        ends: dict[int, AnyNode | Terminal] = {}
        for edge in self.edges:
            source = edge.origin.node
            ends[id(source)] = source
            target = edge.target
            ends[id(target)] = target
        nodes, index = self.nodes, self.index
        for end in ends.values():
            if not isinstance(end, Node):
                continue
            number = index.setdefault(end.name, len(nodes))
            if number == len(nodes):
                nodes.append(end)
                if not end.is_simple:
                    self.special.append(end)
                continue
            known = nodes[number]
            if known != end:  # two that share a name have to be the same by value
                self._add_namesake(end, known)

    def _add_namesake(self, node: AnyNode, known: AnyNode) -> None:
        text = (
            f"two different nodes are named {node.name!r}: {known!r} and {node!r}; "
            f"rename one with .named('{node.name}_2')"
        )
        for edge in self.edges:
            if edge.origin.node is node or edge.target is node:
                self._problems.add(text, edge.where)

    def _append(self, node: AnyNode) -> None:
        number = len(self.nodes)
        self.index[node.name] = number
        self.nodes.append(node)
        if not node.is_simple:
            self.special.append(node)

    def _check_ends(self) -> None:
        if not self.edges:
            self._problems.add("it has no edges; write at least START >> node >> END")
            return
        if all(edge.origin.node is not START for edge in self.edges):
            self._problems.add("nothing leaves START; write START >> the node that comes first")
        if all(edge.target is not END for edge in self.edges):
            self._problems.add("nothing reaches END; write the node that answers >> END")

    # -- hand-overs --------------------------------------------------------------------------------
    def _add_handoffs(self) -> None:
        """Adds the hand-over edges, and `target >> END` for targets without arrows of their own."""
        todo = deque(node for node in self.special if node.handoffs)
        if not todo:
            return
        leaving = {edge.origin.node for edge in self.edges}
        while todo:
            node = todo.popleft()
            for handoff, target in self._targets_of(node):
                if target.name not in self.index:
                    self._append(target)
                    todo.append(target)
                self._imply_handoff(node, handoff, target)
                if target in leaving:
                    continue
                # It has no arrows of its own, so its answer is the graph's.
                leaving.add(target)
                origin = Origin(target)
                self._imply(origin, END, node)

    def _targets_of(self, node: AnyNode) -> Iterator[tuple[Handoff, AnyNode]]:
        """Whom an agent hands over to; those with which something is wrong are left out."""
        for handoff in node.handoffs:
            target = self._target_of(node, handoff)
            if target is not None:
                yield handoff, target

    def _imply_handoff(self, node: AnyNode, handoff: Handoff, target: AnyNode) -> None:
        arm = HandTo(handoff)
        origin = Origin(node, arm=arm, laps=handoff.laps)
        self._imply(origin, target, node)
        own = self.handoffs.setdefault(node.name, [])
        own.append((handoff, target))

    def _imply(self, origin: Origin, target: AnyNode | Terminal, declared_by: AnyNode) -> None:
        """Adds an edge that stands where the node that brings it was declared."""
        where = declared_by.where or NOWHERE
        edge = Edge(origin, target, None, where)
        self.edges.append(edge)
        self.implied.add(edge)

    def _target_of(self, node: AnyNode, handoff: Handoff) -> AnyNode | None:
        """Whom an agent hands over to; None if there is something wrong with it."""
        target = self._named_target(node, handoff)
        if target is None:
            return None
        required = required_ports(target.ports)
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
                f"{node.name!r} hands over to {target!r}, and {known!r} has the same name; rename one",
                node.where,
            )
            return None
        # Alone in a frame, an agent hands over only to what it names as a node.
        if known is None and not self.alone:
            near = nearest(handoff.name, self.index)
            self._problems.add(
                f"{node.name!r} hands over to {handoff.name!r}, and no node in the graph has that name{near}",
                node.where,
            )
        return known
