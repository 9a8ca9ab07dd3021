"""Stands behind a writer, in any graph, and lets out only what the facts say.

Each sentence of the answer must retell one of the facts: its numbers with their units, its words, its denials and
conditions. Sentences that hold are kept, a model is asked once to say the rest again, and what does not hold even then
is replaced by the fact. So the answer is true if the facts are, whatever the model.

    @node
    async def with_facts(found: Found, said: str) -> Said:
        return Said(question=found.question, answer=said, facts=found.sentences)

    Graph("faq", START >> search, search >> (writer, with_facts.into("found")),
          writer >> with_facts.into("said") >> grounded >> END)

`Said(rewrite=False)` asks no model. The facts have to be sentences that may be said as they are.
"""

from __future__ import annotations

from graphflow import END, START, Failure, Graph, LimitReached

from ..steps.hold_to_facts import Grounded, Said, Unfounded, hold_to_facts
from ..steps.retell_facts import retell_facts
from ..steps.state_facts import state_facts

grounded: Graph[Said, Grounded] = Graph(
    "grounded",
    START >> hold_to_facts,
    hold_to_facts[Grounded] >> END,
    # Once: a model that cannot say it the second time is not asked a third time, and the facts are said instead.
    hold_to_facts[Unfounded].limit(1) >> retell_facts >> hold_to_facts,
    (hold_to_facts[LimitReached], retell_facts[Failure]) >> state_facts >> END,
    description="Lets out of an answer only what the facts say.",
)
