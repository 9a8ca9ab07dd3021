"""graphflow on the common workloads: chain, loop, fan-out, concurrency, build. Public API with its defaults.

Run by the benchmark harness that brings `common.Msg`, `common.bump` and `common.nap`; `tests/bench/test_ratio.py` runs the
same workloads against bare asyncio without it.
"""

from __future__ import annotations

import time
from typing import Any

from common import PROMPT, SYSTEM, Msg, bump, kb, lookup_result, nap  # type: ignore[import-not-found]  # the harness puts it on the path
from pydantic import BaseModel

from graphflow import END, START, Graph, Store, node
from graphflow.events import CallFinished, ModelDelta, NodeFinished, RunEnded

DISTS = ("graphflow-agents",)
NOTES = {
    "w1": "types, step count, journal and output checks on; nobody subscribed",
    "w2": "guards on the loop's exit, lap limit counted",
    "w5": "sync='each': every step is on the disk before the next one begins; SQLite, WAL, synchronous=FULL",
    "w6": "journal, limits, timeouts and retries on; streaming: every delta a typed event of graph.stream()",
}


def _line(count: int, function: Any) -> Graph[Any, Any]:
    step = node(function)
    path: Any = START
    for number in range(count):
        path = path >> step.named(f"n{number}")
    return Graph("chain", path >> END)


def build_chain(count: int) -> Graph[Any, Any]:
    return _line(count, bump)


async def run_chain(graph: Graph[Any, Any]) -> int:
    return (await graph.run(Msg(n=0))).output.n


def build_loop(rounds: int) -> Graph[Any, Any]:
    a = node(name="a")(bump)

    @node
    async def b(m: Msg) -> Msg:
        return Msg(n=m.n, tag=m.tag)

    return Graph(
        "loop",
        START >> a >> b,
        b.when(lambda m: m.n < rounds).limit(rounds) >> a,
        b.otherwise >> END,
    )


run_loop = run_chain


class Growth(BaseModel):
    """One step of a history that grows by 1 KB each."""

    number: int
    text: str = ""


def _history(steps: int, marks: list[float]) -> Graph[Any, Any]:
    @node(effects=[])
    async def grow(last: Growth) -> Growth:
        marks.append(time.perf_counter())
        return Growth(number=last.number + 1, text=kb(last.number))

    def is_short(last: Growth) -> bool:
        return last.number < steps

    return Graph(
        "history", START >> grow, grow.when(is_short).limit(steps) >> grow, grow.otherwise >> END
    )


async def run_checkpoint(path: str, steps: int) -> list[float]:
    """The clock at the beginning of each step, and at the end of the last."""
    marks: list[float] = []
    graph = _history(steps, marks)
    async with Store.open(f"sqlite:{path}/runs.db") as store:
        await graph.run(Growth(number=0), store=store, id="r", sync="each")
        marks.append(time.perf_counter())
    return marks


async def read_back(path: str, steps: int) -> list[str]:
    async with Store.open(f"sqlite:{path}/runs.db") as store:
        run = await store.load("r", _history(steps, []))
    return [event.output.text for event in run.events if isinstance(event, NodeFinished)]


def build_fan(width: int) -> Graph[Any, Any]:
    source = node(name="src")(bump)

    def leaf(number: int) -> Any:
        async def body(m: Msg) -> Msg:
            return Msg(n=number, tag=m.tag)

        return node(name=f"l{number}")(body)

    @node
    async def join(ms: list[Msg]) -> Msg:
        return Msg(n=sum(m.n for m in ms))

    return Graph("fan", START >> source >> [leaf(i) for i in range(width)] >> join >> END)


async def run_fan(graph: Graph[Any, Any]) -> int:
    return (await graph.run(Msg(n=-1))).output.n


def build_sleep() -> Graph[Any, Any]:
    return _line(5, nap)


async def run_sleep(graph: Graph[Any, Any], number: int) -> int:
    return (await graph.run(Msg(n=number))).output.n


def make_agent(base: str, model: str, stream: bool) -> Any:
    from graphflow import Agent, connect, tool

    @tool
    async def lookup(key: str) -> str:
        """Look a key up."""
        return lookup_result(key)

    asked = connect(f"compatible:{model}", base_url=base, stream=stream)
    agent = Agent("agent", tools=[lookup], system=SYSTEM, max_turns=1000)
    return Graph("loop", START >> agent >> END, model=asked), stream


async def run_agent(agent: Any) -> tuple[str, int, int]:
    graph, stream = agent
    if not stream:
        run = await graph.run(PROMPT)
        return run.output, run.usage.tool_calls, 0
    deltas, calls, text = 0, 0, ""
    async for event in graph.stream(PROMPT):
        if type(event) is ModelDelta and event.channel == "text":
            deltas += 1
        elif type(event) is CallFinished:
            calls += 1
        elif type(event) is RunEnded:
            text = event.output
    return text, calls, deltas
