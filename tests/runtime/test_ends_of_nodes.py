"""Whatever a node does to end, it is told as what it is: a step or none, a failure of its own, or the end of the walk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graphflow import END, START, Context, Failure, Graph, Limits, SubAgent, node, tool
from graphflow.errors import (
    BackgroundFailed,
    InputInvalid,
    LimitExceeded,
    OutputInvalid,
    StrayCancellation,
)
from graphflow.events import BackgroundFinished, CallStarted, NodeStarted
from graphflow.run import Run
from tests.conftest import Msg, ended, kinds, walk

pytestmark = pytest.mark.usefixtures("jumping_clock")

both_paths = pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])


@node
async def same(m: Msg) -> Msg:
    return m


@node
async def mend(f: Failure) -> Msg:
    return Msg(tag=f.kind)


@node
async def gather(ms: list[Msg]) -> str:
    return " ".join(m.tag for m in ms)


def began(run: Run[Any]) -> list[str]:
    return [event.node for event in run.events if isinstance(event, NodeStarted)]


# -- what was refused is not a step -------------------------------------------------------------------
def noted(name: str, ran: list[str]) -> Any:
    async def body(m: Msg) -> Msg:
        ran.append(name)
        return m

    return node(name=name)(body)


@pytest.mark.parametrize("observed", [True, False], ids=["observed", "unobserved"])
@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("shape", ["chain", "fork", "nested"])
def test_as_many_steps_are_made_and_told_as_the_limit_allows(
    shape: str, steps: int, observed: bool
) -> None:
    ran: list[str] = []
    a, b, c, d = (noted(name, ran) for name in "abcd")
    if shape == "chain":
        graph = Graph("g", START >> a >> b >> c >> d >> END)
    elif shape == "fork":
        graph = Graph("g", START >> a >> (b, c, d) >> gather >> END)
    else:
        graph = Graph(
            "g", START >> a >> Graph("inner", START >> b >> (c, d) >> gather >> END) >> END
        )
    run = walk(graph, Msg(), limits=Limits(steps=steps), observed=observed)
    if run.status == "completed":
        assert steps >= run.usage.steps
        return
    assert getattr(run.error, "limit", "") == "steps"
    assert run.usage.steps == len(run.steps) == steps
    assert [name for name in began(run) if name in "abcd"] == ran
    assert kinds(run)[-1] == "run.end"


def test_a_call_that_the_limit_of_steps_refuses_is_no_step() -> None:
    @tool
    async def look() -> str:
        """Look."""
        return "seen"

    @node(calls=[look])
    async def caller(m: Msg, ctx: Context) -> Msg:
        for _ in range(3):
            await ctx.call(look, {})
        return m

    run = walk(Graph("g", START >> caller >> END), Msg(), limits=Limits(steps=3))
    assert isinstance(run.error, LimitExceeded)
    assert len(run.steps) == run.usage.steps == 3
    assert len([event for event in run.events if isinstance(event, CallStarted)]) == 2


def test_a_branch_that_is_stopped_before_it_begins_is_no_step() -> None:
    @node
    async def bad(m: Msg) -> Msg:
        raise ValueError("at once")

    for observed in (True, False):
        run = walk(Graph("g", START >> (bad, same) >> gather >> END), Msg(), observed=observed)
        assert isinstance(run.error, ValueError)
        assert began(run) == [step.node for step in run.steps] == ["bad"]
        assert run.usage.steps == 1


# -- a cancellation that nobody asked for ----------------------------------------------------------
async def awaits_what_is_cancelled_elsewhere() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def raises_it() -> None:
    raise asyncio.CancelledError("of the library")


STRAYS = [awaits_what_is_cancelled_elsewhere, raises_it]


def astray(stray: Callable[[], Any], times: int = 99, **options: Any) -> Any:
    left = [times]

    async def body(m: Msg) -> Msg:
        left[0] -= 1
        if left[0] >= 0:
            await stray()
        return Msg(tag="at last")

    return node(name="astray", **options)(body)


@both_paths
@pytest.mark.parametrize(
    "options", [{}, {"timeout_s": 60}, {"retry": 2}], ids=["bare", "timed", "retried"]
)
@pytest.mark.parametrize("stray", STRAYS)
def test_a_stray_cancellation_is_a_failure_of_its_node(
    stray: Any, plain: bool, options: Any
) -> None:
    run = walk(Graph("g", START >> same >> astray(stray, **options) >> END), Msg(), plain=plain)
    assert run.status == "failed"
    assert isinstance(run.error, StrayCancellation)
    assert isinstance(run.error.__cause__, asyncio.CancelledError)
    assert [failure.node for failure in run.failures] == ["astray"]


@both_paths
@pytest.mark.parametrize("stray", STRAYS)
def test_a_stray_cancellation_is_retried_and_routed(stray: Any, plain: bool) -> None:
    again = astray(stray, times=1, retry=2)
    assert walk(Graph("g", START >> again >> END), Msg(), plain=plain).output == Msg(tag="at last")
    always = astray(stray)
    graph = Graph("g", START >> always, always >> END, always[Failure] >> mend >> END)
    assert walk(graph, Msg(), plain=plain).output == Msg(tag="StrayCancellation")


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "plain"])
def test_a_stray_cancellation_of_a_branch_is_isolated(stray: Any, threaded: bool) -> None:
    def blocking(m: Msg) -> Msg:
        raise asyncio.CancelledError

    weak = node(name="weak")(blocking) if threaded else astray(stray)
    fork = START >> same.fork("isolate") >> (weak, same.named("well")) >> gather >> END  # type: ignore[operator]
    run = walk(Graph("g", fork), Msg(tag="well"))
    assert run.output == "well"
    assert "node.abandoned" not in kinds(run)


def test_somebody_who_cancels_the_run_is_no_stray() -> None:
    @node
    async def slow(m: Msg) -> Msg:
        await asyncio.sleep(60)
        return m

    async def main(graph: Graph[Any, Any]) -> Run[Any]:
        run = graph.start(Msg())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        run.cancel()
        return await run.settled()

    for graph in (
        Graph("g", START >> slow >> END),
        Graph("g", START >> (slow, same) >> gather >> END),
    ):
        assert asyncio.run(main(graph)).status == "cancelled"


# -- what ends the process ends the walk, as it is -------------------------------------------------
class Told(BaseException):
    """As `pytest.fail`, `SystemExit` and the like: no failure that a graph may handle."""


@both_paths
@pytest.mark.parametrize("kind", [Told, GeneratorExit])
@pytest.mark.parametrize("shape", ["chain", "fork", "nested", "failure edge", "retry", "isolate"])
def test_an_exception_that_is_no_failure_is_raised_as_it_is(
    shape: str, kind: type[BaseException], plain: bool
) -> None:
    stopped = []

    @node(retry=3 if shape == "retry" else None)
    async def told(m: Msg) -> Msg:
        await asyncio.sleep(0)
        raise kind("exit")

    @node
    async def slow(m: Msg) -> Msg:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append("slow")
        return m

    graph = {
        "chain": lambda: Graph("g", START >> told >> END),
        "retry": lambda: Graph("g", START >> told >> END),
        "fork": lambda: Graph("g", START >> (slow, told) >> gather >> END),
        "isolate": lambda: Graph(
            "g", START >> same.fork("isolate") >> (slow, told) >> gather >> END
        ),
        "nested": lambda: Graph(
            "g", START >> (slow, Graph("inner", START >> told >> END)) >> gather >> END
        ),
        "failure edge": lambda: Graph(
            "g", START >> told, told >> END, told[Failure] >> mend >> END
        ),
    }[shape]()
    run = walk(graph, Msg(), plain=plain)
    assert isinstance(run.error, kind)
    assert run.status == "failed"
    assert run.failures[0].node == "told"
    assert stopped == (["slow"] if "slow" in began(run) else [])
    assert [event.kind for event in run.events].count("run.end") == 1


@both_paths
@pytest.mark.parametrize("kind", [StopIteration, GeneratorExit])
def test_what_would_end_a_coroutine_is_the_failure_of_a_plain_function(
    kind: type[BaseException], plain: bool
) -> None:
    @node
    def ending(m: Msg) -> Msg:
        raise kind

    for graph in (
        Graph("g", START >> ending >> END),
        Graph("g", START >> (same, ending) >> gather >> END),
    ):
        assert (
            repr(walk(graph, Msg(), plain=plain).error)
            == f"RuntimeError('the function raised {kind.__name__}')"
        )


@both_paths
@pytest.mark.parametrize("error", [Told("exit"), ValueError("no")], ids=["told", "failed"])
def test_a_guard_may_raise_what_it_likes(error: BaseException, plain: bool) -> None:
    def guard(m: Msg) -> bool:
        raise error

    graph = Graph(
        "g", START >> same, same.when(guard) >> END, same.otherwise >> same.named("other") >> END
    )
    assert walk(graph, Msg(), plain=plain).error is error


# -- what a message does ---------------------------------------------------------------------------
class Odd:
    """A value whose every method raises."""

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no items")

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@node
async def anything(m: Any) -> Any:
    return m


@node
async def item(m: Any) -> Msg:
    return Msg(tag=str(m))


MAPPED = (anything.each >> item >> gather >> END,)


@pytest.mark.parametrize(
    "sent", [5, None, "text", b"bytes", {"a": 1}, object(), Odd()], ids=lambda v: type(v).__name__
)
def test_what_has_no_items_cannot_be_mapped_and_is_the_failure_of_who_sent_it(sent: Any) -> None:
    run = walk(Graph("g", START >> anything, *MAPPED), sent)
    assert run.status == "failed"
    if isinstance(sent, Odd):
        assert str(run.error) == "no items"
    else:
        assert isinstance(run.error, OutputInvalid)
        assert "'anything'" in str(run.error)
        assert "return a list" in str(run.error)
    mended = Graph("g", START >> anything, *MAPPED, anything[Failure] >> mend >> END)
    assert walk(mended, sent).output.tag in ("OutputInvalid", "RuntimeError")


def test_a_message_at_the_start_that_has_no_items_is_refused() -> None:
    graph = Graph("g", START.each >> item >> gather >> END, input=Any)
    run = walk(graph, 5)
    assert isinstance(run.error, InputInvalid)
    assert walk(graph, ["a", "b"]).output == "a b"


@pytest.mark.parametrize(
    "sent", [("a", "b"), dict.fromkeys("ab").keys(), range(2)], ids=lambda v: type(v).__name__
)
def test_whatever_has_items_can_be_mapped(sent: Any) -> None:
    run = walk(Graph("g", START >> anything, *MAPPED), sent)
    assert run.output == " ".join(map(str, sent))


@both_paths
def test_a_value_without_a_repr_of_the_wrong_type_is_still_named(plain: bool) -> None:
    @node
    async def liar(m: Msg) -> Msg:
        return Odd()  # type: ignore[return-value]

    run = walk(Graph("g", START >> liar >> END), Msg(), plain=plain)
    assert isinstance(run.error, OutputInvalid)
    assert "returned Odd" in str(run.error)


# -- what its agent did not wait for ---------------------------------------------------------------
def test_background_work_that_is_cut_off_is_a_failure() -> None:
    @node
    async def work(m: Msg) -> Msg:
        await asyncio.sleep(60)
        return m

    worker = Graph("worker", START >> work >> END)

    @node(calls=[SubAgent(worker, background=True)])
    async def lead(m: Msg, ctx: Context) -> Msg:
        await ctx.call("worker", m)
        given_up = await ctx.call("worker", m)
        await asyncio.sleep(0)
        given_up.cancel()
        await given_up.wait()
        return m

    run = walk(Graph("g", START >> lead >> END), Msg())
    assert run.status == "completed"
    [cut] = run.failures
    assert isinstance(cut, BackgroundFinished)
    assert (cut.handle, cut.status) == ("worker-1", "cancelled")
    assert isinstance(cut.error, BackgroundFailed)
    assert "cut off" in str(cut.error)
    assert ended(run) == ["lead"]
