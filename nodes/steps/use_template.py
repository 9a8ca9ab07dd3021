"""The way out when the writer's laps are used up: the fact itself, which is true."""

from __future__ import annotations

from graphflow import LimitReached, node

from ..messages import Answer, Rejected


@node
async def use_template(reached: LimitReached) -> Answer:
    """The fact as the reply."""
    rejected: Rejected = reached.message
    fact = rejected.draft.fact
    mail = fact.mail
    return Answer(
        number=mail.number,
        sender=mail.sender,
        message=mail.text,
        topic=fact.topic,
        reply=fact.text,
        by="template",
    )
