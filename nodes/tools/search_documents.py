"""Finds the sentence in a folder of .md and .txt files that is nearest to a question."""

from __future__ import annotations

import math
import re
from pathlib import Path

from graphflow import Message, ToolError, tool
from graphflow.model.resolve import open_embedder
from nodes._support.statements import statements, without_opening

EMBEDDER = "local:use"
WORDS = 0.3
"""Weight of words in common beside the cosine: names and days are words, not meanings."""


class Found(Message):
    """A sentence, where it stands, and how near it is to the question (cosine, plus the share of rare words in common)."""

    sentence: str
    file: str
    score: float


_index: dict[tuple[str, int], tuple[list[tuple[str, str]], list[list[float]]]] = {}
"""Sentences and their vectors by folder and state of its files: what is in a file does not change with the run."""


@tool
async def search_documents(query: str, shop: str) -> list[Found]:
    """Find the three sentences in the shop's documents that are nearest to a question, the nearest first.

    Args:
        query: the question, in plain words.
        shop: the folder with docs/.
    """
    sentences, vectors = await _indexed(Path(shop))
    [asked] = await open_embedder(EMBEDDER).embed([query])
    shared = shares(query, [sentence for _, sentence in sentences])
    scores = [
        sum(a * b for a, b in zip(asked, v, strict=True)) + WORDS * s for v, s in zip(vectors, shared, strict=True)
    ]
    best = sorted(range(len(scores)), key=lambda i: -scores[i])[:3]
    return [Found(sentence=sentences[i][1], file=sentences[i][0], score=round(scores[i], 4)) for i in best]


async def _indexed(shop: Path) -> tuple[list[tuple[str, str]], list[list[float]]]:
    folder = shop / "docs" if (shop / "docs").is_dir() else shop
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".md", ".txt") and p.is_file())
    key = (str(folder), hash(tuple((str(p), p.stat().st_mtime_ns) for p in files)))
    if key not in _index:
        sentences = [(p.name, s) for p in files for s in _sentences(p)]
        if not sentences:
            raise ToolError(
                f"{folder} holds no .md or .txt file with text in it; put what customers may ask into {shop / 'docs'}"
            )
        _index[key] = (sentences, await open_embedder(EMBEDDER).embed([s for _, s in sentences]))
    return _index[key]


def _sentences(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    prose = "\n".join("" if line.startswith("#") else line for line in text.splitlines())
    told = (without_opening(part) for part in statements(prose))
    return [part for part in told if len(part.split()) > 2]


def shares(query: str, sentences: list[str]) -> list[float]:
    """For each sentence the share of the query's words that it has, rare words counting more (inverse frequency)."""
    stems = [_stems(sentence) for sentence in sentences]
    asked = _stems(query)
    weight = {word: math.log(1 + len(stems) / (1 + sum(word in s for s in stems))) for word in asked}
    total = sum(weight.values()) or 1.0
    return [sum(weight[word] for word in asked & s) / total for s in stems]


def _stems(text: str) -> set[str]:
    """Words of three letters and more, cut to five: `open`, `opened` and `opens` are one."""
    return {word[:5].rstrip("s") for word in re.findall(r"[a-z0-9]{3,}", text.lower())}
