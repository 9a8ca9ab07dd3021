"""Hooks at work: they change what a node is given before it begins, and what it answers before anybody gets it.

Rules:
1. What was changed is no other message than what was given: it is validated, masked, and judged by the policies of its call.
2. That something was changed is told, by the name of the hook; what it was is in the messages that are told anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from graphflow.declaration.context import Context
from graphflow.declaration.handoffs import Handover
from graphflow.declaration.hooks import Hook
from graphflow.errors import InputInvalid
from graphflow.events import MessageChanged
from graphflow.messages.message import shortened
from graphflow.messages.types import adapter_of, type_name
from graphflow.places import place_in

if TYPE_CHECKING:
    from graphflow.runtime.frame import Invocation

HookStage = Literal["before", "after"]


async def changed_given(invocation: Invocation) -> Invocation:
    """What is carried out, now that the hooks of its node have seen what it was given.

    Raises:
        InputInvalid, ArgumentsInvalid: one has made something of it that the node does not take.
        PolicyRefused: a policy does not allow what it has become.
    """
    node, frame = invocation.node, invocation.frame
    message = invocation.message
    given = message
    for number, hook in enumerate(node.hooks.before):
        given = await _changed(invocation, "before", number, hook, given)
    if given is message:
        return invocation
    given = frame.masked(_fitting(invocation, given), "hook", invocation.activation, node.name)
    (port,) = invocation.inputs
    changed = invocation.given({port: given})
    frame.judge(node, given, invocation.place, invocation.policies)
    return changed


async def changed_answer(invocation: Invocation, answer: object) -> object:
    """What a node answers, now that its hooks have seen it."""
    # Whom it hands over to is not an answer.
    if isinstance(answer, Handover):
        return answer
    changed = answer
    for number, hook in enumerate(invocation.node.hooks.after):
        changed = await _changed(invocation, "after", number, hook, changed)
    if changed is answer:
        return answer
    name = invocation.node.name
    return invocation.frame.masked(changed, "hook", invocation.activation, name)


async def _changed(
    invocation: Invocation, stage: HookStage, number: int, hook: Hook, value: object
) -> object:
    ctx = _context_for(invocation, stage, number)
    changed = await hook.changed(value, ctx)
    if changed is not value:
        event = MessageChanged(*invocation.stamp, invocation.node.name, stage, hook.name)
        invocation.frame.tell_once(ctx, event, "hook", hook.name)
    return changed


def _context_for(invocation: Invocation, stage: HookStage, number: int) -> Context:
    """Where a hook stands: at its node, with a place of its own for what it asks."""
    place = place_in(invocation.place, f"hook {stage} {number}")
    frame = invocation.frame
    ctx = Context(frame, invocation.node, invocation.activation, invocation.inputs, place)
    call = invocation.call
    if call is not None:
        ctx.caller, ctx.policies = call.caller, call.policies
    return ctx


def _fitting(invocation: Invocation, given: object) -> object:
    """What a hook has made of a message, as the node takes it.

    Raises:
        InputInvalid, ArgumentsInvalid: it does not fit.
    """
    node = invocation.node
    read = node.read(given)
    if node.meter is not None:  # tools validate their arguments themselves
        return read
    kind = node.ports[0].type
    try:
        return adapter_of(kind).validate_python(read)
    except ValidationError as error:
        first = error.errors()[0]["msg"]
        raise InputInvalid(
            f"a hook before {node.name!r} has made {shortened(given)} of its message, which is not {type_name(kind)}: {first}; "
            "return what the node takes"
        ) from None
