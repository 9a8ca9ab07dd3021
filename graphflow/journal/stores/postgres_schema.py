"""The schema in PostgreSQL: its tables and how they came about, and the keys in them."""

from __future__ import annotations

from typing import Any

from graphflow.journal.key_ring import WrappedKey
from graphflow.journal.seal import SealOwner

NOW = "extract(epoch FROM clock_timestamp())"
"""The server's clock, in seconds since 1970."""
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE graphflow_runs (
        key BIGSERIAL PRIMARY KEY, id TEXT NOT NULL UNIQUE, graph TEXT NOT NULL, status TEXT NOT NULL,
        began DOUBLE PRECISION NOT NULL, changed DOUBLE PRECISION NOT NULL, rows BIGINT NOT NULL,
        about TEXT NOT NULL, metadata TEXT NOT NULL, format INTEGER NOT NULL,
        holder TEXT NOT NULL, epoch BIGINT NOT NULL, until DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX graphflow_runs_by_change ON graphflow_runs (changed);
    CREATE TABLE graphflow_rows (
        run BIGINT NOT NULL, number BIGINT NOT NULL, kind TEXT NOT NULL, place TEXT NOT NULL, body TEXT NOT NULL,
        checksum BIGINT NOT NULL, PRIMARY KEY (run, number)
    );
    CREATE TABLE graphflow_large (digest TEXT PRIMARY KEY, body BYTEA NOT NULL);
    CREATE TABLE graphflow_used (run BIGINT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (run, digest));
    """,
    """
    CREATE TABLE graphflow_answers (
        run BIGINT NOT NULL, question TEXT NOT NULL, value TEXT NOT NULL, "by" TEXT NOT NULL,
        at DOUBLE PRECISION NOT NULL, PRIMARY KEY (run, question)
    );
    """,
    """
    CREATE TABLE graphflow_keys (owner TEXT PRIMARY KEY, wrapped_by TEXT NOT NULL, wrapped BYTEA NOT NULL);
    ALTER TABLE graphflow_rows ADD COLUMN sealed BYTEA;
    """,
    """
    CREATE TABLE graphflow_conversations (
        number BIGSERIAL PRIMARY KEY, graph TEXT NOT NULL, key TEXT NOT NULL, head BIGINT NOT NULL,
        version BIGINT NOT NULL, last TEXT NOT NULL, run TEXT NOT NULL, until DOUBLE PRECISION NOT NULL,
        began DOUBLE PRECISION NOT NULL, changed DOUBLE PRECISION NOT NULL, about TEXT NOT NULL, UNIQUE (graph, key)
    );
    CREATE TABLE graphflow_exchanges (
        conversation BIGINT NOT NULL, number BIGINT NOT NULL, run TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
        body TEXT NOT NULL, checksum BIGINT NOT NULL, PRIMARY KEY (conversation, number)
    );
    """,
    """
    CREATE TABLE graphflow_accounts (
        account TEXT PRIMARY KEY, tokens BIGINT NOT NULL, nanodollars BIGINT NOT NULL, until DOUBLE PRECISION NOT NULL
    );
    """,
)
"""The schema of version n is what the first n of these make."""
TABLES = (
    "graphflow_runs",
    "graphflow_rows",
    "graphflow_large",
    "graphflow_used",
    "graphflow_answers",
    "graphflow_keys",
    "graphflow_conversations",
    "graphflow_exchanges",
    "graphflow_accounts",
)


async def keep_key(db: Any, owner: SealOwner, wrapped: WrappedKey) -> None:
    """Keeps a new data key."""
    await db.execute(
        "INSERT INTO graphflow_keys VALUES ($1, $2, $3)", owner.label, wrapped.by, wrapped.content
    )
