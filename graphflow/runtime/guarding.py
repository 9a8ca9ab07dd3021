"""Guards at work: what a node is given is judged before it begins, what it answers before anybody gets it.

Rules:
1. Guards are asked one after the other, in the order of their declaration: the first that rejects is the last that is asked.
2. Whatever a guard raises is a rejection, but for a limit of the walk, which ends it as everywhere.
3. What was rejected is not told: neither events nor errors hold it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guard, GuardStage
from graphflow.declaration.handoffs import Handover
from graphflow.errors import GuardRejected
from graphflow.events import MessageRejected
from graphflow.places import place_in
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from graphflow.runtime.frame import Invocation


async def judge_given(invocation: Invocation) -> None:
    """Has the guards of a node judge what it was given.

    Raises:
        GuardRejected: one does not let it pass. Nothing has been done.
    """
    for number, guard in enumerate(invocation.node.before):
        await _judge(invocation, "before", number, guard, invocation.message)


async def judge_answer(invocation: Invocation, answer: object) -> None:
    """Has the guards of a node judge what it has answered.

    Raises:
        GuardRejected: one does not let it pass.
    """
    for number, guard in enumerate(invocation.node.after):
        await _judge(invocation, "after", number, guard, answer)


async def _judge(
    invocation: Invocation, stage: GuardStage, number: int, guard: Guard, message: object
) -> None:
    frame, node = invocation.frame, invocation.node
    if isinstance(
        message, Handover
    ):  # what is handed over is what was said, and to whom is no matter
        message = message.message
    ctx = _context_for(invocation, stage, number, guard)
    cause: Exception | None = None
    try:
        why = await guard.check(message, ctx)
    except Exception as error:
        if frame.ends(error):
            raise
        # Its text may quote the message, and goes to whoever reads the cause; the walk is told the class.
        cause = error
        why = f"it could not judge it ({type(error).__name__})"
    if why is None:
        return
    why = scrub(why)
    frame.tell(MessageRejected(*invocation.stamp, node.name, stage, guard.name, why))
    raise GuardRejected(node.name, stage, guard.name, why) from cause


class GuardContext(Context):
    """Where a guard stands that asks others: at its node, with questions of its own, which nobody takes for the node's words."""

    aside = True
    __slots__ = ()


def _context_for(invocation: Invocation, stage: GuardStage, number: int, guard: Guard) -> Context:
    frame, node = invocation.frame, invocation.node
    if not guard.asks:
        return Context(frame, node, invocation.activation, invocation.inputs)
    # Without its guards: what one of them is told is not judged by the others.
    bare = node.twin(before=(), after=())
    place = place_in(invocation.place, f"{stage} {number}")
    return GuardContext(frame, bare, invocation.activation, invocation.inputs, place)
