"""Rows on their way into PostgreSQL: those of several runs go in one transaction, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphflow.journal.commit import Commit
from graphflow.journal.exchanges import ConversationChange
from graphflow.journal.seal import PLAIN
from graphflow.journal.sealed import seal_large, seal_row
from graphflow.journal.store import Large, Ownership
from graphflow.journal.stored import StoredRow
from graphflow.journal.stores.postgres_schema import NOW


@dataclass(slots=True, eq=False)
class RowAddition:
    """Rows that wait to be written, and what says when they are."""

    ownership: Ownership
    first: int
    rows: Sequence[StoredRow]
    large: Large
    commit: Commit | None = None
    change: ConversationChange | None = None

    def records(self, key: int) -> list[tuple[int, int, str, str, str, int]]:
        """The rows as the table has them."""
        return [(key, row.number, row.kind, row.place, row.body, row.checksum) for row in self.rows]

    def sealed_records(self, key: int) -> list[tuple[int, int, bytes]]:
        """The rows as the table has them if they are sealed."""
        seal = self.ownership.seal
        return [(key, row.number, seal_row(seal, row)) for row in self.rows]

    def end(self, error: Exception | None = None) -> None:
        """Ends the waiting."""
        if self.commit is None or self.commit.done():
            return
        if error is None:
            self.commit.set_result(None)
        else:
            self.commit.set_exception(error)
            # Whoever waited may be gone with its loop; asyncio need not complain.
            self.commit.exception()


def next_batch(waiting: Sequence[RowAddition]) -> list[RowAddition]:
    """What can go into one statement, which counts the rows of a run up once.

    Rows that come with an exchange go by themselves: if the conversation has moved, nothing of them is written.
    """
    if waiting[0].change is not None:
        return [waiting[0]]
    first: dict[str, RowAddition] = {}
    for added in waiting:
        if added.change is not None:
            continue
        first.setdefault(added.ownership.run, added)
    return list(first.values())


async def _counted_up(db: Any, batch: Sequence[RowAddition]) -> dict[str, int]:
    """Counts the rows up of those runs that are written by their owner; their keys, by run."""
    marked = await db.fetch(
        f"UPDATE graphflow_runs r SET rows = r.rows + w.count, changed = {NOW}"
        " FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS w(id, epoch, first, count)"
        " WHERE r.id = w.id AND r.epoch = w.epoch AND r.rows = w.first RETURNING r.id, r.key",
        [added.ownership.run for added in batch],
        [added.ownership.epoch for added in batch],
        [added.first for added in batch],
        [len(added.rows) for added in batch],
    )
    return {row["id"]: row["key"] for row in marked}


async def add(db: Any, batch: Sequence[RowAddition]) -> list[RowAddition]:
    """Adds rows of several runs; those additions that came from the run's owner."""
    keys = await _counted_up(db, batch)
    taken = [added for added in batch if added.ownership.run in keys]
    large: list[tuple[str, int, bytes]] = []
    for added in taken:
        key = keys[added.ownership.run]
        kept = seal_large(added.ownership.seal, added.large)
        large += [(digest, key, body) for digest, body in kept.items()]
    await _insert_large(db, large)
    # All runs of a store are sealed, or none is.
    if taken and taken[0].ownership.seal is not PLAIN:
        await _insert_sealed(db, taken, keys)
        return taken
    records = [record for added in taken for record in added.records(keys[added.ownership.run])]
    if not records:
        return taken
    # No COPY: the server waits without end for what a process that was frozen still has to send.
    await db.execute(
        "INSERT INTO graphflow_rows (run, number, kind, place, body, checksum) SELECT * FROM"
        " unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[])",
        *zip(*records, strict=True),
    )
    return taken


async def _insert_sealed(db: Any, taken: Sequence[RowAddition], keys: Mapping[str, int]) -> None:
    records: list[tuple[int, int, bytes]] = []
    for added in taken:
        records += added.sealed_records(keys[added.ownership.run])
    if not records:
        return
    await db.execute(
        "INSERT INTO graphflow_rows SELECT run, number, '', '', '', 0, sealed FROM"
        " unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS r(run, number, sealed)",
        *zip(*records, strict=True),
    )


async def _insert_large(db: Any, large: Sequence[tuple[str, int, bytes]]) -> None:
    # In one order, whoever writes: two that wait for each other's values would never end.
    for digest, key, body in sorted(large):
        await db.execute(
            "INSERT INTO graphflow_large VALUES ($1, $2) ON CONFLICT DO NOTHING", digest, body
        )
        await db.execute(
            "INSERT INTO graphflow_used VALUES ($1, $2) ON CONFLICT DO NOTHING", key, digest
        )
