"""The shape of a graph: loops, forks, joins, and who can still reach a join. Pure graph theory over integers.

Rules:
1. Nothing here knows messages, types or nodes; a wire is a source, a target, a port, and who excludes whom.
2. No recursion, and close to linear in the graph. networkx is asked only when there is a cycle.

A *loop* is a strongly connected part; cutting its lap wires (those the user limited, else those back into its header)
leaves an acyclic part, in which inner loops are found again. Loops nest like a forest (Bourdoncle 1993, "Efficient
chaotic iteration strategies with widenings", whose weak topological order this is).

The *fork* of a join is the nearest node that all of the join's messages come through and whose wires lead to it by
different ways. The join's *region* is what lies between: as long as a token is in the region, the join may still get
a message. Inner joins are jumped over, since they stand for everything behind them.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Wire:
    """One edge between node numbers."""

    __slots__ = ("each", "exits", "index", "lap_of", "limit", "port", "source", "target")

    def __init__(
        self, index: int, source: int, target: int, port: int = 0, each: bool = False, limit: int | None = None
    ) -> None:
        self.index = index
        self.source = source
        self.target = target
        self.port = port
        self.each = each
        self.limit = limit
        self.lap_of: int | None = None
        """The loop whose next lap this wire begins."""
        self.exits: frozenset[int] = NOTHING
        """Joins that a token can no longer reach once it has taken this wire."""


NOTHING: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class Loop:
    """One cycle or knot of cycles."""

    index: int
    parent: int | None
    members: frozenset[int]
    header: int
    laps: list[Wire] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Join:
    """A node that waits: for all of a fork, or for one message on each of several ports."""

    node: int
    collect: bool
    fork: int = -1
    region: set[int] = field(default_factory=set)
    branches: list[Wire] = field(default_factory=list)
    """The fork's wires that lead here."""


