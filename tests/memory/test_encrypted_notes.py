"""Memories with a key: nothing of a note lies on the disk in clear, and what is forgotten is gone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph
from graphflow.errors import (
    DeclarationError,
    KeyInvalid,
    MemoryUnavailable,
    StoreLocked,
    StoreUnencrypted,
)
from graphflow.events import Emitted
from graphflow.memory import FactMemory, Note, NoteMemory, SemanticMemory
from graphflow.memory.sqlite_notes import SqliteNotes
from graphflow.memory.vector_index import pack_vector
from graphflow.testing import FakeEmbedder

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
PLANTED = "zanzibar"


def contents(folder: Path) -> bytes:
    """All that lies in a folder, its logs too."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def planted(number: int = 0) -> Note:
    return Note(
        text=f"The word is {PLANTED} {number}.",
        id=f"note-{number}",
        key=f"{PLANTED} key {number}",
        scope=f"{PLANTED} scope",
        source=PLANTED,
        conversation=f"{PLANTED} talk",
        exchange=f"{PLANTED} run",
    )


def memory_at(path: Path, **options: Any) -> SemanticMemory:
    return SemanticMemory(at=path / "memory.db", embedder=FakeEmbedder(64), **options)


def test_nothing_of_a_note_lies_in_any_file_while_it_is_used_or_after(tmp_path: Path) -> None:
    memory = memory_at(tmp_path, key=KEY)
    vectors: list[bytes] = []

    async def main() -> None:
        for number in range(20):
            note = await memory.remember(planted(number))
            [vector] = await memory.embedder.embed([f"{note.key}: {note.text}"])
            vectors.append(pack_vector(vector))
        # Somebody keeps the file open, so the log stays.
        with closing(sqlite3.connect(tmp_path / "memory.db")) as reader:
            reader.execute("SELECT count(*) FROM notes").fetchone()
            await memory.remember(planted(20))
            [found] = await memory.recall("the word", scope=f"{PLANTED} scope", limit=1)
            assert PLANTED in found.text
            assert PLANTED.encode() not in contents(tmp_path)

    asyncio.run(main())
    kept = contents(tmp_path)
    assert PLANTED.encode() not in kept
    assert not any(vector in kept for vector in vectors)


def test_in_clear_all_of_that_would_lie_there(tmp_path: Path) -> None:
    memory = memory_at(tmp_path)
    note = asyncio.run(memory.remember(planted()))
    [vector] = asyncio.run(memory.embedder.embed([f"{note.key}: {note.text}"]))
    assert PLANTED.encode() in contents(tmp_path)
    assert pack_vector(vector) in contents(tmp_path)


@pytest.mark.parametrize("key", [KEY, None])
def test_what_is_forgotten_or_replaced_is_gone_from_every_file(
    key: bytes | None, tmp_path: Path
) -> None:
    async def main() -> None:
        memory = FactMemory(at=tmp_path / "memory.db", key=key)
        for number in range(40):
            await memory.remember(f"kept {number} " * 20, key=f"k{number}")
        await memory.remember(f"{PLANTED} " * 30, key="word")
        before = contents(tmp_path)
        await memory.remember("another word", key="word")
        assert PLANTED.encode() not in contents(tmp_path)
        await memory.remember(f"{PLANTED} again", key="more")
        assert await memory.forget(key="more") == 1
        assert PLANTED.encode() not in contents(tmp_path)
        assert (PLANTED.encode() in before) is (key is None)
        assert len(await memory.recall("kept", limit=50)) == 40

    asyncio.run(main())


