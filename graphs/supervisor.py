"""A supervisor: one agent takes the task apart, asks specialists for the parts, and answers for all of them.

The orchestrator and its workers of Anthropic, "Building effective agents" (2024). The specialists are agents of their own:
each is called in a frame of its own, sees nothing but its task, answers with a type of its own, and has limits of its own.
What they use counts for the supervisor, too, and at the depth limit they are not even offered.

    graphflow run supervisor "What do 3 jars of honey and 2 melons cost, and until when can I return them?" \
        --model anthropic:claude-sonnet-4-5

It wants a model that calls tools; the embedded one does not get far (see README: what the graph does for a tiny model).

To make it your own: put your specialists into `sub_agents`; their `description` is all that the supervisor knows of them.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from pydantic import Field

from graphflow import END, START, Agent, Graph, Limits, Message, SubAgent, ToolError, tool
from nodes.tables import read_table
from nodes.tools.price_of import price_of, priced
from nodes.tools.search_documents import Found, search_documents

SHOP = str(Path(__file__).parent / "shop")


class Question(Message):
    """What a specialist is asked."""

    question: str


class Total(Message):
    """What the accountant answers."""

    reckoning: str
    """How the sum is made up."""
    euros: float


class Finding(Message):
    """What the librarian answers."""

    answer: str
    files: list[str] = Field(default=[], max_length=5)


class Answer(Message):
    """What comes out."""

    answer: str
    sources: list[str] = Field(default=[], max_length=10)
    """Files and reckonings that it rests on."""


@tool
def prices() -> list[dict[str, str]]:
    """List everything that is sold, with its price in euros."""
    return [priced(row) for row in read_table(Path(SHOP) / "prices.csv", "item", "price")]


@tool
def add_up(items: dict[str, int]) -> str:
    """Add up what things cost together, in euros.

    Args:
        items: how many of each thing, by its name in the price list.
    """
    total = Decimal(0)
    table = {row["item"].lower(): row for row in read_table(Path(SHOP) / "prices.csv", "item", "price")}
    for item, count in items.items():
        if item.lower() not in table:
            raise ToolError(f"{item!r} is not in the price list; look it up with prices()")
        total += Decimal(priced(table[item.lower()])["price"]) * count
    return f"{total:.2f}"
