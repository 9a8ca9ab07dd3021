"""What else is told: answers that were refused and repaired, how servers fare, the first token; and what is counted of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, MCP, START, Agent, Context, Graph, Retry, Store, node
from graphflow.errors import OutputInvalid
from graphflow.events import (
    FirstToken,
    ModelFinished,
    OutputRefused,
    OutputRepaired,
    ServerChanged,
    ServerLost,
    ServerOpened,
)
from graphflow.runtime.statistics import Latency
from graphflow.telemetry import RunEvent
from graphflow.testing import ScriptedModel, calls
from tests.conftest import Msg, walk
from tests.leftovers import children
from tests.mcp.servers import dynamic
from tests.telemetry.office import chain, desk
from tests.waiting import eventually


class Verdict(BaseModel, frozen=True):
    score: int


def judge(*script: str) -> Graph[str, Verdict]:
    model = ScriptedModel(*script)
    return Graph("court", START >> Agent("judge", input=str, output=Verdict, model=model) >> END)


def test_an_answer_that_is_refused_and_then_repaired_is_told() -> None:
    run = judge("no json", '{"score": "x"}', '{"score": 3}').run_sync("go")
    refused = [event for event in run.events if isinstance(event, OutputRefused)]
    assert [event.attempt for event in refused] == [1, 2]
    assert "score" in refused[1].why
    [repaired] = [event for event in run.events if isinstance(event, OutputRepaired)]
    assert (repaired.node, repaired.attempts) == ("judge", 3)


def test_an_answer_that_fits_at_once_is_no_news() -> None:
    run = judge('{"score": 3}').run_sync("go")
    assert not [event for event in run.events if event.kind.startswith("output.")]


def test_an_answer_that_is_never_repaired_is_told_each_time() -> None:
    with pytest.raises(OutputInvalid) as raised:
        judge("a", "b", "c").run_sync("go")
    kinds = [event.kind for event in raised.value.run.events]
    assert kinds.count("output.refused") == 3
    assert "output.repaired" not in kinds


async def _kept_and_replayed(folder: Path) -> None:
    graph = judge("no json", '{"score": 3}')
    store = Store.open(f"sqlite:{folder / 'runs.db'}")
    run = await graph.run("go", store=store, id="r")
    again = await graph.replay("r", store=store)
    assert [event.kind for event in again.facts] == [event.kind for event in run.facts]
    [told] = [event for event in again.facts if isinstance(event, OutputRefused)]
    assert told.attempt == 1
    firsts = [event.first_at for event in again.facts if isinstance(event, ModelFinished)]
    assert all(first is not None for first in firsts)
    await store.aclose()


def test_a_kept_run_has_them_and_replays(tmp_path: Path) -> None:
    asyncio.run(_kept_and_replayed(tmp_path))


def test_the_first_token_is_told_while_it_goes_and_kept_with_the_answer() -> None:
    events: list[RunEvent] = []
    graph = desk()
    with graph.subscribe("model.first", "model.end", to=events.append):
        run = graph.run_sync(Msg())
    kinds = [event.kind for event in events]
    assert kinds == ["model.first", "model.end"] * 4
    for first, end in zip(events[::2], events[1::2], strict=True):
        assert isinstance(first.event, FirstToken)
        assert isinstance(end.event, ModelFinished)
        assert first.event.question == end.event.question
        assert end.event.first_at is not None
        assert end.event.started <= end.event.first_at <= end.event.at
        assert abs(end.event.first_at - first.event.at) < 1
    assert "model.first" not in [event.kind for event in run.events]


def test_how_a_server_fares_is_told() -> None:
    before = children()
    server = MCP("dynamic", dynamic())
    model = ScriptedModel(calls("die"), calls("ask", q="up?"), "done")
    agent = Agent("a", input=str, mcp=[server], model=model)
    run = walk(Graph("g", START >> agent >> END), "go")
    news = [event for event in run.events if event.kind.startswith("server.")]
    opened, *rest = news
    assert isinstance(opened, ServerOpened)
    assert (opened.server, opened.again) == ("dynamic", False)
    assert opened.tools > 5
    lost = [event for event in rest if isinstance(event, ServerLost)]
    again = [event for event in rest if isinstance(event, ServerOpened)]
    assert [event.server for event in lost] == ["dynamic"]
    assert "the last words of the server" in lost[0].why
    assert [event.again for event in again] == [True]
    assert children() == before


def test_that_a_server_offers_something_else_is_told() -> None:
    server = MCP("dynamic", dynamic())

    @node(calls=[server])
    async def changes(m: Msg, ctx: Context) -> Msg:
        await ctx.call("change", {})
        frame: Any = ctx.frame
        journal = frame.shared.run.journal
        await eventually(lambda: [row for row in journal if isinstance(row, ServerChanged)])
        return m

    run = walk(Graph("g", START >> changes >> END), Msg())
    [changed] = [event for event in run.events if isinstance(event, ServerChanged)]
    assert (changed.server, changed.removed) == ("dynamic", ())
    assert len(changed.added) == 1
    assert changed.added[0].startswith("new_")


# -- statistics ------------------------------------------------------------------------------------
def test_percentiles_are_values_that_were_measured() -> None:
    times = [n / 100 for n in range(1, 101)]
    assert Latency.of(reversed(times)) == Latency(100, sum(times), 0.5, 0.9, 0.99, 1.0)
    assert Latency.of([3.0]) == Latency(1, 3.0, 3.0, 3.0, 3.0, 3.0)
    assert Latency.of([]) == Latency()


def test_a_run_knows_how_long_what_took() -> None:
    run = desk().run_sync(Msg())
    stats = run.stats()
    assert set(stats.nodes) == {"desk > boss", "desk > researcher", "desk > researcher > look"}
    assert stats.nodes["desk > boss"].latency.count == 1
    model = stats.models["scripted"]
    assert model.latency.count == model.first_token.count == 4
    assert model.first_token.p50 <= model.latency.p50
    assert (model.failed, model.retries, model.usd) == (0, 0, 0.0)
    assert model.input_tokens == run.usage.input_tokens
    lines = repr(stats).splitlines()
    assert lines[0].split() == ["count", "p50", "p90", "p99", "max", "first", "retries", "failed"]
    assert lines[1].startswith("desk > ")
    assert len(lines) == 5


def test_retries_and_failures_are_counted() -> None:
    @node(retry=Retry(attempts=3, wait_s=0.0, jitter=0.0))
    async def flaky(m: Msg) -> Msg:
        raise ValueError("always")

    with pytest.raises(ValueError, match="always") as raised:
        Graph("g", START >> flaky >> END).run_sync(Msg())
    stats = raised.value.run.stats()  # type: ignore[attr-defined]
    assert stats.nodes["g > flaky"].retries == 2
    assert stats.nodes["g > flaky"].failed == 1


def test_a_straight_run_has_statistics_too() -> None:
    assert set(chain.run_sync(Msg()).stats().nodes) == {"chain > up", "chain > twice"}
