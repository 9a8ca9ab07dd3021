"""Consents: what people are asked before something is done."""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable, iscoroutinefunction

from graphflow.concurrency import in_thread
from graphflow.errors import ApprovalRefused
from graphflow.events import ApprovalAsked, Approved
from graphflow.policy import Approve, Use
from graphflow.runtime.effects import Consent, Verdict, decided_once
from graphflow.runtime.frame import Invocation

NOBODY = "nobody is there to give it; pass run(..., approve=a function of the call), or walk it with `graphflow run` on a terminal"


async def approve(invocation: Invocation) -> None:
    """Has somebody agree to an invocation whose node needs approval.

    Raises:
        ApprovalRefused: nobody did; nothing has been done.
    """
    node, message = invocation.node, invocation.message
    # A function of the message says case by case whether somebody has to be asked at all.
    if callable(node.approval) and not node.approval(message):
        return

    async def ask() -> Consent:
        return await _asked(invocation)

    consent = await decided_once(invocation.place, ask)
    decision = consent.decision
    if decision is not True:
        why = f": {decision}" if decision else "; nothing was done"
        raise ApprovalRefused(f"{node.name!r} needs approval, and it was not given{why}") from consent.failure


async def _asked(invocation: Invocation) -> Consent:
    """Asks, and tells what came of it."""
    frame, node = invocation.frame, invocation.node
    use = frame.use_of(node, invocation.message, invocation.place)
    hook = frame.shared.approve
    if hook is None:
        consent = Consent(NOBODY, lasts=False)
    else:
        frame.tell(ApprovalAsked(*invocation.stamp, node.name, use.key))
        consent = await _decision_of(hook, use)
    decision = consent.decision
    # Only True is a yes. A hook that returns something else by mistake must not open a door.
    granted = decision is True
    why = decision if isinstance(decision, str) else ""
    frame.tell(Approved(*invocation.stamp, node.name, use.key, granted, why))
    return Consent(granted or why, consent.failure, consent.lasts)


async def _decision_of(hook: Approve, use: Use) -> Consent:
    try:
        return Consent(await answer_of(hook, use))
    except Exception as error:
        # What the hook raised is for those who wrote it, not for the model, which is told that a call was refused.
        why = f"asking for it failed with {type(error).__name__}"
        return Consent(why, error, lasts=False)


async def answer_of(hook: Approve, use: Use) -> Verdict:
    """What a hook says of a call; a plain function may block, so it is asked in a thread."""
    answer: Verdict | Awaitable[Verdict]
    if iscoroutinefunction(hook):
        answer = await hook(use)
    else:
        answer = await in_thread(hook, use, kind="hook")
    if isawaitable(answer):
        return await answer
    return answer
