"""Holds what a model says against what it read: which of its sentences the source bears out, and what is to the point."""

from __future__ import annotations

import re

from nodes.tools.search_documents import shares
from nodes.words import content_words

LONGEST = 60
"""Words of what is still taken for a sentence."""
_ODD = re.compile(r"[^\w\s.,;:!?'\u2019()-]")
"""What is rare in sentences, and common in code and tables."""
BORNE_OUT = 0.85
"""Share of a sentence's long words that its source must have; its numbers must all be there."""
WINDOW = 12
"""How far apart two sentences may stand to be taken together."""


def borne_out(said: str, source: list[str]) -> str:
    """The sentences of a text that its source says: one sentence of it where there are numbers, else two together."""
    pairs = [f"{one} {other}" for i, one in enumerate(source) for other in source[i + 1 : i + WINDOW]]
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
    if sentence[-1] not in ".!" or set(re.findall(r"\d+", sentence)) - set(re.findall(r"\d+", source)):
        return False
    told, known = _stems(sentence), _stems(source)
    return len(told & known) >= BORNE_OUT * len(told)


def sentences(text: str) -> list[str]:
    """The sentences of a text; headings, tables, code and list marks left out."""
    prose = re.sub(r"^```.*?(^```|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip().lstrip("-*> ") for line in prose.splitlines() if not line.lstrip().startswith(("#", "|"))]
    parts = re.split(r"(?<=[.!?])\s+", " ".join(line for line in lines if line))
    return [part for part in parts if 2 < len(part.split()) <= LONGEST and len(_ODD.findall(part)) <= len(part) / 10]


def _stems(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"[^\W\d_]{4,}", text.lower())}
