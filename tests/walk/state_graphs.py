"""Random wild graphs whose nodes write states, walked without an executor, and an oracle for what each node must see.

The oracle knows nothing of revisions: every message carries the history of all writes on its way. A node that gets several
puts their histories one behind the other, in logical order, each write once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from graphflow import END, START, Failure, Graph, GraphError, State, node
from graphflow.errors import DeclarationError
from graphflow.events import EdgeSent, Event, NodeCancelled, NodeFailed, NodeFinished, RunStarted
from graphflow.merges import extend
from graphflow.messages.state import StateWrite
from graphflow.walk.commands import Activation, Cancel, Finish
from graphflow.walk.machine import Walk
from graphflow.walk.revision import BrokenRevision
from graphflow.walk.scope import order_of

NOTES = State("notes", tuple, start=(), merge=extend)
PLAN = State("plan", str, start="p0")
COUNT = State("count", int, start=0, merge=lambda value, added: (value * 31 + added) % 10**9)
"""Its merge neither commutes nor associates."""
STATES: tuple[State[Any], ...] = (NOTES, PLAN, COUNT)
LOSING = ("isolate", "isolate", "finish")
"""Policies by which every branch has its end: who is stopped by another's failure depends on who is faster."""
ALL_POLICIES = ("cancel", *LOSING)

WriteOfHistory = tuple[tuple[str, Any, int], State[Any], str, Any]
"""Which write it is (node, scope, number), and what it is."""
History = tuple[WriteOfHistory, ...]


def digest(*parts: object) -> int:
    """The same in every process."""
    return int(blake2b(repr(parts).encode(), digest_size=6).hexdigest(), 16)


@dataclass(frozen=True, eq=False)
class Note:
    """A message with the history of the writes on its way."""

    text: str
    history: History = ()

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Plan:
    """What a node does: its kind, its writes, and whether it may fail."""

    kind: str
    writes: tuple[tuple[State[Any], str], ...]
    fails: bool


@dataclass
class Wild:
    """A graph, and what each of its nodes does."""

    graph: Graph[Any, Any]
    plans: dict[str, Plan]

    def writers(self, state: State[Any]) -> dict[int, set[Any]]:
        """How each node writes a state, by the number of its slot."""
        found: dict[int, set[Any]] = {}
        for slot in self.graph.program.slots:
            plan = self.plans.get(slot.name)
            if plan is None:
                continue
            kinds = {kind for other, kind in plan.writes if other is state}
            if kinds:
                found[slot.index] = kinds
        return found


def made(name: str, kind: str) -> Any:
    """A node of a kind. It is never carried out."""
    if kind == "split":

        @node(name=name)
        async def split(m: Any) -> list[Any]: ...

        return split
    if kind == "collect":

        @node(name=name)
        async def collect(ms: list[Any]) -> Any: ...

        return collect
    if kind == "pair":

        @node(name=name)
        async def pair(a: Any, b: Any) -> Any: ...

        return pair
    if kind == "optional":

        @node(name=name)
        async def optional(a: Any, b: Any = None) -> Any: ...

        return optional

    @node(name=name)
    async def step(m: Any) -> Any: ...

    return step


def chance(salt: object, percent: int) -> Callable[[Any], bool]:
    """A guard that holds for so many of a hundred messages, always for the same ones."""

    def holds(message: Any) -> bool:
        text = message.text if isinstance(message, Note) else "failure"
        return digest(salt, text) % 100 < percent

    return holds


def wild(rng: random.Random, size: int, policies: Sequence[str] = LOSING) -> Wild:
    """A random graph that builds."""
    while True:
        try:
            return _Maker(rng, size, policies).made()
        except (GraphError, DeclarationError):
            continue


