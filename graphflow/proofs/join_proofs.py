"""Every join gets one message a port from one fork, or all of them; none waits for what never comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.exclusion import Exclusion
from graphflow.proofs.joins import place_joins
from graphflow.proofs.problems import Problems, place_text
from graphflow.proofs.tokens import crowding_node, dead_ports
from graphflow.proofs.topology import GraphEdge, Join, Topology
from graphflow.proofs.wiring import Wiring

Aim: TypeAlias = tuple[int, int, bool]
"""Where an edge leads, the port there, and whether it brings items one by one."""
TypedEdges: TypeAlias = Sequence[TypedEdge]


def check_doubles(wiring: Wiring, exclusive: Exclusion, problems: Problems) -> None:
    """Two edges that bring one message to one port: its node would run twice."""
    for number in wiring.branching:
        doubles: list[_Double] = []
        leaving = wiring.by_source[number]
        for edges in _by_aim(leaving):
            if len(edges) > 1 and not exclusive.all_apart(edges):
                doubles += _doubles(edges, exclusive)
        # In the order in which they were written, whichever port they lead to.
        doubles.sort(key=_place_of_second)
        for double in doubles:
            target = wiring.name(double.second.target)
            _add_double(target, double, problems)


@dataclass(frozen=True, slots=True)
class _Double:
    """Two edges that may both be taken, in the order in which they were written."""

    first: TypedEdge
    second: TypedEdge


def _place_of_second(double: _Double) -> int:
    return double.second.index


def _index_of(edge: GraphEdge) -> int:
    return edge.index


def _by_aim(leaving: TypedEdges) -> Iterable[TypedEdges]:
    """The edges that bring the same thing to the same port, together."""
    by_aim: dict[Aim, list[TypedEdge]] = {}
    for edge in leaving:
        aim = (edge.target, edge.port, edge.each)
        alike = by_aim.setdefault(aim, [])
        alike.append(edge)
    return by_aim.values()


def _doubles(edges: TypedEdges, exclusive: Exclusion) -> Iterator[_Double]:
    """Each edge that may be taken together with one before it, behind the first such edge."""
    for place, edge in enumerate(edges):
        for before in edges[:place]:
            if not exclusive(before, edge):
                yield _Double(before, edge)
                break


def _add_double(target: str, double: _Double, problems: Problems) -> None:
    first = double.first.edge
    second = double.second.edge
    if repr(first) == repr(second):
        text = f"{first!r} is written twice"
    else:
        text = f"{first!r} and {second!r} may bring the same message to {target!r}"
    if first.where != second.where:
        place = place_text(first.where)
        text += f" (first at {place})"
    problems.add(f"{text}, so {target!r} would get it twice; leave one out", second.where)


class JoinProofs:
    """Places the joins of a graph, and proves what each of them gets."""

    def __init__(
        self, wiring: Wiring, top: Topology, exclusive: Exclusion, problems: Problems
    ) -> None:
        self._wiring = wiring
        self._top = top
        self._exclusive = exclusive
        self._problems = problems

    def check(self) -> None:
        """Finds fork and region of each join; adds what is wrong with it."""
        joins = self._found()
        if not joins:
            return
        unplaced = place_joins(self._top, joins, self._exclusive)
        for number, reason in unplaced.items():
            self._add_unplaced(number, reason)
        for join in self._top.joins.values():
            self._check_takes(join)
            self._check_crowds(join)
            self._check_dead_ports(join)

    def _found(self) -> list[Join]:
        """The nodes that wait: those that collect, and those with several ports."""
        joins: list[Join] = []
        wiring = self._wiring
        for number in range(wiring.start):
            arriving = wiring.by_target[number]
            if len(arriving) == 1 and not arriving[0].collects:
                continue  # by far the most common case
            collects = any(edge.collects for edge in arriving)
            ports = {edge.port for edge in arriving}
            if collects or len(ports) > 1:
                join = Join(number, collects)
                joins.append(join)
        return joins

    # -- joins without a fork ----------------------------------------------------------------------
    def _add_unplaced(self, number: int, reason: str) -> None:
        name = self._wiring.name(number)
        arriving = self._wiring.by_target[number]
        edges = ", ".join(repr(edge) for edge in arriving)
        collects = any(edge.collects for edge in arriving)
        if reason == "outside":
            text = self._crossing_text(name, self._top.crossings[number])
        elif not collects:
            text = f"the ports of {name!r} are never fed from one message ({edges}); fan out from one node before them"
        elif reason == "looped":
            text = (
                f"{name!r} collects what a loop sends ({edges}), but nothing forks before that loop, so there is "
                f"nothing whose messages belong together; fan out before it, to the loop and to another node that "
                f"{name!r} collects too, or let the messages go to END one by one: Graph(..., ends='all')"
            )
        else:
            text = (
                f"{name!r} collects a list ({edges}), but nothing forks before it; use .each or a fan-out that all "
                "of them come from, or take a single message"
            )
        self._problems.add(text, arriving[0].where)

    def _crossing_text(self, name: str, crossing: GraphEdge) -> str:
        """Why a node of a loop cannot join what comes by this edge."""
        edge = repr(self._wiring.edges[crossing.index].edge)
        if crossing.lap_of is not None:
            return (
                f"{name!r} joins messages inside a loop, but {edge} begins a new lap on the way to it, so they never "
                f"come together; let the fork and {name!r} be in one lap: put .limit(...) on an edge that leads back "
                f"behind {name!r}"
            )
        return (
            f"{name!r} joins messages inside a loop, but {edge} comes into the loop on the way to it, so its second lap "
            "could never be complete; let all that comes into the loop, and what leads back, enter it at one node, and "
            f"fan out from there to what {name!r} joins"
        )

    # -- joins with a fork -------------------------------------------------------------------------
    def _check_takes(self, join: Join) -> None:
        numbers = self._wired_ports(join)
        if len(numbers) < 2:
            return
        node = self._wiring.nodes[join.node]
        if any(node.ports[number].take is not None for number in numbers):
            arriving = self._wiring.by_target[join.node]
            self._problems.add(
                f"{node.name!r} takes the first few of a fork beside other ports, so it cannot tell when it has them; "
                "take them in a node of its own, and join its answer",
                arriving[0].where,
            )

    def _wired_ports(self, join: Join) -> set[int]:
        """The ports that edges lead to."""
        arriving = self._wiring.by_target[join.node]
        return {edge.port for edge in arriving}

    def _check_crowds(self, join: Join) -> None:
        """A port for one message gets no more than one for each message on the other ports."""
        node = self._wiring.nodes[join.node]
        for number in self._plain_ports(join):
            if node.ports[number].take is not None:
                continue
            crowd = crowding_node(self._top, join, number, self._exclusive)
            if crowd is not None:
                self._add_crowd(join, number, crowd)

    def _plain_ports(self, join: Join) -> list[int]:
        """The ports that get messages as they are sent: no list is made of several."""
        arriving = self._wiring.by_target[join.node]
        ports = {edge.port for edge in arriving}
        collecting = {edge.port for edge in arriving if edge.collects}
        return sorted(ports - collecting)

    def _add_crowd(self, join: Join, port: int, crowd: int) -> None:
        node = self._wiring.nodes[join.node]
        arriving = self._wiring.by_target[join.node]
        writers = [edge for edge in arriving if edge.port == port]
        by = ""
        if len(writers) > 1:
            shown = " and ".join(map(repr, writers))
            by = f" (by {shown})"
        name = node.ports[port].name
        fork = self._wiring.name(crowd)
        # Two maps of one list send as many messages as it has items, and the items belong together.
        pairing = self._pairing(join)
        self._problems.add(
            f"port {name!r} of {node.name!r} may get several messages from the fork at {fork!r}{by} for one message "
            f"on its other ports; collect them first (a node with list[...]), or make the port a list{pairing}",
            writers[0].where,
        )

    def _pairing(self, join: Join) -> str:
        """How to pair what two maps of one list send, item by item."""
        if len(self._wired_ports(join)) < 2:
            return ""
        maps = [edge for edge in join.branches if edge.each]
        if len(maps) < 2:
            return ""
        maps.sort(key=_index_of)
        first = self._wiring.edges[maps[0].index]
        origin = first.edge.origin.text()
        names: list[str] = []
        for edge in maps:
            name = self._wiring.name(edge.target)
            names.append(name)
        once = dict.fromkeys(names)
        targets = ", ".join(once)
        return f"; to pair them item by item, map to one node and fan out from it: {origin} >> item >> ({targets})"

    def _check_dead_ports(self, join: Join) -> None:
        ports = self._wiring.nodes[join.node].ports
        required: list[int] = []
        for number in self._plain_ports(join):
            if not ports[number].optional:
                required.append(number)
        pair = dead_ports(self._top, join, required, self._exclusive)
        if pair is None:
            return
        first, second = pair
        one = ports[first].name
        other = ports[second].name
        name = self._wiring.name(join.node)
        fork = self._wiring.name(join.fork)
        arriving = self._wiring.by_target[join.node]
        self._problems.add(
            f"{name!r} waits for both {one!r} and {other!r}, but {fork!r} sends only "
            "one of their ways; make the ports optional (T | None) or collect them in one list[...] port",
            arriving[0].where,
        )
