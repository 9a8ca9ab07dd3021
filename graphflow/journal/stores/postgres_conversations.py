"""Conversations in PostgreSQL: what is done with them in a transaction."""

from __future__ import annotations

from typing import Any, TypeAlias

from graphflow.errors import ConversationUnreadable
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
)
from graphflow.journal.key_ring import WrappedKey
from graphflow.journal.seal import PLAIN, Seal, conversation_owner
from graphflow.journal.sealed import open_about, open_exchange, seal_about, seal_exchange
from graphflow.journal.stores.postgres_schema import keep_key
from graphflow.journal.vault import Vault

Database: TypeAlias = Any
"""A connection of asyncpg, which has no types."""
_HEADER = (
    "SELECT graph, key, head, version, last, run, until, began, changed, about"
    " FROM graphflow_conversations"
)


async def conversation_in(
    db: Database, vault: Vault, name: ConversationName
) -> ConversationHeader | None:
    """The header of a conversation, if there is such a conversation."""
    found = await db.fetchrow(f"{_HEADER} WHERE graph = $1 AND key = $2", *name)
    return None if found is None else await _header_of(db, vault, found)


async def conversations_in(
    db: Database, vault: Vault, graph: str | None
) -> list[ConversationHeader]:
    """The headers of the conversations of a graph, or of all, the newest first."""
    found = await db.fetch(
        f"{_HEADER} WHERE $1::text IS NULL OR graph = $1 ORDER BY changed DESC", graph
    )
    return [await _header_of(db, vault, row) for row in found]


async def exchanges_in(
    db: Database, vault: Vault, name: ConversationName, first: int, run: str | None
) -> list[StoredExchange]:
    """The exchanges of a conversation from a number on, or that of a run."""
    found = await db.fetch(
        "SELECT number, run, at, body, checksum FROM graphflow_exchanges WHERE conversation ="
        " (SELECT number FROM graphflow_conversations WHERE graph = $1 AND key = $2)"
        " AND number >= $3 AND ($4::text IS NULL OR run = $4) ORDER BY number",
        *name,
        first,
        run,
    )
    if not found:
        return []
    seal = await _seal_in(db, vault, name)
    return [open_exchange(seal, StoredExchange(*row)) for row in found]


async def change_in(db: Database, vault: Vault, change: ConversationChange) -> bool:
    """Changes a conversation; False: it is not what it is to be changed from."""
    name, header = change.name, change.header
    if change.expected == 0:
        return header is None or await _begin(db, vault, header, change)
    known = await db.fetchrow(
        "SELECT number, version FROM graphflow_conversations WHERE graph = $1 AND key = $2 FOR UPDATE",
        *name,
    )
    if known is None or known["version"] != change.expected:
        return False
    number = known["number"]
    if header is None:
        await _remove(db, name, number)
        return True
    seal = await _seal_in(db, vault, name)
    if seal is None:
        raise ConversationUnreadable(f"the key of {name} is gone; forget it, and begin another one")
    await db.execute(
        "DELETE FROM graphflow_exchanges WHERE conversation = $1 AND number > $2",
        number,
        header.head,
    )
    await _write(db, seal, number, header, change)
    return True


async def _begin(
    db: Database, vault: Vault, header: ConversationHeader, change: ConversationChange
) -> bool:
    """Begins a conversation; False: there is one of that name."""
    number = await db.fetchval(
        "INSERT INTO graphflow_conversations (graph, key, head, version, last, run, until, began, changed, about)"
        " VALUES ($1, $2, 0, 0, '', '', 0, $3, 0, '') ON CONFLICT DO NOTHING RETURNING number",
        *header.name,
        header.began,
    )
    if number is None:
        return False
    owner = conversation_owner(*header.name)
    seal, wrapped = vault.new(owner)
    if wrapped is not None:
        await keep_key(db, owner, wrapped)
    await _write(db, seal, number, header, change)
    return True


async def _write(
    db: Database, seal: Seal, number: int, header: ConversationHeader, change: ConversationChange
) -> None:
    await db.execute(
        "UPDATE graphflow_conversations SET head = $2, version = $3, last = $4, run = $5, until = $6,"
        " changed = $7, about = $8 WHERE number = $1",
        number,
        header.head,
        header.version,
        header.last,
        header.run,
        header.until,
        header.changed,
        seal_about(seal, header.about),
    )
    for exchange in change.added:
        kept = seal_exchange(seal, exchange)
        values = (kept.number, kept.run, kept.at, kept.body, kept.checksum)
        await db.execute(
            "INSERT INTO graphflow_exchanges VALUES ($1, $2, $3, $4, $5, $6)", number, *values
        )


async def _remove(db: Database, name: ConversationName, number: int) -> None:
    owner = conversation_owner(*name)
    await db.execute("DELETE FROM graphflow_keys WHERE owner = $1", owner.label)
    await db.execute("DELETE FROM graphflow_exchanges WHERE conversation = $1", number)
    await db.execute("DELETE FROM graphflow_conversations WHERE number = $1", number)


async def _seal_in(db: Database, vault: Vault, name: ConversationName) -> Seal | None:
    """The seal of a conversation; None: its key is gone."""
    if vault.is_clear:
        return PLAIN
    owner = conversation_owner(*name)
    found = await db.fetchrow(
        "SELECT wrapped_by, wrapped FROM graphflow_keys WHERE owner = $1", owner.label
    )
    return vault.seal(owner, None if found is None else WrappedKey(*found))


async def _header_of(db: Database, vault: Vault, row: Any) -> ConversationHeader:
    graph, key, head, version, last, run, until, began, changed, about = row
    name = ConversationName(graph, key)
    seal = await _seal_in(db, vault, name)
    try:
        known = open_about(seal, about)
    except ValueError as error:
        raise ConversationUnreadable(f"the header of {name} is damaged: {error}") from None
    return ConversationHeader(name, head, version, last, run, until, began, changed, known)
