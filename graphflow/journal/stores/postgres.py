"""Runs in PostgreSQL: the store that many machines share.

The tables are those of the SQLite store. The clock is the server's.

Rules:
1. All that waits in one event loop is written in one transaction, as arrays: a round trip and a sync cost milliseconds,
   a row more costs microseconds.
2. A commit whose answer was lost may have happened. The same rows again are told by the number of rows that the run had
   before: if it has them already, under the same epoch, they were written then.
3. The schema has a number. Who finds an older one brings it up to date under an advisory lock, and refuses a newer one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphflow.errors import MissingExtra, StoreError, StoreUnreachable, StoreUnreadable
from graphflow.journal.commit import Commit
from graphflow.journal.store import (
    LEASE_S,
    PAGE,
    Large,
    Ownership,
    RunFilter,
    Stats,
    Store,
    lease_lost,
    refuse_owned,
    without_password,
)
from graphflow.journal.stored import Json, RunHeader, StoredAnswer, StoredRow, check_row
from graphflow.journal.stores.tables import COLUMNS, header_of, header_values, json_text

if TYPE_CHECKING:
    import asyncpg

LOCK = 0x6766_6C77
"""The advisory lock for changes of the schema: "gflw"."""
MAX_CONNECTIONS = 8
"""Connections of one event loop: one writes, the others read."""
FROZEN_MS = 10_000
"""Milliseconds after which the server ends a transaction in which nothing happens: a process that was frozen in the middle of
one must not keep others from its run."""
CONNECT_S = 10.0
"""Seconds within which a server has to let somebody in."""
ANSWER_S = 30.0
"""Seconds within which it has to answer. One that is frozen, or a network that swallows everything, says nothing at all."""
UPKEEP_S = 3600.0
"""The same where it looks through all that there is."""
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
)
"""The schema of version n is what the first n of these make."""
TABLES = (
    "graphflow_runs",
    "graphflow_rows",
    "graphflow_large",
    "graphflow_used",
    "graphflow_answers",
)
NOW = "extract(epoch FROM clock_timestamp())"


@dataclass(slots=True, eq=False)
class _Addition:
    """Rows that wait to be written, and what says when they are."""

    ownership: Ownership
    first: int
    rows: Sequence[StoredRow]
    large: Large
    commit: Commit | None = None

    def records(self, key: int) -> list[tuple[int, int, str, str, str, int]]:
        """The rows as the table has them."""
        return [(key, row.number, row.kind, row.place, row.body, row.checksum) for row in self.rows]

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


class _LoopConnections:
    """What belongs to one event loop: connections, and the rows that wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.pool: asyncpg.Pool[Any] | None = None
        self.opening = asyncio.Lock()
        self.waiting: list[_Addition] = []
        self.writer: asyncio.Task[None] | None = None


