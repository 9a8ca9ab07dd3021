"""Encrypted stores: what lies on the disk, what is refused, what is found when somebody has been at the rows."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from base64 import b64encode, urlsafe_b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphflow import END, START, Graph, Human, errors, node
from graphflow.journal.key_ring import KeyRing, WrappedKey, key_ring
from graphflow.journal.seal import DataKeySeal, conversation_owner, run_owner
from graphflow.journal.store import Store
from graphflow.journal.stored import StoredRow
from tests.journal.keeping import (
    KEY,
    KeyedAddress,
    all_rows,
    header,
    opened,
    sealed,
    some_rows,
    sound_rows,
    within,
)
from tests.stand_ins import postgres

OTHER = bytes(range(1, 33))
TEXT = b64encode(KEY).decode()
files_of_a_store = pytest.mark.parametrize(
    "address", ["jsonl sealed", "sqlite sealed"], indirect=True
)


async def begun(store: Store, run: str = "order-17", rows: int = 8) -> None:
    """A run that nobody owns."""
    ownership = await store.create(header(run), "me", rows=some_rows(0, rows))
    await store.release(ownership)


def contents(folder: Path) -> bytes:
    """All that lies in a folder, and how it is called."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = "\n".join(map(str, files))
    return b"\n".join([names.encode(), *(path.read_bytes() for path in files)])


# -- keys ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "names"),
    [
        (KEY, "default"),
        (TEXT, "default"),
        (TEXT.rstrip("="), "default"),
        (urlsafe_b64encode(KEY).decode(), "default"),
        ("env:SOME_KEY", "default"),
        ({"2025": OTHER, "2026": TEXT}, "2025, 2026"),
        (f"2025={b64encode(OTHER).decode()},2026={TEXT}", "2025, 2026"),
        (KeyRing({"2026": KEY, "2025": OTHER}, active="2026"), "2026, 2025"),
    ],
)
def test_a_key_is_bytes_base64_a_variable_or_a_ring(
    key: Any, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", f" {TEXT}\n")
    ring = key_ring(key)
    active = "2026" if "2026" in names else "default"
    assert repr(ring) == f"<key ring of {names}; active is {active}>"
    owner = run_owner("shop", "order-17")
    seal, wrapped = ring.new(owner)
    again = KeyRing({"another name": KEY}).seal(owner, wrapped)
    assert again.open(seal.seal(b"x", "rows 1 row"), "rows 1 row") == b"x"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (b"short", "5 bytes"),
        (b"\0" * 32, "repeated"),
        ("no base64!", "not base64"),
        (b64encode(b"short").decode(), "5 bytes"),
        ("", "bytes"),
        ("env:NOT_SET", "NOT_SET is not set"),
        ("a=,b=", "NAME=BASE64"),
        ({}, "at least one"),
        (17, "int"),
    ],
)
@pytest.mark.parametrize("address", ["memory:", "jsonl:x", "sqlite:x", "postgresql://x@y/z"])
def test_what_is_no_key_is_refused_and_not_shown(key: Any, problem: str, address: str) -> None:
    with pytest.raises(errors.KeyInvalid, match=problem) as caught:
        Store.open(address, key=key)
    assert "base64!" not in str(caught.value)
    with pytest.raises(errors.KeyInvalid, match="active"):
        KeyRing({"a": KEY}, active="b")


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(errors.MissingExtra, match=r"graphflow-agents\[crypto\]"):
        Store.open("sqlite:x", key=KEY)


# -- seals -----------------------------------------------------------------------------------------
places = st.from_regex(r"(rows|answers) [0-9] \w{0,3}", fullmatch=True)


@given(content=st.binary(), place=places, other=places, flip=st.integers(0))
def test_what_is_sealed_opens_at_its_place_only_and_unchanged_only(
    content: bytes, place: str, other: str, flip: int
) -> None:
    seal = DataKeySeal(KEY, run_owner("shop", "a"))
    kept = seal.seal(content, place)
    assert len(kept) == len(content) + 29
    assert seal.open(kept, place) == content
    changed = bytearray(kept)
    changed[flip % len(kept)] ^= 1
    elsewhere = DataKeySeal(KEY, run_owner("shop", "b"))
    for opener, wrong, where in (
        (seal, bytes(changed), place),
        (seal, kept[: flip % len(kept)], place),
        (elsewhere, kept, place),
        *([(seal, kept, other)] if other != place else []),
    ):
        with pytest.raises(errors.SealBroken):
            opener.open(wrong, where)


