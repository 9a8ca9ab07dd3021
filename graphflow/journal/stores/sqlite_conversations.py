"""Conversations in a SQLite file: what is done with them in a transaction."""

from __future__ import annotations

import sqlite3

from graphflow.errors import ConversationUnreadable
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
)
from graphflow.journal.seal import PLAIN, Seal, conversation_owner
from graphflow.journal.sealed import open_about, open_exchange, seal_about, seal_exchange
from graphflow.journal.stores.sqlite_schema import drop_key, keep_key, key_in
from graphflow.journal.vault import Vault

_HEADER = (
    "SELECT graph, key, head, version, last, run, until, began, changed, about FROM conversations"
)
_EXCHANGE = "SELECT number, run, at, body, checksum FROM exchanges"


def conversation_in(
    db: sqlite3.Connection, vault: Vault, name: ConversationName
) -> ConversationHeader | None:
    """The header of a conversation, if there is such a conversation."""
    found = db.execute(f"{_HEADER} WHERE graph = ? AND key = ?", name).fetchone()
    return None if found is None else _header_of(db, vault, found)


def conversations_in(
    db: sqlite3.Connection, vault: Vault, graph: str | None
) -> list[ConversationHeader]:
    """The headers of the conversations of a graph, or of all, the newest first."""
    found = db.execute(
        f"{_HEADER} WHERE ? IS NULL OR graph = ? ORDER BY changed DESC", (graph, graph)
    )
    return [_header_of(db, vault, row) for row in found.fetchall()]


def exchanges_in(
    db: sqlite3.Connection, vault: Vault, name: ConversationName, first: int, run: str | None
) -> list[StoredExchange]:
    """The exchanges of a conversation from a number on, or that of a run."""
    found = db.execute(
        f"{_EXCHANGE} WHERE conversation = (SELECT number FROM conversations WHERE graph = ? AND key = ?)"
        " AND number >= ? AND (? IS NULL OR run = ?) ORDER BY number",
        (*name, first, run, run),
    ).fetchall()
    if not found:
        return []
    seal = _seal_in(db, vault, name)
    return [open_exchange(seal, StoredExchange(*row)) for row in found]


def change_in(db: sqlite3.Connection, vault: Vault, change: ConversationChange) -> bool:
    """Changes a conversation; False: it is not what it is to be changed from."""
    name, header = change.name, change.header
    known = db.execute(
        "SELECT number, version FROM conversations WHERE graph = ? AND key = ?", name
    ).fetchone()
    # Under the write lock, so nobody else can change it in between.
    if change.expected != (0 if known is None else known["version"]):
        return False
    if header is None:
        if known is not None:
            _remove(db, name, known["number"])
        return True
    seal: Seal | None
    if known is None:
        seal, number = _begin(db, vault, header)
    else:
        seal, number = _seal_in(db, vault, name), known["number"]
        db.execute(
            "DELETE FROM exchanges WHERE conversation = ? AND number > ?", (number, header.head)
        )
    if seal is None:
        raise ConversationUnreadable(f"the key of {name} is gone; forget it, and begin another one")
    _write_header(db, seal, number, header)
    for exchange in change.added:
        kept = seal_exchange(seal, exchange)
        db.execute(
            "INSERT INTO exchanges VALUES (?, ?, ?, ?, ?, ?)",
            (number, kept.number, kept.run, kept.at, kept.body, kept.checksum),
        )
    return True


def _begin(db: sqlite3.Connection, vault: Vault, header: ConversationHeader) -> tuple[Seal, int]:
    """Begins a conversation; what its content is sealed with, and its number."""
    owner = conversation_owner(*header.name)
    seal, wrapped = vault.new(owner)
    if wrapped is not None:
        keep_key(db, owner, wrapped)
    made = db.execute(
        "INSERT INTO conversations (graph, key, head, version, last, run, until, began, changed, about)"
        " VALUES (?, ?, 0, 0, '', '', 0, ?, 0, '')",
        (*header.name, header.began),
    )
    assert made.lastrowid is not None
    return seal, made.lastrowid


def _write_header(
    db: sqlite3.Connection, seal: Seal, number: int, header: ConversationHeader
) -> None:
    about = seal_about(seal, header.about)
    values = (header.head, header.version, header.last, header.run, header.until, header.changed)
    db.execute(
        "UPDATE conversations SET head = ?, version = ?, last = ?, run = ?, until = ?, changed = ?, about = ?"
        " WHERE number = ?",
        (*values, about, number),
    )


def _remove(db: sqlite3.Connection, name: ConversationName, number: int) -> None:
    drop_key(db, conversation_owner(*name))
    db.execute("DELETE FROM exchanges WHERE conversation = ?", (number,))
    db.execute("DELETE FROM conversations WHERE number = ?", (number,))


def _seal_in(db: sqlite3.Connection, vault: Vault, name: ConversationName) -> Seal | None:
    """The seal of a conversation; None: its key is gone."""
    if vault.is_clear:
        return PLAIN
    owner = conversation_owner(*name)
    return vault.seal(owner, key_in(db, owner))


def _header_of(db: sqlite3.Connection, vault: Vault, row: sqlite3.Row) -> ConversationHeader:
    graph, key, head, version, last, run, until, began, changed, about = row
    name = ConversationName(graph, key)
    seal = _seal_in(db, vault, name)
    try:
        known = open_about(seal, about)
    except ValueError as error:
        raise ConversationUnreadable(f"the header of {name} is damaged: {error}") from None
    return ConversationHeader(name, head, version, last, run, until, began, changed, known)
