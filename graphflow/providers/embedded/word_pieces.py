"""The pieces of words that BERT reads: those of `bert-base-uncased` (Devlin et al. 2018, arXiv:1810.04805)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from graphflow.errors import WeightsError

PIECES = 256
"""Word pieces of a text that are read, the first and last mark included; what is beyond does not count."""
LONGEST_WORD = 100
"""Characters of a word that is cut into pieces; a longer one is unknown, as in BERT's own tokenizer."""
LONGEST_TEXT = 20_000
"""Characters of a text that are looked at for word pieces: 256 of them never need more."""
UNKNOWN, FIRST, LAST = "[UNK]", "[CLS]", "[SEP]"
_WORDS = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_]+|[^\w\s]|_")
"""Words, single punctuation marks, single Chinese characters."""


class WordPieces:
    """Cuts texts into the pieces that the network has a vector for."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}
        missing = [mark for mark in (UNKNOWN, FIRST, LAST) if mark not in self._numbers]
        if missing:
            raise WeightsError(f"the vocabulary of 'minilm' lacks {missing[0]}; pull it again")

    def numbers(self, text: str) -> list[int]:
        """The numbers of a text's pieces, between the first and the last mark."""
        numbers = [self._numbers[FIRST]]
        plain = _plain(text[:LONGEST_TEXT])
        for found in _WORDS.finditer(plain):
            word = found.group()
            numbers += self._split(word)
            if len(numbers) >= PIECES:
                break
        last = self._numbers[LAST]
        return [*numbers[: PIECES - 1], last]

    def _split(self, word: str) -> list[int]:
        """The longest pieces that a word begins with, one after the other; all but the first are written `##piece`."""
        unknown = [self._numbers[UNKNOWN]]
        if len(word) > LONGEST_WORD:
            return unknown
        pieces: list[int] = []
        start = 0
        while start < len(word):
            found = self._longest(word, start)
            if found is None:
                return unknown
            number, start = found
            pieces.append(number)
        return pieces

    def _longest(self, word: str, start: int) -> tuple[int, int] | None:
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            piece = prefix + word[start:end]
            number = self._numbers.get(piece)
            if number is not None:
                return number, end
        return None


def _plain(text: str) -> str:
    """A text in lower case and without accents."""
    low = text.lower()
    parts = unicodedata.normalize("NFD", low)
    # "Mn" are the accents, which stand as characters of their own now.
    kept = [char for char in parts if unicodedata.category(char) != "Mn"]
    return "".join(kept)
