"""What nobody should write and somebody will: claims by the thousand, states of megabytes, graphs with too many walks."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import (
    END,
    MCP,
    START,
    Agent,
    AtLeast,
    AtMost,
    Before,
    Context,
    Graph,
    GraphError,
    Never,
    State,
    Store,
    node,
    tool,
)
from graphflow.errors import ClaimRefused, DeclarationError
from graphflow.events import CallFailed
from graphflow.merges import extend
from graphflow.testing import ScriptedModel, calls
from tests.looped import looped


@node
async def first(text: str) -> str:
    return text


@node
async def second(text: str) -> str:
    return text


@tool
async def charge(amount: int) -> int:
    """Charges."""
    return amount


clerk = Agent("clerk", input=str, tools=[charge])


def test_ten_thousand_claims_are_proven_and_those_of_a_model_enforced() -> None:
    many = [AtMost(name, times) for name in ("first", "second") for times in range(1, 5001)]
    graph = Graph("g", START >> first >> second >> END, claims=many)
    facts = [fact for fact in graph.check().facts if fact.startswith("claim")]
    assert len(facts) == 10_000
    assert all("proven" in fact for fact in facts)
    enforced = [AtMost("charge", times) for times in range(2, 10_002)]
    desk = Graph("desk", START >> clerk >> END, claims=enforced)
    model = ScriptedModel(*[calls("charge", amount=number) for number in range(4)], "done")
    run = desk.run_sync("go", model=model)
    refused = [event.error for event in run.events if isinstance(event, CallFailed)]
    assert len(refused) == 2
    assert all(isinstance(error, ClaimRefused) for error in refused)


@looped
async def test_values_of_megabytes_are_merged_kept_and_read_back() -> None:
    pages = State("pages", list[str], start=[], merge=extend)

    @node(adds=[pages], effects=[])
    async def load(name: str, ctx: Context) -> str:
        ctx.add(pages, [name * 10_000_000])
        return name

    @node(effects=[])
    async def split(names: str) -> list[str]:
        return list(names)

    @node(reads=[pages], effects=[])
    async def gather(names: list[str], ctx: Context) -> list[int]:
        return [len(page) for page in ctx.read(pages)]

    graph = Graph("g", START >> split, split.each >> load >> gather >> END, state=[pages])
    store = Store.open("memory:")
    run = await graph.run("abc", store=store, id="r")
    assert run.output == [10_000_000] * 3
    loaded = await store.load("r", graph)
    assert [page[0] for page in loaded.state[pages]] == ["a", "b", "c"]


def wide() -> Graph[Any, Any]:
    """A graph with more walks than anybody can look at: five branches, each of which may go round as often as it likes."""

    @node
    async def fork(text: str) -> str:
        return text

    @node
    async def gather(texts: list[str]) -> str:
        return texts[0]

    @node
    async def after(text: str) -> str:
        return text

    @node
    async def work(text: str) -> str | int:
        return text

    @node
    async def end(number: int) -> str:
        return str(number)

    paths: list[Any] = [START >> fork]
    for number in range(5):
        one, done = work.named(f"work{number}"), end.named(f"end{number}")
        paths += [fork >> one, one[str] >> one, one[int] >> done >> gather]
    return Graph("wide", *paths, gather >> after >> END)


def test_too_many_states_are_unknown_and_it_is_told_where_they_are_widest() -> None:
    # It sees all branches, so none can be looked at alone.
    verdict = wide().prove(Never("work", after="gather"), states=3_000)
    assert (verdict.status, verdict.holds) == ("unknown", False)
    assert verdict.how.startswith("unknown after 3,000 states, widest at work")
    assert "Never('work', after='gather'): unknown after 3,000 states" in str(verdict)


def test_claims_about_nothing_are_refused_unless_a_server_may_bring_the_name() -> None:
    with pytest.raises(
        GraphError, match="nothing in 'g' is named 'chargee'; did you mean 'charge'"
    ):
        Graph("g", START >> clerk >> END, claims=[AtMost("chargee", 1)])
    served = Agent("served", input=str, tools=[charge], mcp=[MCP("shop", ["shop-server"])])
    graph = Graph("g", START >> served >> END, claims=[AtMost("chargee", 1)])
    assert graph.prove(AtMost("chargee", 1)).status == "enforced"
    with pytest.raises(DeclarationError, match="no arm 'Yes'"):
        graph.prove(AtLeast("served[Yes]", 1))


def test_vacuous_and_contradicting_claims_are_told() -> None:
    claims = [Before("first", "second"), Never("second", after="first")]
    graph = Graph("g", START >> first >> second >> END, claims=claims)
    assert "'second' can never begin" in "\n".join(graph.check().warnings)
