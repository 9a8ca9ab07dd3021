"""The typed edges of one graph, listed by where they leave and by where they lead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import combinations
from operator import or_
from typing import Any, Literal, TypeAlias

from graphflow.declaration.arrows import START, Edge, Where
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.ports import Port, required_ports
from graphflow.messages.namesakes import Namesakes
from graphflow.messages.types import Type, accepts, arms, is_wider, origin_of, type_name
from graphflow.proofs.arms import kinds_text
from graphflow.proofs.edge_types import EdgeTyper, TypedEdge, share_arms
from graphflow.proofs.membership import Membership
from graphflow.proofs.problems import Problem, Problems
from graphflow.proofs.signatures import number_signatures

START_SIGNATURE = -1
END_SIGNATURE = -2
EdgeLists: TypeAlias = list[list[TypedEdge]]
"""Edges by the number of a node that they leave, or lead to."""


class Wiring:
    """The nodes of a graph by number, START and END behind them, and the edges between them."""

    def __init__(
        self, members: Membership, declared_input: Type | None, problems: Problems
    ) -> None:
        self.nodes: Sequence[AnyNode] = members.nodes
        self.start = len(self.nodes)
        self.end = len(self.nodes) + 1
        self.size = len(self.nodes) + 2
        self.input: Type = declared_input
        """What START sends."""
        self.edges: list[TypedEdge] = []
        self.by_source: EdgeLists = [[] for _ in range(self.size)]
        self.by_target: EdgeLists = [[] for _ in range(self.size)]
        signatures = number_signatures(self.nodes)
        self.signatures = [*signatures, START_SIGNATURE, END_SIGNATURE]
        """What tells nodes of other types apart, by number."""
        self.warnings: list[str] = []
        self._problems = problems
        if declared_input is None:
            self.input = self._inferred_input(members.edges)
        self._type_edges(members)
        self.branching: list[int] = []
        """The nodes that several edges leave. All others send every message one way, and need few of the proofs."""
        for number, leaving in enumerate(self.by_source):
            if len(leaving) > 1:
                self.branching.append(number)
                self._share_arms(number)

    # -- what is asked of it -----------------------------------------------------------------------
    def node(self, number: int) -> AnyNode | None:
        """The node of that number; None for START and END."""
        if number >= self.start:
            return None
        return self.nodes[number]

    def name(self, number: int) -> str:
        """What stands in a text for the node of that number."""
        if number == self.start:
            return "START"
        if number == self.end:
            return "END"
        return self.nodes[number].name

    def sent(self, number: int) -> Type:
        """The type of what a node puts out; for START, of what the graph takes."""
        if number < self.start:
            return self.nodes[number].output
        return self.input

    def passes_input(self, number: int) -> bool:
        """Whether what a node puts out only says where, and its input goes on (a router by labels)."""
        if number >= self.start:
            return False
        return self.nodes[number].passes_input

    # -- the input ---------------------------------------------------------------------------------
    def _inferred_input(self, edges: Iterable[Edge]) -> Type:
        """The type of message that the graph takes, from the ports behind START."""
        leaving = [edge for edge in edges if edge.origin.node is START]
        wanted: list[Type] = []
        # Where several ports could be meant, it is the input that tells which.
        unsure: list[Type] = []
        for edge in leaving:
            kinds = _wanted_types(edge)
            if len(kinds) == 1:
                wanted += kinds
            else:
                unsure += kinds[:1]
        known = _without_any(wanted) or _without_any(unsure)
        if not known:
            return Any
        if any(edge.origin.arm is not None for edge in leaving):
            union: Type = reduce(or_, known)
            return union
        return self._common_type(known)

    def _common_type(self, kinds: list[Type]) -> Type:
        """The type that every port behind START takes: the narrowest."""
        for kind in kinds:
            if all(accepts(other, kind) for other in kinds):
                return kind
        apart = Namesakes(*kinds)
        names = map(apart.name, kinds)
        once = dict.fromkeys(names)
        shown = ", ".join(once)
        hint = apart.hint or "; say what the graph takes: Graph(..., input=Type)"
        self._problems.add(f"START feeds ports of different types ({shown}){hint}")
        return Any

    # -- the edges ---------------------------------------------------------------------------------
    def _type_edges(self, members: Membership) -> None:
        types_of = EdgeTyper().types_of
        signatures = self.signatures
        index = members.index
        edges, by_source, by_target = self.edges, self.by_source, self.by_target
        for edge in members.edges:
            node = edge.origin.node
            if isinstance(node, Node):
                source = index[node.name]
                sent = node.output
            else:
                source = self.start
                sent = self.input
            aim = edge.target
            if isinstance(aim, Node):
                target = index[aim.name]
                ports = aim.ports
            else:
                target = self.end
                ports = ()
            # Ends of the same types make edges of the same types, so these are found once for thousands of edges.
            key = (signatures[source], signatures[target], edge.port)
            types = types_of(edge, sent, ports, key)
            if isinstance(types, Problem):
                text = f"{edge!r}: {types.text}"
                self._problems.add(text, edge.where)
                continue
            typed = TypedEdge(len(edges), edge, source, target, types)
            edges.append(typed)
            by_source[source].append(typed)
            by_target[target].append(typed)

    def _share_arms(self, number: int) -> None:
        leaving = self.by_source[number]
        sent = self.sent(number)
        kinds = arms(sent)
        passes_input = self.passes_input(number)
        share_arms(leaving, kinds, passes_input)
        named = any(edge.arm is not None for edge in leaving)
        if named and len(kinds) > 1:
            name = self.name(number)
            first = leaving[0]
            self._check_overlaps(name, kinds, first.where)

    def _check_overlaps(self, name: str, kinds: Sequence[Type], where: Where) -> None:
        """Arms that a value may fit both of: one of them may never be taken, which nobody would see."""
        shown = kinds_text(kinds)
        for one, other in combinations(kinds, 2):
            if Any in (one, other):
                continue
            narrower_wins = is_wider(one, other) or is_wider(other, one)
            if narrower_wins:
                continue
            first = type_name(one)
            second = type_name(other)
            if accepts(one, other):
                self._problems.add(
                    f"{name!r} sends {shown}, and every value of {second} is one of {first}, so that arm is never "
                    "taken; leave one of them out",
                    where,
                )
            elif _may_be_empty_alike(one, other):
                self.warnings.append(
                    f"{name!r} sends {shown}: what is empty fits both {first} and {second}, and goes the way of "
                    f"{first}, which is written first"
                )


def _without_any(kinds: list[Type]) -> list[Type]:
    return [kind for kind in kinds if kind is not Any]


def _wanted_types(edge: Edge) -> list[Type]:
    """What START has to send along an edge: its arm, or what one of the ports that it may mean takes."""
    if edge.origin.arm is not None:
        return [edge.origin.arm]
    if not isinstance(edge.target, Node):
        return []
    kinds = _likely_types(edge.target, edge.port)
    if edge.origin.each:
        return [list[kind] for kind in kinds]  # type: ignore[valid-type]
    return kinds


def _likely_types(node: AnyNode, name: str | None) -> list[Type]:
    """What the ports take that an edge may mean, if it names none; those that can stay empty, if there are no others."""
    meant: list[Port] = []
    for port in node.ports:
        if name is None or port.name == name:
            meant.append(port)
    likely = required_ports(meant) or meant
    return [port.type for port in likely]


def _may_be_empty_alike(one: Type, other: Type) -> bool:
    """Whether a value without items fits both: `list[Plan]` and `list[Draft]`."""
    origin = origin_of(one)
    if origin is None or origin is Literal:
        return False
    return origin is origin_of(other)