def test_owners_are_told_apart_by_their_labels() -> None:
    labels = {
        conversation_owner("a b", "c").label,
        conversation_owner("a", "b c").label,
        run_owner("a", "b c").label,
        run_owner("a", "b c ").label,
    }
    assert len(labels) == 4


# -- what lies there -------------------------------------------------------------------------------
@files_of_a_store
def test_nothing_of_what_was_written_lies_in_any_file(address: str, tmp_path: Path) -> None:
    async def write(store: Store) -> None:
        kept = header(metadata={"customer": "planted"}, about={"models": "planted"})
        first = [StoredRow.of(0, "planted.kind", "planted place", '"planted"')]
        ownership = await store.create(kept, "me", rows=first, large={"planted": b"planted"})
        await store.append(ownership, some_rows(1, 3, '"planted"'), {"planted too": b"planted"})
        await store.note(ownership, "waiting", {"customer": "planted again"}, {"x": "planted"})
        await store.put_answer("order-17", "planted?", '"planted"', "planted")
        assert (await store.header("order-17")).metadata == {"customer": "planted again"}
        assert await store.large("order-17", "planted too") == b"planted"
        assert b"planted" not in contents(tmp_path)  # its log is still there

    within(address, write)
    found = contents(tmp_path)
    assert b"order-17" in found
    assert b"planted" not in found
    assert b64encode(b'"planted"') not in found


# -- keys that do not fit --------------------------------------------------------------------------
@sealed
def test_a_missing_or_wrong_key_is_told_before_anything_is_changed(
    address: str, tmp_path: Path
) -> None:
    within(address, begun)
    before = contents(tmp_path)
    for key in (None, OTHER):

        async def attempts(key: Any = key) -> None:
            async with Store.open(str(address), key=key) as store:
                for attempt in (
                    lambda: store.runs(),
                    lambda: all_rows(store, "order-17"),
                    lambda: store.create(header("other"), "me"),
                    lambda: store.acquire("order-17", "me"),
                    lambda: store.put_answer("order-17", "q", "1"),
                    lambda: store.delete("order-17"),
                ):
                    with pytest.raises(errors.StoreLocked, match="encrypted"):
                        await attempt()

        asyncio.run(attempts())
    assert contents(tmp_path) == before
    assert within(address, lambda store: all_rows(store, "order-17")) == some_rows(0, 8)


@sealed
def test_a_store_that_was_begun_without_a_key_is_not_mixed_up_with_one(address: str) -> None:
    clear = str(address)
    within(clear, begun)
    for attempt in (lambda store: store.runs(), lambda store: store.create(header("x"), "me")):
        with pytest.raises(errors.StoreUnencrypted, match="graphflow keys encrypt"):
            within(address, attempt)
    assert within(clear, lambda store: all_rows(store, "order-17")) == some_rows(0, 8)
    with pytest.raises(errors.StoreUnencrypted, match="no keys"):
        within(clear, lambda store: store.rotate(KEY))


# -- rows that somebody has been at ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE rows SET sealed = (SELECT sealed FROM rows WHERE number = 5) WHERE number = 3", 3),
        ("UPDATE rows SET sealed = (SELECT sealed FROM rows WHERE run = 2 AND number = 3) WHERE run = 1 AND number = 3", 3),
        ("UPDATE rows SET sealed = substr(sealed, 1, 40) WHERE number = 2", 2),
        ("UPDATE rows SET sealed = NULL, body = '{}' WHERE number = 6", 6),
        ("DELETE FROM rows WHERE number = 4", 4),
        ("DELETE FROM keys WHERE owner = 'run order-17'", 0),
        ("UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE owner = 'run other')", 0),
    ],
)  # fmt: skip
def test_rows_that_were_torn_moved_or_lost_their_key_are_told_and_stay(
    tmp_path: Path, change: str, position: int
) -> None:
    address = KeyedAddress(f"sqlite:{tmp_path / 'runs.db'}")

    async def write(store: Store) -> None:
        await begun(store)
        await begun(store, "other")

    async def read(store: Store) -> None:
        found, damage = await sound_rows(store, "order-17")
        assert damage.position == position
        assert found == some_rows(0, position)

    within(address, write)
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as db:
        db.execute(change)
    before = contents(tmp_path)
    if "wrapped" in change:  # its header does not open either
        with pytest.raises(errors.StoreUnreadable, match="header of run 'order-17' is damaged"):
            within(address, read)
    else:
        within(address, read)
    assert contents(tmp_path) == before


