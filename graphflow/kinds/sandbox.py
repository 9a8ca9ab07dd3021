"""Where code runs that a model wrote: interpreters of pydantic-monty in worker processes, never in this one.

Rules:
1. The workers are shared by all runs of an event loop, started when they are needed, and ended with the last of these runs.
2. At most `WORKERS` pieces of code run at a time; what a piece of code calls may run code of its own, which has places of
   its own: nobody waits for a place that is held by somebody who waits for him.
3. A call from code is answered here, in the loop: at once, or as something to await. When the code is over, however it
   ends, so are its calls.
4. The sandbox is talked to from plain threads. Its asyncio face leaves Rust threads that touch Python when the program
   ends: one short program in three was aborted (pydantic-monty 1.4.0, CPython 3.11).
5. No worker outlives this process, however that ends (`graphflow.kinds.warden`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from graphflow.concurrency import in_thread
from graphflow.errors import CodeFailed, MissingExtra
from graphflow.kinds.warden import Warden

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontySession, ResourceLimits

T = TypeVar("T")

WORKERS = 8
"""Pieces of code that run at a time in one event loop, on each level of rule 2. A worker takes 8 MiB and what its code may."""
LEVELS = 8
"""How deep code may call what runs code."""
GRACE_S = 5.0
"""Seconds that calls get to end when their code has."""
PER_CALL = 4
"""What the sandbox counts for one call: the name is looked up, the call, the wait; one more for luck."""

WorkerAnswer = dict[str, Any]
"""`{"return_value": ...}`, or `{"exc_type": ..., "message": ...}`, as pydantic-monty wants it."""
Answering: TypeAlias = Coroutine[Any, Any, WorkerAnswer]
SandboxState: TypeAlias = Any
"""Where code waits for somebody, or its end: classes of pydantic-monty that have no common base."""
_POOLS: WeakKeyDictionary[asyncio.AbstractEventLoop, WorkerPool] = WeakKeyDictionary()
_LEVEL: ContextVar[int] = ContextVar("level of code within code", default=0)


def check_installed() -> None:
    """Refuses to go on without a sandbox.

    Raises:
        MissingExtra: pydantic-monty is not installed.
    """
    try:
        import pydantic_monty  # noqa: F401  # whether it is there
    except ImportError as error:
        raise MissingExtra("running code", "sandbox", str(error)) from None


class WorkerPool:
    """The workers of one event loop."""

    def __init__(self) -> None:
        self.users = 0
        self._gates: dict[int, asyncio.Semaphore] = {}
        self._opening: asyncio.Task[Monty] | None = None
        self._workers: Monty | None = None
        self.warden: Warden | None = None

    async def opened(self) -> Monty:
        """The workers; the first who asks starts them."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        # Whoever is cancelled meanwhile leaves it to the others, and to `close`, which must know all that was started.
        return await asyncio.shield(self._opening)

    async def _open(self) -> Monty:
        from pydantic_monty import Monty

        try:
            if self._workers is None:
                # Processes start as they are needed: as many as all levels together may hold.
                workers = Monty(max_processes=WORKERS * LEVELS, request_timeout=None)
                await turn(workers.__enter__)
                self._workers = workers
            self.warden = await turn(Warden)
        except BaseException:
            self._opening = None  # the next who asks tries again
            raise
        return self._workers

    def gate(self, level: int) -> asyncio.Semaphore:
        """The places of one level."""
        gate = self._gates.get(level)
        if gate is None:
            gate = asyncio.Semaphore(WORKERS)
            self._gates[level] = gate
        return gate

    def watching(self, session: MontySession) -> AbstractContextManager[None]:
        """While a session's worker may compute."""
        if self.warden is None:
            return nullcontext()
        return self.warden.watching(session.worker_pid)

    async def close(self) -> None:
        """Ends the workers, also those that are only being started."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
        # Cleared first: whoever asks for workers meanwhile starts new ones.
        self._opening = None
        workers = self._workers
        self._workers = None
        if workers is not None:
            await turn(workers.__exit__, None, None, None)
        warden = self.warden
        self.warden = None
        if warden is not None:
            await turn(warden.close)


class WorkerShare:
    """One run's share in the workers of its event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.pool = _POOLS.setdefault(self.loop, WorkerPool())
        self.pool.users += 1

    async def close(self) -> None:
        """Gives it back; the last one ends the workers."""
        self.pool.users -= 1
        if not self.pool.users:
            _POOLS.pop(self.loop, None)
            await self.pool.close()

    @asynccontextmanager
    async def session(self, limits: ResourceLimits) -> AsyncIterator[MontySession]:
        """An interpreter that knows nothing yet."""
        level = _LEVEL.get()
        if level >= LEVELS:
            raise CodeFailed(f"code that calls code is {LEVELS} levels deep; nothing was run")
        async with self.pool.gate(level):
            # What this code calls, and the code in it, stand one level deeper.
            outer = _LEVEL.set(level + 1)
            try:
                workers = await self.pool.opened()
                session = workers.checkout(limits=limits)
                try:
                    await turn(session.__enter__)
                    with self.pool.watching(session):
                        yield session
                finally:
                    await turn(session.__exit__, None, None, None)
            finally:
                _LEVEL.reset(outer)


async def turn(
    function: Callable[..., T], *args: object, stop: Callable[[], None] | None = None
) -> T:
    """The result of `function(*args)`, in a thread; whoever is cancelled meanwhile calls `stop` and waits for it to end."""
    work = asyncio.get_running_loop().create_task(in_thread(function, *args))
    try:
        return await asyncio.shield(work)  # a thread cannot be cancelled, only waited for
    except asyncio.CancelledError:
        if stop is not None:
            stop()
        await asyncio.wait([work], timeout=GRACE_S)
        if work.done() and not work.cancelled():
            work.exception()
        raise


