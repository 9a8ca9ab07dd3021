"""Durable runs by the hundred, on disks that are full or read-only, and on a database that goes away."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Context, Graph, node
from graphflow.errors import (
    DeclarationError,
    RunOwned,
    StoreFull,
    StoreUnreachable,
    StoreUnreadable,
)
from graphflow.journal.store import Store
from graphflow.run import Run
from tests.durability.kills import Findings
from tests.durability.office import Clerk, Desk, entries_of, office, order_of
from tests.small_disk import Disk
from tests.stand_ins import postgres
from tests.waiting import eventually

MANY = 100


def options(folder: Path, store: Store, **others: Any) -> dict[str, Any]:
    desk = Desk(folder / "ledger")
    return {"store": store, "deps": desk, "model": Clerk(desk), **others}


async def nothing_wrong(address: str, folder: Path) -> Findings:
    findings = Findings(address, folder)
    await findings.look()
    assert findings.wrong == []
    return findings


@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
def test_a_hundred_runs_at_once_in_one_process(address: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with Store.open(address) as store:
            given = options(tmp_path, store)
            ids = [f"order{number}" for number in range(MANY)]
            runs = await asyncio.gather(*[office.run(order_of(id), id=id, **given) for id in ids])
            assert {run.status for run in runs} == {"completed"}
            assert (await store.stats()).runs == MANY
            header = await store.header("order99")
            assert header.rows == len([row async for row in store.rows("order99")])
        effects = [
            entry for entry in entries_of(tmp_path / "ledger") if not entry.what.startswith("ask")
        ]
        done = {(entry.key, entry.what) for entry in effects}
        assert len(done) == len(effects) > 10 * MANY

    asyncio.run(main())
    if address.startswith("sqlite:"):
        with closing(sqlite3.connect(address.removeprefix("sqlite:"))) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# -- a database that goes away ---------------------------------------------------------------------
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_runs_wait_for_a_database_that_is_started_again(
    server: postgres.Postgres, how: str, tmp_path: Path
) -> None:
    address = server.new_database()

    async def main() -> None:
        async with Store.open(address) as store:
            given = options(tmp_path, store)
            ids = [f"order{number}" for number in range(6)]
            running = [
                asyncio.ensure_future(office.run(order_of(id), id=id, **given)) for id in ids
            ]
            await eventually(lambda: len(entries_of(tmp_path / "ledger")) > 30)
            await asyncio.to_thread(server.stop, how)
            await asyncio.to_thread(server.start)
            runs = await asyncio.gather(*running)
            assert {run.status for run in runs} == {"completed"}
            for run in runs:
                assert sum(event.kind == "run.resume" for event in run.events) == 0
        findings = await nothing_wrong(address, tmp_path)
        assert findings.counts["effects done again"] == 0

    asyncio.run(main())


def test_a_database_that_does_not_come_back_within_the_lease_ends_its_runs(
    server: postgres.Postgres, tmp_path: Path
) -> None:
    address = server.new_database()

    async def main() -> None:
        async with Store.open(address) as store:
            given = options(tmp_path, store, lease_s=0.3)
            running = asyncio.ensure_future(office.run(order_of("order1"), id="order1", **given))
            await eventually(lambda: len(entries_of(tmp_path / "ledger")) > 3)
            await asyncio.to_thread(server.stop, "immediate")
            try:
                with pytest.raises(StoreUnreachable) as lost:
                    await running
                with pytest.raises(StoreUnreachable):
                    await office.resume("order1", **given)
            finally:
                await asyncio.to_thread(server.start)
            run: Any = lost.value.run
            assert run.status == "failed"
            assert run.usage.steps > 0
            resumed = await resumed_after_the_lease("order1", given)
            assert resumed.status == "completed"
        await nothing_wrong(address, tmp_path)

    asyncio.run(main())


async def resumed_after_the_lease(id: str, given: dict[str, Any]) -> Run[Any]:
    while True:
        try:
            return await office.resume(id, **given)
        except RunOwned as owned:
            await asyncio.sleep(owned.left_s)


# -- disks -----------------------------------------------------------------------------------------
@node(effects=["writes"])
async def swell(texts: list[str], ctx: Context) -> list[str]:
    ctx.deps.append(len(texts))
    return [*texts, str(len(texts)) * 30_000]


growing = Graph(
    "growing",
    START >> swell,
    swell.when(lambda texts: len(texts) < 100).limit(1000) >> swell,
    swell.otherwise >> END,
)
on_disk = pytest.mark.parametrize(
    "address_on", ["jsonl:{}/runs", "sqlite:{}/runs.db"], ids=["jsonl", "sqlite"]
)


@on_disk
def test_a_run_on_a_full_disk_stops_and_goes_on_when_there_is_room(
    address_on: str, disk: Disk
) -> None:
    address = address_on.format(disk.path)
    laps: list[int] = []

    async def main() -> None:
        async with Store.open(address) as store:
            with pytest.raises(StoreFull, match="acknowledged") as full:
                await growing.run([], store=store, id="x", deps=laps, lease_s=0.3)
            stopped: Any = full.value.run
            assert stopped.status == "failed"
            assert len(laps) > 3
            kept = await store.load("x", growing)
            assert kept.usage.steps >= len(laps) - 1
            disk.remount("size=400m")
            while True:
                try:
                    run = await growing.resume("x", store=store, deps=laps)
                    break
                except RunOwned as owned:
                    await asyncio.sleep(owned.left_s)
            assert len(run.output) == 100
            done_again = len(laps) - len(set(laps))
            assert done_again <= 1
            assert sorted(set(laps)) == list(range(100))

    asyncio.run(main())


@on_disk
def test_a_run_in_a_store_that_is_read_only_does_nothing(address_on: str, disk: Disk) -> None:
    address = address_on.format(disk.path)
    laps: list[int] = []
    small = ["x"] * 97

    async def main() -> None:
        async with Store.open(address) as store:
            done = await growing.run(small, store=store, id="done", deps=laps)
            cut = growing.start(small, store=store, id="cut", deps=laps)
            await asyncio.sleep(0)
            cut.cancel()
            await cut.settled()
        before = list(laps)
        disk.remount("ro")
        async with Store.open(address) as store:
            for refused in (
                growing.run(small, store=store, id="new", deps=laps),
                growing.resume("cut", store=store, deps=laps),
            ):
                with pytest.raises(StoreUnreadable, match=r"(?i)read-only") as error:
                    await refused
                assert error.value.run.status == "failed"
            assert laps == before
            again = await growing.run(small, store=store, id="done", deps=laps)
            assert again.output == done.output
            assert laps == before

    asyncio.run(main())


# -- leases ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "long", True])
def test_what_is_no_time_for_a_lease_is_refused(wrong: Any) -> None:
    async def main() -> None:
        async with Store.open("memory:") as store:
            with pytest.raises(DeclarationError, match="lease_s"):
                await growing.run([], store=store, deps=[], lease_s=wrong)
            assert await store.runs() == []

    asyncio.run(main())