class PostgresStore(Store):
    """Keeps runs in a database."""

    def __init__(self, address: str) -> None:
        self._address = address.replace("postgres://", "postgresql://", 1)
        self._sessions: dict[int, _LoopConnections] = {}

    def __repr__(self) -> str:
        return f"<store at {without_password(self._address)}>"

    # -- writing -----------------------------------------------------------------------------------
    async def create(
        self,
        header: RunHeader,
        holder: str,
        lease_s: float = LEASE_S,
        rows: Sequence[StoredRow] = (),
        large: Large | None = None,
    ) -> Ownership:
        values = (*header_values(header), holder, 1, lease_s)
        ownership = Ownership(header.id, 1, 0, lease_s)
        async with self._connection() as db, db.transaction():
            made = await db.fetchval(
                f"INSERT INTO graphflow_runs ({COLUMNS})"
                f" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, {NOW} + $12)"
                " ON CONFLICT (id) DO NOTHING RETURNING key",
                *values,
            )
            if made is not None and rows:
                await _add(db, [_Addition(ownership, 0, rows, large or {})])
        if made is None:
            raise self.exists(header.id)
        ownership.rows = len(rows)
        return ownership

    async def acquire(self, run: str, holder: str, lease_s: float = LEASE_S) -> Ownership:
        async with self._connection() as db:
            acquired = await db.fetchrow(
                f"UPDATE graphflow_runs SET holder = $2, epoch = epoch + 1, until = {NOW} + $3"
                f" WHERE id = $1 AND until <= {NOW} RETURNING epoch, rows",
                run,
                holder,
                lease_s,
            )
            now = await db.fetchval(f"SELECT {NOW}::float8")
        if acquired is not None:
            return Ownership(run, acquired["epoch"], acquired["rows"], lease_s)
        refuse_owned(await self.header(run), now)
        return await self.acquire(run, holder, lease_s)  # its lease has ended in between

    def _append(
        self, ownership: Ownership, first: int, rows: Sequence[StoredRow], large: Large
    ) -> Commit:
        session = self._session()
        commit = Commit()
        session.waiting.append(_Addition(ownership, first, rows, large, commit))
        self._write_soon(session)
        return commit

    async def note(
        self,
        ownership: Ownership,
        status: str,
        metadata: Mapping[str, Json] | None = None,
        about: Mapping[str, Json] | None = None,
    ) -> None:
        noted = None if metadata is None else json_text(metadata)
        known = None if about is None else json_text(about)
        await self._update_owned(
            ownership,
            f"status = $3, metadata = coalesce($4, metadata), about = coalesce($5, about), changed = {NOW}",
            status,
            noted,
            known,
        )

    async def renew(self, ownership: Ownership) -> None:
        await self._update_owned(ownership, f"until = {NOW} + $3", ownership.lease_s)

    async def release(self, ownership: Ownership) -> None:
        async with self._connection() as db:
            await db.execute(
                "UPDATE graphflow_runs SET until = 0 WHERE id = $1 AND epoch = $2",
                ownership.run,
                ownership.epoch,
            )

    async def _put_answer(self, run: str, question: str, value: str, by: str) -> bool:
        async with self._connection() as db:
            # The run's line is held until the answer is there: whoever removes the run would leave it behind.
            put = await db.fetchval(
                'INSERT INTO graphflow_answers (run, question, value, "by", at)'
                f" SELECT key, $2, $3, $4, {NOW} FROM graphflow_runs WHERE id = $1 FOR KEY SHARE"
                " ON CONFLICT DO NOTHING RETURNING run",
                run,
                question,
                value,
                by,
            )
        return put is not None

    async def delete(self, run: str) -> None:
        async with self._connection() as db, db.transaction():
            found = await db.fetchrow(
                f"SELECT key, {COLUMNS}, {NOW}::float8 AS now FROM graphflow_runs WHERE id = $1 FOR UPDATE",
                run,
            )
            if found is not None:
                refuse_owned(header_of(found), found["now"])
                key = found["key"]
                await db.execute("DELETE FROM graphflow_rows WHERE run = $1", key, timeout=UPKEEP_S)
                await db.execute("DELETE FROM graphflow_used WHERE run = $1", key)
                await db.execute("DELETE FROM graphflow_answers WHERE run = $1", key)
                await db.execute("DELETE FROM graphflow_runs WHERE key = $1", key)
                await db.execute(
                    "DELETE FROM graphflow_large l WHERE NOT EXISTS"
                    " (SELECT 1 FROM graphflow_used u WHERE u.digest = l.digest)",
                    timeout=UPKEEP_S,
                )
        if found is None:
            raise await self.unknown(run)

    async def compact(self) -> None:
        async with self._connection() as db:
            await db.execute(f"VACUUM {', '.join(TABLES)}", timeout=UPKEEP_S)

    # -- reading -----------------------------------------------------------------------------------
    async def find(self, run: str) -> RunHeader | None:
        async with self._connection() as db:
            found = await db.fetchrow(f"SELECT {COLUMNS} FROM graphflow_runs WHERE id = $1", run)
        return None if found is None else header_of(found)

    async def rows(self, run: str, first: int = 0) -> AsyncIterator[StoredRow]:
        header = await self.header(run)
        expected = first
        while expected < header.rows:
            page = await self._page(run, expected)
            for row in page:
                check_row(run, row, expected)
                yield row
                expected += 1
            if not page:
                raise self.cut_off(run, expected, header.rows)

    async def large(self, digest: str) -> bytes | None:
        async with self._connection() as db:
            found: bytes | None = await db.fetchval(
                "SELECT body FROM graphflow_large WHERE digest = $1", digest
            )
        return found

    async def answers(self, run: str) -> dict[str, StoredAnswer]:
        async with self._connection() as db:
            found = await db.fetch(
                'SELECT a.question, a.value, a."by", a.at FROM graphflow_runs r'
                " LEFT JOIN graphflow_answers a ON a.run = r.key WHERE r.id = $1 ORDER BY a.at, a.question",
                run,
            )
        if not found:  # a run without answers has one line, with nothing in it
            raise await self.unknown(run)
        answers = [StoredAnswer(run, *row) for row in found if row["question"] is not None]
        return {answer.question: answer for answer in answers}

    async def list_runs(self, wanted: RunFilter) -> list[RunHeader]:
        async with self._connection() as db:
            found = await db.fetch(
                f"SELECT {COLUMNS} FROM graphflow_runs WHERE ($1::text IS NULL OR graph = $1)"
                " AND ($2::text IS NULL OR status = $2) AND changed >= $3 ORDER BY changed DESC",
                wanted.graph,
                wanted.status,
                float(wanted.since or 0),
            )
        headers = [header_of(row) for row in found]
        return [header for header in headers if wanted.takes(header)]

    async def stats(self) -> Stats:
        async with self._connection() as db:
            runs, rows = await db.fetchrow(
                "SELECT count(*), coalesce(sum(rows), 0)::bigint FROM graphflow_runs"
            )
            large = await db.fetchval("SELECT count(*) FROM graphflow_large")
            size = await db.fetchval(
                "SELECT sum(pg_total_relation_size(t::regclass))::bigint FROM unnest($1::text[]) t",
                list(TABLES),
            )
        return Stats(runs, rows, large, size)

    async def now(self) -> float:
        async with self._connection() as db:
            now: float = await db.fetchval(f"SELECT {NOW}::float8")
        return now

    async def aclose(self) -> None:
        session = self._sessions.pop(id(asyncio.get_running_loop()), None)
        if session is None:
            return
        while session.writer is not None:
            await asyncio.wait([session.writer])
        if session.pool is None:
            return
        try:
            async with asyncio.timeout(CONNECT_S):
                await session.pool.close()
        except TimeoutError:  # it closes what is left at once
            session.pool.terminate()

    # -- connections -------------------------------------------------------------------------------
    def _session(self) -> _LoopConnections:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(id(loop))
        if session is None or session.loop is not loop:
            session = self._sessions[id(loop)] = _LoopConnections(loop)
        return session

    async def _pool(self) -> asyncpg.Pool[Any]:
        session = self._session()
        async with session.opening:
            if session.pool is None:
                session.pool = await self._opened()
        return session.pool

    async def _opened(self) -> asyncpg.Pool[Any]:
        try:
            import asyncpg
        except ImportError:
            raise MissingExtra("a store in PostgreSQL", "postgres") from None
        settings = {"idle_in_transaction_session_timeout": str(FROZEN_MS)}
        pool = await asyncpg.create_pool(
            self._address,
            min_size=0,
            max_size=MAX_CONNECTIONS,
            timeout=CONNECT_S,
            command_timeout=ANSWER_S,
            server_settings=settings,
        )
        try:
            async with pool.acquire() as db:
                await self._prepare(db)
        except BaseException:
            pool.terminate()
            raise
        return pool

    async def _prepare(self, db: Any) -> None:
        """Brings the schema up to date.

        Raises:
            StoreUnreadable: it is a newer version's.
        """
        async with db.transaction():
            await db.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            await db.execute(
                "CREATE TABLE IF NOT EXISTS graphflow_schema (version INTEGER NOT NULL)"
            )
            version = await db.fetchval("SELECT max(version) FROM graphflow_schema") or 0
            if version > len(MIGRATIONS):
                raise self.too_new(version, len(MIGRATIONS))
            for script in MIGRATIONS[version:]:
                await db.execute(script)
            if version < len(MIGRATIONS):
                await db.execute("INSERT INTO graphflow_schema VALUES ($1)", len(MIGRATIONS))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """A connection; what goes wrong with it is told as an error of the store."""
        try:
            pool = await self._pool()
            async with pool.acquire(timeout=ANSWER_S) as db:
                yield db
        except (StoreError, MissingExtra):
            raise
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> StoreError:
        import asyncpg

        if isinstance(error, asyncpg.DiskFullError):
            return self.no_room()
        if isinstance(error, (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidPasswordError)):
            return StoreUnreadable(f"{self!r} cannot be used: {type(error).__name__}")
        if isinstance(
            error,
            (
                OSError,
                asyncpg.PostgresConnectionError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,  # the driver, while its connection breaks off
                asyncpg.OperatorInterventionError,
                asyncpg.TooManyConnectionsError,
                asyncpg.TransactionRollbackError,
            ),
        ):
            return StoreUnreachable(
                f"{self!r} cannot be reached, or was lost ({type(error).__name__})"
            )
        return StoreUnreadable(f"{self!r} cannot be used: {type(error).__name__}: {error}")

    async def _update_owned(self, ownership: Ownership, change: str, *values: object) -> None:
        async with self._connection() as db:
            done = await db.fetchval(
                f"UPDATE graphflow_runs SET {change} WHERE id = $1 AND epoch = $2 RETURNING key",
                ownership.run,
                ownership.epoch,
                *values,
            )
        if done is None:
            raise lease_lost(ownership)

    async def _page(self, run: str, first: int) -> list[StoredRow]:
        async with self._connection() as db:
            found = await db.fetch(
                "SELECT number, kind, place, body, checksum FROM graphflow_rows"
                " WHERE run = (SELECT key FROM graphflow_runs WHERE id = $1) AND number >= $2 ORDER BY number LIMIT $3",
                run,
                first,
                PAGE,
            )
        return [StoredRow(*row) for row in found]

    # -- the writer --------------------------------------------------------------------------------
    def _write_soon(self, session: _LoopConnections) -> None:
        if session.writer is None and session.waiting:
            session.writer = session.loop.create_task(self._writing(session))
            session.writer.add_done_callback(lambda _: self._go_on(session))

    def _go_on(self, session: _LoopConnections) -> None:
        """A writer has ended, perhaps before its first turn: with its loop all tasks are cancelled."""
        session.writer = None
        self._write_soon(session)

    async def _writing(self, session: _LoopConnections) -> None:
        """Writes what waits until nothing does."""
        while session.waiting:
            batch = _first_of_each_run(session.waiting)
            session.waiting = [added for added in session.waiting if added not in batch]
            try:
                await self._write(batch)
            except Exception as error:  # nobody may wait for ever, whatever it was
                for added in batch:
                    added.end(error)
            except asyncio.CancelledError:
                for added in batch:
                    added.end(StoreUnreachable(f"{self!r} was left while it was written to"))
                raise

    async def _write(self, batch: Sequence[_Addition]) -> None:
        """Writes rows of many runs in one transaction. Those of a former owner are left out, and it is told so."""
        async with self._connection() as db, db.transaction():
            taken = await _add(db, batch)
        for added in batch:
            if added in taken:
                added.end()
            else:
                await self._settle(added)

    async def _settle(self, added: _Addition) -> None:
        """Ends the waiting for rows that were not taken: they are there already, or the run is somebody else's."""
        header = await self.find(added.ownership.run)
        epoch = None if header is None or header.lease is None else header.lease.epoch
        is_there = header is not None and header.rows == added.first + len(added.rows)
        if epoch == added.ownership.epoch and is_there:
            added.end()
        else:
            added.end(lease_lost(added.ownership))


