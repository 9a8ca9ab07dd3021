"""Memories that keep their notes themselves: in this process, in a Markdown file, in a SQLite file.

What was read of a scope stays in the process, with its words and vectors; before each answer the store is asked what has
come since. So several processes see each other's notes, and none reads all of them again.
"""

from __future__ import annotations

import threading
import uuid
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias, TypedDict, Unpack

from graphflow import clock
from graphflow.concurrency import in_thread
from graphflow.errors import DeclarationError, NoteInvalid
from graphflow.journal.key_ring import StoreKey, is_place
from graphflow.memory.markdown_notes import MarkdownNotes
from graphflow.memory.memory import Memory, NoteScope
from graphflow.memory.memory_node import OnError
from graphflow.memory.note_store import Mark, NoteChanges, NoteFilter, NoteStore
from graphflow.memory.notes_in_memory import NotesInMemory
from graphflow.memory.sqlite_notes import SqliteNotes
from graphflow.memory.vector_index import VectorIndex
from graphflow.memory.word_index import WordIndex
from graphflow.messages.notes import Note
from graphflow.redaction import scrub

Ranking: TypeAlias = list[tuple[int, float | None]]
"""Numbers of notes, the best first, with what they score."""
MAX_TEXT = 20_000
"""Characters of a note: some ten pages. What is longer is a document, and belongs into a file."""
MAX_KEY = 200
MAX_QUERY = 2_000
"""Characters of a question that are looked at."""
MAX_NOTES = 100_000
"""Notes of one scope: exact search takes 17 ms for so many. The oldest make room."""
MAX_SCOPES = 64
"""Scopes whose notes stay in the process; those that were asked for last."""
MARKDOWN = (".md", ".markdown")
SQLITE = (".db", ".sqlite", ".sqlite3")


class MemoryOptions(TypedDict, total=False):
    """What every memory takes; `Memory` says what each means."""

    scope: NoteScope
    limit: int
    source: str
    on_error: OnError
    timeout_s: float


class ScopeIndex:
    """The notes of one scope, as far as they were read."""

    def __init__(self) -> None:
        self.mark: Mark | None = None
        self.notes: list[Note] = []
        self.words = WordIndex()
        self.vectors = VectorIndex()
        self.damaged: tuple[str, ...] = ()
        """The ids of notes that are left out, as they are not as they were written."""
        self.lock = threading.Lock()
        """Held while it grows, and while it is searched."""

    def add(self, changes: NoteChanges, vectors: Sequence[bytes]) -> None:
        """Takes up what has come."""
        self.vectors.add(vectors)
        self.words.add(searched_text(note) for note in changes.notes)
        self.notes += changes.notes
        self.damaged += changes.damaged
        self.mark = changes.mark


def searched_text(note: Note) -> str:
    """What a note is found by."""
    return f"{note.key}: {note.text}" if note.key else note.text


