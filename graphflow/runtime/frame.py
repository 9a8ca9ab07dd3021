"""A frame: one walk of one graph, performed. It carries out the walk's commands and reports what came of them.

Rules:
1. It decides nothing. What a message, a failure or a cancellation means is the walk's business; what may be used is the
   ledger's; what a node does is the node's; what a node may reach is on the page before (`calls.py`).
2. A task per branch, never per node: the activation that follows from a result goes on in the same task.
3. Every task it starts has ended when the frame is left, however it is left.
4. A graph without forks and joins, with nobody listening, is walked by plain awaits (`fast_path.py`), with the same journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextvars import Context, copy_context
from time import perf_counter
from typing import Any

from graphflow.concurrency import attempt, let_timers_stop
from graphflow.contexts import within
from graphflow.errors import LimitExceeded, PolicyRefused, WalkCancelled
from graphflow.events import (
    Event,
    LimitWarning,
    NodeAbandoned,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    NodeStarted,
    RunStarted,
    Scope,
    Stopped,
)
from graphflow.journal.stretch import LONG
from graphflow.limits import Ledger
from graphflow.messages.copies import copy_of
from graphflow.proofs.program import Slot
from graphflow.runtime.attempts import GRACE_S, stray
from graphflow.runtime.calls import Reach, is_done_once
from graphflow.runtime.fast_path import walk_straight
from graphflow.runtime.validation import wrong_output
from graphflow.walk.commands import Activation, Cancel, Command, Finish
from graphflow.walk.machine import Walk
from graphflow.walk.snapshot import Snapshot

GIVE_WAY = 64
"""Activations between turns for others: listeners, timers, whoever wants to cancel."""


class Frame(Reach):
    """One walk of one graph: the outermost, or what entering a graph or sub-agent has pushed."""

    __slots__ = (
        "attempted",
        "began",
        "busy",
        "clearing",
        "done",
        "graces",
        "loop",
        "metered",
        "started",
        "starting",
        "tasks",
        "walk",
    )

    walk: Walk | None
    clearing: int
    """The activation after which old rows of the record are dropped; only where the walk is not straight, as the next."""
    tasks: dict[int, asyncio.Task[None]]
    """The task that carries out each activation; only where the walk is not straight, as the next three."""
    started: dict[int, float]
    """When each activation under way has begun, in seconds of the run; those that are not here are no step yet."""
    busy: set[asyncio.Task[None]]
    done: asyncio.Future[Finish] | None
    loop: asyncio.AbstractEventLoop
    """The running one, asked for once: asking costs a system call, before Python 3.12."""
    began: float
    """When the run began, by the process clock."""
    attempted: bool
    """Whether this is part of an attempt with a time limit."""
    metered: bool
    """Whether each step has to be charged before it is made; else they are only counted."""
    graces: list[asyncio.TimerHandle]
    """When those that were told to stop are abandoned."""
    starting: dict[int, NodeStarted]
    """What will be told of activations when they begin, if somebody listens: one that is refused is no step."""

    async def activate(self, slot: Slot, inputs: dict[str, Any], activation: int) -> Any:
        """The output of one activation, retried, timed and checked as the node says."""
        node = slot.node
        assert node is not None
        if self.denied is not None and slot.name in self.denied:
            raise PolicyRefused(f"{slot.name!r} may not be activated here: {self.denied[slot.name]}")
        try:
            if slot.enters:
                message = next(iter(inputs.values()))
                output = await self.perform(node, {"": message}, activation)
            elif self.origin is not None and is_done_once(node):
                output = await self.perform_once(node, inputs, activation)
            else:
                output = await self.perform(node, inputs, activation)
            return copy_of(output)  # the node may keep what it has returned, and go on changing it
        finally:
            if self.places:
                self.places.pop(activation, None)

    def scope_of(self, activation: int) -> Scope:
        """The forks and laps that led to an activation under way; empty where only one can be under way at a time."""
        act = None if self.program.straight or self.walk is None else self.walk.running.get(activation)
        return () if act is None else act.scope

    def warn(self, book: Ledger, limit: str, used: float) -> None:
        """Tells that a limit is nearly used up."""
        self.shared.run.tell(LimitWarning(self.clock(), self.number, limit, used, getattr(book.limits, limit)))

    # -- the walk ------------------------------------------------------------------------------------------------------
    def walked(self, message: Any) -> Awaitable[Any]:
        """Walks to the graph's output, within this frame's own deadline. No coroutine is made that only waits for another."""
        seconds = self.ledger.limits.seconds
        return self._walked(message) if seconds is None else self._in_time(seconds, message)

    async def _in_time(self, seconds: float, message: Any) -> Any:
        clock = asyncio.timeout_at(self.ledger.begin(seconds))
        try:
            async with clock:
                output = await self._walked(message)
        except TimeoutError:
            if not clock.expired():
                raise
            raise self.ledger.exceeded("seconds") from None
        self.ledger.check_time()  # the last node has blocked the event loop, or swallowed the cancellation
        return output

    def _walked(self, message: Any) -> Awaitable[Any]:
        straight = self.program.straight and self.shared.plain and self.denied is None
        return within(copy_context(), walk_straight(self, message)) if straight else self._general(message)

    async def _general(self, message: Any) -> Any:
        finish = await self._walk(message)
        if finish.error is not None:
            raise finish.error
        return finish.output

    async def _walk(self, message: Any) -> Finish:
        walk = self.walk = Walk(
            self.program, self.ledger.limits, frame=self.number, path=self.path, observed=self.observed
        )
        self.tasks, self.started, self.busy, self.graces, self.starting = {}, {}, set(), [], {}
        self.clearing = LONG
        self.began = self.shared.run.began
        self.loop = asyncio.get_running_loop()
        self.attempted = attempt() is not None
        self.metered = self.ledger.timed or self.ledger.metered("steps")
        self.done = self.loop.create_future()
        begun = RunStarted(self.clock(), self.number, self.program.name, message)
        first = self._perform(walk.apply(begun, copy_context()))
        if first is not None:
            self._spawn(first)
        self._publish()
        try:
            return await asyncio.shield(self.done)
        except asyncio.CancelledError:
            await self._wind_down()
            raise
        finally:
            for handle in self.graces:
                handle.cancel()
            for task in list(self.busy):  # each has reported its end; let it be over, too
                if task is not asyncio.current_task() and not task.done():
                    await asyncio.wait([task], timeout=GRACE_S)

    async def _wind_down(self) -> None:
        """The frame's own task was cancelled: stop the walk and wait until all of it has stopped."""
        assert self.done is not None
        if not self.done.done():
            self._take(
                Stopped(
                    self.clock(),
                    self.number,
                    "cancelled",
                    WalkCancelled(f"the walk of {self.program.name!r} was cancelled"),
                )
            )
        while not self.done.done():
            try:
                await asyncio.wait([self.done])
            except asyncio.CancelledError:
                continue  # cancelled again while cleaning up: the clean-up still has to end

    def _abandon(self, ids: Sequence[int]) -> None:
        """What was told to stop and would not is left behind, and said to be."""
        assert self.walk is not None
        for id in ids:
            act = self.walk.running.get(id)
            if act is not None and id in self.walk.cancelling:
                self.shared.run.tell(NodeAbandoned(self.clock(), self.number, id, act.slot.name))
                task = self.tasks.pop(id, None)
                if task is not None:
                    self.busy.discard(task)
                more = self._take(self._ended(act))
                self.started.pop(id, None)
                if more is not None:
                    self._spawn(more)

    def _take(self, fact: Event, context: Context | None = None) -> Activation | None:
        """Journals a fact, applies it, performs what follows; returns the first activation for the caller to go on with."""
        assert self.walk is not None
        self.shared.run.tell(fact)
        follow = self._perform(self.walk.apply(fact, context), inline=True)
        if self.walk.outbox:
            self._publish()
        elif self.walk.count >= self.clearing:
            self._drop_old(self.walk)
        return follow

    def _drop_old(self, walk: Walk) -> None:
        """Keeps how the walk stands, and drops what is old: in a loop that goes on, with nobody listening."""
        self.clearing = walk.count + max(LONG, len(walk.running) + len(walk.waiting))
        if self.observed or not self.program.laps:
            return
        self.shared.run.journal.append(Snapshot(walk, self.started))
        self.shared.run.drop_old(self.number, 2 * self.program.size)

    def _publish(self) -> None:
        assert self.walk is not None
        if self.walk.outbox:
            for event in self.walk.outbox:
                if type(event) is NodeStarted:
                    self.starting[event.activation] = event
                else:
                    self.shared.run.tell(event)
            self.walk.outbox.clear()

    def _perform(self, commands: list[Command], *, inline: bool = False) -> Activation | None:
        """Carries out commands; returns an activation for the caller to go on with."""
        follow: Activation | None = None
        for command in commands:
            if type(command) is Activation:
                if inline and follow is None:
                    follow = command
                else:
                    self._spawn(command)
            elif type(command) is Cancel:
                follow = self._cancel(command, follow)
            elif type(command) is Finish:
                assert self.done is not None
                if not self.done.done():
                    self.done.set_result(command)
        return follow

    def _spawn(self, act: Activation) -> None:
        assert act.context is not None
        context = act.context.copy()
        task = self.loop.create_task(self._branch(act, context), context=context)
        self.tasks[act.id] = task
        self.busy.add(task)

    def _cancel(self, command: Cancel, follow: Activation | None) -> Activation | None:
        assert self.walk is not None
        self.graces.append(self.loop.call_later(GRACE_S, self._abandon, command.ids))
        for id in command.ids:
            act = self.walk.running.get(id)
            task = self.tasks.get(id)
            if act is None:
                continue
            if task is not None:
                if id in self.started:
                    task.cancel()  # else its branch sees at its first step that it was cancelled
                continue
            if follow is not None and follow.id == id:
                follow = None
            more = self._take(self._ended(act))
            if more is not None and follow is not None:
                self._spawn(more)
            elif more is not None:
                follow = more
        return follow

    async def _branch(self, first: Activation, context: Context) -> None:
        """Activates, reports, and goes on with what follows, until nothing does."""
        act: Activation | None = first
        task = self.tasks[first.id]
        driven = False  # whether this is another context than the task's
        try:
            while act is not None:
                number = act.id
                fact = await (within(context, self._report(act)) if driven else self._report(act))
                if self.walk is None or number not in self.walk.running:
                    return  # it was abandoned meanwhile
                self.tasks.pop(number, None)
                left = context.copy() if act.slot.forks else context  # its other branches go on from it
                act = self._take(fact, left)
                self.started.pop(number, None)
                if act is not None:
                    self.tasks[act.id] = task
                    if act.context is not left:
                        assert act.context is not None
                        context, driven = act.context.copy(), True
        except BaseException as error:  # a bug of ours: let the frame end with it rather than hang
            if self.done is not None and not self.done.done():
                bug = RuntimeError(f"a bug in graphflow, please report it: {type(error).__name__}: {error}")
                bug.__cause__ = error
                self.done.set_exception(bug)
                for other in self.busy - {task}:
                    other.cancel()
            if not isinstance(error, Exception):
                raise
        finally:
            self.busy.discard(task)

    async def _report(self, act: Activation) -> Event:
        """The fact that an activation ends in."""
        if self.attempted:
            try:
                await let_timers_stop()
            except asyncio.CancelledError:
                return self._ended(act)
        started = perf_counter() - self.began
        refused = self._begin(act, started)
        if refused is not None:
            return refused
        slot = act.slot
        try:
            if not act.id % GIVE_WAY:
                await asyncio.sleep(0)
            direct = slot.direct if self.denied is None else None
            if direct is not None:
                output = await direct(act.message if slot.entry is None else slot.entry(act.message))
                if type(output) is not slot.expected and slot.fits is not None and not slot.fits(output):
                    raise wrong_output(slot.node, output)
            else:
                inputs = act.inputs if act.inputs is not None else {slot.port: act.message}
                output = await self.activate(slot, inputs, act.id)
        except BaseException as error:
            if isinstance(error, GeneratorExit) and is_closed(self.tasks.get(act.id)):
                raise
            return self._failure(act, error, started)
        if act.id in self.walk.cancelling:  # type: ignore[union-attr]  # it has swallowed the request to stop
            return self._stopped(act)
        return NodeFinished(perf_counter() - self.began, self.number, act.id, slot.name, output, started)

    def _begin(self, act: Activation, started: float) -> Event | None:
        """Charges the step that an activation is; the fact that ends it at once, if it must not begin."""
        assert self.walk is not None
        if act.id in self.walk.cancelling:
            return self._ended(act)
        if self.metered:
            try:
                self.ledger.charge("steps")
            except LimitExceeded as limit:
                return Stopped(started, self.number, "limited", limit)
        else:
            self.ledger.count_steps()
        self.started[act.id] = started
        if self.starting:
            self.shared.run.tell(self.starting.pop(act.id))
        return None

    def _failure(self, act: Activation, error: BaseException, started: float) -> Event:
        """The fact that an activation ends in which has raised."""
        assert self.walk is not None
        if self.ends(error):
            return Stopped(self.clock(), self.number, "limited", error)
        if act.id in self.walk.cancelling:
            return self._stopped(act)
        if isinstance(error, asyncio.CancelledError):
            error = cancellation(act.slot.name, error)
        return NodeFailed(self.clock(), self.number, act.id, act.slot.name, error, started)

    def _stopped(self, act: Activation) -> Event:
        uncancel()
        return self._ended(act)

    def _ended(self, act: Activation) -> Event:
        """The fact that an activation has ended because the walk told it to."""
        started = self.started.get(act.id)
        if started is not None:
            return NodeCancelled(self.clock(), self.number, act.id, act.slot.name, started)
        return NodeRefused(self.clock(), self.number, act.id, act.slot.name)


def cancellation(node: str, cancelled: asyncio.CancelledError) -> Exception:
    """What a cancellation means that the walk has not asked for."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return WalkCancelled(f"node {node!r} was cancelled from outside of the walk")
    return stray(node, cancelled)


def is_closed(task: asyncio.Task[Any] | None) -> bool:
    """Whether a `GeneratorExit` comes from outside: the event loop is gone, and nothing can be awaited any more.

    One that a node raises itself arises while its task runs.
    """
    try:
        return task is None or asyncio.current_task() is not task
    except RuntimeError:  # no event loop runs
        return True


def uncancel() -> None:
    """Takes back the requests to cancel the current task that the walk itself has made."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
