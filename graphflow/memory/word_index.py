"""Which notes have the words of a question: BM25 over an index that grows with the notes.

    score(note) = sum over the question's words of  idf(word) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length))

After Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the idf that cannot become
negative (that of Lucene).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

K1 = 1.2
B = 0.75
"""The usual values: how soon further occurrences stop to count, and how much a long note is held back."""
_WORD = re.compile(r"\w+")
_ENDINGS = ("'s", "ing", "es", "ed", "s")
_SHORTEST = 3
"""Letters that are left of a word at least, when its ending is cut."""


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without the commonest English endings: `cats` and `cat` are one."""
    folded = text.casefold()
    return [_stem(word) for word in _WORD.findall(folded)]


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            if len(stem) < _SHORTEST:
                continue
            return stem
    return word


class WordIndex:
    """The words of some texts, which are known by their numbers: 0, 1, 2..."""

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """By word: in which texts it stands, and how often."""
        self._lengths: list[int] = []
        self._total = 0

    def add(self, texts: Iterable[str]) -> None:
        """Takes up further texts."""
        for text in texts:
            words = words_of(text)
            length = len(words)
            number = len(self._lengths)
            self._lengths.append(length)
            self._total += length
            counts = Counter(words)
            for word, count in counts.items():
                place = (number, count)
                self._places[word].append(place)

    def scores(self, query: str) -> dict[int, float]:
        """The score of each text that has a word of the query, by its number."""
        scores: dict[int, float] = defaultdict(float)
        # In the order of the query, so that sums are the same in every process; each word once.
        asked = dict.fromkeys(words_of(query))
        for word in asked:
            places = self._places.get(word)
            if places is None:
                continue
            rarity = self._rarity(len(places))
            for number, count in places:
                weight = self._weight(number, count)
                scores[number] += rarity * weight
        return scores

    def ranking(self, query: str) -> list[tuple[int, float]]:
        """The texts that have a word of the query; the best first, of equals the latest."""
        scores = self.scores(query)
        by_score = [(score, number) for number, score in scores.items()]
        by_score.sort(reverse=True)
        return [(number, score) for score, number in by_score]

    def _rarity(self, count: int) -> float:
        total = len(self._lengths)
        others = total - count
        odds = (others + 0.5) / (count + 0.5)
        return math.log(1 + odds)

    def _weight(self, number: int, count: int) -> float:
        length = self._lengths[number]
        mean = self._total / len(self._lengths)
        share = length / mean
        held_back = 1 - B + B * share
        gain = count * (K1 + 1)
        return gain / (count + K1 * held_back)