def _first_of_each_run(waiting: Sequence[_Addition]) -> list[_Addition]:
    """What can go into one statement, which counts the rows of a run up once."""
    first: dict[str, _Addition] = {}
    for added in waiting:
        first.setdefault(added.ownership.run, added)
    return list(first.values())


async def _counted_up(db: Any, batch: Sequence[_Addition]) -> dict[str, int]:
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


async def _add(db: Any, batch: Sequence[_Addition]) -> list[_Addition]:
    """Adds rows of several runs; those additions that came from the run's owner."""
    keys = await _counted_up(db, batch)
    taken = [added for added in batch if added.ownership.run in keys]
    large: list[tuple[str, int, bytes]] = []
    for added in taken:
        key = keys[added.ownership.run]
        large += [(digest, key, body) for digest, body in added.large.items()]
    await _insert_large(db, large)
    records = [record for added in taken for record in added.records(keys[added.ownership.run])]
    if not records:
        return taken
    # No COPY: the server waits without end for what a process that was frozen still has to send.
    await db.execute(
        "INSERT INTO graphflow_rows SELECT * FROM"
        " unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[])",
        *zip(*records, strict=True),
    )
    return taken


async def _insert_large(db: Any, large: Sequence[tuple[str, int, bytes]]) -> None:
    # In one order, whoever writes: two that wait for each other's values would never end.
    for digest, key, body in sorted(large):
        await db.execute(
            "INSERT INTO graphflow_large VALUES ($1, $2) ON CONFLICT DO NOTHING", digest, body
        )
        await db.execute(
            "INSERT INTO graphflow_used VALUES ($1, $2) ON CONFLICT DO NOTHING", key, digest
        )
