"""Runs in PostgreSQL: the store that many machines share.

The tables are those of the SQLite store. The clock is the server's.

Rules:
1. All that waits in one event loop is written in one transaction, as arrays: a round trip and a sync cost milliseconds,
   a row more costs microseconds.
2. A commit whose answer was lost may have happened. The same rows again are told by the number of rows that the run had
   before: if it has them already, under the same epoch, they were written then.
3. The schema has a number. Who finds an older one brings it up to date under an advisory lock, and refuses a newer one.
4. Whether the content is encrypted is decided when the tables are made: then a data key of the store itself is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from graphflow.errors import MissingExtra, StoreError, StoreUnreachable, StoreUnreadable
from graphflow.journal.accounts import AccountBalance, AccountCharge, ChargeOutcome
from graphflow.journal.addresses import without_password
from graphflow.journal.commit import Commit
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
    moved,
)
from graphflow.journal.key_ring import StoreKey, WrappedKey
from graphflow.journal.seal import PLAIN, STORE, Seal, run_owner
from graphflow.journal.sealed import (
    open_answer,
    open_large,
    open_rows,
    seal_answer,
    seal_data,
)
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
)
from graphflow.journal.stored import Json, RunHeader, StoredAnswer, StoredRow, check_row
from graphflow.journal.stores.postgres_accounts import accounts_in, charge_in, drop_accounts_in
from graphflow.journal.stores.postgres_conversations import (
    change_in,
    conversation_in,
    conversations_in,
    exchanges_in,
)
from graphflow.journal.stores.postgres_rows import RowAddition, add, next_batch
from graphflow.journal.stores.postgres_schema import MIGRATIONS, NOW, TABLES, keep_key
from graphflow.journal.stores.tables import COLUMNS, header_and_seal, header_of, header_values
from graphflow.journal.vault import Vault, key_gone

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
HEADERS = f"SELECT {COLUMNS} FROM graphflow_runs"
SEALED_HEADERS = (
    f"SELECT key, {COLUMNS}, wrapped_by, wrapped"
    " FROM graphflow_runs LEFT JOIN graphflow_keys ON owner = 'run ' || id"
)


class _LoopConnections:
    """What belongs to one event loop: connections, and the rows that wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.pool: asyncpg.Pool[Any] | None = None
        self.opening = asyncio.Lock()
        self.waiting: list[RowAddition] = []
        self.writer: asyncio.Task[None] | None = None


