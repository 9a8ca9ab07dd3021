"""Checks a draft against its fact: nothing that matters is lost, no number is made up."""

from __future__ import annotations

import re

from graphflow import node
from nodes.messages import Answer, Draft, Rejected


@node
async def check_answer(draft: Draft) -> Answer | Rejected:
    """Lets a draft out if it says what the fact says."""
    fact, sentence = draft.fact, draft.sentence
    why = problem(sentence, fact.text, fact.must)
    if why:
        return Rejected(draft=draft, why=why)
    mail = fact.mail
    return Answer(
        number=mail.number, sender=mail.sender, message=mail.text, topic=fact.topic, reply=sentence, by="model"
    )


def problem(sentence: str, fact: str, must: tuple[str, ...]) -> str:
    """What is wrong with a sentence that should retell a fact; empty if nothing is."""
    if not sentence or len(sentence) > 240 or sentence[-1] not in ".!" or "?" in sentence:
        return "it is not one whole sentence"
    lost = [word for word in must if word.lower() not in sentence.lower()]
    if lost:
        return f"it lacks {', '.join(lost)}"
    made_up = set(re.findall(r"\d+", sentence)) - set(re.findall(r"\d+", fact))
    if made_up:
        return f"it makes up {', '.join(sorted(made_up))}"
    told = {w for w in re.findall(r"[a-z]{4,}", sentence.lower())}
    known = {w for w in re.findall(r"[a-z]{4,}", fact.lower())} | ALLOWED
    if len(told - known) > 1:
        return f"it adds {', '.join(sorted(told - known))}"
    if len(told & known - ALLOWED) * 5 < len(known - ALLOWED) * 2:
        return "it leaves out most of the fact"
    if "no," in sentence.lower().split() and not any(w in fact.lower() for w in ("not", "no ", "closed", "never")):
        return "it denies what the fact says"
    return ""


ALLOWED = set(
    [
        "your",
        "yours",
        "order",
        "parcel",
        "will",
        "with",
        "from",
        "this",
        "that",
        "they",
        "have",
        "here",
        "been",
        "please",
        "sorry",
        "thank",
        "there",
        "costs",
        "cost",
        "total",
        "euros",
        "arrive",
        "arrives",
        "delivery",
    ]
)
