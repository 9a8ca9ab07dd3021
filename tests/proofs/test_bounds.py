"""`bounds()` is never too low."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import END, START, Agent, Graph, Limits, Router, SubAgent, node
from graphflow.events import NodeStarted
from tests.blocks import Block, Jitter, blocks, build
from tests.conftest import A, Msg, walk
from tests.shapes import graph_of

LONGEST = 4
"""Items a map of `tests/blocks.py` makes at most."""


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(block=blocks, n=st.integers(0, 50))
def test_no_node_is_activated_more_often_than_its_bound(block: Block, n: int) -> None:
    Jitter.random = random.Random(0)
    graph = build(block)
    run = walk(graph, Msg(n=n))
    seen = Counter(e.node for e in run.events if isinstance(e, NodeStarted))
    bounds = graph.bounds()
    for name, count in bounds.activations.items():
        assert seen[name] <= count.times * LONGEST ** len(count.lists), (
            name,
            seen[name],
            str(count),
        )
    if bounds.steps is not None:
        assert run.usage.steps <= bounds.steps


def test_no_node_of_any_shape_is_activated_more_often_than_its_bound() -> None:
    sound = 0
    for seed in range(2500):
        graph = graph_of(seed)
        if graph is None:
            continue
        sound += 1
        Jitter.random = random.Random(seed)
        run = walk(graph, Msg(n=seed % 50), limits=Limits(steps=400))
        seen = Counter(e.node for e in run.events if isinstance(e, NodeStarted))
        for name, count in graph.bounds().activations.items():
            known = not any(length.startswith("laps of ") for length in count.lists)
            assert not known or seen[name] <= count.times * LONGEST ** len(count.lists), (
                seed,
                name,
                str(count),
            )
    assert sound > 500


@node
async def grow(m: Msg | A) -> list[Msg]:
    return [m, m]  # type: ignore[list-item]


@node
async def twin(m: Msg | A) -> Msg | A:
    return m if m.n > 2 else Msg(n=m.n + 1)


@node
async def pass_on(a: A) -> Msg:
    return Msg()


def counts(graph: Graph[Any, Any]) -> dict[str, str]:
    return {name: str(count) for name, count in graph.bounds().activations.items()}


def test_each_message_that_goes_round_again_makes_laps_of_its_own() -> None:
    mapped = Graph("g", START >> grow, grow.each.limit(2) >> grow, grow.each >> END, ends="all")
    assert counts(mapped) == {"grow": "3 x |grow| x |grow|"}
    other = twin.named("other")
    forked = Graph(
        "g",
        START >> twin >> other,
        twin[A] >> END,
        (twin[Msg], other[Msg]) >> twin.named("last"),
        twin.named("last")[Msg].limit(3) >> twin,
        twin.named("last")[A] >> END,
        other[A] >> END,
        ends="all",
    )
    # 1 + 2 + 4 + 8, and each of them twice.
    assert counts(forked) == {"twin": "15", "other": "15", "last": "30"}


def test_laps_beyond_all_counting_are_a_length_of_their_own() -> None:
    graph = Graph("g", START >> grow, grow.each.limit(100) >> grow, grow.each >> END, ends="all")
    assert counts(graph) == {"grow": "2 x |laps of grow|"}
    assert graph.bounds().steps is None


def test_an_inner_loop_is_entered_by_each_lap_of_the_outer() -> None:
    edit = twin.named("edit")
    graph = Graph(
        "g",
        START >> twin,
        twin[Msg].limit(2) >> twin,
        twin[A] >> edit,
        edit[Msg].limit(3) >> twin,
        edit[A] >> END,
    )
    assert counts(graph) == {"twin": "12", "edit": "4"}


def test_of_different_lists_the_longer_stands_for_both() -> None:
    many = grow.named("many")
    graph = Graph(
        "g", START >> (grow, many), (grow.each, many.each) >> twin >> END, input=Msg, ends="all"
    )
    assert counts(graph)["twin"] == "2 x |grow or many|"


def test_what_bounds_say_of_a_loop_and_a_map() -> None:
    @node
    async def plan(m: Msg) -> list[Msg]:
        return [m]

    @node
    async def merge(ms: list[str]) -> Msg:
        return Msg()

    @node
    async def judge(m: Msg) -> A | Msg:
        return A()

    worker = Agent("worker", input=Msg, prompt="{{ n }}", model="local:smollm2")
    graph = Graph(
        "g",
        START >> plan,
        plan.each >> worker >> merge >> judge,
        judge[Msg].limit(3) >> judge,
        judge[A] >> END,
        limits=Limits(steps=90),
    )
    bounds = graph.bounds()
    assert {name: str(count) for name, count in bounds.activations.items()} == {
        "plan": "1",
        "worker": "|plan|",
        "merge": "1",
        "judge": "4",
    }
    # An empty answer is asked for again, twice.
    assert str(bounds.model_calls["worker"]) == "3 x |plan|"
    assert (bounds.steps, bounds.usd, bounds.depth) == (90, 0.0, 0)
    assert "worker" in str(bounds)


def test_a_price_nobody_knows_is_none() -> None:
    router: Router[str, str] = Router("r", input=str, labels=["a", "b"])
    graph = Graph(
        "g", START >> router, router["a"] >> END, router["b"] >> END, model="somewhere:big"
    )
    assert graph.bounds().usd is None
    assert str(graph.bounds().model_calls["r"]) == "2"


def test_model_calls_of_graphs_and_sub_agents_are_counted() -> None:
    leaf = Agent("leaf", input=str, model="local:smollm2")
    boss = Agent("boss", input=str, sub_agents=[leaf], max_turns=3, model="local:smollm2")
    inner = Graph("inner", START >> boss >> END)
    outer = Graph("outer", START >> inner >> END)
    assert {n: str(c) for n, c in outer.bounds().model_calls.items()} == {
        "inner > boss": "3",
        "inner > boss > leaf": "3 x |calls of boss|",
    }
    assert outer.bounds().steps is None
    assert "Limits(steps=...)" in str(outer.bounds())


def test_the_depth_counts_what_tools_call() -> None:
    from graphflow import Context, tool

    clerk = Agent("clerk", input=str)

    @tool(calls=[clerk])
    async def helper(x: str, ctx: Context) -> str:
        """Help."""
        return str(await ctx.call(clerk, x))

    assert Graph("g", START >> Agent("boss", input=str, tools=[helper]) >> END).bounds().depth == 1


@pytest.mark.timeout(300)
def test_loops_in_loops_in_loops_are_counted_in_little_time() -> None:
    """Thirty checks in a row, each of which leads back to the very beginning: thirty loops, each around the one before."""
    paths: list[Any] = []
    before: Any = START
    for number in range(30):
        check, passing = twin.named(f"check{number}"), pass_on.named(f"pass{number}")
        paths += [before >> check, check[A] >> passing]
        if number:
            paths.append(check[Msg].limit(1) >> twin.named("check0"))
        before = passing
    graph = Graph(
        "g",
        *paths,
        twin.named("check0")[Msg].limit(1) >> twin.named("check0"),
        before >> END,
        input=Msg,
    )
    assert graph.bounds().activations["check0"].times == 2**30
    assert graph.bounds().activations["check29"].times >= 2


def test_a_sub_agent_of_a_sub_agent_counts_as_deep_as_it_goes() -> None:
    asked = Agent("asked", input=str, output=str, model="local:smollm2", prompt="{{ message }}")
    graph = Graph("inner", START >> asked >> END)
    once, twice = SubAgent(graph), SubAgent(SubAgent(graph))
    assert Graph("g", START >> once >> END).bounds().depth == 1
    bounds = Graph("g", START >> twice >> END).bounds()
    assert bounds.depth == 2
    assert list(bounds.model_calls) == ["inner > inner > asked"]