class Printed:
    """What code prints, up to a limit. It is told by a thread of the sandbox's, and must not raise."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.dropped = 0
        self.parts: list[str] = []

    def __call__(self, stream: str, text: str) -> None:
        kept = text[: self.left]
        self.left -= len(kept)
        self.dropped += len(text) - len(kept)
        if kept:
            self.parts.append(kept)

    @property
    def text(self) -> str:
        """All of it, and how much is missing."""
        text = "".join(self.parts)
        if self.dropped:
            text += f"\n[cut: {self.dropped} more characters were printed; print less]"
        return text


class Execution:
    """One piece of code under way.

    Args:
        code: the code.
        awaited: where the calls begin, in bytes, that are to be awaited.
        functions: the names that it can call.
        call: answers a call; what it raises ends the code.
        max_calls: calls at most.
        seconds: seconds that the code may sleep, in all.
    """

    def __init__(
        self,
        code: str,
        awaited: frozenset[int],
        functions: Sequence[str],
        call: Callable[[str, Sequence[object], dict[str, Any]], Answering],
        *,
        max_calls: int,
        seconds: float,
    ) -> None:
        self.code = code
        self.awaited = awaited
        self.functions = functions
        self.call = call
        self.max_calls = max_calls
        self.calls = 0
        self.sleep_left = seconds
        self.seconds = seconds
        self.tasks: dict[int, asyncio.Task[WorkerAnswer]] = {}
        self.worker: int | None = None

    async def run(self, session: MontySession, printed: Printed) -> Any:
        """The value of the last expression.

        Raises:
            CodeFailed: it slept too long or made too many calls.
            MontyError: it raised, or used up what it was given.
        """
        from pydantic_monty import MontyComplete

        self.worker = session.worker_pid
        try:
            state: SandboxState = await self._turn(
                lambda: session.feed_start(self.code, print_callback=printed)
            )
            while not isinstance(state, MontyComplete):
                state = await self._next(state)
            return state.output
        finally:
            await self._stop()

    async def _turn(
        self, function: Callable[..., SandboxState], *args: object, **kwargs: object
    ) -> SandboxState:
        """The code goes on, to where it needs somebody or ends; if nobody wants it any more, its worker is killed."""
        return await turn(lambda: function(*args, **kwargs), stop=self._kill)

    def _kill(self) -> None:
        if self.worker is None:
            return
        kill = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL
        with suppress(ProcessLookupError):
            os.kill(self.worker, kill)

    async def _next(self, state: SandboxState) -> SandboxState:
        """Goes on to where the code needs somebody again."""
        if hasattr(state, "pending_call_ids"):
            answers = await self._answers(state.pending_call_ids)
            return await self._turn(state.resume, answers)
        if hasattr(state, "variable_name"):
            return await self._function_value(state)
        if not state.is_os_function:
            return await self._answer_call(state)
        if state.function_name == "system.sleep":
            seconds = state.args[0]
            slept = await self._sleep(seconds)
            return await self._turn(state.resume, slept)
        if state.function_name == "system.async_sleep":
            seconds = state.args[0]
            sleep = self._sleep(seconds)
            return await self._later(state, sleep)
        # No files, no environment, no modules: it is told so.
        return await self._turn(state.resume_not_handled)

    async def _answer_call(self, state: SandboxState) -> SandboxState:
        """A call of a node, answered at once or as something to await."""
        self.calls += 1
        if self.calls > self.max_calls:
            raise CodeFailed(f"the code made more than {self.max_calls} calls")
        work = self.call(state.function_name, state.args, state.kwargs)
        # What the code compiles itself has places of its own, which mean nothing here.
        position = state.position
        is_in_code = position.filename.startswith("<python-input")
        if is_in_code and position.start in self.awaited:
            return await self._later(state, work)
        answer = await work
        return await self._turn(state.resume, answer)

    async def _later(self, state: SandboxState, work: Answering) -> SandboxState:
        loop = asyncio.get_running_loop()
        self.tasks[state.call_id] = loop.create_task(work)
        return await self._turn(state.resume, {"future": ...})

    async def _function_value(self, state: SandboxState) -> SandboxState:
        """A function that is used as a value: `f = search`."""
        if state.object_id is not None or state.variable_name not in self.functions:
            return await self._turn(state.resume)

        def function() -> None:
            """Stands for it; the sandbox knows it by its name."""

        function.__name__ = state.variable_name
        return await self._turn(state.resume, value=function)

    async def _answers(self, ids: Sequence[int]) -> dict[int, WorkerAnswer]:
        """The answers that there are, as soon as there is one."""
        tasks = {number: self.tasks[number] for number in ids}
        await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        answers: dict[int, WorkerAnswer] = {}
        for number, task in tasks.items():
            if task.done():
                answers[number] = task.result()
                del self.tasks[number]
        return answers

    async def _sleep(self, seconds: float) -> WorkerAnswer:
        self.sleep_left -= seconds
        if self.sleep_left < 0:
            raise CodeFailed(f"the code wanted to sleep for more than {self.seconds:g} s in all")
        await asyncio.sleep(seconds)
        return {"return_value": None}

    async def _stop(self) -> None:
        """Ends the calls that nobody waits for any more."""
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_S)
        for task in tasks:
            if task.done() and not task.cancelled():
                # What it says now comes too late; asyncio need not complain that nobody asked.
                task.exception()
