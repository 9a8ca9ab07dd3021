"""Holds what a model says against what it read: which of its sentences hold, and what is to the point.

There are two measures. `verdicts` is for answers to people: a sentence holds only if it is one of the facts retold
(`nodes._support.retelling`). `borne_out` is for summaries, which say things in other words: it counts the words in common, and
compares numbers with their units, denials and conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice, pairwise
from typing import NamedTuple

from nodes._support.retelling import CONDITIONS, QUALIFIERS, Fact
from nodes._support.statements import statements, without_opening
from nodes._support.wording import UNITS, is_number, tokens
from nodes._support.words import content_words
from nodes.tools.search_documents import shares

LONGEST = 60
"""Words of what is still taken for a sentence."""
_ODD = re.compile(r"[^\w\s.,;:!?'\u2019()-]")
"""What is rare in sentences, and common in code and tables."""
BORNE_OUT = 0.85
"""Share of a sentence's long words that its source must have; its numbers must all be there."""
WINDOW = 12
"""How far apart two sentences may stand to be taken together."""


MOST_SAID, MOST_KNOWN = 100, 500
"""Statements of an answer, and of its facts, that are looked at; what is beyond does not hold, or bears out nothing."""
_WHOLE = re.compile(r"[.!][\"'\u201d\u2019)\]*]*$")


class Verdict(NamedTuple):
    """What is to be said of one sentence of an answer."""

    sentence: str
    """The sentence, without "Yes," or "No," before it."""
    fact: str
    """The fact it rests on; if it does not hold, the one it is nearest to; empty if it is near to none."""
    why: str
    """Why it does not hold; empty if it does."""

    @property
    def holds(self) -> bool:
        return not self.why


def verdicts(answer: str, facts: Iterable[str]) -> list[Verdict]:
    """Each statement of an answer, held against the facts; it must hold on one of them by itself."""
    texts = (without_opening(fact) for text in facts for fact in statements(text))
    known = [Fact(text) for text in islice(texts, MOST_KNOWN) if text]
    spoken = (without_opening(said) for said in statements(answer, lists=False)[:MOST_SAID])
    return [_verdict(said, known) for said in spoken if said]


def nearest(sentence: str, facts: list[str]) -> str:
    """The fact that shares most with a sentence, rare words counting more; empty if none shares a word that matters."""
    share = shares(point_of(sentence), facts)
    best = max(range(len(facts)), key=lambda i: (share[i], -i), default=None)
    return "" if best is None or not share[best] else facts[best]


def _verdict(sentence: str, known: list[Fact]) -> Verdict:
    told = tokens(sentence)
    whole = _WHOLE.search(sentence) is not None
    faults: dict[str, str] = {}
    for fact in known:
        # a sentence that a token limit cut off may be the whole fact even so; its beginning alone may not go out
        why = fact.fault(told) if whole or told == fact.readings[0] else "it is cut off"
        if not why and "?" not in sentence:
            return Verdict(sentence, fact.text, "")
        faults.setdefault(fact.text, why or "it is a question")
    near = nearest(sentence, list(faults))
    return Verdict(sentence, near, "it is a question" if "?" in sentence else faults.get(near, "no fact says this"))


def borne_out(said: str, source: list[str]) -> str:
    """The sentences of a text that its source says.

    A sentence with a number, a denial or a condition must rest on one sentence of the source; any other may take two
    together that have none.
    """
    plain = [not CONDITIONS & set(tokens(sentence)) for sentence in source]
    pairs = [
        f"{one} {source[j]}"
        for i, one in enumerate(source)
        for j in range(i + 1, min(i + WINDOW, len(source)))
        if plain[i] and plain[j]
    ]
    kept = [
        sentence
        for sentence in sentences(said)
        if any(_says(each, sentence) for each in (source if re.search(r"\d", sentence) else [*source, *pairs]))
    ]
    return " ".join(dict.fromkeys(kept))


def off_the_point(said: str, own: str, question: str) -> bool:
    """Whether no sentence of a text has as much to do with the question as one of its source's own has."""
    told, quotes = sentences(said), sentences(own)
    share = shares(point_of(question), [*told, *quotes])
    return max(share[: len(told)], default=0) < max(share[len(told) :], default=0)


def point_of(question: str) -> str:
    """A question without its small words."""
    return " ".join(content_words(question))


def _says(source: str, sentence: str) -> bool:
    if sentence[-1] not in ".!":
        return False
    read, there = tokens(sentence), tokens(source)
    added = (_numbers(read) - _numbers(there)) or (QUALIFIERS & set(read)) - set(there)
    if added or (CONDITIONS & set(there)) - set(read):
        return False
    told, known = _stems(sentence), _stems(source)
    return len(told & known) >= BORNE_OUT * len(told)


def _numbers(told: list[str]) -> set[tuple[str, str]]:
    """Each number with its unit, if it has one."""
    return {(number, unit if unit in UNITS else "") for number, unit in pairwise([*told, ""]) if is_number(number)}


def sentences(text: str) -> list[str]:
    """The sentences of a text; headings, tables, code and list marks left out."""
    prose = re.sub(r"^```.*?(^```|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip().lstrip("-*> ") for line in prose.splitlines() if not line.lstrip().startswith(("#", "|"))]
    parts = re.split(r"(?<=[.!?])\s+", " ".join(line for line in lines if line))
    return [part for part in parts if 2 < len(part.split()) <= LONGEST and len(_ODD.findall(part)) <= len(part) / 10]


def _stems(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"[^\W\d_]{4,}", text.lower())}
