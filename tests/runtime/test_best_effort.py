"""Runs that are kept by best effort: what cannot be kept is no reason to stop, and half a record is none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph, Human, Limits, node
from graphflow.errors import LeaseLost, LimitExceeded, StoreFull, Unstorable
from graphflow.journal.store import Large, Ownership
from graphflow.journal.stored import StoredRow
from graphflow.journal.stores.memory import MemoryStore
from graphflow.journal.stores.sqlite import SqliteStore


class Narrow(MemoryStore):
    """A store that takes so many rows and no more."""

    def __init__(self, room: int, error: type[Exception] = StoreFull) -> None:
        super().__init__()
        self.room = room
        self.error = error

    def _append(
        self, ownership: Ownership, first: int, rows: Sequence[StoredRow], large: Large
    ) -> asyncio.Future[None]:
        if first + len(rows) > self.room:
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(self.error("there is no room"))
            return refused
        return super()._append(ownership, first, rows, large)


@node
async def odd(text: str) -> Any:
    return object()


@node
async def shown(value: Any) -> str:
    return type(value).__name__


blunt: Graph[str, str] = Graph("blunt", START >> odd >> shown >> END)


@node
async def more(text: str) -> str:
    return text + "!"


@node
async def last(text: str) -> str:
    return text.upper()


loud: Graph[str, str] = Graph("loud", START >> more >> last >> END)


def test_a_value_that_cannot_be_kept_stops_a_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(str(tmp_path / "runs.db")) as store:
            with pytest.raises(Unstorable):
                await blunt.run("x", store=store, id="x")

    asyncio.run(main())


def test_by_best_effort_it_goes_on_and_nothing_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(str(tmp_path / "runs.db")) as store:
            run = await blunt.run("x", store=store, id="x", best_effort=True)
            assert run.output == "object"
            assert run.status == "completed"
            assert isinstance(run.unkept, Unstorable)
            assert await store.runs() == []

    asyncio.run(main())


@pytest.mark.parametrize("room", range(8))
@pytest.mark.parametrize("observed", [True, False])
def test_wherever_the_room_ends(room: int, observed: bool) -> None:
    async def main() -> None:
        store = Narrow(room)
        run = await loud.start("x", observed=observed, store=store, id="x", best_effort=True)
        assert run.output == "X!"
        kept = await store.runs()
        if run.unkept is None:
            assert [header.status for header in kept] == ["completed"]
        else:
            assert kept == []

    asyncio.run(main())


def test_whoever_lost_its_run_stops_all_the_same() -> None:
    async def main() -> None:
        with pytest.raises(LeaseLost):
            await loud.run("x", store=Narrow(1, LeaseLost), id="x", best_effort=True)

    asyncio.run(main())


def test_an_error_that_no_store_should_raise_stops_a_run_and_does_not_hang_it() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(loud.run("x", store=Narrow(1, ZeroDivisionError), id="x"), 60)

    asyncio.run(main())


def test_what_earlier_sittings_have_done_is_not_removed() -> None:
    async def main() -> None:
        store = MemoryStore()
        with pytest.raises(LimitExceeded):
            await blunt.run("x", store=store, id="x", best_effort=True, limits=Limits(steps=0))
        with pytest.raises(Unstorable):
            await blunt.resume("x", store=store, best_effort=True, limits=Limits(steps=9))
        assert [header.id for header in await store.runs()] == ["x"]

    asyncio.run(main())


def test_what_waits_for_an_answer_has_to_be_kept() -> None:
    async def main() -> None:
        asks: Graph[str, str] = Graph(
            "asks", START >> odd >> shown >> Human("boss", input=str, output=str) >> END
        )
        with pytest.raises(Unstorable):
            await asks.run("x", store=MemoryStore(), id="x", best_effort=True)

    asyncio.run(main())


def test_a_started_run_has_settled_when_its_end_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(str(tmp_path / "runs.db")) as store:
            run = loud.start("x", store=store, id="x")
            async for _ in run:
                pass
            await run
            assert (await store.header("x")).status == "completed"

    asyncio.run(main())


def test_whoever_awaits_a_started_run_is_told_that_its_end_could_not_be_kept() -> None:
    async def main() -> None:
        whole = MemoryStore()
        await loud.run("x", store=whole, id="x")
        rows = (await whole.header("x")).rows
        run = loud.start("x", store=Narrow(rows - 1), id="x")
        with pytest.raises(StoreFull):
            await run

    asyncio.run(main())
