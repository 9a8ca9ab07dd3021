"""The seam between memories and where they keep their notes.

Rules:
1. A store keeps notes in the order in which they came, and says cheaply whether there are new ones.
2. A note that is put a second time under the same id stays as it is: who is carried out again after a crash remembers
   nothing twice. One with the key of another in its scope takes that one's place.
3. What is removed is gone from the store's files, as far as the store can see to that.
4. Stores block, and are called in threads. Any number of threads and processes may use one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from graphflow.messages.notes import Note

Mark: TypeAlias = tuple[int, ...]
"""How far a reader has read; only the store knows what it means."""


@dataclass(frozen=True, slots=True)
class NoteChanges:
    """What a reader has missed.

    Attributes:
        mark: how far it has read with this.
        notes: the notes, oldest first.
        whole: whether these are all notes of the scope; else they come behind those that it has.
        damaged: the ids of notes that are not as they were written. They are left out, and stay where they are.
    """

    mark: Mark
    notes: tuple[Note, ...]
    whole: bool
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoteFilter:
    """Which notes are meant: those for which everything that is given holds.

    Attributes:
        id, key, scope, conversation, exchange: as in `Note`; None = any.
        before: remembered before that time; None = at any time.
    """

    id: str | None = None
    key: str | None = None
    scope: str | None = None
    conversation: str | None = None
    exchange: str | None = None
    before: datetime | None = None

    def texts(self) -> dict[str, str]:
        """The texts that are given, by the field of a note that must be equal."""
        given = {
            "id": self.id,
            "key": self.key,
            "scope": self.scope,
            "conversation": self.conversation,
            "exchange": self.exchange,
        }
        return {field: text for field, text in given.items() if text is not None}

    def takes(self, note: Note) -> bool:
        """Whether a note is meant."""
        if self.before is not None and note.at >= self.before:
            return False
        return all(getattr(note, field) == text for field, text in self.texts().items())


class NoteStore(Protocol):
    """Where notes are kept."""

    def read(self, scope: str, since: Mark | None) -> NoteChanges:
        """What has come since; with None, everything. Without news, `notes` is empty and `whole` is False."""

    def put(self, note: Note) -> Note:
        """Keeps a note; gives the one that there is, if its id is known."""

    def remove(self, wanted: NoteFilter) -> int:
        """Removes notes, and says how many."""

    def trim(self, scope: str, most: int) -> int:
        """Removes the oldest notes of a scope beyond so many, and says how many."""

    def vectors(self, notes: Sequence[Note], embedder: str) -> dict[str, bytes]:
        """The vectors that are known of these notes, by id."""

    def keep_vectors(self, vectors: Iterable[tuple[Note, bytes]], embedder: str) -> None:
        """Keeps vectors beside their notes."""
