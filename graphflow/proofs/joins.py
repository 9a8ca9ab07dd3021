"""Where joins wait for which fork, and which edges lead away from them.

The *fork* of a join is the nearest node that all of the join's messages come through and whose edges lead to it by
different ways. The join's *region* is what lies between: as long as a token is in the region, the join may still get
a message. Inner joins are jumped over, since they stand for everything behind them.

    START >> f >> (a, b) >> j      f is the fork of j, {a, b} its region. Node s lies before f, so all messages of j come
             a >> END              through it as well, but by one way only. The edge a >> END leaves the region:
                                   whoever takes it can no longer reach j, and is counted off there.

In terms of flow graphs: a node that all messages come through *dominates* the join, and the search for the nearest one
walks back from all predecessors at once, the latest first, until they meet. That is how Cooper, Harvey and Kennedy find
immediate dominators ("A simple, fast dominance algorithm", 2001), with a heap of many fingers in the place of two. Their
numbers need an order in which every edge leads forward, so it is done without lap edges, within one lap. For the few
joins that a graph has this is simpler than Lengauer and Tarjan's trees (1979), and no slower.

The join in turn is where the branches of its fork come together again: it *post-dominates* them, but for the edges out of
the region. A walk need not know in advance which of these will be taken. It counts the tokens in the region, and an edge
with the join among its `exits` takes one off the count. When it is 0 nobody can come any more, and the join closes: a
branch that ended, failed or went elsewhere settles it as surely as one that arrived.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from graphflow.proofs.topology import (
    Exclusive,
    GraphEdge,
    Group,
    Join,
    NodeSet,
    Topology,
    maps,
    splits,
)


def place_joins(top: Topology, joins: Iterable[Join], exclusive: Exclusive) -> dict[int, str]:
    """Finds the fork and region of every join; returns why one cannot be placed, by node."""
    # The earlier join first: the search from one behind it jumps over it, from the join straight to its fork.
    unplaced: dict[int, str] = {}
    earliest_first = sorted(joins, key=lambda join: top.order[join.node])
    for join in earliest_first:
        problem = _place(top, join, exclusive)
        if problem:
            unplaced[join.node] = problem
        else:
            top.joins[join.node] = join
    placed = list(top.joins.values())
    for join in placed:
        _mark_exits(top, join)
    forks = Counter(join.fork for join in placed)
    for join in placed:
        is_shared = forks[join.fork] > 1
        join.shares_fork = is_shared or _loses_tokens(top, join)
    return unplaced


def _place(top: Topology, join: Join, exclusive: Exclusive) -> str:
    """Finds one join's fork; returns why there is none, or nothing."""
    # A node where the ways meet, but only one of them is taken (a choice), is kept as second best. A join that collects
    # goes on behind it, for messages that are sent side by side; one of ports with a choice before it is complained of
    # later, with the ports that are never fed together.
    search = BackwardSearch(top, join.node)
    fork = -1
    for node in search:
        groups = search.used.get(node, [])
        if not search.converged or not _are_several(groups):
            continue
        parallel = splits(groups, exclusive)
        if parallel or fork < 0:
            fork = join.fork = node
            join.region = search.seen - {node, join.node}
            join.branches = _edges_of(groups)
        if parallel or not join.collect:
            break
    if fork >= 0:
        return ""
    if search.crossing is not None:
        top.crossings[join.node] = search.crossing
        return "outside"
    return "looped" if search.gates else "no fork"


def _are_several(groups: Sequence[Group]) -> bool:
    """Whether a message may come by more than one way, or several times by one."""
    return len(groups) > 1 or maps(groups)


def _edges_of(groups: Sequence[Group]) -> list[GraphEdge]:
    """The edges of all groups, each once."""
    edges: dict[int, GraphEdge] = {}
    for group in groups:
        for edge in group.edges:
            edges[edge.index] = edge
    return list(edges.values())


