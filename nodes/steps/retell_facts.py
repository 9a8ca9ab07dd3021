"""Asks a model once to say the facts for which an answer had no sentence that holds."""

from __future__ import annotations

from graphflow import Context, node

from ..agents.reteller import Retelling, reteller
from ..steps.hold_to_facts import Retold, Unfounded


@node(calls=[reteller])
async def retell_facts(unfounded: Unfounded, ctx: Context) -> Retold:
    """A draft, which is held against the facts as the answer was."""
    waiting = tuple(part.fact for part in unfounded.parts if not part.holds)
    retelling = Retelling(question=unfounded.said.question, facts=waiting)
    draft = await ctx.call(reteller, retelling)
    return Retold(unfounded=unfounded, draft=draft)
