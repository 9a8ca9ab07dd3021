"""Runs in a SQLite file: the store for one machine.

    runs    a line a run            rows    (run, number), kind, place, body, checksum; sealed, if there is a key
    large   by digest               used    which run names which large value
    keys    wrapped data keys, by their owners; that of the store itself says whether a key is the right one

Rules:
1. All writing is done by one thread (`writer`).
2. Several processes may use one file. Each commits under the write lock of SQLite, and each row under the epoch of its
   owner, so it does not matter which process it comes from.
3. The schema has a number (`PRAGMA user_version`). Older ones are brought up to date under the write lock, newer ones are
   refused.

WAL and `synchronous=FULL`: what is committed is on the disk (sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from graphflow.errors import RunDamaged, StoreError, StoreUnreachable, StoreUnreadable
from graphflow.journal.accounts import AccountBalance, AccountCharge, ChargeOutcome
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
    seal_large,
    seal_row,
)
from graphflow.journal.store import (
    LEASE_S,
    PAGE,
    PAGE_BYTES,
    Large,
    Ownership,
    RunFilter,
    Stats,
    Store,
    lease_lost,
    next_lease,
    refuse_owned,
)
from graphflow.journal.stored import Json, RunHeader, StoredAnswer, StoredRow, check_row
from graphflow.journal.stores.sqlite_accounts import accounts_in, charge_in, drop_accounts_in
from graphflow.journal.stores.sqlite_conversations import (
    change_in,
    conversation_in,
    conversations_in,
    exchanges_in,
)
from graphflow.journal.stores.sqlite_schema import (
    APPLICATION,
    ENCRYPTED,
    MIGRATIONS,
    drop_key,
    has_tables,
    keep_key,
    key_in,
    migrate,
)
from graphflow.journal.stores.tables import COLUMNS, header_and_seal, header_values
from graphflow.journal.stores.writer import SqliteWriter, TransactionWork, WriteRequest
from graphflow.journal.vault import Vault, key_gone

T = TypeVar("T")

BUSY_S = 30.0
"""Seconds to wait for another process's transaction."""
EMPTY_S = 5.0
"""Seconds to wait for readers before the log is emptied: as long others cannot write either."""
LOG_PAGES = 256
"""Pages of the log before it is merged and begun anew, 1 MB: to write over blocks costs a sync a third less than new ones."""
HEADERS = f"SELECT {COLUMNS} FROM runs"
SEALED_HEADERS = (
    f"SELECT {COLUMNS}, wrapped_by, wrapped FROM runs LEFT JOIN keys ON owner = 'run ' || id"
)


class _SqliteAddition(WriteRequest):
    """Rows that are to be added. A function for each would be seven objects for the garbage collector."""

    __slots__ = ("_first", "_large", "_ownership", "_rows")

    def __init__(
        self,
        commit: Commit,
        ownership: Ownership,
        first: int,
        rows: Sequence[StoredRow],
        large: Large,
    ) -> None:
        super().__init__(commit)
        self._ownership = ownership
        self._first = first
        self._rows = rows
        self._large = large

    def carry_out(self, db: sqlite3.Connection) -> None:
        _add(db, self._ownership, self._first, self._rows, self._large)


class _SqliteExchange(_SqliteAddition):
    """The last rows of a run, and the exchange that comes of it."""

    __slots__ = ("change", "vault")

    change: ConversationChange
    vault: Vault

    def carry_out(self, db: sqlite3.Connection) -> None:
        super().carry_out(db)
        if not change_in(db, self.vault, self.change):
            raise moved(self.change.name)


