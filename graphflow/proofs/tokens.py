"""How many messages of one fork may come to a place: to a port, to END, round a loop, to neither of two ports.

Rules:
1. What is found is a place where one message may become several: a fork whose edges are not exclusive, or a map.
2. "May" is said of types and labels alone, never of values: two guards of one arm exclude each other, two of different
   arms do as far as the arms do. So it is possible that a graph is refused whose guards would never both hold; it is
   not possible that one is accepted in which two messages come where one is expected.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations, product

from graphflow.proofs.joins import BackwardSearch
from graphflow.proofs.topology import (
    EdgePair,
    Exclusive,
    GraphEdge,
    Group,
    Join,
    Loop,
    Topology,
    WayBack,
    maps,
    splits,
    taken_together,
)


def crowding_node(top: Topology, join: Join, port: int, exclusive: Exclusive) -> int | None:
    """A node that may send a join's port more than one message of the same scope, or None."""
    # Only what lies between the join and its fork matters: what comes before the fork has made another scope, in which
    # another join waits.
    search = BackwardSearch(top, join.node, port)
    for node in search:
        groups = search.used.get(node, [])
        if splits(groups, exclusive) or _leaks(top, node, groups, exclusive):
            return node
        if node == join.fork:
            break
    gates = [gate for gate in search.gates if gate != join.fork]
    for gate in gates:
        if _leaks(top, gate, search.used[gate], exclusive):
            return gate
    return _crowding_inside(top, gates, search, exclusive)


def _leaks(top: Topology, node: int, groups: Sequence[Group], exclusive: Exclusive) -> bool:
    """Whether a node in a loop may send on one of these edges and go round once more."""
    # Then each lap sends one message out, and all of them come to the same join:
    #
    #     a >> b >> a      b sends one message along both edges
    #          b >> join
    loop = top.loop_of[node]
    if loop is None:
        return False
    members = top.loops[loop].members
    staying: list[GraphEdge] = []
    for edge in top.out[node]:
        if edge.target in members:
            staying.append(edge)
    for group in groups:
        for leaving in group.edges:
            if leaving.target in members:
                continue
            for edge in staying:
                if not exclusive(leaving, edge):
                    return True
    return False


def _crowding_inside(
    top: Topology, gates: Sequence[int], search: BackwardSearch, exclusive: Exclusive
) -> int | None:
    """A node of an inner loop that makes several tokens of one, more than one of which may leave the loop."""
    by_loop: dict[int, list[int]] = {}
    for gate in gates:
        loop = -1 - top.unit_of(gate, search.level)
        together = by_loop.setdefault(loop, [])
        together.append(gate)
    for loop, leaving in by_loop.items():
        seeds: list[WayBack] = []
        for gate in leaving:
            for group in search.used[gate]:
                seeds.append((gate, group))
        members = top.loops[loop].members
        pair = _splitting(top, seeds, members, exclusive)
        if pair is not None:
            first, _ = pair
            return first.source
    return None


def is_single(top: Topology, loop: Loop, exclusive: Exclusive) -> bool:
    """Whether at most one token of each lap goes round again."""
    # Then the number of the lap tells tokens apart, and scopes need not grow with the laps.
    seeds: list[WayBack] = []
    for lap in loop.laps:
        alone = Group((lap,))
        seeds.append((lap.source, alone))
    # The header may lie in inner loops as well: their laps are within this one's.
    chain = top.loops_around(loop.header)
    depth = chain.index(loop.index) + 1
    around = set(chain[:depth])
    pair = _splitting(top, seeds, loop.members, exclusive, around)
    return pair is None


def double_end(top: Topology, exclusive: Exclusive) -> EdgePair | None:
    """Two edges of one node (the same one twice, if it maps) by which two messages may reach END, or None."""
    if not _may_split(top):
        return None
    # Walking back from END, every node that is met sends messages there. One message becomes two at a node whose edges
    # may both be taken, unless a join on the way makes one of them again: that is jumped over, from join to fork.
    seeds = top.ways_back(top.end)
    everywhere = range(top.size)
    return _splitting(top, seeds, everywhere, exclusive)


def _may_split(top: Topology) -> bool:
    """Whether there is a node that several edges leave, or a map."""
    if any(len(edges) > 1 for edges in top.out):
        return True
    return any(edge.each for edge in top.edges)


def _splitting(
    top: Topology,
    seeds: Sequence[WayBack],
    inside: Collection[int],
    exclusive: Exclusive,
    around: Collection[int] = (),
) -> EdgePair | None:
    """Two edges of one node (the same one twice, if it maps) by which two messages may come to the seeds, or None.

    Looks at the ways back to the seeds among the nodes `inside`, not across lap edges of the loops `around`.
    """
    for groups in _ways_to(top, seeds, inside, around).values():
        for group in groups:
            if maps([group]):
                mapping = group.edges[0]
                return mapping, mapping
        pair = taken_together(groups, exclusive)
        if pair is not None:
            return pair
    return None


def _ways_to(
    top: Topology, seeds: Sequence[WayBack], inside: Collection[int], around: Collection[int]
) -> dict[int, list[Group]]:
    """The ways by which each node reaches the seeds."""
    used: dict[int, list[Group]] = {}
    todo: list[int] = []
    ways = list(seeds)
    while True:
        for source, group in ways:
            if source not in used:
                used[source] = []
                todo.append(source)
            used[source].append(group)
        if not todo:
            return used
        ways = []
        for source, group in top.ways_back(todo.pop()):
            lap_of = group.edges[0].lap_of
            if source in inside and lap_of not in around:
                ways.append((source, group))


def dead_ports(
    top: Topology, join: Join, ports: Sequence[int], exclusive: Exclusive
) -> tuple[int, int] | None:
    """Two ports of a join that never both get a message, because the fork sends only one of their ways; or None."""
    ways = {port: _ways_from_fork(top, join, port) for port in ports}
    for port, other in combinations(ports, 2):
        own = ways[port]
        others = ways[other]
        if own and others and _all_exclusive(own, others, exclusive):
            return port, other
    return None


def _ways_from_fork(top: Topology, join: Join, port: int) -> list[GraphEdge]:
    """The edges of a join's fork by which a message comes to one of its ports."""
    search = BackwardSearch(top, join.node, port)
    edges: list[GraphEdge] = []
    for node in search:
        if node != join.fork:
            continue
        for group in search.used.get(node, []):
            edges += group.edges
        break
    return edges


def _all_exclusive(
    edges: Sequence[GraphEdge], others: Sequence[GraphEdge], exclusive: Exclusive
) -> bool:
    for one, other in product(edges, others):
        if one is other or not exclusive(one, other):
            return False
    return True
