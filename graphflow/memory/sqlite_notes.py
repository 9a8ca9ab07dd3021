"""Notes in a SQLite file: for many of them, with their vectors, and for several processes.

Rules:
1. Each call has a connection and a transaction of its own; what writes holds the write lock from its beginning.
2. A number counts in each scope how often notes were taken away. As long as it stays the same, a reader that has read up
   to a row has missed the rows behind it, and nothing else.
3. What is removed is overwritten, and the log is emptied (`secure_delete`, `wal_checkpoint(TRUNCATE)`): plain SQLite
   leaves deleted texts in its file (sqlite.org/pragma.html#pragma_secure_delete).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from graphflow.errors import MemoryUnavailable
from graphflow.memory.note_store import Mark, NoteChanges, NoteFilter
from graphflow.messages.notes import Note

T = TypeVar("T")
NoteWork = Callable[[sqlite3.Connection], T]

APPLICATION = 0x6766_6D6E
"""`PRAGMA application_id`: "gfmn". A file with another one is another program's."""
VERSION = 1
"""`PRAGMA user_version`. A file with a higher one was written by a newer version of graphflow."""
BUSY_S = 10.0
"""Seconds to wait for another process's transaction."""
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
FIELDS = "id, scope, key, text, source, at, conversation, exchange"


class SqliteNotes:
    """A store in one file. The file and its folder are made with the first note.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    # -- reading -----------------------------------------------------------------------------------
    def read(self, scope: str, since: Mark | None) -> NoteChanges:
        def work(db: sqlite3.Connection) -> NoteChanges:
            removed = _removals(db, scope)
            whole = since is None or since[0] != removed
            first = 0
            if since is not None and not whole:
                first = since[1]
            rows = db.execute(
                f"SELECT number, {FIELDS} FROM notes WHERE scope = ? AND number > ? ORDER BY number",
                (scope, first),
            ).fetchall()
            last = rows[-1]["number"] if rows else first
            notes = tuple(_note_of(row) for row in rows)
            return NoteChanges((removed, last), notes, whole)

        return self._read(work, NoteChanges((0, 0), (), whole=True))

    def vectors(self, notes: Sequence[Note], embedder: str) -> dict[str, bytes]:
        def work(db: sqlite3.Connection) -> dict[str, bytes]:
            found: dict[str, bytes] = {}
            for start in range(0, len(notes), AT_ONCE):
                some = notes[start : start + AT_ONCE]
                places = ", ".join("?" for _ in some)
                ids = [note.id for note in some]
                rows = db.execute(
                    "SELECT id, body FROM notes JOIN vectors ON note = number AND embedder = ?"
                    f" WHERE scope = ? AND id IN ({places})",
                    (embedder, some[0].scope, *ids),
                )
                found |= {row["id"]: bytes(row["body"]) for row in rows}
            return found

        return self._read(work, {})

    # -- writing -----------------------------------------------------------------------------------
    def put(self, note: Note) -> Note:
        def work(db: sqlite3.Connection) -> Note:
            known = db.execute(
                f"SELECT {FIELDS} FROM notes WHERE scope = ? AND id = ?", (note.scope, note.id)
            ).fetchone()
            if known is not None:
                return _note_of(known)
            if note.key:
                _remove(db, NoteFilter(key=note.key, scope=note.scope))
            texts = (note.id, note.scope, note.key, note.text, note.source, note.at.isoformat())
            db.execute(
                f"INSERT INTO notes ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*texts, note.conversation, note.exchange),
            )
            return note

        return self._write(work)

    def keep_vectors(self, vectors: Iterable[tuple[Note, bytes]], embedder: str) -> None:
        rows = [(embedder, body, note.scope, note.id) for note, body in vectors]

        def work(db: sqlite3.Connection) -> None:
            # Of a note that is gone by now, nothing is kept.
            db.executemany(
                "INSERT OR REPLACE INTO vectors SELECT number, ?, ? FROM notes WHERE scope = ? AND id = ?",
                rows,
            )

        self._write(work)

    def remove(self, wanted: NoteFilter) -> int:
        return self._removing(lambda db: _remove(db, wanted))

    def trim(self, scope: str, most: int) -> int:
        def work(db: sqlite3.Connection) -> int:
            (count,) = db.execute("SELECT count(*) FROM notes WHERE scope = ?", (scope,)).fetchone()
            if count <= most:
                return 0
            numbers = db.execute(
                "SELECT number FROM notes WHERE scope = ? ORDER BY number LIMIT ?",
                (scope, count - most),
            ).fetchall()
            return _take_away(db, {scope}, [row["number"] for row in numbers])

        return self._removing(work)

    def _removing(self, work: NoteWork[int]) -> int:
        """Does what may remove notes; if it has, their texts do not stay in the log either."""
        if not self._path.exists():
            return 0
        count = self._write(work)
        if count:
            with self._connected() as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    # -- connections -------------------------------------------------------------------------------
    def _read(self, work: NoteWork[T], nothing: T) -> T:
        """Does something with what is there; where there is no file yet, there is nothing."""
        if not self._path.exists():
            return nothing
        with self._connected() as db:
            return work(db)

    def _write(self, work: NoteWork[T]) -> T:
        with self._connected() as db, _transaction(db):
            return work(db)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection; what SQLite says of it is told as an error of the memory."""
        db: sqlite3.Connection | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            self._prepare(db)
            yield db
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
            # Set outside of the transaction, as it must be; it stays with the file.
            db.execute("PRAGMA journal_mode=WAL")
            with _transaction(db):
                _make_tables(db)
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


def _make_tables(db: sqlite3.Connection) -> None:
    # Another process may have made them while this one waited for the lock.
    if _is_ours(db):
        return
    for statement in SCHEMA:
        db.execute(statement)
    db.execute(f"PRAGMA application_id={APPLICATION}")
    db.execute(f"PRAGMA user_version={VERSION}")


def _is_ours(db: sqlite3.Connection) -> bool:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    return bool(application == APPLICATION)


def _note_of(row: sqlite3.Row) -> Note:
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


def _removals(db: sqlite3.Connection, scope: str) -> int:
    found = db.execute("SELECT count FROM removals WHERE scope = ?", (scope,)).fetchone()
    return 0 if found is None else int(found["count"])


def _remove(db: sqlite3.Connection, wanted: NoteFilter) -> int:
    texts = wanted.texts()
    # Names of columns come from our own fields; values are bound.
    conditions = " AND ".join(f"{field} = ?" for field in texts) or "1"
    rows = db.execute(
        f"SELECT number, scope, at FROM notes WHERE {conditions}", tuple(texts.values())
    ).fetchall()
    scopes: set[str] = set()
    numbers: list[int] = []
    for row in rows:
        if wanted.before is not None and datetime.fromisoformat(row["at"]) >= wanted.before:
            continue
        scopes.add(row["scope"])
        numbers.append(row["number"])
    return _take_away(db, scopes, numbers)


def _take_away(db: sqlite3.Connection, scopes: Iterable[str], numbers: Sequence[int]) -> int:
    rows = [(number,) for number in numbers]
    db.executemany("DELETE FROM vectors WHERE note = ?", rows)
    db.executemany("DELETE FROM notes WHERE number = ?", rows)
    db.executemany(
        "INSERT INTO removals VALUES (?, 1) ON CONFLICT (scope) DO UPDATE SET count = count + 1",
        [(scope,) for scope in scopes],
    )
    return len(rows)
