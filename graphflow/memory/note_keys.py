"""The keys of a file of notes: whether it is encrypted, and with which data key."""

from __future__ import annotations

import sqlite3

from graphflow.errors import StoreLocked, StoreUnencrypted
from graphflow.journal.key_ring import KeyRing, WrappedKey
from graphflow.journal.seal import PLAIN, Seal
from graphflow.memory.note_rows import MEMORY

APPLICATION = 0x6766_6D6E
"""`PRAGMA application_id`: "gfmn". A file with another one is another program's."""
ENCRYPTED = 0x6766_6D6F
"""The same of a file whose notes are encrypted. It is given when the file is made."""
KEY_TABLE = "CREATE TABLE keys (owner TEXT PRIMARY KEY, wrapped_by TEXT NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID"


def application_of(db: sqlite3.Connection) -> int:
    """The number of the program that a file belongs to."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    return int(application)


def make_key(db: sqlite3.Connection, ring: KeyRing | None) -> int:
    """Gives a new file its data key, if it has a key ring; the number of its application."""
    if ring is None:
        return APPLICATION
    _, wrapped = ring.new(MEMORY)
    db.execute(KEY_TABLE)
    db.execute("INSERT INTO keys VALUES (?, ?, ?)", (MEMORY.label, wrapped.by, wrapped.content))
    return ENCRYPTED


def seal_of(db: sqlite3.Connection, ring: KeyRing | None, whose: str) -> Seal:
    """The seal of a file that is there.

    Raises:
        StoreLocked: it is encrypted, and the key is missing or another one.
        StoreUnencrypted: it is not, and a key was given.
    """
    if application_of(db) == APPLICATION:
        if ring is None:
            return PLAIN
        raise StoreUnencrypted(
            f"{whose} was begun without a key, so its notes lie there in clear; remember them in a new file with key="
        )
    if ring is None:
        raise StoreLocked(f"{whose} is encrypted; give the memory its key: key=...")
    wrapped = _wrapped(db, whose)
    try:
        return ring.seal(MEMORY, wrapped)
    except StoreLocked as error:
        raise StoreLocked(f"{whose} is encrypted: {error}") from None


def wrap_anew(db: sqlite3.Connection, ring: KeyRing, whose: str) -> None:
    """Locks the data key with the active key of a ring that opens it.

    Raises:
        StoreLocked: no key of the ring does.
    """
    # One row: all notes of a file have one data key, and none of them is touched.
    renewed = ring.rewrapped(_wrapped(db, whose))
    db.execute("UPDATE keys SET wrapped_by = ?, wrapped = ?", (renewed.by, renewed.content))


def _wrapped(db: sqlite3.Connection, whose: str) -> WrappedKey:
    found = db.execute("SELECT wrapped_by, wrapped FROM keys").fetchone()
    if found is None:
        raise StoreLocked(f"{whose} is encrypted, and its data key is gone")
    return WrappedKey(*found)
