"""Snapshots: a walk copied as it stands, so that what came before need not be kept to know what comes after.

A message is never copied: it does not change. Everything that the walk changes is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphflow.walk.commands import Start
from graphflow.walk.joins import Gate, JoinState, Lost, Waiting
from graphflow.walk.machine import Walk


class Snapshot:
    """A row of the record: the state of a frame's walk at this place.

    Attributes:
        frame: the frame's number.
        walk: the walk as it stood.
    """

    __slots__ = ("frame", "walk")

    def __init__(self, walk: Walk) -> None:
        self.frame = walk.frame
        self.walk = copied_walk(walk)


def copied_walk(walk: Walk) -> Walk:
    """A walk in the same state that shares nothing with the first that either of them may change."""
    twin = Walk(walk.program, walk.limits, frame=walk.frame, path=walk.path)
    copies = _Copies(walk)
    twin.count = walk.count
    twin.now = walk.now
    twin.context = walk.context
    twin.running = {id: copies.act(act) for id, act in walk.running.items()}
    twin.cancelling = set(walk.cancelling)
    twin.waiting.update((id, copies.act(act)) for id, act in walk.waiting.items())
    twin.joins = {copies.join(state): None for state in walk.joins}
    twin.outputs = list(walk.outputs)
    twin.losses = list(walk.losses)
    twin.half = walk.half
    twin.stopping, twin.finish = walk.stopping, walk.finish
    return twin


class _Copies:
    """One copy of each activation, join and gate that a walk knows."""

    def __init__(self, walk: Walk) -> None:
        self.acts: dict[Start, Start] = {}
        self.states: dict[Waiting, Waiting] = {}
        acts = [*walk.running.values(), *walk.waiting.values()]
        for state in _reachable([*walk.joins, *(state for act in acts for state in act.joins)]):
            self.states[state] = object.__new__(type(state))
        for act in acts:
            self.acts[act] = self._copied_act(act)
        for state, twin in self.states.items():
            self._fill(state, twin)

    def act(self, act: Start) -> Start:
        return self.acts[act]

    def join(self, state: JoinState) -> JoinState:
        twin = self.states[state]
        assert isinstance(twin, JoinState)
        return twin

    def chain(self, states: Iterable[Waiting]) -> tuple[Waiting, ...]:
        return tuple(self.states[state] for state in states)

    def _copied_act(self, act: Start) -> Start:
        twin = Start(act.id, act.slot, act.message, act.inputs, act.scope, self.chain(act.joins), act.context)
        twin.started, twin.begun = act.started, act.begun
        return twin

    def _fill(self, state: Waiting, twin: Waiting) -> None:
        twin.spec, twin.scope, twin.outer = state.spec, state.scope, self.chain(state.outer)
        twin.live, twin.dead, twin.closed = state.live, state.dead, state.closed
        twin.inner = set(self.chain(state.inner))
        twin.holders = None if state.holders is None else {self.acts[act] for act in self.acts if act in state.holders}
        if isinstance(state, JoinState) and isinstance(twin, JoinState):
            gate: Any = None if state.gate is None else self.states[state.gate]
            twin.gate, twin.taken, twin.context = gate, state.taken, state.context
            twin.buffer = list(state.buffer)
        elif isinstance(state, Gate) and isinstance(twin, Gate):
            twin.slot = state.slot
            twin.joins = {self.join(each) for each in state.joins}
            twin.held = [self.join(each) for each in state.held]
            twin.failures = [Lost(lost.order, lost.error, self.chain(lost.joins)) for lost in state.failures]


def _reachable(states: Iterable[Waiting]) -> list[Waiting]:
    """These joins and gates, and all that they lead to."""
    found: dict[Waiting, None] = {}
    todo = list(states)
    while todo:
        state = todo.pop()
        if state in found:
            continue
        found[state] = None
        todo += [*state.outer, *state.inner]
        if isinstance(state, JoinState) and state.gate is not None:
            todo.append(state.gate)
        elif isinstance(state, Gate):
            todo += [*state.joins, *state.held, *(each for lost in state.failures for each in lost.joins)]
    return list(found)
