"""What every memory promises, wherever it keeps its notes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from graphflow.errors import DeclarationError, MemoryUnavailable, NoteInvalid
from graphflow.memory import BufferMemory, FactMemory, NoteMemory, SemanticMemory
from graphflow.memory.kept_memory import MAX_TEXT, KeptMemory
from graphflow.memory.sqlite_notes import SqliteNotes
from graphflow.messages.notes import Note
from graphflow.testing import FakeClock, FakeEmbedder
from tests import programs

Make = Callable[..., KeptMemory]
KEY = bytes(range(32))
PLACES = (None, "memory.md", "memory.db", "sealed.db")


class Embedder(FakeEmbedder):
    """Vectors of hashed words, and how many texts it was given."""

    def __init__(self, name: str = "fake", size: int = 64) -> None:
        super().__init__(size)
        self.name = name
        self.texts = 0

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.texts += len(texts)
        return await super().embed(texts)


def semantic(**options: Any) -> SemanticMemory:
    return SemanticMemory(embedder=options.pop("embedder", None) or Embedder(), **options)


def buffer(**options: Any) -> BufferMemory:
    options.pop("max_notes", None)
    return BufferMemory(last=50, **options)


KINDS: list[Make] = [buffer, FactMemory, NoteMemory, semantic]


@pytest.fixture(params=PLACES, ids=str)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    if request.param is None:
        return None
    path = tmp_path / "kept" / request.param
    # Any place that a memory takes: a path, or a store.
    return SqliteNotes(path, KEY) if request.param == "sealed.db" else path  # type: ignore[return-value]


async def texts(memory: KeptMemory, query: str, **options: Any) -> list[str]:
    return [note.text for note in await memory.recall(query, **options)]


@pytest.mark.parametrize("make", KINDS)
def test_what_was_remembered_is_recalled(make: Make, at: Path | None) -> None:
    async def main() -> None:
        memory = make(at=at)
        assert await memory.recall("the cat") == []
        note = await memory.remember(
            "Her cat is called Miso.\nA grey one.", key="cat", source="user"
        )
        await memory.remember("The train leaves at nine.", key="train")
        [found] = await memory.recall("cat", limit=1) if make is not buffer else [note]
        assert (found.text, found.key, found.source) == (note.text, "cat", "user")
        assert (found.id, found.at, found.scope) == (note.id, note.at, "")

    asyncio.run(main())


@pytest.mark.parametrize("make", KINDS)
def test_nobody_recalls_the_notes_of_another_scope(make: Make, at: Path | None) -> None:
    async def main() -> None:
        memory = make(at=at)
        await memory.remember("My cat is called Miso.", key="cat", scope="anna")
        await memory.remember("My cat is called Tiger.", key="cat", scope="ben")
        assert await texts(memory, "my cat", scope="anna") == ["My cat is called Miso."]
        assert await texts(memory, "my cat", scope="ben") == ["My cat is called Tiger."]
        assert await texts(memory, "my cat", scope="") == []
        # Removing one's own leaves the other's.
        assert await memory.forget(scope="anna") == 1
        assert await texts(memory, "my cat", scope="anna") == []
        assert await texts(memory, "my cat", scope="ben") == ["My cat is called Tiger."]

    asyncio.run(main())


@pytest.mark.parametrize("make", KINDS)
def test_a_key_has_one_note_and_an_id_stays_what_it_is(make: Make, at: Path | None) -> None:
    async def main() -> None:
        memory = make(at=at)
        first = await memory.remember("She lives in Bern.", key="home")
        await memory.remember("She lives in Basel.", key="home")
        assert await texts(memory, "lives") == ["She lives in Basel."]
        # Carried out again after a crash: the id is known, so nothing happens.
        again = Note(text="She lives in Rome.", id="one", key="place")
        await memory.remember(again)
        kept = await memory.remember(again.model_copy(update={"text": "She lives in Oslo."}))
        assert kept.text == "She lives in Rome."
        assert first.text not in await texts(memory, "lives", limit=9)
        assert len(await memory.recall("lives", limit=9)) == 2

    asyncio.run(main())


def test_notes_are_forgotten_by_what_they_carry(at: Path | None) -> None:
    async def main() -> None:
        memory = NoteMemory(at=at)
        now = datetime.now(UTC)
        for number in range(4):
            await memory.remember(
                Note(
                    text=f"word {number}",
                    id=str(number),
                    key="even" if number == 2 else "",
                    conversation="user:42" if number < 2 else "",
                    exchange=f"run-{number}",
                    at=now - timedelta(days=number),
                )
            )
        assert await memory.forget(conversation="user:42", exchange="run-2") == 0
        assert await memory.forget(conversation="user:42", exchange="run-1") == 1
        assert await memory.forget(key="even") == 1
        assert await memory.forget(older_than_s=2.5 * 86_400) == 1
        assert await texts(memory, "word", limit=9) == ["word 0"]
        assert await memory.forget(id="0") == 1
        assert await memory.recall("word") == []
        with pytest.raises(NoteInvalid, match="say what is to be forgotten"):
            await memory.forget()

    asyncio.run(main())


def test_what_is_too_old_is_not_recalled_and_a_clock_that_jumps_destroys_nothing(
    at: Path | None,
) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            memory = NoteMemory(at=at, max_age_s=3600)
            await memory.remember("The bus stops here.")
            clock.move(3599)
            assert await texts(memory, "bus") == ["The bus stops here."]
            clock.move(10 * 365 * 86_400)
            assert await memory.recall("bus") == []
            await memory.remember("The bus is late.")
            assert await texts(memory, "bus") == ["The bus is late."]
        # The clock was wrong; by the right one nothing is old, and what was said in the future counts.
        with FakeClock():
            assert await texts(memory, "bus") == ["The bus is late.", "The bus stops here."]

    asyncio.run(main())


def test_a_buffer_keeps_the_last(at: Path | None) -> None:
    async def main() -> None:
        memory = BufferMemory(last=2, at=at)
        for number in range(5):
            await memory.remember(f"line {number}")
        assert await texts(memory, "anything") == ["line 4", "line 3"]
        assert await texts(memory, "anything", limit=9) == ["line 4", "line 3"]

    asyncio.run(main())


def test_the_oldest_notes_make_room(at: Path | None) -> None:
    async def main() -> None:
        memory = semantic(at=at, max_notes=3)
        for number in range(6):
            await memory.remember(f"word number {number}")
        found = await texts(memory, "word", limit=9)
        assert sorted(found) == ["word number 3", "word number 4", "word number 5"]

    asyncio.run(main())


def test_a_fact_is_found_by_its_key_before_its_words() -> None:
    async def main() -> None:
        memory = FactMemory()
        await memory.remember("Tea, and never coffee.", key="drink")
        await memory.remember("A drink in the drink shop, drink by drink.", key="shop")
        assert (await texts(memory, "Drink"))[0] == "Tea, and never coffee."
        with pytest.raises(NoteInvalid, match="a fact needs a key"):
            await memory.remember("Tea.")

    asyncio.run(main())


def test_vectors_are_made_once_and_again_for_another_embedder(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "memory.db"
        memory = semantic(at=path)
        for text in ("The cat sleeps.", "The dog barks.", "The bird sings."):
            await memory.remember(text)
        first = Embedder()
        assert await texts(semantic(at=path, embedder=first), "the dog", limit=1) == [
            "The dog barks."
        ]
        assert first.texts == 1  # the question
        other = Embedder("other", size=32)
        again = semantic(at=path, embedder=other)
        assert await texts(again, "the bird", limit=1) == ["The bird sings."]
        assert other.texts == 1 + 3
        await again.recall("the bird")
        assert other.texts == 2 + 3

    asyncio.run(main())


def test_of_equal_notes_the_latest_comes_first() -> None:
    async def main() -> None:
        for memory in (semantic(), NoteMemory()):
            for day in range(3):
                note = Note(
                    text="The shop is open.", id=str(day), at=datetime(2030, 1, 1 + day, tzinfo=UTC)
                )
                await memory.remember(note)
            assert [note.id for note in await memory.recall("shop open")] == ["2", "1", "0"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (" \n\t", "nothing to remember"),
        ("x" * (MAX_TEXT + 1), "characters is too long"),
        ("\0", "nothing to remember"),
    ],
)
def test_what_is_no_note_is_refused(given: str, says: str, at: Path | None) -> None:
    async def main() -> None:
        memory = NoteMemory(at=at)
        with pytest.raises(NoteInvalid, match=says):
            await memory.remember(given)
        with pytest.raises(NoteInvalid, match="a key of 300 characters"):
            await memory.remember("text", key="k" * 300)
        assert await memory.recall("x") == []

    asyncio.run(main())


def test_every_text_survives(at: Path | None) -> None:
    odd = 'café \ud800 <!-- {} --> ## x\r\n- y\n\n  <!-- {"id": 1} -->\n**k**: \u2028 z'

    async def main() -> None:
        memory = NoteMemory(at=at)
        note = await memory.remember(f"word {odd}", scope="## o\nne", key='a "b" *c*')
        [found] = await NoteMemory(at=at).recall("word", scope="## o\nne") if at else [note]
        assert found.text == note.text
        assert found.key == note.key
        assert "?" in note.text
        assert "\ud800" not in note.text

    asyncio.run(main())


@pytest.mark.parametrize("limit", [0, -1])
def test_less_than_one_note_is_not_asked_for(limit: int) -> None:
    async def main() -> None:
        memory = NoteMemory()
        await memory.remember("a word")
        with pytest.raises(DeclarationError, match="a number from 1"):
            await memory.recall("word", limit=limit)
        assert len(await memory.recall("word", limit=1)) == 1

    asyncio.run(main())


def test_a_long_question_is_cut_not_refused() -> None:
    async def main() -> None:
        for memory in (semantic(), NoteMemory(), FactMemory()):
            await memory.remember("The cat sleeps.", key="cat")
            assert await texts(memory, "cat " * 1_000_000, limit=1) == ["The cat sleeps."]

    asyncio.run(main())


def test_what_looks_like_a_key_is_not_kept(tmp_path: Path) -> None:
    async def main() -> None:
        secret = "sk-" + "a1B2" * 8
        path = tmp_path / "memory.md"
        note = await NoteMemory(at=path).remember(f"my key is {secret}")
        assert secret not in note.text
        assert secret not in path.read_text()

    asyncio.run(main())


# -- files -----------------------------------------------------------------------------------------
def test_what_is_forgotten_is_gone_from_the_file(tmp_path: Path) -> None:
    async def main() -> None:
        for name in ("memory.db", "memory.md"):
            memory = semantic(at=tmp_path / name)
            await memory.remember("The word is zanzibar.", scope="a")
            await memory.remember("Another word.", scope="a")
            assert await memory.forget(scope="a") == 2

    asyncio.run(main())
    for file in tmp_path.iterdir():
        assert b"zanzibar" not in file.read_bytes(), file


PROGRAM = """
import asyncio, sys
from graphflow.memory import NoteMemory
async def main():
    memory = NoteMemory(at=sys.argv[1])
    for number in range(20):
        await memory.remember(f"word {sys.argv[2]} {number}")
