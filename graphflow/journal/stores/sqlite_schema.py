"""The schema of a SQLite file: its tables and how they came about, its numbers, and the keys in it."""

from __future__ import annotations

import sqlite3

from graphflow.journal.key_ring import WrappedKey
from graphflow.journal.seal import STORE, SealOwner
from graphflow.journal.stores.write_ahead import switch_to_write_ahead
from graphflow.journal.vault import Vault

APPLICATION = 0x6766_6C77
"""`PRAGMA application_id`: "gflw". A file with another one is another program's."""
ENCRYPTED = 0x6766_6C78
"""The same of a file whose content is encrypted. It is given when the file is made, and says so to whoever has no key."""
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE runs (
        key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, graph TEXT NOT NULL, status TEXT NOT NULL,
        began REAL NOT NULL, changed REAL NOT NULL, rows INTEGER NOT NULL,
        about TEXT NOT NULL, metadata TEXT NOT NULL, format INTEGER NOT NULL,
        holder TEXT NOT NULL, epoch INTEGER NOT NULL, until REAL NOT NULL
    );
    CREATE INDEX runs_by_change ON runs (changed);
    CREATE TABLE rows (
        run INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, place TEXT NOT NULL, body TEXT NOT NULL,
        checksum INTEGER NOT NULL, PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
    CREATE TABLE large (digest TEXT PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE used (run INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (run, digest)) WITHOUT ROWID;
    """,
    """
    CREATE TABLE answers (
        run INTEGER NOT NULL, question TEXT NOT NULL, value TEXT NOT NULL, "by" TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (run, question)
    ) WITHOUT ROWID;
    """,
    # Rows in the order in which they come, whichever runs they belong to, beside an index. A table without a rowid is an
    # index itself, where a row of more than a quarter of a page takes a page of its own.
    """
    CREATE TABLE rows_as_they_come (
        run INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, place TEXT NOT NULL, body TEXT NOT NULL,
        checksum INTEGER NOT NULL, PRIMARY KEY (run, number)
    );
    INSERT INTO rows_as_they_come SELECT * FROM rows;
    DROP TABLE rows;
    ALTER TABLE rows_as_they_come RENAME TO rows;
    """,
    """
    CREATE TABLE keys (owner TEXT PRIMARY KEY, wrapped_by TEXT NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID;
    ALTER TABLE rows ADD COLUMN sealed BLOB;
    """,
    """
    CREATE TABLE conversations (
        number INTEGER PRIMARY KEY, graph TEXT NOT NULL, key TEXT NOT NULL, head INTEGER NOT NULL,
        version INTEGER NOT NULL, last TEXT NOT NULL, run TEXT NOT NULL, until REAL NOT NULL,
        began REAL NOT NULL, changed REAL NOT NULL, about TEXT NOT NULL, UNIQUE (graph, key)
    );
    CREATE TABLE exchanges (
        conversation INTEGER NOT NULL, number INTEGER NOT NULL, run TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL,
        checksum INTEGER NOT NULL, PRIMARY KEY (conversation, number)
    );
    """,
    """
    CREATE TABLE accounts (
        account TEXT PRIMARY KEY, tokens INTEGER NOT NULL, nanodollars INTEGER NOT NULL, until REAL NOT NULL
    ) WITHOUT ROWID;
    """,
)
"""The schema of version n is what the first n of these make."""


def has_tables(db: sqlite3.Connection) -> bool:
    """Whether there is anything in a file yet."""
    return db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def migrate(db: sqlite3.Connection, vault: Vault, patience_s: float) -> int:
    """Takes the schema from whatever version it has to the newest, under the write lock: others may be about to.

    Args:
        db: an open connection.
        vault: the keys of the file.
        patience_s: seconds for which others may have it locked.

    Returns:
        The number of its application, which says whether it is encrypted.
    """
    switch_to_write_ahead(db, patience_s)
    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                if statement.strip():
                    db.execute(statement)
        (application,) = db.execute("PRAGMA application_id").fetchone()
        if application == 0:
            application = _mark(db, vault)
        newest = max(version, len(MIGRATIONS))
        db.execute(f"PRAGMA user_version={newest}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return int(application)


def _mark(db: sqlite3.Connection, vault: Vault) -> int:
    """Says of a new file whether it is encrypted; its number."""
    _, wrapped = vault.new(STORE)
    application = APPLICATION
    if wrapped is not None:
        application = ENCRYPTED
        keep_key(db, STORE, wrapped)
    db.execute(f"PRAGMA application_id={application}")
    return application


# -- keys ------------------------------------------------------------------------------------------
def key_in(db: sqlite3.Connection, owner: SealOwner) -> WrappedKey | None:
    """The data key of somebody, if it is there."""
    found = db.execute(
        "SELECT wrapped_by, wrapped FROM keys WHERE owner = ?", (owner.label,)
    ).fetchone()
    return None if found is None else WrappedKey(*found)


def keep_key(db: sqlite3.Connection, owner: SealOwner, wrapped: WrappedKey) -> None:
    """Keeps a new data key."""
    db.execute("INSERT INTO keys VALUES (?, ?, ?)", (owner.label, wrapped.by, wrapped.content))


def drop_key(db: sqlite3.Connection, owner: SealOwner) -> None:
    """Removes a data key: what it has sealed stays closed from now on."""
    db.execute("DELETE FROM keys WHERE owner = ?", (owner.label,))
