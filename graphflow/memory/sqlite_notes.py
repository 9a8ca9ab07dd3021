"""Notes in a SQLite file: for many of them, with their vectors, and for several processes.

Rules:
1. Each call has a connection and a transaction of its own; what writes holds the write lock from its beginning.
2. A number counts in each scope how often notes were taken away. As long as it stays the same, a reader that has read up
   to a row has missed the rows behind it, and nothing else.
3. What is removed is overwritten, and the log is emptied (`secure_delete`, `wal_checkpoint(TRUNCATE)`): plain SQLite
   leaves deleted texts in its file (sqlite.org/pragma.html#pragma_secure_delete).
4. With a key the texts are sealed, and so are the vectors, which tell much of a text (`note_rows`, `note_keys`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from graphflow.errors import GraphflowError, MemoryUnavailable, StoreUnencrypted
from graphflow.journal.key_ring import KeyRing, StoreKey, is_place, key_ring
from graphflow.journal.stores.write_ahead import switch_to_write_ahead
from graphflow.memory.note_keys import (
    APPLICATION,
    ENCRYPTED,
    application_of,
    make_key,
    seal_of,
    wrap_anew,
)
from graphflow.memory.note_rows import FIELDS, NoteRows
from graphflow.memory.note_store import Mark, NoteChanges, NoteFilter
from graphflow.messages.notes import Note

T = TypeVar("T")
NoteWork = Callable[[sqlite3.Connection, NoteRows], T]

VERSION = 1
"""`PRAGMA user_version`. A file with a higher one was written by a newer version of graphflow."""
BUSY_S = 10.0
"""Seconds to wait for another process's transaction."""
EMPTY_S = 5.0
"""Seconds to wait for readers before the log is emptied."""
AT_ONCE = 500
"""Ids that are asked for in one statement."""
SCHEMA = (
    "CREATE TABLE notes (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, scope TEXT NOT NULL,"
    " key TEXT NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL, at TEXT NOT NULL,"
    " conversation TEXT NOT NULL, exchange TEXT NOT NULL, UNIQUE (scope, id))",
    "CREATE INDEX notes_by_scope ON notes (scope, number)",
    "CREATE INDEX notes_by_conversation ON notes (conversation, exchange)",
    "CREATE TABLE vectors (note INTEGER NOT NULL, embedder TEXT NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (note, embedder)) WITHOUT ROWID",
    "CREATE TABLE removals (scope TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
)


