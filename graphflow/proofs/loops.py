"""Where a graph goes round: its loops, what begins their laps, and the order of its nodes without those edges.

A *loop* is a strongly connected part; cutting its lap edges (those the user limited, else those back into its header)
leaves an acyclic part, in which inner loops are found again. Loops nest like a forest. This is the weak topological
order of Bourdoncle ("Efficient chaotic iteration strategies with widenings", 1993), with the user's limits in the place
of his widening points.

    START >> a >> b >> c >> END      one strongly connected part, {a, b, c}, with its header a, by which it is entered.
             ^----/    |             c >> a leads back into the header: it begins a lap, and is cut. What is left,
             ^---------/             {a, b}, still has a cycle if b >> a is not cut as well: that is the loop within.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from graphflow.proofs.topology import EdgeSet, GraphEdge, Loop, NodeSet, Topology


def order_acyclic(top: Topology) -> bool:
    """Gives each node its position, first come first served; returns False if there is a cycle, so that none has one."""
    # Kahn, "Topological sorting of large networks" (1962): a node is ready when all that lead to it have left. The
    # nodes of a cycle wait for each other, so they never are, and some are missing at the end.
    out = top.out
    waiting = list(map(len, top.into))
    ranks = [-1] * top.size
    ready: list[int] = []
    for node, count in enumerate(waiting):
        if not count:
            ready.append(node)
    # Grows while it is read: a queue that keeps what has left it.
    for rank, node in enumerate(ready):
        ranks[node] = rank
        for edge in out[node]:
            target = edge.target
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    if len(ready) < top.size:
        return False
    top.order = ranks
    return True


def order_looped(top: Topology) -> None:
    """Finds the loops, and gives each node its position among those of its loop."""
    _find_loops(top)
    top.order = _nested_ranks(top)


# -- loops -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Knot:
    """A strongly connected part, and the loop that it lies in."""

    members: NodeSet
    parent: int | None


def _find_loops(top: Topology) -> None:
    found_at = _discovery(top)
    everywhere = set(range(top.size))
    todo = deque(_knots_in(top, None, everywhere, set()))
    while todo:  # breadth first, so a loop has a lower number than every loop within it
        knot = todo.popleft()
        members = knot.members
        header = _header(top, members, found_at)
        laps = _lap_edges(top, members, header)
        outermost = _outermost(top, members, laps)
        number = _add_loop(top, knot, header, outermost)
        todo += _knots_in(top, number, members, outermost)


def _knots_in(top: Topology, loop: int | None, members: NodeSet, laps: EdgeSet) -> list[_Knot]:
    """What still goes round among a loop's members without its lap edges."""
    knots: list[_Knot] = []
    for nodes in _knots(top, members, laps):
        knot = _Knot(nodes, loop)
        knots.append(knot)
    return knots


def _header(top: Topology, members: NodeSet, found_at: list[int]) -> int:
    """Where a message that comes from START is first."""
    # A part that is entered at several nodes (an irreducible one, as compilers call it) has the first found of them.
    entries = _entries(top, members) or members
    time_found = found_at.__getitem__
    return min(entries, key=time_found)


def _entries(top: Topology, members: NodeSet) -> NodeSet:
    """The members that an edge from outside leads to."""
    entries: NodeSet = set()
    for node in members:
        arriving = top.into[node]
        if any(edge.source not in members for edge in arriving):
            entries.add(node)
    return entries


def _add_loop(top: Topology, knot: _Knot, header: int, laps: EdgeSet) -> int:
    """Writes a loop and its lap edges into the topology; returns its number."""
    number = len(top.loops)
    members = frozenset(knot.members)
    loop = Loop(number, knot.parent, members, header)
    top.loops.append(loop)
    for index in sorted(laps):
        lap = top.edges[index]
        lap.lap_of = number
        loop.laps.append(lap)
    # A loop within is found later, and takes its members over.
    for node in members:
        top.loop_of[node] = number
    return number


