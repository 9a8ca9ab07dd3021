"""Writes one sentence to a customer from a fact. The only free text in the desk."""

from __future__ import annotations

from graphflow import Agent, Message


class WriteRequest(Message):
    """What to say, to which question, and whether the sentence before was no good."""

    question: str
    fact: str
    again: bool = False


def _ask(question: str, fact: str) -> WriteRequest:
    return WriteRequest(question=question, fact=fact)


writer = Agent(
    "writer",
    input=WriteRequest,
    prompt="Question: {{ question }}\nFact: {{ fact }}{% if again %}\nRepeat the fact to the customer.{% endif %}",
    system="Answer the customer's question in one short sentence. Use only the fact.",
    examples=[
        (
            _ask(
                "Is my parcel 3312 here soon?",
                "Order 3312 (lamp) is on its way and arrives on 4 July.",
            ),
            "Your lamp is on its way and arrives on 4 July.",
        ),
        (
            _ask("How much are 3 pears and 2 cakes?", "3 pears and 2 cakes cost 9.50 euros."),
            "3 pears and 2 cakes cost 9.50 euros.",
        ),
        (
            _ask("Do you sell stamps?", "Stamps are sold at the till."),
            "Yes, stamps are sold at the till.",
        ),
        (
            _ask("Where can I sit down?", "There is a bench beside the door."),
            "There is a bench beside the door.",
        ),
    ],
    max_tokens=48,
    stop=["\n"],
)
