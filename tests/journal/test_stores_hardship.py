"""Stores on disks that are full or read-only, with processes that are killed, with files that were spoilt."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from graphflow import errors
from graphflow.journal.store import Ownership, Store
from graphflow.journal.stored import StoredRow
from graphflow.journal.stores import postgres as postgres_store
from graphflow.journal.stores import sqlite as sqlite_store
from tests import programs
from tests.journal.keeping import (
    all_rows,
    as_argument,
    everywhere,
    header,
    lasting,
    some_rows,
    sound_rows,
    within,
)
from tests.small_disk import Disk
from tests.stand_ins import postgres

MB = 1024 * 1024
KB_OF_TEXT = '"' + "x" * 1022 + '"'
on_disk = pytest.mark.parametrize(
    "address_on", ["jsonl:{}/runs", "sqlite:{}/runs.db"], ids=["jsonl", "sqlite"]
)

APPENDING = """
import asyncio, sys
from tests.journal.keeping import given_address, header, opened, some_rows

async def main(address, name):
    async with opened(given_address(address)) as store:
        ownership = await store.create(header(name), name)
        print("ready", flush=True)
        sys.stdin.readline()
        while ownership.rows < 60:
            await store.append(ownership, some_rows(ownership.rows, 3))
            print(ownership.rows, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""
"""Another process, which says after each addition how many rows it was told to be kept."""


async def append_for_ever(store: Store, ownership: Ownership) -> None:
    while True:
        number = ownership.rows
        await store.append(ownership, some_rows(number, 2, KB_OF_TEXT), {f"d{number}": b"y" * 2000})


def fill(path: Path) -> None:
    """Makes a file of all the room that is left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


# -- disks -----------------------------------------------------------------------------------------
@on_disk
def test_on_a_full_disk_what_was_acknowledged_is_there_and_with_room_it_goes_on(
    address_on: str, disk: Disk
) -> None:
    address = address_on.format(disk.path)

    async def write(store: Store) -> int:
        ownership = await store.create(header(), "me", lease_s=0)
        with pytest.raises(errors.StoreFull, match="acknowledged"):
            await append_for_ever(store, ownership)
        with pytest.raises(errors.StoreFull):
            await store.put_answer("order-17", "q", '"' + "x" * MB + '"')
        assert await all_rows(store, "order-17") == some_rows(0, ownership.rows, KB_OF_TEXT)
        assert await store.large("order-17", f"d{ownership.rows - 2}") == b"y" * 2000
        assert ownership.rows > 100
        disk.remount("size=8m")
        await store.append(ownership, some_rows(ownership.rows, 2, KB_OF_TEXT))
        await store.put_answer("order-17", "q", "1")
        return ownership.rows

    async def read(store: Store) -> None:
        assert await all_rows(store, "order-17") == some_rows(0, kept, KB_OF_TEXT)
        assert list(await store.answers("order-17")) == ["q"]

    kept = within(address, write)
    within(address, read)


@on_disk
def test_a_run_that_found_no_room_can_be_begun_again(address_on: str, disk: Disk) -> None:
    async def work(store: Store) -> None:
        ownership = await store.create(header("first"), "me")
        filler = disk.path / "filler"
        fill(filler)
        about = {"graph": "x" * 200_000}
        with pytest.raises(errors.StoreFull):
            await store.create(header("second", about=about), "me")
        assert [found.id for found in await store.runs()] == ["first"]
        filler.unlink()
        await store.create(header("second", about=about), "me")
        await store.append(ownership, some_rows(0, 2))
        assert (await store.header("second")).about == about

    within(address_on.format(disk.path), work)


@on_disk
def test_a_read_only_disk_can_be_read_and_is_said_to_be_one(address_on: str, disk: Disk) -> None:
    address = address_on.format(disk.path)

    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me", lease_s=0)
        await store.append(ownership, some_rows(0, 3), {"d": b"large"})
        await store.put_answer("order-17", "q", "1")

    async def read(store: Store) -> None:
        assert await all_rows(store, "order-17") == some_rows(0, 3)
        assert await store.large("order-17", "d") == b"large"
        assert list(await store.answers("order-17")) == ["q"]
        assert [found.id for found in await store.runs()] == ["order-17"]
        for attempt in (
            store.acquire("order-17", "me"),
            store.create(header("other"), "me"),
            store.put_answer("order-17", "q2", "1"),
        ):
            with pytest.raises(errors.StoreUnreadable, match=r"(?i)read-only"):
                await attempt

    within(address, write)
    disk.remount("ro")
    within(address, read)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    for wrong, reason in (
        (tmp_path / "nowhere" / "runs.db", "no folder .*nowhere"),
        (tmp_path, "it is a folder"),
    ):
        with pytest.raises(errors.StoreUnreadable, match=reason):
            within(f"sqlite:{wrong}", lambda store: store.find("x"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.StoreUnreadable, match="file"):
        within(f"jsonl:{tmp_path / 'file'}", lambda store: store.create(header(), "me"))


# -- much at once ----------------------------------------------------------------------------------
@everywhere
def test_a_large_value_of_50_mb_comes_back_and_goes_with_its_run(address: str) -> None:
    value = os.urandom(MB) * 50

    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me", lease_s=0)
        await store.append(ownership, some_rows(0, 1), {"digest": value})
        assert await store.large("order-17", "digest") == value
        await store.note(ownership, "completed")
        await store.release(ownership)
        assert await store.prune(older_than=-1) == 1
        assert await store.large("order-17", "digest") is None
        if not address.startswith("postgresql"):
            assert (await store.stats()).bytes < MB

    within(address, work)


@lasting
def test_rows_that_are_long_are_read_a_few_at_a_time(address: str) -> None:
    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me")
        for number in range(8):
            await store.append(
                ownership, [StoredRow.of(number, "k", "p", f'"{number}' + "x" * 5 * MB + '"')]
            )
        assert [row.body[:2] for row in await all_rows(store, "order-17", 2)] == [
            f'"{number}' for number in range(2, 8)
        ]

    within(address, work)


def test_a_file_that_stays_locked_is_told_to_be_out_of_reach_for_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "BUSY_S", 0.05)
    path = tmp_path / "runs.db"

    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.StoreUnreachable, match="locked by another process"):
                await store.append(ownership, some_rows(0, 2))
            assert await all_rows(store, "order-17") == []
        await store.append(ownership, some_rows(0, 2))
        assert await all_rows(store, "order-17") == some_rows(0, 2)

    within(f"sqlite:{path}", work)


@lasting
def test_of_four_processes_one_is_killed_and_all_that_was_acknowledged_is_there(
    address: str,
) -> None:
    within(address, lambda store: store.find("x"))
    names = ["a", "b", "c", "d"]
    appending = [
        programs.start(
            "-c", APPENDING, as_argument(address), name, stdin=PIPE, stdout=PIPE, text=True
        )
        for name in names
    ]
    for process in appending:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in appending:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    victim = appending[0]
    assert victim.stdout is not None
    told = [victim.stdout.readline() for _ in range(3)]
    victim.send_signal(signal.SIGKILL)
    acknowledged = {}
    for name, process in zip(names, appending, strict=True):
        rest, _ = process.communicate(timeout=60)
        acknowledged[name] = int(("".join(told) + rest if process is victim else rest).split()[-1])
    assert [process.returncode for process in appending] == [-signal.SIGKILL, 0, 0, 0]

    async def read(store: Store) -> None:
        for name in names:
            rows = await all_rows(store, name)
            assert rows == some_rows(0, len(rows))
            assert len(rows) % 3 == 0
            assert acknowledged[name] <= len(rows) <= 60
        assert len(await all_rows(store, "d")) == 60

    within(address, read)


def test_a_database_that_dies_while_runs_are_written_loses_nothing_that_was_acknowledged(
    server: postgres.Postgres,
) -> None:
    address = server.new_database()
    interrupted = set()

    async def one(
        store: Store, ownership: Ownership, is_under_way: asyncio.Event, is_back: asyncio.Event
    ) -> None:
        while ownership.rows < 40 or not is_back.is_set():
            try:
                await store.append(ownership, some_rows(ownership.rows, 2))
            except errors.StoreUnreachable:
                interrupted.add(ownership.run)
                await is_back.wait()
                # Nobody knows whether the rows were added; the same call again is safe, and says so.
                await store.append(ownership, some_rows(ownership.rows, 2))
            if ownership.rows > 6:
                is_under_way.set()

    async def work(store: Store) -> None:
        ownerships = [await store.create(header(f"r{number}"), "me") for number in range(10)]
        is_under_way, is_back = asyncio.Event(), asyncio.Event()
        writing = [
            asyncio.ensure_future(one(store, ownership, is_under_way, is_back))
            for ownership in ownerships
        ]
        await is_under_way.wait()
        await asyncio.to_thread(server.stop, "immediate")
        await asyncio.to_thread(server.start)
        is_back.set()
        await asyncio.gather(*writing)
        assert interrupted  # who waits in the queue meanwhile finds the server there again
        for ownership in ownerships:
            assert await all_rows(store, ownership.run) == some_rows(0, ownership.rows)

    within(address, work)


def test_a_server_that_lets_nobody_in_is_told_to_be_out_of_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("asyncpg")
    monkeypatch.setattr(postgres_store, "CONNECT_S", 0.2)

    async def main(port: int) -> None:
        async with Store.open(f"postgresql://me@127.0.0.1:{port}/runs") as store:
            with pytest.raises(errors.StoreUnreachable):
                await store.find("order-17")

    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections wait in its queue for ever
        asyncio.run(main(silent.getsockname()[1]))


def test_a_server_that_answers_no_more_is_waited_for_only_so_long(
    server: postgres.Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "CONNECT_S", 1.5)
    monkeypatch.setattr(postgres_store, "ANSWER_S", 1.5)
    address = server.new_database()

    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me")
        with server.frozen():
            with pytest.raises(errors.StoreUnreachable):
                await store.append(ownership, some_rows(0, 2))
            with pytest.raises(errors.StoreUnreachable):
                await store.find("order-17")
        # It goes on with what it was asked before it stood still, so the same call again must be safe.
        while True:
            with suppress(errors.StoreUnreachable):  # a busy machine may take longer than that, too
                await store.append(ownership, some_rows(0, 2))
                break
        assert ownership.rows == 2

    within(address, work)

    async def read(store: Store) -> None:
        assert await all_rows(store, "order-17") == some_rows(0, 2)

    monkeypatch.undo()
    within(address, read)


# -- what was spoilt -------------------------------------------------------------------------------
CHANGES = [
    ("UPDATE {rows} SET body = '{{}}' WHERE number = 3", 3),
    ("DELETE FROM {rows} WHERE number = 4", 4),
    ("DELETE FROM {rows} WHERE number >= 6", 6),
    ("UPDATE {rows} SET place = 'elsewhere' WHERE number = 0", 0),
    ("UPDATE {rows} SET number = CASE number WHEN 2 THEN -5 WHEN 5 THEN -2 ELSE number END", 2),
    ("UPDATE {rows} SET checksum = checksum + 1 WHERE number = 7", 7),
]


@pytest.mark.parametrize(("change", "position"), CHANGES)
def test_damage_in_postgresql_is_found_and_what_is_before_it_can_be_used(
    server: postgres.Postgres, change: str, position: int
) -> None:
    address = server.new_database()

    async def work(store: Store) -> None:
        import asyncpg

        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 8))
        db = await asyncpg.connect(address)
        await db.execute(change.format(rows="graphflow_rows"))
        await db.close()
        found, damage = await sound_rows(store, "order-17")
        assert damage.position == position
        assert found == some_rows(0, position)

    within(address, work)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite file with a run of sixty rows of 1 KB."""
    path = tmp_path / "runs.db"

    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 60, KB_OF_TEXT))

    within(f"sqlite:{path}", write)
    return path


