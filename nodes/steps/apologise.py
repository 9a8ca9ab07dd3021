"""Answers a mail whose specialist failed: the other mails must not suffer for it."""

from __future__ import annotations

from graphflow import Failure, node

from ..messages import Answer, Mail


@node
async def apologise(failure: Failure) -> Answer:
    """A row that says what went wrong."""
    mail: Mail = failure.input
    reply = f"A colleague will answer this. ({failure.error})"
    return Answer(
        number=mail.number,
        sender=mail.sender,
        message=mail.text,
        topic="failed",
        reply=reply,
        by="template",
    )
