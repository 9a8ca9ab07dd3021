"""Random texts, cut at random, against an oracle that shares nothing with the automaton.

python -m tests.secrets.cuts 100000
"""

from __future__ import annotations

import itertools
import random
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphflow.secrets.automaton import SecretAutomaton
from graphflow.secrets.mask import MaskedStream, mark_of

BOUNDARY = "(?<![A-Za-z0-9])"
VALUES = (
    "abababab",
    "babababa",
    "ababababab",
    "aaaaaaaaaa",
    "bcbcbcbca",
    "cabcabcab",
    "abcabcabca",
)
"""They overlap, hold each other and repeat themselves."""
PATTERNS = (
    BOUNDARY + "sk-[ab]{6,}",
    "k[abc]{4,7}-(?:ab|ba){1,3}",
    "(?i:bearer) [a-c]{5,}=*",
    r"-BEG [AB]{0,4}KEY-[abAB\n]*(?:-END [AB]{0,4}KEY-)?",
    r"://[a-c]{1,5}:[^/\s@]{3,9}@",
    r"[a-c]\d{3}(?:-\d{3})*",
)
PIECES = (
    *VALUES,
    "sk-",
    "sk-ababab",
    "kabca-ab",
    "BeArer aabbc==",
    "-BEG AKEY-ab\nAB-END AKEY-",
    "-BEG ",
)
MORE_PIECES = (
    "://ab:b-c-a@",
    "://ab:",
    "a123-123",
    "b12",
    "-END BKEY-",
    "-",
    " ",
    "a",
    "b",
    "c",
    "\n",
    "@",
)


@dataclass(frozen=True)
class OracleSpan:
    start: int
    end: int
    name: str


def spans_of(text: str, values: Sequence[str], patterns: Sequence[str]) -> list[OracleSpan]:
    """Every occurrence of a value, every match of a pattern from anywhere to anywhere."""
    spans: list[OracleSpan] = []
    for number, value in enumerate(values):
        for start in range(len(text)):
            if text.startswith(value, start):
                spans.append(OracleSpan(start, start + len(value), f"v{number}"))
    for number, pattern in enumerate(patterns):
        compiled = re.compile(pattern)
        for start in range(len(text)):
            for end in range(start + 1, len(text) + 1):
                if compiled.fullmatch(text, start, end):
                    spans.append(OracleSpan(start, end, f"p{number}"))
    return spans


def masked_by_oracle(text: str, spans: Iterable[OracleSpan]) -> str:
    """Spans that touch become one, called as the one that begins first and, of those, ends first."""
    parts: list[str] = []
    done = 0
    reach = -1
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if span.start > reach:
            parts += [text[done : span.start], mark_of(span.name)]
        reach = max(reach, span.end)
        done = reach
    parts.append(text[done:])
    return "".join(parts)


def names_of(values: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    named = [f"v{number}" for number in range(len(values))]
    return (*named, *(f"p{number}" for number in range(len(patterns))))


def automaton_of(values: Sequence[str], patterns: Sequence[str]) -> SecretAutomaton:
    first = len(values)
    return SecretAutomaton(
        [(value, number) for number, value in enumerate(values)],
        [(pattern, first + number) for number, pattern in enumerate(patterns)],
    )


def random_text(chance: random.Random) -> str:
    count = chance.randrange(1, 9)
    pieces = [chance.choice(PIECES + MORE_PIECES) for _ in range(count)]
    # A secret that is cut short is none, and must come through undamaged.
    return "".join(piece[: chance.choice((len(piece), len(piece), 3))] for piece in pieces)


def random_pieces(text: str, chance: random.Random) -> list[str]:
    cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(7)))
    places = [0, *cuts, len(text)]
    return [text[start:end] for start, end in itertools.pairwise(places)]


def check_cuts(count: int, seed: int) -> int:
    """Masks texts in so many random cuts; the most characters that were held back."""
    chance = random.Random(seed)
    names = names_of(VALUES, PATTERNS)
    automaton = automaton_of(VALUES, PATTERNS)
    most = 0
    for number in range(count):
        if number % 20 == 0:
            text = random_text(chance)
            expected = masked_by_oracle(text, spans_of(text, VALUES, PATTERNS))
        stream = MaskedStream(automaton, names)
        pieces = random_pieces(text, chance)
        got = ""
        for piece in pieces:
            got += stream.feed(piece)
            most = max(most, stream.waiting)
        got += stream.end()
        assert got == expected, (text, pieces, got, expected)
    assert most <= automaton.longest
    return most


if __name__ == "__main__":
    cuts = int(sys.argv[1])
    held = check_cuts(cuts, seed=1)
    bound = automaton_of(VALUES, PATTERNS).longest
    print(f"{cuts:,} cuts: 0 leaks, 0 damaged texts; {held} characters held at most, of {bound}")
