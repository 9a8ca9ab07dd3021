"""States: whatever the graph and whoever is faster, each node sees what was written on the ways that led to it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow.proofs.conflicts import UnprovenConflicts, conflicts
from graphflow.walk import joins, outputs
from graphflow.walk import revision as revision_module
from graphflow.walk.machine import Walk
from graphflow.walk.revision import Revision, joined
from tests.walk.state_graphs import ALL_POLICIES, STATES, Outcome, Simulation, Wild, wild

SEEDS = range(4)


def results(made: Wild) -> list[Outcome]:
    return [Simulation(made, seed).run() for seed in SEEDS]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), size=st.integers(4, 13))
def test_each_node_sees_the_writes_on_its_ways_whoever_is_faster(seed: int, size: int) -> None:
    made = wild(random.Random(seed), size)
    first, *others = results(made)
    for other in others:
        if {first.result[0], other.result[0]} == {"completed"}:
            assert other.result == first.result
            # Which of those that nobody needs any more had begun is for the clock to say; what they saw is not.
            for activation in first.seen.keys() & other.seen.keys():
                assert other.seen[activation] == first.seen[activation]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), size=st.integers(4, 13))
def test_the_same_holds_where_branches_are_cancelled(seed: int, size: int) -> None:
    made = wild(random.Random(seed), size, ALL_POLICIES)
    for outcome in results(made):  # each compares what its nodes see with what their messages tell
        assert outcome.result


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), size=st.integers(4, 13))
def test_the_same_facts_make_the_same_states(seed: int, size: int) -> None:
    made = wild(random.Random(seed), size, ALL_POLICIES)
    simulation = Simulation(made, 1)
    facts = simulation.run().facts
    again = Walk(made.graph.program, path=("wild",))
    for fact in facts:
        again.apply(fact)
    first, second = simulation.walk.final, again.final
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        for state in STATES:
            assert first.value(state) == second.value(state)


class Observer:
    """Notes which writes were in each other's way where branches were joined."""

    def __init__(self, made: Wild, monkeypatch: pytest.MonkeyPatch) -> None:
        self.conflicts: set[tuple[str, str, str]] = set()
        self.writers: dict[int, str] = {}
        monkeypatch.setattr(joins, "joined", self.join)
        monkeypatch.setattr(outputs, "joined", self.join)
        chunk = revision_module.WriteSet
        self.names: list[str] = []

        def noted(writes: Any) -> Any:
            made_chunk = chunk(writes)
            self.kept.append(made_chunk)
            self.writers[id(made_chunk)] = self.names[-1]
            return made_chunk

        self.kept: list[Any] = []
        monkeypatch.setattr(revision_module, "WriteSet", noted)

    def join(self, base: Revision, revisions: Any) -> Revision:
        branches = [revision.since(base) for revision in revisions]
        for place, left in enumerate(branches):
            for right in branches[place + 1 :]:
                self._compare(left, right)
        return joined(base, revisions)

    def _compare(self, left: list[Any], right: list[Any]) -> None:
        shared = {id(chunk) for chunk in left} & {id(chunk) for chunk in right}
        for one in left:
            for other in right:
                if id(one) in shared or id(other) in shared:
                    continue
                for write in one.writes:
                    for beside in other.writes:
                        if write.state == beside.state and "set" in (write.kind, beside.kind):
                            names = sorted((self.writers[id(one)], self.writers[id(other)]))
                            self.conflicts.add((write.state.name, *names))  # type: ignore[arg-type]


class Named(Simulation):
    """Tells an observer who is writing."""

    def __init__(self, made: Wild, seed: int, observer: Observer) -> None:
        self.observer = observer
        super().__init__(made, seed, f"in{seed}")

    def _end(self, act: Any) -> None:
        self.observer.names.append(act.slot.name)
        super()._end(act)


@pytest.mark.parametrize("seed", range(8))
def test_the_proof_misses_no_conflict_that_a_walk_shows(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    seen_ever = proven_ever = 0
    for _ in range(30):
        made = wild(rng, rng.randrange(4, 14))
        with monkeypatch.context() as patched:
            observer = Observer(made, patched)
            for latency in range(6):
                Named(made, latency, observer).run()
        names = [slot.name for slot in made.graph.program.slots]
        proven: set[tuple[str, str, str]] = set()
        for state in STATES:
            try:
                found = conflicts(made.graph.program, made.writers(state))
            except UnprovenConflicts:  # it is refused as a whole
                observer.conflicts = {each for each in observer.conflicts if each[0] != state.name}
                continue
            for conflict in found:
                pair = sorted((names[conflict.first], names[conflict.second]))
                proven.add((state.name, pair[0], pair[1]))
        assert observer.conflicts <= proven
        seen_ever += len(observer.conflicts)
        proven_ever += len(proven)
    assert seen_ever > 0
    assert proven_ever <= 3 * seen_ever
