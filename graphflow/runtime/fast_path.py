"""The straight path: one token, nobody listening, compiled to plain awaits.

Rules:
1. It writes the same facts that the general path would (`tests/runtime/test_straight.py` holds both against each other).
2. A hop makes no object but its journal row; everything that is not a direct call goes through the frame.
3. Every 512 hops the event loop gets its turn, so that a graph that never waits cannot starve other runs.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from graphflow.concurrency import attempt, let_timers_stop
from graphflow.declaration.handoffs import Handover, without_turns
from graphflow.errors import LimitExceeded, WalkCancelled
from graphflow.events import NodeCancelled, NodeFailed, NodeRefused, Status, Stopped
from graphflow.journal.stretch import STRETCH_LENGTH, Stretch
from graphflow.limits import DEFAULT_LAPS
from graphflow.messages.message import Failure, LimitReached, error_text
from graphflow.proofs.program import Link, Slot, arm_of
from graphflow.runtime.attempts import activate
from graphflow.runtime.cancellation import asked_to_stop, stray
from graphflow.runtime.frame import Frame
from graphflow.runtime.validation import wrong_output
from graphflow.walk.dead_ends import DeadEnd, no_output
from graphflow.walk.laps import laps_used_up

GIVE_WAY = 512
"""Hops between turns for others: 0.04 µs a hop, measured; giving way at each hop costs 2.8 µs."""


async def walk_straight(frame: Frame, message: object) -> object:
    """The output of a graph without forks and joins."""
    path = _Straight(frame)
    program = frame.program
    slots = program.slots
    start = slots[program.start]
    link = start.alone
    if link is None:
        try:
            link, message = path.next(start, message, message)
        except _Ended as ended:
            raise ended.error from None
    slot = slots[link.target]
    while slot.index != program.end:
        slot, message = await path.hops(slot, message)
    path.flush(path.count)
    return [message] if program.ends == "all" else message


class _Straight:
    """Where a straight walk stands."""

    __slots__ = (
        "attempted",
        "cancelled",
        "cleared",
        "count",
        "default",
        "frame",
        "given",
        "known_steps",
        "laps",
        "ledger",
        "metered",
        "recorder",
        "started",
        "task",
    )

    def __init__(self, frame: Frame) -> None:
        program, ledger = frame.program, frame.ledger
        self.frame = frame
        self.ledger = ledger
        self.laps = [0] * program.laps
        """How often each lap edge was taken."""
        self.default = ledger.limits.laps or DEFAULT_LAPS
        """How often one without a limit of its own may be taken."""
        self.count = 0
        self.cleared = 0
        """The activation at which old stretches were dropped last."""
        self.known_steps = 0
        """Steps that the ledger knows of."""
        recorder = frame.shared.recorder
        self.recorder = recorder if recorder is not None and recorder.sync == "each" else None
        """What keeps each step before the next one is made, if the run wants that."""
        self.attempted = self.recorder is not None or attempt() is not None
        """Whether there is something to wait for before a step: the disk, or timers of an attempt with a time limit."""
        self.metered = self.attempted or ledger.timed or ledger.limits_steps
        """Whether each step has to be charged before it is made; else they are only counted."""
        self.started = 0.0
        self.given: object = None
        """What the node was given whose answer is being sent on."""
        # The outermost frame is walked in the run's own task; asking asyncio for it costs more.
        task = frame.shared.run._task
        if frame.origin is not None:
            task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.cancelled = task.cancelling()
        """Requests to stop that were there before this walk, and are not meant for it."""

    async def hops(self, slot: Slot, message: object) -> tuple[Slot, object]:
        """Goes on until END, or until a node fails and its `Failure` edge says where to go on."""
        # What a hop reads is local: an attribute would be looked up again at each of millions of hops.
        frame = self.frame
        slots, end = frame.program.slots, frame.program.end
        metered, attempted = self.metered, self.attempted
        cancelling, cancelled = self.task.cancelling, self.cancelled
        count = self.count
        # Facts are put in the order of time when they are read.
        stretch = self.stretch(count + 1, slot, message)
        note = stretch.hops.extend
        started = perf_counter()
        try:
            while True:
                count += 1
                if not count % GIVE_WAY:
                    stretch = await self.give_way(stretch, slot, message, count)
                    note = stretch.hops.extend
                    started = perf_counter()
                if metered:
                    await self.charged(slot, count) if attempted else self.charge(slot, count)
                direct = slot.direct
                if direct is not None:
                    output = await direct(message)
                    if (
                        type(output) is not slot.expected
                        and slot.fits is not None
                        and not slot.fits(output)
                    ):
                        raise wrong_output(slot.node, output)
                else:
                    self.flush(count)
                    output = await activate(frame, slot, {slot.port: message}, count)
                if cancelling() > cancelled:
                    cancelled = self.go_on_or_stop()
                at = perf_counter()
                note((slot.index, started, at, output))
                started = at
                link = slot.alone
                if link is None:
                    self.given = message
                    if slot.handoff_links is None:
                        link, message = self.next(slot, output, message)
                    else:
                        link, message = self.hand_over_or_next(slot, output, message)
                elif not slot.passes_input:
                    message = output
                slot = slots[link.target]
                if slot.index == end:
                    return slot, message
        except BaseException as error:
            self.started = started
            answered = stretch.first + len(stretch) > count
            return self.failed(slot, message, error, count, answered)
        finally:
            self.count = count

    async def give_way(self, stretch: Stretch, slot: Slot, message: object, count: int) -> Stretch:
        """Gives others their turn; the row of the journal to go on with."""
        await asyncio.sleep(0)
        recorder = self.frame.shared.recorder
        if recorder is not None:
            recorder.pass_on()
        if self.laps and count - stretch.first >= STRETCH_LENGTH:
            return self.stretch(count, slot, message)
        return stretch

    def go_on_or_stop(self) -> int:
        """Stops a walk whose node has swallowed a request to stop; else the request was the node's own business."""
        if asked_to_stop(self.frame, self.task, self.cancelled, None):
            raise asyncio.CancelledError
        self.cancelled = self.task.cancelling()
        return self.cancelled

    def charge(self, slot: Slot, count: int) -> None:
        """Charges a step, or ends the walk before it is made."""
        try:
            self.ledger.charge("steps")
        except LimitExceeded as limit:
            self.refuse(slot, count, "limited", limit)
            raise _Ended(limit) from None

    async def charged(self, slot: Slot, count: int) -> None:
        """The same where something is waited for before: if the time of an attempt is over, the walk ends before the step."""
        if self.recorder is not None:
            await self.recorder.before_effect()
        try:
            await let_timers_stop()
        except asyncio.CancelledError as stopped:
            self.refuse(slot, count, "cancelled", self.cancelled_error())
            raise _Ended(stopped) from None
        self.charge(slot, count)

    def refuse(self, slot: Slot, count: int, status: Status, error: BaseException) -> None:
        """Journals that the walk stops before an activation has begun."""
        frame = self.frame
        at, number = frame.clock(), frame.number
        frame.tell(Stopped(at, number, status, error))
        frame.tell(NodeRefused(at, number, count, slot.name))

    def cancelled_error(self) -> WalkCancelled:
        return WalkCancelled(f"the walk of {self.frame.program.name!r} was cancelled")

    def stretch(self, first: int, slot: Slot, message: object) -> Stretch:
        """A new row of the journal for the hops from here on."""
        frame = self.frame
        stretch = Stretch(frame.number, first, slot.index, message, self.laps)
        run = frame.shared.run
        run.journal.append(stretch)
        recorder = frame.shared.recorder
        if recorder is not None:
            recorder.add_stretch(stretch)
        if self.laps and first - self.cleared >= STRETCH_LENGTH:
            self.cleared = first
            run.drop_old(frame.number, 2 * frame.program.size)
        return stretch

    def next(self, slot: Slot, output: object, message: object) -> tuple[Link, object]:
        """The one link that an output takes, and what travels on it: of a router by labels what it was given."""
        if not slot.passes_input:
            message = output
        unit = arm_of(slot, output) if slot.arms else -1
        # Nothing forks here, so the first link that fits is the only one.
        for link in slot.links:
            if (link.units is None or unit in link.units) and (
                link.matches is None or link.matches(output)
            ):
                guard = link.guard
                if guard is None or guard == "otherwise" or guard(message):
                    break
        else:
            dead_end = DeadEnd(slot.name, "nothing takes what it sent")
            raise _Ended(no_output(self.frame.program, [dead_end]))
        counter = link.lap_index
        if counter >= 0:
            laps = self.laps
            if laps[counter] >= (link.limit or self.default):
                return self.crossed(slot, link, message)
            laps[counter] += 1
        if link.resets:
            self.reset(link)
        return link, message

    def hand_over_or_next(self, slot: Slot, output: object, message: object) -> tuple[Link, object]:
        """The same for a node that may hand the walk over."""
        if type(output) is not Handover or slot.handoff_links is None:
            return self.next(slot, output, message)
        link = slot.handoff_links[output.target]
        return self.crossed(slot, link, output.travelling)

    def crossed(self, slot: Slot, link: Link, message: object) -> tuple[Link, object]:
        """Counts the laps of the link that is taken; where they are used up, `LimitReached` goes instead."""
        if self._is_used_up(link):
            value, instead = self._limit_of(link), self._instead_of(slot, link)
            reached = LimitReached(limit="laps", value=value, message=without_turns(message))
            return self._counted(instead), reached
        return self._counted(link), message

    def _instead_of(self, slot: Slot, link: Link) -> Link:
        """The link for `LimitReached`, which may be used up itself."""
        if slot.limit_links:
            link = slot.limit_links[0]
            if not self._is_used_up(link):
                return link
        frame, value = self.frame, self._limit_of(link)
        raise _Ended(laps_used_up(frame.program, frame.path, link, value))

    def _counted(self, link: Link) -> Link:
        if link.lap is not None:
            self.laps[link.lap_index] += 1
        self.reset(link)
        return link

    def reset(self, link: Link) -> None:
        """A link that enters a loop anew counts its laps from zero."""
        for index in link.resets:
            self.laps[index] = 0

    def _is_used_up(self, link: Link) -> bool:
        if link.lap is None:
            return False
        taken = self.laps[link.lap_index]
        return taken >= self._limit_of(link)

    def _limit_of(self, link: Link) -> int:
        return link.limit or self.default

    def failed(
        self, slot: Slot, message: object, error: BaseException, count: int, answered: bool
    ) -> tuple[Slot, object]:
        """Journals how an activation ended that gave no output; where to go on, or the error again.

        `answered` says that the node did answer, and a guard on its way raised: the answer is journaled already.
        """
        frame = self.frame
        self.flush(count)
        # The walk has ended by itself, while a node's answer was being sent on: that is not a failure of the node.
        if isinstance(error, _Ended):
            raise error.error from None
        name = slot.name
        at, number = frame.clock(), frame.number
        started = self.started - frame.shared.run.began
        # A limit of this frame, or of one around it, ends the walk; a limit of a frame within is the node's failure.
        if frame.ends(error):
            frame.tell(Stopped(at, number, "limited", error))
            frame.tell(NodeCancelled(at, number, count, name, started))
            raise error
        stop = asked_to_stop(frame, self.task, self.cancelled, error)
        self.cancelled = self.task.cancelling()
        if stop:
            frame.tell(Stopped(at, number, "cancelled", self.cancelled_error()))
            frame.tell(NodeCancelled(at, number, count, name, started))
            # An ordinary error came of the cancellation, and would be taken for a failure further out.
            if isinstance(error, Exception):
                raise asyncio.CancelledError
            raise error
        # Nobody asked this walk to stop: it is the node's own failure.
        if isinstance(error, asyncio.CancelledError):
            error = stray(name, error)
        if not answered:
            frame.tell(NodeFailed(at, number, count, name, error, started))
        given = self.given if answered else message
        return self.mended(slot, given, error)

    def mended(self, slot: Slot, given: object, error: BaseException) -> tuple[Slot, object]:
        """Where a walk goes on behind a failure, and with what; without an edge for it, it ends."""
        if not slot.failure_links or not isinstance(error, Exception):
            raise error
        failure = Failure(
            node=slot.name,
            error=error_text(error),
            kind=type(error).__name__,
            input=without_turns(given),
        )
        try:
            link, message = self.crossed(slot, slot.failure_links[0], failure)
        except _Ended as ended:
            raise ended.error from None
        return self.frame.program.slots[link.target], message

    def flush(self, count: int) -> None:
        """Tells the ledger of the steps that were only counted."""
        if not self.metered and count > self.known_steps:
            self.ledger.count_steps(count - self.known_steps)
            self.known_steps = count


class _Ended(BaseException):
    """Carries the walk's own end past the handling of node failures."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
