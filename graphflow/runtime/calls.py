"""Calls along call edges, and the frames that are entered.

Rules:
1. A call stands in one order: the edge exists, the step is charged, the arguments fit, policies allow it, its kind is
   charged, somebody agrees if that is asked for, then it is done. What stops it before the last has done nothing.
2. A frame that may not be entered is refused before anybody is asked about it, and before its node does anything.
3. If a caller is tried again, and asks the same again, it gets the answer that there is (`effects.py`): nothing is done
   twice.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from graphflow.claims.guard import Reservation, Stake
from graphflow.concurrency import let_timers_stop
from graphflow.contexts import within
from graphflow.declaration.background import Background
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode, find_callee
from graphflow.errors import ClaimRefused
from graphflow.events import CallFailed, CallFinished, CallStarted, FrameEntered, FrameExited
from graphflow.journal.detail import NO_DETAIL, Detail, FrameForm
from graphflow.limits import Limits, tightest
from graphflow.messages.copies import copy_of
from graphflow.messages.state import StateWrites
from graphflow.model.conversation import Conversation
from graphflow.places import Place, place_at
from graphflow.plain import json_size
from graphflow.policy import Policy, also
from graphflow.proofs.program import acts
from graphflow.proofs.proven import ProvenGraph, solo
from graphflow.runtime.attempts import error_line, perform
from graphflow.runtime.background_calls import begin_background, take_up
from graphflow.runtime.call import Call
from graphflow.runtime.effects import answered_once
from graphflow.runtime.endings import status_of
from graphflow.runtime.frame import Answer, Frame, Invocation, Read, Shell
from graphflow.runtime.questions import ask_outside
from graphflow.runtime.recall import KnownCall, detail_of_end, recorded_call
from graphflow.runtime.records import BackgroundRecord, LeftFrame
from graphflow.runtime.sitting import Sitting, in_turn
from graphflow.runtime.state_view import CallWrites, StateView
from graphflow.runtime.validation import check_deps, check_input
from graphflow.runtime.walks import walked
from graphflow.runtime.watch import was_refused, watch_within
from graphflow.trace_context import context_of
from graphflow.walk.revision import lent_writes

UNFIT = "[arguments that do not fit]"
"""What stands in the journal for arguments that could not be read: nobody knows which of them is a secret."""


# -- calls -----------------------------------------------------------------------------------------
async def call(
    frame: Frame, ctx: Context, callee: AnyNode | str, message: object, read: Read
) -> Any:
    """The answer of a node that another one calls."""
    await let_timers_stop()
    caller, activation = ctx.node, ctx.activation
    node = find_callee(caller, callee, frame.edges_of(caller))
    shared = frame.shared
    tell = shared.run.tell
    clock = frame.clock
    unfit: Exception | None = None
    try:
        given = read(node, message)
    except Exception as error:
        given, unfit = UNFIT, error
    given = frame.masked(given, "call", activation, node.name)
    # Nothing has been awaited so far, so the order of equal questions is that of the code which asks them.
    lasting = node.asked_once
    place = ctx.asking.ask(node.name, given, lasting=lasting)
    detail = NO_DETAIL
    if shared.recorder is not None:
        known = recorded_call(frame, ctx, node, place)
        if known is not None:
            _take_over_writes(ctx, known.writes, given)
            return _known_answer(known, frame, ctx, given, place)
        detail = Detail(place.name, node, lasting=lasting)
    frame.ledger.charge("steps")  # a refused call is not a step: nothing is told of it
    shared.calls += 1
    number = shared.calls
    under_way = Call(number, caller, place, (), ctx.conversation)
    written = _lend_states(ctx, under_way)
    number_of_frame = frame.number
    started = clock()
    begun = CallStarted(
        started, number_of_frame, activation, number, caller.name, node.name, copy_of(given)
    )
    tell(begun, detail)
    try:
        if unfit is not None:
            raise unfit
        under_way.policies = frame.policies_of(caller, ctx.policies)
        frame.judge(node, given, place, under_way.policies)
        port = node.ports[0].name if node.enters == "never" else ""
        invocation = Invocation(frame, node, {port: given}, activation, under_way)
        answer = answered_once(invocation, _carried_out)
        if shared.sitting is not None:
            answer = _beside_others(shared.sitting, ctx, answer)
        # What the callee sets in its context variables stays with it.
        output = await within(context_of("call", 0, number), answer)
    except BaseException as error:
        unbegun = was_refused(frame.watch, under_way, error)
        under_way.stop()
        tell(
            CallFailed(clock(), number_of_frame, activation, number, node.name, error, started),
            detail_of_end(under_way, detail, unbegun=unbegun),
        )
        raise
    stake = under_way.stake
    if stake is not None and stake.sees_end:
        _note_answer(under_way, stake, output)
    written.writes = under_way.writes
    end = (node.name, copy_of(output), started, under_way.writes)
    finished = CallFinished(clock(), number_of_frame, activation, number, *end)
    tell(finished, detail_of_end(under_way, detail))
    return output


def _note_answer(call: Call, stake: Stake, output: Any) -> None:
    """Tells claims that a call has answered."""
    if stake.is_plain:
        stake.state.bits += stake.answers
    elif stake.node.in_background:
        _follow(call, output)
    else:
        stake.answer(output)


def _follow(reservation: Reservation, background: Background) -> None:
    """Has claims count a call in the background until that ends: its handle is not yet an answer."""
    if background.task is None:
        reservation.stop()
    else:
        background.task.add_done_callback(partial(_note_end, reservation))


def _note_end(reservation: Reservation, task: asyncio.Future[Any]) -> None:
    """Tells claims how a call in the background has ended."""
    if task.cancelled() or task.exception() is not None:
        reservation.stop()
    else:
        reservation.answer(task.result())


def _lend_states(ctx: Context, call: Call) -> CallWrites:
    """Lets a call see the states that its caller sees; the place of its writes among those of its caller."""
    view = ctx.states
    if not isinstance(view, StateView):
        return CallWrites()
    call.base = view.revision
    return view.reserve()


def _take_over_writes(ctx: Context, writes: StateWrites, given: object) -> None:
    """Lets the writes of a call count that an earlier sitting has seen the end of."""
    if not writes or not isinstance(ctx.states, StateView):
        return
    # They may be those of a call in the background, whose answer it has looked at: then they are the very same.
    handle = getattr(given, "handle", "")
    background = ctx.frame.background(ctx.node, handle)
    if background is not None and background.writes == writes:
        writes = background.writes
    ctx.states.reserve().writes = writes


def _known_answer(known: KnownCall, frame: Frame, ctx: Context, given: object, place: Place) -> Any:
    """What an earlier sitting has got; of a call in the background, a handle of this one."""
    node = known.node
    if not (node.in_background and known.is_answer):
        return known.answer()
    past = frame.shared.past
    assert past is not None
    policies = frame.policies_of(ctx.node, ctx.policies)
    under_way = Call(known.record.number, ctx.node, place, policies, ctx.conversation)
    invocation = Invocation(frame, node, {"": given}, ctx.activation, under_way)
    for record in past.backgrounds.values():
        if record.place == place.name:
            return take_up(invocation, _entered, record)
    return begin_background(invocation, _entered)


def take_up_backgrounds(frame: Frame) -> None:
    """Begins the calls in the background of a frame again that were begun before a crash: they wait for no caller.

    With the outermost frame, those of frames that were left go on, too.
    """
    past = frame.shared.past
    assert past is not None
    for record in past.backgrounds.values():
        number = record.started.frame
        if number == frame.number:
            _go_on_with(frame, record)
        elif frame.origin is None and past.left_frame(number) is not None:
            left = _left_frame(frame, number)
            if left is not None:
                _go_on_with(left, record)


def _go_on_with(frame: Frame, record: BackgroundRecord) -> None:
    event, started = record.started, record.call
    if started is None:
        return
    for node in frame.callees.get(started.caller, ()):
        if node.name == event.node and node.in_background:
            place = place_at(frame.within, record.place)
            under_way = Call(started.call, node, place, _policies_for(frame, started.caller), None)
            invocation = Invocation(frame, node, {"": started.input}, event.activation, under_way)
            background = take_up(invocation, _entered, record)
            if frame.watch is not None and record.finished is None:
                scope = frame.scope_of(event.activation)
                reservation = frame.watch.begin_again(under_way.caller, node, scope)
                _follow(reservation, background)
            return


def _policies_for(frame: Frame, caller: str) -> tuple[Policy, ...]:
    """What the calls of the node of that name need the consent of."""
    named = frame.program.nodes_by_name.get(caller)
    if named is not None:
        return frame.policies_of(named)
    for callees in frame.callees.values():
        for node in callees:
            if node.name == caller:
                return frame.policies_of(node)
    return frame.policies


def _left_frame(outermost: Frame, number: int) -> Frame | None:
    """A frame that was left in an earlier sitting; None if the graph has it no more."""
    if number == 0:
        return outermost
    past = outermost.shared.past
    assert past is not None
    left = past.any_frame(number)
    outer = None if left is None else _left_frame(outermost, left.parent)
    if left is None or outer is None:
        return None
    node = _entered_node(outer, left.form)
    return None if node is None else _frame_of(outer, node, None, None, left)


def _entered_node(outer: Frame, form: FrameForm) -> AnyNode | None:
    """The node that was entered as a frame."""
    if form.call is None:
        return outer.program.nodes_by_name.get(form.node)
    for callees in outer.callees.values():
        for node in callees:
            if node.name == form.node:
                return node
    return None


async def _beside_others(sitting: Sitting, ctx: Context, answer: Answer) -> Any:
    """An answer, while it is known that the call moves in place of its caller; and beside its other calls, if there are any."""
    if ctx.calls_under_way:
        sitting.add()
    ctx.calls_under_way += 1
    try:
        return await answer
    finally:
        ctx.calls_under_way -= 1
        if ctx.calls_under_way:
            sitting.drop()


def _carried_out(invocation: Invocation) -> Answer:
    """The answer to a call that policies allow, and that no earlier attempt has an answer to."""
    watch, node, call = invocation.frame.watch, invocation.node, invocation.call
    if watch is None:
        return _allowed(invocation)
    assert call is not None
    try:
        stake = watch.calls[call.caller.name][node.name]
    except KeyError:
        stake = watch.stake_of_call(call.caller, node, invocation.activation)
    if stake is not None:
        # Checked and counted in one step: of two calls of one turn only one gets the last place.
        refusal = call.begin(stake)
        if refusal is not None:
            raise ClaimRefused(node.name, str(refusal.claim), refusal.why)
        invocation.reservation = call
    return _allowed(invocation)


def _allowed(invocation: Invocation) -> Answer:
    """The answer to a call that nothing is against but the limits."""
    node, call = invocation.node, invocation.call
    assert call is not None
    if node.meter is not None:
        invocation.frame.ledger.charge(node.meter)
        call.metered = node.meter
    if node.in_background or invocation.frame.shared.recorder is not None:
        answer: Answer = _begun(invocation)
    else:
        answer = _entered(invocation)
    if invocation.frame.ledger.limits_output:
        return _measured(invocation, answer)
    return answer


async def _measured(invocation: Invocation, answer: Answer) -> Any:
    """An answer where bytes of answers are limited.

    Raises:
        LimitExceeded: there are too many; nobody gets it.
    """
    output = await answer
    size = json_size(output)
    invocation.frame.ledger.charge("output_bytes", size)
    return output


async def _begun(invocation: Invocation) -> Any:
    """The same, as soon as the record has what it must have before; of a call in the background, its handle."""
    node = invocation.node
    recorder = invocation.frame.shared.recorder
    if recorder is not None and (acts(node) or recorder.sync == "each"):
        await recorder.before_effect()
    if node.in_background:
        return begin_background(invocation, _entered)
    return await _entered(invocation)


def _entered(invocation: Invocation) -> Answer:
    """The answer of what is called: an agent or a graph in a frame of its own, anything else where it stands."""
    if invocation.node.enters == "called":
        return enter(invocation, invocation.message, None)
    return perform(invocation)


# -- frames ----------------------------------------------------------------------------------------
async def enter(invocation: Invocation, message: object, limits: Limits | None) -> Any:
    """Pushes a frame for a graph or agent and walks it to its end."""
    node, call = invocation.node, invocation.call
    conversation = None
    if call is not None and node.isolation == "shared":
        conversation = call.conversation
    if conversation is None:
        return await _pushed_and_walked(invocation, message, limits)
    # Two agents that share a conversation speak one after the other.
    async with in_turn(conversation.lock, invocation.frame.shared.sitting):
        asides = conversation.count
        output = await _pushed_and_walked(invocation, message, limits)
        assert call is not None
        call.turns = conversation.added_since(asides)
        return output


async def _pushed_and_walked(invocation: Invocation, message: object, limits: Limits | None) -> Any:
    outer, node = invocation.frame, invocation.node
    outer.ledger.check_depth(node.name)  # before anything is done
    target, _ = node.entry()
    checked = check_input(target if isinstance(target, ProvenGraph) else solo(target), message)
    # Validation may have made a message of plain data; the frame's place is that of what its graph takes.
    if checked is not message:
        invocation = invocation.given({"": checked})
        message = checked
    frame = _frame_of(outer, node, invocation, limits)
    invocation.note_begun()
    ledger = frame.ledger
    tell = outer.shared.run.tell
    clock, number, record = frame.clock, frame.number, frame.record
    if record is None:
        detail = NO_DETAIL if outer.shared.recorder is None else Detail(frame.within.name)
        call = None if invocation.call is None else invocation.call.number
        entered = (outer.number, invocation.activation, ledger.path, message, call)
        tell(FrameEntered(clock(), number, *entered), detail)
    sitting = outer.shared.sitting
    try:
        if sitting is None:
            output = await walked(frame, message)
        else:
            with sitting.resting():  # its activations move in its place
                output = await walked(frame, message)
    except BaseException as error:
        if record is None or not record.exited:
            tell(FrameExited(clock(), number, status_of(error), None, error_line(error)))
        raise
    if record is None or not record.exited:
        tell(FrameExited(clock(), number, "completed", output))
    if frame.states is not None:
        invocation.keep_writes(_writes_of(frame))
    return output


def _writes_of(frame: Frame) -> StateWrites:
    """What a frame that has ended has written to the states that it was lent."""
    states, walk = frame.states, frame.walk
    assert states is not None
    final = None if walk is None else walk.final
    if final is None or not states.lent:
        return ()
    return lent_writes(final, states.origin, states.lent)


def _frame_of(
    outer: Frame,
    node: AnyNode,
    invocation: Invocation | None,
    limits: Limits | None,
    left: LeftFrame | None = None,
) -> Frame:
    """The frame that entering a node pushes; or one that was left in an earlier sitting."""
    target, edge_limits = node.entry()
    if isinstance(target, ProvenGraph):
        graph, callees = target, None
    else:
        # Alone on its arrows, it calls along the edges that it has in the graph around.
        graph, callees = solo(target), outer.callees
    deps = node.child_deps(outer.deps)
    check_deps(graph.name, graph.deps, deps)
    frame = Frame(
        outer.shell,
        outer.shared,
        graph.program,
        outer.ledger.enter(node.name, tightest(graph.limits, edge_limits, limits)),
        graph.model if graph.model is not None else outer.default,
        deps,
        also(
            outer.policies if invocation is None else invocation.policies, node.policy, graph.policy
        ),
        callees,
        None if invocation is None else _conversation_for(invocation),
        invocation,
        target,
        left,
    )
    if outer.watch is not None or graph.claims:
        activation = 0 if invocation is None else invocation.activation
        scope = outer.scope_of(activation)
        frame.be_watched(watch_within(outer.watch, node, graph, target, scope))
    return frame


def _conversation_for(invocation: Invocation) -> Conversation | None:
    """The conversation that a sub-agent goes on from."""
    node, call = invocation.node, invocation.call
    if call is None or call.conversation is None or node.isolation == "isolated":
        return None
    if node.isolation == "shared":
        return call.conversation
    return Conversation(call.conversation.all_turns())


SHELL = Shell(call, enter, ask_outside, take_up_backgrounds)
"""What all frames of a run are given."""
