"""What a run tells that has had several sittings: the same to those who listen, and to those who read its record."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from graphflow import END, START, Graph, Limits, node
from graphflow.errors import LimitExceeded, WalkCancelled
from graphflow.events import NodeFinished, NodeStarted
from graphflow.journal.stores.memory import MemoryStore


class Gate:
    """Lets so many through, and holds up the others until it is opened."""

    def __init__(self, passes: int) -> None:
        self.passes = passes
        self.held = asyncio.Event()
        self.opened = asyncio.Event()

    async def go(self) -> None:
        if self.passes <= 0:
            self.held.set()
            await self.opened.wait()
        self.passes -= 1


def graph_of(gate: Gate) -> Graph[int, list[int]]:
    @node
    async def numbers(count: int) -> list[int]:
        return list(range(count))

    @node
    async def up(number: int) -> int:
        await gate.go()
        return number + 1

    @node
    async def twice(number: int) -> int:
        await gate.go()
        return 2 * number

    @node
    async def together(each: list[int]) -> list[int]:
        return each

    inner: Graph[int, int] = Graph("inner", START >> up >> twice >> END)
    return Graph("outer", START >> numbers, numbers.each >> inner >> together >> END)


TIMES = re.compile(r"(at|started)=[\d.e-]+")


def told(run: Any) -> list[str]:
    """The events but for their times, of which a record has microseconds."""
    return [TIMES.sub(r"\1=", repr(event)) for event in run.events]


@pytest.mark.parametrize("passes", range(7))
@pytest.mark.parametrize("observed", [True, False])
def test_a_run_that_was_cancelled_and_went_on(passes: int, observed: bool) -> None:
    async def main() -> None:
        gate, store = Gate(passes), MemoryStore()
        graph = graph_of(gate)
        run = graph.start(3, store=store, id="x", observed=observed)
        if passes < 6:
            await gate.held.wait()
            run.cancel()
            with pytest.raises(WalkCancelled):
                await run
            gate.passes = 9
            gate.opened.set()
            run = graph.start(3, store=store, id="x", observed=observed)
        await run
        assert run.output == [2, 4, 6]
        read = await store.load("x", graph)
        assert sorted(told(read)) == sorted(told(run))
        starts = {(e.frame, e.activation) for e in read.events if isinstance(e, NodeStarted)}
        ends = {(e.frame, e.activation) for e in read.events if isinstance(e, NodeFinished)}
        assert ends <= starts

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(1, 11))
def test_a_run_that_was_limited_and_went_on(steps: int) -> None:
    async def main() -> None:
        gate, store = Gate(9), MemoryStore()
        graph = graph_of(gate)
        with pytest.raises(LimitExceeded):
            await graph.run(3, store=store, id="x", limits=Limits(steps=steps))
        run = await graph.resume("x", store=store, limits=Limits(steps=99))
        assert run.output == [2, 4, 6]
        read = await store.load("x", graph)
        starts = {(e.frame, e.activation) for e in read.events if isinstance(e, NodeStarted)}
        ends = {(e.frame, e.activation) for e in read.events if isinstance(e, NodeFinished)}
        assert ends <= starts
        assert sorted(told(read)) == sorted(told(run))

    asyncio.run(main())
