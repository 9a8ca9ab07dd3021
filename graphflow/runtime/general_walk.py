"""The general walk of a frame: it carries out the machine's commands and reports what came of them.

Rules:
1. It decides nothing. What a message, a failure or a cancellation means is the machine's business; what may be used is the
   ledger's; what a node does is the node's.
2. A task per branch, never per node: the activation that follows from a result goes on in the same task.
3. Every task it starts has ended when the frame is left, however it is left.

    START >> a >> (b, c) >> d        a task for `a`, which goes on with `b`; another one for `c`; whoever comes last to the
                                     join goes on with `d`
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context, copy_context
from time import perf_counter
from typing import Any

from graphflow.concurrency import attempt, let_timers_stop
from graphflow.contexts import within
from graphflow.declaration.handoffs import Handover
from graphflow.errors import ClaimBroken, Diverged, LimitExceeded, MergeFailed, WalkCancelled
from graphflow.events import (
    Event,
    NodeAbandoned,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    NodeStarted,
    RunStarted,
    Stopped,
)
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.journal.stretch import STRETCH_LENGTH
from graphflow.messages.state import StateWrites
from graphflow.proofs.program import Slot
from graphflow.proofs.state_arrows import written_by_arrows
from graphflow.runtime.attempts import activate
from graphflow.runtime.cancellation import is_closed, unasked, uncancel
from graphflow.runtime.fit import check_places, push_facts
from graphflow.runtime.frame import Frame
from graphflow.runtime.past import Past
from graphflow.runtime.records import FrameRecord
from graphflow.runtime.time_limits import GRACE_S
from graphflow.runtime.validation import wrong_output
from graphflow.runtime.watch import ClaimWatch, was_refused
from graphflow.walk.commands import Activation, Cancel, Command, Finish
from graphflow.walk.machine import Walk
from graphflow.walk.revision import BrokenRevision, merge_problem
from graphflow.walk.snapshot import Snapshot

GIVE_WAY = 64
"""Activations between turns for others: listeners, timers, whoever wants to cancel."""


class GeneralWalk:
    """One frame at work."""

    __slots__ = (
        "attempted",
        "began",
        "busy",
        "clearing",
        "done",
        "frame",
        "graces",
        "has_states",
        "is_plain",
        "keeps_effects",
        "ledger",
        "looks_first",
        "loop",
        "metered",
        "number",
        "recorder",
        "sitting",
        "started",
        "starting",
        "tasks",
        "tell",
        "tells_details",
        "walk",
        "watch",
    )

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.ledger = frame.ledger
        self.number = frame.number
        self.sitting = frame.shared.sitting
        self.is_plain = frame.denied is None and frame.shared.mask is None
        """Whether nodes without options may be called straight."""
        self.watch: ClaimWatch | None = None
        """What claims see of the activations; None: no claim does."""
        self.tell = frame.shared.run.tell
        self.walk = Walk(
            frame.program,
            frame.ledger.limits,
            frame=frame.number,
            path=frame.path,
            observed=frame.observed,
        )
        self.keeps_effects = frame.keeps_effects
        self.has_states = frame.states is not None
        # One look at each, for the hundreds of thousands of activations that none of it concerns.
        self.tells_details = self.keeps_effects
        self.looks_first = self.has_states or self.walk.outbox is not None
        if frame.watch is not None and frame.watch.sees_arrows:
            self.watch = frame.watch
            self.tells_details = self.looks_first = True
        if frame.states is not None:
            self.walk.origin = frame.states.origin
            self.walk.keeps_writes = bool(frame.states.lent)
        frame.walk = self.walk
        frame.wrote = {}
        frame.effects = {}
        self.loop = asyncio.get_running_loop()
        """Asked for once: asking costs a system call, before Python 3.12."""
        self.done: asyncio.Future[Finish] = self.loop.create_future()
        self.tasks: dict[int, asyncio.Task[None]] = {}
        """The task that carries out each activation."""
        self.busy: set[asyncio.Task[None]] = set()
        """All tasks that have not ended; an activation that was abandoned has one no more."""
        self.started: dict[int, float] = {}
        """When each activation under way has begun, in seconds of the run; those that are not here are not steps yet."""
        self.starting: dict[int, NodeStarted] = {}
        """What will be told of activations when they begin, if somebody listens: one that is refused is not a step."""
        self.graces: list[asyncio.TimerHandle] = []
        """When those that were told to stop are abandoned."""
        self.began = frame.shared.run.began
        """When the run began, by the process clock."""
        self.clearing = STRETCH_LENGTH
        """The activation after which old rows of the record are dropped."""
        recorder = frame.shared.recorder
        self.recorder = recorder if recorder is not None and recorder.sync == "each" else None
        """What keeps each step before the next one is made, if the run wants that."""
        self.attempted = self.recorder is not None or attempt() is not None
        """Whether there is something to wait for before a step: the disk, or timers of an attempt with a time limit."""
        self.metered = frame.ledger.timed or frame.ledger.limits_steps
        """Whether each step has to be charged before it is made; else they are only counted."""

    async def output(self, message: object) -> Any:
        """Walks to the graph's output."""
        finish = await self._finish(message)
        if finish.error is not None:
            raise finish.error
        return finish.output

    def clock(self) -> float:
        """Seconds since the run began."""
        return perf_counter() - self.began

    async def _finish(self, message: object) -> Finish:
        begun = RunStarted(self.clock(), self.number, self.frame.program.name, message)
        commands = self.walk.apply(begun, copy_context())
        record = self.frame.record
        if record is None:
            self._perform(commands)
            self._publish()
        else:
            self._go_on(record)
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

    def _go_on(self, record: FrameRecord) -> None:
        """Goes on where an earlier sitting has stopped: its facts move the walk, then what was under way is begun again.

        Raises:
            Diverged: a fact does not fit the graph as it is now.
        """
        walk, past = self.walk, self.frame.shared.past
        assert past is not None
        self._push(record, past)
        if past.backgrounds:
            self.frame.shell.take_up(self.frame)
        under_way = list(walk.running.values())
        for act in under_way:
            if act.id in walk.cancelling:  # it was told to stop, and has stopped with its process
                more = self._take(self._ended(act))
                if more is not None:
                    self._spawn(more)
            elif act.id in walk.running:
                self._spawn(act)
        if walk.finish is not None and not self.done.done():
            self.done.set_result(walk.finish)

    def _push(self, record: FrameRecord, past: Past) -> None:
        """Lets the recorded facts of this frame move the walk."""
        walk, recorder = self.walk, self.frame.shared.recorder
        assert recorder is not None
        try:
            cancelled = push_facts(walk, record.facts, self.frame.count_place)
            check_places(past, record, self.frame.within.name, walk)
        except Diverged as diverged:
            recorder.refuse(diverged)  # no node has failed, and no edge for failures may take it
            raise
        self.ledger.count_steps(cancelled)
        if walk.outbox:
            walk.outbox.clear()  # told when the record was read
        self.frame.take_turns(walk.running)

    async def _wind_down(self) -> None:
        """The frame's own task was cancelled: stop the walk and wait until all of it has stopped."""
        if not self.done.done():
            reason = WalkCancelled(f"the walk of {self.frame.program.name!r} was cancelled")
            self._take(Stopped(self.clock(), self.number, "cancelled", reason))
        while not self.done.done():
            try:
                await asyncio.wait([self.done])
            except asyncio.CancelledError:
                continue  # cancelled again while cleaning up: the clean-up still has to end

    # -- facts and commands ------------------------------------------------------------------------
    def _take(self, fact: Event, context: Context | None = None) -> Activation | None:
        """Journals a fact, applies it, performs what follows; returns the first activation for the caller to go on with."""
        if self.tells_details:
            self._tell_with_detail(fact)
        else:
            self.tell(fact)
        walk = self.walk
        follow = self._perform(walk.apply(fact, context), inline=True)
        if walk.outbox:
            self._publish()
        elif walk.count >= self.clearing:
            self._drop_old()
        return follow

    def _tell_with_detail(self, fact: Event) -> None:
        """Journals a fact; the answer of what must not be done twice with its place, and whether what failed had begun."""
        detail = NO_DETAIL
        if isinstance(fact, NodeFailed) and self.watch is not None:
            reservation = self.watch.open.get(fact.activation)
            if was_refused(self.watch, reservation, fact.error):
                detail = Detail(unbegun=True)
        elif isinstance(fact, NodeFinished) and self.keeps_effects:
            place = self.frame.effects.pop(fact.activation, "")
            if place:
                detail = Detail(effect=place)
        self.tell(fact, detail)
        if self.watch is not None:
            self.watch.end_activation(fact)

    def _drop_old(self) -> None:
        """Keeps how the walk stands, and drops what is old: in a loop that goes on, with nobody listening."""
        walk, frame = self.walk, self.frame
        # A snapshot is as large as the walk is wide, so wide walks make them less often.
        self.clearing = walk.count + max(STRETCH_LENGTH, len(walk.running) + len(walk.waiting))
        if frame.observed or not frame.program.laps:
            return
        run = frame.shared.run
        run.journal.append(Snapshot(walk, self.started))
        run.drop_old(self.number, 2 * frame.program.size)

    def _publish(self) -> None:
        """Tells what follows from the facts, if somebody listens."""
        outbox = self.walk.outbox
        if not outbox:
            return
        for event in outbox:
            if type(event) is NodeStarted:
                self.starting[event.activation] = event
            else:
                self.tell(event)
        outbox.clear()

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
            elif type(command) is Finish and not self.done.done():
                self.done.set_result(command)
        return follow

    def _spawn(self, act: Activation) -> None:
        assert act.context is not None
        context = act.context.copy()
        task = self.loop.create_task(self._branch(act, context), context=context)
        self.tasks[act.id] = task
        self.busy.add(task)

    def _cancel(self, command: Cancel, follow: Activation | None) -> Activation | None:
        """Tells activations to stop. Those that have not begun have ended with that; what follows may be gone on with."""
        self.graces.append(self.loop.call_later(GRACE_S, self._abandon, command.ids))
        for id in command.ids:
            act = self.walk.running.get(id)
            if act is None:
                continue
            task = self.tasks.get(id)
            if task is not None:
                # One that has not begun yet sees at its first step that it was cancelled.
                if id in self.started:
                    task.cancel()
                continue
            if follow is not None and follow.id == id:
                follow = None
            more = self._take(self._ended(act))
            if more is None:
                continue
            if follow is None:
                follow = more
            else:
                self._spawn(more)
        return follow

    def _abandon(self, ids: Sequence[int]) -> None:
        """What was told to stop and would not is left behind, and an event says so."""
        for id in ids:
            act = self.walk.running.get(id)
            if act is None or id not in self.walk.cancelling:
                continue
            self.tell(NodeAbandoned(self.clock(), self.number, id, act.slot.name))
            task = self.tasks.pop(id, None)
            if task is not None:
                self.busy.discard(task)
            more = self._take(self._ended(act))
            self.started.pop(id, None)
            if more is not None:
                self._spawn(more)

    # -- branches ----------------------------------------------------------------------------------
    async def _branch(self, first: Activation, context: Context) -> None:
        """Activates, reports, and goes on with what follows, until nothing does."""
        act: Activation | None = first
        task = self.tasks[first.id]
        driven = False  # whether this is another context than the task's
        try:
            while act is not None:
                id = act.id
                fact = await (within(context, self._report(act)) if driven else self._report(act))
                if id not in self.walk.running:
                    return  # it was abandoned meanwhile
                self.tasks.pop(id, None)
                # Its other branches go on from it.
                left = context.copy() if act.slot.forks else context
                act = self._take(fact, left)
                self.started.pop(id, None)
                if act is None:
                    break
                self.tasks[act.id] = task
                # Behind a join the context may be that of another branch.
                if act.context is not left:
                    assert act.context is not None
                    context, driven = act.context.copy(), True
        except BaseException as error:
            self._break_down(error, task)
            if not isinstance(error, Exception):
                raise
        finally:
            self.busy.discard(task)

    def _break_down(self, error: BaseException, task: asyncio.Task[None]) -> None:
        """A bug of ours: the frame ends with it rather than hang."""
        if self.done.done():
            return
        bug = RuntimeError(f"a bug in graphflow, please report it: {type(error).__name__}: {error}")
        bug.__cause__ = error
        self.done.set_exception(bug)
        for other in self.busy - {task}:
            other.cancel()

    async def _stopped_before(self, act: Activation) -> Event | None:
        """Lets the record be written, and timers stop what they stop; the fact that an activation ends in by that."""
        try:
            if self.recorder is not None:
                await self.recorder.before_effect()
            await let_timers_stop()
        except asyncio.CancelledError:
            return self._ended(act)
        return None

    async def _report(self, act: Activation) -> Event:
        """The fact that an activation ends in."""
        if self.attempted:
            stopped = await self._stopped_before(act)
            if stopped is not None:
                return stopped
        started = perf_counter() - self.began
        refused = self._begin(act, started)
        if refused is not None:
            return refused
        slot = act.slot
        sitting = self.sitting
        if sitting is not None:
            sitting.add()
        try:
            if not act.id % GIVE_WAY:
                await asyncio.sleep(0)
            direct = slot.direct
            if direct is not None and self.is_plain:
                message = act.message if slot.entry is None else slot.entry(act.message)
                output = await direct(message)
                if type(output) is not slot.expected:
                    _check_output(slot, output)
            else:
                inputs = {slot.port: act.message} if act.inputs is None else act.inputs
                output = await activate(self.frame, slot, inputs, act.id)
        except BaseException as error:
            self.frame.wrote.pop(act.id, None)
            return self._failure(act, error, started)
        finally:
            if sitting is not None:
                sitting.drop()
        if self.has_states or act.id in self.walk.cancelling:
            return self._answered(act, output, started)
        # Written out, as it is by far the most common end.
        return NodeFinished(
            perf_counter() - self.began, self.number, act.id, slot.name, output, started
        )

    def _answered(self, act: Activation, output: object, started: float) -> Event:
        """The fact that an activation has answered; or that what it has written cannot be merged."""
        if act.id in self.walk.cancelling:  # it has swallowed the request to stop
            return self._stopped(act)
        slot = act.slot
        writes: StateWrites = ()
        if self.has_states:
            writes = self._written(act, output)
            unmerged = merge_problem(act.revision, writes)
            if unmerged is not None:
                return self._failure(act, unmerged, started)
        at = perf_counter() - self.began
        return NodeFinished(at, self.number, act.id, slot.name, output, started, writes)

    def _written(self, act: Activation, output: object) -> StateWrites:
        """What an activation has written by its code, and what its arrows write of its answer."""
        writes = self.frame.wrote.pop(act.id, ())
        arrows = act.slot.state_arrows
        if arrows and type(output) is not Handover:
            return (*writes, *written_by_arrows(arrows, output))
        return writes

    def _begin(self, act: Activation, started: float) -> Event | None:
        """Charges the step that an activation is; the fact that ends it at once, if it must not begin."""
        if act.id in self.walk.cancelling:
            return self._ended(act)
        ledger = self.ledger
        if self.metered:
            try:
                ledger.charge("steps")
            except LimitExceeded as limit:
                return Stopped(started, self.number, "limited", limit)
        elif ledger.parent is None:  # nobody else is to be told
            ledger.steps += 1
        else:
            ledger.count_steps()
        self.started[act.id] = started
        if self.looks_first:
            return self._refused(act, started)
        return None

    def _refused(self, act: Activation, started: float) -> Event | None:
        """Tells that an activation begins; the failure that it ends in at once.

        So it ends where its states could not be merged, or a claim does not let it begin.
        """
        start = self.starting.pop(act.id, None)
        if start is not None:  # of what was under way before a crash the record tells it
            self.tell(start)
        if self.has_states and isinstance(act.revision, BrokenRevision):
            error = self._unmerged(act, act.revision.error)
            return self._failure(act, error, started)
        if self.watch is not None:
            return self._reserve(self.watch, act, started)
        return None

    def _unmerged(self, act: Activation, error: BaseException) -> BaseException:
        """What a merge has failed with that its join had to make, with the ways that meet there."""
        if not isinstance(error, MergeFailed):
            return error
        before: dict[str, None] = {}
        for slot in self.frame.program.slots:
            if any(link.target == act.slot.index for link in slot.links):
                before[slot.name] = None
        named = MergeFailed(error.state, error.why, tuple(before))
        named.__cause__ = error.__cause__
        return named

    def _reserve(self, watch: ClaimWatch, act: Activation, started: float) -> Event | None:
        """Has the claims count an activation; the failure that it ends in, if a claim does not let it begin."""
        is_direct = act.slot.direct is not None and self.is_plain
        try:
            watch.begin_activation(act, is_direct=is_direct)
        except ClaimBroken as broken:
            return self._failure(act, broken, started)
        return None

    def _failure(self, act: Activation, error: BaseException, started: float) -> Event:
        """The fact that an activation ends in which has raised."""
        # Without an event loop nothing can be reported any more.
        if isinstance(error, GeneratorExit) and is_closed(self.tasks.get(act.id)):
            raise error
        # A limit of this frame, or of one around it, ends the walk; a limit of a frame within is the node's failure.
        if self.frame.ends(error):
            return Stopped(self.clock(), self.number, "limited", error)
        if act.id in self.walk.cancelling:
            return self._stopped(act)
        if isinstance(error, asyncio.CancelledError):
            error = unasked(act.slot.name, error)
        return NodeFailed(self.clock(), self.number, act.id, act.slot.name, error, started)

    def _stopped(self, act: Activation) -> Event:
        uncancel()
        return self._ended(act)

    def _ended(self, act: Activation) -> Event:
        """The fact that an activation has ended because the walk told it to."""
        started = self.started.get(act.id)
        if started is None:
            return NodeRefused(self.clock(), self.number, act.id, act.slot.name)
        return NodeCancelled(self.clock(), self.number, act.id, act.slot.name, started)


def _check_output(slot: Slot, output: object) -> None:
    """Refuses an output that does not fit; one of another class than usual may."""
    if slot.fits is not None and not slot.fits(output):
        raise wrong_output(slot.node, output)
