"""The shape of a graph as numbers: edges, loops, joins, and the order of its nodes.

Rules:
1. Nothing here knows messages, types or nodes; an edge is a source, a target, a port, and who excludes whom.
2. No recursion, and close to linear in the graph. networkx is asked only when there is a cycle.

This page holds what is known; `loops.py` and `joins.py` find it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

NodeSet: TypeAlias = set[int]
"""Numbers of nodes."""
EdgeSet: TypeAlias = set[int]
"""Numbers of edges."""
NOTHING: frozenset[int] = frozenset()


class GraphEdge:
    """One edge between node numbers."""

    __slots__ = ("each", "exits", "index", "lap_of", "limit", "port", "source", "target")

    def __init__(
        self,
        index: int,
        source: int,
        target: int,
        port: int = 0,
        each: bool = False,
        limit: int | None = None,
    ) -> None:
        self.index = index
        self.source = source
        self.target = target
        self.port = port
        self.each = each
        self.limit = limit
        self.lap_of: int | None = None
        """The loop whose next lap this edge begins."""
        self.exits: frozenset[int] = NOTHING
        """Joins that a token can no longer reach once it has taken this edge."""


class Exclusive(Protocol):
    """Tells which edges of one node exclude each other."""

    def __call__(self, one: GraphEdge, other: GraphEdge, /) -> bool:
        """Whether at most one of the two is taken for one message."""

    def all_apart(self, edges: Sequence[GraphEdge]) -> bool:
        """Whether at most one of them all is."""


class Group(NamedTuple):
    """Edges of one node that lead on as one: a single edge, or all that an inner join has gathered again."""

    edges: tuple[GraphEdge, ...]
    gathered: bool = False


WayBack = tuple[int, Group]
"""Where a message comes from: a node, and the edges that it takes from there."""
EdgePair = tuple[GraphEdge, GraphEdge]


@dataclass(slots=True, eq=False)
class Loop:
    """One cycle or knot of cycles."""

    index: int
    parent: int | None
    members: frozenset[int]
    header: int
    laps: list[GraphEdge] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Join:
    """A node that waits: for all of a fork, or for one message on each of several ports."""

    node: int
    collect: bool
    fork: int = -1
    region: NodeSet = field(default_factory=set)
    branches: list[GraphEdge] = field(default_factory=list)
    """The fork's edges that lead here."""
    shares_fork: bool = False
    """Whether other tokens of its fork may be about when it sends."""


class Topology:
    """Edges between nodes, listed by source (`out`) and by target (`into`); `start` and `end` are two of the nodes."""

    def __init__(
        self,
        start: int,
        end: int,
        edges: Sequence[GraphEdge],
        out: Sequence[Sequence[GraphEdge]],
        into: Sequence[Sequence[GraphEdge]],
    ) -> None:
        self.size = len(out)
        self.start = start
        self.end = end
        self.edges = edges
        self.out = out
        self.into = into
        self.loops: list[Loop] = []
        """Each after the loop around it."""
        self.loop_of: list[int | None] = [None] * self.size
        """The innermost loop that each node lies in."""
        self.order: list[int] = []
        """The position of each node, so that every edge but those that begin a lap leads to a later one."""
        self.joins: dict[int, Join] = {}
        """Joins that were placed, by node."""
        self.crossings: dict[int, GraphEdge] = {}
        """For a join that could not be placed in its loop: the edge that comes from outside of one lap of it."""

    def loops_around(self, node: int) -> list[int]:
        """The loops that a node lies in, outermost first."""
        # Loops nest: from the innermost, each leads to the one around it.
        #
        #     [outer a >> [inner b >> c >> b] >> d >> a]      around c: outer, inner; around d: outer
        chain: list[int] = []
        loop = self.loop_of[node]
        while loop is not None:
            chain.append(loop)
            loop = self.loops[loop].parent
        return chain[::-1]

    def unit_of(self, node: int, level: int | None) -> int:
        """The loop directly inside the loop `level` that holds the node, as -1 - loop; else the node itself."""
        # Seen from one loop, what lies in a loop within it is one thing. With `level` None (the graph itself), every
        # outermost loop is such a unit:
        #
        #     a >> [b >> c >> b] >> d      three units: a, the loop, d
        loop = self.loop_of[node]
        if loop == level or loop is None:
            return node
        while (parent := self.loops[loop].parent) != level:
            if parent is None:
                return node
            loop = parent
        return -1 - loop

    def ways_back(self, node: int) -> list[WayBack]:
        """The nodes that a node's messages come from, each with the edges they take."""
        # A placed join is reached from its fork, by all branches as one: its messages are those of the fork, gathered
        # again, so what lies between need not be looked at twice. That keeps a ladder of joins linear.
        join = self.joins.get(node)
        if join is not None:
            branches = Group(tuple(join.branches), gathered=True)
            return [(join.fork, branches)]
        return [(edge.source, Group((edge,))) for edge in self.into[node]]


def maps(groups: Sequence[Group]) -> bool:
    """Whether one of the groups is an edge that sends a list's items one by one."""
    for group in groups:
        # What an inner join has gathered is one message again, whether or not its fork was a map.
        if group.edges[0].each and not group.gathered:
            return True
    return False


def splits(groups: Sequence[Group], exclusive: Exclusive) -> bool:
    """Whether one message may become several on the edges of these groups."""
    if maps(groups):  # one edge, taken once for each item
        return True
    return taken_together(groups, exclusive) is not None


def taken_together(groups: Sequence[Group], exclusive: Exclusive) -> EdgePair | None:
    """Two edges of different groups that may both be taken for one message, or None."""
    # A router may have thousands of labels: that their edges are all apart is told without looking at each pair.
    if len(groups) > 2 and exclusive.all_apart([edge for group in groups for edge in group.edges]):
        return None
    for place, group in enumerate(groups):
        for other in groups[place + 1 :]:
            pair = _pair_of(group, other, exclusive)
            if pair is not None:
                return pair
    return None


def _pair_of(group: Group, other: Group, exclusive: Exclusive) -> EdgePair | None:
    for one in group.edges:
        for another in other.edges:
            if one is another or not exclusive(one, another):
                return one, another
    return None
