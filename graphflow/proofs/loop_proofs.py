"""Every loop counts its laps on an edge that leads back, and lets messages out."""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.limits import DEFAULT_LAPS, Limits
from graphflow.messages.message import LimitReached
from graphflow.messages.types import Type
from graphflow.proofs.arms import is_label, units_of
from graphflow.proofs.edge_types import TypedEdge, covers
from graphflow.proofs.exclusion import Exclusion
from graphflow.proofs.problems import Problems
from graphflow.proofs.topology import GraphEdge, Loop, Topology
from graphflow.proofs.wiring import Wiring


def check_lap_limits(wiring: Wiring, problems: Problems) -> None:
    """A limit stands on an edge that begins laps."""
    for edge in wiring.edges:
        if edge.limit is not None and edge.lap_of is None:
            problems.add(
                f"{edge!r}: .limit({edge.limit}) stands on an edge that is on no cycle "
                "(or inside an inner one), so there are no laps to count; put it on an edge that leads back",
                edge.where,
            )


def check_limit_edges(wiring: Wiring, exclusive: Exclusion, problems: Problems) -> None:
    """`LimitReached` is taken from a node that has laps to use up."""
    for edge in wiring.edges:
        if not edge.exceptional or edge.arm is not LimitReached:
            continue
        if not exclusive.counted_laps(edge.source):
            problems.add(
                f"{edge!r}: no limited edge leaves {wiring.name(edge.source)!r}, so LimitReached never comes; "
                "take it from the node whose edge leads back",
                edge.where,
            )


def lap_limit(edge: GraphEdge, limits: Limits) -> int:
    """How often at most an edge begins a lap."""
    if edge.limit is not None:
        return edge.limit
    return limits.laps or DEFAULT_LAPS


def loop_fact(loop: Loop, wiring: Wiring, top: Topology, limits: Limits) -> str:
    """A loop in words: its nodes in order, and how often each of its lap edges may be taken."""
    rank = top.order.__getitem__
    members = sorted(loop.members, key=rank)
    names = " > ".join(map(wiring.name, members))
    laps: list[str] = []
    for edge in loop.laps:
        written = wiring.edges[edge.index].edge
        most = lap_limit(edge, limits)
        laps.append(f"{written!r} at most {most}")
    counted = ", ".join(laps)
    return f"loop {names}: {counted}"


class LoopExits:
    """Refuses loops that no message can leave without another one going round: those end only by their limit."""

    def __init__(self, wiring: Wiring, top: Topology, problems: Problems) -> None:
        self._wiring = wiring
        self._top = top
        self._problems = problems
        self._taken: set[int] = set()
        """The nodes in the regions of joins that take the first few: what is left there is cancelled."""
        for join in top.joins.values():
            if any(port.take is not None for port in wiring.nodes[join.node].ports):
                self._taken |= join.region

    def check(self, loop: Loop) -> None:
        """Adds a problem if nothing but its limit ends the loop."""
        if self._ends_otherwise(loop):
            return
        again = self._always_again(loop)
        if loop.header not in again:
            return
        wiring = self._wiring
        back = next(edge for edge in loop.laps if edge.source in again)
        lap = wiring.edges[back.index]
        leaving = self._first_leaving(loop) or lap
        self._problems.add(
            f"{lap!r} leads back every time, also when {leaving!r} is taken, so every run would end when its "
            "laps are used up; let only one arm or guard lead back, or say what comes then: "
            f"{wiring.name(lap.source)}[LimitReached] >> a node",
            lap.where,
        )

    def _ends_otherwise(self, loop: Loop) -> bool:
        """Whether something from outside of the loop, or an error in it, may end it."""
        if not self._taken.isdisjoint(loop.members):
            return True
        for number in loop.members:
            for edge in self._wiring.by_source[number]:
                if edge.exceptional and edge.arm is not LimitReached:
                    return True
        return False

    def _first_leaving(self, loop: Loop) -> TypedEdge | None:
        for number in loop.members:
            for edge in self._wiring.by_source[number]:
                if edge.target not in loop.members:
                    return edge
        return None

    def _always_again(self, loop: Loop) -> set[int]:
        """The nodes of a loop from which every message, whatever is answered, goes round once more."""
        # From behind: a node sends every message round if each of its arms goes along a lap edge, or to a node of
        # which that is known already.
        again: set[int] = set()
        rank = self._top.order.__getitem__
        backward = sorted(loop.members, key=rank, reverse=True)
        for number in backward:
            if self._sends_again(number, loop, again):
                again.add(number)
        return again

    def _sends_again(self, number: int, loop: Loop, again: set[int]) -> bool:
        edges = self._wiring.by_source[number]
        if any(edge.arm is LimitReached for edge in edges):
            return False
        leaving = [edge for edge in edges if not edge.exceptional]
        leading = _leading_edges(leaving, loop, again)
        if not leading:
            return False
        labels = any(is_label(edge.arm) for edge in leaving)
        passes_input = self._wiring.passes_input(number)
        sent = self._wiring.sent(number)
        for unit in units_of(sent, labels):
            if not _is_taken_always(unit, leading, leaving, passes_input):
                return False
        return True


def _leading_edges(leaving: Sequence[TypedEdge], loop: Loop, again: set[int]) -> list[TypedEdge]:
    """The edges by which a message goes round again, at once or by way of a node that sends every message round."""
    leading: list[TypedEdge] = []
    for edge in leaving:
        if edge.each:  # of an empty list nothing goes round
            continue
        onward = edge.lap_of is None and edge.target in again
        if onward or edge.lap_of == loop.index:
            leading.append(edge)
    return leading


def _is_taken_always(
    unit: Type, leading: Sequence[TypedEdge], leaving: Sequence[TypedEdge], passes_input: bool
) -> bool:
    """Whether one arm goes along one of the `leading` edges whatever the guards say."""
    takers = [edge for edge in leading if covers(edge, unit, passes_input)]
    if any(edge.guard is None for edge in takers):
        return True
    # One of the guarded edges is always taken (`coverage.py`), but nobody knows which, so all of them have to lead round.
    guarded: list[TypedEdge] = []
    for edge in leaving:
        if edge.guard is not None and covers(edge, unit, passes_input):
            guarded.append(edge)
    if not guarded:
        return False
    return all(edge in takers for edge in guarded)
