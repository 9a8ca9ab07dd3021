"""Compares what a model says with what it has read: which of its sentences hold, and which are to the point.

There are two measures. `verdicts` is for answers to people: a sentence holds only if it is one of the facts retold
(`nodes._support.retelling`). `borne_out` is for summaries, which say things in other words: it counts the words in common,
and compares numbers with their units, denials and conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice, pairwise
from typing import NamedTuple

from .._support.retelling import CONDITIONS, QUALIFIERS, Fact
from .._support.statements import statements, without_opening
from .._support.wording import UNITS, is_number, tokens
from .._support.words import content_words
from ..tools.search_documents import shares

MAX_WORDS = 60
"""Words of what is still taken for a sentence."""
_ODD = re.compile(r"[^\w\s.,;:!?'\u2019()-]")
"""What is rare in sentences, and common in code and tables."""
BORNE_OUT = 0.85
"""Share of a sentence's long words that its source must have; its numbers must all be there."""
WINDOW = 12
"""How far apart two sentences may stand to be taken together."""
MAX_STATEMENTS = 100
"""Statements of an answer that are looked at; what is beyond does not hold."""
MAX_FACTS = 500
"""Facts that are looked at; what is beyond bears out nothing."""
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
    """Each statement of an answer, compared with the facts; it must hold on one of them by itself."""
    texts = (without_opening(statement) for text in facts for statement in statements(text))
    known = [Fact(text) for text in islice(texts, MAX_FACTS) if text]
    answers = statements(answer, lists=False)[:MAX_STATEMENTS]
    sentences = [without_opening(statement) for statement in answers]
    return [_verdict(sentence, known) for sentence in sentences if sentence]


def nearest(sentence: str, facts: list[str]) -> str:
    """The fact that shares most with a sentence, rare words counting more; empty if none shares a word that matters."""
    best = ""
    most = 0.0
    common = shares(point_of(sentence), facts)
    for fact, share in zip(facts, common, strict=True):
        if share > most:
            best = fact
            most = share
    return best


def _verdict(sentence: str, known: list[Fact]) -> Verdict:
    words = tokens(sentence)
    is_whole = _WHOLE.search(sentence) is not None
    is_question = "?" in sentence
    faults: dict[str, str] = {}
    for fact in known:
        # a sentence that a token limit cut off may be the whole fact even so; its beginning alone may not go out
        is_cut_off = not is_whole and words != fact.readings[0]
        fault = "it is cut off" if is_cut_off else fact.fault(words)
        if not fault and not is_question:
            return Verdict(sentence, fact.text, "")
        faults.setdefault(fact.text, fault or "it is a question")
    near = nearest(sentence, list(faults))
    why = "it is a question" if is_question else faults.get(near, "no fact says this")
    return Verdict(sentence, near, why)


def borne_out(said: str, source: list[str]) -> str:
    """The sentences of a text that its source says.

    A sentence with a number, a denial or a condition must rest on one sentence of the source; any other may take two
    together that have none.
    """
    pairs = _pairs(source)
    kept: dict[str, None] = {}
    for sentence in sentences(said):
        has_number = re.search(r"\d", sentence) is not None
        rests_on = source if has_number else [*source, *pairs]
        if any(_says(text, sentence) for text in rests_on):
            kept[sentence] = None
    return " ".join(kept)


def _pairs(source: list[str]) -> list[str]:
    """Two sentences together, near to each other, each without a denial or condition."""
    plain = [CONDITIONS.isdisjoint(tokens(sentence)) for sentence in source]
    pairs: list[str] = []
    for first, sentence in enumerate(source):
        if not plain[first]:
            continue
        end = min(first + WINDOW, len(source))
        for second in range(first + 1, end):
            if plain[second]:
                pairs.append(f"{sentence} {source[second]}")
    return pairs


def off_the_point(said: str, own: str, question: str) -> bool:
    """Whether no sentence of a text has as much to do with the question as one of its source's own has."""
    texts, quotes = sentences(said), sentences(own)
    # In one go: how rare a word is depends on all of them.
    share = shares(point_of(question), [*texts, *quotes])
    best_text = max(share[: len(texts)], default=0)
    best_quote = max(share[len(texts) :], default=0)
    return best_text < best_quote


def point_of(question: str) -> str:
    """A question without its small words."""
    return " ".join(content_words(question))


def _says(source: str, sentence: str) -> bool:
    if sentence[-1] not in ".!":
        return False
    words = tokens(sentence)
    known = tokens(source)
    if not _numbers(words) <= _numbers(known):
        return False
    added = set(words).difference(known)
    dropped = set(known).difference(words)
    if added & QUALIFIERS or dropped & CONDITIONS:
        return False
    stems = _stems(sentence)
    common = stems & _stems(source)
    # Small words and endings may differ, so not all of them have to be there.
    return len(common) >= BORNE_OUT * len(stems)


def _numbers(words: list[str]) -> set[tuple[str, str]]:
    """Each number with its unit, if it has one."""
    numbers: set[tuple[str, str]] = set()
    for number, unit in pairwise([*words, ""]):
        if is_number(number):
            counted = unit if unit in UNITS else ""
            numbers.add((number, counted))
    return numbers


def sentences(text: str) -> list[str]:
    """The sentences of a text; headings, tables, code and list marks left out."""
    prose = re.sub(r"^```.*?(^```|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    lines: list[str] = []
    for line in prose.splitlines():
        words = line.strip()
        if not words.startswith(("#", "|")):  # a heading, or a row of a table
            lines.append(words.lstrip("-*> "))
    whole = " ".join(line for line in lines if line)
    parts = re.split(r"(?<=[.!?])\s+", whole)
    return [part for part in parts if _is_sentence(part)]


def _is_sentence(text: str) -> bool:
    count = len(text.split())
    if not 2 < count <= MAX_WORDS:
        return False
    odd = _ODD.findall(text)
    return len(odd) <= len(text) / 10


def _stems(text: str) -> set[str]:
    words = re.findall(r"[^\W\d_]{4,}", text.lower())
    return {word[:5] for word in words}
