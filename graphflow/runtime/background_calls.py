"""Background calls: a call that goes on while its caller does, in a task of the run's.

Rules:
1. What can be refused is refused to the caller, here and now: depth, the message. The rest shows in the handle.
2. It ends with the run at the latest (`run_scope.py`), and exactly one event tells how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphflow.declaration.background import Background, cut_off
from graphflow.events import BackgroundFinished, BackgroundStarted, Status
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.messages.state import UNSET, StateWrite, StateWrites
from graphflow.model.conversation import Conversation
from graphflow.model.turns import Turn
from graphflow.proofs.proven import ProvenGraph, solo
from graphflow.runtime.endings import status_of
from graphflow.runtime.frame import Frame, Invocation
from graphflow.runtime.records import BackgroundRecord
from graphflow.runtime.validation import check_input
from graphflow.walk.revision import Revision

BackgroundWork = Callable[[Invocation], Awaitable[Any]]


def begin_background(invocation: Invocation, work: BackgroundWork) -> Background:
    """Begins a call in the background and returns its handle; `work` brings its answer."""
    frame, node, call = invocation.frame, invocation.node, invocation.call
    target, _ = node.entry()
    check_input(target if isinstance(target, ProvenGraph) else solo(target), invocation.message)
    frame.ledger.enter(node.name, None)
    assert call is not None  # on an arrow nothing is in the background
    if frame.watch is not None:
        activation = invocation.activation
        frame.watch.kept_scopes[activation] = frame.scope_of(activation)
    past = frame.shared.past
    begun = None if past is None else past.background_at(call.place.name)
    if begun is not None:
        return take_up(invocation, work, begun)
    turns: Sequence[Turn] = ()
    if call.conversation is not None:
        # As it is now, not as it will be when the call comes to look at it.
        call.conversation = Conversation(call.conversation.all_turns())
        turns = call.conversation.turns if node.isolation == "forked" else ()
    handle = _new_handle(frame, node.name)
    background = _new_background(invocation, handle)
    started = BackgroundStarted(*invocation.stamp, node.name, handle, _states_of(invocation))
    frame.tell(started, _detail(invocation, turns))
    _work_on(invocation, work, background)
    return background


def _states_of(invocation: Invocation) -> StateWrites:
    """What the states are that a call is lent, as a record keeps it."""
    frame, call = invocation.frame, invocation.call
    assert call is not None
    if frame.shared.recorder is None or frame.states is None or call.base is None:
        return ()
    target, _ = invocation.node.entry()
    # An agent sees what its caller sees, a graph what it says that it uses.
    states = target.program.states if isinstance(target, ProvenGraph) else None
    lent = frame.states.visible if states is None else states
    kept: list[StateWrite] = []
    for state in lent.values():
        if frame.states.visible.get(state.name) != state:
            continue
        value = call.base.value(state)
        if value is not UNSET:
            kept.append(StateWrite(state, "set", value))
    return tuple(kept)


def _detail(invocation: Invocation, turns: Sequence[Turn] = ()) -> Detail:
    if invocation.frame.shared.recorder is None:
        return NO_DETAIL
    return Detail(invocation.place.name, invocation.node, turns=turns)


def take_up(invocation: Invocation, work: BackgroundWork, record: BackgroundRecord) -> Background:
    """The handle of a call that was begun in an earlier sitting: if it has not ended there, it is begun again."""
    frame, node = invocation.frame, invocation.node
    handle = record.started.handle
    background = frame.shared.backgrounds.get(handle)
    if background is not None:
        return background
    background = _new_background(invocation, handle)
    ended = record.finished
    if ended is None:
        assert invocation.call is not None
        if record.started.writes:
            values = {write.state: write.value for write in record.started.writes}
            invocation.call.base = Revision(values=values)
        invocation.call.conversation = Conversation(list(record.turns)) if record.turns else None
        _work_on(invocation, work, background)
        return background
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if ended.status == "cancelled":
        answer.cancel()
    elif ended.error is not None:
        answer.set_exception(ended.error)
        answer.exception()  # whoever awaits the handle is told
    else:
        answer.set_result(record.output(node))
        background.note_writes(ended.writes)
    background.begin(node, answer)
    background.note_end()
    return background


def _work_on(invocation: Invocation, work: BackgroundWork, background: Background) -> None:
    frame, node = invocation.frame, invocation.node
    begun = frame.clock()
    task = asyncio.get_running_loop().create_task(_in_background(invocation, work, background))
    background.begin(node, task, frame.shared.sitting)

    def tell_if_never_begun(_: asyncio.Task[Any]) -> None:
        if not background.has_ended:  # it was cancelled before its first step
            _tell_ended(invocation, background, Ending("cancelled"), begun)

    task.add_done_callback(tell_if_never_begun)


def _new_background(invocation: Invocation, handle: str) -> Background:
    frame = invocation.frame
    background = Background(handle=handle, node=invocation.node.name)
    background.note_caller(frame.number, invocation.activation)
    frame.shared.backgrounds[handle] = background
    return background


def _new_handle(frame: Frame, name: str) -> str:
    shared = frame.shared
    known = set(shared.backgrounds)
    if shared.past is not None:
        known.update(shared.past.backgrounds)
    count = 1
    while f"{name}-{count}" in known:
        count += 1
    return f"{name}-{count}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call in the background has ended."""

    status: Status
    output: object = None
    error: BaseException | None = None


async def _in_background(
    invocation: Invocation, work: BackgroundWork, background: Background
) -> Any:
    started = invocation.frame.clock()
    ending = Ending("cancelled")
    sitting = invocation.frame.shared.sitting
    if sitting is not None:
        sitting.add()
    try:
        output = await _until_deadline(invocation, work)
        background.note_writes(invocation.writes)
        ending = Ending("completed", output)
        return output
    except BaseException as error:
        ending = Ending(status_of(error), None, error)
        raise
    finally:
        if sitting is not None:
            sitting.drop()
        _tell_ended(invocation, background, ending, started)


def _tell_ended(
    invocation: Invocation, background: Background, ending: Ending, started: float
) -> None:
    background.note_end()
    if background.was_cut_off and ending.status == "cancelled":
        ending = Ending("cancelled", None, cut_off(background))
    finished = BackgroundFinished(
        *invocation.stamp,
        node=background.node,
        handle=background.handle,
        status=ending.status,
        output=ending.output,
        error=ending.error,
        started=started,
        writes=background.writes,
    )
    invocation.frame.tell(finished, _detail(invocation))


async def _until_deadline(invocation: Invocation, work: BackgroundWork) -> Any:
    """A background call is in nobody's scope, so the deadlines around it are kept here."""
    ledger = invocation.frame.ledger
    book = ledger.first_deadline()
    if book is None:
        return await work(invocation)
    clock = asyncio.timeout_at(book.deadline)
    try:
        async with clock:
            output = await work(invocation)
    except TimeoutError:
        if clock.expired():
            raise book.exceeded("seconds") from None
        raise
    ledger.check_time()
    return output
