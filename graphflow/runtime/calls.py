"""Calls along call edges, and the frames that are entered.

Rules:
1. A call stands in one order: the edge exists, the step is charged, the arguments fit, policies allow it, its kind is
   charged, somebody agrees if that is asked for, then it is done. What stops it before the last has done nothing.
2. A frame that may not be entered is refused before anybody is asked about it, and before its node does anything.
3. If a caller is tried again, and asks the same again, it gets the answer that there is (`effects.py`): nothing is done
   twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from graphflow.concurrency import let_timers_stop
from graphflow.contexts import within
from graphflow.declaration.node import AnyNode, Context, find_callee
from graphflow.events import CallFailed, CallFinished, CallStarted, FrameEntered, FrameExited
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.limits import Limits, tightest
from graphflow.messages.copies import copy_of
from graphflow.model.conversation import Conversation
from graphflow.places import Place, place_at
from graphflow.policy import also
from graphflow.proofs.program import acts
from graphflow.proofs.proven import ProvenGraph, solo
from graphflow.runtime.attempts import error_line, perform
from graphflow.runtime.background_calls import begin_background, take_up
from graphflow.runtime.effects import answered_once
from graphflow.runtime.endings import status_of
from graphflow.runtime.frame import Answer, Call, Frame, Invocation, Read, Shell
from graphflow.runtime.questions import ask_outside
from graphflow.runtime.recall import KnownCall, detail_of_end, recorded_call
from graphflow.runtime.sitting import Sitting, in_turn
from graphflow.runtime.validation import check_deps, check_input
from graphflow.runtime.walks import walked

UNFIT = "[arguments that do not fit]"
"""What stands in the journal for arguments that could not be read: nobody knows which of them is a secret."""


# -- calls -------------------------------------------------------------------------------------------------------------
async def call(frame: Frame, ctx: Context, callee: AnyNode | str, message: object, read: Read) -> Any:
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
    # Nothing has been awaited so far, so the order of equal questions is that of the code which asks them.
    lasting = node.asked_once
    place = ctx.asking.ask(node.name, given, lasting=lasting)
    detail = NO_DETAIL
    if shared.recorder is not None:
        known = recorded_call(frame, ctx, node, place)
        if known is not None:
            return _known_answer(known, frame, ctx, given, place)
        detail = Detail(place.name, node, lasting=lasting)
    frame.ledger.charge("steps")  # a refused call is not a step: nothing is told of it
    shared.calls += 1
    number = shared.calls
    under_way = Call(number, caller, place, (), ctx.conversation)
    where = (frame.number, activation, number)
    tell(CallStarted(clock(), *where, caller.name, node.name, copy_of(given)), detail)
    started = clock()
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
        output = await within(copy_context(), answer)
    except BaseException as error:
        tell(CallFailed(clock(), *where, node.name, error, started), detail_of_end(under_way, detail))
        raise
    finished = CallFinished(clock(), *where, node.name, copy_of(output), started)
    tell(finished, detail_of_end(under_way, detail))
    return output


def _known_answer(known: KnownCall, frame: Frame, ctx: Context, given: object, place: Place) -> Any:
    """What an earlier sitting has got; of a call in the background, a handle of this one."""
    node = known.node
    if not (node.in_background and known.is_answer):
        return known.answer()
    past = frame.shared.past
    assert past is not None
    policies = frame.policies_of(ctx.node, ctx.policies)
    under_way = Call(0, ctx.node, place, policies, ctx.conversation)
    invocation = Invocation(frame, node, {"": given}, ctx.activation, under_way)
    for record in past.backgrounds.values():
        if record.place == place.name:
            return take_up(invocation, _entered, record)
    return begin_background(invocation, _entered)


def take_up_backgrounds(frame: Frame, ended: Callable[[int], bool]) -> None:
    """Begins the calls in the background of a frame again whose callers have gone on, or have ended, before a crash.

    Args:
        frame: the frame that they are part of.
        ended: whether an activation is over.
    """
    past = frame.shared.past
    assert past is not None
    for record in past.backgrounds.values():
        event, started = record.started, record.call
        if event.frame != frame.number or started is None or not ended(event.activation):
            continue
        for callees in frame.callees.values():
            for node in callees:
                if node.name == event.node and node.in_background:
                    place = place_at(frame.within, record.place)
                    under_way = Call(started.call, node, place, frame.policies, None)
                    take_up(Invocation(frame, node, {"": started.input}, event.activation, under_way), _entered, record)


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


async def _carried_out(invocation: Invocation) -> Any:
    """The answer to a call that was allowed, and that no earlier attempt has an answer to."""
    node, call = invocation.node, invocation.call
    assert call is not None
    if node.meter is not None:
        invocation.frame.ledger.charge(node.meter)
        call.metered = node.meter
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


# -- frames ------------------------------------------------------------------------------------------------------------
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
    target, edge_limits = node.entry()
    if isinstance(target, ProvenGraph):
        graph, callees = target, None
    else:
        # Alone on its arrows, it calls along the edges that it has in the graph around.
        graph, callees = solo(target), outer.callees
    own = tightest(graph.limits, edge_limits, limits)
    ledger = outer.ledger.enter(node.name, own)  # refuses by depth, before anything is done
    checked = check_input(graph, message)
    # Validation may have made a message of plain data; the frame's place is that of what its graph takes.
    if checked is not message:
        invocation = invocation.given({"": checked})
        message = checked
    deps = node.child_deps(outer.deps)
    check_deps(graph.name, graph.deps, deps)
    frame = Frame(
        outer.shell,
        outer.shared,
        graph.program,
        ledger,
        graph.model if graph.model is not None else outer.default,
        deps,
        also(invocation.policies, node.policy, graph.policy),
        callees,
        _conversation_for(invocation),
        invocation,
        target,
    )
    tell = outer.shared.run.tell
    clock, number, record = frame.clock, frame.number, frame.record
    if record is None:
        detail = NO_DETAIL if outer.shared.recorder is None else Detail(frame.within.name)
        tell(FrameEntered(clock(), number, outer.number, invocation.activation, ledger.path, message), detail)
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
    return output


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
