"""Plain functions off the event loop, in threads of our own.

Rules:
1. The threads are daemons. asyncio's and anyio's are joined when the interpreter exits, so that a function that blocks for
   ever would keep the process alive after its walk has long given up.
2. There are at most `MAX_THREADS` at a time; what comes later waits for its turn. A function that was left behind has its thread
   for itself and does not count: nobody knows whether it will ever end.
3. What a function in a thread runs in turn (`graph.run_sync` in a plain node) takes its threads from the pool one level
   further down. Who waits is always further up than who is waited for, so they cannot all wait for each other.
4. A hook that asks a person has a pool of its own: a person may take hours.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from math import inf
from time import monotonic
from typing import Any, Literal, TypeVar

from graphflow.contexts import adopt

T = TypeVar("T")
ThreadKind = Literal["function", "hook"]

MAX_THREADS = 40
"""Threads of one level at a time: as many as anyio allows, which serves most of Python's web applications."""
IDLE_S = 5.0
"""Seconds that a thread waits for more to do before it ends."""

_level: contextvars.ContextVar[int] = contextvars.ContextVar("graphflow_threads", default=0)
"""How many functions in threads wait, one in the other, for what runs here."""
_queue: contextvars.ContextVar[Queueing | None] = contextvars.ContextVar(
    "graphflow_queueing", default=None
)


class _ThreadJob:
    """One function that waits for a thread, or has one."""

    __slots__ = ("answer", "left_behind", "name", "on_begin", "state", "work")

    def __init__(self, name: str, work: Callable[[], None], answer: asyncio.Future[Any]) -> None:
        self.name = name
        self.work = work
        self.answer = answer
        self.on_begin: Callable[[], None] | None = None
        self.state: Literal["waiting", "running", "ended"] = "waiting"
        self.left_behind = False


class _ThreadPool:
    """Threads of one kind and level."""

    __slots__ = ("_changed", "_idle", "_jobs", "_threads")

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[_ThreadJob] = deque()
        self._threads = 0
        """Those that count: all but those that were left behind."""
        self._idle = 0

    def begin(self, job: _ThreadJob) -> None:
        """Gives the job a thread, now or as soon as one is free."""
        with self._changed:
            self._jobs.append(job)
            try:
                self._staff()
            except RuntimeError:  # the system has no more threads
                if not self._threads:
                    self._jobs.remove(job)
                    raise

    def staff(self) -> None:
        """Sees to it that what waits gets a thread, if one may be had."""
        with self._changed, contextlib.suppress(RuntimeError):
            self._staff()

    def _staff(self) -> None:
        """Wakes a thread, or starts one, if there is something to do that no idle one will do."""
        if self._idle:
            self._changed.notify()
        if len(self._jobs) > self._idle and self._threads < MAX_THREADS:
            thread = threading.Thread(target=self._work, name="graphflow:idle", daemon=True)
            thread.start()
            self._threads += 1

    def give_up(self, job: _ThreadJob) -> bool:
        """Takes back a job that waits; whether it has a thread already, which is then left behind with it."""
        with self._changed:
            if job.state == "waiting":
                self._jobs.remove(job)
                job.state = "ended"
            if job.state == "ended":
                return False
            job.left_behind = True
            self._threads -= 1
            return True

    def _work(self) -> None:
        while (job := self._next()) is not None:
            threading.current_thread().name = f"graphflow:{job.name}"
            job.work()
            if self._end(job):
                return
            del job  # a thread that waits holds nothing of anybody

    def _end(self, job: _ThreadJob) -> bool:
        """Notes that a job is done; whether its thread ends with it."""
        with self._changed:
            job.state = "ended"
            return job.left_behind

    def _next(self) -> _ThreadJob | None:
        """What a thread does next; None: it ends."""
        threading.current_thread().name = "graphflow:idle"
        with self._changed:
            until = monotonic() + IDLE_S
            while (job := self._waiting()) is None:
                self._idle += 1
                self._changed.wait(until - monotonic())
                self._idle -= 1
                if not self._jobs and monotonic() >= until:
                    self._threads -= 1
                    return None
            job.state = "running"
        if job.on_begin is not None:
            job.on_begin()
        return job

    def _waiting(self) -> _ThreadJob | None:
        """The next job that somebody still wants; one may have been cancelled a moment ago, with its task yet to notice."""
        while self._jobs:
            job = self._jobs.popleft()
            if not job.answer.cancelled():
                return job
            job.state = "ended"
        return None


_pools: dict[tuple[ThreadKind, int], _ThreadPool] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # a child process has none of the threads