def read_what_can_be(path: Path) -> tuple[list[StoredRow], errors.StoreError | None]:
    """The rows that can be used, and what is said of the others; the file is as before."""
    before = path.read_bytes()

    async def read(store: Store) -> Any:
        found: list[StoredRow] = []
        try:
            async for row in store.rows("order-17"):
                found.append(row)
        except errors.StoreError as error:
            return found, error
        return found, None

    answer: tuple[list[StoredRow], errors.StoreError | None] = within(f"sqlite:{path}", read)
    assert path.read_bytes() == before
    return answer


def change_file(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()


def test_bytes_that_are_no_text_are_damage_at_their_row(file: Path) -> None:
    change_file(file, "UPDATE rows SET body = CAST(x'22ff22' AS TEXT) WHERE number = 31")
    found, error = read_what_can_be(file)
    assert found == some_rows(0, 31, KB_OF_TEXT)
    assert isinstance(error, errors.RunDamaged)
    assert error.position == 31


def test_a_header_that_is_no_json_is_said_to_be_damaged(file: Path) -> None:
    change_file(file, "UPDATE runs SET about = '{\"model'")
    _, error = read_what_can_be(file)
    assert isinstance(error, errors.StoreUnreadable)
    assert "header of run 'order-17' is damaged" in str(error)


def test_whichever_page_is_spoilt_no_wrong_row_is_read_and_nothing_is_repaired(file: Path) -> None:
    content = file.read_bytes()
    pages = len(content) // 4096
    positions = set()
    for page in range(1, pages):
        spoilt = bytearray(content)
        spoilt[page * 4096 : (page + 1) * 4096] = bytes(4096)
        file.write_bytes(spoilt)
        found, error = read_what_can_be(file)
        assert found == some_rows(0, len(found), KB_OF_TEXT)
        if isinstance(error, errors.RunDamaged):
            assert error.position == len(found)
            positions.add(error.position)
        elif error is None:
            assert len(found) == 60
    assert len(positions) > 15  # a page holds three rows


def test_however_short_a_file_was_cut_no_wrong_row_is_read(file: Path) -> None:
    content = file.read_bytes()
    for size in range(100, len(content), 4000):
        file.write_bytes(content[:size])
        found, error = read_what_can_be(file)
        assert found == some_rows(0, len(found), KB_OF_TEXT)
        assert error is not None or len(found) == 60
