"""Random well-typed graphs: the answer of plain Python, under every interleaving, with nothing lost and nothing left."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import Graph, Limits
from graphflow.errors import LimitExceeded
from graphflow.events import (
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    NodeStarted,
    RunStarted,
    Stopped,
)
from graphflow.run import Run
from graphflow.runtime.executor import begin, drive
from graphflow.walk.machine import Walk
from graphflow.walk.snapshot import state_of
from tests.blocks import Block, Jitter, blocks, build, nested
from tests.conftest import Msg, walk
from tests.shapes import graph_of

often = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def canonical(run: Run[Any]) -> list[Any]:
    """The journal without times and numbers of arrival: what every interleaving must agree on."""
    paths = [path for _, path, _ in run.frames]
    where = {
        (e.frame, e.activation): (e.node, e.scope) for e in run.events if isinstance(e, NodeStarted)
    }
    rows: list[Any] = []
    for event in run.events:
        if isinstance(event, NodeStarted):
            rows.append(("start", paths[event.frame], event.node, event.scope, repr(event.input)))
        elif isinstance(event, NodeFinished):
            rows.append(
                (
                    "end",
                    paths[event.frame],
                    *where[event.frame, event.activation],
                    repr(event.output),
                )
            )
        elif isinstance(event, NodeFailed):
            rows.append(
                (
                    "error",
                    paths[event.frame],
                    *where[event.frame, event.activation],
                    repr(event.error),
                )
            )
    return sorted(rows, key=repr)


@pytest.mark.slow
@settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(block=nested, n=st.integers(0, 50), seeds=st.tuples(st.integers(), st.integers()))
def test_the_answer_of_plain_python_under_any_interleaving(
    block: Block, n: int, seeds: tuple[int, int]
) -> None:
    graph = build(block)
    assert graph.check().ok
    journals = []
    for seed in seeds:
        Jitter.random = random.Random(seed)
        run = walk(graph, Msg(n=n))
        assert run.error is None, run.error
        assert run.output == Msg(n=block.value(n))
        journals.append(canonical(run))
    assert journals[0] == journals[1]


@often
@given(block=nested, n=st.integers(0, 50), seeds=st.tuples(st.integers(), st.integers()))
def test_context_variables_tell_the_same_way_under_any_interleaving(
    block: Block, n: int, seeds: tuple[int, int]
) -> None:
    graph = build(block)
    seen = []
    for seed, plain, most in (
        (seeds[0], True, None),
        (seeds[1], False, None),
        (seeds[1], False, 1),
    ):
        Jitter.random, Jitter.ways = random.Random(seed), []
        assert walk(graph, Msg(n=n), plain=plain, limits=Limits(concurrency=most)).error is None
        seen.append(sorted(Jitter.ways))
    assert seen[0] == seen[1] == seen[2]


@often
@given(block=nested, n=st.integers(0, 50), seed=st.integers())
def test_each_activation_fires_once_per_scope_and_the_walk_ends_once(
    block: Block, n: int, seed: int
) -> None:
    Jitter.random = random.Random(seed)
    run = walk(build(block), Msg(n=n), observed=True)
    events = run.events
    starts = [(e.frame, e.node, e.scope) for e in events if isinstance(e, NodeStarted)]
    assert len(starts) == len(set(starts))
    assert [e.kind for e in events].count("run.end") == 1
    assert events[-1].kind == "run.end"
    ends = [e for e in events if isinstance(e, (NodeFinished, NodeFailed, NodeCancelled))]
    assert len(ends) == len(starts)
    assert run.usage.steps == len(starts)


@often
@given(block=blocks, n=st.integers(0, 50), seed=st.integers(), cut=st.floats(0, 1))
def test_replaying_any_prefix_of_the_facts_reproduces_the_state(
    block: Block, n: int, seed: int, cut: float
) -> None:
    Jitter.random = random.Random(seed)
    run = walk(build(block), Msg(n=n), plain=False)
    program, path, _ = run.frames[0]
    facts = [
        f
        for f in run.facts
        if isinstance(
            f, (RunStarted, NodeFinished, NodeFailed, NodeCancelled, NodeRefused, Stopped)
        )
    ]
    prefix = facts[: int(cut * len(facts)) + 1]
    one, other = Walk(program, path=path), Walk(program, path=path, observed=True)
    commands = [[repr(type(c)) for c in one.apply(fact)] for fact in prefix]
    again = [[repr(type(c)) for c in other.apply(fact)] for fact in prefix]
    assert commands == again
    assert state_of(one) == state_of(other)
    whole = Walk(program, path=path)
    for fact in facts:
        whole.apply(fact)
    assert whole.finish is not None
    assert whole.finish.output == run.output
    assert not whole.running
    assert not whole.joins


@often
@given(block=nested, n=st.integers(0, 50), seed=st.integers(), turns=st.integers(0, 60))
def test_cancelling_at_any_await_leaves_nothing_behind(
    block: Block, n: int, seed: int, turns: int
) -> None:
    Jitter.random = random.Random(seed)
    graph = build(block)

    async def main() -> Run[Any]:
        run = graph.start(Msg(n=n))
        for _ in range(turns):
            await asyncio.sleep(0)
        run.cancel()
        await run.settled()
        await asyncio.sleep(0)
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        assert not left
        return run

    run = asyncio.run(main())
    assert run.status in ("cancelled", "completed")
    assert [e.kind for e in run.events].count("run.end") == 1
    starts = sum(isinstance(e, NodeStarted) for e in run.events)
    ends = sum(isinstance(e, (NodeFinished, NodeFailed, NodeCancelled)) for e in run.events)
    assert starts == ends == len(run.steps) == run.usage.steps


@often
@given(
    block=nested,
    n=st.integers(0, 50),
    seed=st.integers(),
    limit=st.integers(0, 12),
    plain=st.booleans(),
)
def test_steps_are_never_exceeded(block: Block, n: int, seed: int, limit: int, plain: bool) -> None:
    Jitter.random = random.Random(seed)
    run = walk(build(block), Msg(n=n), limits=Limits(steps=limit), plain=plain)
    assert run.usage.steps <= limit
    assert sum(isinstance(e, (NodeFinished, NodeFailed)) for e in run.facts) <= limit
    assert sum(isinstance(e, NodeStarted) for e in run.events) == len(run.steps) == run.usage.steps
    if run.status == "limited":
        assert getattr(run.error, "limit", "") == "steps"
    else:
        assert run.output == Msg(n=block.value(n))


@often
@given(block=nested, n=st.integers(0, 50), seed=st.integers(), most=st.integers(1, 3))
def test_a_bound_on_concurrency_changes_nothing_but_speed(
    block: Block, n: int, seed: int, most: int
) -> None:
    Jitter.random = random.Random(seed)
    run = walk(build(block), Msg(n=n), limits=Limits(concurrency=most))
    assert run.output == Msg(n=block.value(n))


@often
@given(block=blocks, n=st.integers(0, 50), limit=st.none() | st.integers(0, 12))
def test_both_paths_write_the_same_facts(block: Block, n: int, limit: int | None) -> None:
    graph = build(block)

    def facts(*, plain: bool) -> list[Any]:
        Jitter.random = random.Random(1)

        async def main() -> list[Any]:
            run, frame, checked = begin(
                graph, Msg(n=n), Run, plain=plain, limits=Limits(steps=limit)
            )
            with contextlib.suppress(LimitExceeded):
                await drive(run, frame, checked)
            return [
                (
                    type(f).__name__,
                    getattr(f, "activation", 0),
                    getattr(f, "node", ""),
                    repr(getattr(f, "output", None)),
                )
                for f in run.facts
            ]

        return asyncio.run(main())

    if graph.program.straight:
        assert facts(plain=True) == facts(plain=False)
    assert FrameEntered  # frames have their own test


def test_ten_thousand_nodes_build_and_run_without_recursion() -> None:
    from graphflow import END, START, node

    @node
    async def step(m: Msg) -> Msg:
        return m

    path: Any = START
    for number in range(10_000):
        path = path >> step.named(f"n{number}")
    graph = Graph("long", path >> END)
    assert walk(graph, Msg(n=3)).output == Msg(n=3)
    assert walk(graph, Msg(n=3), plain=False).output == Msg(n=3)


@pytest.mark.slow
def test_whatever_the_proofs_let_through_walks_alike_under_every_latency() -> None:
    """Graphs drawn without a plan; two thirds are refused, for many reasons."""
    sound = 0
    for seed in range(600):
        graph = graph_of(seed)
        if graph is None:
            continue
        sound += 1
        seen = []
        for latency in range(3):
            Jitter.random = random.Random(latency)
            run = walk(graph, Msg(n=seed % 50), limits=Limits(steps=400))
            assert "bug in graphflow" not in str(run.error)
            seen.append(
                (run.status, repr(run.output), canonical(run))
                if run.error is None
                else (run.status,)
            )
        if any(len(each) == 3 for each in seen):
            assert seen[0] == seen[1] == seen[2], seed
        rows = [row[1:4] for row in canonical(run) if row[0] == "start"]
        assert len(rows) == len(set(rows)), seed
    assert sound > 150
