"""The desk against a plain agent on the same tiny model: how many messages each answers right, and what the desk says wrong.

    python -m tests.bench.desk_figures tests/data/desk_fresh.csv
    python -m tests.bench.desk_figures tests/data/museum.csv --documents tests/data/museum

The plain agent has the same tools and the same files, and loops as agents do: think, call, read, answer. With
`--documents` only the specialist for questions is asked, on that folder.

Whether a reply is false is not left to the desk's own check. A reply that stands word by word in the documents, or that
code wrote, is true; every other one was judged by a person, in tests/data/desk_judged.csv, and is listed here if it was not.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import tempfile
import time
from pathlib import Path

from graphflow import END, START, Agent, Graph, Limits, tool
from graphs.desk import desk
from nodes.messages import Answer, Inbox, Mail
from nodes.subagents.questions import questions
from nodes.tools.find_order import find_order as find
from nodes.tools.price_of import price_of as price
from nodes.tools.search_documents import search_documents as search
from tests.ready.test_desk import SHOP, is_right

JUDGED = Path(__file__).resolve().parents[1] / "data" / "desk_judged.csv"


@tool
async def find_order(order_id: str) -> str:
    """Find an order in the order table by its number."""
    return str(await find(order_id, str(SHOP)) or "no such order")


@tool
async def price_of(item: str) -> str:
    """Find the price of one piece of a thing."""
    return str(await price(item, str(SHOP)) or "not sold here")


@tool
async def search_documents(query: str) -> str:
    """Find what the shop's documents say about a question."""
    return " ".join(found.sentence for found in await search(query, str(SHOP)))


clerk = Agent(
    "clerk",
    system="You answer the mail of a small shop. Use the tools to find facts, then answer the customer in one sentence.",
    tools=[find_order, price_of, search_documents],
    max_turns=5,
    max_tokens=120,
)
plain = Graph("plain", START >> clerk >> END, model="local:smollm2", limits=Limits(seconds=30))


async def plain_reply(text: str) -> str:
    try:
        return str((await plain.run(text)).output)
    except Exception as error:
        return f"({type(error).__name__})"


async def desk_answers(rows: list[dict[str, str]]) -> tuple[list[Answer], int]:
    """The answers to an inbox, and how often a model was called."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8") as inbox:
        csv.writer(inbox).writerows([["from", "message"], *(["", row["message"]] for row in rows)])
        inbox.flush()
        run = await desk.run(Inbox(source=inbox.name))
    return run.output, run.usage.model_calls


async def document_answers(rows: list[dict[str, str]], folder: str) -> tuple[list[Answer], int]:
    """The same for questions about any documents."""
    answers: list[Answer] = []
    calls = 0
    for number, row in enumerate(rows, 1):
        run = await questions.run(
            Mail(number=number, sender="", text=row["message"], shop=folder), model="local:smollm2"
        )
        answers.append(run.output)
        calls += run.usage.model_calls
    return answers, calls


def judge(answers: list[Answer], documents: Path) -> tuple[list[Answer], list[Answer]]:
    """The false replies, and those that nobody has judged."""
    text = " ".join(
        " ".join(path.read_text(encoding="utf-8").split()) for path in documents.glob("*.md")
    )
    with JUDGED.open(encoding="utf-8") as file:
        verdicts = {(row["message"], row["reply"]): row["false"] for row in csv.DictReader(file)}
    told = [a for a in answers if a.by == "model" and a.reply not in text]
    false = [a for a in told if verdicts.get((a.message, a.reply)) == "yes"]
    return false, [a for a in told if (a.message, a.reply) not in verdicts]


async def main(rows: list[dict[str, str]], folder: str, agent: bool) -> None:
    begun = time.perf_counter()
    answers, calls = await (document_answers(rows, folder) if folder else desk_answers(rows))
    seconds = time.perf_counter() - begun
    false, unjudged = judge(answers, Path(folder) if folder else SHOP / "docs")
    right = sum(
        is_right(a.reply, row["must"]) and a not in false
        for a, row in zip(answers, rows, strict=True)
    )
    print(
        f"desk:  {right} of {len(rows)} right, {len(false)} false, {calls} model calls, {seconds / len(rows):.2f} s each"
    )
    for name, listed in (("false", false), ("to be judged", unjudged)):
        for answer in listed:
            print(f"  {name}: {answer.message!r} > {answer.reply!r}")
    if not agent:
        return
    routed = sum(a.topic == row["topic"] for a, row in zip(answers, rows, strict=True))
    print(f"       {routed} routed right")
    begun = time.perf_counter()
    replies = [await plain_reply(row["message"]) for row in rows]
    seconds = time.perf_counter() - begun
    right = sum(is_right(reply, row["must"]) for reply, row in zip(replies, rows, strict=True))
    print(f"agent: {right} of {len(rows)} right, {seconds / len(rows):.2f} s each")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--documents", default="")
    parser.add_argument("--no-agent", action="store_true", help="leave out the plain agent")
    given = parser.parse_args()
    rows = list(csv.DictReader(given.file.read_text(encoding="utf-8").splitlines()))
    asyncio.run(main(rows, given.documents, agent=not (given.no_agent or given.documents)))
