"""Notes that live and die with their process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from graphflow.memory.note_store import Mark, NoteChanges, NoteFilter
from graphflow.messages.notes import Note


class KnownVectors:
    """Vectors by embedder and text: a text means the same in every note."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], bytes] = {}

    def of(self, notes: Sequence[Note], embedder: str) -> dict[str, bytes]:
        """Those that are known, by the ids of the notes."""
        found: dict[str, bytes] = {}
        for note in notes:
            key = (embedder, note.text)
            vector = self._known.get(key)
            if vector is not None:
                found[note.id] = vector
        return found

    def keep(self, vectors: Iterable[tuple[Note, bytes]], embedder: str) -> None:
        """Keeps some more."""
        for note, vector in vectors:
            self._known[embedder, note.text] = vector

    def forget(self, notes: Sequence[Note]) -> None:
        """Forgets those of notes that are gone: a vector tells much of its text."""
        gone = {note.text for note in notes}
        left: dict[tuple[str, str], bytes] = {}
        for key, vector in self._known.items():
            _, text = key
            if text not in gone:
                left[key] = vector
        self._known = left


class _ScopeNotes:
    """The notes of one scope."""

    __slots__ = ("notes", "put", "removed")

    def __init__(self) -> None:
        self.notes: dict[str, Note] = {}
        self.put = 0
        """How many notes ever came."""
        self.removed = 0
        """How often some were taken away."""


class NotesInMemory:
    """A store in this process."""

    def __init__(self) -> None:
        self._scopes: dict[str, _ScopeNotes] = {}
        self._vectors = KnownVectors()
        self._lock = threading.Lock()

    def read(self, scope: str, since: Mark | None) -> NoteChanges:
        with self._lock:
            kept = self._of(scope)
            mark = (kept.removed, kept.put)
            notes = list(kept.notes.values())
            if since is None:
                return NoteChanges(mark, tuple(notes), whole=True)
            removed, put = since
            if removed != kept.removed:
                return NoteChanges(mark, tuple(notes), whole=True)
            # Nothing was taken away since, so what is new stands at the end.
            known = len(notes) - (kept.put - put)
            fresh = notes[known:]
            return NoteChanges(mark, tuple(fresh), whole=False)

    def _of(self, scope: str) -> _ScopeNotes:
        kept = self._scopes.get(scope)
        return _ScopeNotes() if kept is None else kept

    def put(self, note: Note) -> Note:
        with self._lock:
            kept = self._scopes.setdefault(note.scope, _ScopeNotes())
            known = kept.notes.get(note.id)
            if known is not None:
                return known
            if note.key:
                former = NoteFilter(key=note.key, scope=note.scope)
                self._drop(former)
            kept.notes[note.id] = note
            kept.put += 1
            return note

    def remove(self, wanted: NoteFilter) -> int:
        with self._lock:
            return self._drop(wanted)

    def _drop(self, wanted: NoteFilter) -> int:
        count = 0
        for kept in self._scopes.values():
            gone = [note for note in kept.notes.values() if wanted.takes(note)]
            count += len(gone)
            self._take_away(kept, gone)
        return count

    def _take_away(self, kept: _ScopeNotes, gone: Sequence[Note]) -> None:
        for note in gone:
            del kept.notes[note.id]
        if gone:
            kept.removed += 1
            self._vectors.forget(gone)

    def trim(self, scope: str, most: int) -> int:
        with self._lock:
            kept = self._of(scope)
            notes = list(kept.notes.values())
            beyond = max(0, len(notes) - most)
            oldest = notes[:beyond]
            self._take_away(kept, oldest)
            return beyond

    def vectors(self, notes: Sequence[Note], embedder: str) -> dict[str, bytes]:
        with self._lock:
            return self._vectors.of(notes, embedder)

    def keep_vectors(self, vectors: Iterable[tuple[Note, bytes]], embedder: str) -> None:
        with self._lock:
            self._vectors.keep(vectors, embedder)

    def __repr__(self) -> str:
        return "<notes in memory>"
