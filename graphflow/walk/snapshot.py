"""Snapshots: a walk copied as it stands, so that what came before need not be kept to know what comes after.

A message is never copied: it does not change. Nor is an activation, but for its waypoints, which do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphflow.walk.commands import Activation
from graphflow.walk.joins import Chain, FailedToken, Gate, JoinState, Waypoint
from graphflow.walk.machine import Walk
from graphflow.walk.outbox import Outbox
from graphflow.walk.outputs import Outputs


class Snapshot:
    """A row of the record: the state of a frame's walk at this place.

    Attributes:
        frame: the frame's number.
        walk: the walk as it stood.
        started: when each activation under way began, by its number.
    """

    __slots__ = ("frame", "started", "walk")

    def __init__(self, walk: Walk, started: Mapping[int, float]) -> None:
        self.frame = walk.frame
        self.walk = copied_walk(walk)
        self.started: dict[int, float] = {}
        for id in walk.running:
            # One that has its task, and not yet its first turn, begins about now.
            self.started[id] = started.get(id, walk.now)

    def resumed(self) -> Walk:
        """A walk that goes on from here, for those who look on; they are told of what is under way."""
        walk = copied_walk(self.walk)
        walk.outbox = Outbox(walk.program, walk.frame)
        for act in walk.running.values():
            walk.outbox.add_started(self.started[act.id], act)
        return walk


def copied_walk(walk: Walk) -> Walk:
    """A walk in the same state that shares nothing with the first that either of them may change."""
    twin = Walk(walk.program, walk.limits, frame=walk.frame, path=walk.path)
    copies = _Copies(walk)  # all of them at once, since they lead to each other
    twin.origin = walk.origin
    twin.keeps_writes = walk.keeps_writes
    twin.count = walk.count
    twin.now = walk.now
    for id, act in walk.running.items():
        twin.running[id] = copies.activation(act)
    twin.cancelling = set(walk.cancelling)
    for id, act in walk.waiting.items():
        twin.waiting[id] = copies.activation(act)
    for join in walk.joins:
        twin.joins[copies.join(join)] = None
    twin.outputs = Outputs(walk.outputs)
    twin.dead_ends = list(walk.dead_ends)
    twin.half = walk.half
    twin.stopping = walk.stopping
    twin.finish = walk.finish
    return twin


def state_of(walk: Walk) -> dict[str, object]:
    """The whole state of a walk as plain values: walks of equal state behave equally."""
    finish: tuple[object, ...] = ()
    if walk.finish is not None:
        ending = walk.finish
        finish = (ending.status, ending.output, repr(ending.error))
    return {
        "count": walk.count,
        "running": _states_of(walk.running.values()),
        "cancelling": sorted(walk.cancelling),
        "waiting": _states_of(walk.waiting.values()),
        "joins": [join.state() for join in walk.joins],
        "outputs": [(output.scope, output.message) for output in walk.outputs],
        "finish": finish,
    }


def _states_of(acts: Iterable[Activation]) -> list[tuple[object, ...]]:
    states: list[tuple[object, ...]] = []
    for act in acts:
        states.append((act.id, act.slot.name, act.scope, act.input))
    return states


class _Copies:
    """One copy of each activation, join and gate that a walk knows.

    They lead to each other in rings (a gate to its joins, a join to its gate), so empty copies of all of them are made
    first, and filled when there is something to point to.
    """

    def __init__(self, walk: Walk) -> None:
        self._activations: dict[Activation, Activation] = {}
        self._waypoints: dict[Waypoint, Waypoint] = {}
        acts = list(walk.running.values())
        acts += walk.waiting.values()
        known: list[Waypoint] = list(walk.joins)
        for act in acts:
            known += act.joins
        for waypoint in _reachable(known):
            kind = type(waypoint)
            self._waypoints[waypoint] = object.__new__(kind)
        for act in acts:
            self._activations[act] = self._copied(act)
        for waypoint, twin in self._waypoints.items():
            self._fill(waypoint, twin)

    def activation(self, act: Activation) -> Activation:
        return self._activations[act]

    def join(self, join: JoinState) -> JoinState:
        twin = self._waypoints[join]
        assert isinstance(twin, JoinState)
        return twin

    def gate(self, gate: Gate) -> Gate:
        twin = self._waypoints[gate]
        assert isinstance(twin, Gate)
        return twin

    def chain(self, waypoints: Iterable[Waypoint]) -> Chain:
        twins = [self._waypoints[waypoint] for waypoint in waypoints]
        return tuple(twins)

    def _copied(self, act: Activation) -> Activation:
        joins = self.chain(act.joins)
        return Activation(
            act.id,
            act.slot,
            act.message,
            act.inputs,
            act.scope,
            joins,
            act.context,
            act.revision,
        )

    def _fill(self, waypoint: Waypoint, twin: Waypoint) -> None:
        twin.spec = waypoint.spec
        twin.scope = waypoint.scope
        twin.outer = self.chain(waypoint.outer)
        twin.live = waypoint.live
        twin.dead = waypoint.dead
        twin.closed = waypoint.closed
        inner = self.chain(waypoint.inner)
        twin.inner = set(inner)
        twin.holders = None
        if waypoint.holders is not None:
            twin.holders = set()
            for act, copy in self._activations.items():
                if act in waypoint.holders:
                    twin.holders.add(copy)
        if isinstance(waypoint, JoinState) and isinstance(twin, JoinState):
            self._fill_join(waypoint, twin)
        elif isinstance(waypoint, Gate) and isinstance(twin, Gate):
            self._fill_gate(waypoint, twin)

    def _fill_join(self, join: JoinState, twin: JoinState) -> None:
        twin.gate = None
        if join.gate is not None:
            twin.gate = self.gate(join.gate)
        twin.taken = join.taken
        twin.buffer = list(join.buffer)
        twin.context = join.context
        twin.revision = join.revision

    def _fill_gate(self, gate: Gate, twin: Gate) -> None:
        twin.slot = gate.slot
        twin.joins = set()
        for join in gate.joins:
            twin.joins.add(self.join(join))
        twin.ready = [self.join(join) for join in gate.ready]
        twin.failures = []
        for failed in gate.failures:
            joins = self.chain(failed.joins)
            copy = FailedToken(failed.order, failed.error, joins)
            twin.failures.append(copy)


def _reachable(waypoints: Iterable[Waypoint]) -> list[Waypoint]:
    """These joins and gates, and all that they lead to."""
    found: dict[Waypoint, None] = {}
    todo = list(waypoints)
    while todo:
        waypoint = todo.pop()
        if waypoint in found:
            continue
        found[waypoint] = None
        todo += waypoint.outer
        todo += waypoint.inner
        if isinstance(waypoint, JoinState) and waypoint.gate is not None:
            todo.append(waypoint.gate)
        elif isinstance(waypoint, Gate):
            todo += waypoint.joins
            todo += waypoint.ready
            for failed in waypoint.failures:
                todo += failed.joins
    return list(found)
