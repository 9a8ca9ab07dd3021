"""Ten thousand calls of tools and sub-agents: nothing that a run was made of outlives it."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import tracemalloc
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Graph,
    Limits,
    Policy,
    Retry,
    SubAgent,
    ToolError,
    tool,
)
from graphflow.events import CallFinished
from graphflow.model.seam import CallDelta, Finished, ModelEvent, Request, TextDelta, UsageDelta
from graphflow.model.turns import ToolTurn
from tests.waiting import eventually

CALLS = 4_000
AT_ONCE = 20
"""Runs at the same time."""
alive: weakref.WeakSet[Any] = weakref.WeakSet()
"""What came with a run, or was raised in one."""


class Deps:
    """Something of each run's own."""

    def __init__(self) -> None:
        alive.add(self)


class Boom(Exception):
    """An error, which holds the frames it came through."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        alive.add(self)


class Plan:
    """A model that keeps nothing: one turn of calls, then an answer."""

    name = "plan"

    def __init__(self, *calls: tuple[str, str]) -> None:
        self.calls = calls

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """The calls first; an answer when there are results."""
        if isinstance(request.turns[-1], ToolTurn):
            yield TextDelta("done")
        else:
            for index, (name, arguments) in enumerate(self.calls):
                yield CallDelta(index, id=f"c{index}", name=name, arguments=arguments)
        yield UsageDelta(10, 5, 0.0)
        yield Finished("stop" if isinstance(request.turns[-1], ToolTurn) else "tool_calls")


@tool
async def quick(n: int, ctx: Context) -> str:
    """Answer, and leave something."""
    ctx.keep(f"{n}.txt", f"{n}" * 100)
    return f"{n}" * 200


@tool
def threaded(n: int) -> int:
    """Answer from a thread."""
    return n


@tool(cache=True)
async def kept(n: int) -> list[int]:
    """Answer once."""
    await asyncio.sleep(0)
    return [n] * 50


@tool(cache=0.05)
async def held(n: int) -> list[int]:
    """Answer for a while."""
    return [n] * 50


@tool
async def failing(n: int) -> str:
    """Fail."""
    raise Boom(f"no {n}" * 20)


@tool
async def again(n: int, ctx: Context) -> str:
    """Fail, and ask to be tried again."""
    raise ToolError("busy", retry=Retry(attempts=2, wait_s=0))


@tool(timeout_s=0.002)
async def hanging(n: int) -> str:
    """Hang."""
    await asyncio.sleep(60)
    return ""


@tool(timeout_s=0.002)
def blocking(n: int) -> str:
    """Block a thread a little longer than it may."""
    threading.Event().wait(0.01)
    return ""


@tool(concurrency_safe=False)
async def alone(n: int) -> int:
    """Run alone."""
    await asyncio.sleep(0)
    return n


@tool(approval=True, effects=["writes"])
async def asked(n: int) -> int:
    """Ask first."""
    return n


@tool
async def forever(n: int) -> str:
    """Wait until somebody stops it."""
    await asyncio.sleep(60)
    return ""


clerk = Agent(
    "clerk",
    input=str,
    model=Plan(("quick", '{"n": 1}'), ("failing", '{"n": 1}')),
    tools=[quick, failing],
)
stuck = Agent("stuck", input=str, model=Plan(("forever", '{"n": 1}')), tools=[forever])


TOOLS = [quick, threaded, kept, held, failing, again, hanging, blocking, alone, asked]
TURN = (
    *((t.name, f'{{"n": {n}}}') for n in (1, 2) for t in TOOLS),
    ("quick", '{"n": "wrong"}'),
    ("missing", "{}"),
    ("clerk", '{"input": "x"}'),
    ("forked", '{"input": "x"}'),
    ("behind", '{"input": "x"}'),
)
desk = Graph(
    "desk",
    START
    >> Agent(
        "boss",
        input=str,
        model=Plan(*TURN),
        tools=TOOLS,
        sub_agents=[
            clerk,
            SubAgent(clerk, name="forked", isolation="forked"),
            SubAgent(stuck, name="behind", background=True),
        ],
    )
    >> END,
)
endless = Graph(
    "endless",
    START
    >> Agent("boss", input=str, model=Plan(("stuck", '{"input": "x"}')), sub_agents=[stuck])
    >> END,
)


async def one(number: int, said: Counter[str]) -> None:
    """One run, ended in one of four ways."""
    options: dict[str, Any] = {"deps": Deps(), "approve": lambda use: use.arguments.n == 1}
    if number % 10 == 7:
        run = endless.start("go", **options)
        await asyncio.sleep(0.005)
        run.cancel()
        await run.settled()
    elif number % 10 == 8:
        run = endless.start("go", limits=Limits(seconds=0.01), **options)
        await run.settled()
    elif number % 2:
        run = desk.start("go", policy=Policy(deny=["alone"]), **options)
        await run.settled()
    else:
        run = await desk.run("go", **options)
    said[run.status] += 1
    said["calls"] += sum(event.kind in ("call.end", "call.error") for event in run.events)
    said["answered"] += sum(isinstance(event, CallFinished) for event in run.events)


def files() -> int:
    """File descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def rest(before: set[threading.Thread]) -> None:
    """Waits until threads that were left behind since have ended; an engine that others began goes on for good."""
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("graphflow:"):
            thread.join(60)
    gc.collect()


@pytest.mark.slow
@pytest.mark.timeout(0)  # what it measures is growth; how long that takes is the machine's affair
@pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="counts file descriptors where Linux lists them"
)
def test_thousands_of_calls_leave_nothing_behind() -> None:
    async def main() -> tuple[Counter[str], list[tuple[int, int, int, int, int]]]:
        said: Counter[str] = Counter()
        marks = []
        for quarter in range(4):
            while said["calls"] < CALLS * (quarter + 1) / 4:
                began = said["completed"]
                await asyncio.gather(*(one(number, said) for number in range(AT_ONCE)))
                assert said["completed"] > began
            await eventually(lambda: len(asyncio.all_tasks()) == 1)
            rest(before)
            tasks = len(asyncio.all_tasks())
            marks.append(
                (
                    tasks,
                    threading.active_count(),
                    files(),
                    len(alive),
                    tracemalloc.get_traced_memory()[0],
                )
            )
        return said, marks

    before = set(threading.enumerate())
    gc.collect()
    gc.freeze()  # what other tests have left is looked at by no collection here
    tracemalloc.start(1)
    try:
        said, marks = asyncio.run(main())
    finally:
        tracemalloc.stop()
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # as before: see tests/conftest.py
    assert said["calls"] >= CALLS
    assert said["completed"] > 0.7 * said["calls"] / len(TURN) / 1.5
    assert said["cancelled"]
    assert said["limited"]
    assert 0.3 < said["answered"] / said["calls"] < 0.9
    tasks, threads, open_files, living, memory = zip(*marks, strict=True)
    assert set(tasks) == {1}
    assert threads[-1] <= threads[0]
    assert open_files[-1] <= open_files[0]
    assert living[-1] == 0
    assert memory[3] - memory[1] < 100_000, f"{memory[3] - memory[1]} bytes more after 5,000 calls"
