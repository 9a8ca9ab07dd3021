"""Who subscribes is told, in order and in full, and no subscriber harms a walk."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from graphflow import Store
from graphflow.errors import DeclarationError
from graphflow.events import NodeFinished
from graphflow.journal.stretch import Stretch
from graphflow.telemetry import RunEvent, flush, subscribe
from graphflow.telemetry.hub import HUB
from graphflow.telemetry.subscription import MAX_RAISES
from tests.conftest import Msg
from tests.telemetry.office import chain, desk, loop, nested
from tests.waiting import eventually


def seen(events: list[RunEvent]) -> list[tuple[str, str]]:
    return [(event.kind, event.node) for event in events]


def test_a_function_is_told_what_it_has_asked_for() -> None:
    events: list[RunEvent] = []
    with chain.subscribe("node.end", "run.*", to=events.append):
        run = chain.run_sync(Msg(n=1))
    assert seen(events) == [
        ("run.start", ""),
        ("node.end", "up"),
        ("node.end", "twice"),
        ("run.end", ""),
    ]
    assert [event.number for event in events] == [0, 1, 2, 3]
    assert {event.run for event in events} == {run.id}
    assert {event.path for event in events} == {("chain",)}
    assert events[1].event.output == Msg(n=2)  # type: ignore[attr-defined]
    record = events[1].record()
    assert list(record)[:5] == ["kind", "run", "number", "time", "path"]
    assert record["path"] == ["chain"]
    assert events[0].time <= events[-1].time


async def _with_a_subscriber(kinds: tuple[str, ...]) -> list[Any]:
    async with chain.subscribe(*kinds, to=lambda _: None):
        run = await chain.run(Msg())
    return run.journal


def test_whoever_wants_facts_leaves_a_straight_walk_straight() -> None:
    rows = asyncio.run(_with_a_subscriber(("node.end",)))
    assert any(isinstance(row, Stretch) for row in rows)


def test_whoever_wants_what_follows_from_them_gets_it_at_once() -> None:
    rows = asyncio.run(_with_a_subscriber(("node.*",)))
    assert not any(isinstance(row, Stretch) for row in rows)


@pytest.mark.parametrize("graph", [chain, nested], ids=lambda graph: graph.name)
def test_events_of_straight_walks_come_in_the_order_of_the_record(graph: Any) -> None:
    async def scenario() -> None:
        events: list[RunEvent] = []
        async with subscribe("run.*", "node.end", "frame.*", to=events.append):
            run = await graph.run(Msg(n=3))
        assert [event.event for event in events] == run.facts
        assert [event.path for event in events] == [run.path_of(fact.frame) for fact in run.facts]

    asyncio.run(scenario())


def test_agents_are_told_of_in_the_order_of_the_record() -> None:
    async def scenario() -> None:
        graph = desk()
        events: list[RunEvent] = []
        kinds = ("run.*", "node.end", "frame.*", "call.*", "model.start", "model.end")
        async with graph.subscribe(*kinds, to=events.append):
            run = await graph.run(Msg())
        wanted = [fact for fact in run.facts if any(fact is event.event for event in events)]
        assert wanted == [event.event for event in events if event.kind != "node.end"]
        ends = [event for event in events if event.kind == "node.end"]
        assert [end.event for end in ends] == [
            fact for fact in run.facts if isinstance(fact, NodeFinished)
        ]
        assert events[-1].kind == "run.end"

    asyncio.run(scenario())


def test_a_path_picks_what_happens_within() -> None:
    events: list[RunEvent] = []
    with nested.subscribe("node.end", path="nested/*", to=events.append):
        nested.run_sync(Msg())
    assert [event.node for event in events] == ["up", "twice"]


def test_a_long_loop_is_told_of_in_full_though_its_run_forgets() -> None:
    events: list[RunEvent] = []
    with loop.subscribe("node.end", to=events.append, room=100_000):
        run = loop.run_sync(Msg(n=10_000))
    assert run.dropped
    activations = [event.event.activation for event in events]  # type: ignore[attr-defined]
    assert activations == list(range(1, 20_001))


def test_a_run_is_read_from_its_beginning_and_ends_by_itself() -> None:
    async def scenario() -> None:
        run = chain.start(Msg())
        await run
        kinds = [event.kind async for event in run.subscribe("node.end", "run.*")]
        assert kinds == ["run.start", "node.end", "node.end", "run.end"]

    asyncio.run(scenario())


def test_an_async_function_is_awaited_on_its_own_loop() -> None:
    async def scenario() -> None:
        events: list[RunEvent] = []
        loops: set[object] = set()

        async def note(event: RunEvent) -> None:
            await asyncio.sleep(0)
            loops.add(asyncio.get_running_loop())
            events.append(event)

        async with chain.subscribe("node.end", to=note):
            await chain.run(Msg())
        assert [event.node for event in events] == ["up", "twice"]
        assert loops == {asyncio.get_running_loop()}

    asyncio.run(scenario())


def test_a_resumed_run_goes_on_counting(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store.open(f"sqlite:{tmp_path / 'runs.db'}")
        await nested.run(Msg(), store=store, id="r")
        forked: list[RunEvent] = []
        async with nested.subscribe("run.*", "node.end", to=forked.append):
            await nested.fork("r", store=store, at="last", new_id="again")
        assert [event.node for event in forked] == ["", "last", ""]
        assert forked[0].kind == "run.resume"
        assert forked[0].number > 0
        await store.aclose()

    asyncio.run(scenario())


# -- mistakes --------------------------------------------------------------------------------------
def test_a_kind_that_no_event_has_is_refused_with_a_near_one() -> None:
    with pytest.raises(DeclarationError, match=r"did you mean 'node.end'"):
        chain.subscribe("node.ended")
    with pytest.raises(DeclarationError, match=r"no event has the kind 'moon.\*'"):
        subscribe("moon.*")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"to": 3}, "give a function of one event"),
        ({"room": -1}, "give a number of events"),
        ({"to": asyncio.sleep}, "needs an event loop"),
    ],
)
def test_what_cannot_be_told_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        chain.subscribe("node.end", **options)
    assert not HUB.living()


# -- subscribers that do harm ----------------------------------------------------------------------
def test_a_subscriber_that_is_too_slow_misses_the_oldest_and_that_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, begun = threading.Event(), threading.Event()
    events: list[RunEvent] = []

    def slow(event: RunEvent) -> None:
        begun.set()
        gate.wait()
        events.append(event)

    with loop.subscribe("node.end", to=slow, room=10) as subscription:
        assert loop.run_sync(Msg(n=100)).status == "completed"
        begun.wait()
        flush(0.5)
        gate.set()
    assert subscription.dropped >= 100
    assert len(events) + subscription.dropped == 200
    assert events[-1].event.activation == 200  # type: ignore[attr-defined]
    assert "the oldest are dropped" in caplog.text


def test_a_subscriber_that_raises_stays_until_it_has_raised_often_in_a_row(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raises(event: RunEvent) -> None:
        raise ValueError("no")

    others: list[RunEvent] = []
    with (
        loop.subscribe("node.end", to=raises) as subscription,
        loop.subscribe("node.end", to=others.append),
    ):
        assert loop.run_sync(Msg(n=50)).status == "completed"
    assert subscription.raised == MAX_RAISES
    assert isinstance(subscription.error, ValueError)
    assert len(others) == 100
    assert caplog.text.count("has raised ValueError: no") == 1
    assert "is told no more" in caplog.text


def test_a_subscriber_that_never_returns_keeps_nobody_else_from_being_told() -> None:
    gate = threading.Event()
    events: list[RunEvent] = []

    def hangs(event: RunEvent) -> None:
        gate.wait()

    with chain.subscribe("node.end", to=hangs) as hanging:
        with chain.subscribe("node.end", to=events.append) as other:
            assert chain.run_sync(Msg()).status == "completed"
            assert other.close(within_s=30)
        assert not hanging.close(within_s=0.05)
        gate.set()
    assert len(events) == 2


def test_ten_thousand_subscribers_are_all_told() -> None:
    counts = [0] * 10_000

    def counting(number: int) -> Any:
        def count(event: RunEvent) -> None:
            counts[number] += 1

        return count

    subscriptions = [chain.subscribe("node.end", to=counting(n)) for n in range(10_000)]
    run = chain.run_sync(Msg())
    assert run.status == "completed"
    assert flush(60)
    assert counts == [2] * 10_000
    for subscription in subscriptions:
        subscription.close(0)


def test_the_log_says_nothing_of_secrets(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sesame-opens-2931")
    caplog.set_level(logging.DEBUG)

    def raises(event: RunEvent) -> None:
        raise ValueError("could not reach https://x/?key=sesame-opens-2931")

    with chain.subscribe("node.end", to=raises):
        chain.run_sync(Msg())
    assert "has raised" in caplog.text
    assert "sesame" not in caplog.text


def test_who_reads_late_finds_what_waits() -> None:
    async def scenario() -> None:
        async with chain.subscribe("node.end") as events:
            await chain.run(Msg())
            first = await anext(aiter(events))
            assert first.node == "up"
            await eventually(lambda: events.queue)
            assert (await anext(aiter(events))).node == "twice"

    asyncio.run(scenario())
