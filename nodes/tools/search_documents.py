"""Finds the sentence in a folder of .md and .txt files that is nearest to a question."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

from graphflow import Message, ToolError, tool
from graphflow.model.resolve import open_embedder
from graphflow.security import Untrusted

from .._support.statements import statements, without_opening

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
async def search_documents(query: str, shop: str) -> Untrusted[list[Found]]:
    """Find the three sentences in the shop's documents that are nearest to a question, the nearest first.

    Args:
        query: the question, in plain words.
        shop: the folder with docs/.
    """
    index = await _index(Path(shop))
    embedder = open_embedder(EMBEDDER)
    [asked] = await embedder.embed([query])
    common = shares(query, index.sentences)
    scores: list[float] = []
    for vector, share in zip(index.vectors, common, strict=True):
        scores.append(_cosine(asked, vector) + WORDS * share)
    places = sorted(range(len(scores)), key=lambda place: -scores[place])
    best: list[Found] = []
    for place in places[:3]:
        score = round(scores[place], 4)
        found = Found(sentence=index.sentences[place], file=index.files[place], score=score)
        best.append(found)
    return best


def _cosine(one: list[float], other: list[float]) -> float:
    # An embedder's vectors have length 1, so their product is the cosine.
    pairs = zip(one, other, strict=True)
    return sum(a * b for a, b in pairs)


async def _index(shop: Path) -> Index:
    documents = shop / "docs"
    folder = documents if documents.is_dir() else shop
    paths = _texts_in(folder)
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
                f"{folder} holds no .md or .txt file with text in it; put what customers may ask into {documents}"
            )
        embedder = open_embedder(EMBEDDER)
        vectors = await embedder.embed(sentences)
        _indexes[key] = Index(files, sentences, vectors)
    return _indexes[key]


def _texts_in(folder: Path) -> list[Path]:
    """The texts below a folder, in an order that is the same each time."""
    texts: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".md", ".txt") and path.is_file():
            texts.append(path)
    return texts


def _sentences(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    # Headings are no sentences; an empty line in their place keeps the paragraphs around them apart.
    lines = ["" if line.startswith("#") else line for line in text.splitlines()]
    prose = "\n".join(lines)
    found = [without_opening(statement) for statement in statements(prose)]
    return [sentence for sentence in found if len(sentence.split()) > 2]


def shares(query: str, sentences: list[str]) -> list[float]:
    """For each sentence the share of the query's words that it has, rare words counting more (inverse frequency)."""
    stems = [_stems(sentence) for sentence in sentences]
    asked = _stems(query)
    weight: dict[str, float] = {}
    for word in asked:
        count = sum(word in each for each in stems)
        rarity = len(stems) / (1 + count)
        weight[word] = math.log(1 + rarity)
    total = sum(weight.values()) or 1.0
    found: list[float] = []
    for each in stems:
        common = [weight[word] for word in asked & each]
        found.append(sum(common) / total)
    return found


def _stems(text: str) -> set[str]:
    """Words of three letters and more, cut to five: `open`, `opened` and `opens` are one."""
    words = re.findall(r"[a-z0-9]{3,}", text.lower())
    return {word[:5].rstrip("s") for word in words}
