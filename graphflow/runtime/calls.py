"""Calls along call edges, and the frames that are entered.

Rules:
1. A call stands in one order: the edge exists, the step is charged, the arguments fit, policies allow it, its kind is
   charged, somebody agrees if that is asked for, then it is done. What stops it before the last has done nothing.
2. A frame that may not be entered is refused before anybody is asked about it, and before its node does anything.
3. If a caller is tried again, and asks the same again, it gets the answer that there is (`effects.py`): nothing is done
   twice.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from graphflow.concurrency import let_timers_stop
from graphflow.contexts import within
from graphflow.declaration.node import AnyNode, Context, find_callee
from graphflow.events import CallFailed, CallFinished, CallStarted, FrameEntered, FrameExited
from graphflow.limits import Limits, tightest
from graphflow.messages.copies import copy_of
from graphflow.model.conversation import Conversation
from graphflow.policy import also
from graphflow.proofs.proven import ProvenGraph, solo
from graphflow.runtime.attempts import error_line, perform
from graphflow.runtime.background_calls import begin_background
from graphflow.runtime.effects import answered_once
from graphflow.runtime.endings import status_of
from graphflow.runtime.frame import Answer, Call, Frame, Invocation, Read, Shell
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
    tell = frame.shared.run.tell
    clock = frame.clock
    frame.ledger.charge("steps")  # a refused call is not a step: nothing is told of it
    frame.shared.calls += 1
    number = frame.shared.calls
    unfit: Exception | None = None
    try:
        given = read(node, message)
    except Exception as error:
        given, unfit = UNFIT, error
    begun = CallStarted(
        clock(),
        frame.number,
        activation,
        call=number,
        caller=caller.name,
        node=node.name,
        input=copy_of(given),
    )
    tell(begun)
    started = clock()
    try:
        if unfit is not None:
            raise unfit
        # Nothing has been awaited so far, so the order of equal questions is that of the code which asks them.
        lasting = node.asked_once
        place = ctx.asking.ask(node.name, given, lasting=lasting)
        policies = frame.policies_of(caller, ctx.policies)
        frame.judge(node, given, place, policies)
        under_way = Call(number, caller, place, policies, ctx.conversation)
        port = node.ports[0].name if node.enters == "never" else ""
        invocation = Invocation(frame, node, {port: given}, activation, under_way)
        answer = answered_once(invocation, _carried_out)
        # What the callee sets in its context variables stays with it.
        output = await within(copy_context(), answer)
    except BaseException as error:
        failed = CallFailed(
            clock(),
            frame.number,
            activation,
            call=number,
            node=node.name,
            error=error,
            started=started,
        )
        tell(failed)
        raise
    finished = CallFinished(
        clock(),
        frame.number,
        activation,
        call=number,
        node=node.name,
        output=copy_of(output),
        started=started,
    )
    tell(finished)
    return output


async def _carried_out(invocation: Invocation) -> Any:
    """The answer to a call that was allowed, and that no earlier attempt has an answer to."""
    node = invocation.node
    if node.meter is not None:
        invocation.frame.ledger.charge(node.meter)
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
    async with conversation.lock:
        return await _pushed_and_walked(invocation, message, limits)


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
    clock, number = frame.clock, frame.number
    tell(FrameEntered(clock(), number, outer.number, invocation.activation, ledger.path, message))
    try:
        output = await walked(frame, message)
    except BaseException as error:
        tell(FrameExited(clock(), number, status_of(error), None, error_line(error)))
        raise
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


SHELL = Shell(call, enter)
"""What all frames of a run are given."""
