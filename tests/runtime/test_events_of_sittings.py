"""What a run tells that has had several sittings: the same to those who listen, and to those who read its record."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from graphflow import END, START, Graph, Human, Limits, node
from graphflow.errors import LimitExceeded, WalkCancelled
from graphflow.events import NodeFinished, NodeStarted
from graphflow.journal.stores.memory import MemoryStore
from graphflow.telemetry import RunEvent, flush
from graphflow.testing import FakeClock
from tests.looped import looped

DAY = 86_400.0


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


# -- the time of day -------------------------------------------------------------------------------
@looped
async def test_records_have_the_time_of_day_however_long_the_pause_was() -> None:
    """Each sitting says when it began: a run that waits over night goes on in the morning."""
    store = MemoryStore()
    graph = Graph("desk", START >> Human("boss", input=str, output=str) >> ends >> END)
    heard: list[RunEvent] = []
    begun = time.time()
    with FakeClock(datetime.fromtimestamp(begun, UTC)) as clock, graph.subscribe(to=heard.append):
        run = await graph.run("may I?", store=store, id="r")
        assert run.pending[0].asked.timestamp() == pytest.approx(begun, abs=60)
        for day in (1, 2):
            clock.move(DAY)
            answers = {"boss": "yes"} if day == 2 else {}
            run = await graph.resume("r", store=store, answers=answers)
    flush()
    for told in (run.records(), (await store.load("r", graph)).records()):
        at = {record["kind"]: datetime.fromisoformat(record["time"]) for record in told}
        assert at["run.start"].timestamp() == pytest.approx(begun, abs=60)
        assert at["question.asked"].timestamp() == pytest.approx(begun, abs=60)
        for kind in ("run.resume", "question.answered", "run.end"):
            assert at[kind].timestamp() == pytest.approx(begun + 2 * DAY, abs=60)
        times = [record["time"] for record in told]
        assert times == sorted(times)
    ended = [event.seconds for event in heard if event.kind == "run.end"]
    assert ended == [pytest.approx(begun + day * DAY, abs=60) for day in range(3)]


@looped
async def test_a_resumed_run_says_when_its_question_was_asked() -> None:
    store = MemoryStore()
    graph = Graph("desk", START >> Human("boss", input=str, output=str) >> ends >> END)
    begun = time.time()
    with FakeClock(datetime.fromtimestamp(begun, UTC)) as clock:
        await graph.run("may I?", store=store, id="r")
        clock.move(DAY)
        run = await graph.resume("r", store=store)
        assert run.pending[0].asked.timestamp() == pytest.approx(begun, abs=60)


@node
async def ends(text: str) -> str:
    return text