asyncio.run(main())
"""


@pytest.mark.parametrize("name", ["memory.md", "memory.db"])
def test_processes_share_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    memory = NoteMemory(at=path)

    async def count() -> int:
        return len(await memory.recall("word", limit=1000))

    asyncio.run(memory.remember("word of mine"))
    assert asyncio.run(count()) == 1
    processes = [programs.start("-c", PROGRAM, str(path), who) for who in ("anna", "ben")]
    assert [process.wait(60) for process in processes] == [0, 0]
    found = asyncio.run(texts(memory, "word", limit=1000))
    wanted = {f"word {who} {number}" for who in ("anna", "ben") for number in range(20)}
    assert set(found) == wanted | {"word of mine"}
    assert len(found) == 41


def test_a_memory_that_is_no_memory_is_unavailable(tmp_path: Path) -> None:
    async def main() -> None:
        broken = tmp_path / "broken.db"
        broken.write_bytes(b"this is not a database, and never was one" * 50)
        foreign = tmp_path / "foreign.db"
        db = sqlite3.connect(foreign)
        db.execute("CREATE TABLE shop (name TEXT)")
        db.close()
        folder = tmp_path / "folder.md"
        folder.mkdir()
        latin = tmp_path / "latin.md"
        latin.write_bytes(b"# Notes\n- caf\xe9\n")
        for path in (broken, foreign, folder, latin):
            before = None if path.is_dir() else path.read_bytes()
            memory = NoteMemory(at=path)
            with pytest.raises(MemoryUnavailable, match=path.name):
                await memory.recall("x")
            with pytest.raises(MemoryUnavailable, match=path.name):
                await memory.remember("x")
            assert before == (None if path.is_dir() else path.read_bytes())

    asyncio.run(main())


def test_a_failing_embedder_keeps_nothing_half(tmp_path: Path) -> None:
    class Down(Embedder):
        async def embed(self, texts: Sequence[str]) -> list[list[float]]:
            raise OSError("no route to host")

    async def main() -> None:
        memory = semantic(at=tmp_path / "memory.db", embedder=Down())
        with pytest.raises(MemoryUnavailable, match="embedder fake failed: no route"):
            await memory.remember("The cat sleeps.")
        assert await texts(semantic(at=tmp_path / "memory.db"), "cat") == []

    asyncio.run(main())


def test_what_makes_no_memory_is_refused_when_it_is_declared() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"at": "memory.txt"}, "must end in one of"),
        ({"limit": 0}, "a number from 1 to 50"),
        ({"on_error": "ignore"}, 'give "raise" or "skip"'),
        ({"timeout_s": 0}, "must be a positive number"),
        ({"max_age_s": -1}, "must be a positive number"),
        ({"max_notes": 0}, "must be at least 1"),
        ({"scope": 42}, "must be a text or a function"),
    ]
    for options, says in wrong:
        with pytest.raises(DeclarationError, match=says):
            NoteMemory("m", **options)


def test_many_readers_and_writers_in_one_process_lose_nothing(at: Path | None) -> None:
    async def main() -> None:
        memory = semantic(at=at)

        async def work(who: int) -> None:
            for number in range(5):
                await memory.remember(f"word {who} {number}")
                await memory.recall("word", limit=3)

        await asyncio.gather(*[work(who) for who in range(6)])
        found = await texts(memory, "word", limit=99)
        assert len(found) == len(set(found)) == 30

    asyncio.run(main())
