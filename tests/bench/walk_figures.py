"""What a walk costs beside bare asyncio: the workloads of docs/speed.md that need nothing but this package.

    python -m tests.bench.walk_figures [ROUNDS]

Ours and a loop of plain awaits take turns in one process. A round is the fastest of five runs, printed is the median of all
rounds: ratios, where 1 is bare asyncio; of building and importing, milliseconds. Trust it on a quiet machine only.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from graphflow import END, START, Graph, Message, node

RUNS = 5
NAP_S = 0.02
Work = Callable[[], Awaitable[Any]]


class Msg(Message):
    """What goes along the arrows."""

    n: int = 0


async def bump(m: Msg) -> Msg:
    """The node of all workloads: it only counts."""
    return Msg(n=m.n + 1)


async def nap(m: Msg) -> Msg:
    """A node that waits, as one does that asks a model."""
    await asyncio.sleep(NAP_S)
    return m


def line(function: Callable[[Msg], Awaitable[Msg]], count: int) -> Graph[Msg, Msg]:
    """So many nodes, one behind the other."""
    step: Any = node(function)
    path: Any = START
    for number in range(count):
        path = path >> step.named(f"n{number}")
    return Graph("chain", path >> END)


def chain(count: int) -> tuple[Work, Work]:
    """A chain of nodes, and the same as a loop."""
    graph = line(bump, count)

    async def bare() -> None:
        m = Msg()
        for _ in range(count):
            m = await bump(m)

    return lambda: graph.run(Msg()), bare


def loop(laps: int) -> tuple[Work, Work]:
    """Two nodes in a cycle, and the same as a loop."""
    first: Any = node(bump)

    @node
    async def copy(m: Msg) -> Msg:
        return Msg(n=m.n)

    back = copy.when(lambda m: m.n < laps).limit(laps) >> first
    graph = Graph("loop", START >> first >> copy, back, copy.otherwise >> END)

    async def bare() -> None:
        m = Msg()
        while m.n < laps:
            m = await bump(m)
            m = Msg(n=m.n)

    return lambda: graph.run(Msg()), bare


def fan_out(width: int) -> tuple[Work, Work]:
    """So many branches and their join, and `asyncio.gather`."""
    step: Any = node(bump)

    @node
    async def count(ms: list[Msg]) -> int:
        return len(ms)

    branches = [step.named(f"n{number}") for number in range(width)]
    graph = Graph("fan", START >> branches >> count >> END)

    async def bare() -> None:
        await asyncio.gather(*(bump(Msg()) for _ in range(width)))

    return lambda: graph.run(Msg()), bare


def at_the_same_time(runs: int) -> tuple[Work, Work]:
    """Runs of five nodes that wait, and five waits in so many tasks."""
    graph = line(nap, 5)

    async def waits() -> None:
        for _ in range(5):
            await asyncio.sleep(NAP_S)

    async def ours() -> None:
        await asyncio.gather(*(graph.run(Msg()) for _ in range(runs)))

    async def bare() -> None:
        await asyncio.gather(*(waits() for _ in range(runs)))

    return ours, bare


async def fastest(work: Work) -> float:
    """Seconds of the fastest of some runs."""
    best = float("inf")
    for _ in range(RUNS):
        gc.collect()
        begun = time.perf_counter()
        await work()
        best = min(best, time.perf_counter() - begun)
    return best


async def ratio(ours: Work, bare: Work) -> float:
    """How many times as long ours takes, in turns."""
    return await fastest(ours) / await fastest(bare)


def seconds_of(program: str) -> float:
    """How long a fresh interpreter takes for a program, the fastest of some runs."""
    best = float("inf")
    for _ in range(RUNS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        best = min(best, time.perf_counter() - begun)
    return best


def build_ms(count: int) -> float:
    """Milliseconds of declaring and proving a chain of so many nodes."""
    gc.collect()
    begun = time.perf_counter()
    line(bump, count)
    return 1000 * (time.perf_counter() - begun)


def import_ms() -> float:
    """Milliseconds that the import takes beyond an interpreter that does nothing."""
    return 1000 * (seconds_of("import graphflow") - seconds_of("pass"))


WALKS: dict[str, Callable[[], tuple[Work, Work]]] = {
    "chain of 1,000 nodes": lambda: chain(1_000),
    "loop of two nodes, 10,000 times": lambda: loop(10_000),
    "fan-out to 1,000 nodes and a join": lambda: fan_out(1_000),
    "1,000 runs at once": lambda: at_the_same_time(1_000),
    "5,000 runs at once": lambda: at_the_same_time(5_000),
}


def main() -> None:
    """Prints a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for name, make in WALKS.items():
        ours, bare = make()
        found = [asyncio.run(ratio(ours, bare)) for _ in range(rounds)]
        print(f"{name:<36} {median(found):6.2f} x", flush=True)
    print(
        f"{'building 10,000 nodes':<36} {median(build_ms(10_000) for _ in range(rounds)):6.0f} ms"
    )
    print(f"{'import':<36} {median(import_ms() for _ in range(rounds)):6.1f} ms")


if __name__ == "__main__":
    main()
