"""Servers that a process keeps: they live on an event loop of their own, so that every other loop may call them.

A connection belongs to the loop that opened it, and loops come and go: `run_sync` has a new one each time, a web server one
for each of its threads. So the kept ones have a loop in a thread, and calls cross over to it and back.

Rules:
1. What a caller has handed in (progress, questions to a person) is run on the caller's loop, where its own things live.
2. A caller that is cancelled, or whose loop ends, takes nothing with it: its call is cancelled, the server stays.
3. A server that outlives a run sees nothing of the run's context variables.
4. When the process ends they are closed, and killed if that takes too long. A forked process keeps none.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from graphflow.concurrency import in_thread
from graphflow.mcp.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp import Client
    from mcp.shared.dispatcher import ProgressFnT

    from graphflow.mcp.elicitation import Elicitation
    from graphflow.mcp.server import MCP

T = TypeVar("T")
LAST_S = 5.0
"""Seconds that servers get to close when the process ends."""


class Home:
    """A loop in a thread; begun when it is needed, and again after it was ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, running."""
        with self._lock:
            if self._loop is None:
                began = threading.Event()
                self._thread = threading.Thread(
                    target=self._body, args=(began,), name="graphflow:mcp-servers", daemon=True
                )
                self._thread.start()
                began.wait()
            assert self._loop is not None
            return self._loop

    def _body(self, began: threading.Event) -> None:
        async def stay() -> None:
            self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
            leave = self._leave
            began.set()
            await leave.wait()

        asyncio.run(stay())

    def submitted(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Any:
        """Work under way on the loop, as a future of `concurrent.futures`."""
        return Context().run(lambda: asyncio.run_coroutine_threadsafe(work(), self.loop))

    async def done(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What work comes to that is done on the loop, wherever the caller is."""
        if asyncio.get_running_loop() is self._loop:
            return await work()
        result: T = await asyncio.wrap_future(self.submitted(work))
        return result

    def end(self) -> threading.Thread | None:
        """Ends the loop; the thread is over soon after."""
        with self._lock:
            loop, leave, thread = self._loop, self._leave, self._thread
            self._loop = self._leave = self._thread = None
        if loop is not None and leave is not None:
            loop.call_soon_threadsafe(leave.set)
        return thread

    def forget(self) -> None:
        """The thread is not there in a process that was forked."""
        self.__init__()  # type: ignore[misc]  # as if it had never begun


HOME = Home()
_kept: dict[MCP, Kept] = {}
_lock = threading.Lock()


class Kept(Connection):
    """A connection on the loop of its own that loops of all threads may use."""

    def __init__(self, server: MCP) -> None:
        super().__init__(server)
        self._callers: list[asyncio.AbstractEventLoop] = []
        """Loops that have a call under way, the latest last."""

    async def open(self) -> Client:
        """As `Connection.open`."""
        return await HOME.done(super().open)

    async def call(self, tool: str, arguments: dict[str, Any], progress: ProgressFnT | None = None) -> Any:
        """As `Connection.call`."""
        told = None if progress is None else _crossing(progress, asyncio.get_running_loop())
        with self._calling():
            return await HOME.done(lambda: super(Kept, self).call(tool, arguments, told))

    async def close(self) -> None:
        """As `Connection.close`."""
        await HOME.done(super().close)

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
        asked = super().ask
        caller = self._callers[-1] if self._callers else None
        if caller is None:
            return await asked(name, question)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked(name, question), caller))


def _crossing(listen: ProgressFnT, caller: asyncio.AbstractEventLoop) -> ProgressFnT:
    """Progress that is told on the caller's loop; nobody waits until it is, and a caller that has gone is told nothing."""

    async def told(progress: float, total: float | None, message: str | None) -> None:
        work = listen(progress, total, message)
        try:
            asyncio.run_coroutine_threadsafe(work, caller)
        except RuntimeError:  # the loop is closed
            work.close()

    return told


def kept(server: MCP) -> Kept:
    """The connection that the process keeps to a server."""
    with _lock:
        if server not in _kept:
            _kept[server] = Kept(server)
        return _kept[server]


async def close_kept() -> None:
    """Closes the servers that this process keeps open (`scope="process"`); the next run opens them again."""
    with _lock:
        connections = list(_kept.values())
        _kept.clear()
    for connection in connections:
        await connection.close()
    if (thread := HOME.end()) is not None:
        await in_thread(thread.join)


@atexit.register
def _at_exit() -> None:
    if not _kept:
        return
    connections = list(_kept.values())

    async def close() -> None:
        await asyncio.gather(*(connection.close() for connection in connections), return_exceptions=True)

    with suppress(Exception):
        HOME.submitted(close).result(timeout=LAST_S)
    for connection in connections:
        connection.give_up()


def _in_a_fork() -> None:
    _kept.clear()
    HOME.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_fork)
