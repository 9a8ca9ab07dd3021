"""Tools at work: at once and in order, off the loop, stopped in time, tried again."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    Limits,
    Retry,
    ToolError,
    node,
    tool,
)
from graphflow.errors import NodeTimeout
from graphflow.events import CallFailed, NodeAbandoned, NodeRetried
from graphflow.testing import ScriptedModel, both, calls
from tests.conftest import kinds, walk
from tests.toolbox import ask, told

pytestmark = pytest.mark.usefixtures("jumping_clock")

both_ways = pytest.mark.parametrize("observed", [False, True])


# -- several at once -------------------------------------------------------------------------------
class Gauge:
    """How many run at a time, and what begins and ends when."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.told: list[str] = []

    @contextlib.contextmanager
    def at(self, name: str) -> Iterator[None]:
        self.now += 1
        self.most = max(self.most, self.now)
        self.told.append(f"+{name}")
        try:
            yield
        finally:
            self.now -= 1
            self.told.append(f"-{name}")


@both_ways
@pytest.mark.parametrize(("allowed", "most"), [(1, 1), (3, 3), (10, 6)])
def test_the_calls_of_a_turn_run_at_once_but_no_more_than_allowed(
    observed: bool, allowed: int, most: int
) -> None:
    gauge = Gauge()

    @tool
    async def wait(n: int) -> int:
        """Wait; the first the longest."""
        with gauge.at(str(n)):
            await asyncio.sleep(0.03 - n * 0.004)
        return n

    turn = both(*(calls("wait", n=n) for n in range(6)))
    _, results = ask([wait], turn, observed=observed, agent={"max_parallel_calls": allowed})
    assert [r.text for r in results] == list("012345")
    assert gauge.most == most


@both_ways
def test_what_is_not_safe_beside_others_waits_for_those_before_and_holds_those_after(
    observed: bool,
) -> None:
    gauge = Gauge()

    @tool
    async def safe(n: str) -> str:
        """Be safe."""
        with gauge.at(n):
            await asyncio.sleep(0.01)
        return n

    @tool(concurrency_safe=False)
    async def alone(n: str) -> str:
        """Be alone."""
        with gauge.at(n):
            assert gauge.now == 1
            await asyncio.sleep(0.005)
        return n

    order = ["a", "b", "C", "D", "e", "f"]
    turn = both(*(calls("safe" if n.islower() else "alone", n=n) for n in order))
    _, results = ask([safe, alone], turn, observed=observed)
    assert [r.text for r in results] == order
    said = gauge.told
    assert set(said[:4]) == {"+a", "+b", "-a", "-b"}
    assert said[4:8] == ["+C", "-C", "+D", "-D"]
    assert set(said[8:]) == {"+e", "+f", "-e", "-f"}
    assert gauge.most == 2


@both_ways
@pytest.mark.parametrize("plain", [False, True])
def test_two_agents_take_turns_with_what_is_not_safe(observed: bool, plain: bool) -> None:
    gauge = Gauge()

    def _drill(n: int) -> int:
        """Drill."""
        with gauge.at("x"):
            time.sleep(0.01)
        return n

    async def drill(n: int) -> int:
        """Drill."""
        with gauge.at("x"):
            await asyncio.sleep(0.01)
        return n

    one = tool(name="drill", concurrency_safe=False)(_drill if plain else drill)
    clerk = Agent("clerk", input=str, tools=[one])
    boss = Agent("boss", input=str, tools=[one], sub_agents=[clerk])
    model = ScriptedModel(
        both(*(calls("clerk", input=f"part {n}") for n in range(4))),
        *(calls("drill", n=n, when=f"part {n}") for n in range(4)),
        *("done" for _ in range(4)),
        "end",
    )
    assert (
        walk(Graph("g", START >> boss >> END), "go", model=model, observed=observed).output == "end"
    )
    assert gauge.told == ["+x", "-x"] * 4


