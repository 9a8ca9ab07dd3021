"""The thread that writes a SQLite file.

It takes everything that waits into one transaction: a commit costs the disk a sync, whether it holds one row or a
thousand.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from graphflow.errors import StoreError

T = TypeVar("T")

MAX_BATCH = 1000
"""Requests that go into one transaction at most: whoever came first should not wait for all who came later."""
_REFUSED = (StoreError, ValueError, OverflowError, sqlite3.DataError)
"""What may be wrong with one request alone. A text that UTF-8 has no way to write is a ValueError, one of more than 1 GB a
DataError."""
TransactionWork: TypeAlias = Callable[[sqlite3.Connection], T]


class WriteRequest:
    """Something to be done in a transaction, and the future of whoever waits for it."""

    __slots__ = ("answer", "error", "future")

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.future = future
        self.answer: object = None
        self.error: BaseException | None = None

    def carry_out(self, db: sqlite3.Connection) -> object:
        """Does it; the answer."""
        raise NotImplementedError

    def tell(self) -> None:
        """Ends the waiting; in the loop that waits."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)


class _Work(WriteRequest):
    """A request that is a function."""

    __slots__ = ("_work",)

    def __init__(self, work: TransactionWork[object], future: asyncio.Future[Any]) -> None:
        super().__init__(future)
        self._work = work

    def carry_out(self, db: sqlite3.Connection) -> object:
        return self._work(db)


_Requests: TypeAlias = "SimpleQueue[WriteRequest | None]"
"""What a writer works on; None says that it is over."""


class SqliteWriter:
    """Writes for any event loop. Its thread begins with the first thing to write."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        failure: Callable[[sqlite3.Error], StoreError],
    ) -> None:
        self._connect = connect
        self._failure = failure
        self._requests: _Requests = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def write(self, work: TransactionWork[T]) -> T:
        """Does something in a transaction; when this returns, it is on the disk."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.submit(_Work(work, future))
        return await future

    def submit(self, request: WriteRequest) -> None:
        """Begins to do something in a transaction. Cancelling its future does not take it back."""
        with self._lock:
            if self._thread is None:
                # Each thread has a queue of its own: what says to the last one that it is over must not reach the next.
                self._requests = SimpleQueue()
                work_on = (self._requests,)
                self._thread = threading.Thread(
                    target=self._writing, args=work_on, name="graphflow-sqlite", daemon=True
                )
                self._thread.start()
            self._requests.put(request)

    async def aclose(self) -> None:
        """Waits for what is being written, and closes its connection."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._requests.put(None)
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _writing(self, requests: _Requests) -> None:
        # Its connection is its own: SQLite's errors and transactions belong to a connection, so nobody else may use it.
        db: sqlite3.Connection | None = None
        is_last = False
        while not is_last:
            batch, is_last = _batch(requests)
            if batch:
                db = self._finish(db, batch)
        if db is not None:
            db.close()

    def _finish(
        self, db: sqlite3.Connection | None, batch: Sequence[WriteRequest]
    ) -> sqlite3.Connection | None:
        """Carries requests out and wakes those who wait; the connection for the next ones."""
        try:
            db = db or self._connect()
            _carry_out(db, batch)
        except BaseException as error:  # nobody may wait for ever, whatever it was
            _fail(batch, error)
        for request in batch:
            if isinstance(request.error, sqlite3.Error):
                request.error = self._failure(request.error)
        _tell(batch)
        return db


def _batch(requests: _Requests) -> tuple[list[WriteRequest], bool]:
    """What waits, at least one request; and whether the store is closed after it."""
    batch: list[WriteRequest] = []
    request = requests.get()
    while request is not None:
        batch.append(request)
        if len(batch) == MAX_BATCH or requests.empty():
            return batch, False
        request = requests.get()
    return batch, True


def _carry_out(db: sqlite3.Connection, batch: Sequence[WriteRequest]) -> None:
    """Carries out requests in one transaction. What one of them cannot write is undone, and the others go on."""
    try:
        with _transaction(db):
            for request in batch:
                request.answer = request.carry_out(db)
    except _REFUSED as refused:
        if len(batch) == 1:
            batch[0].error = refused
        else:
            _carry_out_apart(db, batch)


def _carry_out_apart(db: sqlite3.Connection, batch: Sequence[WriteRequest]) -> None:
    """The same, with a savepoint before each of them: one of them is known to be refused, which is rare."""
    with _transaction(db):
        for request in batch:
            db.execute("SAVEPOINT request")
            try:
                request.answer = request.carry_out(db)
            except _REFUSED as refused:
                request.error = refused
                db.execute("ROLLBACK TO request")
            db.execute("RELEASE request")


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """What is done in it is on the disk behind it, or none of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _fail(batch: Sequence[WriteRequest], error: BaseException) -> None:
    for request in batch:
        request.error = error


def _tell(batch: Sequence[WriteRequest]) -> None:
    """Wakes those who wait: each loop once, however many wait in it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[WriteRequest]] = {}
    for request in batch:
        by_loop.setdefault(request.future.get_loop(), []).append(request)
    for loop, requests in by_loop.items():
        with suppress(RuntimeError):  # the loop has been closed, and with it whoever waited
            loop.call_soon_threadsafe(_tell_all, requests)


def _tell_all(requests: Sequence[WriteRequest]) -> None:
    for request in requests:
        request.tell()
