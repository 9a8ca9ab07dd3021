"""`bounds()` is never too low."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import END, START, Agent, Graph, Limits, Router, node
from graphflow.events import NodeStarted
from tests.blocks import Block, Jitter, blocks, build
from tests.conftest import A, Msg, walk

LONGEST = 4
"""Items a map of `tests/blocks.py` makes at most."""


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(block=blocks, n=st.integers(0, 50))
def test_no_node_is_activated_more_often_than_its_bound(block: Block, n: int) -> None:
    Jitter.random = random.Random(0)
    graph = build(block)
    run = walk(graph, Msg(n=n))
    seen = Counter(e.node for e in run.events if isinstance(e, NodeStarted))
    bounds = graph.bounds()
    for name, count in bounds.activations.items():
        assert seen[name] <= count.times * LONGEST ** len(count.lists), (name, seen[name], str(count))
    if bounds.steps is not None:
        assert run.usage.steps <= bounds.steps


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
    assert str(bounds.model_calls["worker"]) == "3 x |plan|"  # an empty answer is asked for again, twice
    assert (bounds.steps, bounds.usd, bounds.depth) == (90, 0.0, 0)
    assert "worker" in str(bounds)


def test_a_price_nobody_knows_is_none() -> None:
    router: Router[str, str] = Router("r", input=str, labels=["a", "b"])
    graph = Graph("g", START >> router, router["a"] >> END, router["b"] >> END, model="somewhere:big")
    assert graph.bounds().usd is None
    assert str(graph.bounds().model_calls["r"]) == "2"


def test_model_calls_of_graphs_and_sub_agents_are_counted() -> None:
    leaf = Agent("leaf", input=str, model="local:smollm2")
    boss = Agent("boss", input=str, sub_agents=[leaf], turns=3, model="local:smollm2")
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