class Topology:
    """Wires between nodes, listed by source (`out`) and by target (`into`); `start` and `end` are two of the nodes."""

    def __init__(
        self, start: int, end: int, wires: Sequence[Wire], out: Sequence[Sequence[Wire]], into: Sequence[Sequence[Wire]]
    ) -> None:
        self.size, self.start, self.end, self.wires = len(out), start, end, wires
        self.out, self.into = out, into
        self.loops: list[Loop] = []
        self.loop_of: list[int | None] = [None] * self.size
        self.order: list[int] = self._sorted_or_looped()
        self.joins: dict[int, Join] = {}
        self.crossings: dict[int, Wire] = {}
        """For a join that could not be placed in its loop: the wire that comes from outside of one lap of it."""

    # -- order and loops -----------------------------------------------------------------------------------------------
    def _sorted_or_looped(self) -> list[int]:
        ranks = self._ranks()
        if ranks is not None:
            return ranks
        self._find_loops()
        return self._nested_ranks()

    def _ranks(self) -> list[int] | None:
        """Topological positions (Kahn 1962), first come first served; None if there is a cycle."""
        waiting = [len(wires) for wires in self.into]
        ranks = [-1] * self.size
        ready = [node for node, count in enumerate(waiting) if not count]
        for count, node in enumerate(ready):  # grows while it is read: a queue that keeps what has left it
            ranks[node] = count
            for wire in self.out[node]:
                target = wire.target
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)
        return ranks if len(ready) == self.size else None

    def _find_loops(self) -> None:
        found_at = self._discovery()
        todo: deque[tuple[set[int], int | None]] = deque((knot, None) for knot in self._knots(range(self.size), set()))
        while todo:
            members, parent = todo.popleft()
            entered = {w.target for n in members for w in self.into[n] if w.source not in members}
            header = min(entered or members, key=found_at.__getitem__)
            loop = Loop(len(self.loops), parent, frozenset(members), header)
            self.loops.append(loop)
            cut = self._outermost(members, self._lap_wires(members, header))
            for index in cut:
                self.wires[index].lap_of = loop.index
            loop.laps = [self.wires[index] for index in sorted(cut)]
            for node in members:
                self.loop_of[node] = loop.index
            todo.extend((knot, loop.index) for knot in self._knots(members, cut))

    def _lap_wires(self, members: set[int], header: int) -> set[int]:
        """The wires that begin a lap: those the user limited, and those that still lead back into the header.

        What begins a lap of a loop around this one is cut already, and counts for none in here.
        """
        inner = self._knots(members - {header}, set())
        laps = {
            w.index
            for n in members
            for w in self.out[n]
            if w.target in members and w.limit is not None and w.lap_of is None
            if not any(n in k and w.target in k for k in inner)
        }
        for knot in self._knots(members, laps):
            if header in knot:
                laps |= {w.index for w in self.into[header] if w.source in knot and w.lap_of is None}
        return laps

    def _outermost(self, members: set[int], laps: set[int]) -> set[int]:
        """The lap wires whose own rounds lie inside no other's: the rest begin the laps of loops within.

            a >> b >> c      b >> a goes round {a, b}, c >> a goes round {a, b, c}: the first is the inner loop,
            ^----/   |       and its laps begin anew with each lap of the second. So it is with a node between
            ^--------/       c and a, too: where a round comes back does not change what it counts.

        Two edges that go round the same nodes are counted side by side, and so is one that leads round only together
        with another that is counted.
        """
        if len(laps) < 2:
            return laps
        rounds = {index: self._round(members, self.wires[index], laps) for index in laps}
        return {index for index, own in rounds.items() if not own or not any(own < other for other in rounds.values())}

    def _round(self, members: set[int], lap: Wire, laps: set[int]) -> set[int]:
        """The nodes that one lap can come through from where the lap wire leads to where it starts."""

        def reached(origin: int, table: Sequence[Sequence[Wire]], *, backward: bool) -> set[int]:
            seen, todo = {origin}, [origin]
            while todo:
                for wire in table[todo.pop()]:
                    other = wire.source if backward else wire.target
                    if other in members and other not in seen and wire.index not in laps and wire.lap_of is None:
                        seen.add(other)
                        todo.append(other)
            return seen

        return reached(lap.target, self.out, backward=False) & reached(lap.source, self.into, backward=True)

    def _discovery(self) -> list[int]:
        """When a breadth-first search from START first sees each node."""
        found = [self.size] * self.size
        found[self.start] = count = 0
        queue = deque([self.start])
        while queue:
            for wire in self.out[queue.popleft()]:
                if found[wire.target] == self.size:
                    count += 1
                    found[wire.target] = count
                    queue.append(wire.target)
        return found

    def _knots(self, members: Iterable[int], cut: set[int]) -> list[set[int]]:
        """Strongly connected parts that hold a cycle, within `members`, without the wires in `cut`."""
        import networkx

        inside = set(members)
        graph: networkx.DiGraph[int] = networkx.DiGraph()
        graph.add_nodes_from(sorted(inside))
        rounds: set[int] = set()
        for node in sorted(inside):
            for wire in self.out[node]:
                if wire.target in inside and wire.index not in cut and wire.lap_of is None:
                    graph.add_edge(node, wire.target)
                    if node == wire.target:
                        rounds.add(node)
        knots = [set(part) for part in networkx.strongly_connected_components(graph)]
        return sorted((k for k in knots if len(k) > 1 or k & rounds), key=min)

    def _nested_ranks(self) -> list[int]:
        """Topological positions without lap wires, the members of a loop side by side."""
        listed: dict[int, list[int]] = {}
        for loop in reversed(self.loops):  # innermost first: children were found after their parents
            listed[loop.index] = self._sorted_units(loop.members, loop.index, listed)
        ranks = [0] * self.size
        for rank, node in enumerate(self._sorted_units(range(self.size), None, listed)):
            ranks[node] = rank
        return ranks

    def _sorted_units(self, members: Iterable[int], level: int | None, listed: dict[int, list[int]]) -> list[int]:
        """The members in order, where the loops directly inside `level` count as one unit each (written -1 - loop)."""
        unit = {node: self._unit(node, level) for node in members}
        waiting = dict.fromkeys(unit.values(), 0)
        links = [
            (unit[w.source], unit[w.target])
            for node in unit
            for w in self.out[node]
            if w.target in unit and unit[w.target] != unit[w.source] and w.lap_of is None
        ]
        after: dict[int, list[int]] = {}
        for one, other in links:
            after.setdefault(one, []).append(other)
            waiting[other] += 1
        ready = deque(u for u, count in waiting.items() if not count)
        nodes: list[int] = []
        while ready:
            one = ready.popleft()
            nodes += [one] if one >= 0 else listed[-1 - one]
            for other in after.get(one, ()):
                waiting[other] -= 1
                if not waiting[other]:
                    ready.append(other)
        assert len(nodes) == len(unit), "cutting the lap wires left a cycle"
        return nodes

    def _unit(self, node: int, level: int | None) -> int:
        """The loop directly inside `level` that holds the node, as -1 - loop; else the node itself."""
        loop = self.loop_of[node]
        if loop == level or loop is None:
            return node
        while (parent := self.loops[loop].parent) != level:
            if parent is None:
                return node
            loop = parent
        return -1 - loop

    def loops_around(self, node: int) -> list[int]:
        """The loops that a node lies in, outermost first."""
        chain: list[int] = []
        loop = self.loop_of[node]
        while loop is not None:
            chain.append(loop)
            loop = self.loops[loop].parent
        return chain[::-1]

    # -- forks and joins -----------------------------------------------------------------------------------------------
    def add_joins(self, joins: Iterable[Join], exclusive: Exclusive) -> dict[int, str]:
        """Finds the fork and region of every join; returns what is wrong, by node.

        `exclusive(a, b)` tells whether at most one of two wires of the same node is taken for one message.
        """
        wrong: dict[int, str] = {}
        for join in sorted(joins, key=lambda j: self.order[j.node]):
            problem = self._place(join, exclusive)
            if problem:
                wrong[join.node] = problem
            else:
                self.joins[join.node] = join
        for join in self.joins.values():
            self._mark_exits(join)
        return wrong

    def _place(self, join: Join, exclusive: Exclusive) -> str:
        search = _Backward(self, join.node)
        found: tuple[int, set[int], list[Group]] | None = None
        for node in search:
            groups = search.used.get(node, [])
            if not search.converged or (len(groups) < 2 and not _maps(groups)):
                continue
            parallel = _maps(groups) or _together(groups, exclusive) is not None
            if parallel or found is None:
                found = (node, set(search.seen), groups)
            if parallel or not join.collect:
                break
        if found is None:
            if search.crossing is None:
                return "looped" if search.gates else "no fork"
            self.crossings[join.node] = search.crossing
            return "outside"
        join.fork, join.region, groups = found
        join.region -= {join.fork, join.node}
        join.branches = list({w.index: w for group in groups for w in group.wires}.values())
        return ""

    def _mark_exits(self, join: Join) -> None:
        inside = join.region
        around = set(self.loops_around(join.node))
        for node in inside:
            for wire in self.out[node]:
                stays = wire.target in inside or wire.target == join.node
                if not stays or (wire.lap_of is not None and wire.lap_of in around):
                    wire.exits |= {join.node}

    def shares_fork(self, join: Join) -> bool:
        """Whether other tokens of a join's fork may be about when the join sends."""
        if sum(other.fork == join.fork for other in self.joins.values()) > 1:
            return True
        if len(join.branches) < len(self.out[join.fork]):
            return True
        return any(join.node in wire.exits for node in join.region for wire in self.out[node])

    def crowded(self, join: Join, port: int, exclusive: Exclusive) -> int | None:
        """A node that may send a join's port more than one message of the same scope, or None."""
        search = _Backward(self, join.node, port)
        for node in search:
            groups = search.used.get(node, [])
            if _maps(groups) or _together(groups, exclusive) is not None or self._leaks(node, groups, exclusive):
                return node
            if node == join.fork:
                break
        gates = [gate for gate in search.gates if gate != join.fork]
        leaking = next((gate for gate in gates if self._leaks(gate, search.used[gate], exclusive)), None)
        return leaking if leaking is not None else self._crowded_inside(gates, search, exclusive)

    def _crowded_inside(self, gates: Sequence[int], search: _Backward, exclusive: Exclusive) -> int | None:
        """A node of an inner loop that makes several tokens of one, more than one of which may leave the loop."""
        by_loop: dict[int, list[int]] = {}
        for gate in gates:
            by_loop.setdefault(self._unit(gate, search.level), []).append(gate)
        for unit, leaving in by_loop.items():
            seeds = [(gate, group) for gate in leaving for group in search.used[gate]]
            pair = self._splitting(seeds, self.loops[-1 - unit].members, exclusive)
            if pair is not None:
                return pair[0].source
        return None

    def single(self, loop: Loop, exclusive: Exclusive) -> bool:
        """Whether at most one token of each lap goes round again."""
        seeds = [(wire.source, Group((wire,))) for wire in loop.laps]
        chain = self.loops_around(
            loop.header
        )  # the header may lie in inner loops as well: their laps are within this one's
        around: set[int | None] = {*chain[: chain.index(loop.index) + 1]}
        return self._splitting(seeds, loop.members, exclusive, around) is None

    def _leaks(self, node: int, groups: Sequence[Group], exclusive: Exclusive) -> bool:
        """Whether a node in a loop may send on one of these wires and go round once more."""
        loop = self.loop_of[node]
        if loop is None:
            return False
        members = self.loops[loop].members
        leaving = [w for group in groups for w in group.wires if w.target not in members]
        staying = [w for w in self.out[node] if w.target in members]
        return any(not exclusive(a, b) for a in leaving for b in staying)

    def dead(self, join: Join, ports: Sequence[int], exclusive: Exclusive) -> tuple[int, int] | None:
        """Two ports of a join that never both get a message, because the fork sends only one of their ways; or None."""
        ways: dict[int, list[Wire]] = {}
        for port in ports:
            search = _Backward(self, join.node, port)
            for node in search:
                if node == join.fork:
                    ways[port] = [w for group in search.used.get(node, []) for w in group.wires]
                    break
        for i, one in enumerate(ports):
            for other in ports[i + 1 :]:
                pairs = [(a, b) for a in ways.get(one, ()) for b in ways.get(other, ())]
                if pairs and all(a is not b and exclusive(a, b) for a, b in pairs):
                    return one, other
        return None

    def double_end(self, exclusive: Exclusive) -> tuple[Wire, Wire] | None:
        """Two wires of one node (the same one twice, if it maps) by which two messages may reach END, or None."""
        if all(len(wires) < 2 and not (wires and wires[0].each) for wires in self.out):
            return None
        seeds = self.ways_back(self.end)
        return self._splitting(seeds, range(self.size), exclusive)

    def _splitting(
        self,
        seeds: Sequence[tuple[int, Group]],
        inside: frozenset[int] | range,
        exclusive: Exclusive,
        around: set[int | None] | None = None,
    ) -> tuple[Wire, Wire] | None:
        """Two wires of one node (the same one twice, if it maps) by which two messages may come to the seeds, or None.

        Looks at the ways back to the seeds among the nodes `inside`, not across lap wires of the loops `around`.
        """
        used: dict[int, list[Group]] = {}
        todo: list[int] = []

        def use(source: int, group: Group) -> None:
            if source not in used:
                todo.append(source)
            used.setdefault(source, []).append(group)

        for source, group in seeds:
            use(source, group)
        while todo:
            for source, group in self.ways_back(todo.pop()):
                lapping = around is not None and group.wires[0].lap_of in around
                if source in inside and not lapping:
                    use(source, group)
        for groups in used.values():
            mapping = next((g.wires[0] for g in groups if _maps([g])), None)
            if mapping is not None:
                return mapping, mapping
            pair = _together(groups, exclusive)
            if pair is not None:
                return pair
        return None

    def ways_back(self, node: int) -> list[tuple[int, Group]]:
        """What a node is reached by: its wires; for a placed join, one way from its fork for all."""
        join = self.joins.get(node)
        if join is not None:
            return [(join.fork, Group(tuple(join.branches), gathered=True))]
        return [(wire.source, Group((wire,))) for wire in self.into[node]]