class SqliteNotes:
    """A store in one file. The file and its folder are made with the first note.

    Args:
        path: of the file.
        key: what its notes are encrypted with, as in `Store.open`; None: nothing is. What stands in a variable or a file is
            read when the file of notes is first used: a graph can be checked and drawn where its key is not.

    Raises:
        KeyInvalid: the key is not one. Whether it is the right one is seen when the file is first used: `StoreLocked`.
        MissingExtra: the package that encrypts is not installed.
    """

    def __init__(self, path: Path, key: StoreKey | None = None) -> None:
        self._path = path
        self._key: StoreKey | None = key
        if key is not None and not is_place(key):
            self._key = key_ring(key)

    @property
    def _ring(self) -> KeyRing | None:
        """Its keys.

        Raises:
            KeyInvalid: what stands in their place is not a key.
        """
        if self._key is not None and not isinstance(self._key, KeyRing):
            self._key = key_ring(self._key)
        return self._key

    # -- reading -----------------------------------------------------------------------------------
    def read(self, scope: str, since: Mark | None) -> NoteChanges:
        def work(db: sqlite3.Connection, rows: NoteRows) -> NoteChanges:
            name = rows.name(scope)
            removed = _removals(db, name)
            whole = since is None or since[0] != removed
            first = 0
            if since is not None and not whole:
                first = since[1]
            found = db.execute(
                f"SELECT number, {FIELDS} FROM notes WHERE scope = ? AND number > ? ORDER BY number",
                (name, first),
            ).fetchall()
            last = found[-1]["number"] if found else first
            notes: list[Note] = []
            damaged: list[str] = []
            for row in found:
                note = rows.note(row)
                if note is None:
                    damaged.append(row["id"])
                else:
                    notes.append(note)
            return NoteChanges((removed, last), tuple(notes), whole, tuple(damaged))

        return self._read(work, NoteChanges((0, 0), (), whole=True))

    def vectors(self, notes: Sequence[Note], embedder: str) -> dict[str, bytes]:
        def work(db: sqlite3.Connection, rows: NoteRows) -> dict[str, bytes]:
            found: dict[str, bytes] = {}
            for start in range(0, len(notes), AT_ONCE):
                some = notes[start : start + AT_ONCE]
                places = ", ".join("?" for _ in some)
                ids = [note.id for note in some]
                kept = db.execute(
                    "SELECT id, body FROM notes JOIN vectors ON note = number AND embedder = ?"
                    f" WHERE scope = ? AND id IN ({places})",
                    (embedder, rows.name(some[0].scope), *ids),
                )
                for note_id, body in kept:
                    vector = rows.opened_vector(note_id, embedder, bytes(body))
                    if vector is not None:
                        found[note_id] = vector
            return found

        return self._read(work, {})

    # -- writing -----------------------------------------------------------------------------------
    def put(self, note: Note) -> Note:
        def work(db: sqlite3.Connection, rows: NoteRows) -> tuple[Note, int]:
            known = db.execute(
                f"SELECT {FIELDS} FROM notes WHERE scope = ? AND id = ?",
                (rows.name(note.scope), note.id),
            ).fetchone()
            if known is not None:
                # Of one that is damaged, what is to be remembered is as good.
                return rows.note(known) or note, 0
            replaced = 0
            if note.key:
                former = NoteFilter(key=note.key, scope=note.scope)
                replaced = _remove(db, rows, former)
            db.execute(
                f"INSERT INTO notes ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows.values(note)
            )
            return note, replaced

        kept, replaced = self._write(work)
        # The fact whose place it took is as gone as one that was forgotten.
        if replaced:
            self._empty_log()
        return kept

    def keep_vectors(self, vectors: Iterable[tuple[Note, bytes]], embedder: str) -> None:
        def work(db: sqlite3.Connection, rows: NoteRows) -> None:
            kept: list[tuple[str, bytes, str, str]] = []
            for note, body in vectors:
                sealed = rows.vector(note.id, embedder, body)
                kept.append((embedder, sealed, rows.name(note.scope), note.id))
            # Of a note that is gone by now, nothing is kept.
            db.executemany(
                "INSERT OR REPLACE INTO vectors SELECT number, ?, ? FROM notes WHERE scope = ? AND id = ?",
                kept,
            )

        self._write(work)

    def remove(self, wanted: NoteFilter) -> int:
        if not self._path.exists():
            return 0
        count = self._write(lambda db, rows: _remove(db, rows, wanted))
        if count and not self._empty_log():
            raise MemoryUnavailable(
                f"what was forgotten still lies in the log of {self!r}, as another process is reading; forget it again later"
            )
        return count

    def trim(self, scope: str, most: int) -> int:
        if not self._path.exists():
            return 0

        def work(db: sqlite3.Connection, rows: NoteRows) -> int:
            name = rows.name(scope)
            (count,) = db.execute("SELECT count(*) FROM notes WHERE scope = ?", (name,)).fetchone()
            if count <= most:
                return 0
            numbers = db.execute(
                "SELECT number FROM notes WHERE scope = ? ORDER BY number LIMIT ?",
                (name, count - most),
            ).fetchall()
            return _take_away(db, {name}, [row["number"] for row in numbers])

        count = self._write(work)
        if count:
            self._empty_log()
        return count

    def _empty_log(self) -> bool:
        """Has the log merged into the file and cut to nothing: what was removed still stands in it; whether that was done."""
        with self._connected() as db:
            db.execute(f"PRAGMA busy_timeout={round(EMPTY_S * 1000)}")
            (is_busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy

    # -- keys --------------------------------------------------------------------------------------
    def rotate(self, key: StoreKey) -> None:
        """Locks the data key with another key, which alone opens the file from then on.

        Raises:
            StoreUnencrypted: the file has no key.
            StoreLocked: the key that the memory was given does not open it.
        """
        if self._ring is None:
            raise StoreUnencrypted(f"{self!r} has no key to rotate: it was begun without one")
        ring = self._ring.joined(key_ring(key))
        self._write(lambda db, rows: wrap_anew(db, ring, repr(self)))
        self._key = ring
        self._empty_log()

    # -- connections -------------------------------------------------------------------------------
    def _read(self, work: NoteWork[T], nothing: T) -> T:
        """Does something with what is there; where there is no file yet, there is nothing."""
        if not self._path.exists():
            return nothing
        with self._connected() as db:
            return work(db, self._rows(db))

    def _write(self, work: NoteWork[T]) -> T:
        with self._connected() as db, _transaction(db):
            return work(db, self._rows(db))

    def _rows(self, db: sqlite3.Connection) -> NoteRows:
        seal = seal_of(db, self._ring, repr(self))
        return NoteRows(seal)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection; what SQLite says of it is told as an error of the memory."""
        db: sqlite3.Connection | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            self._prepare(db)
            yield db
        except GraphflowError:  # some are errors of the system as well
            raise
        except (sqlite3.Error, OSError) as error:
            raise MemoryUnavailable(f"{self!r} cannot be used: {error}") from error
        finally:
            if db is not None:
                db.close()

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA secure_delete=ON")
        db.execute("PRAGMA synchronous=FULL")
        if not _is_ours(db):
            self._refuse_others(db)
            switch_to_write_ahead(db, BUSY_S)
            with _transaction(db):
                _make_tables(db, self._ring)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise MemoryUnavailable(f"{self!r} was written by a newer version of graphflow")

    def _refuse_others(self, db: sqlite3.Connection) -> None:
        has_tables = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
        # Another process may be making ours in this moment: whoever sees its tables sees the number, too.
        if has_tables and not _is_ours(db):
            raise MemoryUnavailable(f"{self!r} is a database of another program, not a memory")

    def __repr__(self) -> str:
        return f"<notes in {self._path}>"


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, under the write lock."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _make_tables(db: sqlite3.Connection, ring: KeyRing | None) -> None:
    # Another process may have made them while this one waited for the lock.
    if _is_ours(db):
        return
    for statement in SCHEMA:
        db.execute(statement)
    application = make_key(db, ring)
    db.execute(f"PRAGMA application_id={application}")
    db.execute(f"PRAGMA user_version={VERSION}")


def _is_ours(db: sqlite3.Connection) -> bool:
    return application_of(db) in (APPLICATION, ENCRYPTED)


def _removals(db: sqlite3.Connection, scope: str) -> int:
    found = db.execute("SELECT count FROM removals WHERE scope = ?", (scope,)).fetchone()
    return 0 if found is None else int(found["count"])


def _remove(db: sqlite3.Connection, rows: NoteRows, wanted: NoteFilter) -> int:
    texts = rows.named(wanted.texts())
    # Names of columns come from our own fields; values are bound.
    conditions = " AND ".join(f"{field} = ?" for field in texts) or "1"
    found = db.execute(
        f"SELECT number, scope, at FROM notes WHERE {conditions}", tuple(texts.values())
    ).fetchall()
    scopes: set[str] = set()
    numbers: list[int] = []
    for row in found:
        if wanted.before is not None and not _is_before(row["at"], wanted.before):
            continue
        scopes.add(row["scope"])
        numbers.append(row["number"])
    return _take_away(db, scopes, numbers)


def _is_before(text: str, before: datetime) -> bool:
    """Whether a date is one, and lies before another."""
    try:
        return datetime.fromisoformat(text) < before
    except (ValueError, TypeError):  # a damaged row, which goes by its id only
        return False


def _take_away(db: sqlite3.Connection, scopes: Iterable[str], numbers: Sequence[int]) -> int:
    rows = [(number,) for number in numbers]
    db.executemany("DELETE FROM vectors WHERE note = ?", rows)
    db.executemany("DELETE FROM notes WHERE number = ?", rows)
    db.executemany(
        "INSERT INTO removals VALUES (?, 1) ON CONFLICT (scope) DO UPDATE SET count = count + 1",
        [(scope,) for scope in scopes],
    )
    return len(rows)
