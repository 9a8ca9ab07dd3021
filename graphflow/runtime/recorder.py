"""The recorder of a run: it takes down what the run tells, and sees to it that it is kept.

    run.tell   >   note   >   pending facts   >   rows, in groups   >   store.append
                                                                          ^
                                barrier: awaits that all so far is kept  -+

Rules:
1. Nothing waits for the disk but who has reason to: before something is done to the world, after a model has answered, at the
   end. Everything else goes along with the next group.
2. Rows have the order in which their facts became known; of two prefixes of a record the longer one knows more.
3. If rows cannot be kept, the run stops at once: what it would do from here on could not be known later. A run that is kept
   by best effort goes on, and its record is removed: half of one would have the rest done twice.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from threading import get_ident
from time import monotonic
from typing import Any

from graphflow.declaration.handoffs import Handover
from graphflow.errors import (
    ConversationMoved,
    LeaseLost,
    StoreError,
    StoreUnreachable,
    Unstorable,
)
from graphflow.events import Event, FrameExited, NodeFinished, RunEnded, RunStarted
from graphflow.journal.detail import NO_DETAIL, Detail, FrameForm
from graphflow.journal.exchanges import ConversationChange
from graphflow.journal.row_writer import RowDraft, RowWriter
from graphflow.journal.store import Ownership, Store
from graphflow.journal.stored import RunHeader, StoredRow
from graphflow.journal.stretch import VALUES_A_HOP, Stretch
from graphflow.journal.weight import is_heavy
from graphflow.messages.state import StateWrites
from graphflow.runtime.options import Sync
from graphflow.runtime.run_record import RunRecord

HOPS_HERE = 64
"""Hops that are written down in the event loop; more take a thread."""
GROUP = 2048
"""Facts that are written in one go at most."""
FIRST_WAIT_S = 0.05
"""Seconds before a store that was not reached is tried again; each wait is twice as long as the one before."""
MAX_WAIT_S = 2.0

_Hops = tuple[Stretch, int, int]
"""A stretch of a straight walk, and which of its hops: from, to."""
_RowSource = tuple[Event, Detail] | _Hops


def _is_heavy(note: _RowSource) -> bool:
    """Whether writing a fact down is nothing for the event loop."""
    if len(note) == 3:
        stretch, start, end = note
        if end - start > HOPS_HERE:
            return True
        hops = stretch.hops
        for place in range(start * VALUES_A_HOP + 3, end * VALUES_A_HOP, VALUES_A_HOP):
            if is_heavy(hops[place]):
                return True
        return False
    event, detail = note
    if detail.reply is not None:
        return is_heavy(detail.reply.text)
    return any(is_heavy(getattr(event, name, None)) for name in ("input", "output", "value"))


def _completes(note: _RowSource) -> bool:
    """Whether it tells that the run has completed."""
    event = note[0]
    return isinstance(event, RunEnded) and event.status == "completed"


def _subject(note: _RowSource) -> str:
    """What a fact is about, for an error."""
    if len(note) == 3:
        return "the answers of a straight walk"
    event, _ = note
    node = getattr(event, "node", "")
    return f"{event.kind} of {node!r}" if node else event.kind


def _parted(stretch: Stretch, start: int, end: int) -> list[_RowSource]:
    """Hops, with each that hands over by itself: what it sends is of no type that its node declares."""
    parts: list[_RowSource] = []
    for hop in range(start, end):
        if type(stretch.hops[hop * VALUES_A_HOP + 3]) is not Handover:
            continue
        if hop > start:
            parts.append((stretch, start, hop))
        parts.append((stretch, hop, hop + 1))
        start = hop + 1
    if start < end:
        parts.append((stretch, start, end))
    return parts


def holder() -> str:
    """Who owns what this process has acquired, in words for people."""
    return f"process {os.getpid()} on {socket.gethostname()}"


async def patiently(ask: Callable[[], Awaitable[None]], patience_s: float) -> None:
    """Asks a store again while it is not reached: it may be back in a moment.

    Args:
        ask: what is asked; again, it does no harm.
        patience_s: for so many seconds. After the lease somebody else may own the run.

    Raises:
        StoreUnreachable: it did not come back.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + patience_s
    wait_s = FIRST_WAIT_S
    while True:
        is_last = clock() >= end  # whoever was frozen while it was asking asks once more
        try:
            return await ask()
        except StoreUnreachable:
            if is_last:
                raise
        await asyncio.sleep(wait_s)
        wait_s = min(MAX_WAIT_S, 2 * wait_s)


async def acquired(store: Store, acquiring: Coroutine[Any, Any, Ownership]) -> Ownership:
    """What creates or acquires a run, to its end. Who is stopped meanwhile gives the run back: nobody else could have it."""
    task = asyncio.get_running_loop().create_task(acquiring)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            with suppress(StoreError):  # who acquires it next waits until the lease is over
                await store.release(task.result())
        raise


