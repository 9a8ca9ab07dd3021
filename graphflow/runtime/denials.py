"""What policies deny in a frame: nodes on its arrows, and calls whatever they are given."""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.declaration.node import AnyNode
from graphflow.policy import Policy
from graphflow.proofs.program import Program


def denied_on_arrows(
    program: Program, policies: Sequence[Policy], entered: AnyNode | None
) -> dict[str, str] | None:
    """The nodes on a graph's arrows that a policy denies, with the reason; None if there are none.

    What was entered itself (an agent that was called stands alone on the arrows of its frame) was judged by its caller's
    policies when it was called; its own policy is about what it calls.
    """
    # Of a policy only `deny` is about arrows: what it allows, and which effects, is about calls.
    denying = [policy for policy in policies if policy.deny]
    if not denying:
        return None
    denied: dict[str, str] = {}
    for slot in program.slots:
        if slot.node is None or slot.node is entered:
            continue
        names = slot.node.names
        for policy in denying:
            why = policy.denies(names)
            if why is not None:
                denied[slot.name] = why
                break
    return denied or None


def is_refused(callee: AnyNode, policies: Sequence[Policy]) -> bool:
    """Whether a policy refuses a node whatever it is given."""
    for policy in policies:
        if policy.refuses(callee.name, callee.effects, callee.names) is not None:
            return True
        if policy.refuses_silence(callee.name, callee.effects, callee.access) is not None:
            return True
    return False
