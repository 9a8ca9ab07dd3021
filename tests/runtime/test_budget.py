"""Limits in dollars over models whose price nobody knows: refused, told, or the end of the walk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Limits, Router, Run, SubAgent, connect, tool
from graphflow.errors import DeclarationError, LimitExceeded, PriceUnknown
from graphflow.events import CostUnknown
from graphflow.model.seam import Request
from graphflow.providers import Failover, Price, set_price
from graphflow.providers.commands.table import COMMANDS
from graphflow.providers.recording import record
from graphflow.runtime.executor import begin
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk

USD = Limits(usd=1.0)
UNHEARD = "openai:gpt-nobody-knows"
KNOWN = "openai:gpt-5-mini"


def far(named: str) -> Any:
    return connect(named, key="sk-test", base_url="http://127.0.0.1:9/v1")


def graph_of(model: Any = None, **options: Any) -> Graph[Any, Any]:
    return Graph("g", START >> Agent("a", input=str, model=model) >> END, **options)


def told(run: Any) -> list[tuple[str, str]]:
    return [(event.node, event.model) for event in run.events if isinstance(event, CostUnknown)]


@pytest.fixture
def priced() -> Iterator[None]:
    set_price(UNHEARD, Price(input=1.0, output=1.0))
    yield
    set_price(UNHEARD, None)


# -- refused at the start --------------------------------------------------------------------------
def nested(limits: Limits | None) -> Graph[Any, Any]:
    return Graph(
        "inner", START >> Agent("deep", input=str, model=far(UNHEARD)) >> END, limits=limits
    )


@tool
async def look() -> str:
    """Look."""
    return "seen"


BOSS = ScriptedModel()
REFUSED: dict[str, tuple[Graph[Any, Any], dict[str, Any]]] = {
    "graph": (graph_of(far(UNHEARD), limits=USD), {}),
    "run": (graph_of(far(UNHEARD)), {"limits": USD}),
    "default of the graph": (graph_of(model=None, limits=USD), {"model": far(UNHEARD)}),
    "graph inside": (Graph("outer", START >> nested(USD) >> END), {}),
    "around a graph": (Graph("outer", START >> nested(None) >> END, limits=USD), {}),
    "call edge to an agent": (
        Graph(
            "g",
            START
            >> Agent(
                "boss",
                model=BOSS,
                sub_agents=[SubAgent(Agent("b", input=str, model=far(UNHEARD)), limits=USD)],
            )
            >> END,
        ),
        {},
    ),
    "call edge to a graph": (
        Graph(
            "g",
            START
            >> Agent("boss", model=BOSS, sub_agents=[SubAgent(nested(None), limits=USD)])
            >> END,
        ),
        {},
    ),
    "router": (
        Graph(
            "g",
            START >> (r := Router[str, str]("r", labels=["a", "b"], input=str, model=far(UNHEARD))),
            r["a"] >> END,
            r["b"] >> END,
            limits=USD,
        ),
        {},
    ),
    "failover": (graph_of(Failover(far(KNOWN), far(UNHEARD)), limits=USD), {}),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])
def test_a_price_that_is_known_to_be_missing_is_refused_before_anything_is_asked(
    case: str, plain: bool
) -> None:
    graph, options = REFUSED[case]
    with pytest.raises(PriceUnknown, match=f"set_price\\('{UNHEARD}'"):
        walk(graph, "x", plain=plain, **options)


@pytest.mark.usefixtures("priced")
def test_a_price_that_was_told_is_enough() -> None:
    begin(graph_of(far(UNHEARD), limits=USD), "x", Run)


@pytest.mark.parametrize(
    "model",
    [far(KNOWN), far("openrouter:some/model"), far("compatible:x"), connect("ollama:x")],
    ids=lambda m: m.name,
)
def test_what_has_a_price_costs_nothing_or_may_tell_is_not_refused(model: Any) -> None:
    begin(graph_of(model, limits=USD), "x", Run)


def test_without_a_limit_in_dollars_nothing_is_refused() -> None:
    begin(graph_of(far(UNHEARD), limits=Limits(tokens=9)), "x", Run)


def test_a_recorder_and_a_command_say_it_as_well(tmp_path: Path) -> None:
    recorder = record(tmp_path / "r.jsonl", far(UNHEARD))
    with pytest.raises(PriceUnknown):
        walk(graph_of(recorder, limits=USD), "x")
    codex = COMMANDS["codex"]("default", program="true")
    with pytest.raises(PriceUnknown, match="codex:default"):
        walk(graph_of(codex, limits=USD), "x")
    assert COMMANDS["claude-code"]("default", program="true").unpriced == ()
    set_price("codex:*", Price(input=1.0, output=1.0))
    try:
        assert codex.unpriced == ()
    finally:
        set_price("codex:*", None)


# -- found out later -------------------------------------------------------------------------------
def test_an_answer_that_tells_no_cost_is_told_once_of_each_model() -> None:
    asked = ScriptedModel(calls("look"), calls("look"), "done", usd=None)
    graph = Graph("g", START >> Agent("a", input=str, tools=[look]) >> END, limits=USD)
    run = walk(graph, "x", model=asked)
    assert run.output == "done"
    assert told(run) == [("a", "scripted")]
    assert run.usage.usd is None


def test_nothing_is_told_where_dollars_are_not_limited_or_known() -> None:
    assert told(walk(graph_of(), "x", model=ScriptedModel("y", usd=None))) == []
    assert told(walk(graph_of(limits=USD), "x", model=ScriptedModel("y", usd=0.1))) == []


@pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])
def test_by_option_it_is_the_end(plain: bool) -> None:
    asked = ScriptedModel(calls("look"), "done", usd=None)
    graph = Graph("g", START >> Agent("a", input=str, tools=[look]) >> END)
    run = walk(graph, "x", model=asked, limits=Limits(usd=1, unpriced="end"), plain=plain)
    assert isinstance(run.error, LimitExceeded)
    assert (run.error.limit, run.status) == ("usd", "limited")
    assert "nobody knows what an answer of 'scripted' costs" in str(run.error)
    assert run.usage.tool_calls == 0
    assert told(run) == [("a", "scripted")]


def test_the_end_of_a_sub_agent_is_an_error_of_its_call() -> None:
    asked = ScriptedModel(calls("child", input="x"), "child's own", "so be it", usd=None)
    child = SubAgent(Agent("child", input=str), limits=Limits(usd=1, unpriced="end"))
    run = walk(
        Graph("g", START >> Agent("a", input=str, sub_agents=[child]) >> END), "x", model=asked
    )
    assert run.output == "so be it"
    assert "LimitExceeded" in asked.requests[-1].turns[-1].results[0].text  # type: ignore[union-attr]


def test_an_answer_that_broke_off_is_told_too() -> None:
    class Broken:
        name = "broken"

        async def stream(self, request: Request) -> Any:
            async for event in ScriptedModel("words words", usd=None).stream(request):
                yield event
                raise ConnectionError("gone")

    run = walk(graph_of(limits=Limits(usd=1, unpriced="end")), "x", model=Broken())
    assert isinstance(run.error, ConnectionError)  # what happened is not hidden behind the limit
    assert told(run) == [("a", "broken")]


def test_the_option_is_checked_merged_and_written(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="unpriced"):
        Limits(unpriced="stop")  # type: ignore[arg-type]
    assert Limits(unpriced="tell").tightest(Limits(unpriced="end")).unpriced == "end"
    assert Limits(usd=1).tightest(Limits(unpriced="end")) == Limits(usd=1, unpriced="end")

    graph = graph_of("local:smollm2", limits=Limits(usd=1, unpriced="end"))
    (tmp_path / "g.yaml").write_text(graph.to_yaml())
    assert Graph.from_yaml(tmp_path / "g.yaml") == graph


def test_it_stands_in_the_report(tmp_path: Path) -> None:
    run = walk(
        graph_of(limits=Limits(usd=1, unpriced="tell")),
        "x",
        model=ScriptedModel("y", usd=None),
        observed=True,
    )
    page = Path(run.report(str(tmp_path / "report.html"))).read_text(encoding="utf-8")
    assert "the price of scripted is unknown" in page
    assert run._repr_mimebundle_()
