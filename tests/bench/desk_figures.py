"""The desk against a plain agent on the same tiny model: how many messages each answers right.

    python -m tests.bench.desk_figures tests/data/desk_fresh.csv

The plain agent has the same tools and the same files, and loops as agents do: think, call, read, answer.
"""

from __future__ import annotations

import asyncio
import csv
import sys
import tempfile
import time
from pathlib import Path

from graphflow import END, START, Agent, Graph, Limits, tool
from graphs.desk import desk
from nodes.messages import Inbox
from nodes.tools.find_order import find_order as find
from nodes.tools.price_of import price_of as price
from nodes.tools.search_documents import search_documents as search
from tests.test_desk import SHOP, is_right


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
    turns=5,
    max_tokens=120,
)
plain = Graph("plain", START >> clerk >> END, model="local:smollm2", limits=Limits(seconds=30))


async def plain_reply(text: str) -> str:
    try:
        return str((await plain.run(text)).output)
    except Exception as error:
        return f"({type(error).__name__})"


async def main(rows: list[dict[str, str]]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8") as inbox:
        csv.writer(inbox).writerows([["from", "message"], *(["", row["message"]] for row in rows)])
        inbox.flush()
        begun = time.perf_counter()
        run = await desk.run(Inbox(source=inbox.name))
        seconds = time.perf_counter() - begun
    right = sum(is_right(a.reply, row["must"]) for a, row in zip(run.output, rows, strict=True))
    routed = sum(a.topic == row["topic"] for a, row in zip(run.output, rows, strict=True))
    print(f"desk:  {right} of {len(rows)} right, {routed} routed right, {seconds / len(rows):.2f} s a message")
    begun = time.perf_counter()
    replies = [await plain_reply(row["message"]) for row in rows]
    seconds = time.perf_counter() - begun
    right = sum(is_right(reply, row["must"]) for reply, row in zip(replies, rows, strict=True))
    print(f"agent: {right} of {len(rows)} right, {seconds / len(rows):.2f} s a message")


if __name__ == "__main__":
    asyncio.run(main(list(csv.DictReader(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()))))