class KeptMemory(Memory):
    """A memory with a store of notes.

    Args:
        name: as in `Memory`.
        at: where the notes are kept: a path that ends in `.md` or `.db`, a store, or None: in this process.
        key: what they are encrypted with in a `.db` file, as in `Store.open`; None: nothing is encrypted.
        max_age_s: seconds after which a note is not recalled any more. It stays in its store, as a clock may be wrong, until
            somebody says `forget(older_than_s=...)`.
        max_notes: notes of one scope at most; the oldest make room.
        options: as in `Memory`.
    """

    def __init__(
        self,
        name: str = "",
        *,
        at: str | Path | NoteStore | None = None,
        key: StoreKey | None = None,
        max_age_s: float | None = None,
        max_notes: int = MAX_NOTES,
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(name, **options)
        whose = f"memory {name!r}"
        if max_age_s is not None and not max_age_s > 0:
            raise DeclarationError(f"{whose}: max_age_s={max_age_s!r} must be a positive number")
        if isinstance(max_notes, bool) or not isinstance(max_notes, int) or max_notes < 1:
            raise DeclarationError(f"{whose}: max_notes={max_notes!r} must be at least 1")
        self.max_age_s = max_age_s
        self.max_notes = max_notes
        self.at = str(at) if isinstance(at, Path) else at
        """Where the notes are kept, as it was given."""
        self.is_encrypted = key is not None
        self.key_place = str(key) if is_place(key) else ""
        """Where the key stands: `env:NAME` or `file:PATH`; "" if it was given itself, which is kept nowhere but in the store."""
        self._store = open_notes(at, key, whose)
        self._indexes: OrderedDict[str, ScopeIndex] = OrderedDict()

    # -- what differs ------------------------------------------------------------------------------
    @abstractmethod
    async def rank(self, index: ScopeIndex, query: str) -> Ranking:
        """The notes of a scope that have to do with a question."""

    async def vectors_of(self, notes: Sequence[Note]) -> list[bytes]:
        """The vectors of some notes; a memory that needs none has none."""
        return []

    # -- the seam ----------------------------------------------------------------------------------
    async def recall(
        self, query: str, *, scope: str | None = None, limit: int | None = None
    ) -> list[Note]:
        most = self.limit if limit is None else limit
        if most < 1:
            raise DeclarationError(
                f"memory {self.name!r}: recall(limit={limit!r}) must be a number from 1"
            )
        index = await self._index(self.own_scope if scope is None else scope)
        oldest = None if self.max_age_s is None else _past(self.max_age_s)
        found: list[Note] = []
        for number, score in await self.rank(index, query[:MAX_QUERY]):
            note = index.notes[number]
            if oldest is not None and note.at < oldest:
                continue
            scored = _complete(note, score)
            found.append(scored)
            if len(found) >= most:
                break
        return found

    async def remember(
        self, note: Note | str, *, key: str = "", source: str = "", scope: str | None = None
    ) -> Note:
        if isinstance(note, str):
            whose = self.own_scope if scope is None else scope
            note = Note(text=note, key=key, source=source, scope=whose, at=_now())
        note = checked_note(note)
        vectors = await self.vectors_of([note])
        kept = await in_thread(self._store.put, note)
        if kept.id == note.id and vectors:
            await self.keep_vectors([(note, vectors[0])])
        await in_thread(self._store.trim, note.scope, self.max_notes)
        return _complete(kept, None)

    async def keep_vectors(self, vectors: Iterable[tuple[Note, bytes]]) -> None:
        """Keeps vectors beside their notes, where a memory has some."""

    async def forget(
        self,
        *,
        id: str | None = None,
        key: str | None = None,
        scope: str | None = None,
        conversation: str | None = None,
        exchange: str | None = None,
        older_than_s: float | None = None,
    ) -> int:
        before = None if older_than_s is None else _past(older_than_s)
        wanted = NoteFilter(id, key, scope, conversation, exchange, before)
        if before is None and not wanted.texts():
            raise NoteInvalid("say what is to be forgotten: id=, key=, scope=, conversation=...")
        return await in_thread(self._store.remove, wanted)

    def damaged_in(self, scope: str) -> tuple[str, ...]:
        index = self._indexes.get(scope)
        return () if index is None else index.damaged

    # -- what was read -----------------------------------------------------------------------------
    async def _index(self, scope: str) -> ScopeIndex:
        """The notes of a scope, with all that has come until now."""
        while True:
            index = self._indexes.get(scope)
            since = None if index is None else index.mark
            changes = await in_thread(self._store.read, scope, since)
            if index is None or changes.whole:
                index = ScopeIndex()
            elif not changes.notes and not changes.damaged:
                return index
            vectors = await self.vectors_of(changes.notes)
            if self._take_up(scope, index, since, changes, vectors):
                return index

    def _take_up(
        self,
        scope: str,
        index: ScopeIndex,
        since: Mark | None,
        changes: NoteChanges,
        vectors: Sequence[bytes],
    ) -> bool:
        """Adds what was read, unless somebody else has read further meanwhile."""
        with index.lock:
            if not changes.whole and index.mark != since:
                return False
            index.add(changes, vectors)
        self._indexes[scope] = index
        self._indexes.move_to_end(scope)
        while len(self._indexes) > MAX_SCOPES:
            self._indexes.popitem(last=False)
        return True


def open_notes(at: str | Path | NoteStore | None, key: StoreKey | None, whose: str) -> NoteStore:
    """The store that an address stands for.

    Raises:
        DeclarationError: nobody knows such files, or they are not encrypted.
        KeyInvalid: the key is not one.
    """
    if at is None:  # nothing of it is at rest, so a key changes nothing
        return NotesInMemory()
    if not isinstance(at, (str, Path)):
        return at
    # From here on the working folder may change.
    path = Path(at).expanduser().absolute()
    if path.suffix.lower() in SQLITE:
        return SqliteNotes(path, key)
    if path.suffix.lower() in MARKDOWN:
        if key is not None:
            raise DeclarationError(
                f"{whose}: at={str(at)!r} is there to be read by people; with key= the notes go into a .db file"
            )
        return MarkdownNotes(path)
    endings = ", ".join((*MARKDOWN, *SQLITE))
    raise DeclarationError(f"{whose}: at={str(at)!r} must end in one of {endings}")


def checked_note(note: Note) -> Note:
    """A note as it is kept: with an id, in plain characters, without what looks like a key.

    Raises:
        NoteInvalid: it has no text, or too much of it.
    """
    text = _plain(note.text)
    key = " ".join(_plain(note.key).split())
    if not text:
        raise NoteInvalid("there is nothing to remember; give a text")
    if len(text) > MAX_TEXT:
        raise NoteInvalid(
            f"a note of {len(text)} characters is too long; remember {MAX_TEXT} at most"
        )
    if len(key) > MAX_KEY:
        raise NoteInvalid(f"a key of {len(key)} characters is too long; use a word or two")
    return note.model_copy(
        update={"text": text, "key": key, "id": note.id or uuid.uuid4().hex, "score": None}
    )


def _complete(note: Note, score: float | None) -> Note:
    """A note with a score, and every field as if it had been given: a record tells what was given from what was not."""
    fields = dict(note)
    fields["score"] = score
    return Note.model_construct(**fields)


def _plain(text: str) -> str:
    """A text that every file can hold: line ends are those of Unix, half characters are question marks, secrets are marks."""
    whole = text.encode("utf-8", "replace").decode()
    lines = whole.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return scrub(lines).strip()


def _now() -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def _past(seconds: float) -> datetime:
    """So many seconds ago."""
    try:
        return _now() - timedelta(seconds=seconds)
    except OverflowError:  # longer ago than there are dates
        return datetime.min.replace(tzinfo=UTC)
