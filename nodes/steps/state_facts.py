"""The way out of rewriting: the facts themselves, which are true."""

from __future__ import annotations

from graphflow import Failure, LimitReached, node

from ..steps.hold_to_facts import Grounded, Unfounded, grounded_by_facts


@node
async def state_facts(end: LimitReached | Failure) -> Grounded:
    """What holds, and for the rest the facts: the rewrite did not hold, either, or no model answered."""
    unfounded: Unfounded = end.message if isinstance(end, LimitReached) else end.input
    return grounded_by_facts(unfounded)