class RunRecorder:
    """Keeps the record of one run.

    Args:
        run: the run.
        store: where its rows go.
        sync: when the run waits for them.
        best_effort: whether the run goes on if they cannot be kept.
    """

    def __init__(
        self, run: RunRecord[Any], store: Store, sync: Sync, *, best_effort: bool = False
    ) -> None:
        self.store = store
        self.sync = sync
        self.best_effort = best_effort
        self.ownership: Ownership | None = None
        """The right to add rows, once the run is acquired. Until then they wait."""
        self.error: BaseException | None = None
        """Why nothing more can be kept."""
        self.completing: Callable[[], Awaitable[ConversationChange]] | None = None
        """What its conversation becomes when it has completed, if it is in one."""
        self.former = "cancelled"
        """The status of a run before this sitting."""
        self.refused = False
        """Whether its record does not fit its graph."""
        self.beginnings: StateWrites = ()
        """What those states begin with that live as long as the conversation of the run."""
        self.started: RunStarted | None = None
        """What the run was begun with, if its row was written together with its header."""
        self.muted = False
        """Whether what is told from now on is not for the record: the sitting is over, and what is under way only ends."""
        self._run = run
        self._writer = RowWriter()
        self._pending: list[_RowSource] = []
        self._open: dict[int, tuple[Stretch, int]] = {}
        """The stretch that each straight walk writes at, and how many of its hops were taken down."""
        self._group = 0
        """So many of the oldest that are pending are written together. If that is cut off, the very same are written again:
        they may be kept already."""
        self._sure_until = inf
        """By the process clock: so long nobody else can have taken the run."""
        self._noted = 0
        self._kept = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = get_ident()
        self._soon: asyncio.Handle | None = None
        """Begins a flush in the next turn of the loop, if nobody has by then."""
        self._flushing: asyncio.Task[None] | None = None
        """A flush that nobody waits for."""
        self._waiting: list[asyncio.Future[None]] | None = None
        """Those who wait for the end of the flush under way; None if none is."""
        self._renewing: asyncio.Task[None] | None = None
        self._removing: asyncio.Task[None] | None = None
        """Removes the record of a run that goes on without one."""

    async def begin(
        self, header: RunHeader, lease_s: float, started: RunStarted, detail: Detail
    ) -> None:
        """Begins a run: it is in the store with what it was given, or not at all.

        Raises:
            RunExists: there is one of that id.
        """
        rows: list[StoredRow] = []
        large: Mapping[str, bytes] = {}
        first: list[_RowSource] = [(started, detail)]
        if any(map(_is_heavy, first)):
            drafts, refusal = await self._written_apart(first)
        else:
            drafts, refusal = self._drafts(first)
        if refusal is None:
            rows, large = [drafts[0].numbered(0)], drafts[0].large
            self.started = started
        # Else it is refused again when it is told, and the run goes on without a record.
        elif not self.best_effort:
            raise refusal
        asked = monotonic()
        creating = self.store.create(header, holder(), lease_s, rows, large)
        self.own(await acquired(self.store, creating), asked)

    def own(self, ownership: Ownership, asked: float) -> None:
        """From now on rows may be added; the lease is renewed as long as the run goes on.

        Args:
            ownership: the right to add them.
            asked: when the store was asked for it, by the process clock.
        """
        self.ownership = ownership
        self._sure_until = asked + ownership.lease_s
        self._loop = asyncio.get_running_loop()
        self._renewing = self._loop.create_task(self._renew(ownership))
        self._flush_soon()

    # -- taking down -------------------------------------------------------------------------------
    def enter(self, frame: int, form: FrameForm) -> None:
        """Takes note of a frame that is entered."""
        self._writer.forms[frame] = form

    def form_of(self, frame: int) -> FrameForm:
        """What is known of a frame that was entered."""
        return self._writer.forms[frame]

    def note(self, event: Event, detail: Detail) -> None:
        """Takes down a fact, from whatever thread: plain functions tell from theirs."""
        if self.muted or self._removing is not None or event is self.started:
            return
        if get_ident() != self._thread:
            assert self._loop is not None
            with suppress(RuntimeError):  # the loop is closed, and the function was left behind
                self._loop.call_soon_threadsafe(self.note, event, detail)
            return
        if self._open:
            self._take_hops()
            if isinstance(event, (FrameExited, RunEnded)):
                self._open.pop(event.frame, None)
        self._pending.append((event, detail))
        self._noted += 1
        if self.sync != "end":
            self._flush_soon()

    def add_stretch(self, stretch: Stretch) -> None:
        """From now on a straight walk writes its hops there."""
        if self._removing is not None:
            return
        if self._open:
            self._take_hops()
        self._open[stretch.frame] = (stretch, 0)

    def _take_hops(self) -> None:
        """Takes down the hops that straight walks have made since the last time."""
        if self.muted:
            return
        for frame, (stretch, taken) in self._open.items():
            count = len(stretch)
            if count == taken:
                continue
            self._open[frame] = (stretch, count)
            hops: list[_RowSource] = [(stretch, taken, count)]
            if self._writer.forms[frame].program.handoffs:
                hops = _parted(stretch, taken, count)
            self._pending += hops
            self._noted += len(hops)

    # -- keeping -----------------------------------------------------------------------------------
    async def barrier(self) -> None:
        """Waits until all that was told so far is kept.

        Raises:
            StoreError: it could not be kept, and the run stops.
        """
        self._take_hops()
        goal = self._noted
        while self._kept < goal:
            if self.error is not None:
                raise self.error
            if self._removing is not None:
                return
            if (
                self._waiting is None
            ):  # whoever waits for it does it: a task would cost turns of the event loop
                await self._flush()
                continue
            flushed = asyncio.get_running_loop().create_future()
            self._waiting.append(flushed)
            await flushed

    async def before_effect(self) -> None:
        """Waits until what has led to something that may change the world is kept; for ever, if it cannot be kept.

        Whoever waits is stopped with the run. It must not take for its own failure what is one of the store.
        """
        if self.muted:  # the sitting is over: what is done now would be done again in the next one
            raise asyncio.CancelledError
        try:
            if self.sync != "end":
                await self.barrier()
            # A process that was frozen, or a loop that was busy, has not noticed that its lease is over.
            if self._sure_until < monotonic() and self.error is None and self._removing is None:
                await self._make_sure()
        except Exception:
            await asyncio.get_running_loop().create_future()

    async def _make_sure(self) -> None:
        """Renews a lease that may be over.

        Raises:
            StoreError: the run may be somebody else's by now, and stops.
        """
        ownership = self.ownership
        assert ownership is not None
        try:
            await patiently(lambda: self._renew_once(ownership), ownership.lease_s)
        except StoreError as error:
            self._give_up(error)
            if self.error is not None:
                raise

    def pass_on(self) -> None:
        """Has the hops of a straight walk kept that goes on for long."""
        self._take_hops()
        if self._pending and self.sync != "end":
            self._flush_soon()

    async def finish(self, status: str) -> None:
        """Waits until all is kept, notes how the sitting ended, and gives the run back."""
        try:
            if self.refused:
                status = self.former
            else:
                await self.barrier()
            ownership = self.ownership
            if self._removing is not None:
                await self._removing
            elif ownership is not None:
                await patiently(lambda: self.store.note(ownership, status), ownership.lease_s)
        except (ConversationMoved, Unstorable):
            # Whoever looks for runs to go on with would meet the same again.
            if self.ownership is not None:
                await self.store.note(self.ownership, "failed")
            raise
        finally:
            await self.close()

    async def close(self) -> None:
        """Gives the run back, as far as that is possible."""
        self.muted = True
        for task in (self._renewing, self._flushing):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
        if self.ownership is not None:
            with suppress(StoreError):  # who acquires it next waits until the lease is over
                await self.store.release(self.ownership)

    def _flush_soon(self) -> None:
        if self._soon is None and self._waiting is None and self.ownership is not None:
            self._soon = asyncio.get_running_loop().call_soon(self._begin_flush)

    def _begin_flush(self) -> None:
        self._soon = None
        # Mostly somebody has waited for these rows, and so has written them.
        if self._pending and self._waiting is None and not self.muted:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        """Writes all that is pending. One flush at a time."""
        if self._waiting is not None:
            return
        waiting: list[asyncio.Future[None]] = []
        self._waiting = waiting
        try:
            while self._pending and self.error is None:
                if not self._group:
                    self._group = min(GROUP, len(self._pending))
                await self._write(self._pending[: self._group])
        # Whatever it is, who waits for these rows must not wait for ever.
        except Exception as error:
            self._give_up(error)
        finally:
            self._waiting = None
            for flushed in waiting:
                if not flushed.done():  # whoever waited may have been cancelled
                    flushed.set_result(None)
            if self._pending and self.error is None:  # whoever did it was stopped
                self._flush_soon()

    async def _write(self, batch: Sequence[_RowSource]) -> None:
        ownership = self.ownership
        assert ownership is not None
        if any(map(_is_heavy, batch)):
            drafts, refusal = await self._written_apart(batch)
        else:
            drafts, refusal = self._drafts(batch)
        large: dict[str, bytes] = {}
        rows: list[StoredRow] = []
        first = ownership.rows
        for number, draft in enumerate(drafts, first):
            rows.append(draft.numbered(number))
            if draft.large:
                large.update(draft.large)
        change = await self._change_with(batch) if refusal is None else None
        try:
            if rows:
                try:
                    await self.store.append(ownership, rows, large, change)
                except StoreUnreachable:
                    again = partial(self.store.append, ownership, rows, large, change)
                    await patiently(again, ownership.lease_s)
        finally:
            # They are kept, even if whoever waited for it was stopped meanwhile.
            if ownership.rows > first:
                del self._pending[: len(drafts)]
                self._kept += len(drafts)
                self._group = 0
        if refusal is not None:
            raise refusal

    async def _change_with(self, batch: Sequence[_RowSource]) -> ConversationChange | None:
        """What its conversation becomes with these facts; None: it stays what it is, or there is none."""
        if self.completing is None or not _completes(batch[-1]):
            return None
        return await self.completing()

    async def _written_apart(
        self, batch: Sequence[_RowSource]
    ) -> tuple[list[RowDraft], StoreError | None]:
        """The rows of facts that take long to write, written off the event loop."""
        return await asyncio.to_thread(self._drafts, batch, heavy=True)

    def _drafts(
        self, batch: Sequence[_RowSource], *, heavy: bool = False
    ) -> tuple[list[RowDraft], StoreError | None]:
        """The rows of these facts, as far as they can be written; and why the next one cannot."""
        drafts: list[RowDraft] = []
        for note in batch:
            try:
                drafts.append(self._draft(note, heavy))
            except StoreError as refusal:
                refusal.add_note(
                    f"in {_subject(note)} of run {self._run.id!r}; what came before it is kept"
                )
                return drafts, refusal
        return drafts, None

    def _draft(self, note: _RowSource, heavy: bool) -> RowDraft:
        if len(note) == 2:
            event, detail = note
            return self._writer.row(event, detail)
        stretch, start, end = note
        hops = stretch.hops[start * VALUES_A_HOP : end * VALUES_A_HOP]
        if end - start == 1 and (type(hops[3]) is Handover or (heavy and is_heavy(hops[3]))):
            return self._hop_alone(stretch, start, hops)
        return self._writer.hops(stretch.frame, stretch.first + start, hops, self._run.began)

    def _hop_alone(self, stretch: Stretch, hop: int, values: Sequence[Any]) -> RowDraft:
        """A hop as a row of its own: a large answer is kept once, wherever it travels, if it is not part of a column."""
        slot, started, ended, output = values
        began = self._run.began
        name = self._writer.forms[stretch.frame].program.slots[slot].name
        event = NodeFinished(
            ended - began, stretch.frame, stretch.first + hop, name, output, started - began
        )
        return self._writer.row(event, NO_DETAIL)

    def _give_up(self, error: BaseException) -> None:
        """Stops the run: nothing more of it can be kept."""
        if self.error is not None or self._removing is not None:
            return
        if self.best_effort and not isinstance(error, LeaseLost):
            self._go_on_without(error)
            return
        self.error = error
        self._cancel_run()

    def refuse(self, error: BaseException) -> None:
        """Stops a run whose record does not fit its graph: it stays what it was, for whoever has the right one."""
        self.refused = True
        self._pending.clear()
        self.error = self.error or error
        if self._run._task is not asyncio.current_task():  # which ends by the error itself
            self._cancel_run()

    def _cancel_run(self) -> None:
        task = self._run._task
        if task is not None and not task.done():
            task.cancel()

    def _go_on_without(self, error: BaseException) -> None:
        """Lets the run go on, and nothing of it is kept any more."""
        self._run.unkept = error
        self._pending.clear()
        self._open.clear()
        self._removing = asyncio.get_running_loop().create_task(self._remove())

    async def _remove(self) -> None:
        """Removes what was kept so far."""
        if self._renewing is not None:
            self._renewing.cancel()
        assert self.ownership is not None  # rows were to be added
        with suppress(StoreError):  # a store that is gone is out of reach for others, too
            await self.store.release(self.ownership)
            await self.store.delete(self.ownership.run)

    async def _renew_once(self, ownership: Ownership) -> None:
        asked = monotonic()
        await self.store.renew(ownership)
        self._sure_until = asked + ownership.lease_s

    async def _renew(self, ownership: Ownership) -> None:
        """Renews the lease, four times as often as it needs."""
        while True:
            await asyncio.sleep(ownership.lease_s / 4)
            try:
                await self._renew_once(ownership)
            except LeaseLost as lost:
                self._give_up(lost)
                return
            except StoreError:
                continue  # it may be back before the lease ends; if not, the next row is refused
