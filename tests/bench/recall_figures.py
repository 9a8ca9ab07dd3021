"""How often a memory finds what is asked for: 42 facts among 1,542 lines of talk, asked for in other words.

    python -m tests.bench.recall_figures
    python -m tests.bench.recall_figures --without minilm

Of the 1,500 other lines a third are statements, a third are questions and a third are neither: made by a seed from words of
which half are what the facts are about, so that there is always something near. Recall at 1 and at 5 is the share of the questions whose
fact is first, or among the first five. Two questions of three have no word that matters in common with their fact: whoever
asks does not remember the words.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphflow.errors import GraphflowError
from graphflow.memory.semantic_memory import WORD_SHARE
from graphflow.memory.vector_index import VectorIndex, pack_vector
from graphflow.memory.word_index import WordIndex
from graphflow.model.resolve import open_embedder
from graphflow.model.seam import Embedder

DATA = Path(__file__).resolve().parents[1] / "data"
OTHERS = 1_500
SEED = 13
DEPTH = 5

WORDS: dict[str, list[str]] = json.loads((DATA / "recall_words.json").read_text(encoding="utf-8"))
"""What the other lines are made of, and their forms."""


@dataclass(frozen=True)
class Haystack:
    """What is searched.

    Attributes:
        lines: all of them, the facts in places of their own.
        questions: what is asked for.
        places: of each question the number of the line that answers it.
        statements: the numbers of the lines that are statements.
    """

    lines: list[str]
    questions: list[str]
    places: list[int]
    statements: list[int]


def haystack() -> Haystack:
    """The same lines in the same order each time."""
    draw = random.Random(SEED)
    with (DATA / "recall_facts.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds: list[tuple[str, str]] = [("statement", row["fact"]) for row in rows]
    for number in range(OTHERS):
        kind = ("statement", "question", "neither")[number % 3]
        kinds.append((kind, _other_line(kind, draw)))
    draw.shuffle(kinds)
    lines = [line for _, line in kinds]
    statements = [number for number, (kind, _) in enumerate(kinds) if kind == "statement"]
    places = [lines.index(row["fact"]) for row in rows]
    return Haystack(lines, [row["question"] for row in rows], places, statements)


def _other_line(kind: str, draw: random.Random) -> str:
    who, other = draw.sample(WORDS["who"], 2)
    words = {name: draw.choice(WORDS[name]) for name in ("does", "what", "when")}
    form = draw.choice(WORDS[kind])
    line = form.format(who=who, other=other, **words)
    return line[:1].upper() + line[1:]


# -- ways of finding -------------------------------------------------------------------------------
Rank = Callable[[int], list[int]]
"""The numbers of the first lines for the question of that number."""


def by_words(found: Haystack) -> Rank:
    """BM25, as `NoteMemory` has it."""
    index = WordIndex()
    index.add(found.lines)
    return lambda asked: [number for number, _ in index.ranking(found.questions[asked])[:DEPTH]]


def by_full_text(found: Haystack) -> Rank:
    """SQLite's own full-text search, for comparison."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE lines USING fts5(line, tokenize='porter')")
    db.executemany("INSERT INTO lines VALUES (?)", [(line,) for line in found.lines])

    def rank(asked: int) -> list[int]:
        words = [word.strip("?.,!'") for word in found.questions[asked].split()]
        query = " OR ".join(f'"{word}"' for word in words)
        rows = db.execute(
            "SELECT rowid FROM lines WHERE lines MATCH ? ORDER BY rank LIMIT ?", (query, DEPTH)
        )
        return [number - 1 for (number,) in rows]

    return rank


def by_vectors(
    found: Haystack,
    vectors: Sequence[bytes],
    asked_vectors: Sequence[bytes],
    *,
    word_share: float = 0.0,
    among: Sequence[int] | None = None,
) -> Rank:
    """By meaning, with a share of BM25, as `SemanticMemory` has it."""
    numbers = list(range(len(found.lines))) if among is None else list(among)
    index = VectorIndex()
    index.add([vectors[number] for number in numbers])
    words = WordIndex()
    words.add(found.lines[number] for number in numbers)

    def rank(asked: int) -> list[int]:
        bonus: dict[int, float] = {}
        if word_share:
            scores = words.scores(found.questions[asked])
            best = max(scores.values(), default=1.0)
            bonus = {number: word_share * score / best for number, score in scores.items()}
        ranking = index.ranking(asked_vectors[asked], bonus)[:DEPTH]
        return [numbers[number] for number, _ in ranking]

    return rank


def recall_of(found: Haystack, rank: Rank) -> tuple[float, float]:
    """Recall at 1 and at 5."""
    first = among = 0
    for asked, place in enumerate(found.places):
        ranked = rank(asked)
        first += ranked[:1] == [place]
        among += place in ranked
    count = len(found.places)
    return first / count, among / count


async def vectors_of(embedder: Embedder, texts: Sequence[str]) -> list[bytes]:
    """Vectors as they are stored."""
    vectors = await embedder.embed(list(texts))
    return [pack_vector(vector) for vector in vectors]


async def figures(without: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
    """Recall at 1 and at 5 of every way of finding that there is here."""
    found = haystack()
    table = {
        "fts5": recall_of(found, by_full_text(found)),
        "bm25": recall_of(found, by_words(found)),
    }
    for name in ("use", "minilm"):
        if name in without:
            continue
        embedder = open_embedder(f"local:{name}")
        lines = await vectors_of(embedder, found.lines)
        asked = await vectors_of(embedder, found.questions)
        table[name] = recall_of(found, by_vectors(found, lines, asked))
        table[f"{name} + bm25 / 10"] = recall_of(
            found, by_vectors(found, lines, asked, word_share=WORD_SHARE)
        )
        table[f"{name} among statements"] = recall_of(
            found, by_vectors(found, lines, asked, among=found.statements)
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", nargs="*", default=[], choices=["use", "minilm"])
    given = parser.parse_args()
    begun = time.perf_counter()
    try:
        table = asyncio.run(figures(given.without))
    except GraphflowError as error:
        raise SystemExit(str(error)) from None
    print(f"{len(haystack().places)} facts among {len(haystack().lines)} lines: recall at 1 / 5")
    for name, (first, among) in table.items():
        print(f"  {name:<24} {first:.2f} / {among:.2f}")
    print(f"({time.perf_counter() - begun:.0f} s)")


if __name__ == "__main__":
    main()
