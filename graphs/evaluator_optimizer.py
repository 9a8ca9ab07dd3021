"""Evaluator and optimizer: one model writes, another grades it and says what to mend, until it is good or laps are used up.

The pattern is from Anthropic, "Building effective agents" (2024). Use it where a text gets better by being told what is
wrong with it. What can be counted is counted by code and outweighs the model's grade: words that stand in "double quotes"
in the task must be in the text, and "at most 12 words" means it. When the laps are used up, the best text so far goes out.

    graphflow run evaluator_optimizer 'Write a slogan for a bakery with "bread" and "morning" in at most 8 words.'
    graphflow run evaluator_optimizer "Explain recursion to a child." --model anthropic:claude-sonnet-4-5

The embedded model meets demands that are counted; as an evaluator it finds everything good. A task without such demands
wants a larger model.

To make it your own: say in `evaluator` what good means to you, put what can be tested (a compiler, a linter, your own
rules) into `decide`, and change `LAPS`.
"""

from __future__ import annotations

from pydantic import Field

from graphflow import END, START, Agent, AtMost, Before, Graph, LimitReached, Limits, Message, node
from nodes._support.demands import demands_of, unmet

LAPS = 3
"""How often a text is sent back."""
GOOD = 4
"""The grade from which a text goes out."""


class Brief(Message):
    """What to write."""

    task: str


class Draft(Message):
    """A text on its way: for which task, how good, what is wrong with it."""

    task: str
    text: str
    grade: int = 0
    feedback: str = ""
    rounds: int = 1


class Round(Message):
    """One more time: the last text, and the best so far."""

    task: str
    last: Draft | None = None
    best: Draft | None = None


class Verdict(Message):
    """What the evaluator says. The words come first, so that the grade can follow from them."""

    feedback: str = Field(max_length=300)
    grade: int = Field(ge=1, le=5)


class Written(Message):
    """What comes out: the text, and whether it was good enough."""

    text: str
    good: bool
    grade: int
    rounds: int
    feedback: str = ""


@node
async def turn(work: Brief | Round) -> Round:
    """Begins a round."""
    return work if isinstance(work, Round) else Round(task=work.task)


def _again(task: str, text: str, feedback: str) -> Round:
    return Round(task=task, last=Draft(task=task, text=text, feedback=feedback))


generator = Agent(
    "generator",
    input=Round,
    system="Write what the task asks for, and nothing else.",
    prompt="{{ task }}{% if last %}\nYour last text: {{ last.text }}\n{{ last.feedback }} Write it again.{% endif %}",
    examples=[
        (
            Round(task='Write a slogan for a school with "learn" in at most 6 words.'),
            "Come to learn, stay to grow.",
        ),
        (
            _again(
                'Write a slogan for a lamp shop with "light" and "home".',
                "Lamps for everybody.",
                "It lacks 'light'. It lacks 'home'.",
            ),
            "Bring light to your home.",
        ),
        (
            Round(task='Write one sentence about cats with "mouse" and "patient".'),
            "A patient cat waits for hours until the mouse comes out.",
        ),
        (
            Round(task='Write a note of thanks to Ben with "cake" in at most 15 words.'),
            "Dear Ben, thank you so much for the lovely cake!",
        ),
    ],
)


@node
async def draft(round: Round, text: str) -> Draft:
    """The text together with what it was written for."""
    rounds = 1 if round.last is None else round.last.rounds + 1
    return Draft(task=round.task, text=text.strip(), rounds=rounds)


def _graded(task: str, text: str) -> Draft:
    return Draft(task=task, text=text)


evaluator = Agent(
    "evaluator",
    input=Draft,
    output=Verdict,
    system="Grade the text: 5 is perfect, 1 is useless. Say in one sentence what to mend.",
    prompt="Task: {{ task }}\nText: {{ text }}",
    examples=[
        (
            _graded("Write a slogan for a school.", "Come to learn, stay to grow."),
            Verdict(feedback="Good.", grade=5),
        ),
        (_graded("Write a greeting.", "a a a a"), Verdict(feedback="Write whole words.", grade=1)),
        (
            _graded("Write one sentence about cats.", "Cats sleep all day."),
            Verdict(feedback="Good.", grade=5),
        ),
        (
            _graded("Write a note to Ben.", "Dear Ben, thank you for the cake!"),
            Verdict(feedback="Good.", grade=5),
        ),
    ],
    max_tokens=200,
)


@node
async def decide(draft: Draft, verdict: Verdict, round: Round) -> Written | Round:
    """Lets a good text go; what can be counted outweighs the grade."""
    wrong = unmet(draft.text, demands_of(draft.task))
    grade = verdict.grade
    # Below GOOD, and lower the more is wrong, so that the best text so far is the one with the least.
    if wrong:
        grade = max(0, min(grade, GOOD - 1 - len(wrong)))
    judged = Draft(
        task=draft.task,
        text=draft.text,
        grade=grade,
        feedback=" ".join(wrong) or verdict.feedback,
        rounds=draft.rounds,
    )
    best = judged
    if round.best is not None and round.best.grade > judged.grade:
        best = round.best
    if grade >= GOOD:
        return Written(
            text=draft.text, good=True, grade=grade, rounds=draft.rounds, feedback=judged.feedback
        )
    return Round(task=draft.task, last=judged, best=best)


@node
async def best_so_far(reached: LimitReached) -> Written:
    """The way out when the laps are used up: the best text there was."""
    round: Round = reached.message
    # `decide` never sends a round back without both.
    assert round.best is not None
    assert round.last is not None
    best = round.best
    return Written(
        text=best.text,
        good=False,
        grade=best.grade,
        rounds=round.last.rounds,
        feedback=best.feedback,
    )


evaluator_optimizer: Graph[Brief, Written] = Graph(
    "evaluator_optimizer",
    # The round goes past both models, as what is decided needs the best text so far.
    START >> turn >> (generator, draft.into("round"), decide.into("round")),
    generator >> draft.into("text"),
    draft >> (evaluator, decide.into("draft")),
    evaluator >> decide.into("verdict"),
    decide[Round].limit(LAPS) >> turn,
    decide[LimitReached] >> best_so_far >> END,
    decide[Written] >> END,
    input=Brief,
    claims=[Before("evaluator", "decide"), AtMost("generator", LAPS + 1)],
    model="local:smollm2",
    limits=Limits(depth=1, steps=60, model_calls=20, seconds=600),
    description="Writes, grades and mends a text until it is good; at most four rounds.",
)
