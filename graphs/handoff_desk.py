"""A desk that hands over: triage talks to the customer first and passes the conversation on to whoever is in charge.

A hand-over is not a call: nothing comes back, the walk goes on with the specialist, who reads what was said before and
answers the customer. Who finds that the matter is not theirs hands back, within laps; when those are used up, or somebody
fails, a person gets the case. This is the routing of Anthropic, "Building effective agents" (2024), done by the agents.

    graphflow run handoff_desk "Order 1187 has not come, and I want my money back." --model openai:gpt-5-mini

It wants a model that calls tools; of the embedded ones only the largest does (`graphflow models pull qwen2.5-coder-1.5b`).
For a tiny model a router does this better, see the graph `desk`.

To make it your own: one agent for each responsibility; its `description` is what the others know of it.
"""

from __future__ import annotations

from pathlib import Path

from graphflow import (
    END,
    START,
    Agent,
    Before,
    Failure,
    Graph,
    Handoff,
    LimitReached,
    Limits,
    Message,
    node,
    tool,
)
from nodes.tools.find_order import find_order as look_up

SHOP = str(Path(__file__).parent / "shop")
HAND_BACKS = 2
"""How often a specialist may hand back to triage."""


class Enquiry(Message):
    """What a customer wants."""

    text: str


class Case(Message):
    """What a specialist gets: the conversation comes with it."""

    summary: str
    order_id: str = ""
    """Digits; empty if it is about none."""


class Ticket(Message):
    """What a person gets when the desk is at its end."""

    summary: str
    why: str


@tool(effects=["reads"])
async def find_order(order_id: str) -> dict[str, str]:
    """Find an order: what it is, how it stands, and since when.

    Args:
        order_id: the number of the order.
    """
    row: dict[str, str] = await look_up(order_id, SHOP)
    return row


# Specialists name triage by its name: it is declared below them, and names them.
BACK = Handoff(
    "triage",
    conversation=True,
    laps=HAND_BACKS,
    description="If the matter is not yours; say what the customer wants.",
)

shipping = Agent(
    "shipping",
    input=Case,
    system="You answer questions about where orders are. Look the order up. Refunds are not your business: hand them back.",
    prompt="You are in charge now. {{ summary }}{% if order_id %} Order {{ order_id }}.{% endif %}",
    tools=[find_order],
    handoffs=[BACK],
    max_turns=8,
    description="Where an order is and when it comes.",
)

refunds = Agent(
    "refunds",
    input=Case,
    system="You decide about refunds: an order that was delivered more than 30 days ago gets none. Look the order up first.",
    prompt="You are in charge now. {{ summary }}{% if order_id %} Order {{ order_id }}.{% endif %}",
    tools=[find_order],
    handoffs=[BACK],
    max_turns=8,
    description="Money back, complaints and returns.",
)

triage = Agent(
    "triage",
    input=Enquiry,
    system="You are the first whom a customer meets. Greet and thank by yourself; hand everything else over to who is in charge.",
    prompt="{{ text }}",
    handoffs=[Handoff(shipping, conversation=True), Handoff(refunds, conversation=True)],
    max_turns=4,
    description="Finds out what a customer wants.",
)


@node
async def open_ticket(trouble: Failure | LimitReached) -> Ticket:
    """The way out when the desk fails or goes round in circles: a person takes the case."""
    if isinstance(trouble, Failure):
        why = f"{trouble.node} failed: {trouble.error}"
        return Ticket(summary=summary_of(trouble.input), why=why)
    why = f"nobody felt in charge after {trouble.value:g} hand-overs back"
    return Ticket(summary=summary_of(trouble.message), why=why)


def summary_of(message: object) -> str:
    """What a message says about the case."""
    match message:
        case Enquiry(text=text):
            return text
        case Case(summary=summary):
            return summary
    return str(getattr(message, "message", message))


handoff_desk: Graph[Enquiry, str | Ticket] = Graph(
    "handoff_desk",
    START >> triage >> END,
    (shipping, refunds) >> END,
    # Hand-overs need no arrows: an agent's `handoffs` are edges. What needs one is every way to a person.
    (triage[Failure], shipping[Failure], refunds[Failure]) >> open_ticket,
    (shipping[LimitReached], refunds[LimitReached]) >> open_ticket >> END,
    claims=[Before("triage", "refunds"), Before("triage", "shipping")],
    model="local:qwen2.5-coder-1.5b",
    limits=Limits(depth=1, steps=80, model_calls=40, seconds=300),
    description="Triage hands the conversation over to shipping or refunds, who may hand it back.",
)
