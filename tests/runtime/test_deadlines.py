"""Deadlines hold for what blocks the event loop, too: time is looked at before each activation and call, not only by timers.

No test here waits: nodes move the clock of the event loop.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import warnings
from typing import Any

import pytest

from graphflow import END, START, Agent, Context, Failure, Graph, Limits, SubAgent, node, tool
from graphflow.errors import DeclarationError, LimitExceeded, NodeTimeout
from graphflow.events import CallStarted, NodeStarted
from graphflow.run import Run
from graphflow.testing import ScriptedModel, calls
from tests.clock import block
from tests.conftest import ended, walk

pytestmark = pytest.mark.usefixtures("jumping_clock")

both_paths = pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])


def busy(name: str, seconds: float, **options: Any) -> Any:
    async def body(m: int) -> int:
        block(seconds)
        return m + 1

    return node(name=name, **options)(body)


@node
async def total(ns: list[int]) -> int:
    return sum(ns)


def out_of_time(run: Run[Any], value: float) -> bool:
    error = run.error
    assert isinstance(error, LimitExceeded)
    return run.status == "limited" and error.limit == "seconds" and error.value == value


def began(run: Run[Any]) -> list[str]:
    return [event.node for event in run.events if isinstance(event, NodeStarted)]


@both_paths
@pytest.mark.parametrize("observed", [True, False])
def test_nothing_begins_after_the_deadline(plain: bool, observed: bool) -> None:
    path = START >> busy("a", 300) >> busy("b", 300) >> busy("c", 300) >> END
    run = walk(Graph("g", path), 0, limits=Limits(seconds=500), plain=plain, observed=observed)
    assert out_of_time(run, 500)
    assert ended(run) == began(run) == [step.node for step in run.steps] == ["a", "b"]
    assert run.usage.steps == 2


@both_paths
def test_an_answer_after_the_deadline_comes_too_late(plain: bool) -> None:
    run = walk(
        Graph("g", START >> busy("a", 600) >> END), 0, limits=Limits(seconds=500), plain=plain
    )
    assert out_of_time(run, 500)
    assert run.output is None
    assert ended(run) == ["a"]


@both_paths
def test_no_seconds_let_nothing_happen(plain: bool) -> None:
    """As no steps do: a limit of 0 is a limit."""
    run = walk(Graph("g", START >> busy("a", 0) >> END), 0, limits=Limits(seconds=0), plain=plain)
    assert out_of_time(run, 0)
    assert began(run) == []
    assert run.usage.steps == 0


def test_no_branch_begins_after_the_deadline() -> None:
    fork = START >> (busy("a", 600), busy("b", 1)) >> total >> END
    run = walk(Graph("g", fork), 0, limits=Limits(seconds=500))
    assert out_of_time(run, 500)
    assert ended(run) == began(run) == ["a"]


@both_paths
def test_the_deadline_of_a_walk_holds_for_the_graphs_in_it(plain: bool) -> None:
    inner = Graph("inner", START >> busy("b", 300) >> busy("c", 300) >> busy("d", 300) >> END)
    outer = Graph("outer", START >> inner >> END)
    run = walk(outer, 0, limits=Limits(seconds=500), plain=plain)
    assert out_of_time(run, 500)
    assert ended(run) == ["b", "c"]


@both_paths
def test_the_deadline_of_a_graph_in_it_is_a_failure_its_walk_can_take(plain: bool) -> None:
    @node
    async def mend(f: Failure) -> str:
        return f.kind

    inner = Graph(
        "inner", START >> busy("b", 300) >> busy("c", 300) >> END, limits=Limits(seconds=200)
    )
    outer = Graph(
        "outer",
        START >> inner,
        inner >> END,
        inner[Failure] >> mend >> END,
        limits=Limits(seconds=5000),
    )
    run = walk(outer, 0, plain=plain)
    assert run.output == "LimitExceeded"
    assert "c" not in began(run)


@both_paths
def test_nothing_is_called_after_the_deadline(plain: bool) -> None:
    done = []

    @tool
    async def charge(euros: int) -> str:
        """Charge."""
        block(300)
        done.append(euros)
        return "charged"

    @node(calls=[charge])
    async def clerk(m: int, ctx: Context) -> int:
        for euros in (1, 2, 3):
            await ctx.call(charge, {"euros": euros})
        return m

    run = walk(Graph("g", START >> clerk >> END), 0, limits=Limits(seconds=500), plain=plain)
    assert out_of_time(run, 500)
    assert done == [1, 2]
    assert len([event for event in run.events if isinstance(event, CallStarted)]) == 2
    assert len(run.steps) == run.usage.steps == 3


def test_no_model_is_asked_after_the_deadline() -> None:
    @tool
    async def think() -> str:
        """Think."""
        block(600)
        return "thought"

    model = ScriptedModel(calls("think"), "never asked")
    run = walk(
        Graph("g", START >> Agent("a", tools=[think]) >> END),
        "go",
        model=model,
        limits=Limits(seconds=500),
    )
    assert out_of_time(run, 500)
    assert len(model.requests) == 1


def test_a_call_in_the_background_ends_at_the_deadline_around_it() -> None:
    worker = Graph("worker", START >> busy("a", 600) >> END)

    @node(calls=[SubAgent(worker, background=True)])
    async def lead(m: int, ctx: Context) -> str:
        handle = await ctx.call("worker", m)
        return str(await handle.wait())

    run = walk(Graph("g", START >> lead >> END), 0, limits=Limits(seconds=500))
    assert out_of_time(run, 500)


@both_paths
@pytest.mark.parametrize("attempts", [1, 2])
def test_a_node_that_blocks_longer_than_it_may_has_failed(plain: bool, attempts: int) -> None:
    slow = busy("slow", 60, timeout_s=50, retry=attempts)
    run = walk(Graph("g", START >> slow >> END), 0, plain=plain)
    assert isinstance(run.error, NodeTimeout)
    quick = busy("quick", 40, timeout_s=50)
    assert walk(Graph("g", START >> quick >> END), 0, plain=plain).output == 1


@both_paths
def test_a_node_that_blocks_and_fails_says_why_it_failed(plain: bool) -> None:
    @node(timeout_s=50)
    async def slow(m: int) -> int:
        block(60)
        raise ValueError("of its own")

    assert isinstance(walk(Graph("g", START >> slow >> END), 0, plain=plain).error, ValueError)


@both_paths
@pytest.mark.parametrize("observed", [True, False])
def test_nothing_within_a_node_begins_after_its_time(plain: bool, observed: bool) -> None:
    """No step of it ever waits, so that the timer alone would never have its turn."""
    path = START >> busy("a", 30) >> busy("b", 30) >> busy("c", 30) >> END
    for inner in (
        Graph("inner", path, timeout_s=50),
        Graph("inner", START >> Graph("core", path) >> END, timeout_s=50),
    ):
        run = walk(Graph("g", START >> inner >> END), 0, plain=plain, observed=observed)
        assert isinstance(run.error, NodeTimeout)
        assert run.error.node == "inner"
        names = [step.node for step in run.steps]
        assert "c" not in names
        assert {"a", "b"} <= set(names)


def test_no_branch_within_a_node_begins_after_its_time() -> None:
    fork = START >> (busy("a", 60), busy("b", 1), busy("c", 1)) >> total >> END
    run = walk(Graph("g", START >> Graph("inner", fork, timeout_s=50) >> END), 0)
    assert isinstance(run.error, NodeTimeout)
    assert "total" not in began(run)
    assert "b" not in began(run)


@both_paths
def test_an_agent_calls_and_asks_nothing_after_its_time(plain: bool) -> None:
    done = []

    @tool
    async def think(n: int) -> str:
        """Think."""
        block(30)
        done.append(n)
        return "thought"

    model = ScriptedModel(*(calls("think", n=n) for n in range(9)), "never said")
    run = walk(
        Graph("g", START >> Agent("a", tools=[think], timeout_s=50) >> END),
        "go",
        model=model,
        plain=plain,
    )
    assert isinstance(run.error, NodeTimeout)
    assert done == [0, 1]
    assert len(model.requests) == 2


@both_paths
def test_a_node_whose_time_is_over_is_tried_again(plain: bool) -> None:
    took = [30, 30, 1, 1]

    @node
    async def slow(m: int) -> int:
        block(took.pop(0))
        return m

    path = START >> slow >> slow.named("again") >> busy("last", 1) >> END
    run = walk(
        Graph("g", START >> Graph("inner", path, timeout_s=50, retry=2) >> END), 0, plain=plain
    )
    assert run.output == 1


def test_no_number_is_no_limit() -> None:
    with pytest.raises(
        DeclarationError, match=r"Limits\(seconds=nan\): give a number of at least 0"
    ):
        Limits(seconds=float("nan"))


@both_paths
def test_a_context_shows_the_seconds_that_are_left(plain: bool) -> None:
    @node
    async def look(m: int, ctx: Context) -> bool:
        return ctx.limits.seconds is not None and 150 < ctx.limits.seconds <= 200

    graph = Graph("g", START >> busy("a", 300) >> look >> END)
    assert walk(graph, 0, limits=Limits(seconds=500), plain=plain).output is True


def test_nobody_asks_the_clock_where_there_is_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "graphflow.limits.Ledger.check_time", lambda ledger: asked.append(ledger.timed)
    )
    for plain in (True, False):
        walk(
            Graph("g", START >> busy("a", 1) >> busy("b", 1) >> END),
            0,
            limits=Limits(steps=9),
            plain=plain,
        )
    assert not asked


@both_paths
def test_what_is_out_of_time_before_it_began_never_begins_and_leaves_no_coroutine(
    plain: bool,
) -> None:
    """On a busy machine its time may be over before its first step: each look at the clock takes a second here."""
    began: list[int] = []

    @node
    async def slow_clock(n: int) -> int:
        loop = asyncio.get_running_loop()
        before, looks = loop.time, itertools.count()
        loop.time = lambda: before() + next(looks)  # type: ignore[method-assign]
        return n

    @node(timeout_s=0.5)
    async def hasty(n: int) -> int:
        began.append(n)
        return n

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run = walk(Graph("g", START >> slow_clock >> hasty >> END), 1, plain=plain)
        gc.collect()
    assert isinstance(run.error, NodeTimeout)
    assert began == []
    assert [str(each.message) for each in told] == []


def test_what_was_begun_in_the_background_has_its_own_time() -> None:
    """The node that began it has ended in time, and so there is no timer that could stop it."""
    turns: list[int] = []

    @node
    async def look(m: int) -> int:
        block(100)
        turns.append(m)
        return m

    worker = Graph("worker", START >> look >> look.named("again") >> END)

    @node(calls=[SubAgent(worker, background=True)], timeout_s=50)
    async def lead(m: int, ctx: Context) -> str:
        await ctx.call("worker", m)
        return "begun"

    @node
    async def idle(m: str) -> str:
        for _ in range(50):
            await asyncio.sleep(0)
        return m

    run = walk(Graph("g", START >> lead >> idle >> END), 0)
    assert run.error is None
    assert turns == [0, 0]
