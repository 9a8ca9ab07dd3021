"""Depth: a limit of the walk, refused before any work, with the whole path."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import END, START, Agent, Context, Graph, GraphError, Limits, SubAgent, node, tool
from graphflow.errors import DepthExceeded
from graphflow.events import FrameEntered
from graphflow.testing import ScriptedModel, calls, says
from tests.conftest import Msg, walk


@node(calls=["diver"])
async def diver(m: Msg, ctx: Context) -> str:
    return "unused"


def nest(levels: int) -> Graph[Any, Any]:
    @node
    async def leaf(m: Msg, ctx: Context) -> str:
        return " > ".join(ctx.path)

    graph: Graph[Any, Any] = Graph("g0", START >> leaf >> END)
    for level in range(1, levels + 1):
        graph = Graph(f"g{level}", START >> graph >> END, limits=Limits(depth=levels))
    return graph


def test_nested_graphs_carry_the_path() -> None:
    run = walk(nest(3), Msg())
    assert run.output == "g3 > g2 > g1 > g0"
    assert [e.depth for e in run.events if isinstance(e, FrameEntered)] == [1, 2, 3]


def test_static_nesting_deeper_than_the_limit_is_refused_at_build() -> None:
    with pytest.raises(GraphError, match="nested 6 deep"):
        Graph("outer", START >> nest(5) >> END)
    assert walk(Graph("outer", START >> nest(4) >> END), Msg()).status == "completed"


def test_a_limit_of_the_run_is_tighter_than_the_graph_and_refuses_before_work() -> None:
    run = walk(nest(3), Msg(), limits=Limits(depth=2))
    assert isinstance(run.error, DepthExceeded)
    assert run.error.path == ("g3", "g2", "g1", "g0")
    assert run.status == "limited"
    assert not [e for e in run.events if e.kind == "node.end"]


def self_calling() -> Graph[Any, Any]:
    agent = Agent(
        "digger", input=str, prompt="{{ text }}", sub_agents=["digger"], description="Digs deeper."
    )
    return Graph("mine", START >> agent >> END)


def test_a_self_calling_agent_stops_at_the_limit() -> None:
    """Level 5 is the last; there the delegation tool is not offered any more."""
    model = ScriptedModel(
        *[calls("digger", input=f"level {i}") for i in range(1, 6)], *["bottom"] * 6
    )
    run = walk(self_calling(), "level 0", model=model)
    assert run.error is None
    entered = [e for e in run.events if isinstance(e, FrameEntered)]
    assert [e.depth for e in entered] == [1, 2, 3, 4, 5]
    assert entered[-1].path == ("mine", *["digger"] * 5)
    assert [bool(r.tools) for r in model.requests[:6]] == [True] * 5 + [False]
    model.done()


def test_a_call_that_comes_all_the_same_is_refused_before_any_work() -> None:
    model = ScriptedModel(
        *[calls("digger", input=f"level {i}") for i in range(1, 7)], *["bottom"] * 6
    )
    run = walk(self_calling(), "level 0", model=model)
    assert run.error is None
    refused = [e for e in run.events if e.kind == "call.error"]
    assert len(refused) == 1
    error = refused[0].error  # type: ignore[attr-defined]
    assert isinstance(error, DepthExceeded)
    assert error.path == ("mine", *["digger"] * 6)
    assert len([e for e in run.events if isinstance(e, FrameEntered)]) == 5
    told = model.requests[6].turns[-1].results[0]  # type: ignore[union-attr]
    assert not told.ok
    assert "depth limit of 5" in told.content


def test_thirty_nested_calls_stop_at_depth_five_with_the_path() -> None:
    model = ScriptedModel(
        *[calls("digger", input=f"level {i}") for i in range(1, 31)], *["bottom"] * 30
    )
    run = walk(self_calling(), "level 0", model=model)
    assert max(e.depth for e in run.events if isinstance(e, FrameEntered)) == 5


def test_mutually_calling_agents_are_bounded_drawn_and_listed() -> None:
    ping = Agent("ping", input=str, prompt="{{ text }}", sub_agents=["pong"])
    pong = Agent("pong", input=str, prompt="{{ text }}", sub_agents=["ping"])
    graph = Graph("table", START >> ping >> pong >> END)
    assert any("ping > pong > ping: bounded by depth 5" in fact for fact in graph.check().facts)
    assert "-.->" in graph.to_mermaid()
    assert graph.bounds().depth == 5
    names = ["pong", "ping", "pong", "ping", "pong"]
    model = ScriptedModel(*[calls(name, input="x") for name in names], *["end"] * 7)
    run = walk(graph, "go", model=model)
    deepest = max((e for e in run.events if isinstance(e, FrameEntered)), key=lambda e: e.depth)
    assert deepest.path == ("table", *names)


def test_the_call_edges_own_limit_is_the_tightest() -> None:
    helper = Agent("helper", input=str, prompt="{{ text }}", sub_agents=["helper"])
    boss = Agent(
        "boss",
        input=str,
        prompt="{{ text }}",
        sub_agents=[SubAgent(helper, limits=Limits(depth=1))],
    )
    graph = Graph("office", START >> boss >> END)
    model = ScriptedModel(*[calls("helper", input="x") for _ in range(3)], *["end"] * 5)
    run = walk(graph, "go", model=model)
    assert run.error is None
    assert max(e.depth for e in run.events if isinstance(e, FrameEntered)) == 2


def test_depth_zero_allows_no_frame() -> None:
    run = walk(Graph("outer", START >> nest(0) >> END), Msg(), limits=Limits(depth=0))
    assert isinstance(run.error, DepthExceeded)


def test_what_is_left_goes_down_and_usage_comes_up() -> None:
    seen: list[Limits] = []

    @tool
    async def look(ctx: Context) -> str:
        """Look."""
        seen.append(ctx.limits)
        return "seen"

    helper = Agent("helper", input=str, prompt="{{ text }}", tools=[look])
    boss = Agent("boss", input=str, prompt="{{ text }}", sub_agents=[helper])
    graph = Graph(
        "office", START >> boss >> END, limits=Limits(tokens=1000, steps=50, tool_calls=7)
    )
    model = ScriptedModel(calls("helper", input="x"), calls("look"), "done", "all done")
    run = walk(graph, "go", model=model)
    assert run.output == "all done"
    assert (run.usage.model_calls, run.usage.tokens, run.usage.tool_calls, run.usage.steps) == (
        4,
        60,
        1,
        4,
    )
    assert seen == [Limits(depth=4, tokens=970, steps=46, tool_calls=6)]


def test_parallel_children_keep_their_own_answers() -> None:
    from graphflow.testing import both

    helper = Agent("helper", input=str, prompt="{{ text }}")
    boss = Agent("boss", input=str, prompt="{{ text }}", sub_agents=[helper])
    model = ScriptedModel(
        both(
            calls("helper", input="red"),
            calls("helper", input="green"),
            calls("helper", input="blue"),
        ),
        says("R", when="red", wait_s=0.02),
        says("G", when="green", wait_s=0.01),
        says("B", when="blue"),
        "done",
    )
    walk(Graph("office", START >> boss >> END), "go", model=model)
    results = model.requests[-1].turns[-1].results  # type: ignore[union-attr]
    assert [r.content for r in results] == ["R", "G", "B"]


@pytest.mark.parametrize("observed", [False, True])
def test_nobody_is_asked_about_a_sub_agent_that_may_not_be_entered(observed: bool) -> None:
    asked: list[str] = []

    async def approve(use: Any) -> bool:
        asked.append(use.node)
        return True

    helper = SubAgent(Agent("helper", input=str, description="Helps."), approval=True)

    @node(calls=[helper])
    async def lead(text: str, ctx: Context) -> str:
        return str(await ctx.call(helper, text))

    graph = Graph("g", START >> lead >> END, model=ScriptedModel("unused"))
    run = walk(graph, "x", limits=Limits(depth=0), approve=approve, observed=observed)
    assert isinstance(run.error, DepthExceeded)
    assert not asked
    assert not [event for event in run.events if event.kind in ("approval.ask", "approval")]
    assert walk(graph, "x", approve=approve).status == "completed"
    assert asked == ["helper"]
