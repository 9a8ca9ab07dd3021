"""Budgets: what runs may spend together is counted in their store, and refused before a model is asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from graphflow import END, START, Agent, Budget, Graph, Limits, Store, connect
from graphflow.errors import BudgetExceeded, DeclarationError, PriceUnknown, StoreUnreachable
from graphflow.events import BudgetWarning, CostUnknown
from graphflow.journal.accounts import AccountCharge
from graphflow.journal.stores.memory import MemoryStore
from graphflow.testing import ComputedModel, FakeClock, ScriptedModel, fails, hangs, says
from tests import programs
from tests.journal.conftest import address, server
from tests.journal.keeping import KEY, everywhere, within
from tests.looped import looped
from tests.runtime import spender
from tests.waiting import until

__all__ = ["address", "server"]

DAY = 86_400.0


def writer(model: Any, name: str = "g") -> Graph[str, str]:
    agent = Agent("writer", input=str, output=str, prompt="{{ text }}")
    return Graph(name, START >> agent >> END, model=model)


def answering(tokens: tuple[int, int] = (100, 20), usd: float | None = 0.25) -> ComputedModel:
    return ComputedModel(lambda request: "done", tokens=tokens, usd=usd)


async def spent(store: Store) -> dict[str, tuple[int, float]]:
    return {
        balance.account: (balance.tokens, balance.nanodollars / 1e9)
        for balance in await store.accounts()
    }


# -- what is counted -------------------------------------------------------------------------------
@everywhere
def test_a_budget_is_refused_before_a_model_is_asked(address: str) -> None:
    async def work(store: Store) -> None:
        model = answering()
        graph = writer(model)
        budgets = [Budget(per="day", usd=0.5)]
        for _ in range(2):
            await graph.run("hi", store=store, budgets=budgets)
        with pytest.raises(BudgetExceeded) as caught:
            await graph.run("hi", store=store, id="third", budgets=budgets)
        assert len(model.requests) == 2
        error = caught.value
        assert (error.budget, error.limit, error.value, error.spent) == ("per day", "usd", 0.5, 0.5)
        assert error.run.status == "limited"
        assert error.run.usage.tokens == 0
        assert "0.5 US dollars of 0.5 US dollars are spent; no model was asked" in str(error)
        assert "It resets at" in str(error)
        [(tokens, usd)] = (await spent(store)).values()
        assert (tokens, usd) == (240, 0.5)

    within(address, work)


@everywhere
def test_charges_are_added_whole_or_not_at_all(address: str) -> None:
    async def work(store: Store) -> None:
        first = AccountCharge("a", 10, 100, most_tokens=100)
        done = await store.charge([first, AccountCharge("b", 10, most_tokens=10)])
        assert done.is_done
        refused = await store.charge([first, AccountCharge("b", 1, most_tokens=10)])
        assert not refused.is_done
        assert [balance.tokens for balance in refused.balances] == [10, 10]
        back = await store.charge([AccountCharge("a", -10, -100)])
        assert back.balances[0].tokens == back.balances[0].nanodollars == 0
        assert [(balance.account, balance.tokens) for balance in await store.accounts()] == [
            ("a", 0),
            ("b", 10),
        ]

    within(address, work)


@everywhere
def test_accounts_outlive_runs_until_their_day_is_over(address: str) -> None:
    async def work(store: Store) -> None:
        await store.charge([AccountCharge("day", 5, until=1_000.0), AccountCharge("graph", 7)])
        await writer(answering()).run("hi", store=store, id="r", budgets=[Budget("graph", 999)])
        await store.delete("r")
        assert len(await store.accounts()) == 3
        await store.prune(older_than=DAY)
        names = [balance.account for balance in await store.accounts()]
        assert names == ['[["graph","g"]]', "graph"]

    within(address, work)


@looped
async def test_each_scope_has_accounts_of_its_own() -> None:
    store = MemoryStore()
    graph, other = writer(answering(), "one"), writer(answering(), "other")
    budgets = [
        Budget(per="graph", tokens=10_000),
        Budget(per="conversation", tokens=10_000),
        Budget(per=("user", "day"), tokens=10_000),
    ]
    with FakeClock(datetime(2030, 1, 1, 22, tzinfo=UTC)) as clock:
        for number, user in enumerate(("ann", "bob", "ann")):
            key = f"c{number % 2}"
            await graph.run("hi", store=store, budgets=budgets, user=user, conversation=key)
        clock.move(3 * 3600)
        await other.run("hi", store=store, id="alone", budgets=budgets, user="ann")
    assert {name: tokens for name, (tokens, _) in (await spent(store)).items()} == {
        '[["graph","one"]]': 360,
        '[["graph","other"]]': 120,
        '[["conversation","one","c0"]]': 240,
        '[["conversation","one","c1"]]': 120,
        '[["conversation","other","alone"]]': 120,
        '[["user","ann"],["day","2030-01-01"]]': 240,
        '[["user","bob"],["day","2030-01-01"]]': 120,
        '[["user","ann"],["day","2030-01-02"]]': 120,
    }


@looped
async def test_a_day_frees_and_the_run_goes_on() -> None:
    store = MemoryStore()
    model = answering()
    graph = writer(model)
    budgets = [Budget(per="day", tokens=100, name="daily")]
    with FakeClock(datetime(2030, 1, 1, 22, 30, tzinfo=UTC)) as clock:
        await graph.run("hi", store=store, budgets=budgets)
        with pytest.raises(BudgetExceeded) as caught:
            await graph.run("hi", store=store, id="late", budgets=budgets)
        assert "budget 'daily': 120 tokens of 100 tokens are spent" in str(caught.value)
        assert "It resets at 2030-01-02 00:00 UTC, in 1 h 30 min" in str(caught.value)
        assert caught.value.resets_at == datetime(2030, 1, 2, tzinfo=UTC).timestamp()
        with pytest.raises(BudgetExceeded):
            await graph.resume("late", store=store)  # by the budgets that it was begun with
        clock.move(5_400)
        run = await graph.resume("late", store=store)
    assert run.output == "done"
    assert len(model.requests) == 2


@looped
async def test_a_resumed_run_may_be_given_other_budgets() -> None:
    store = MemoryStore()
    graph = writer(answering())
    with pytest.raises(BudgetExceeded):
        await graph.run("hi", store=store, id="r", budgets=[Budget(per="graph", tokens=0)])
    run = await graph.resume("r", store=store, budgets=[Budget(per="graph", tokens=1_000)])
    assert run.status == "completed"


@looped
async def test_the_user_of_a_run_is_known_when_it_goes_on() -> None:
    store = MemoryStore()
    graph = writer(answering())
    budgets = [Budget(per="user", tokens=0)]
    with pytest.raises(BudgetExceeded, match="budget 'per user' of user 'ann'"):
        await graph.run("hi", store=store, id="r", budgets=budgets, user="ann")
    raised = [Budget(per="user", tokens=500)]
    await graph.resume("r", store=store, budgets=raised)
    assert list(await spent(store)) == ['[["user","ann"]]']
    with pytest.raises(DeclarationError, match="'per user' is per user, and the run names none"):
        await graph.run("hi", store=store, budgets=raised)


@looped
async def test_what_fails_costs_what_it_has_answered() -> None:
    store = MemoryStore()
    graph = writer(ScriptedModel(fails(ConnectionError("gone"))))
    with pytest.raises(ConnectionError):
        await graph.run("a long question " * 50, store=store, budgets=[Budget("day", 9_999)])
    assert list((await spent(store)).values()) == [(0, 0.0)]


@looped
async def test_a_cancelled_question_gives_back_what_was_held() -> None:
    store = MemoryStore()
    graph = writer(ScriptedModel(hangs()))
    run = graph.start("a long question " * 50, store=store, budgets=[Budget("day", 9_999)])
    async for event in run:
        if event.kind == "model.start":
            [(balance, _)] = (await spent(store)).values()
            assert balance > 50
            run.cancel()
    await run.settled()
    assert list((await spent(store)).values()) == [(0, 0.0)]


# -- warnings --------------------------------------------------------------------------------------
@looped
async def test_a_run_is_warned_once_of_each_budget_that_is_nearly_spent() -> None:
    store = MemoryStore()
    graph = writer(answering())
    budgets = [Budget(per="day", tokens=300, usd=100, name="daily"), Budget("graph", 100)]
    first = await graph.run("hi", store=store, budgets=budgets)
    with pytest.raises(BudgetExceeded) as caught:
        await graph.run("hi", store=store, budgets=budgets)
    assert caught.value.budget == "per graph"

    def told(run: Any) -> list[tuple[str, str, float, float]]:
        warned = [event for event in run.events if isinstance(event, BudgetWarning)]
        return [(event.budget, event.limit, event.used, event.value) for event in warned]

    assert told(first) == [("per graph", "tokens", 120, 100)]
    third = await graph.run("hi", store=store, budgets=budgets[:1])
    assert told(third) == [("daily", "tokens", 240, 300)]
    [record] = [each for each in third.records() if each["kind"] == "budget.warning"]
    assert (record["budget"], record["used"]) == ("daily", 240)


# -- prices ----------------------------------------------------------------------------------------
@looped
async def test_dollars_over_a_model_without_a_price_are_refused_at_the_start() -> None:
    far = connect("openai:gpt-nobody-knows", key="sk-test", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(PriceUnknown, match="budget 'per day' counts dollars, and nobody knows"):
        await writer(far).run("hi", store=MemoryStore(), budgets=[Budget(per="day", usd=1)])


@looped
async def test_an_answer_of_unknown_cost_ends_the_run_or_is_told_and_counts_tokens() -> None:
    store = MemoryStore()
    graph = writer(answering(usd=None))
    with pytest.raises(BudgetExceeded, match="its tokens are counted"):
        await graph.run("hi", store=store, budgets=[Budget(per="day", usd=1)])
    run = await graph.run("hi", store=store, budgets=[Budget("day", usd=1, unpriced="tell")])
    assert [event.model for event in run.events if isinstance(event, CostUnknown)] == ["computed"]
    assert list((await spent(store)).values()) == [(240, 0.0)]


# -- several at once -------------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["sqlite", "postgres", "jsonl"], indirect=True)
@pytest.mark.parametrize("at_a_time", [1, 3])
def test_two_processes_overshoot_by_no_more_than_what_is_under_way(
    address: str, at_a_time: int
) -> None:
    words = ("-m", "tests.runtime.spender", address, str(at_a_time))
    processes = [programs.start(*words, stdout=PIPE, text=True) for _ in range(2)]
    used = [int(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    [(tokens, usd)] = within(address, spent).values()
    assert tokens == sum(used), "each answer is counted, and counted once"
    assert usd == pytest.approx(sum(used) / 120 * 0.01)
    assert tokens >= spender.LIMIT
    # All that may be under way when the last token is spent: what they cost beyond what was balance for them.
    assert tokens < spender.LIMIT + 2 * at_a_time * sum(spender.TOKENS)


def test_a_process_that_is_killed_leaves_what_it_held(tmp_path: Path) -> None:
    """Its question may have been answered, and paid for; another process goes on with the run, and settles its own."""
    address = f"sqlite:{tmp_path / 'runs.db'}"

    def held() -> int:
        return sum(tokens for tokens, _ in within(address, spent).values())

    with programs.start("-m", "tests.runtime.spender", address, "hang") as process:
        until(lambda: held() > 0)
        process.kill()
    left = held()
    assert 0 < left < 200

    async def go_on(store: Store) -> Any:
        return await spender.spending_graph().run("long " * 100, store=store, id="hung")

    # The lease of the dead one ends by itself.
    until(lambda: not within(address, is_owned))
    run = within(address, go_on)
    assert (run.status, held()) == ("completed", left + sum(spender.TOKENS))


async def is_owned(store: Store) -> bool:
    header = await store.header("hung")
    return header.lease is not None and header.lease.until > await store.now()


@looped
async def test_what_is_held_keeps_others_out() -> None:
    """A hundred questions at once of which a few fit: what is certain of each is balance before any answer is there."""
    store = MemoryStore()
    model = ComputedModel(lambda request: says("ok", wait_s=0.01), tokens=(900, 10))
    graph = writer(model)
    budgets = [Budget(per="day", tokens=5_000)]
    question = "word " * 1_000

    async def ask() -> bool:
        try:
            await graph.run(question, store=store, budgets=budgets)
        except BudgetExceeded:
            return False
        return True

    answered = sum(await asyncio.gather(*(ask() for _ in range(100))))
    assert answered < 100
    assert answered == len(model.requests)
    [(tokens, _)] = (await spent(store)).values()
    assert tokens == answered * 910


# -- refusals --------------------------------------------------------------------------------------
class Gone(MemoryStore):
    async def charge(self, charges: Any) -> Any:
        raise StoreUnreachable("the database is gone")


@looped
async def test_a_store_that_cannot_count_lets_nobody_spend() -> None:
    model = answering()
    with pytest.raises(StoreUnreachable):
        await writer(model).run("hi", store=Gone(), budgets=[Budget("day", 5)], best_effort=True)
    assert model.requests == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"budgets": [Budget("day", 1)]}, "counted in a store, and there is none"),
        ({"budgets": Budget("day", 1), "store": "memory:"}, r"give a list of Budget\(...\)"),
        ({"budgets": [5], "store": "memory:"}, r"give Budget\(...\)"),
        ({"user": "", "store": "memory:"}, "user='': give a text"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        writer(answering()).run_sync("hi", **options)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"per": "week", "usd": 1}, "it is one of 'graph', 'conversation', 'user', 'day'"),
        ({"per": (), "usd": 1}, "say what it is per"),
        ({"per": "day"}, "give tokens=, usd=, or both"),
        ({"per": "day", "usd": float("nan")}, "give a number of at least 0"),
        ({"per": "day", "tokens": 1.5}, "give a whole number of at least 0"),
        ({"per": "day", "tokens": 1, "unpriced": "no"}, "give 'end' or 'tell'"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        Budget(**given)


@looped
async def test_limits_and_budgets_hold_side_by_side() -> None:
    store = MemoryStore()
    graph = writer(answering())
    run = await graph.run("hi", store=store, limits=Limits(usd=9), budgets=[Budget("day", usd=9)])
    assert run.status == "completed"


def test_copies_of_a_store_know_what_was_spent(tmp_path: Path) -> None:
    from graphflow.journal.copying import copy_runs

    async def work() -> None:
        source = Store.open(f"sqlite:{tmp_path / 'a.db'}")
        target = Store.open(f"sqlite:{tmp_path / 'b.db'}", key=KEY)
        await writer(answering()).run("hi", store=source, budgets=[Budget("graph", 999)])
        for _ in range(2):
            await copy_runs(source, target)
        assert await spent(source) == await spent(target) == {'[["graph","g"]]': (120, 0.25)}
        await source.aclose()
        await target.aclose()

    asyncio.run(work())
