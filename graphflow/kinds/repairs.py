"""Repairs: answers of a model that are of no use, counted and told of, until one fits or enough of them did not."""

from __future__ import annotations

from graphflow.declaration.context import Context
from graphflow.errors import OutputInvalid
from graphflow.events import OutputRefused, OutputRepaired
from graphflow.redaction import scrub

MAX_WHY = 500
"""Characters of what is wrong with an answer that its event tells."""


def count_attempt(ctx: Context, attempts: list[str], text: str, problem: str, repairs: int) -> None:
    """Notes an answer that is of no use, or gives up with all attempts.

    Args:
        ctx: the agent's.
        attempts: the answers so far that were of no use; this one is added.
        text: the answer.
        problem: what is wrong with it.
        repairs: how often an answer may be sent back.

    Raises:
        OutputInvalid: all repairs are used up.
    """
    attempts.append(text)
    name = ctx.node.name
    why = scrub(problem)[:MAX_WHY]
    ctx.frame.tell(OutputRefused(*ctx.stamp, name, len(attempts), why))
    if len(attempts) <= repairs:
        return
    last = text[:200]
    error = OutputInvalid(
        f"agent {name!r}: {problem} (after {repairs} repairs); last answer: {last!r}"
    )
    error.attempts = tuple(attempts)
    raise error


def tell_repaired(ctx: Context, attempts: list[str]) -> None:
    """Tells that an answer fits, if others had been refused before."""
    if not attempts:
        return
    ctx.frame.tell(OutputRepaired(*ctx.stamp, ctx.node.name, 1 + len(attempts)))
