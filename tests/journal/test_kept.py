"""What a run keeps of a long loop: the newest activations, exactly as a run tells them that keeps all."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import END, START, Failure, Graph, node
from graphflow.errors import DeclarationError
from graphflow.events import Event, NodeFinished, NodeStarted
from graphflow.journal.stretch import KEEP_STEPS, Stretch
from tests.conftest import A, B, Msg, walk


@node
async def up(m: Msg) -> Msg:
    return Msg(n=m.n + 1)


def until(last: int) -> Any:
    @node
    async def judge(m: Msg) -> Msg | A:
        return m if m.n < last else A(n=m.n)

    return judge


def counting(last: int, *between: Any) -> Graph[Any, Any]:
    judge = until(last)
    path: Any = START >> up
    for each in between:
        path = path >> each
    return Graph("g", path >> judge, judge[Msg].limit(10**6) >> up, judge[A] >> END)


def rows(events: list[Event]) -> list[Any]:
    return [
        (
            type(e).__name__,
            e.frame,
            e.activation,
            e.node,
            getattr(e, "scope", None),
            repr(getattr(e, "input", e.at and 0)),
        )
        for e in events
        if isinstance(e, (NodeStarted, NodeFinished))
    ]


def kept(run: Any) -> int:
    return sum(len(row) if isinstance(row, Stretch) else 1 for row in run.journal)


def test_a_long_loop_keeps_its_newest_activations() -> None:
    graph = counting(12_000)
    run = walk(graph, Msg())
    assert run.output == A(n=12_000)
    assert run.usage.steps == 24_000
    assert run.dropped > 0
    assert f"the oldest {run.dropped} activations not kept" in repr(run)
    assert len(run.steps) == 24_000 - run.dropped
    assert KEEP_STEPS <= len(run.steps) <= KEEP_STEPS + 3 * 1024
    assert [s.output.n for s in run.steps if s.node == "up"] == list(
        range(12_001 - len(run.steps) // 2, 12_001)
    )
    assert kept(run) <= KEEP_STEPS + 3 * 1024


def test_what_is_kept_is_what_a_run_tells_that_keeps_all() -> None:
    inner = Graph("inner", START >> up.named("in") >> END)
    graph = counting(2_500, inner)
    whole, short = walk(graph, Msg(), keep_steps=10**6), walk(graph, Msg(), keep_steps=0)
    assert whole.dropped == 0
    assert short.dropped > 0
    mine = [row for row in rows(short.events) if row[1] == 0]
    assert mine == [row for row in rows(whole.events) if row[1] == 0][-len(mine) :]
    assert short.output == whole.output
    assert {e.frame for e in short.events} < {e.frame for e in whole.events}


def test_nested_loops_are_kept_with_the_laps_that_they_had() -> None:
    @node
    async def inner(m: Msg) -> Msg | A:
        return Msg(n=m.n + 1) if m.n % 7 else A(n=m.n + 1)

    @node
    async def outer(a: A) -> Msg | str:
        return Msg(n=a.n) if a.n < 4_000 else "done"

    graph = Graph(
        "g",
        START >> inner,
        inner[Msg].limit(9) >> inner,
        inner[A] >> outer,
        outer[Msg].limit(10**6) >> inner,
        outer[str] >> END,
    )
    whole, short = walk(graph, Msg(n=1), keep_steps=10**6), walk(graph, Msg(n=1), keep_steps=1)
    assert short.dropped > 0
    assert rows(short.events) == rows(whole.events)[-len(rows(short.events)) :]


def test_a_loop_of_failures_keeps_no_more() -> None:
    @node
    async def stubborn(m: Msg | Failure) -> Msg:
        n = m.input.n if isinstance(m, Failure) else m.n
        if n < 6_000:
            raise ValueError(n)
        return Msg(n=n)

    @node
    async def again(f: Failure) -> Msg:
        return Msg(n=f.input.n + 1)

    graph = Graph(
        "g", START >> stubborn >> END, stubborn[Failure].limit(10**6) >> again >> stubborn
    )
    run = walk(graph, Msg(), keep_steps=100)
    assert run.output == Msg(n=6_000)
    assert kept(run) < 6_000
    assert run.steps[-1].output == Msg(n=6_000)
    assert run.failures[-1].error.args == (5_999,)  # type: ignore[union-attr]


def forked(last: int, policy: Any = "cancel") -> Graph[Any, Any]:
    """A loop with a fork, a join and a dead end in each lap, and a branch that leaves it."""
    judge = until(last)

    @node
    async def both(ms: list[Msg]) -> Msg:
        return ms[0]

    @node
    async def out(m: Msg) -> A | B:
        return A(n=m.n) if m.n % 500 == 0 else B()

    @node
    async def nothing(b: B) -> list[A]:
        return []

    left, right = up.named("left"), up.named("right")
    fan = up.fork(policy) >> (left, right, out)
    back = judge[Msg].limit(10**6) >> up
    return Graph(
        "g",
        START >> up,
        fan,
        (left, right) >> both >> judge,
        back,
        judge[A] >> END,
        out[A] >> END,
        out[B] >> nothing,
        nothing.each >> END,
        ends="all",
    )


@pytest.mark.parametrize("policy", ["cancel", "isolate", "finish"])
def test_a_loop_with_forks_keeps_its_newest_activations(policy: Any) -> None:
    graph = forked(3_000, policy)
    whole, short = walk(graph, Msg(), keep_steps=10**6), walk(graph, Msg(), keep_steps=100)
    assert (whole.dropped, whole.output) == (0, short.output)
    assert short.dropped > 5_000
    assert len(short.steps) == whole.usage.steps - short.dropped
    assert kept(short) < 4_500
    last = len([row for row in rows(short.events) if row[0] == "NodeFinished"])
    ends = [row for row in rows(whole.events) if row[0] == "NodeFinished"]
    assert [row[2:4] for row in rows(short.events) if row[0] == "NodeFinished"] == [
        row[2:4] for row in ends[-last:]
    ]
    scopes = {row[2]: row[4:] for row in rows(whole.events) if row[0] == "NodeStarted"}
    assert all(scopes[row[2]] == row[4:] for row in rows(short.events) if row[0] == "NodeStarted")


def test_a_snapshot_goes_on_as_the_walk_that_it_was_made_of() -> None:
    from graphflow.events import NodeCancelled, NodeFailed, RunStarted, Stopped
    from graphflow.walk.machine import Walk
    from graphflow.walk.snapshot import copied_walk, state_of

    for policy in ("cancel", "isolate", "finish"):
        run = walk(forked(12, policy), Msg(), plain=False)
        program, path, _ = run.frames[0]
        facts = [
            f
            for f in run.facts
            if isinstance(f, (RunStarted, NodeFinished, NodeFailed, NodeCancelled, Stopped))
        ]
        for cut in range(0, len(facts), 3):
            first = Walk(program, path=path)
            for fact in facts[:cut]:
                first.apply(fact)
            twin = copied_walk(first)
            assert state_of(twin) == state_of(first)
            for fact in facts[cut:]:
                twin.apply(fact)
            assert state_of(first) == state_of(copied_walk(first))
            assert twin.finish is not None
            assert twin.finish.output == run.output
            assert not twin.joins


def test_a_chain_and_a_run_that_is_listened_to_keep_everything() -> None:
    path: Any = START
    for number in range(3_000):
        path = path >> up.named(f"n{number}")
    run = walk(Graph("chain", path >> END), Msg(), keep_steps=0)
    assert (run.dropped, len(run.steps)) == (0, 3_000)
    heard = walk(counting(2_000), Msg(), observed=True, keep_steps=0)
    assert (heard.dropped, len(heard.steps)) == (0, 4_000)


@pytest.mark.parametrize("wrong", [-1, "all", 1.5])
def test_what_is_no_number_of_activations_is_refused(wrong: Any) -> None:
    with pytest.raises(
        DeclarationError, match=r"keep_steps=.*must be a number of activations, 0 or more"
    ):
        walk(counting(1), Msg(), keep_steps=wrong)