@both_ways
def test_plain_functions_leave_the_loop_to_others_and_see_the_callers_context(
    observed: bool,
) -> None:
    who = contextvars.ContextVar("who", default="nobody")
    loop_thread: list[int] = []
    met = threading.Barrier(4, timeout=60)

    @tool
    def block(n: int) -> str:
        """Wait in a thread until three others and the loop have come."""
        met.wait()
        assert threading.get_ident() != loop_thread[0]
        return who.get()

    @tool
    async def come(n: int) -> str:
        """Come, on the loop, while three threads block."""
        loop_thread.append(threading.get_ident())
        for _ in range(4000):
            if met.n_waiting == 3:
                met.wait()
                return who.get()
            await asyncio.sleep(0.005)
        return "they never came"

    turn = both(calls("come", n=0), *(calls("block", n=n) for n in range(3)))
    model = ScriptedModel(turn, "end")

    async def main() -> Any:
        who.set("ida")
        return await Graph("g", START >> Agent("agent", input=str, tools=[block, come]) >> END).run(
            "go", model=model
        )

    asyncio.run(main())
    assert [r.text for r in model.requests[1].turns[-1].results] == ["ida"] * 4  # type: ignore[union-attr]


# -- time ------------------------------------------------------------------------------------------
@both_ways
def test_a_tool_that_takes_too_long_is_stopped_and_the_others_are_not(observed: bool) -> None:
    stopped: list[str] = []

    @tool(timeout_s=0.05)
    async def hang(n: int) -> str:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("hang")
        return "never"

    @tool(timeout_s=20)
    async def quick(n: int) -> str:
        """Answer after the other was stopped."""
        await asyncio.sleep(0.1)
        return "quick"

    run, results = ask(
        [hang, quick], both(calls("hang", n=1), calls("quick", n=1)), observed=observed
    )
    assert results[0].text == "NodeTimeout: node 'hang' took longer than its timeout_s=0.05"
    assert results[1].text == "quick"
    assert stopped == ["hang"]
    assert "node.abandoned" not in kinds(run)


