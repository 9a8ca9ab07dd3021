"""One suite for all stores: what is kept, who may write, what is found again, what is said of what is wrong."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import errors
from graphflow.journal.store import Ownership, Store
from graphflow.journal.stored import StoredRow
from tests.journal.keeping import (
    all_rows,
    everywhere,
    header,
    lasting,
    some_rows,
    sound_rows,
    within,
)
from tests.stand_ins import postgres


# -- rows ------------------------------------------------------------------------------------------
@everywhere
def test_a_run_begins_with_its_first_rows_or_not_at_all(address: str) -> None:
    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me", rows=some_rows(0, 2), large={"d": b"large"})
        assert ownership.rows == 2
        assert (await store.header("order-17")).rows == 2
        assert await store.large("order-17", "d") == b"large"
        with pytest.raises(errors.RunExists):
            await store.create(header(), "another", rows=some_rows(0, 1))
        await store.append(ownership, some_rows(2, 1))
        assert await all_rows(store, "order-17") == some_rows(0, 3)

    within(address, work)


@everywhere
def test_rows_come_back_as_they_were_written(address: str) -> None:
    texts = ['{"a":"ä€😀"}', '"\\u0000"', '"line\\nbreak"', "[" + "1," * 5000 + "1]"]

    async def work(store: Store) -> None:
        ownership = await store.create(
            header(about={"limits": {"steps": 5}}, metadata={"customer": "Anna"}), "me"
        )
        rows = [StoredRow.of(at, "kind", f"place {at}", text) for at, text in enumerate(texts)]
        await store.append(ownership, rows)
        assert ownership.rows == len(texts)
        await store.append(ownership, some_rows(ownership.rows, 3))
        assert await all_rows(store, "order-17") == [*rows, *some_rows(4, 3)]
        assert await all_rows(store, "order-17", 5) == some_rows(5, 2)
        found = await store.header("order-17")
        assert (found.graph, found.rows, found.status) == ("shop", 7, "running")
        assert found.about == {"limits": {"steps": 5}}
        assert found.metadata == {"customer": "Anna"}
        assert found.lease is not None
        assert found.lease.holder == "me"

    within(address, work)


@lasting
def test_what_was_acknowledged_is_there_for_the_next_one_who_opens_it(address: str) -> None:
    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 2500), {"d1": b"\x00large"})
        await store.note(ownership, "completed", {"seen": True})
        await store.release(ownership)

    async def read(store: Store) -> None:
        assert await all_rows(store, "order-17") == some_rows(0, 2500)
        assert await store.large("order-17", "d1") == b"\x00large"
        found = await store.header("order-17")
        assert (found.status, dict(found.metadata), found.rows) == (
            "completed",
            {"seen": True},
            2500,
        )

    within(address, write)
    within(address, read)


@everywhere
def test_many_runs_write_at_once(address: str) -> None:
    async def one(store: Store, number: int) -> None:
        ownership = await store.create(header(f"run {number}"), "me")
        for _ in range(5):
            await store.append(ownership, some_rows(ownership.rows, 3))

    async def work(store: Store) -> None:
        await asyncio.gather(*(one(store, number) for number in range(40)))
        for number in range(40):
            assert await all_rows(store, f"run {number}") == some_rows(0, 15)
        assert len(await store.runs()) == 40
        assert (await store.stats()).rows == 600

    within(address, work)


@everywhere
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    id=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300),
    body=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
def test_any_id_and_any_text_can_be_kept(address: str, id: str, body: str) -> None:
    async def work(store: Store) -> None:
        if await store.find(id) is not None:
            return
        ownership = await store.create(header(id), "me")
        row = StoredRow.of(0, body[:10].replace("\x00", ""), id, json.dumps(body))
        await store.append(ownership, [row])
        assert await all_rows(store, id) == [row]
        assert (await store.header(id)).id == id

    within(address, work)


@everywhere
def test_whoever_is_cancelled_while_rows_are_written_does_not_take_them_back(address: str) -> None:
    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 2))
        for first in (2, 4, 6):
            adding = asyncio.ensure_future(store.append(ownership, some_rows(first, 2)))
            await asyncio.sleep(0)
            # A walk cancels its branches, and whoever stops the walk cancels them once more.
            for _ in range(first):
                adding.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([adding])
            assert ownership.rows == first + 2
        await store.append(ownership, some_rows(8, 2))
        assert await all_rows(store, "order-17") == some_rows(0, 10)

    within(address, work)


@everywhere
def test_rows_that_do_not_follow_those_before_are_refused(address: str) -> None:
    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 3))
        ownership.rows = 1
        with pytest.raises(errors.LeaseLost):
            await store.append(ownership, some_rows(1, 1))
        assert ownership.rows == 1
        assert await all_rows(store, "order-17") == some_rows(0, 3)

    within(address, work)


def test_a_text_that_cannot_be_written_harms_nobody_else(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        ownerships = [await store.create(header(f"r{number}"), "me") for number in range(3)]
        texts = ["one", "\ud800", "three"]
        adding = [
            store.append(ownership, [StoredRow.of(0, "k", "p", text)])
            for ownership, text in zip(ownerships, texts, strict=True)
        ]
        ends = await asyncio.gather(*adding, return_exceptions=True)
        assert [type(end) for end in ends] == [type(None), UnicodeEncodeError, type(None)]
        assert [found.rows for found in sorted(await store.runs(), key=lambda found: found.id)] == [
            1,
            0,
            1,
        ]

    within(f"sqlite:{tmp_path / 'runs.db'}", work)


# -- owners ----------------------------------------------------------------------------------------
@everywhere
def test_a_run_has_one_owner_and_the_other_is_told_who(address: str) -> None:
    async def work(store: Store) -> None:
        await store.create(header(), "the first", lease_s=60)
        with pytest.raises(errors.RunOwned, match="the first") as caught:
            await store.acquire("order-17", "the second")
        assert 0 < caught.value.left_s <= 60
        with pytest.raises(errors.RunExists, match="order-17"):
            await store.create(header(), "the third")

    within(address, work)


@everywhere
def test_whoever_lost_a_run_writes_nothing_more(address: str) -> None:
    async def work(store: Store) -> None:
        first = await store.create(header(), "the first", lease_s=0)
        await store.append(first, some_rows(0, 2))
        second = await store.acquire("order-17", "the second", lease_s=60)
        assert (second.epoch, second.rows) == (first.epoch + 1, 2)
        for attempt in (
            store.append(first, some_rows(2, 1), {"zombie": b"x"}),
            store.note(first, "failed"),
            store.renew(first),
        ):
            with pytest.raises(errors.LeaseLost, match="order-17"):
                await attempt
        await store.release(first)
        await store.append(second, some_rows(2, 1))
        assert await all_rows(store, "order-17") == some_rows(0, 3)
        found = await store.header("order-17")
        assert found.status == "running"
        assert found.lease is not None
        assert found.lease.holder == "the second"
        assert await store.large("order-17", "zombie") is None

    within(address, work)


@everywhere
def test_a_lease_that_is_renewed_lasts_and_one_that_is_released_ends(address: str) -> None:
    async def work(store: Store) -> None:
        ownership = await store.create(header(), "the first", lease_s=0)
        ownership.lease_s = 60
        await store.renew(ownership)
        with pytest.raises(errors.RunOwned):
            await store.acquire("order-17", "the second")
        await store.release(ownership)
        assert (await store.acquire("order-17", "the second")).epoch == 2

    within(address, work)


@everywhere
def test_of_many_who_want_a_run_one_gets_it(address: str) -> None:
    async def work(store: Store) -> None:
        await store.create(header(), "dead", lease_s=0)
        ownerships = [
            store.acquire("order-17", f"worker {number}", lease_s=60) for number in range(8)
        ]
        answers = await asyncio.gather(*ownerships, return_exceptions=True)
        won = [answer for answer in answers if isinstance(answer, Ownership)]
        assert len(won) == 1
        assert sum(isinstance(answer, errors.RunOwned) for answer in answers) == 7

    within(address, work)


# -- what is found ---------------------------------------------------------------------------------
@everywhere
def test_runs_are_found_by_what_is_known_of_them(address: str) -> None:
    async def work(store: Store) -> None:
        for number in range(6):
            graph = "desk" if number % 2 else "shop"
            ownership = await store.create(
                header(f"r{number}", graph=graph, metadata={"n": number, "odd": bool(number % 2)}),
                "me",
            )
            await store.note(ownership, "completed" if number < 4 else "waiting")
        names = [found.id for found in await store.runs()]
        assert names == ["r5", "r4", "r3", "r2", "r1", "r0"]
        assert [found.id for found in await store.runs(graph="desk")] == ["r5", "r3", "r1"]
        assert [found.id for found in await store.runs(status="waiting")] == ["r5", "r4"]
        assert [found.id for found in await store.runs(metadata={"odd": True, "n": 3})] == ["r3"]
        assert [found.id for found in await store.runs(graph="desk", status="completed")] == [
            "r3",
            "r1",
        ]
        since = (await store.header("r4")).changed
        assert [found.id for found in await store.runs(since=since)] == ["r5", "r4"]
        with pytest.raises(errors.RunUnknown, match=r"did you mean .*'r5'"):
            await store.header("r55")

    within(address, work)


@everywhere
def test_an_unknown_run_is_unknown_whatever_is_wanted_of_it(address: str) -> None:
    async def work(store: Store) -> None:
        assert await store.find("nope") is None
        assert await store.large("order-17", "nope") is None
        with pytest.raises(errors.RunUnknown):
            await store.acquire("nope", "me")
        with pytest.raises(errors.RunUnknown):
            await store.delete("nope")
        with pytest.raises(errors.RunUnknown):
            await all_rows(store, "nope")

    within(address, work)


# -- what is removed -------------------------------------------------------------------------------
@everywhere
def test_a_run_goes_with_the_large_values_that_nobody_else_names(address: str) -> None:
    async def work(store: Store) -> None:
        first = await store.create(header("first"), "me")
        second = await store.create(header("second"), "me")
        await store.append(first, some_rows(0, 2), {"shared": b"s", "own": b"o"})
        await store.append(second, some_rows(0, 2), {"shared": b"s"})
        with pytest.raises(errors.RunOwned):
            await store.delete("first")
        await store.release(first)
        await store.delete("first")
        assert [found.id for found in await store.runs()] == ["second"]
        assert await store.large("first", "own") is None
        assert await store.large("second", "shared") == b"s"
        assert await all_rows(store, "second") == some_rows(0, 2)
        again = await store.create(header("first"), "me")
        await store.append(again, some_rows(0, 1))
        assert await all_rows(store, "first") == some_rows(0, 1)

    within(address, work)


@everywhere
def test_pruning_removes_old_runs_that_have_ended_and_gives_their_space_back(address: str) -> None:
    async def work(store: Store) -> None:
        for number in range(10):
            ownership = await store.create(header(f"r{number}"), "me")
            await store.append(ownership, some_rows(0, 200, '"' + "x" * 1000 + '"'))
            await store.note(ownership, "running" if number == 0 else "completed")
            await store.release(ownership)
        before = (await store.stats()).bytes
        assert await store.prune(older_than=3600) == 0
        assert await store.prune(older_than=-1, keep=2) == 7
        assert {found.id for found in await store.runs()} == {"r0", "r8", "r9"}
        after = await store.stats()
        assert after.rows == 600
        for name in ("r0", "r8", "r9"):
            assert await all_rows(store, name) == some_rows(0, 200, '"' + "x" * 1000 + '"')
        if not address.startswith("postgresql"):  # it keeps the space for what comes next
            assert after.bytes < before / 2

    within(address, work)


# -- what is wrong ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong", ["", "nope", "sqlite:", "sqlite::memory:", "redis://x", "postgresql:x", "jsonl:"]
)
def test_an_address_that_is_none_is_refused_with_those_that_are(wrong: str) -> None:
    with pytest.raises(errors.StoreUnreadable, match="sqlite:FILE"):
        Store.open(wrong)


def test_a_password_is_never_shown() -> None:
    store = Store.open("postgresql://anna:very-secret@127.0.0.1:1/db")
    assert "very-secret" not in repr(store)
    assert "anna" in repr(store)

    async def ask() -> None:
        await store.find("x")

    with pytest.raises(errors.StoreUnreachable) as caught:
        asyncio.run(ask())
    assert "very-secret" not in str(caught.value)


def spoil_sqlite(path: Path, change: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE rows SET body = '{}' WHERE number = 3", 3),
        ("DELETE FROM rows WHERE number = 4", 4),
        ("DELETE FROM rows WHERE number >= 6", 6),
        ("UPDATE rows SET place = 'elsewhere' WHERE number = 0", 0),
    ],
)
def test_damage_in_a_database_is_found_and_what_is_before_it_can_be_used(
    tmp_path: Path, change: str, position: int
) -> None:
    path = tmp_path / "runs.db"

    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 8))

    async def read(store: Store) -> None:
        found, damage = await sound_rows(store, "order-17")
        assert damage.position == position
        assert found == some_rows(0, position)

    within(f"sqlite:{path}", write)
    spoil_sqlite(path, change)
    before = path.read_bytes()
    within(f"sqlite:{path}", read)
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", range(1, 200, 7))
def test_a_line_that_was_torn_is_as_if_it_had_never_been(tmp_path: Path, cut: int) -> None:
    address = f"jsonl:{tmp_path}"
    path = tmp_path / "order-17.jsonl"

    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me", lease_s=0)
        await store.append(ownership, some_rows(0, 5))

    async def go_on(store: Store) -> None:
        kept = await all_rows(store, "order-17")
        assert kept in ([], some_rows(0, 5))  # all that one call has added, or none of it
        ownership = await store.acquire("order-17", "me again")
        assert ownership.rows == len(kept)
        await store.append(ownership, some_rows(ownership.rows, 2))
        assert await all_rows(store, "order-17") == some_rows(0, len(kept) + 2)

    within(address, write)
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    within(address, go_on)


def test_a_line_that_was_changed_is_damage(tmp_path: Path) -> None:
    address = f"jsonl:{tmp_path}"
    path = tmp_path / "order-17.jsonl"

    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me", lease_s=0)
        await store.append(ownership, some_rows(0, 5))

    async def read(store: Store) -> list[StoredRow]:
        found, damage = await sound_rows(store, "order-17")
        assert damage.position == len(found)
        return found

    within(address, write)
    lines = path.read_text().splitlines(keepends=True)
    row_2 = 2 + 2  # behind the run and its lease
    swapped = [*lines[:row_2], lines[row_2 + 1], lines[row_2], *lines[row_2 + 2 :]]
    for changed in (
        [*lines[:row_2], lines[row_2].replace("node.end", "node.fly"), *lines[row_2 + 1 :]],
        [*lines[:row_2], "not JSON\n", *lines[row_2 + 1 :]],
        [*lines[:row_2], *lines[row_2 + 1 :]],
        swapped,
    ):
        path.write_text("".join(changed))
        assert within(address, read) == some_rows(0, 2)
        assert path.read_text() == "".join(changed)


def test_nothing_is_added_behind_a_damaged_line(tmp_path: Path) -> None:
    path = tmp_path / "order-17.jsonl"

    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me", lease_s=0)
        await store.append(ownership, some_rows(0, 5))

    async def go_on(store: Store) -> None:
        ownership = await store.acquire("order-17", "me again")
        before = path.read_bytes()
        with pytest.raises(errors.RunDamaged):
            await store.append(ownership, some_rows(ownership.rows, 1))
        assert path.read_bytes() == before

    within(f"jsonl:{tmp_path}", write)
    path.write_text(path.read_text().replace('"n":2', '"n":7').replace('\\"n\\":2', '\\"n\\":7'))
    within(f"jsonl:{tmp_path}", go_on)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    spoil_sqlite(path, "CREATE TABLE things (id)")
    before = path.read_bytes()
    with pytest.raises(errors.StoreUnreadable, match="another program"):
        within(f"sqlite:{path}", lambda store: store.create(header(), "me"))
    assert path.read_bytes() == before
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(errors.StoreUnreadable):
        within(f"sqlite:{path}", lambda store: store.find("x"))


def test_a_newer_schema_is_refused_with_its_version(
    tmp_path: Path, server: postgres.Postgres
) -> None:
    path = tmp_path / "runs.db"
    within(f"sqlite:{path}", lambda store: store.find("x"))
    spoil_sqlite(path, "PRAGMA user_version=99")
    with pytest.raises(errors.StoreUnreadable, match="schema 99"):
        within(f"sqlite:{path}", lambda store: store.find("x"))

    import asyncpg

    address = server.new_database()
    within(address, lambda store: store.find("x"))

    async def raise_version() -> None:
        db = await asyncpg.connect(address)
        await db.execute("INSERT INTO graphflow_schema VALUES (99)")
        await db.close()

    asyncio.run(raise_version())
    with pytest.raises(errors.StoreUnreadable, match="schema 99"):
        within(address, lambda store: store.find("x"))


def test_a_database_that_was_restarted_is_used_again(server: postgres.Postgres) -> None:
    address = server.new_database()

    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 2))
        await asyncio.to_thread(server.stop)
        with pytest.raises(errors.StoreUnreachable):
            await store.append(ownership, some_rows(2, 1))
        await asyncio.to_thread(server.start)
        await store.append(ownership, some_rows(2, 1))
        assert await all_rows(store, "order-17") == some_rows(0, 3)

    within(address, work)


def test_rows_whose_acknowledgement_was_lost_are_not_written_twice(
    server: postgres.Postgres,
) -> None:
    address = server.new_database()

    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 2))
        ownership.rows = 0  # as if the connection had been lost before the answer came
        await store.append(ownership, some_rows(0, 2))
        assert ownership.rows == 2
        assert await all_rows(store, "order-17") == some_rows(0, 2)

    within(address, work)


# -- what it costs ---------------------------------------------------------------------------------
def test_a_file_takes_little_more_than_its_rows(tmp_path: Path) -> None:
    body = '"' + "x" * 1022 + '"'
    sizes = {}

    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me")
        while ownership.rows < count:
            await store.append(ownership, some_rows(ownership.rows, 10, body))

    for count in (50, 400, 1600):
        within(f"sqlite:{tmp_path / f'{count}.db'}", write)
        sizes[count] = sum(file.stat().st_size for file in tmp_path.glob(f"{count}.db*"))
    assert sizes[400] < 1.6 * 400 * len(body)
    assert sizes[1600] < 1.45 * 1600 * len(body)
    assert sizes[1600] < sizes[50] * 1600 / 50


# -- read by anybody -------------------------------------------------------------------------------
def test_a_store_can_be_read_with_json_and_sqlite_alone(tmp_path: Path) -> None:
    async def write(store: Store) -> None:
        ownership = await store.create(header(about={"model": "a"}), "me")
        await store.append(ownership, some_rows(0, 2))

    within(f"sqlite:{tmp_path / 'runs.db'}", write)
    with sqlite3.connect(tmp_path / "runs.db") as db:
        about, key = db.execute("SELECT about, key FROM runs WHERE id = 'order-17'").fetchone()
        assert json.loads(about) == {"model": "a"}
        rows = db.execute(
            "SELECT kind, body FROM rows WHERE run = ? ORDER BY number", (key,)
        ).fetchall()
    db.close()
    assert [(kind, json.loads(body)) for kind, body in rows] == [
        ("node.end", {"n": 0}),
        ("node.end", {"n": 1}),
    ]

    within(f"jsonl:{tmp_path / 'runs'}", write)
    lines = [
        json.loads(line) for line in (tmp_path / "runs" / "order-17.jsonl").read_text().splitlines()
    ]
    assert lines[0]["run"]["about"] == {"model": "a"}
    assert [json.loads(line["body"]) for line in lines if "row" in line] == [{"n": 0}, {"n": 1}]
