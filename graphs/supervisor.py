"""A supervisor: one agent takes the task apart, asks specialists for the parts, and answers for all of them.

The orchestrator and its workers of Anthropic, "Building effective agents" (2024). The specialists are agents of their own:
each is called in a frame of its own, sees nothing but its task, answers with a type of its own, and has limits of its own.
What they use counts for the supervisor, too, and at the depth limit they are not even offered.

    graphflow run supervisor "What do 3 jars of honey and 2 melons cost, and until when can I return them?" \
        --model anthropic:claude-sonnet-4-5

It wants a model that calls tools; of the embedded ones only the largest does, and not well
(`graphflow models pull qwen2.5-coder-1.5b`).

To make it your own: put your specialists into `sub_agents`; their `description` is all that the supervisor knows of them.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from pydantic import Field

from graphflow import END, START, Agent, Graph, Limits, Message, SubAgent, ToolError, tool
from nodes._support.tables import read_table
from nodes.tools.price_of import priced
from nodes.tools.search_documents import Found, search_documents

SHOP = str(Path(__file__).parent / "shop")
# Per call: what all of them use together is bounded by the graph's own limits.
ONE_TASK = Limits(model_calls=6, tool_calls=12)
"""What a specialist may use for one task."""


class Question(Message):
    """What a specialist is asked."""

    question: str


class Total(Message):
    """What the accountant answers."""

    reckoning: str
    """How the sum is made up; before the sum, so that a model works it out first."""
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


@tool(effects=["reads"])
def prices() -> list[dict[str, str]]:
    """List everything that is sold, with its price in euros."""
    return [priced(row) for row in read_table(Path(SHOP) / "prices.csv", "item", "price")]


@tool(effects=["reads"])
def total(items: dict[str, int]) -> str:
    """Add up what things cost together, in euros.

    Args:
        items: how many of each thing, by its name in the price list.
    """
    cost = Decimal(0)  # money is decimal: floats make 0.1 + 0.2 more than 0.3
    table = {
        row["item"].lower(): row for row in read_table(Path(SHOP) / "prices.csv", "item", "price")
    }
    for item, count in items.items():
        if item.lower() not in table:
            raise ToolError(f"{item!r} is not in the price list; look it up with prices()")
        cost += Decimal(priced(table[item.lower()])["price"]) * count
    return f"{cost:.2f}"


@tool(effects=["reads"])
async def search_handbook(query: str) -> list[Found]:
    """Find the three sentences of the shop's handbook that are nearest to a question.

    Args:
        query: the question, in plain words.
    """
    found: list[Found] = await search_documents(query, SHOP)
    return found


accountant = SubAgent(
    Agent(
        "accountant",
        input=Question,
        output=Total,
        system="Work out what things cost. Take the prices from the list and let the tool add them up.",
        prompt="{{ question }}",
        tools=[prices, total],
        max_turns=6,
        description="Works out what things cost together. Give it the things and how many of each.",
    ),
    limits=ONE_TASK,
)

librarian = SubAgent(
    Agent(
        "librarian",
        input=Question,
        output=Finding,
        system="Answer from the handbook alone. If it does not say, say so.",
        prompt="{{ question }}",
        tools=[search_handbook],
        max_turns=6,
        description="Answers questions about delivery, payment, returns and opening hours from the handbook.",
    ),
    limits=ONE_TASK,
)

boss = Agent(
    "boss",
    input=str,
    output=Answer,
    system="Take the task apart, ask the specialists for the parts (several at once if they do not depend on each other), "
    "and answer in one or two sentences. Say nothing that no specialist has said.",
    sub_agents=[accountant, librarian],
    max_turns=8,
)

supervisor: Graph[str, Answer] = Graph(
    "supervisor",
    START >> boss >> END,
    model="local:qwen2.5-coder-1.5b",
    limits=Limits(depth=1, steps=120, model_calls=40, seconds=300),
    description="A supervisor that asks an accountant and a librarian, and answers for both.",
)