def _lap_edges(top: Topology, members: NodeSet, header: int) -> EdgeSet:
    """The edges that begin a lap: those the user limited, and those that still lead back into the header."""
    # What begins a lap of a loop around this one is cut already, and counts for none in here.
    laps = _limited_edges(top, members, header)
    back = top.into[header]
    for knot in _knots(top, members, laps):
        if header not in knot:
            continue
        for edge in back:
            if edge.source in knot and edge.lap_of is None:
                laps.add(edge.index)
    return laps


def _limited_edges(top: Topology, members: NodeSet, header: int) -> EdgeSet:
    """The edges within a loop that the user limited, but for those that only go round in a loop within."""
    # What still goes round when the header is taken away is an inner loop: a limit on an edge of it counts its laps.
    others = members - {header}
    inner = _knots(top, others, set())
    limited: EdgeSet = set()
    for node in members:
        leaving = top.out[node]
        for edge in leaving:
            if edge.limit is None or edge.lap_of is not None:
                continue
            if edge.target not in members or _is_within(edge, inner):
                continue
            limited.add(edge.index)
    return limited


def _is_within(edge: GraphEdge, knots: Iterable[NodeSet]) -> bool:
    """Whether an edge leads from one node of a knot to another of the same."""
    for knot in knots:
        if edge.source in knot and edge.target in knot:
            return True
    return False


def _outermost(top: Topology, members: NodeSet, laps: EdgeSet) -> EdgeSet:
    """The lap edges whose own rounds lie inside no other's: the rest begin the laps of loops within."""
    #     a >> b >> c      b >> a goes round {a, b}, c >> a goes round {a, b, c}: the first is the inner loop,
    #     ^----/   |       and its laps begin anew with each lap of the second. So it is with a node between
    #     ^--------/       c and a, too: where a round comes back does not change what it counts.
    #
    # Two edges that go round the same nodes are counted side by side, and so is one that leads round only together
    # with another that is counted.
    if len(laps) < 2:
        return laps
    rounds: dict[int, NodeSet] = {}
    for index in laps:
        lap = top.edges[index]
        rounds[index] = _round(top, members, lap, laps)
    outermost: EdgeSet = set()
    for index, nodes in rounds.items():
        if not nodes or not _is_inside_one(nodes, rounds.values()):
            outermost.add(index)
    return outermost


def _is_inside_one(nodes: NodeSet, rounds: Iterable[NodeSet]) -> bool:
    """Whether a round lies inside another one, and is not the same."""
    return any(nodes < other for other in rounds)


def _round(top: Topology, members: NodeSet, lap: GraphEdge, laps: EdgeSet) -> NodeSet:
    """The nodes that one lap can come through from where the lap edge leads to where it starts."""
    ahead = _in_one_lap(top, lap.target, members, laps, forward=True)
    behind = _in_one_lap(top, lap.source, members, laps, forward=False)
    return ahead & behind


def _in_one_lap(
    top: Topology, origin: int, members: NodeSet, laps: EdgeSet, *, forward: bool
) -> NodeSet:
    """The members that one lap leads to from a node or, backward, from which it leads to that."""
    table = top.out if forward else top.into
    seen = {origin}
    todo = [origin]
    while todo:
        member = todo.pop()
        for edge in table[member]:
            node = edge.target if forward else edge.source
            if node not in members or node in seen:
                continue
            if _stays_in_lap(edge, laps):
                seen.add(node)
                todo.append(node)
    return seen


def _stays_in_lap(edge: GraphEdge, laps: EdgeSet) -> bool:
    """Whether an edge begins no lap: neither one of `laps` nor one of a loop around."""
    if edge.lap_of is not None:
        return False
    return edge.index not in laps


