"""Finds the sentence in a folder of .md and .txt files that is nearest to a question."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

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


class Index(NamedTuple):
    """The sentences of a folder, with the names of their files and their vectors."""

    files: list[str]
    sentences: list[str]
    vectors: list[list[float]]


_indexes: dict[tuple[str, int], Index] = {}
"""By folder and state of its files: what is in a file does not change with the run."""


@tool
async def search_documents(query: str, shop: str) -> list[Found]:
    """Find the three sentences in the shop's documents that are nearest to a question, the nearest first.

    Args:
        query: the question, in plain words.
        shop: the folder with docs/.
    """
    index = await _index(Path(shop))
    [asked] = await open_embedder(EMBEDDER).embed([query])
    scores: list[float] = []
    for vector, share in zip(index.vectors, shares(query, index.sentences), strict=True):
        # The vectors have length 1, so their product is the cosine.
        cosine = sum(a * b for a, b in zip(asked, vector, strict=True))
        scores.append(cosine + WORDS * share)
    best = sorted(range(len(scores)), key=lambda place: -scores[place])[:3]
    return [
        Found(sentence=index.sentences[place], file=index.files[place], score=round(scores[place], 4)) for place in best
    ]


async def _index(shop: Path) -> Index:
    folder = shop / "docs" if (shop / "docs").is_dir() else shop
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".md", ".txt") and path.is_file())
    state = tuple((str(path), path.stat().st_mtime_ns) for path in paths)
    key = (str(folder), hash(state))
    if key not in _indexes:
        files: list[str] = []
        sentences: list[str] = []
        for path in paths:
            of_file = _sentences(path)
            sentences += of_file
            files += [path.name] * len(of_file)
        if not sentences:
            raise ToolError(
                f"{folder} holds no .md or .txt file with text in it; put what customers may ask into {shop / 'docs'}"
            )
        _indexes[key] = Index(files, sentences, await open_embedder(EMBEDDER).embed(sentences))
    return _indexes[key]


def _sentences(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    # Headings are no sentences; an empty line in their place keeps the paragraphs around them apart.
    lines = ["" if line.startswith("#") else line for line in text.splitlines()]
    found = [without_opening(statement) for statement in statements("\n".join(lines))]
    return [sentence for sentence in found if len(sentence.split()) > 2]


def shares(query: str, sentences: list[str]) -> list[float]:
    """For each sentence the share of the query's words that it has, rare words counting more (inverse frequency)."""
    stems = [_stems(sentence) for sentence in sentences]
    asked = _stems(query)
    weight: dict[str, float] = {}
    for word in asked:
        count = sum(word in each for each in stems)
        weight[word] = math.log(1 + len(stems) / (1 + count))
    total = sum(weight.values()) or 1.0
    return [sum(weight[word] for word in asked & each) / total for each in stems]


def _stems(text: str) -> set[str]:
    """Words of three letters and more, cut to five: `open`, `opened` and `opens` are one."""
    return {word[:5].rstrip("s") for word in re.findall(r"[a-z0-9]{3,}", text.lower())}
