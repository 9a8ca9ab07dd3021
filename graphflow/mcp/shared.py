"""Servers that all runs of a process share: they live on an event loop of their own, so that every other loop may call them.

A connection belongs to the loop that opened it, and loops come and go: `run_sync` has a new one each time, a web server one
for each of its threads. So the shared ones have a loop in a thread, and calls cross over to it and back.

    a run's loop      SharedConnection.call  >  SERVERS.run  >  Connection.call      the loop of the servers
                      progress, questions    <  crossing     <

Rules:
1. What a caller has handed in (progress, questions to a person) is run on the caller's loop, where its own things live.
2. A caller that is cancelled, or whose loop ends, takes nothing with it: its call is cancelled, the server stays.
3. A server that outlives a run sees nothing of the run's context variables.
4. When the process ends they are closed, and killed if that takes too long. A forked process has none.
5. One that no run uses is closed after its idle time. Whoever takes one under the lock keeps it from that.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from graphflow.concurrency import in_thread
from graphflow.errors import ServerFailed
from graphflow.mcp.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp import Client
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult

    from graphflow.mcp.elicitation import Ask, Elicitation
    from graphflow.mcp.remote import RemoteServer

T = TypeVar("T")
LoopWork = Callable[[], Coroutine[Any, Any, T]]
CLOSING_S = 5.0
"""Seconds that servers get to close when the process ends."""


class LoopThread:
    """A loop in a thread; begun when it is needed, and again after it was ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, running."""
        with self._lock:  # runs of several threads may be the first
            if self._loop is None:
                begun = threading.Event()
                self._thread = threading.Thread(
                    target=self._body, args=(begun,), name="graphflow:mcp-servers", daemon=True
                )
                self._thread.start()
                begun.wait()
            assert self._loop is not None
            return self._loop

    def _body(self, begun: threading.Event) -> None:
        async def stay() -> None:
            self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
            leave = self._leave
            begun.set()
            await leave.wait()

        asyncio.run(stay())

    def submit(self, work: LoopWork[T]) -> Future[T]:
        """Begins work on the loop."""
        # In an empty context (rule 3): else a server would keep the variables of the run that opened it.
        return Context().run(lambda: asyncio.run_coroutine_threadsafe(work(), self.loop))

    async def run(self, work: LoopWork[T]) -> T:
        """Does work on the loop, wherever the caller is, and returns its result."""
        if asyncio.get_running_loop() is self._loop:
            return await work()
        return await asyncio.wrap_future(self.submit(work))

    def end(self) -> threading.Thread | None:
        """Ends the loop; the thread is over soon after."""
        with self._lock:
            loop, leave, thread = self._loop, self._leave, self._thread
            self._loop = self._leave = self._thread = None
        if loop is not None and leave is not None:
            loop.call_soon_threadsafe(leave.set)
        return thread

    def forget(self) -> None:
        """Begins anew in a process that was forked: the thread has stayed behind."""
        self.__init__()  # type: ignore[misc]  # as if it had never begun


SERVERS = LoopThread()
SharedKey = tuple["RemoteServer", str]
"""A server, and the conversation that has it for itself; "" where all runs of the process share it."""
_connections: dict[SharedKey, SharedConnection] = {}
_leaving: set[SharedConnection] = set()
"""Those that are being closed, as they were idle for long enough."""
_lock = threading.Lock()


class SharedConnection(Connection):
    """A connection on the loop of its own that loops of all threads may use."""

    def __init__(self, server: RemoteServer) -> None:
        super().__init__(server)
        self._callers: list[asyncio.AbstractEventLoop] = []
        """Loops that have a call under way, the latest last."""
        self.users = 0
        """Runs that have it; counted under the lock."""
        self.idle_since = 0.0
        """Since when it has no user, by the process clock."""

    async def open(self) -> Client:
        """As `Connection.open`."""
        return await SERVERS.run(super().open)

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        progress: ProgressFnT | None = None,
        ask: Ask | None = None,
        meta: Mapping[str, str] | None = None,
    ) -> CallToolResult:
        """As `Connection.call`."""
        crossing = None
        if progress is not None:
            crossing = _crossing(progress, asyncio.get_running_loop())
        with self._calling():
            return await SERVERS.run(
                lambda: super(SharedConnection, self).call(tool, arguments, crossing, meta=meta)
            )

    async def close(self) -> None:
        """As `Connection.close`."""
        await SERVERS.run(super().close)

    # -- idle time ---------------------------------------------------------------------------------
    def give_back(self) -> None:
        """A run does not use it any more. It is closed once it was idle for long enough."""
        with _lock:
            self.users -= 1
            self.idle_since = monotonic()
            is_idle = self.users == 0
        idle_s = self.server.idle_s
        if is_idle and idle_s is not None:
            loop = SERVERS.loop
            loop.call_soon_threadsafe(loop.call_later, idle_s, self._close_if_idle)

    def _close_if_idle(self) -> None:
        """Closes it, unless a run has used it meanwhile. On the loop of the servers."""
        idle_s = self.server.idle_s
        assert idle_s is not None
        with _lock:
            # A timer may come a little early.
            if self.users or monotonic() - self.idle_since < 0.99 * idle_s:
                return
            _forget(self)
        self.leave()

    def leave(self) -> None:
        """Closes it in the background; nobody finds it any more."""

        async def close() -> None:
            try:
                await self.close()
            finally:
                _leaving.discard(self)

        SERVERS.submit(close)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        self._callers.append(loop)
        try:
            yield
        finally:
            self._callers.remove(loop)

    async def ask(self, name: str, question: Elicitation) -> dict[str, Any] | bool | None:
        """Asks on the loop of whoever called last: the protocol does not say which call a question belongs to."""
        asking = super().ask(name, question)
        if not self._callers:
            return await asking
        answer = asyncio.run_coroutine_threadsafe(asking, self._callers[-1])
        return await asyncio.wrap_future(answer)


def _crossing(listen: ProgressFnT, caller: asyncio.AbstractEventLoop) -> ProgressFnT:
    """Reports progress on the caller's loop. Nobody waits for that, and a caller that has gone hears nothing."""

    async def report(progress: float, total: float | None, message: str | None) -> None:
        work = listen(progress, total, message)
        try:
            asyncio.run_coroutine_threadsafe(work, caller)
        except RuntimeError:  # the loop is closed
            work.close()

    return report


