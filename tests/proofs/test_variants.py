"""Variants: other nodes in the places of some, wherever they stand, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, GraphError, Limits, Store, SubAgent, node, tool
from graphflow.errors import DeclarationError
from graphflow.testing import ScriptedModel, says
from tests.conftest import Msg, walk
from tests.runtime.test_replay import looped


@node
async def up(m: Msg) -> Msg:
    return Msg(n=m.n + 1)


@node
async def down(m: Msg) -> Msg:
    return Msg(n=m.n - 1)


@node
async def words(m: Msg) -> str:
    return str(m.n)


def test_a_node_is_replaced_on_arrows_and_in_graphs_within() -> None:
    inner = Graph("inner", START >> up >> END)
    graph = Graph(
        "g",
        START >> up >> inner >> END,
        limits=Limits(steps=9),
        timeout_s=5.0,
        description="counts",
    )
    other = graph.variant({up: down})
    assert walk(other, Msg(n=5)).output == Msg(n=3)
    assert walk(graph, Msg(n=5)).output == Msg(n=7)
    assert (other.name, other.limits, other.timeout_s, other.description) == (
        "g",
        Limits(steps=9),
        5.0,
        "counts",
    )
    assert [each.name for each in other.nodes] == ["up", "inner"]
    outer = Graph("outer", START >> inner >> up.named("last") >> END)
    assert walk(outer.variant({"inner > up": down}), Msg(n=5)).output == Msg(n=5)


def test_loops_maps_guards_and_ports_stay() -> None:
    @node
    async def split(m: Msg) -> list[Msg]:
        return [Msg(n=i) for i in range(m.n)]

    @node
    async def total(ms: list[Msg], first: Msg) -> Msg:
        return Msg(n=sum(m.n for m in ms) + first.n)

    each = up.named("each")
    paths = [
        START >> up >> split,
        split.each >> each >> total.into("ms"),
        up >> total.into("first"),
        total >> END,
    ]
    graph = Graph("g", paths)
    assert walk(graph, Msg(n=2)).output == Msg(n=9)
    assert walk(graph.variant({"each": down}), Msg(n=2)).output == Msg(n=3)


def test_what_is_called_handed_over_to_or_delegated_to_is_replaced() -> None:
    @tool
    async def look(what: str) -> str:
        """Looks."""
        return f"found {what}"

    @tool(name="look")
    async def glance(what: str) -> str:
        """Glances."""
        return f"glanced at {what}"

    helper = Agent("helper", input=str, tools=[look])
    second = Agent("second", input=str)
    boss = Agent("boss", input=str, sub_agents=[SubAgent(helper, name="aide")], handoffs=[second])
    graph = Graph("g", START >> boss >> END, second >> END)
    other = graph.variant({look: glance, "second": second.but(system="Be brief.")})
    found = other.reach()
    assert glance in found
    assert look not in found
    assert look in graph.reach()
    [changed] = [each for each in found if each.name == "second"]
    assert isinstance(changed, Agent)
    assert changed.system is not None


def test_what_takes_a_place_takes_and_answers_the_same() -> None:
    graph = Graph("g", START >> up >> END)
    with pytest.raises(
        DeclarationError, match=r"'words' is \(m: Msg\) -> str, and 'up' is \(m: Msg\) -> Msg"
    ):
        graph.variant({up: words})
    with pytest.raises(DeclarationError, match="'upp' does not stand in it; there are 'up'"):
        graph.variant({"upp": down})
    with pytest.raises(DeclarationError, match="is not a node"):
        graph.variant({up: 3})  # type: ignore[dict-item]
    assert graph.variant({}) is graph


def test_a_name_that_stands_for_several_nodes_is_refused() -> None:
    one = Graph("one", START >> up >> END)
    two = Graph("two", START >> down.named("up") >> END)
    graph = Graph("g", START >> one >> two >> END)
    with pytest.raises(DeclarationError, match="several nodes"):
        graph.variant({"up": down})
    assert walk(graph.variant({"two > up": up}), Msg(n=1)).output == Msg(n=3)


def test_an_agent_may_have_another_prompt_model_and_settings() -> None:
    agent = Agent("a", input=Msg, prompt="Old {{ n }}", temperature=0.5)
    model = ScriptedModel("x", "y")
    twin = agent.but(prompt="New {{ n }}", temperature=0.1, model=model)
    assert (agent.settings.temperature, twin.settings.temperature) == (0.5, 0.1)
    walk(Graph("g", START >> twin >> END), Msg(n=3))
    walk(Graph("g", START >> agent >> END), Msg(n=3), model=model)
    assert [request.turns[0].text for request in model.requests] == ["New 3", "Old 3"]  # type: ignore[union-attr]
    with pytest.raises(GraphError, match="nothing"):
        Graph("g", START >> agent >> END).variant({"a": agent.but(prompt="{{ nothing }}")})


@looped
async def test_a_fork_with_another_prompt_asks_again_from_there_only() -> None:
    store = Store.open("memory:")
    first = Agent("first", input=str)
    second = Agent("second", input=str, system="Be long.")
    graph = Graph("g", START >> first >> second >> END)
    await graph.run("go", store=store, id="r", model=ScriptedModel("a", "b"))
    model = ScriptedModel(says("short"))
    other: Any = graph.variant({"second": second.but(system="Be brief.")})
    fork = await graph.fork("r", store=store, at="second", graph=other, new_id="f", model=model)
    assert fork.output == "short"
    assert [request.system for request in model.requests] == ["Be brief."]
    assert (await other.replay("f", store=store)).output == "short"