@both_ways
def test_a_tool_that_answers_when_told_to_stop_is_too_late(observed: bool) -> None:
    @tool(timeout_s=0.03)
    async def stubborn(n: int) -> str:
        """Swallow the request to stop."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.02)
        return "late"

    assert "took longer" in told(stubborn, '{"n": 1}', observed=observed).text


def test_a_tool_that_will_not_stop_is_left_behind_and_said_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("graphflow.runtime.time_limits.GRACE_S", 0.05)

    async def main() -> Any:
        free = asyncio.Event()

        @tool(timeout_s=0.03)
        async def deaf(n: int) -> str:
            """Swallow every request to stop."""
            while not free.is_set():
                try:
                    await free.wait()
                except asyncio.CancelledError:
                    continue
            return "late"

        graph = Graph("g", START >> Agent("agent", input=str, tools=[deaf]) >> END)
        run = await graph.run("go", model=ScriptedModel(calls("deaf", n=1), "end"))
        left = asyncio.all_tasks() - {asyncio.current_task()}
        free.set()
        await asyncio.gather(*left)
        return run, len(left)

    run, left = asyncio.run(main())
    assert run.output == "end"
    assert left == 1
    assert [e.node for e in run.events if isinstance(e, NodeAbandoned)] == ["deaf"]
    assert [type(e.error) for e in run.events if isinstance(e, CallFailed)] == [NodeTimeout]


@both_ways
@pytest.mark.parametrize("yields", [False, True])
def test_a_thread_that_blocks_is_left_behind_and_said_to_be(observed: bool, yields: bool) -> None:
    free = threading.Event()

    def _block(n: int) -> str:
        """Block."""
        free.wait(60)
        return "late"

    def _pieces(n: int) -> Iterator[str]:
        """Yield one piece, then block."""
        yield "first"
        free.wait(60)
        yield "late"

    block = tool(name="block", timeout_s=0.05)(_pieces if yields else _block)
    run, [result] = ask([block], calls("block", n=1), observed=observed)
    assert not free.is_set()
    free.set()
    assert result.text.startswith("NodeTimeout")
    assert [e.node for e in run.events if isinstance(e, NodeAbandoned)] == ["block"]


@both_ways
@pytest.mark.parametrize("how", ["edge", "code"])
def test_on_an_edge_and_in_code_it_is_an_error_of_the_walk(observed: bool, how: str) -> None:
    @tool(timeout_s=0.03)
    async def hang(n: int) -> str:
        """Hang."""
        await asyncio.sleep(60)
        return "never"

    @node(calls=[hang])
    async def lead(n: int, ctx: Context) -> str:
        return str(await ctx.call(hang, n))

    first = lead if how == "code" else hang
    run = walk(Graph("g", START >> first >> END), 1, observed=observed)
    assert isinstance(run.error, NodeTimeout)

    @node
    async def mend(failure: Failure) -> str:
        return failure.kind

    mended = Graph("g", START >> first >> END, first[Failure] >> mend >> END)
    assert walk(mended, 1, observed=observed).output == "NodeTimeout"


def test_the_runs_deadline_stops_a_tool_without_a_limit_of_its_own() -> None:
    stopped: list[int] = []

    @tool
    async def hang(n: int) -> str:
        """Hang."""
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append(n)
        return "never"

    model = ScriptedModel(both(calls("hang", n=1), calls("hang", n=2)))
    run = walk(
        Graph("g", START >> Agent("a", input=str, tools=[hang]) >> END),
        "go",
        model=model,
        limits=Limits(seconds=0.1),
    )
    assert run.status == "limited"
    assert sorted(stopped) == [1, 2]


@both_ways
def test_a_tool_that_says_cancelled_without_being_told_to_is_an_error_result(
    observed: bool,
) -> None:
    @tool
    async def odd(n: int) -> str:
        """Raise what only asyncio should."""
        raise asyncio.CancelledError("of itself")

    _, results = ask([odd], both(calls("odd", n=1), calls("odd", n=2)), observed=observed)
    assert [r.ok for r in results] == [False, False]
    assert "of itself" in results[0].text


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("handled", [True, False])
def test_a_task_group_that_fails_in_a_node_is_not_a_wish_to_stop(
    plain: bool, handled: bool
) -> None:
    """Before Python 3.13 a `TaskGroup` leaves its own request to cancel behind in the task that walks."""

    async def bad() -> None:
        raise ValueError("inner")

    async def work() -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(bad())
        return "unreached"

    async def careful() -> str:
        try:
            return await work()
        except* ValueError:
            pass
        return "handled"

    do = careful if handled else work

    @node
    async def step(text: str) -> str:
        return await do()

    @tool
    async def act(n: int) -> str:
        """Act."""
        return await do()

    @node
    async def after(text: str) -> str:
        await asyncio.sleep(0)
        return text

    run = walk(Graph("g", START >> step >> after >> END), "x", plain=plain)
    assert run.output == "handled" if handled else isinstance(run.error, ExceptionGroup)
    agent = Agent("agent", input=str, tools=[act])
    model = ScriptedModel(calls("act", n=1), calls("act", n=2), "end")
    run = walk(Graph("g", START >> agent >> after >> END), "x", plain=plain, model=model)
    assert run.output == "end", run.error
    assert model.requests[1].turns[-1].results[0].ok is handled  # type: ignore[union-attr]


# -- again -----------------------------------------------------------------------------------------
@both_ways
@pytest.mark.parametrize(
    "options",
    [{}, {"timeout_s": 20}, {"concurrency_safe": False}, {"effects": ["writes"]}, {"cache": True}],
)
@pytest.mark.parametrize("own", [False, True], ids=["of the node", "of the tool"])
def test_a_call_is_tried_again_under_one_name_and_charged_once(
    observed: bool, options: Any, own: bool
) -> None:
    retry = Retry(attempts=3, wait_s=0.001)
    keys: list[str] = []

    @tool(**options, **({} if own else {"retry": retry}))
    async def flaky(n: int, ctx: Context) -> str:
        """Fail twice."""
        keys.append(ctx.key)
        if keys.count(ctx.key) < 3:
            raise ToolError("line is busy", retry=retry) if own else OSError("line is busy")
        return f"got {n}"

    run, results = ask([flaky], calls("flaky", n=1), calls("flaky", n=2), observed=observed)
    assert [r.text for r in results] == ["got 1", "got 2"]
    assert len(keys) == 6
    assert len(set(keys)) == 2
    assert keys[0] == keys[2] != keys[3]
    assert run.usage.tool_calls == 2
    retried = [e for e in run.events if isinstance(e, NodeRetried)]
    assert [e.attempt for e in retried] == [2, 3, 2, 3]
    assert "line is busy" in retried[0].error


@both_ways
def test_retries_end_and_the_last_error_is_the_result(observed: bool) -> None:
    tried: list[int] = []

    @tool
    async def never(n: int) -> str:
        """Fail."""
        tried.append(n)
        raise ToolError(f"attempt {len(tried)}", retry=Retry(attempts=3, wait_s=0))

    assert told(never, '{"n": 1}', observed=observed).text == "ToolError: attempt 3"
    tried.clear()
    run = walk(Graph("g", START >> never >> END), 1, observed=observed)
    assert str(run.error) == "attempt 3"


def test_a_tool_may_ask_for_less_than_its_node_says() -> None:
    tried: list[int] = []

    @tool(retry=Retry(attempts=5, wait_s=0))
    async def sure(n: int) -> str:
        """Know better."""
        tried.append(n)
        raise ToolError("no such order", retry=Retry(attempts=1))

    assert told(sure, '{"n": 1}').text == "ToolError: no such order"
    assert len(tried) == 1


def test_each_attempt_has_its_own_time_and_only_what_is_named_is_tried_again() -> None:
    tried: list[float] = []

    @tool(timeout_s=0.05, retry=Retry(attempts=3, wait_s=0, on=(TimeoutError,)))
    async def slow(n: int) -> str:
        """Be slow twice."""
        tried.append(n)
        if len(tried) < 3:
            await asyncio.sleep(60)
        return "at last"

    @tool(retry=Retry(attempts=3, wait_s=0, on=(TimeoutError,)))
    async def wrong(n: int) -> str:
        """Be wrong."""
        tried.append(n)
        raise KeyError("n")

    assert told(slow, '{"n": 1}').text == "at last"
    tried.clear()
    assert told(wrong, '{"n": 1}').text == "KeyError: 'n'"
    assert len(tried) == 1


def test_a_run_can_be_stopped_between_two_attempts() -> None:
    async def main() -> Any:
        tried = asyncio.Event()

        @tool
        async def busy(n: int) -> str:
            """Be busy."""
            tried.set()
            raise ToolError("busy", retry=Retry(attempts=2, wait_s=20))

        graph = Graph("g", START >> Agent("agent", input=str, tools=[busy]) >> END)
        run = graph.start("go", model=ScriptedModel(calls("busy", n=1)))
        await tried.wait()
        await asyncio.sleep(0.01)
        run.cancel()
        await run.settled()
        assert asyncio.get_running_loop().time() < 20
        return run

    run = asyncio.run(main())
    assert run.status == "cancelled"


def test_the_key_differs_between_calls_at_once_agents_and_runs() -> None:
    keys: list[str] = []

    @tool
    async def note(n: int, ctx: Context) -> str:
        """Note."""
        keys.append(ctx.key)
        return "noted"

    clerk = Agent("clerk", input=str, tools=[note])
    boss = Agent("boss", input=str, tools=[note], sub_agents=[clerk])
    for _ in range(2):
        model = ScriptedModel(
            both(
                calls("note", n=1),
                calls("note", n=1),
                calls("clerk", input="x"),
                calls("clerk", input="y"),
            ),
            calls("note", n=1, when="x"),
            calls("note", n=1, when="y"),
            "c",
            "c",
            "end",
        )
        assert walk(Graph("g", START >> boss >> END), "go", model=model).output == "end"
    assert len(keys) == 8
    assert len(set(keys)) == 8


def test_what_must_not_run_twice_does_not_in_runs_at_the_same_time_either() -> None:
    at_once: list[int] = []
    now = 0

    @tool(concurrency_safe=False)
    async def alone() -> int:
        nonlocal now
        now += 1
        at_once.append(now)
        await asyncio.sleep(0.01)
        now -= 1
        return now

    graph = Graph("g", START >> Agent("a", input=str, tools=[alone]) >> END)

    async def main() -> None:
        models = [ScriptedModel(both(calls("alone"), calls("alone")), "done") for _ in range(4)]
        await asyncio.gather(*(graph.run("go", model=model) for model in models))

    asyncio.run(main())
    assert at_once == [1] * 8
