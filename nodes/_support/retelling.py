"""Whether a sentence says what a fact says, and nothing else: decided by code, in one pass over both.

A sentence holds on a fact if it is that fact retold: the same words, numbers and units in the same order. Small words may
come and go, and the end of the fact may be left out where that changes nothing of the rest. So a sentence that holds
cannot add, deny, widen or mix up anything:

    fact:   Delivery inside the country costs 4 euros and takes two days.
    holds:  Delivery inside the country costs €4.
    not:    Delivery costs 4 euros.                         (left out: inside)
    not:    Delivery inside the country takes 4 days.       (left out: euro)
    not:    Delivery inside France costs 4 euros.           (added: france)

It is strict: what is true but said in other words does not hold. That costs little, as the fact itself can be said.
"""

from __future__ import annotations

import re
from itertools import pairwise

from .._support.wording import UNITS, is_number, tokens

MAX_TOKENS = 200
"""Tokens of a sentence that is still looked at."""
_SILENT = frozenset(("the", "be", "and", "do"))
"""What may come and go in both. `be` is the present; `was` and `will` must be in both."""
_POLITE = frozenset(("your", "please"))
"""What only the sentence may have."""
_ALSO_FUTURE = frozenset(("arrive", "come", "cost", "take", "reach", "deliver"))
"""Verbs whose present speaks of what is to come: "arrives on 9 May" is "will arrive"; "is open" is not "will open"."""
_PAST = frozenset(("was", "were", "had", "did", "been", "would"))
_DENIALS = "not no never nor neither none nobody nothing nowhere without hardly"
_LIMITS = """if unless until till when while where who which that only except but provided must need require above below over
under more less fewer least most up maximum minimum within before after during per each every all any other otherwise
though although however instead just or either both between outside inside"""
_TERMS = "if unless until till only except but provided above below over under"
_LINKS = "both between either neither need require must only if unless or"
_DENIES = frozenset(_DENIALS.split())
QUALIFIERS = _DENIES | frozenset(_LIMITS.split())
"""Words that say when, for what or whether the rest is true."""
CONDITIONS = _DENIES | frozenset(_TERMS.split())
"""Those without which even a summary is wrong."""
_BINDS = _DENIES | frozenset(_LINKS.split())
"""With one of these in front, a list may not lose its end: "never mix A and B" is not "never mix A"."""
_NAMED = re.compile(r"([^\W\d_]+ \d+) \(([^()\d]{1,60})\)(?= )")
"""A thing with its number, and what it is: `Order 1187 (bread knife)`. Either names it."""


class Fact:
    """A fact, read once, against which sentences are held."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.readings = [tokens(reading) for reading in _readings(text)]

    def fault(self, sentence: list[str]) -> str:
        """Why a sentence (its tokens) does not hold on this fact; empty if it does."""
        # Of several readings, the one that goes along farthest shows best what is wrong.
        farthest, fault = -1, ""
        for reading in self.readings:
            place, why = _fault(sentence, reading)
            if not why:
                return ""
            if place > farthest:
                farthest, fault = place, why
        return fault


def fault(sentence: str, fact: str) -> str:
    """Why a sentence does not hold on a fact; empty if it does."""
    return Fact(fact).fault(tokens(sentence))


def _readings(text: str) -> list[str]:
    named = _NAMED.match(text)
    if named is None:
        return [text]
    number, thing = named.groups()
    if not QUALIFIERS.isdisjoint(tokens(thing)):
        return [text]
    # "Order 1187 (bread knife) was delivered": "Order 1187 was ..." and "Bread knife was ..." say the same.
    rest = text[named.end() :]
    return [text, number + rest, thing + rest]


def _fault(sentence: list[str], fact: list[str]) -> tuple[int, str]:
    """Walks through both at the same time; the first difference that is not a small word is the fault, and its place."""
    if not sentence or len(sentence) > MAX_TOKENS:
        return 0, "it is not one whole sentence"
    at = 0
    for place, word in enumerate(sentence):
        at = _behind_small_words(fact, at, word)
        if at < len(fact) and _same(sentence, place, fact, at):
            at += 1
        elif not _may_be_added(sentence, place, fact, at):
            return place, _difference(word, fact, at)
    # The sentence is over; the fact may have an end that can be left out.
    rest = _behind_small_words(fact, at, "")
    if rest < len(fact) and not _may_be_left_out(fact, at, rest):
        return len(sentence), f"it leaves out {fact[rest]!r}"
    return len(sentence), ""


def _behind_small_words(fact: list[str], at: int, word: str) -> int:
    """The next place in the fact that counts, as seen from a word of the sentence."""
    while at < len(fact) and fact[at] != word:
        is_article = fact[at] == "a" and word != "1"
        is_opening = fact[at] == "there" and at == 0
        if fact[at] not in _SILENT and not is_article and not is_opening:
            break
        at += 1
    return at


def _same(sentence: list[str], place: int, fact: list[str], at: int) -> bool:
    """Whether both have the same word here; `1 egg` is also `an egg`."""
    if sentence[place] == fact[at]:
        return True
    # "an egg" for "1 egg", but not "a" for any 1: what it counts must be the same as well.
    if {sentence[place], fact[at]} != {"a", "1"}:
        return False
    return _token(sentence, place + 1) == _token(fact, at + 1)


def _token(words: list[str], place: int) -> str:
    """The token at a place; empty behind the last."""
    return words[place] if place < len(words) else ""


def _may_be_added(sentence: list[str], place: int, fact: list[str], at: int) -> bool:
    """Whether a word that the fact does not have here says nothing new."""
    word = sentence[place]
    following = _token(sentence, place + 1)
    if word in _SILENT or word in _POLITE:
        return True
    if word == "a":
        return following not in UNITS
    if word == "will" and following in _ALSO_FUTURE:
        return _token(fact, at) == following and _PAST.isdisjoint(fact)
    return False


def _difference(word: str, fact: list[str], at: int) -> str:
    if word not in fact:
        verb = "makes up" if is_number(word) else "adds"
        return f"it {verb} {word!r}"
    if at < len(fact):
        return f"it leaves out {fact[at]!r}"
    return f"it says {word!r} twice"


def _may_be_left_out(fact: list[str], at: int, rest: int) -> bool:
    """Whether the end of a fact, from `rest`, can be left out and what stands before it is still true.

    It must be joined by "and", limit nothing, and give no other value of the same kind ("2 days and 5 days abroad").
    """
    kept = fact[:at]
    joint = fact[at:rest]
    left = fact[rest:]
    if "and" not in joint or len(left) > len(kept):
        return False
    if not _BINDS.isdisjoint(kept) or not QUALIFIERS.isdisjoint(left):
        return False
    return _kinds(kept).isdisjoint(_kinds(left))


def _kinds(words: list[str]) -> set[str]:
    """What the numbers count, each seen by the word behind it."""
    kinds: set[str] = set()
    for number, unit in pairwise([*words, ""]):
        if is_number(number):
            kinds.add(unit if unit in UNITS else "")
    return kinds
