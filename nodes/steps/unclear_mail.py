"""Takes a mail back from a specialist whose arguments were not in it."""

from __future__ import annotations

from graphflow import node

from ..messages import Mail, Unclear


@node
async def unclear_mail(unclear: Unclear) -> Mail:
    """The mail, for whoever answers from the documents."""
    return unclear.mail
