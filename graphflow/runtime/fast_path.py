"""The straight path: one token, nobody listening, compiled to plain awaits.

Rules:
1. It writes the same facts that the general path would (`tests/runtime/test_straight.py` holds both against each other).
2. A hop makes no object but its journal row; everything that is not a direct call goes through the frame.
3. Every 512 hops the event loop gets its turn, so that a graph that never waits cannot starve other runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from graphflow.concurrency import attempt, let_timers_stop
from graphflow.declaration.handoffs import Handover, without_turns
from graphflow.errors import LimitExceeded, WalkCancelled
from graphflow.events import NodeCancelled, NodeFailed, NodeRefused, Stopped
from graphflow.journal.stretch import LONG, Stretch
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


async def walk_straight(frame: Frame, message: Any) -> Any:
    """The output of a graph without forks and joins."""
    path = _Straight(frame)
    slots, end = frame.program.slots, frame.program.end
    start = slots[frame.program.start]
    try:
        link, message = path.next(start, message, message) if start.alone is None else (start.alone, message)
    except _Ended as ended:
        raise ended.error from None
    slot = slots[link.target]
    while slot.index != end:
        slot, message = await path.hops(slot, message)
    path.flush(path.count)
    return [message] if frame.program.ends == "all" else message


NONE: list[int] = []


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
        "laps",
        "ledger",
        "metered",
        "started",
        "task",
        "told",
    )

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.ledger = frame.ledger
        self.laps = [0] * frame.program.laps if frame.program.laps else NONE
        self.default = frame.ledger.limits.laps or DEFAULT_LAPS
        self.count = 0
        self.cleared = 0
        """The activation at which old stretches were dropped last."""
        self.told = 0
        """Steps that the ledger knows of."""
        self.attempted = attempt() is not None
        """Whether this is part of an attempt with a time limit."""
        self.metered = self.attempted or frame.ledger.timed or frame.ledger.metered("steps")
        """Whether each step has to be charged before it is made; else they are only counted."""
        self.started = 0.0
        self.given: Any = None
        """What the node was given whose answer is being sent on."""
        task = asyncio.current_task() if frame.origin is not None else frame.shared.run._task
        assert task is not None
        self.task = task
        self.cancelled = task.cancelling()
        """Requests to stop that were there before this walk, and are not meant for it."""

    async def hops(self, slot: Slot, message: Any) -> tuple[Slot, Any]:
        """Goes on until END, or until a node fails and its `Failure` edge says where to go on."""
        frame = self.frame
        program, metered, attempted = frame.program, self.metered, self.attempted
        slots, end = program.slots, program.end
        cancelling, cancelled = self.task.cancelling, self.cancelled
        count = self.count
        stretch = self.stretch(count + 1, slot, message)  # facts are put in the order of time when they are read
        note = stretch.hops.extend
        started = perf_counter()
        try:
            while True:
                count += 1
                if not count % GIVE_WAY:
                    await asyncio.sleep(0)
                    if self.laps and count - stretch.first >= LONG:
                        stretch = self.stretch(count, slot, message)
                        note = stretch.hops.extend
                    started = perf_counter()
                if metered:
                    await self.charged(slot, count) if attempted else self.charge(slot, count)
                direct = slot.direct
                if direct is not None:
                    output = await direct(message)
                    if type(output) is not slot.expected and slot.fits is not None and not slot.fits(output):
                        raise wrong_output(slot.node, output)
                else:
                    self.flush(count)
                    output = await activate(frame, slot, {slot.port: message}, count)
                if cancelling() > cancelled:
                    if asked_to_stop(frame, self.task, cancelled, None):  # the node has swallowed the request
                        raise asyncio.CancelledError
                    cancelled = self.cancelled = cancelling()
                at = perf_counter()
                note((slot.index, started, at, output))
                started = at
                link = slot.alone
                if link is not None:
                    message = message if slot.passes_input else output
                else:
                    self.given = message
                    link, message = self.next(slot, output, message if slot.passes_input else output)
                slot = slots[link.target]
                if slot.index == end:
                    return slot, message
        except BaseException as error:
            self.started = started
            answered = stretch.first + len(stretch.hops) // 4 > count
            return self.failed(slot, message, error, count, answered)
        finally:
            self.count = count

    def charge(self, slot: Slot, count: int) -> None:
        """Charges a step, or ends the walk before it is made."""
        try:
            self.ledger.charge("steps")
        except LimitExceeded as limit:
            frame = self.frame
            at, tell = frame.clock(), frame.shared.run.tell
            tell(Stopped(at, frame.number, "limited", limit))
            tell(NodeRefused(at, frame.number, count, slot.name))
            raise _Ended(limit) from None

    async def charged(self, slot: Slot, count: int) -> None:
        """The same within an attempt: if its time is over, the walk ends before the step."""
        try:
            await let_timers_stop()
        except asyncio.CancelledError as stopped:
            frame = self.frame
            at, tell = frame.clock(), frame.shared.run.tell
            reason = WalkCancelled(f"the walk of {frame.program.name!r} was cancelled")
            tell(Stopped(at, frame.number, "cancelled", reason))
            tell(NodeRefused(at, frame.number, count, slot.name))
            raise _Ended(stopped) from None
        self.charge(slot, count)

    def stretch(self, first: int, slot: Slot, message: Any) -> Stretch:
        """A new row of the journal for the hops from here on."""
        stretch = Stretch(self.frame.number, first, slot.index, message, self.laps)
        run = self.frame.shared.run
        run.journal.append(stretch)
        if self.laps and first - self.cleared >= LONG:
            self.cleared = first
            run.drop_old(self.frame.number, 2 * self.frame.program.size)
        return stretch

    def next(self, slot: Slot, output: Any, message: Any) -> tuple[Link, Any]:
        """The one link that an output takes, and what travels on it."""
        links: Sequence[Link] = slot.links
        if slot.handoff_links is not None and type(output) is Handover:
            links, message = (slot.handoff_links[output.target],), output.travelling
        unit = arm_of(slot, output) if slot.arms and links is slot.links else -1
        for link in links:  # nothing forks here, so the first link that fits is the only one
            if (link.units is None or unit in link.units) and (link.matches is None or link.matches(output)):
                guard = link.guard
                if guard is None or guard == "otherwise" or guard(message):
                    break
        else:
            raise _Ended(self._lost(slot))
        counter = link.lap_index
        if counter >= 0:
            laps = self.laps
            if laps[counter] >= (link.limit or self.default):
                return self.crossed(slot, link, message)
            laps[counter] += 1
        if link.resets:
            for index in link.resets:
                self.laps[index] = 0
        return link, message

    def crossed(self, slot: Slot, link: Link, message: Any) -> tuple[Link, Any]:
        """Counts the laps of the link that is taken; where they are used up, `LimitReached` goes instead."""
        if link.lap is not None and self._used_up(link):
            over = link
            value = self._most(over)
            instead = next(iter(slot.limit_links), None)
            if instead is not None:
                over = instead
            if instead is None or (instead.lap is not None and self._used_up(instead)):
                raise _Ended(laps_used_up(self.frame.program, self.frame.path, over, self._most(over)))
            message = LimitReached(limit="laps", value=value, message=without_turns(message))
            link = instead
        if link.lap is not None:
            self.laps[link.lap_index] += 1
        for index in link.resets:
            self.laps[index] = 0
        return link, message

    def _used_up(self, link: Link) -> bool:
        return self.laps[link.lap_index] >= self._most(link)

    def _most(self, link: Link) -> int:
        return link.limit or self.default

    def failed(self, slot: Slot, message: Any, error: BaseException, count: int, answered: bool) -> tuple[Slot, Any]:
        """Journals how an activation ended that gave no output; where to go on, or the error again.

        `answered` says that the node did answer, and a guard on its way raised: the answer is journaled already.
        """
        frame = self.frame
        self.flush(count)
        if isinstance(error, _Ended):
            raise error.error from None
        clock, number, name = frame.clock(), frame.number, slot.name
        started = self.started - frame.shared.run.began
        tell = frame.shared.run.tell
        if frame.ends(error):
            tell(Stopped(clock, number, "limited", error))
            tell(NodeCancelled(clock, number, count, name, started))
            raise error
        stop = asked_to_stop(frame, self.task, self.cancelled, error)
        self.cancelled = self.task.cancelling()
        if stop:
            reason = WalkCancelled(f"the walk of {frame.program.name!r} was cancelled")
            tell(Stopped(clock, number, "cancelled", reason))
            tell(NodeCancelled(clock, number, count, name, started))
            raise error if not isinstance(error, Exception) else asyncio.CancelledError
        if isinstance(error, asyncio.CancelledError):  # nobody asked this walk to stop: it is the node's own failure
            error = stray(name, error)
        if not answered:
            tell(NodeFailed(clock, number, count, name, error, started))
        if not slot.failure_links or not isinstance(error, Exception):
            raise error
        given = without_turns(self.given if answered else message)
        failure = Failure(node=name, error=error_text(error), kind=type(error).__name__, input=given)
        try:
            link, failing = self.crossed(slot, slot.failure_links[0], failure)
        except _Ended as ended:
            raise ended.error from None
        return frame.program.slots[link.target], failing

    def flush(self, count: int) -> None:
        """Tells the ledger of the steps that were only counted."""
        if not self.metered and count > self.told:
            self.ledger.count_steps(count - self.told)
            self.told = count

    def _lost(self, slot: Slot) -> BaseException:
        """Why the walk ends where nothing takes what a node sent, in the walk's own words."""
        dead_end = DeadEnd(slot.name, "nothing takes what it sent")
        return no_output(self.frame.program, [dead_end])


class _Ended(BaseException):
    """Carries the walk's own end past the handling of node failures."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