def test_what_cannot_be_overwritten_now_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        memory = NoteMemory(at=tmp_path / "memory.db")
        await memory.remember(f"{PLANTED} one", key="a")
        with closing(sqlite3.connect(tmp_path / "memory.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM notes").fetchone()
            with pytest.raises(MemoryUnavailable, match="forget it again later"):
                await memory.forget(key="a")
        assert await memory.recall(PLANTED) == []
        await memory.remember("two", key="b")
        assert await memory.forget(key="b") == 1
        assert PLANTED.encode() not in contents(tmp_path)

    asyncio.run(main())


def test_a_missing_or_wrong_key_is_told_before_anything_is_changed(tmp_path: Path) -> None:
    asyncio.run(memory_at(tmp_path, key=KEY).remember(planted()))
    before = contents(tmp_path)
    for key, says in ((None, "give the memory its key"), (OTHER, "none of the keys")):
        memory = memory_at(tmp_path, key=key)
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda memory=memory: memory.recall("word"),  # type: ignore[misc]
            lambda memory=memory: memory.remember("x"),  # type: ignore[misc]
            lambda memory=memory: memory.forget(id="note-0"),  # type: ignore[misc]
        ]
        for attempt in attempts:
            with pytest.raises(StoreLocked, match=says):
                asyncio.run(attempt())  # type: ignore[arg-type]
    assert contents(tmp_path) == before


def test_a_file_in_clear_is_not_mixed_with_what_is_encrypted(tmp_path: Path) -> None:
    asyncio.run(memory_at(tmp_path).remember(planted()))
    with pytest.raises(StoreUnencrypted, match="begun without a key"):
        asyncio.run(memory_at(tmp_path, key=KEY).recall("word"))
    with pytest.raises(StoreUnencrypted, match="no key to rotate"):
        SqliteNotes(tmp_path / "memory.db").rotate(KEY)
    with pytest.raises(DeclarationError, match="to be read by people"):
        NoteMemory(at=tmp_path / "memory.md", key=KEY)
    with pytest.raises(KeyInvalid, match="5 bytes"):
        NoteMemory(at=tmp_path / "memory.db", key=b"short")


def test_after_a_rotation_only_the_new_key_opens_the_file(tmp_path: Path) -> None:
    asyncio.run(memory_at(tmp_path, key=KEY).remember(planted()))
    store = SqliteNotes(tmp_path / "memory.db", KEY)
    store.rotate({"next": OTHER})
    with pytest.raises(StoreLocked, match="'next'"):
        asyncio.run(memory_at(tmp_path, key=KEY).recall("word"))
    again = memory_at(tmp_path, key=OTHER)
    [found] = asyncio.run(again.recall("word", scope=f"{PLANTED} scope"))
    assert found.model_copy(update={"score": None}) == planted().model_copy(update={"at": found.at})


@pytest.mark.parametrize(
    ("key", "change"),
    [
        (KEY, "text = (SELECT text FROM notes WHERE id = 'note-0')"),
        (KEY, "text = 'x'"),
        (None, "at = 'some day'"),
        (None, "at = x'00'"),
    ],
)
def test_a_note_that_was_changed_or_moved_is_left_out_told_and_can_be_forgotten(
    key: bytes | None, change: str, tmp_path: Path
) -> None:
    async def main() -> None:
        memory = memory_at(tmp_path, key=key, scope=f"{PLANTED} scope")
        for number in range(3):
            await memory.remember(planted(number))
        with closing(sqlite3.connect(tmp_path / "memory.db", isolation_level=None)) as db:
            db.execute(f"UPDATE notes SET {change} WHERE id = 'note-1'")
            db.execute("UPDATE vectors SET body = x'00' WHERE note = 3 AND ?", (key is not None,))
        again = memory_at(tmp_path, key=key, scope=f"{PLANTED} scope")
        run: Any = await Graph("g", START >> again.recall_node >> END).run("word")
        assert {note.id for note in run.output.notes} == {"note-0", "note-2"}
        [told] = [event for event in run.events if isinstance(event, Emitted)]
        assert (told.name, told.value["notes"]) == ("memory.damaged", ["note-1"])
        # It stays where it is, until somebody says that it may go.
        assert await again.forget(older_than_s=-60, scope=f"{PLANTED} scope", key="none") == 0
        assert await again.forget(id="note-1") == 1
        await again.recall("word")
        assert again.damaged_in(f"{PLANTED} scope") == ()

    asyncio.run(main())


def test_a_graph_that_can_do_without_goes_on_where_the_key_is_wrong(tmp_path: Path) -> None:
    asyncio.run(memory_at(tmp_path, key=KEY).remember(planted()))
    memory = memory_at(tmp_path, key=OTHER, on_error="skip")
    run: Any = asyncio.run(Graph("g", START >> memory.recall_node >> END).run("word"))
    assert "StoreLocked" in run.output.failed
