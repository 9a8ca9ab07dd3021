"""Checks a draft against its fact: only sentences that hold go out, and nothing that matters is lost."""

from __future__ import annotations

from graphflow import node

from .._support.grounding import verdicts
from .._support.wording import tokens
from ..messages import Answer, Draft, Rejected

MAX_CHARACTERS = 240
"""Characters of a reply that a writer may make of one fact."""


@node
async def check_answer(draft: Draft) -> Answer | Rejected:
    """Lets out what the fact says of a draft, if that is what the customer needs."""
    fact = draft.fact
    reply, why = checked(draft.sentence, fact.text, fact.must)
    if why:
        return Rejected(draft=draft, why=why)
    mail = fact.mail
    return Answer(
        number=mail.number,
        sender=mail.sender,
        message=mail.text,
        topic=fact.topic,
        reply=reply,
        by="model",
    )


def checked(sentence: str, fact: str, must: tuple[str, ...]) -> tuple[str, str]:
    """What of a draft retells the fact, and what is wrong with that; the second is empty if nothing is.

    A "Yes," or "No," before it is cut: a model this small says either. A sentence that does not hold is left out if one
    that holds remains.
    """
    judged = verdicts(sentence, [fact])
    held = dict.fromkeys(verdict.sentence for verdict in judged if verdict.holds)
    kept = " ".join(held)
    if not kept:
        why = judged[0].why if judged else "it is not one whole sentence"
        return "", why
    # In the letters of the fact, or as the same token: `4.00 euros` is there if `€4` is.
    stated = tokens(kept)
    lost = [word for word in must if word not in kept and not _stands_in(tokens(word), stated)]
    if lost:
        listed = ", ".join(lost)
        return "", f"it lacks {listed}"
    if len(kept) > MAX_CHARACTERS:
        return "", "it is too long"
    return kept, ""


def _stands_in(part: list[str], whole: list[str]) -> bool:
    size = len(part)
    last = len(whole) - size
    return any(whole[at : at + size] == part for at in range(last + 1))
