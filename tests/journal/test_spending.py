"""What runs have spent, read from their rows: as much as the runs themselves say, in every store, and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Limits, errors
from graphflow.journal.spending import RunSpending, read_spending
from graphflow.journal.store import Store
from graphflow.journal.stored import StoredRow
from graphflow.testing import ComputedModel, ScriptedModel
from tests.journal.keeping import everywhere, header, within
from tests.looped import looped


@pytest.fixture
def store() -> Store:
    return Store.open("memory:")


def two_agents(model: Any) -> Graph[str, str]:
    first = Agent("first", input=str, output=str, prompt="{{ text }}")
    second = Agent("second", input=str, output=str, prompt="{{ text }}")
    inner: Graph[str, str] = Graph("inner", START >> second >> END)
    return Graph("outer", START >> first >> inner >> END, model=model)


async def spending(store: Store, **wanted: Any) -> dict[str, RunSpending]:
    return {run.header.id: run async for run in read_spending(store, **wanted)}


def tokens(run: RunSpending) -> int:
    return sum(each.input_tokens + each.output_tokens for each in run.answers)


@everywhere
def test_the_rows_tell_what_the_run_says(address: str) -> None:
    async def work(store: Store) -> None:
        model = ScriptedModel("a", "b", tokens=(100, 20), usd=0.25)
        run = await two_agents(model).run("hi", store=store, id="r")
        found = (await spending(store))["r"]
        assert tokens(found) == run.usage.tokens == 240
        assert sum(each.usd or 0 for each in found.answers) == run.usage.usd == 0.5
        assert [each.node for each in found.answers] == ["outer > first", "outer > inner > second"]
        assert {each.model for each in found.answers} == {"scripted"}
        began, changed = found.header.began, found.header.changed
        assert all(began <= each.at <= changed + 0.1 for each in found.answers)
        assert found.damage is None

    within(address, work)


@everywhere
def test_a_fork_counts_only_what_it_has_asked_itself(address: str) -> None:
    async def work(store: Store) -> None:
        graph = two_agents(ScriptedModel("a", "b", "c", tokens=(100, 20)))
        await graph.run("hi", store=store, id="r")
        await graph.fork("r", store=store, edit={"first": "other"}, new_id="f")
        found = await spending(store)
        assert tokens(found["r"]) == 240
        assert tokens(found["f"]) == 120
        assert [each.node for each in found["f"].answers] == ["outer > inner > second"]

    within(address, work)


@everywhere
def test_a_run_that_goes_on_counts_each_answer_once(address: str) -> None:
    async def work(store: Store) -> None:
        graph = two_agents(ComputedModel(lambda request: "x", tokens=(100, 20)))
        with pytest.raises(errors.LimitExceeded):
            await graph.run("hi", store=store, id="r", limits=Limits(tokens=100))
        assert tokens((await spending(store))["r"]) == 120
        run = await graph.resume("r", store=store, limits=Limits())
        found = (await spending(store))["r"]
        assert tokens(found) == run.usage.tokens == 240
        first, second = found.answers
        assert first.at <= second.at <= found.header.changed

    within(address, work)


@looped
async def test_a_pause_is_no_time_of_the_answers_behind_it(store: Store) -> None:
    day = 86_400.0
    about = {"models": {"a": "m"}}
    kept = header("r", began=1_000.0, changed=1_000.0 + day, about=about)
    answer = (
        '{"at":%s,"frame":0,"node":"a","model":"m","input_tokens":1,"output_tokens":1,"usd":null}'
    )
    bodies = [
        ("model.end", answer % "5.0"),
        ("run.resume", '{"at":6.0,"frame":0,"sitting":2}'),
        ("model.end", answer % "7.0"),
        ("hops", '{"frame":0,"at":[8.0,9.0]}'),
    ]
    rows = [StoredRow.of(number, kind, "", body) for number, (kind, body) in enumerate(bodies)]
    await store.create(kept, "me", rows=rows)
    (found,) = (await spending(store)).values()
    changed = found.header.changed
    assert [each.at for each in found.answers] == [1_005.0, changed - 2.0]
    assert [each.usd for each in found.answers] == [None, None]
    later = await spending(store, since=changed - 3.0)
    assert [len(run.answers) for run in later.values()] == [1]
    assert await spending(store, graph="another") == {}


@looped
async def test_each_sitting_is_dated_from_when_it_began(store: Store) -> None:
    day = 86_400.0
    kept = header("r", began=1_000.0, about={"models": {"a": "m"}})
    answer = (
        '{"at":%s,"frame":0,"node":"a","model":"m","input_tokens":1,"output_tokens":1,"usd":null}'
    )
    resumed = '{"at":%s,"frame":0,"sitting":%d,"began_at":%s}'
    bodies = [
        ("model.end", answer % "5.0"),
        ("run.resume", resumed % ("6.0", 2, 1_000.0 + day)),
        ("model.end", answer % "7.0"),
        ("run.resume", resumed % ("8.0", 3, 1_000.0 + 2 * day)),
        ("model.end", answer % "8.5"),
    ]
    rows = [StoredRow.of(number, kind, "", body) for number, (kind, body) in enumerate(bodies)]
    await store.create(kept, "me", rows=rows)
    (found,) = (await spending(store)).values()
    dates = [each.at for each in found.answers]
    assert dates == [1_005.0, 1_001.0 + day, 1_000.5 + 2 * day]


@looped
async def test_a_damaged_record_counts_as_far_as_it_can_be_read(store: Store) -> None:
    model = ScriptedModel("a", "b", tokens=(100, 20))
    await two_agents(model).run("hi", store=store, id="r")
    rows = [row async for row in store.rows("r")]
    broken = [replace(row, body="[]") if row.kind == "frame.enter" else row for row in rows]
    sound = [StoredRow.of(row.number, row.kind, row.place, row.body) for row in broken]
    await store.create(header("d"), "me", rows=sound)
    found = (await spending(store))["d"]
    assert tokens(found) == 120
    assert found.damage is not None
    assert "'d'" in str(found.damage)