class PostgresStore(Store):
    """Keeps runs in a database."""

    def __init__(self, address: str, *, key: StoreKey | None = None) -> None:
        self._address = address.replace("postgres://", "postgresql://", 1)
        self._vault = Vault(repr(self), key)
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
        owner = run_owner(header.graph, header.id)
        seal, wrapped = self._vault.new(owner)
        values = (*header_values(header, seal), holder, 1, lease_s)
        ownership = Ownership(header.id, 1, 0, lease_s, seal=seal)
        async with self._connection() as db, db.transaction():
            made = await db.fetchval(
                f"INSERT INTO graphflow_runs ({COLUMNS})"
                f" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, {NOW} + $12)"
                " ON CONFLICT (id) DO NOTHING RETURNING key",
                *values,
            )
            if made is not None and wrapped is not None:
                await keep_key(db, owner, wrapped)
            if made is not None and rows:
                await add(db, [RowAddition(ownership, 0, rows, large or {})])
        if made is None:
            raise self.exists(header.id)
        ownership.rows = len(rows)
        return ownership

    async def acquire(
        self, run: str, holder: str, lease_s: float = LEASE_S, *, by_force: bool = False
    ) -> Ownership:
        async with self._connection() as db:
            acquired = await db.fetchrow(
                f"UPDATE graphflow_runs SET holder = $2, epoch = epoch + 1, until = {NOW} + $3"
                f" WHERE id = $1 AND ($4 OR until <= {NOW}) RETURNING epoch, rows",
                run,
                holder,
                lease_s,
                by_force,
            )
            now = await db.fetchval(f"SELECT {NOW}::float8")
        if acquired is not None:
            return await self._owned(run, acquired["epoch"], acquired["rows"], lease_s)
        refuse_owned(await self.header(run), now)
        return await self.acquire(
            run, holder, lease_s, by_force=by_force
        )  # its lease has ended in between

    async def _owned(self, run: str, epoch: int, rows: int, lease_s: float) -> Ownership:
        """The right to a run that was acquired. Nobody can remove it now, so its key is the one that belongs to its rows.

        Raises:
            RunDamaged: its key is gone.
        """
        ownership = Ownership(run, epoch, rows, lease_s)
        try:
            _, ownership.seal = await self._run_seal(run)
        except StoreError:
            await self.release(ownership)
            raise
        return ownership

    def _append(
        self,
        ownership: Ownership,
        first: int,
        rows: Sequence[StoredRow],
        large: Large,
        change: ConversationChange | None = None,
    ) -> Commit:
        session = self._session()
        commit = Commit()
        session.waiting.append(RowAddition(ownership, first, rows, large, commit, change))
        self._write_soon(session)
        return commit

    async def note(
        self,
        ownership: Ownership,
        status: str,
        metadata: Mapping[str, Json] | None = None,
        about: Mapping[str, Json] | None = None,
    ) -> None:
        seal = ownership.seal
        noted = None if metadata is None else seal_data(seal, metadata, "metadata")
        known = None if about is None else seal_data(seal, about, "about")
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
        number, seal = await self._run_seal(run)
        name, text, giver = seal_answer(seal, question, value, by)
        async with self._connection() as db:
            # The run's line is held until the answer is there: whoever removes the run would leave it behind.
            put = await db.fetchval(
                'INSERT INTO graphflow_answers (run, question, value, "by", at)'
                f" SELECT key, $2, $3, $4, {NOW} FROM graphflow_runs"
                " WHERE id = $1 AND ($5::bigint IS NULL OR key = $5) FOR KEY SHARE"
                " ON CONFLICT DO NOTHING RETURNING run",
                run,
                name,
                text,
                giver,
                number,
            )
        return put is not None

    async def _delete(self, run: str) -> None:
        async with self._connection() as db, db.transaction():
            found = await db.fetchrow(
                f"SELECT key, {COLUMNS}, {NOW}::float8 AS now FROM graphflow_runs WHERE id = $1 FOR UPDATE",
                run,
            )
            if found is not None:
                refuse_owned(header_of(found, None), found["now"])
                key = found["key"]
                await db.execute("DELETE FROM graphflow_rows WHERE run = $1", key, timeout=UPKEEP_S)
                await db.execute("DELETE FROM graphflow_used WHERE run = $1", key)
                await db.execute("DELETE FROM graphflow_answers WHERE run = $1", key)
                await db.execute("DELETE FROM graphflow_runs WHERE key = $1", key)
                owner = run_owner(found["graph"], run)
                await db.execute("DELETE FROM graphflow_keys WHERE owner = $1", owner.label)
                await db.execute(
                    "DELETE FROM graphflow_large l WHERE NOT EXISTS"
                    " (SELECT 1 FROM graphflow_used u WHERE u.digest = l.digest)",
                    timeout=UPKEEP_S,
                )
        if found is None:
            raise await self.unknown(run)

    async def _erase(self) -> None:
        if self._vault.is_clear:
            return  # autovacuum does it, or `compact`
        # A row that was removed lies in its page until something else needs the room. So the small table of keys is written
        # anew, which leaves what they have sealed closed, wherever it lies.
        async with self._connection() as db:
            await db.execute("VACUUM FULL graphflow_keys", timeout=UPKEEP_S)

    async def rotate(self, key: StoreKey | None = None) -> int:
        ring = self._vault.ring_with(key)
        async with self._connection() as db, db.transaction():
            await db.execute("LOCK TABLE graphflow_keys IN SHARE ROW EXCLUSIVE MODE")
            kept = await db.fetch("SELECT owner, wrapped_by, wrapped FROM graphflow_keys")
            renewed = [
                (row["owner"], *ring.rewrapped(WrappedKey(row["wrapped_by"], row["wrapped"])))
                for row in kept
            ]
            await db.execute(
                "UPDATE graphflow_keys k SET wrapped_by = r.by, wrapped = r.content"
                " FROM unnest($1::text[], $2::text[], $3::bytea[]) AS r(owner, by, content)"
                " WHERE k.owner = r.owner",
                *zip(*renewed, strict=True),
                timeout=UPKEEP_S,
            )
            self._vault.ring = ring
        await self._erase()
        return len(kept)

    async def compact(self) -> None:
        async with self._connection() as db:
            await db.execute(f"VACUUM {', '.join(TABLES)}", timeout=UPKEEP_S)

    # -- conversations -----------------------------------------------------------------------------
    async def find_conversation(self, name: ConversationName) -> ConversationHeader | None:
        async with self._connection() as db:
            return await conversation_in(db, self._vault, name)

    async def conversations(self, graph: str | None = None) -> list[ConversationHeader]:
        async with self._connection() as db:
            return await conversations_in(db, self._vault, graph)

    async def exchanges(
        self, name: ConversationName, first: int = 1, run: str | None = None
    ) -> list[StoredExchange]:
        async with self._connection() as db:
            return await exchanges_in(db, self._vault, name, first, run)

    async def change(self, change: ConversationChange) -> bool:
        async with self._connection() as db, db.transaction():
            return await change_in(db, self._vault, change)

    # -- accounts ----------------------------------------------------------------------------------
    async def charge(self, charges: Sequence[AccountCharge]) -> ChargeOutcome:
        async with self._connection() as db, db.transaction():
            return await charge_in(db, charges)

    async def accounts(self) -> list[AccountBalance]:
        async with self._connection() as db:
            return await accounts_in(db)

    async def drop_accounts(self, over_since: float) -> int:
        async with self._connection() as db:
            return await drop_accounts_in(db, over_since)

    # -- reading -----------------------------------------------------------------------------------
    async def find(self, run: str) -> RunHeader | None:
        async with self._connection() as db:
            found = await db.fetchrow(f"{self._headers} WHERE id = $1", run)
        return None if found is None else header_and_seal(found, self._vault)[0]

    async def rows(self, run: str, first: int = 0) -> AsyncIterator[StoredRow]:
        header = await self.header(run)
        _, seal = await self._run_seal(run)
        expected = first
        while expected < header.rows:
            page = await self._page(run, expected, seal)
            for row in page:
                check_row(run, row, expected)
                yield row
                expected += 1
            if not page:
                raise self.cut_off(run, expected, header.rows)

    async def large(self, run: str, digest: str) -> bytes | None:
        _, seal = await self._run_seal(run)
        async with self._connection() as db:
            found: bytes | None = await db.fetchval(
                "SELECT body FROM graphflow_large WHERE digest = $1", seal.name(digest)
            )
        return open_large(seal, digest, found)

    async def answers(self, run: str) -> dict[str, StoredAnswer]:
        async with self._connection() as db:
            found = await db.fetch(
                'SELECT a.question, a.value, a."by", a.at FROM graphflow_runs r'
                " LEFT JOIN graphflow_answers a ON a.run = r.key WHERE r.id = $1 ORDER BY a.at, a.question",
                run,
            )
        if not found:  # a run without answers has one line, with nothing in it
            raise await self.unknown(run)
        _, seal = await self._run_seal(run)
        kept = [StoredAnswer(run, *row) for row in found if row["question"] is not None]
        answers = [open_answer(seal, answer) for answer in kept]
        return {answer.question: answer for answer in answers}

    async def list_runs(self, wanted: RunFilter) -> list[RunHeader]:
        async with self._connection() as db:
            found = await db.fetch(
                f"{self._headers} WHERE ($1::text IS NULL OR graph = $1)"
                " AND ($2::text IS NULL OR status = $2) AND changed >= $3 ORDER BY changed DESC",
                wanted.graph,
                wanted.status,
                float(wanted.since or 0),
            )
        headers = [header_and_seal(row, self._vault)[0] for row in found]
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

    # -- seals -------------------------------------------------------------------------------------
    @property
    def _headers(self) -> str:
        """What reads headers; those of sealed runs with their keys."""
        return HEADERS if self._vault.is_clear else SEALED_HEADERS

    async def _run_seal(self, run: str) -> tuple[int | None, Seal]:
        """The seal of a run, and the number of the run that it belongs to; of no run it is one that finds nothing.

        Raises:
            RunDamaged: its key is gone.
        """
        if self._vault.is_clear:
            return None, PLAIN
        async with self._connection() as db:
            found = await db.fetchrow(f"{self._headers} WHERE id = $1", run)
        if found is None:
            return None, PLAIN
        _, seal = header_and_seal(found, self._vault)
        if seal is None:
            raise key_gone(run)
        return found["key"], seal

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
            if version:
                await self._check_key(db)
            for script in MIGRATIONS[version:]:
                await db.execute(script)
            if version < len(MIGRATIONS):
                await db.execute("INSERT INTO graphflow_schema VALUES ($1)", len(MIGRATIONS))
            if not version:
                _, wrapped = self._vault.new(STORE)
                if wrapped is not None:
                    await keep_key(db, STORE, wrapped)

    async def _check_key(self, db: Any) -> None:
        """Refuses tables that do not fit the keys, before anything is done to them.

        Raises:
            StoreLocked, StoreUnencrypted: they do not.
        """
        found = None
        if await db.fetchval("SELECT to_regclass('graphflow_keys')") is not None:
            found = await db.fetchrow(
                "SELECT wrapped_by, wrapped FROM graphflow_keys WHERE owner = $1", STORE.label
            )
        self._vault.check(None if found is None else WrappedKey(*found))

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

    async def _page(self, run: str, first: int, seal: Seal) -> list[StoredRow]:
        columns = "number, kind, place, body, checksum" if seal is PLAIN else "number, sealed"
        async with self._connection() as db:
            found = await db.fetch(
                f"SELECT {columns} FROM graphflow_rows"
                " WHERE run = (SELECT key FROM graphflow_runs WHERE id = $1) AND number >= $2 ORDER BY number LIMIT $3",
                run,
                first,
                PAGE,
            )
        if seal is PLAIN:
            return [StoredRow(*row) for row in found]
        return open_rows(seal, run, found)

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
            batch = next_batch(session.waiting)
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

    async def _write(self, batch: Sequence[RowAddition]) -> None:
        """Writes rows of many runs in one transaction. Those of a former owner are left out, and it is told so."""
        change = batch[0].change
        async with self._connection() as db, db.transaction():
            taken = await add(db, batch)
            if taken and change is not None and not await change_in(db, self._vault, change):
                raise moved(change.name)
        for added in batch:
            if added in taken:
                added.end()
            else:
                await self._settle(added)

    async def _settle(self, added: RowAddition) -> None:
        """Ends the waiting for rows that were not taken: they are there already, or the run is somebody else's."""
        header = await self.find(added.ownership.run)
        epoch = None if header is None or header.lease is None else header.lease.epoch
        is_there = header is not None and header.rows == added.first + len(added.rows)
        if epoch == added.ownership.epoch and is_there:
            added.end()
        else:
            added.end(lease_lost(added.ownership))