# -- rotation --------------------------------------------------------------------------------------
@sealed
def test_after_a_rotation_only_the_new_key_opens_the_store(address: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(address) as store:
            await begun(store)
            owned = await store.create(header("owned"), "me")
            before = contents(tmp_path)
            assert await store.rotate({"2027": OTHER}) == 3  # two runs and the store's own
            # Who has begun goes on, and what is new is wrapped by the new one.
            await store.append(owned, some_rows(0, 2))
            await begun(store, "later")
            if before:
                assert former_keys(before) & former_keys(contents(tmp_path)) == set()
        with pytest.raises(errors.StoreLocked, match="2027"):
            async with opened(address) as store:
                await store.runs()
        async with Store.open(str(address), key={"2027": OTHER}) as store:
            assert await all_rows(store, "order-17") == some_rows(0, 8)
            assert await all_rows(store, "owned") == some_rows(0, 2)
            assert await all_rows(store, "later") == some_rows(0, 8)

    asyncio.run(work())


def former_keys(found: bytes) -> set[bytes]:
    """The wrapped keys among the files of a folder of runs."""
    marks = found.split(b'"wrapped": "')
    return {part[:56] for part in marks[1:]}


@files_of_a_store
def test_a_ring_of_both_keys_rotates_to_its_active_one(address: str) -> None:
    async def work() -> None:
        async with Store.open(str(address), key={"2025": KEY}) as store:
            await begun(store)
        async with Store.open(str(address), key={"2025": KEY, "2026": OTHER}) as store:
            await begun(store, "another")
            assert await store.rotate() == 3
        async with Store.open(str(address), key=OTHER) as store:
            assert {found.id for found in await store.runs()} == {"order-17", "another"}

    asyncio.run(work())


@files_of_a_store
def test_a_key_that_no_key_opens_stops_a_rotation_before_anything_is_changed(
    address: str, tmp_path: Path
) -> None:
    within(address, begun)
    lost = WrappedKey("lost", b"\1" * 40)
    if str(address).startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as db:
            db.execute("INSERT INTO keys VALUES ('run lost', ?, ?)", lost)
    else:
        text = json.dumps({"by": lost.by, "wrapped": b64encode(lost.content).decode()})
        (tmp_path / "runs" / "keys" / "run lost.key").write_text(text)
    before = contents(tmp_path)
    with pytest.raises(errors.StoreLocked, match="lost"):
        within(address, lambda store: store.rotate(OTHER))
    assert contents(tmp_path) == before
    assert within(address, lambda store: all_rows(store, "order-17")) == some_rows(0, 8)


# -- erasing ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address", ["jsonl", "sqlite", "jsonl sealed", "sqlite sealed"], indirect=True
)
def test_of_a_run_that_was_deleted_nothing_lies_in_any_file(address: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        for number in range(6):  # beside others, whose rows share pages with it
            run = "secret-run" if number == 3 else f"run-{number}"
            word = "forgotten" if number == 3 else "kept"
            made = header(run, metadata={"customer": word})
            rows = some_rows(0, 40, f'"{word * 30}"')
            ownership = await store.create(made, "me", rows=rows, large={run: word.encode()})
            await store.note(ownership, "waiting", {"customer": f"{word} longer"})
            await store.put_answer(run, f"q {word}", f'"{word}"')
            await store.release(ownership)
        await store.delete("secret-run")
        found = contents(tmp_path)
        assert b"forgotten" not in found
        assert b"secret-run" not in found
        assert await all_rows(store, "run-5") == some_rows(0, 40, f'"{"kept" * 30}"')

    within(address, work)


@files_of_a_store
def test_a_run_that_was_deleted_stays_closed_in_a_copy_without_its_key(
    address: str, tmp_path: Path
) -> None:
    if str(address).startswith("jsonl"):
        copy, file = tmp_path / "copy", tmp_path / "runs" / "order-17.jsonl"
    else:
        copy = file = tmp_path / "runs.db"

    async def work(store: Store) -> bytes:
        await begun(store)
        content = file.read_bytes()
        await store.delete("order-17")
        return content

    content = within(address, work)
    assert b"node.end" not in content
    if copy == file:
        return  # the keys are in the same file, as the documentation says
    file.write_bytes(content)
    _, damage = within(address, lambda store: sound_rows(store, "order-17"))
    assert "key is gone" in str(damage)
    with pytest.raises(errors.RunDamaged, match="key is gone"):
        within(address, lambda store: store.acquire("order-17", "me"))
    within(address, lambda store: store.delete("order-17"))
    assert not file.exists()


@files_of_a_store
def test_a_key_file_or_table_that_is_gone_is_told(address: str, tmp_path: Path) -> None:
    within(address, begun)
    if str(address).startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as db:
            db.execute("DELETE FROM keys")
        with pytest.raises(errors.StoreUnreadable, match="its keys are gone"):
            within(address, lambda store: store.runs())
        return
    (tmp_path / "runs" / "store.key").unlink()
    for key in (KEY, None):
        with pytest.raises(errors.StoreUnreadable, match=r"its store\.key is gone"):
            asyncio.run(Store.open(str(address), key=key).runs())


# -- in PostgreSQL ---------------------------------------------------------------------------------
def data_of(server: postgres.Postgres, folder: str = "") -> bytes:
    """All that lies on the disk of a server, after it has written what it holds in memory."""
    return contents(server.folder / "data" / folder)


@pytest.mark.parametrize("address", ["postgres sealed"], indirect=True)
def test_a_server_has_nothing_of_what_was_written_and_no_key_of_what_was_deleted(
    address: str, server: postgres.Postgres
) -> None:
    wrapped: list[bytes] = []

    async def write(store: Store) -> None:
        for run in ("order-17", "order-18"):
            made = header(run, metadata={"customer": "planted"})
            large = {"planted": b"planted"}
            rows = some_rows(0, 20, '"planted"')
            ownership = await store.create(made, "me", rows=rows, large=large)
            await store.put_answer(run, "planted?", '"planted"', "planted")
            await store.release(ownership)
        async with store._connection() as db:  # type: ignore[attr-defined]
            found = await db.fetch(
                "SELECT wrapped FROM graphflow_keys WHERE owner LIKE 'run %' ORDER BY owner"
            )
            wrapped.extend(bytes(row["wrapped"]) for row in found)
            await db.execute("CHECKPOINT")

    async def erase(store: Store) -> None:
        await store.delete("order-17")
        async with store._connection() as db:  # type: ignore[attr-defined]
            await db.execute("CHECKPOINT")
        assert await all_rows(store, "order-18") == some_rows(0, 20, '"planted"')

    within(address, write)
    # Its log, in which everything is written first, has none of it either.
    assert b"planted" not in data_of(server)
    assert all(key in data_of(server, "base") for key in wrapped)
    within(address, erase)
    tables = data_of(server, "base")
    assert [key in tables for key in wrapped] == [False, True]


# -- a whole walk ----------------------------------------------------------------------------------
@files_of_a_store
def test_a_walk_leaves_nothing_in_clear_and_goes_on_with_its_key_only(
    address: str, tmp_path: Path
) -> None:
    @node
    async def think(text: str) -> str:
        return f"{text} {'planted-large ' * 10_000}"

    @node
    async def tell(answer: str) -> str:
        return f"planted {answer}"

    graph = Graph("asks", START >> think >> Human("boss", input=str) >> tell >> END)

    async def begin(store: Store) -> None:
        run = await graph.run("planted question", store=store, id="one")
        assert run.status == "waiting"

    async def go_on(store: Store) -> None:
        run = await graph.resume("one", store=store, answers={"boss": "planted answer"})
        assert run.output == "planted planted answer"
        await graph.replay("one", store=store)

    within(address, begin)
    within(address, go_on)
    assert b"planted" not in contents(tmp_path)

    async def refused() -> None:
        async with Store.open(str(address), key=OTHER) as store:
            await graph.resume("one", store=store)

    with pytest.raises(errors.StoreLocked, match="none of the keys"):
        asyncio.run(refused())
