"""A clock that a test moves: what waits for hours is over at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from graphflow import END, START, Context, Graph, Human, Store, TimedOut, Wait, node
from graphflow.testing import FakeClock
from tests.looped import looped
from tests.waiting import eventually

HOURS_8 = 8 * 3600.0


@node(effects=[])
async def hour(message: str, ctx: Context) -> str:
    return f"{message} at {ctx.now():%H:%M}"


NIGHT = Graph("night", START >> Wait("sleep", seconds=HOURS_8, input=str) >> hour >> END)


@looped
async def test_a_wait_of_hours_is_over_when_the_clock_is_moved() -> None:
    store = Store.open("memory:")
    with FakeClock(datetime(2030, 1, 1, 22, tzinfo=UTC)) as clock:
        run = await NIGHT.run("up", store=store, id="one")
        assert run.status == "waiting"
        clock.move(HOURS_8 - 60)
        assert (await NIGHT.resume("one", store=store)).status == "waiting"
        clock.move(60)
        run = await NIGHT.resume("one", store=store)
    assert run.output == "up at 06:00"


@looped
async def test_a_question_times_out_when_the_clock_is_moved() -> None:
    late = node(name="late", effects=[])(_late)
    boss = Human("boss", input=str, output=str, timeout=3600)
    graph = Graph("ask", START >> boss, boss[TimedOut] >> late >> END, boss[str] >> END)
    with FakeClock() as clock:
        run = await graph.run("may I?")
        assert run.status == "waiting"
        assert run.store is not None
        clock.move(3600)
        run = await graph.resume(run.id, store=run.store)
    assert run.output == "nobody came"


async def _late(timed_out: TimedOut) -> str:
    return "nobody came"


@looped
async def test_a_timer_that_is_due_soon_goes_off_while_the_run_waits_for_it() -> None:
    graph = Graph("nap", START >> Wait("nap", seconds=5, input=str) >> hour >> END)
    with FakeClock(datetime(2030, 1, 1, tzinfo=UTC)) as clock:
        run = graph.start("up", store=Store.open("memory:"))
        await eventually(lambda: bool(run.pending))
        clock.move(5)
        await run
    assert run.output == "up at 00:00"


def test_a_clock_is_not_moved_back() -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        FakeClock().move(-1)