Exclusive = Callable[[Wire, Wire], bool]


class Group(NamedTuple):
    """Wires of one node that lead on as one: a single wire, or all that an inner join has gathered again."""

    wires: tuple[Wire, ...]
    gathered: bool = False


def _maps(groups: Sequence[Group]) -> bool:
    return any(group.wires[0].each and not group.gathered for group in groups)


def _together(groups: Sequence[Group], exclusive: Exclusive) -> tuple[Wire, Wire] | None:
    """Two wires of different groups that may both be taken for one message, or None."""
    for i, one in enumerate(groups):
        for other in groups[i + 1 :]:
            for a in one.wires:
                for b in other.wires:
                    if a is b or not exclusive(a, b):
                        return a, b
    return None


class _Backward:
    """Walks back from a join (or one of its ports), latest node first, jumping over inner joins and inner loops.

    `used[n]` are the ways by which n reaches the join; `converged` tells that every way comes through the node just
    yielded. A node is expanded only after the caller has judged it, so `seen` ends there.
    """

    def __init__(self, topology: Topology, join: int, port: int | None = None) -> None:
        self.top = topology
        self.level = topology.loop_of[join]
        self.around: set[int | None] = set(topology.loops_around(join))
        self.used: dict[int, list[Group]] = {}
        self.seen: set[int] = set()
        self.crossing: Wire | None = None
        """The first wire found that comes from outside of the join's lap."""
        self.heap: list[tuple[int, int]] = []
        self.queued: set[int] = set()
        self.gates: list[int] = []
        """Nodes by which inner loops are left on the way to the join."""
        for wire in topology.into[join]:
            if port is None or wire.port == port:
                self._step(wire.source, Group((wire,)))

    @property
    def converged(self) -> bool:
        return not self.heap and self.crossing is None

    def __iter__(self) -> Iterator[int]:
        while self.heap:
            _, unit = heapq.heappop(self.heap)
            if unit < 0:
                yield from self._pass_loop(-1 - unit)
                continue
            self.seen.add(unit)
            yield unit
            for source, group in self.top.ways_back(unit):
                self._step(source, group)

    def _pass_loop(self, loop: int) -> Iterator[int]:
        """An inner loop counts as one, but the one node by which it is left may be the fork."""
        members = self.top.loops[loop].members
        gates = [node for node in self.used if node in members]
        self.gates += gates
        if len(gates) == 1:
            yield gates[0]
        self.seen |= members
        for member in sorted(members):
            for wire in self.top.into[member]:
                if wire.source not in members:
                    self._step(wire.source, Group((wire,)))

    def _step(self, source: int, group: Group) -> None:
        if self.level is not None:
            members = self.top.loops[self.level].members
            outside = (w for w in group.wires if source not in members or w.lap_of in self.around)
            crossing = next(outside, None)
            if crossing is not None:
                self.crossing = self.crossing or crossing
                return
        self.used.setdefault(source, []).append(group)
        unit = self.top._unit(source, self.level)
        if unit not in self.queued:
            self.queued.add(unit)
            heapq.heappush(self.heap, (-self.top.order[source], unit))
