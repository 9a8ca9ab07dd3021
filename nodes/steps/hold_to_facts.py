"""Compares an answer with the facts it may rest on, sentence by sentence. Code decides, not a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from graphflow import Message, node

from .._support.grounding import Verdict, nearest, verdicts
from .._support.statements import without_opening


class Said(Message):
    """An answer, and what it may rest on."""

    answer: str
    facts: tuple[str, ...]
    """Sentences that are true: what was retrieved, looked up, computed."""
    question: str = ""
    """What was asked: if nothing of the answer holds, the fact nearest to it is said."""
    otherwise: str = "I do not know that."
    """What is said if neither the answer nor any fact can be."""
    rewrite: bool = True
    """Whether a model may be asked once to say again what did not hold; else the facts themselves are said."""


class Part(Message):
    """A sentence of the answer. What does not hold has the fact that has to stand in for it."""

    sentence: str
    fact: str
    holds: bool


class Unfounded(Message):
    """An answer of which some sentences do not hold, though there are facts to what they say."""

    said: Said
    parts: tuple[Part, ...]
    left_out: tuple[str, ...]


class Retold(Message):
    """An unfounded answer, and what a model made of the facts that were to stand in."""

    unfounded: Unfounded
    draft: str


class Grounded(Message):
    """An answer of which every sentence retells one fact."""

    answer: str
    rests_on: tuple[str, ...]
    """The facts, one for each sentence."""
    left_out: tuple[str, ...]
    """The sentences of the answer that did not hold."""
    by: Literal["model", "facts", "both", "nothing"]
    """Who worded it."""


@node
async def hold_to_facts(work: Said | Retold) -> Grounded | Unfounded:
    """The answer, if all that is left of it holds; else what has to be said again."""
    unfounded = _first(work) if isinstance(work, Said) else _again(work)
    holds = all(part.holds for part in unfounded.parts)
    if holds or not unfounded.said.rewrite:
        return grounded_by_facts(unfounded)
    return unfounded


def grounded_by_facts(unfounded: Unfounded) -> Grounded:
    """What holds, and the facts themselves for the rest."""
    parts = unfounded.parts
    if not parts:
        return Grounded(
            answer=unfounded.said.otherwise, rests_on=(), left_out=unfounded.left_out, by="nothing"
        )
    sentences = [part.sentence if part.holds else part.fact for part in parts]
    return Grounded(
        answer=" ".join(sentences),
        rests_on=tuple(part.fact for part in parts),
        left_out=unfounded.left_out,
        by=_author(parts),
    )


def _author(parts: Sequence[Part]) -> Literal["model", "facts", "both"]:
    kept = sum(part.holds for part in parts)
    if kept == len(parts):
        return "model"
    return "both" if kept else "facts"


def _first(said: Said) -> Unfounded:
    judged = verdicts(said.answer, said.facts)
    parts = _each_fact_once(judged) or _stand_in(said)
    left_out = tuple(verdict.sentence for verdict in judged if not verdict.holds)
    return Unfounded(said=said, parts=parts, left_out=left_out)


def _again(retold: Retold) -> Unfounded:
    """The sentences of the draft that hold, each in the place of the fact it retells."""
    before = retold.unfounded
    waiting = [part.fact for part in before.parts if not part.holds]
    found: dict[str, str] = {}
    for verdict in verdicts(retold.draft, waiting):
        if verdict.holds:
            found[verdict.fact] = verdict.sentence
    parts: list[Part] = []
    for part in before.parts:
        if not part.holds and part.fact in found:
            sentence = found[part.fact]
            parts.append(Part(sentence=sentence, fact=part.fact, holds=True))
        else:
            parts.append(part)
    return before.model_copy(update={"parts": tuple(parts)})


def _each_fact_once(judged: list[Verdict]) -> tuple[Part, ...]:
    """A part for each fact that the answer speaks of. What is near to no fact, or to one that is said already, has none."""
    parts: dict[str, Part] = {}
    for verdict in judged:
        if not verdict.fact:
            continue
        known = parts.get(verdict.fact)
        # One sentence a fact: the first that holds, else the first.
        if known is not None and (known.holds or not verdict.holds):
            continue
        parts[verdict.fact] = Part(
            sentence=verdict.sentence, fact=verdict.fact, holds=verdict.holds
        )
    return tuple(parts.values())


def _stand_in(said: Said) -> tuple[Part, ...]:
    """For an answer that speaks of no fact: the only one there is, or the one nearest to the question."""
    sentences = [without_opening(fact) for fact in said.facts]
    facts = [sentence for sentence in sentences if sentence]
    fact = facts[0] if len(facts) == 1 else nearest(said.question, facts)
    if not fact:
        return ()
    return (Part(sentence="", fact=fact, holds=False),)
