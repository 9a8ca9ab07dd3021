"""A debate: several models answer, read each other, answer again; a judge says who was right.

After Du et al., "Improving Factuality and Reasoning in Language Models through Multiagent Debate" (2023), arXiv:2305.14325.
The debaters speak at the same time; a round ends when all have spoken. If they agree, the debate is closed at once;
otherwise after `ROUNDS` rounds. Give them different models: what both get wrong in the same way no debate will mend.

    graphflow run debate "Is 2027 a prime number?" --model openai:gpt-5-mini

The embedded models are no debaters: smollm2 repeats what it read, and the larger ones have to be fetched first
(`graphflow models pull qwen2.5-coder-1.5b`).

To make it your own: `Agent("ada", model="anthropic:...")`, `Agent("ben", model="google:...")`; a third debater is one more
agent, one more port of `hear`, and two more arrows.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from graphflow import END, START, Agent, AtLeast, AtMost, Graph, LimitReached, Limits, Message, node

ROUNDS = 3
"""Rounds in all."""


class Question(Message):
    """What is debated."""

    question: str


class Position(Message):
    """What a debater says: reasons first, so that the answer can follow from them."""

    reason: str = Field(max_length=600)
    answer: str = Field(max_length=200)


class Round(Message):
    """What was said in one round."""

    ada: Position
    ben: Position


class Debate(Message):
    """A question, and all that was said so far."""

    question: str
    rounds: tuple[Round, ...] = ()


class Closed(Message):
    """A debate that goes to the judge."""

    question: str
    rounds: tuple[Round, ...]
    agreed: bool


class Verdict(Message):
    """What comes out."""

    reason: str = Field(max_length=600)
    winner: Literal["ada", "ben", "both", "neither"]
    answer: str = Field(max_length=200)


SAID = """Question: {{ question }}
{% for round in rounds %}
Round {{ loop.index }}
Ada: {{ round.ada.answer }}, because {{ round.ada.reason }}
Ben: {{ round.ben.answer }}, because {{ round.ben.reason }}
{% endfor %}"""


def debater(name: str, bent: str) -> Agent[Debate, Position]:
    """One side."""
    return Agent(
        name.lower(),
        input=Debate,
        output=Position,
        system=f"You are {name}. {bent} Read what the other says, change your mind if they are right, and answer the question.",
        prompt=SAID,
        max_tokens=600,
    )


ada = debater("Ada", "You work things out step by step.")
ben = debater("Ben", "You look for counterexamples.")


@node
async def floor(asked: Question | Debate) -> Debate:
    """Opens a round."""
    return asked if isinstance(asked, Debate) else Debate(question=asked.question)


@node
async def hear(debate: Debate, ada: Position, ben: Position) -> Debate | Closed:
    """Ends a round: closed if both answer the same."""
    rounds = (*debate.rounds, Round(ada=ada, ben=ben))
    if ada.answer.strip(" .").casefold() == ben.answer.strip(" .").casefold():
        return Closed(question=debate.question, rounds=rounds, agreed=True)
    return Debate(question=debate.question, rounds=rounds)


@node
async def close(reached: LimitReached) -> Closed:
    """The rounds are over, and there are still two opinions."""
    debate: Debate = reached.message
    return Closed(question=debate.question, rounds=debate.rounds, agreed=False)


judge = Agent(
    "judge",
    input=Closed,
    output=Verdict,
    system="Judge the debate by its reasons, not by its tone. Say who was right, and the right answer.",
    prompt=SAID,
    max_tokens=600,
)

debate: Graph[Question, Verdict] = Graph(
    "debate",
    START >> floor >> (ada, ben, hear.into("debate")),
    # `hear` waits for both: a round is what they said without having heard each other.
    ada >> hear.into("ada"),
    ben >> hear.into("ben"),
    # The first round needs no way back, so the edge may be taken one time less.
    hear[Debate].limit(ROUNDS - 1) >> floor,
    hear[LimitReached] >> close,
    (hear[Closed], close) >> judge >> END,
    input=Question,
    claims=[AtMost("floor", ROUNDS), AtLeast("judge", 1)],
    model="local:qwen2.5-coder-1.5b",
    limits=Limits(depth=1, steps=80, model_calls=40, seconds=600),
    description="Two debate over at most three rounds, a judge decides.",
)
