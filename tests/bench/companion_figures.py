"""How long a companion stays good on the embedded model: a chat of 200 lines, in which eight facts are told at the beginning.

    python -m tests.bench.companion_figures
    python -m tests.bench.companion_figures --embedder local:use --blocks 2

After the facts come eight blocks of 24 lines. In each of them every fact is asked for once, in three wordings by turns, among
ten other statements, three questions about something else and three words of small talk. A fact counts as right if the reply
has the words of its column `must`. The chat is good if no block has fewer than seven right and no run has failed.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from graphflow.memory import Memory, SemanticMemory
from graphs.companion import companion_with

DATA = Path(__file__).resolve().parents[1] / "data"
BLOCKS = 8
SHARES = {"statement": 10, "question": 3, "chat": 3}
"""Lines of each kind in a block, beside the eight questions."""
WORDINGS = ("question", "other", "third")
ENOUGH = 7
"""Of eight facts, in each block."""


@dataclass
class Talk:
    """What became of a chat.

    Attributes:
        lines: how many lines it had.
        right: how many facts were told right, by block.
        wrong: the questions that were not answered right, with the replies.
        failed: what went wrong with runs.
        longest: tokens of the longest prompt.
        kept: how many exchanges the conversation has at the end.
        seconds: what it took.
    """

    lines: int = 0
    right: list[int] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    longest: int = 0
    kept: int = 0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.failed and min(self.right) >= ENOUGH


def rows_of(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def block_lines(
    number: int, facts: list[dict[str, str]], others: dict[str, Iterator[str]]
) -> list[tuple[str, str]]:
    """The lines of a block in an order of its own, each with what its reply must have."""
    wording = WORDINGS[number % len(WORDINGS)]
    lines = [(fact[wording], fact["must"]) for fact in facts]
    for kind, share in SHARES.items():
        lines += [(next(others[kind]), "") for _ in range(share)]
    random.Random(number).shuffle(lines)
    return lines


async def talk_with(memory: Memory, blocks: int = BLOCKS) -> Talk:
    """Has a chat with a companion that has this memory."""
    chat = companion_with(memory).chat("user:42")
    facts = rows_of("companion_facts.csv")
    every = rows_of("companion_lines.csv")
    others = {kind: iter([row["line"] for row in every if row["kind"] == kind]) for kind in SHARES}
    talk = Talk()

    async def say(line: str) -> str:
        talk.lines += 1
        try:
            run = await chat.say(line)
        except Exception as error:
            talk.failed.append(f"{line}: {error}")
            return ""
        talk.longest = max(talk.longest, run.usage.input_tokens)
        return run.output

    begun = time.perf_counter()
    for fact in facts:
        await say(fact["fact"])
    for number in range(blocks):
        right = 0
        for line, must in block_lines(number, facts, others):
            reply = await say(line)
            if must and must in reply:
                right += 1
            elif must:
                talk.wrong.append((line, reply))
        talk.right.append(right)
    talk.seconds = time.perf_counter() - begun
    talk.kept = len(await chat.history())
    return talk


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--embedder", help="default: local:minilm if it was pulled, else local:use")
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    given = parser.parse_args()
    memory = SemanticMemory(embedder=given.embedder)
    talk = asyncio.run(talk_with(memory, given.blocks))
    print(
        f"{talk.lines} lines, {memory.embedder.name}, {talk.seconds / talk.lines:.2f} s each, "
        f"longest prompt {talk.longest} tokens, {len(talk.failed)} failed"
    )
    print(f"right of 8, by block: {talk.right}: {'good' if talk.is_good else 'not good'}")
    for line, reply in talk.wrong:
        print(f"  wrong: {line!r} > {reply!r}")
    for failure in talk.failed:
        print(f"  failed: {failure}")


if __name__ == "__main__":
    main()