async def in_thread(
    function: Callable[..., T],
    *args: Any,
    on_abandon: Callable[[], None] | None = None,
    kind: ThreadKind = "function",
) -> T:
    """The result of `function(*args)`, run in a thread with the caller's context variables; what it sets, the caller sees.

    If the awaiting task is cancelled, the function goes on alone (Python cannot stop it); `on_abandon` is told.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()
    level = _level.get()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            # Thrown into a coroutine, they would end it instead.
            if isinstance(error, (StopIteration, GeneratorExit)):
                error = RuntimeError(f"the function raised {type(error).__name__}")
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only if T allows it

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            context.run(_level.set, level + 1)
            result = context.run(function, *args)
        except BaseException as raised:
            error = raised
        _tell(loop, settle, result, error)

    queueing = _queue.get()
    job = _ThreadJob(getattr(function, "__name__", "function"), work, future)
    if queueing is not None:
        queueing.begin()
        job.on_begin = lambda: _tell(loop, queueing.end)
    pool = _pools.setdefault((kind, level), _ThreadPool())
    pool.begin(job)
    try:
        result = await future
    except BaseException:
        if not future.cancelled():  # the function itself has raised, maybe a CancelledError
            adopt(context)
        elif pool.give_up(job):
            # Not at once: what waits in the queue may be about to be cancelled as well.
            loop.call_soon(pool.staff)
            if on_abandon is not None:
                on_abandon()
        raise
    adopt(context)
    return result


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody is left to tell
        loop.call_soon_threadsafe(callback, *args)


async def iterated_in_thread(
    make: Callable[[], Iterable[T]], *, on_abandon: Callable[[], None] | None = None
) -> AsyncGenerator[T, None]:
    """What an iterator yields, all of it in one thread and one context; the next piece is made when it is asked for."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
    wanted = threading.Semaphore(0)
    stopping = threading.Event()
    at_work = False

    def work() -> None:
        iterator = iter(make())
        try:
            for piece in _wanted(iterator, wanted, stopping):
                _tell(loop, pieces.put_nowait, (piece,))
        finally:
            if (close := getattr(iterator, "close", None)) is not None:
                close()

    work.__name__ = getattr(make, "__name__", "function")
    task = loop.create_task(in_thread(work, on_abandon=on_abandon))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while True:
            at_work = True
            wanted.release()
            found = await pieces.get()
            at_work = False
            if found is None:
                await task
                return
            yield found[0]
    finally:
        stopping.set()
        wanted.release()
        if at_work:  # it makes a piece that nobody wants any more
            task.cancel()
        if not task.done():
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it has been raised, or comes too late


def _wanted(
    iterator: Iterator[T], wanted: threading.Semaphore, stopping: threading.Event
) -> Iterator[T]:
    """The pieces, each made when it is wanted."""
    while True:
        wanted.acquire()
        if stopping.is_set():
            return
        try:
            piece = next(iterator)
        except StopIteration:
            return
        yield piece


TURNS = 16
"""Turns of the event loop in which a timer stops whatever is within its attempt: two for each frame in frames."""


def attempt() -> Queueing | None:
    """The attempt with a time limit that this is part of, if any."""
    return _queue.get()


async def let_timers_stop() -> None:
    """Gives the event loop its turn where the time of an attempt is over, so that its timer can stop what is within it.

    What never waits for anything keeps all timers waiting.
    """
    within = _queue.get()
    if within is not None and within.is_over():
        for _ in range(TURNS):
            await asyncio.sleep(0)


class Queueing:
    """How long an attempt has waited for threads: no time of its own.

    Args:
        seconds: how long the attempt may take.
    """

    __slots__ = ("_around", "_end", "_loop", "_seconds", "_since", "_waiting")

    def __init__(self, seconds: float) -> None:
        self._around = _queue.get()
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + seconds
        self._waiting = 0
        self._since = 0.0
        self._seconds = 0.0

    def begin(self) -> None:
        """Something waits for a thread."""
        if not self._waiting:
            self._since = self._loop.time()
        self._waiting += 1

    def end(self) -> None:
        """It has one."""
        self._waiting -= 1
        if not self._waiting:
            self._seconds += self._loop.time() - self._since

    def task(self, work: Coroutine[Any, Any, T], context: contextvars.Context) -> asyncio.Task[T]:
        """A task for an attempt, with these variables, whose time in the queue is counted here."""
        context.run(_queue.set, self)
        return self._loop.create_task(work, context=context)

    async def wait(self, task: asyncio.Task[Any]) -> None:
        """Waits until a task has ended, or has had its seconds without those in the queue."""
        while not task.done():
            left = self._end + self.seconds - self._loop.time()
            if left <= 0:
                return
            await asyncio.wait([task], timeout=left)
        self._end = inf  # what it has begun in the background goes on in its own time

    def is_over(self) -> bool:
        """Whether the time of this attempt, or of one around it, is over."""
        each: Queueing | None = self
        while each is not None:
            if self._loop.time() >= each._end + each.seconds:
                return True
            each = each._around
        return False

    @property
    def seconds(self) -> float:
        """How long so far."""
        return self._seconds + (self._loop.time() - self._since if self._waiting else 0.0)