class _Maker:
    def __init__(self, rng: random.Random, size: int, policies: Sequence[str]) -> None:
        self.rng = rng
        self.size = size
        self.policies = policies
        self.kinds: list[str] = []
        for number in range(size):
            kinds = ["step", "split", "collect", "pair", "optional"]
            weights = [6, 2, 3, 2, 1]
            if number < 2:
                kinds, weights = ["step", "split"], [1, 1]
            self.kinds.append(rng.choices(kinds, weights)[0])
        self.nodes = [made(f"{kind}{number}", kind) for number, kind in enumerate(self.kinds)]
        self.paths: list[Any] = [START >> self.nodes[0]]

    def made(self) -> Wild:
        edges = self._edges()
        laps = self._laps()
        self._wire(edges, laps)
        fails = self._failures()
        graph = Graph("wild", *self.paths, ends="all")
        graph.program.states = {state.name: state for state in STATES}
        graph.program.owned = STATES
        plans: dict[str, Plan] = {}
        for number, kind in enumerate(self.kinds):
            plans[self.nodes[number].name] = Plan(kind, self._writes(), number in fails)
        return Wild(graph, plans)

    def _edges(self) -> list[tuple[int, int | None, str]]:
        rng = self.rng
        edges: list[tuple[int, int | None, str]] = []
        for number in range(1, self.size):
            before = range(max(0, number - 5), number)
            kind = self.kinds[number]
            if kind in ("pair", "optional"):
                edges += [(rng.choice(before), number, "a"), (rng.choice(before), number, "b")]
                continue
            most = [1, 2, 3] if kind == "collect" else [1, 1, 1, 2]
            count = min(len(before), rng.choice(most))
            edges += [(source, number, "") for source in rng.sample(before, count)]
        sources = {source for source, _, _ in edges}
        edges += [(number, None, "") for number in range(self.size) if number not in sources]
        return edges

    def _laps(self) -> list[tuple[int, int]]:
        rng = self.rng
        if rng.random() < 0.5:
            return []
        source = rng.randrange(1, self.size)
        target = rng.randrange(max(0, source - 4), source)
        if self.kinds[source] == "split" or self.kinds[target] not in ("step", "split"):
            return []
        return [(source, target)]

    def _wire(
        self, edges: Sequence[tuple[int, int | None, str]], laps: Sequence[tuple[int, int]]
    ) -> None:
        rng = self.rng
        by_source: dict[int, list[tuple[int | None, str]]] = {}
        for source, target, port in edges:
            by_source.setdefault(source, []).append((target, port))
        for source, ways in by_source.items():
            backs = [target for other, target in laps if other == source]
            is_split = self.kinds[source] == "split"
            has_arms = not is_split and len(ways) > 1 and rng.random() < 0.25
            policy = rng.choice(self.policies)
            for place, (target, port) in enumerate(ways):
                origin: Any = self.nodes[source]
                if is_split:
                    origin = origin.each
                elif has_arms and place == 0 and not backs:
                    origin = origin.when(chance((source, "arm"), 40))
                elif has_arms or backs:
                    origin = origin.otherwise
                if place == 0:
                    origin = origin.fork(policy)
                self.paths.append(origin >> self._target(target, port))
            for back in backs:
                lap = self.nodes[source].when(chance((source, "back"), 45)).limit(4)
                self.paths.append(lap >> self.nodes[back])

    def _target(self, target: int | None, port: str) -> Any:
        if target is None:
            return END
        return self.nodes[target].into(port) if port else self.nodes[target]

    def _failures(self) -> set[int]:
        rng = self.rng
        fails = {number for number in range(self.size) if rng.random() < 0.15}
        for number in sorted(fails):
            if self.kinds[number] != "step" or rng.random() > 0.4:
                continue
            behind = range(number + 1, min(self.size, number + 4))
            steps = [other for other in behind if self.kinds[other] == "step"]
            if steps:
                self.paths.append(self.nodes[number][Failure] >> self.nodes[rng.choice(steps)])
        return fails

    def _writes(self) -> tuple[tuple[State[Any], str], ...]:
        rng = self.rng
        writes: list[tuple[State[Any], str]] = []
        for state, kind, often in (
            (NOTES, "add", 0.6),
            (COUNT, "add", 0.4),
            (PLAN, "set", 0.3),
            (NOTES, "set", 0.1),
        ):
            if rng.random() < often:
                writes.append((state, kind))
        if writes and rng.random() < 0.15:
            writes.append(rng.choice(writes))
        return tuple(writes)


# -- the oracle ------------------------------------------------------------------------------------
def values_of(history: Iterable[WriteOfHistory]) -> dict[str, Any]:
    """What the states are after some writes."""
    values = {state.name: state.start for state in STATES}
    for _, state, kind, value in history:
        if kind == "set":
            values[state.name] = value
        else:
            assert state.merge is not None
            values[state.name] = state.merge(values[state.name], value)
    return values


def in_order(histories: Iterable[History]) -> dict[WriteOfHistory, None]:
    """The writes of several ways, each once."""
    found: dict[WriteOfHistory, None] = {}
    for history in histories:
        found |= dict.fromkeys(history)
    return found


@dataclass
class Outcome:
    """What must not depend on the order in which activations end.

    Attributes:
        result: the status, the outputs, and the states at the end.
        seen: by activation what it saw; two of one scope do not exist.
        activations: how many there were.
        facts: all that moved the walk.
    """

    result: tuple[Any, ...]
    seen: dict[tuple[str, Any], Any] = field(default_factory=dict)
    activations: int = 0
    facts: list[Event] = field(default_factory=list)


