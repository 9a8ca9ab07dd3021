"""Limits really stop work, name themselves, and leave what was done in the run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from graphflow import END, START, Agent, Context, Failure, Graph, Limits, Store, node, tool
from graphflow.errors import DeclarationError, LimitExceeded, NodeTimeout, WalkCancelled
from graphflow.events import LimitWarning, NodeAbandoned
from graphflow.limits import METERS, Ledger
from graphflow.render.labels import LIMIT_WORDS
from graphflow.testing import ScriptedModel, calls, hangs
from tests.conftest import Msg, ended, kinds, refuses_to_end, walk
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("jumping_clock")


@node
async def quick(m: Msg) -> Msg:
    return m


@node
async def sleeper(m: Msg) -> Msg:
    await asyncio.sleep(30)
    return m


@node
def blocker(m: Msg) -> Msg:
    free.wait(60)
    return m


free = threading.Event()
"""Set when a test is over: until then a thread is blocked."""


@pytest.fixture(autouse=True)
def _freed() -> Iterator[None]:
    free.clear()
    yield
    free.set()


@pytest.fixture(params=[True, False], ids=["plain", "general"])
def plain(request: Any) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("stuck", [sleeper, blocker], ids=["sleep", "thread"])
def test_seconds_stop_a_step(stuck: Any, plain: bool) -> None:
    run = walk(
        Graph("g", START >> quick >> stuck >> END), Msg(), limits=Limits(seconds=0.1), plain=plain
    )
    assert isinstance(run.error, LimitExceeded)
    assert run.error.limit == "seconds"
    assert run.status == "limited"
    assert run.error.run is run
    assert ended(run) == ["quick"]
    assert kinds(run).count("run.end") == 1


def test_a_blocked_thread_is_abandoned_and_reported(plain: bool) -> None:
    run = walk(Graph("g", START >> blocker >> END), Msg(), limits=Limits(seconds=0.05), plain=plain)
    assert [e.node for e in run.events if isinstance(e, NodeAbandoned)] == ["blocker"]


def test_seconds_stop_a_hung_model(plain: bool) -> None:
    graph = Graph("g", START >> Agent("a") >> END, limits=Limits(seconds=0.05))
    run = walk(graph, "x", model=ScriptedModel(hangs()), plain=plain)
    assert getattr(run.error, "limit", "") == "seconds"


def test_seconds_of_the_parent_stop_the_child() -> None:
    helper = Agent("helper", input=str, prompt="{{ text }}")
    boss = Agent("boss", input=str, prompt="{{ text }}", sub_agents=[helper])
    model = ScriptedModel(calls("helper", input="x"), hangs())
    run = walk(Graph("g", START >> boss >> END, limits=Limits(seconds=0.1)), "x", model=model)
    assert getattr(run.error, "limit", "") == "seconds"
    assert [e.kind for e in run.events if e.kind.startswith("frame")] == [
        "frame.enter",
        "frame.exit",
    ]


def test_seconds_of_a_child_are_an_error_its_parent_can_take() -> None:
    inner = Graph("inner", START >> sleeper >> END, limits=Limits(seconds=0.05))

    @node
    async def mend(f: Failure) -> Msg:
        return Msg(tag=f.kind)

    run = walk(Graph("outer", START >> inner, inner >> END, inner[Failure] >> mend >> END), Msg())
    assert run.output == Msg(tag="LimitExceeded")


def test_a_parents_limit_cannot_be_swallowed_below(plain: bool) -> None:
    @node
    async def mend(f: Failure) -> Msg:
        return Msg(tag="swallowed")

    inner = Graph("inner", START >> quick >> quick.named("q2") >> quick.named("q3") >> END)
    graph = Graph(
        "outer", START >> inner, inner >> END, inner[Failure] >> mend >> END, limits=Limits(steps=3)
    )
    run = walk(graph, Msg(), plain=plain)
    assert run.status == "limited"
    assert run.usage.steps == 3


def test_tool_and_model_calls_are_limited() -> None:
    @tool
    async def t(x: int) -> int:
        """T."""
        return x

    graph = Graph("g", START >> Agent("a", tools=[t]) >> END)
    many = [calls("t", x=i) for i in range(20)]
    run = walk(graph, "go", model=ScriptedModel(*many), limits=Limits(tool_calls=3))
    assert (getattr(run.error, "limit", ""), run.usage.tool_calls) == ("tool_calls", 3)
    run = walk(graph, "go", model=ScriptedModel(*many), limits=Limits(model_calls=4))
    assert (getattr(run.error, "limit", ""), run.usage.model_calls) == ("model_calls", 4)


def test_tokens_and_usd_refuse_the_next_call() -> None:
    graph = Graph("g", START >> Agent("a") >> Agent("b", prompt="{{ text }}") >> END)
    run = walk(graph, "go", model=ScriptedModel("x", "y"), limits=Limits(tokens=10))
    assert getattr(run.error, "limit", "") == "tokens"
    assert ended(run) == ["a"]
    run = walk(graph, "go", model=ScriptedModel("x", "y", usd=0.4), limits=Limits(usd=0.3))
    assert getattr(run.error, "limit", "") == "usd"


@pytest.mark.parametrize("limit", ["input_tokens", "output_tokens"])
def test_tokens_that_are_read_and_written_are_limited_apart(limit: str, plain: bool) -> None:
    graph = Graph("g", START >> Agent("a") >> Agent("b", prompt="{{ text }}") >> END)
    free = walk(graph, "go", model=ScriptedModel("x", "y"), plain=plain)
    used = getattr(free.usage, limit)
    assert used >= 2
    run = walk(
        graph, "go", model=ScriptedModel("x", "y"), limits=Limits(**{limit: used}), plain=plain
    )
    assert run.status == "completed"
    run = walk(graph, "go", model=ScriptedModel("x", "y"), limits=Limits(**{limit: 1}), plain=plain)
    assert isinstance(run.error, LimitExceeded)
    assert (run.error.limit, run.error.value) == (limit, 1)
    assert run.usage.model_calls <= 1


def test_a_question_that_is_surely_too_long_is_not_asked(plain: bool) -> None:
    model = ScriptedModel("x")
    graph = Graph("g", START >> Agent("a", system="Be brief.") >> END)
    run = walk(graph, "word " * 2_000, model=model, limits=Limits(input_tokens=1_000), plain=plain)
    assert getattr(run.error, "limit", "") == "input_tokens"
    assert "0 are used, and the next question has 1,668 at least" in str(run.error)
    assert (model.requests, run.usage.model_calls) == ([], 0)


def test_what_an_agent_writes_counts_for_its_sub_agents() -> None:
    helper = Agent("helper", input=str, prompt="{{ text }}")
    boss = Agent("boss", input=str, prompt="{{ text }}", sub_agents=[helper])
    model = ScriptedModel(calls("helper", input="x"), "helped", "done")
    graph = Graph("g", START >> boss >> END)
    run = walk(graph, "go", model=model, limits=Limits(output_tokens=1))
    assert isinstance(run.error, LimitExceeded)
    # The call itself has used them up, so the sub-agent asks nothing, and it is the limit of the run that says so.
    assert (run.error.limit, run.error.path, len(model.requests)) == ("output_tokens", ("g",), 1)


def test_a_run_that_goes_on_has_read_what_it_read() -> None:
    graph = Graph("g", START >> Agent("a") >> Agent("b", prompt="{{ text }}") >> END)

    async def main() -> None:
        store = Store.open("memory:")
        model = ScriptedModel("x", "y")
        with pytest.raises(LimitExceeded, match="input_tokens"):
            await graph.run("go", store=store, id="one", model=model, limits=Limits(input_tokens=1))
        with pytest.raises(LimitExceeded, match="input_tokens"):
            await graph.resume("one", store=store, model=model)
        run = await graph.resume("one", store=store, model=model, limits=Limits(input_tokens=99))
        assert (run.output, len(model.requests)) == ("y", 2)

    asyncio.run(main())


def test_an_unknown_price_is_none_not_zero() -> None:
    run = walk(Graph("g", START >> Agent("a") >> END), "go", model=ScriptedModel("x", usd=None))
    assert run.usage.usd is None


def test_a_warning_comes_once_at_eighty_percent() -> None:
    path: Any = START
    for i in range(10):
        path = path >> quick.named(f"q{i}")
    run = walk(Graph("g", path >> END), Msg(), limits=Limits(steps=10))
    assert run.error is None
    assert [(e.limit, e.used, e.value) for e in run.events if isinstance(e, LimitWarning)] == [
        ("steps", 8, 10)
    ]


def test_an_agent_runs_out_of_turns() -> None:
    @tool
    async def t() -> str:
        """T."""
        return "again"

    run = walk(
        Graph("g", START >> Agent("a", tools=[t], max_turns=3) >> END),
        "go",
        model=ScriptedModel(*[calls("t")] * 5),
    )
    assert isinstance(run.error, LimitExceeded)
    assert "3 times" in str(run.error)


def test_node_timeout(plain: bool) -> None:
    @node(timeout_s=0.03)
    async def slow(m: Msg) -> Msg:
        await asyncio.sleep(30)
        return m

    run = walk(Graph("g", START >> slow >> END), Msg(), plain=plain)
    assert isinstance(run.error, NodeTimeout)
    assert isinstance(run.error, TimeoutError)


def test_a_nodes_own_timeout_error_is_its_own(plain: bool) -> None:
    @node(timeout_s=5)
    async def slow(m: Msg) -> Msg:
        raise TimeoutError("mine")

    run = walk(Graph("g", START >> slow >> END), Msg(), plain=plain)
    assert type(run.error) is TimeoutError


def test_cancel_keeps_what_was_done(plain: bool) -> None:
    graph = Graph("g", START >> quick >> sleeper >> END)

    async def main() -> Any:
        run = graph.start(Msg())
        await asyncio.sleep(0.02)
        run.cancel()
        with pytest.raises(WalkCancelled) as info:
            await run
        assert info.value.run is run
        return run

    run = asyncio.run(main())
    assert (run.status, ended(run)) == ("cancelled", ["quick"])


def test_cancelling_the_task_cancels_the_walk(plain: bool) -> None:
    graph = Graph("g", START >> quick >> sleeper >> END)

    async def main() -> None:
        task = asyncio.create_task(graph.run(Msg()))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_node_that_refuses_to_end_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphflow.runtime.general_walk.GRACE_S", 0.05)
    released = asyncio.Event()

    stubborn = refuses_to_end(released)

    graph = Graph("g", START >> (stubborn, quick) >> END, ends="all", limits=Limits(seconds=0.05))

    async def main() -> Any:
        with pytest.raises(LimitExceeded) as info:
            await graph.run(Msg())
        released.set()
        await eventually(lambda: len(asyncio.all_tasks()) == 1)
        return info.value.run

    run = asyncio.run(main())
    assert [e.node for e in run.events if isinstance(e, NodeAbandoned)] == ["stubborn"]


@pytest.mark.parametrize(
    "bad",
    [
        {"depth": -1},
        {"steps": "5"},
        {"seconds": -0.1},
        {"laps": 0},
        {"concurrency": 0},
        {"tokens": True},
    ],
)
def test_limits_refuse_what_is_no_limit(bad: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        Limits(**bad)


def test_context_shows_what_is_left(plain: bool) -> None:
    @node
    async def look(m: Msg, ctx: Context) -> Msg:
        return Msg(n=ctx.limits.steps or 0)

    run = walk(
        Graph("g", START >> quick >> look >> END, limits=Limits(steps=9)), Msg(), plain=plain
    )
    assert run.output == Msg(n=7)


def test_each_limit_has_its_meter_and_its_words() -> None:
    """Whoever adds one is told what is missing."""
    names = {each.name for each in fields(Limits)}
    # The others are numbers, and are checked as such.
    assert [each.name for each in fields(Limits)][-1] == "unpriced"
    assert set(METERS) <= names
    ledger = Ledger(("g",), Limits())
    assert all(hasattr(ledger, meter) for meter in METERS)
    assert set(LIMIT_WORDS) <= names
    # What is not counted up.
    assert names - set(METERS) == {"depth", "laps", "seconds", "concurrency", "unpriced"}
    assert set(METERS) - {"usd"} <= set(LIMIT_WORDS)  # dollars have a form of their own
