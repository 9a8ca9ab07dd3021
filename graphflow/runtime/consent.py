"""Consents: what is asked of policies and of people before something is done."""

from __future__ import annotations

from inspect import isawaitable, iscoroutinefunction
from typing import Any

from graphflow.concurrency import in_thread
from graphflow.declaration.node import Node
from graphflow.policy import Approve, Policy, Use
from graphflow.proofs.program import Program

NOBODY = "nobody is there to give it; pass run(..., approve=a function of the call), or walk it with `graphflow run` on a terminal"


async def answer_of(ask: Approve, use: Use) -> bool | str:
    """What a hook says of a call; a plain function may block, so it is asked in a thread."""
    answer = await ask(use) if iscoroutinefunction(ask) else await in_thread(ask, use, kind="hook")
    said: bool | str = await answer if isawaitable(answer) else answer
    return said


def denied_on_arrows(
    program: Program, policies: tuple[Policy, ...], entered: Node[Any, Any] | None
) -> dict[str, str] | None:
    """The nodes on a graph's arrows that a policy denies, with the reason.

    What was entered itself (an agent that was called stands alone on the arrows of its frame) was judged by its caller's
    policies when it was called; its own policy is about what it calls.
    """
    denying = [policy for policy in policies if policy.deny]
    if not denying:
        return None
    denied: dict[str, str] = {}
    for slot in program.slots:
        if slot.node is None or slot.node is entered:
            continue
        reasons = (policy.denies(slot.node.names) for policy in denying)
        why = next((reason for reason in reasons if reason is not None), None)
        if why is not None:
            denied[slot.name] = why
    return denied or None