def _discovery(top: Topology) -> list[int]:
    """When a breadth-first search from START first sees each node."""
    found = [top.size] * top.size  # later than every node that is found
    found[top.start] = 0
    count = 0
    queue = deque([top.start])
    while queue:
        node = queue.popleft()
        for edge in top.out[node]:
            target = edge.target
            if found[target] < top.size:
                continue
            count += 1
            found[target] = count
            queue.append(target)
    return found


def _knots(top: Topology, members: NodeSet, laps: EdgeSet) -> list[NodeSet]:
    """Strongly connected parts that hold a cycle, within `members`, without the edges in `laps`."""
    import networkx  # 0.1 s to load, so only for a graph that goes round

    in_order = sorted(members)
    graph: networkx.DiGraph[int] = networkx.DiGraph()
    graph.add_nodes_from(in_order)
    # A node alone is strongly connected, too, and goes round only by an edge to itself.
    own_rounds: NodeSet = set()
    for node in in_order:
        leaving = top.out[node]
        for edge in leaving:
            target = edge.target
            if target not in members or not _stays_in_lap(edge, laps):
                continue
            graph.add_edge(node, target)
            if node == target:
                own_rounds.add(node)
    knots: list[NodeSet] = []
    for component in networkx.strongly_connected_components(graph):
        knot = set(component)
        if len(knot) > 1 or knot & own_rounds:
            knots.append(knot)
    return sorted(knots, key=min)


# -- the order of a graph with loops ---------------------------------------------------------------
def _nested_ranks(top: Topology) -> list[int]:
    """Topological positions without lap edges, the members of a loop side by side."""
    listed: UnitLists = {}
    for loop in reversed(top.loops):  # innermost first: children were found after their parents
        number = loop.index
        members = _sorted_members(top, loop.members, number, listed)
        listed[number] = members
    everywhere = range(top.size)
    nodes = _sorted_members(top, everywhere, None, listed)
    ranks = [0] * top.size
    for rank, node in enumerate(nodes):
        ranks[node] = rank
    return ranks


UnitLists: TypeAlias = dict[int, list[int]]
"""A list of numbers for each unit: a node, or a loop that counts as one (`Topology.unit_of`)."""


def _sorted_members(
    top: Topology, members: Iterable[int], level: int | None, listed: UnitLists
) -> list[int]:
    """The members in order, where each loop directly inside `level` stands as a whole, its own members `listed`."""
    unit_of: dict[int, int] = {}
    for node in members:
        unit_of[node] = top.unit_of(node, level)
    after = _unit_edges(top, unit_of)
    units = unit_of.values()
    nodes: list[int] = []
    for unit in _sorted_units(units, after):
        if unit < 0:
            loop = -1 - unit
            nodes += listed[loop]
        else:
            nodes.append(unit)
    assert len(nodes) == len(unit_of), "cutting the lap edges left a cycle"
    return nodes


def _sorted_units(units: Iterable[int], after: UnitLists) -> Iterator[int]:
    """The units, each behind all that lead to it: Kahn's order again, as in `order_acyclic`."""
    waiting = dict.fromkeys(units, 0)
    for targets in after.values():
        for unit in targets:
            waiting[unit] += 1
    ready: deque[int] = deque()
    for unit, count in waiting.items():
        if not count:
            ready.append(unit)
    while ready:
        unit = ready.popleft()
        yield unit
        for later in after.get(unit, ()):
            waiting[later] -= 1
            if not waiting[later]:
                ready.append(later)


def _unit_edges(top: Topology, unit_of: dict[int, int]) -> UnitLists:
    """Where each unit leads by edges that begin no lap; a unit as often as edges lead to it."""
    after: UnitLists = {}
    for node, unit in unit_of.items():
        leaving = top.out[node]
        for edge in leaving:
            if edge.lap_of is not None:
                continue
            target = unit_of.get(edge.target, unit)
            if target != unit:
                targets = after.setdefault(unit, [])
                targets.append(target)
    return after
