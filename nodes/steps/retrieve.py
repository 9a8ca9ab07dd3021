"""Makes a fact of the shop's documents, along the call edge to the search."""

from __future__ import annotations

from graphflow import Context, node

from .._support.wording import is_number, tokens
from ..messages import Answer, Fact, Mail
from ..tools.search_documents import search_documents

NEAR = 0.2
"""Cosine below which the nearest sentence is taken to be about something else."""

DENIALS = ("not", "no", "never", "closed", "free")


@node(calls=[search_documents])
async def retrieve(mail: Mail, ctx: Context) -> Fact | Answer:
    """The sentence that answers the question, or the admission that there is none."""
    found = await ctx.call(search_documents, {"query": mail.text, "shop": mail.shop})
    best = found[0]
    if best.score < NEAR:
        reply = "I do not know that; a colleague will answer you."
        return Answer(
            number=mail.number,
            sender=mail.sender,
            message=mail.text,
            topic="question",
            reply=reply,
            by="template",
        )
    return Fact(mail=mail, topic="question", text=best.sentence, must=key_words(best.sentence))


def key_words(sentence: str) -> tuple[str, ...]:
    """What a retelling must keep: its numbers, and what it denies."""
    words = [word for word in tokens(sentence) if is_number(word) or word in DENIALS]
    return tuple(dict.fromkeys(words))
