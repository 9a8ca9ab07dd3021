"""Consents: what people are asked before something is done."""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable, iscoroutinefunction

from graphflow.concurrency import in_thread
from graphflow.declaration.inquiry import Inquiry, due_after
from graphflow.errors import ApprovalRefused
from graphflow.events import ApprovalAsked, Approved
from graphflow.places import place_in
from graphflow.policy import Approval, ApprovalAnswer, Approve, Use, deny, undecided
from graphflow.runtime.effects import Consent, decided_once
from graphflow.runtime.frame import Invocation
from graphflow.runtime.questions import ask_outside

NOBODY = (
    "nobody is there to give it; pass run(..., approve=a function of the call), "
    "or walk it with `graphflow run` on a terminal, or with --approve"
)


async def approve(invocation: Invocation) -> Invocation:
    """Has somebody agree to an invocation whose node needs approval.

    Returns:
        What is to be carried out: the invocation, with other arguments if somebody has edited them.

    Raises:
        ApprovalRefused: nobody did; nothing has been done.
        PolicyRefused: a policy does not allow it with the edited arguments.
        ArgumentsInvalid: these do not fit.
    """
    node, message = invocation.node, invocation.message
    # A function of the message says case by case whether somebody has to be asked at all.
    if callable(node.approval) and not node.approval(message):
        return invocation
    shared = invocation.frame.shared
    if node.name in shared.allowed:
        return invocation

    async def ask() -> Consent:
        return await _asked(invocation)

    consent = await decided_once(invocation.place, ask)
    decision = consent.decision
    if decision.consent == "deny":
        why = f": {decision.reason}" if decision.reason else "; nothing was done"
        raise ApprovalRefused(
            f"{node.name!r} needs approval, and it was not given{why}"
        ) from consent.failure
    if decision.consent == "always":
        shared.allowed |= {node.name}
    if decision.consent == "edit":
        return _edited(invocation, decision)
    return invocation


def _edited(invocation: Invocation, decision: Approval) -> Invocation:
    """The same with the arguments that somebody wants instead, checked and judged as the first were."""
    node = invocation.node
    (port,) = invocation.inputs
    given = node.read(decision.arguments)
    edited = invocation.given({port: given})
    invocation.frame.judge(node, given, invocation.place, invocation.policies)
    return edited


async def _asked(invocation: Invocation) -> Consent:
    """Asks, and tells what came of it."""
    frame, node = invocation.frame, invocation.node
    shared = frame.shared
    use = frame.use_of(node, invocation.message, invocation.place)
    known = None if shared.past is None else shared.past.consents.pop(use.key, None)
    hook = shared.approve
    if known is not None and hook is not None:
        return Consent(Approval(consent="allow") if known.granted else deny(known.why))
    consent: Consent | None = None
    if hook is not None:
        frame.tell(ApprovalAsked(*invocation.stamp, node.name, use.key))
        consent = await _decision_of(hook, use)
    if consent is None:
        is_told = hook is not None or known is not None
        consent = await _asked_elsewhere(invocation, use, is_told=is_told)
    decision = consent.decision
    granted = decision.consent != "deny"
    if known is None:
        frame.tell(Approved(*invocation.stamp, node.name, use.key, granted, decision.reason))
    return consent


async def _asked_elsewhere(invocation: Invocation, use: Use, *, is_told: bool) -> Consent:
    """What somebody says who is asked from outside, if the run can wait for it."""
    if invocation.frame.shared.sitting is None:
        return Consent(deny(NOBODY), lasts=False)
    if not is_told and not is_asked(invocation):
        asked = ApprovalAsked(*invocation.stamp, invocation.node.name, use.key)
        invocation.frame.tell(asked)
    return Consent(await _answered(invocation, use))


def is_asked(invocation: Invocation) -> bool:
    """Whether somebody has been asked already, in this sitting or an earlier one."""
    sitting = invocation.frame.shared.sitting
    if sitting is None:
        return False
    place = place_in(invocation.place, "approval")
    return sitting.question_at(invocation.node.name, place.name) in sitting.asked


async def _answered(invocation: Invocation, use: Use) -> Approval:
    """What somebody answers, here or anywhere, now or after however many sittings."""
    shown = {
        "node": use.node,
        "arguments": use.arguments,
        "effects": sorted(use.effects),
        "target": use.target,
    }
    place = place_in(invocation.place, "approval")
    seconds = invocation.node.approval_timeout_s
    nobody = None if seconds is None else deny(f"nobody answered within {seconds:g} s")
    inquiry = Inquiry("approval", shown, Approval, due_after(seconds), nobody)
    decision: Approval = await ask_outside(
        invocation.frame, invocation.node, invocation.activation, place, inquiry
    )
    return decision


async def _decision_of(hook: Approve, use: Use) -> Consent | None:
    """What a hook decides; None: it leaves that to others."""
    try:
        answer = await answer_of(hook, use)
    except Exception as error:
        # What the hook raised is for those who wrote it, not for the model, which is told that a call was refused.
        why = f"asking for it failed with {type(error).__name__}"
        return Consent(deny(why), error, lasts=False)
    return None if answer is undecided else Consent(_read(answer))


def _read(answer: object) -> Approval:
    """What a hook has said. Only True is a yes, or a decision: what it returns by mistake must not open a door."""
    if isinstance(answer, Approval):
        return answer
    if answer is True:
        return Approval(consent="allow")
    return deny(answer if isinstance(answer, str) else "")


async def answer_of(hook: Approve, use: Use) -> ApprovalAnswer:
    """What a hook says of a call; a plain function may block, so it is asked in a thread."""
    answer: ApprovalAnswer | Awaitable[ApprovalAnswer]
    if iscoroutinefunction(hook):
        answer = await hook(use)
    else:
        answer = await in_thread(hook, use, kind="hook")
    if isawaitable(answer):
        return await answer
    return answer