def _mark_exits(top: Topology, join: Join) -> None:
    """Marks the edges by which a token leaves a join's region."""
    # The next lap of a loop around the join is outside as well: it has another scope, so another join waits there.
    marked = {join.node}
    inside = join.region | marked
    loops = top.loops_around(join.node)
    around = set(loops)
    for node in join.region:
        for edge in top.out[node]:
            leaves = edge.target not in inside
            begins_lap = edge.lap_of in around
            if leaves or begins_lap:
                edge.exits |= marked


def _loses_tokens(top: Topology, join: Join) -> bool:
    """Whether a token of the join's fork may be elsewhere when the join sends."""
    leaving = top.out[join.fork]
    if len(join.branches) < len(leaving):
        return True
    for node in join.region:
        for edge in top.out[node]:
            if join.node in edge.exits:
                return True
    return False


class BackwardSearch:
    """Walks back from a join (or one of its ports), latest node first, jumping over inner joins and inner loops.

    `used[n]` are the ways by which n reaches the join; `converged` tells that every way comes through the node that was
    yielded last. A node is expanded only after the caller has judged it, so `seen` ends there.
    """

    # As nodes come in reverse order, a node is yielded after all that lie between it and the join. If no other waits in
    # the heap then, it dominates the join:
    #
    #     START >> f >> (a, b) >> j      heap {a, b}, b is yielded, its source f waits: {a, f}
    #                                    a is yielded: {f}; then f, and nothing waits beside it

    def __init__(self, top: Topology, join: int, port: int | None = None) -> None:
        self.used: dict[int, list[Group]] = {}
        self.seen: NodeSet = set()
        self.crossing: GraphEdge | None = None
        """The first edge found that comes from outside of the join's lap."""
        self.gates: list[int] = []
        """Nodes by which inner loops are left on the way to the join."""
        self.level = top.loop_of[join]
        self._top = top
        loops = top.loops_around(join)
        self._around: set[int | None] = set(loops)
        self._heap: list[tuple[int, int]] = []
        self._queued: NodeSet = set()
        for edge in top.into[join]:
            if port is None or edge.port == port:
                self._step_back(edge)

    @property
    def converged(self) -> bool:
        """Whether every way comes through the node that was yielded last."""
        if self.crossing is not None:
            return False
        return not self._heap

    def __iter__(self) -> Iterator[int]:
        while self._heap:
            _, unit = heapq.heappop(self._heap)
            if unit < 0:
                yield from self._pass_loop(-1 - unit)
                continue
            self.seen.add(unit)
            yield unit
            for source, group in self._top.ways_back(unit):
                self._step(source, group)

    def _pass_loop(self, loop: int) -> Iterator[int]:
        """An inner loop counts as one, but the one node by which it is left may be the fork."""
        # In a loop [a >> b >> a] that only b leaves, every message behind the loop comes through b. If two nodes leave
        # it, which of them sends is decided in a lap, so no node in it stands before all that is behind.
        members = self._top.loops[loop].members
        gates = [node for node in self.used if node in members]
        self.gates += gates
        if len(gates) == 1:
            yield gates[0]
        self.seen |= members
        for member in sorted(members):
            arriving = self._top.into[member]
            for edge in arriving:
                if edge.source not in members:
                    self._step_back(edge)

    def _step_back(self, edge: GraphEdge) -> None:
        alone = Group((edge,))
        self._step(edge.source, alone)

    def _step(self, source: int, group: Group) -> None:
        crossing = self._crossing_in(source, group)
        if crossing is not None:
            self.crossing = self.crossing or crossing
            return
        ways = self.used.setdefault(source, [])
        ways.append(group)
        unit = self._top.unit_of(source, self.level)
        if unit in self._queued:
            return
        self._queued.add(unit)
        rank = self._top.order[source]
        latest_first = (-rank, unit)
        heapq.heappush(self._heap, latest_first)

    def _crossing_in(self, source: int, group: Group) -> GraphEdge | None:
        """An edge of the group that comes into the join's loop, or into its lap, from outside."""
        if self.level is None:
            return None
        if source not in self._top.loops[self.level].members:
            return group.edges[0]
        for edge in group.edges:
            if edge.lap_of in self._around:
                return edge
        return None