class SqliteStore(Store):
    """Keeps runs in one file."""

    def __init__(self, path: str, *, key: StoreKey | None = None) -> None:
        self._path = path
        self._vault = Vault(repr(self), key)
        self._fits = False
        """Whether the keys were seen to be the right ones."""
        self._writer = SqliteWriter(self._connected_to_write, self._failure)

    def __repr__(self) -> str:
        return f"<store in {self._path}>"

    # -- writing -----------------------------------------------------------------------------------
    async def create(
        self,
        header: RunHeader,
        holder: str,
        lease_s: float = LEASE_S,
        rows: Sequence[StoredRow] = (),
        large: Large | None = None,
    ) -> Ownership:
        def work(db: sqlite3.Connection) -> Ownership:
            lease = next_lease(None, holder, time.time() + lease_s)
            owner = run_owner(header.graph, header.id)
            seal, wrapped = self._vault.new(owner)
            values = (*header_values(header, seal), lease.holder, lease.epoch, lease.until)
            marks = ", ".join("?" * len(values))
            try:
                added = db.execute(f"INSERT INTO runs ({COLUMNS}) VALUES ({marks})", values)
            except sqlite3.IntegrityError:
                raise self.exists(header.id) from None
            if wrapped is not None:
                keep_key(db, owner, wrapped)
            assert added.lastrowid is not None  # `key` is the row's own number
            ownership = Ownership(header.id, lease.epoch, 0, lease_s, added.lastrowid, seal)
            if rows:
                _add(db, ownership, 0, rows, large or {})
                ownership.rows = len(rows)
            return ownership

        return await self._write(work)

    async def acquire(
        self, run: str, holder: str, lease_s: float = LEASE_S, *, by_force: bool = False
    ) -> Ownership:
        def work(db: sqlite3.Connection) -> Ownership | None:
            header, seal = self._find(db, run)
            if header is None:
                return None
            if seal is None:
                raise key_gone(run)
            now = time.time()
            if not by_force:
                refuse_owned(header, now)
            lease = next_lease(header.lease, holder, now + lease_s)
            values = (lease.holder, lease.epoch, lease.until, run)
            (key,) = db.execute(
                "UPDATE runs SET holder = ?, epoch = ?, until = ? WHERE id = ? RETURNING key",
                values,
            ).fetchone()
            return Ownership(run, lease.epoch, header.rows, lease_s, key, seal)

        ownership = await self._write(work)
        if ownership is None:
            raise await self.unknown(run)
        return ownership

    def _append(
        self,
        ownership: Ownership,
        first: int,
        rows: Sequence[StoredRow],
        large: Large,
        change: ConversationChange | None = None,
    ) -> Commit:
        commit = Commit()
        if change is None:
            self._writer.submit(_SqliteAddition(commit, ownership, first, rows, large))
            return commit
        request = _SqliteExchange(commit, ownership, first, rows, large)
        request.change, request.vault = change, self._vault
        self._writer.submit(request)
        return commit

    async def note(
        self,
        ownership: Ownership,
        status: str,
        metadata: Mapping[str, Json] | None = None,
        about: Mapping[str, Json] | None = None,
    ) -> None:
        def work(db: sqlite3.Connection) -> None:
            values: dict[str, str | float] = {"status": status, "changed": time.time()}
            if metadata is not None:
                values["metadata"] = seal_data(ownership.seal, metadata, "metadata")
            if about is not None:
                values["about"] = seal_data(ownership.seal, about, "about")
            _update_owned(db, ownership, values)

        await self._write(work)

    async def renew(self, ownership: Ownership) -> None:
        await self._write(
            lambda db: _update_owned(db, ownership, {"until": time.time() + ownership.lease_s})
        )

    async def release(self, ownership: Ownership) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE runs SET until = 0 WHERE id = ? AND epoch = ?",
                (ownership.run, ownership.epoch),
            )

        await self._write(work)

    async def _put_answer(self, run: str, question: str, value: str, by: str) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            answer = seal_answer(self._run_seal(db, run), question, value, by)
            put = db.execute(
                "INSERT OR IGNORE INTO answers SELECT key, ?, ?, ?, ? FROM runs WHERE id = ?",
                (*answer, time.time(), run),
            )
            return put.rowcount == 1

        return await self._write(work)

    async def _delete(self, run: str) -> None:
        def work(db: sqlite3.Connection) -> bool:
            header, _ = self._find(db, run)
            if header is None:
                return False
            refuse_owned(header, time.time())
            (number,) = db.execute("SELECT key FROM runs WHERE id = ?", (run,)).fetchone()
            db.execute("DELETE FROM rows WHERE run = ?", (number,))
            db.execute("DELETE FROM used WHERE run = ?", (number,))
            db.execute("DELETE FROM answers WHERE run = ?", (number,))
            db.execute("DELETE FROM runs WHERE key = ?", (number,))
            drop_key(db, run_owner(header.graph, run))
            db.execute("DELETE FROM large WHERE digest NOT IN (SELECT digest FROM used)")
            return True

        if not await self._write(work):
            raise await self.unknown(run)

    async def _erase(self) -> None:
        await self._read(self._empty_log)

    async def rotate(self, key: StoreKey | None = None) -> int:
        ring = self._vault.ring_with(key)

        def work(db: sqlite3.Connection) -> int:
            kept = db.execute("SELECT wrapped, wrapped_by, owner FROM keys").fetchall()
            renewed = []
            for content, by, owner in kept:
                wrapped = ring.rewrapped(WrappedKey(by, content))
                renewed.append((wrapped.content, wrapped.by, owner))
            db.executemany("UPDATE keys SET wrapped = ?, wrapped_by = ? WHERE owner = ?", renewed)
            self._vault.ring = ring  # before the next run begins
            return len(renewed)

        count = await self._write(work)
        await self._erase()  # what the former key opens is not to lie about
        return count

    async def compact(self) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("VACUUM")
            self._empty_log(db)

        await self._read(work)

    # -- conversations -----------------------------------------------------------------------------
    async def find_conversation(self, name: ConversationName) -> ConversationHeader | None:
        return await self._read(lambda db: conversation_in(db, self._vault, name))

    async def conversations(self, graph: str | None = None) -> list[ConversationHeader]:
        return await self._read(lambda db: conversations_in(db, self._vault, graph))

    async def exchanges(
        self, name: ConversationName, first: int = 1, run: str | None = None
    ) -> list[StoredExchange]:
        return await self._read(lambda db: exchanges_in(db, self._vault, name, first, run))

    async def change(self, change: ConversationChange) -> bool:
        return await self._write(lambda db: change_in(db, self._vault, change))

    # -- accounts ----------------------------------------------------------------------------------
    async def charge(self, charges: Sequence[AccountCharge]) -> ChargeOutcome:
        return await self._write(lambda db: charge_in(db, charges))

    async def accounts(self) -> list[AccountBalance]:
        return await self._read(accounts_in)

    async def drop_accounts(self, over_since: float) -> int:
        return await self._write(lambda db: drop_accounts_in(db, over_since))

    # -- reading -----------------------------------------------------------------------------------
    async def find(self, run: str) -> RunHeader | None:
        header, _ = await self._read(lambda db: self._find(db, run))
        return header

    async def rows(self, run: str, first: int = 0) -> AsyncIterator[StoredRow]:
        header, seal = await self._read(lambda db: self._find(db, run))
        if header is None:
            raise await self.unknown(run)
        if seal is None:
            raise key_gone(run)
        expected = first
        while expected < header.rows:
            page = await self._read(lambda db, at=expected: _page(db, run, at, seal))  # type: ignore[misc]
            for row in page:
                check_row(run, row, expected)
                yield row
                expected += 1
            if not page:
                raise self.cut_off(run, expected, header.rows)

    async def large(self, run: str, digest: str) -> bytes | None:
        def work(db: sqlite3.Connection) -> bytes | None:
            seal = self._run_seal(db, run)
            name = seal.name(digest)
            found = db.execute("SELECT body FROM large WHERE digest = ?", (name,)).fetchone()
            return open_large(seal, digest, None if found is None else bytes(found[0]))

        return await self._read(work)

    async def answers(self, run: str) -> dict[str, StoredAnswer]:
        def work(db: sqlite3.Connection) -> dict[str, StoredAnswer] | None:
            return _answers(db, run, self._run_seal(db, run))

        answers = await self._read(work)
        if answers is None:
            raise await self.unknown(run)
        return answers

    async def list_runs(self, wanted: RunFilter) -> list[RunHeader]:
        def work(db: sqlite3.Connection) -> list[RunHeader]:
            found = db.execute(
                f"{self._headers} WHERE (? IS NULL OR graph = ?) AND (? IS NULL OR status = ?)"
                " AND changed >= ? ORDER BY changed DESC",
                (wanted.graph, wanted.graph, wanted.status, wanted.status, wanted.since or 0),
            )
            headers = [header_and_seal(row, self._vault)[0] for row in found]
            return [header for header in headers if wanted.takes(header)]

        return await self._read(work)

    async def stats(self) -> Stats:
        def work(db: sqlite3.Connection) -> Stats:
            (runs, rows) = db.execute(
                "SELECT count(*), coalesce(sum(rows), 0) FROM runs"
            ).fetchone()
            (large,) = db.execute("SELECT count(*) FROM large").fetchone()
            size = 0
            # What was written last stands in a log of its own until it is merged.
            for ending in ("", "-wal"):
                file = Path(self._path + ending)
                if file.exists():
                    size += file.stat().st_size
            return Stats(runs, rows, large, size)

        return await self._read(work)

    async def now(self) -> float:
        return time.time()

    async def aclose(self) -> None:
        await self._writer.aclose()

    # -- seals -------------------------------------------------------------------------------------
    @property
    def _headers(self) -> str:
        """What reads headers; those of sealed runs with their keys."""
        return HEADERS if self._vault.is_clear else SEALED_HEADERS

    def _find(self, db: sqlite3.Connection, run: str) -> tuple[RunHeader | None, Seal | None]:
        """The header of a run if there is such a run, and its seal if its key is there."""
        found = db.execute(f"{self._headers} WHERE id = ?", (run,)).fetchone()
        return (None, None) if found is None else header_and_seal(found, self._vault)

    def _run_seal(self, db: sqlite3.Connection, run: str) -> Seal:
        """The seal of a run. Where there is no such run, nothing is found whatever is looked for.

        Raises:
            RunDamaged: its key is gone.
        """
        if self._vault.is_clear:
            return PLAIN
        header, seal = self._find(db, run)
        if header is None:
            return PLAIN
        if seal is None:
            raise key_gone(run)
        return seal

    # -- connections -------------------------------------------------------------------------------
    async def _write(self, work: TransactionWork[T]) -> T:
        """Does something in a transaction of the writer's; when this returns, it is on the disk."""
        return await self._writer.write(work)

    async def _read(self, work: TransactionWork[T]) -> T:
        """Does something with a connection of its own, in a thread: a reader never waits for the writer in WAL."""

        def reading() -> T:
            db = self._connected_to_read()
            try:
                return work(db)
            except sqlite3.Error as error:
                raise self._failure(error) from error
            finally:
                db.close()

        return await asyncio.to_thread(reading)

    def _connected_to_write(self) -> sqlite3.Connection:
        db = self._connected()
        # What is removed is overwritten, and does not lie in the file until something else needs the room.
        db.execute("PRAGMA secure_delete=ON")
        return db

    def _connected_to_read(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except StoreUnreadable:
            if not self._is_fixed():
                raise
        # To read a log, SQLite writes beside the file. Here nobody can, and there is no log to read.
        return self._connected(f"{Path(self._path).absolute().as_uri()}?immutable=1")

    def _is_fixed(self) -> bool:
        """Whether the file is on a disk that is mounted read-only, and has no log."""
        try:
            is_read_only = bool(os.statvfs(self._path).f_flag & os.ST_RDONLY)
        except OSError:
            return False
        log = Path(self._path + "-wal")
        return is_read_only and not (log.exists() and log.stat().st_size)

    def _connected(self, uri: str = "") -> sqlite3.Connection:
        try:
            db = sqlite3.connect(
                uri or self._path,
                timeout=BUSY_S,
                isolation_level=None,
                check_same_thread=False,
                uri=bool(uri),
            )
        except sqlite3.Error as error:
            raise self._failure(error) from error
        try:
            self._prepare(db)
        except sqlite3.Error as error:
            db.close()
            raise self._failure(error) from error
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Sets a connection up, and brings the schema up to date.

        Raises:
            StoreUnreadable: it is another program's, or a newer version's.
        """
        db.row_factory = sqlite3.Row
        # A file that SQLite has just made has neither a program's number nor tables. Another connection may be giving it both
        # in this very moment: whoever sees the tables sees the number, too.
        tables = has_tables(db)
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        is_new = application == 0 and not tables
        if application not in (APPLICATION, ENCRYPTED) and not is_new:
            raise StoreUnreadable(
                f"{self._path} is a database of another program, not a store of runs"
            )
        if version > len(MIGRATIONS):
            raise self.too_new(version, len(MIGRATIONS))
        if not is_new:
            self._check_key(db, application)
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        if version < len(MIGRATIONS):
            application = migrate(db, self._vault, BUSY_S)
        if is_new:  # another process may have made it meanwhile, and in another way
            self._check_key(db, application)

    def _check_key(self, db: sqlite3.Connection, application: int) -> None:
        """Refuses a file that does not fit the keys, before anything is done to it.

        Raises:
            StoreLocked, StoreUnencrypted: it does not.
        """
        is_as_opened = (application == APPLICATION) == self._vault.is_clear
        if is_as_opened and self._fits:
            return
        wrapped = None if application == APPLICATION else key_in(db, STORE)
        if wrapped is None and application == ENCRYPTED:
            raise StoreUnreadable(f"{self._path} is encrypted, and its keys are gone")
        self._vault.check(wrapped)
        self._fits = True

    def _empty_log(self, db: sqlite3.Connection) -> None:
        """Has the log merged into the file and cut to nothing: what was removed still stands in it.

        Raises:
            StoreUnreachable: somebody has been reading all the time.
        """
        db.execute(f"PRAGMA busy_timeout={round(EMPTY_S * 1000)}")
        (is_busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise StoreUnreachable(
                f"what was removed from {self!r} still lies in its log, as another process is reading; "
                "call compact() later"
            )

    def _failure(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorname", "") or ""
        if code.startswith("SQLITE_FULL"):
            return self.no_room()
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreUnreachable(
                f"{self!r} was locked by another process for {BUSY_S:g} s; try again"
            )
        reason = f"{error} ({code or type(error).__name__})"
        if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            reason = self._obstacle() or reason
        return StoreUnreadable(f"{self!r} cannot be used: {reason}")

    def _obstacle(self) -> str:
        """What is wrong with the place of the file, of which SQLite only says that it cannot open it; "" if nothing is."""
        path = Path(self._path)
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}"
        if path.is_dir():
            return "it is a folder"
        # SQLite puts its log beside the file, so it has to be able to write in the folder, too.
        for place in (path.parent, path):
            if place.exists() and not os.access(place, os.W_OK):
                return f"{place} is read-only"
        return ""


# -- in a transaction ------------------------------------------------------------------------------
def _update_owned(
    db: sqlite3.Connection, ownership: Ownership, values: Mapping[str, str | float]
) -> None:
    columns = ", ".join(f"{name} = ?" for name in values)
    given = (*values.values(), ownership.run, ownership.epoch)
    done = db.execute(f"UPDATE runs SET {columns} WHERE id = ? AND epoch = ?", given)
    if done.rowcount == 0:
        raise lease_lost(ownership)


def _add(
    db: sqlite3.Connection,
    ownership: Ownership,
    first: int,
    rows: Sequence[StoredRow],
    large: Large,
) -> None:
    # By its key, which is found at once. The key of a run that was removed may be another one's by now, so its id counts, too.
    key = ownership.key
    marked = db.execute(
        "UPDATE runs SET rows = ?, changed = ? WHERE key = ? AND id = ? AND epoch = ? AND rows = ?",
        (first + len(rows), time.time(), key, ownership.run, ownership.epoch, first),
    )
    if marked.rowcount != 1:
        raise lease_lost(ownership)
    seal = ownership.seal
    if large:
        large = seal_large(seal, large)
        db.executemany("INSERT OR IGNORE INTO large VALUES (?, ?)", list(large.items()))
        db.executemany(
            "INSERT OR IGNORE INTO used VALUES (?, ?)", [(key, digest) for digest in large]
        )
    if seal is not PLAIN:
        sealed = [(key, row.number, seal_row(seal, row)) for row in rows]
        db.executemany("INSERT INTO rows VALUES (?, ?, '', '', '', 0, ?)", sealed)
        return
    for row in rows:  # mostly one
        db.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (key, row.number, row.kind, row.place, row.body, row.checksum),
        )


def _answers(db: sqlite3.Connection, run: str, seal: Seal) -> dict[str, StoredAnswer] | None:
    """The answers to a run's questions; None: there is no such run."""
    found = db.execute(
        'SELECT a.question, a.value, a."by", a.at FROM runs r'
        " LEFT JOIN answers a ON a.run = r.key WHERE r.id = ? ORDER BY a.at, a.question",
        (run,),
    ).fetchall()
    if not found:
        return None
    kept = [StoredAnswer(run, *row) for row in found if row["question"] is not None]
    answers = [open_answer(seal, answer) for answer in kept]
    return {answer.question: answer for answer in answers}


def _page(db: sqlite3.Connection, run: str, first: int, seal: Seal) -> list[StoredRow]:
    """The next rows, up to one that cannot be read.

    Raises:
        RunDamaged: already the first of them cannot.
    """
    columns = "number, kind, place, body, checksum" if seal is PLAIN else "number, sealed AS body"
    found = db.execute(
        f"SELECT {columns} FROM rows"
        " WHERE run = (SELECT key FROM runs WHERE id = ?) AND number >= ? ORDER BY number LIMIT ?",
        (run, first, PAGE),
    )
    page: list[sqlite3.Row] = []
    size = 0
    try:
        for row in found:
            page.append(row)
            size += len(row["body"] or "")
            if size > PAGE_BYTES:
                break
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        if not page:
            raise RunDamaged(run, first, f"it cannot be read ({error})") from None
    if seal is PLAIN:
        return [StoredRow(*row) for row in page]
    return open_rows(seal, run, page)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether what was read is wrong. Bytes that are no text are found by Python's driver, so they have no code of SQLite's."""
    code = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
    return code.startswith("SQLITE_CORRUPT")
