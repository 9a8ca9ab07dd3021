"""graphflow on the common workloads: chain, loop, fan-out, concurrency, build. Public API with its defaults.

Run by the benchmark harness that brings `common.Msg`, `common.bump` and `common.nap`; `tests/bench/test_ratio.py` runs the
same workloads against bare asyncio without it.
"""

from __future__ import annotations

from typing import Any

from common import Msg, Skip, bump, nap  # type: ignore[import-not-found]  # the harness puts it on the path

from graphflow import END, START, Graph, node

DISTS = ("graphflow-agents",)
NOTES = {
    "w1": "types, step count, journal and output checks on; nobody subscribed",
    "w2": "guards on the loop's exit, lap limit counted",
}


def skip(workload: str) -> None:
    """W5 (durable checkpoints) and W6 (models over HTTP) are not built yet."""
    if workload in ("w5", "w6"):
        raise Skip("no durable store and no wire format yet")


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

    return Graph("loop", START >> a >> b, b.when(lambda m: m.n < rounds).limit(rounds) >> a, b.otherwise >> END)


run_loop = run_chain


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
