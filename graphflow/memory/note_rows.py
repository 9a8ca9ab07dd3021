"""Notes as rows of a table: in clear, or sealed with the data key of their file.

    in clear    number, id, when; in a file with a key that is all
    by digest   scope, key, conversation, exchange: equal for equal texts of one file, so that notes are found by them
    sealed      the note itself, and its vectors

Without a key the same columns hold the texts themselves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime

from graphflow.errors import SealBroken
from graphflow.journal.seal import PLAIN, Seal, SealOwner
from graphflow.messages.notes import Note

MEMORY = SealOwner("memory")
"""The owner of the data key of a file of notes."""
FIELDS = "id, scope, key, text, source, at, conversation, exchange"


class NoteRows:
    """Makes rows of notes, and notes of rows.

    Args:
        seal: of the file; `PLAIN`: it is kept in clear.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def name(self, text: str) -> str:
        """By what a scope, a key, a conversation or an exchange is found."""
        return self._seal.name(text)

    def named(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts of a filter, as their columns hold them."""
        names: dict[str, str] = {}
        for field, text in texts.items():
            names[field] = text if field == "id" else self.name(text)
        return names

    def values(self, note: Note) -> tuple[str, ...]:
        """What the columns hold, in the order of `FIELDS`."""
        when = note.at.isoformat()
        if self._seal is PLAIN:
            about = (note.key, note.text, note.source)
            return (note.id, note.scope, *about, when, note.conversation, note.exchange)
        # As one text: what a column held by itself would tell how long each of them is.
        whole = note.model_dump_json()
        sealed = self._seal.seal_text(whole, f"notes {note.id}")
        places = map(self.name, (note.conversation, note.exchange))
        return (note.id, self.name(note.scope), self.name(note.key), sealed, "", when, *places)

    def note(self, row: sqlite3.Row) -> Note | None:
        """The note of a row; None: it is not as it was written."""
        try:
            if self._seal is PLAIN:
                return _clear_note(row)
            whole = self._seal.open_text(row["text"], f"notes {row['id']}")
            return Note.model_validate_json(whole)
        except (SealBroken, ValueError, TypeError):
            return None

    def vector(self, note_id: str, embedder: str, body: bytes) -> bytes:
        """A vector as it is kept."""
        return self._seal.seal(body, f"vectors {note_id} {embedder}")

    def opened_vector(self, note_id: str, embedder: str, kept: bytes) -> bytes | None:
        """The vector that was kept; None: it is damaged, and is made again."""
        try:
            return self._seal.open(kept, f"vectors {note_id} {embedder}")
        except SealBroken:
            return None


def _clear_note(row: sqlite3.Row) -> Note:
    return Note(
        id=row["id"],
        scope=row["scope"],
        key=row["key"],
        text=row["text"],
        source=row["source"],
        at=datetime.fromisoformat(row["at"]),
        conversation=row["conversation"],
        exchange=row["exchange"],
    )
