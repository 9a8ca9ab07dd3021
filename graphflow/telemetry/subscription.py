"""A subscription: events of the kinds and places that somebody has asked for, in a queue that has an end.

    async with graph.subscribe("model.*") as events:        read here
        async for event in events: ...

    with graph.subscribe("node.error", to=print):           or handed to a function, or to a sink, in a thread
        graph.run_sync(...)

Rules:
1. A walk never waits for a subscriber. What does not fit into its queue is lost, the oldest first; `dropped` counts it, and
   the log says so once.
2. One that raises stays, until it has raised `MAX_RAISES` times in a row; the log says so, and `error` is the last one.
3. One that never returns keeps one thread, and nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from graphflow.concurrency import in_thread
from graphflow.errors import DeclarationError
from graphflow.event import Event
from graphflow.redaction import scrub
from graphflow.telemetry.kinds import check_patterns, classes_of
from graphflow.telemetry.run_event import RunEvent

if TYPE_CHECKING:
    from graphflow.proofs.proven import AnyGraph

LOG = logging.getLogger("graphflow.events")
ROOM = 10_000
"""Events that wait for a subscriber at most."""
BATCH = 256
"""Events that a subscriber is handed before others have their turn."""
MAX_RAISES = 10
"""How often in a row a subscriber may raise before it is asked no more."""
CLOSING_S = 5.0
"""Seconds that a subscriber gets for what waits for it when its subscription is closed."""


@runtime_checkable
class Sink(Protocol):
    """What takes events for good: a file, a log, a collector. It is called in a thread, never twice at a time."""

    kinds: tuple[str, ...]
    """The kinds that it wants, as patterns; none: all."""

    def take(self, event: RunEvent) -> None:
        """Takes one event. What it raises is counted, and harms nobody."""
        ...

    def close(self) -> None:
        """Writes what it still has, and lets go of what it holds."""
        ...


Callback = Callable[[RunEvent], object] | Callable[[RunEvent], Awaitable[object]]
Receiver = Callback | Sink
Owner = Callable[["AnyGraph"], bool]
"""Whether runs of a graph are listened to."""


class Dispatcher(Protocol):
    """What a subscription asks of the hub."""

    def schedule(self, subscription: Subscription) -> None: ...
    def leave(self, subscription: Subscription, within_s: float) -> bool: ...
    def hurry(self) -> None: ...


class Subscription:
    """Events of some kinds, of some runs. Close it, or use it as a context; read it, unless it was given whom to tell.

    Attributes:
        kinds: patterns of the kinds; none: all.
        path: a pattern of the frames, joined by slashes; "": all.
        room: how many events wait for it at most.
        dropped: how many did not find room.
        raised: how often whom it tells has raised.
        error: what that raised last.
        is_closed: whether it gets no more.
    """

    def __init__(
        self,
        hub: Dispatcher,
        kinds: tuple[str, ...],
        path: str,
        to: Receiver | None,
        room: int,
        owner: Owner | None,
    ) -> None:
        self.sink = to if isinstance(to, Sink) else None
        if self.sink is not None and not kinds:
            kinds = tuple(self.sink.kinds)
        self.kinds = check_patterns(kinds)
        self.path = path
        self.room = _checked_room(room)
        self.owner = owner
        self.classes: frozenset[type[Event]] = classes_of(self.kinds)
        self.is_live = any(kind.passing or kind.follows for kind in self.classes)
        """Whether it is about events that are told only where somebody listens while they happen."""
        if self.sink is not None and not self.kinds:
            self.is_live = False  # a sink that wants all wants what is kept, and costs no walk its straight way
        self.is_traced: bool = getattr(self.sink, "traces", False)
        self.dropped = 0
        self.raised = 0
        self.error: Exception | None = None
        self.is_closed = False
        self.is_over = False
        """Whether nothing more will come: the only run that it is about has ended."""
        self.is_scheduled = False
        self.is_busy = False
        self.queue: deque[RunEvent] = deque()
        self._hub = hub
        self._give = _function_of(to)
        self._raises_in_a_row = 0
        self._reader: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._ends_with_run = False
        if to is not None and self._give is None:
            self._feeding = self._fed(to)

    # -- what the hub does -------------------------------------------------------------------------
    def offer(self, event: RunEvent) -> None:
        """Takes an event into the queue, and wakes who reads it."""
        queue = self.queue
        if len(queue) >= self.room:
            queue.popleft()
            self.count_dropped(1)
        queue.append(event)
        if self._give is None:
            self._wake()
        elif not self.is_scheduled:
            self.is_scheduled = True
            self._hub.schedule(self)

    def count_dropped(self, count: int) -> None:
        """Counts events that did not find room; the first time, the log says so."""
        if not self.dropped:
            LOG.warning(
                "%s is too slow: more than %d events wait for it, and the oldest are dropped",
                self.name,
                self.room,
            )
        self.dropped += count

    def end_with_run(self) -> None:
        """It is about one run only."""
        self._ends_with_run = True

    def note_end(self) -> None:
        """A run has ended that it has heard of."""
        if self._ends_with_run:
            self.is_over = True
            self._wake()

    def deliver(self) -> bool:
        """Hands on what waits, a batch of it at most; whether more waits. Called by one thread at a time."""
        queue, give = self.queue, self._give
        assert give is not None
        self.is_busy = True
        try:
            for _ in range(BATCH):
                try:
                    event = queue.popleft()
                except IndexError:
                    break
                self._handed(give, event)
        finally:
            self.is_busy = False
        return bool(queue)

    def _handed(self, give: Callable[[RunEvent], object], event: RunEvent) -> None:
        try:
            give(event)
        except Exception as error:
            self.note_error(error)
        else:
            self._raises_in_a_row = 0

    def note_error(self, error: Exception) -> None:
        """Counts that whom it tells has raised; after some in a row it tells no more."""
        self.raised += 1
        self.error = error
        self._raises_in_a_row += 1
        why = scrub(f"{type(error).__name__}: {error}")
        if self.raised == 1:
            LOG.warning("%s has raised %s; the walk goes on", self.name, why)
        if self._raises_in_a_row >= MAX_RAISES:
            LOG.error("%s has raised %d times in a row, and is told no more", self.name, MAX_RAISES)
            self.is_closed = True
            self.queue.clear()

    @property
    def name(self) -> str:
        """What it is called in the log."""
        what = ", ".join(self.kinds) or "all events"
        whom = "" if self.sink is None else f" of {type(self.sink).__name__}"
        return f"the subscription{whom} to {what}"

    # -- closing -----------------------------------------------------------------------------------
    def close(self, within_s: float = CLOSING_S) -> bool:
        """Ends it, once what was told so far is handed on; a sink is closed. It may be called again.

        Args:
            within_s: seconds that this may take; what is left then is dropped.

        Returns:
            Whether everything was handed on.
        """
        if self.is_closed and self._feeding is None:
            return self._hub.leave(self, 0.0)
        # Who reads it in this very thread would be waited for in vain.
        waits = within_s if self._give is not None else 0.0
        is_done = self._hub.leave(self, waits)
        self.is_closed = True
        if self._feeding is not None:
            with suppress(RuntimeError):  # its loop has ended
                self._feeding.cancel()
            self._feeding = None
        self._wake()
        if self.dropped:
            LOG.warning("%s has missed %d events", self.name, self.dropped)
        if self.sink is not None and not self.is_busy:
            try:
                self.sink.close()
            except Exception as error:
                self.note_error(error)
        return is_done

    async def aclose(self, within_s: float = CLOSING_S) -> bool:
        """`close`, without blocking the event loop."""
        if self._feeding is not None:
            await self._fed_all(self._feeding, within_s)
        return await in_thread(self.close, within_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- reading -----------------------------------------------------------------------------------
    def __aiter__(self) -> AsyncIterator[RunEvent]:
        if self._give is not None or self._feeding is not None:
            raise DeclarationError(f"{self.name} was given whom to tell; leave out to= to read it")
        return self

    async def __anext__(self) -> RunEvent:
        while True:
            if self.queue:
                return self.queue.popleft()
            if self.is_closed or self.is_over:
                raise StopAsyncIteration
            await self._more()

    async def _more(self) -> None:
        """Waits until there is more, or nothing more will come."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        self._reader = (loop, woken)
        # It may have come between the look and the wish to be woken.
        if self.queue or self.is_closed or self.is_over:
            self._reader = None
            return
        try:
            await woken
        finally:
            self._reader = None

    def _wake(self) -> None:
        reader = self._reader
        if reader is None:
            return
        self._reader = None
        loop, woken = reader
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_set, woken)

    # -- functions that are awaited ----------------------------------------------------------------
    def _fed(self, to: Receiver) -> asyncio.Task[None]:
        """A task of this event loop that awaits a function for each event."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise DeclarationError(
                f"{self.name} is to tell an async function, which needs an event loop; subscribe inside of one, "
                "or give a plain function"
            ) from None
        return loop.create_task(self._feed(to))

    async def _feed(self, to: Receiver) -> None:
        while True:
            try:
                event = await self.__anext__()
            except StopAsyncIteration:
                return
            self.is_busy = True
            try:
                await to(event)  # type: ignore[operator, misc]  # an async function: `_function_of` has looked
            except Exception as error:
                self.note_error(error)
            else:
                self._raises_in_a_row = 0
            finally:
                self.is_busy = False

    async def _fed_all(self, task: asyncio.Task[None], within_s: float) -> None:
        """Waits until an async function has had what was told so far."""
        await in_thread(self._hub.leave, self, within_s)
        self.is_over = True
        self._wake()
        if task is not asyncio.current_task():
            await asyncio.wait([task], timeout=within_s)
        task.cancel()


def _set(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _function_of(to: Receiver | None) -> Callable[[RunEvent], object] | None:
    """What is called in a thread; None: nothing is.

    Raises:
        DeclarationError: it cannot be called.
    """
    if to is None or asyncio.iscoroutinefunction(to):
        return None
    if isinstance(to, Sink):
        return to.take
    if not callable(to):
        raise DeclarationError(
            f"a subscription to={to!r}: give a function of one event, or a sink (`take`, `close`, `kinds`)"
        )
    return to


def _checked_room(room: object) -> int:
    if isinstance(room, int) and not isinstance(room, bool) and room >= 1:
        return room
    raise DeclarationError(
        f"a subscription with room={room!r}: give a number of events, at least 1"
    )
