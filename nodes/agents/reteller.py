"""Says facts as an answer, one sentence each."""

from __future__ import annotations

from graphflow import Agent, Message


class Retelling(Message):
    """What to say, and to which question."""

    question: str
    facts: tuple[str, ...]


reteller = Agent(
    "reteller",
    input=Retelling,
    system="Repeat each fact to the reader in one sentence, in its own words. Add nothing and leave nothing out.",
    prompt="{% if question %}Question: {{ question }}\n{% endif %}{% for fact in facts %}Fact: {{ fact }}\n{% endfor %}",
    examples=[
        (
            Retelling(question="Where can I sit?", facts=("There is a bench beside the door.",)),
            "There is a bench beside the door.",
        ),
        (
            Retelling(question="", facts=("Tea is served at four.", "Cakes cost 2 euros each.")),
            "Tea is served at four. Cakes cost 2 euros each.",
        ),
    ],
    max_tokens=400,
)