class Simulation:
    """One walk over a wild graph, in which activations end in a random order."""

    def __init__(self, wild: Wild, seed: int, message: str = "in") -> None:
        self.wild = wild
        self.rng = random.Random(seed)
        self.walk = Walk(wild.graph.program, path=("wild",), observed=True)
        self.due: list[Activation] = []
        self.told_to_stop: list[int] = []
        self.finish: Finish | None = None
        self.arrived: dict[tuple[str, str, int], tuple[Any, int]] = {}
        self.kept: list[object] = []
        self.failed: dict[str, History] = {}
        self.forked: dict[tuple[int, Any], History] = {}
        self.outcome = Outcome(())
        self.clock = 0.0
        program = wild.graph.program
        if program.slots[program.start].joins:
            self.forked[program.start, ()] = ()
        self._tell(RunStarted(0.0, 0, "wild", Note(message)))

    def run(self) -> Outcome:
        """Walks to the end, and compares what each node sees with the oracle."""
        while self.finish is None:
            if self.told_to_stop and self.rng.random() < 0.5:
                self._stop_one()
                continue
            self.due = [act for act in self.due if act.id in self.walk.running]
            if not self.due:
                assert self.told_to_stop, "nothing moves"
                continue
            act = self.rng.choice(self.due)
            self.due.remove(act)
            self._end(act)
        self.outcome.result = self._result(self.finish)
        return self.outcome

    def _tell(self, fact: Event) -> None:
        self.outcome.facts.append(fact)
        commands = self.walk.apply(fact)
        outbox = self.walk.outbox
        assert outbox is not None
        for event in outbox:
            if isinstance(event, EdgeSent):
                self.kept.append(event.message)  # so that no other gets its id
                self.arrived[event.target, event.port, id(event.message)] = (
                    event.scope,
                    event.edge,
                )
        outbox.clear()
        for command in commands:
            if isinstance(command, Activation):
                self.due.append(command)
            elif isinstance(command, Cancel):
                self.told_to_stop += command.ids
            else:
                self.finish = command

    def _stop_one(self) -> None:
        id = self.told_to_stop.pop(self.rng.randrange(len(self.told_to_stop)))
        act = self.walk.running.get(id)
        if act is not None:
            self.due = [other for other in self.due if other.id != id]
            self._tell(NodeCancelled(self.clock, 0, id, act.slot.name, 0.0))

    def _end(self, act: Activation) -> None:
        self.clock += 1
        self.outcome.activations += 1
        name = act.slot.name
        plan = self.wild.plans[name]
        assert act.revision is not None
        assert not isinstance(act.revision, BrokenRevision)
        messages = self._messages(act)
        seen = {state.name: act.revision.value(state) for state in STATES}
        history = self._history(act, messages)
        if history is not None:
            assert seen == values_of(history), (name, act.scope)
        else:  # of a collect that got nothing, behind a loop: take what the walk says
            history = {}
        text = f"{name}:{digest(name, act.scope, [str(each) for each in messages], seen):x}"
        self.outcome.seen[name, act.scope] = (text, seen)
        if plan.fails and digest("fail", text) % 100 < 40:
            self.failed[name] = tuple(history)
            self._tell(NodeFailed(self.clock, 0, act.id, name, ValueError("x"), 0.0))
            return
        writes = [
            StateWrite(state, kind, _value(state, text, number))  # type: ignore[arg-type]
            for number, (state, kind) in enumerate(plan.writes)
        ]
        behind = [*history]
        for number, write in enumerate(writes):
            behind.append(((name, act.scope, number), *write))
        history_behind = tuple(behind)
        if act.slot.joins:
            self.forked[act.slot.index, act.scope] = history_behind
        output: Any = Note(text, history_behind)
        if plan.kind == "split":
            count = digest(text, "n") % 4
            output = [Note(f"{text}/{number}", history_behind) for number in range(count)]
        self._tell(NodeFinished(self.clock, 0, act.id, name, output, 0.0, tuple(writes)))

    def _messages(self, act: Activation) -> list[Any]:
        """What an activation got, in logical order."""
        if act.inputs is None:
            return act.message if isinstance(act.message, list) else [act.message]
        name = act.slot.name
        parts: list[tuple[Any, Any]] = []
        for port, given in act.inputs.items():
            for message in given if isinstance(given, list) else [given]:
                if message is not None:
                    parts.append((self.arrived[name, port, id(message)], message))
        program = self.wild.graph.program
        parts.sort(key=lambda part: (order_of(part[0][0], program), part[0][1]))
        return [message for _, message in parts]

    def _history(
        self, act: Activation, messages: Sequence[Any]
    ) -> dict[WriteOfHistory, None] | None:
        join = act.slot.join
        if join is None or messages:
            return in_order(map(self._history_of, messages))
        base = None if join.leaves else self.forked.get((join.fork, act.scope))
        return None if base is None else dict.fromkeys(base)

    def _history_of(self, message: Any) -> History:
        if isinstance(message, Note):
            return message.history
        if isinstance(message.input, (Note, Failure)):
            return self._history_of(message.input)
        return self.failed[message.node]

    def _result(self, finish: Finish) -> tuple[Any, ...]:
        if finish.status != "completed":
            return (finish.status, type(finish.error).__name__)
        outputs: Any = finish.output
        final = self.walk.final
        if final is None:
            return (finish.status, [])
        values = {state.name: final.value(state) for state in STATES}
        expected = values_of(in_order(map(self._history_of, outputs)))
        assert values == expected, "at the end"
        return (finish.status, [str(each) for each in outputs], values)


def _value(state: State[Any], text: str, number: int) -> Any:
    mark = digest(text, number)
    if state is NOTES:
        return (f"{text}.{number}",)
    return mark % 97 if state is COUNT else f"{text}.{mark % 9973}"