def shared(server: RemoteServer, conversation: str = "") -> SharedConnection:
    """The connection to a server that runs share, for one more of them, which gives it back.

    Args:
        server: the server.
        conversation: whose runs share it; "": all of the process.

    Raises:
        ServerFailed: as many conversations have it open as may, and all of them use it.
    """
    closing: SharedConnection | None = None
    with _lock:
        key = (server, conversation)
        connection = _connections.get(key)
        if connection is None:
            closing = _with_no_room(server) if conversation else None
            connection = _connections[key] = SharedConnection(server)
        connection.users += 1
    if closing is not None:
        closing.leave()
    return connection


def _with_no_room(server: RemoteServer) -> SharedConnection | None:
    """The connection of another conversation that has to go, so that one more has room; None: there is room.

    Raises:
        ServerFailed: all of them are used.
    """
    others: list[SharedConnection] = []
    for (known, conversation), connection in _connections.items():
        if conversation and known == server:
            others.append(connection)
    if len(others) < server.max_open:
        return None
    idle = [connection for connection in others if connection.users == 0]
    if not idle:
        raise ServerFailed(
            f"server {server.name!r}: {len(others)} conversations use it at the moment, and max_open={server.max_open}; "
            "raise it, or try again later"
        )
    oldest = min(idle, key=lambda connection: connection.idle_since)
    _forget(oldest)
    return oldest


def _forget(connection: SharedConnection) -> None:
    """Has nobody find a connection any more that is about to be closed."""
    _leaving.add(connection)
    for key, known in list(_connections.items()):
        if known is connection:
            del _connections[key]


async def close_kept() -> None:
    """Closes the servers that this process keeps open (`scope="process"` or `"conversation"`); the next run opens them again."""
    with _lock:
        connections = [*_connections.values(), *_leaving]
        _connections.clear()
    for connection in connections:
        await connection.close()
    thread = SERVERS.end()
    if thread is not None:
        await in_thread(thread.join)


@atexit.register
def _at_exit() -> None:
    connections = [*_connections.values(), *_leaving]
    if not connections:
        return

    async def close() -> None:
        closing = [connection.close() for connection in connections]
        await asyncio.gather(*closing, return_exceptions=True)

    with suppress(Exception):
        SERVERS.submit(close).result(timeout=CLOSING_S)
    for connection in connections:
        connection.give_up()


def _in_a_fork() -> None:
    _connections.clear()
    _leaving.clear()
    SERVERS.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_fork)
