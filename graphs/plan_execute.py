"""Plan and execute: a planner makes a typed plan, its steps are worked off at the same time, what is missing is planned again.

After Wang et al., "Plan-and-Solve Prompting" (2023), arXiv:2305.04091, and the plan-and-execute agents made of it. Here a
question of several parts is answered from a folder of texts: the plan is a list of simple questions, each is looked up and
answered by itself, and a review either finishes or sends what was not found back to the planner, at most twice.

    graphflow run plan_execute "When are you open on Saturday, and what does delivery cost?"
    graphflow run plan_execute "Who may return food, and until when?" --set folder=my/folder --model openai:gpt-5-mini

To make it your own: `look_up` is the worker, an agent with your tools can stand in its place; `review` is the judge.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from graphflow import (
    END,
    START,
    Agent,
    AtMost,
    Before,
    Context,
    Failure,
    Graph,
    LimitReached,
    Limits,
    Message,
    node,
)
from nodes._support.words import stems
from nodes.steps.check_answer import checked
from nodes.steps.retrieve import NEAR, key_words
from nodes.tools.search_documents import search_documents

LAPS = 2
"""How often what is missing is planned again."""


class Question(Message):
    """What to find out, and where."""

    question: str
    folder: str = ""
    """A folder with .md and .txt files; empty = the shop that is shipped."""


class Finding(Message):
    """What became of one step."""

    step: str
    answer: str = ""
    found: bool = False
    file: str = ""


class Goal(Message):
    """A question, what is known by now, and what could not be found."""

    question: str
    folder: str
    known: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()


class Plan(Message):
    """What a planner answers with."""

    steps: list[str] = Field(min_length=1, max_length=5)


class Step(Message):
    """One step of a plan, with the goal it serves."""

    goal: Goal
    text: str


class Evidence(Message):
    """A step, and the sentence that answers it."""

    step: str
    fact: str


class Report(Message):
    """What comes out: the answer, step by step, and what stays open."""

    answer: str
    findings: tuple[Finding, ...]
    open: tuple[str, ...] = ()


def _goal(question: str, *missing: str) -> Goal:
    return Goal(question=question, folder="", missing=missing)


planner = Agent(
    "planner",
    input=Goal,
    output=Plan,
    system="Split the question into simple questions, each about one thing, as JSON.",
    prompt="{{ question }}{% if missing %}\nAsk in other words: {{ missing | join(' ') }}{% endif %}",
    description="Splits a question into simple ones.",
    examples=[
        (
            _goal("When does the train leave and what does a ticket cost?"),
            Plan(steps=["When does the train leave?", "What does a ticket cost?"]),
        ),
        (_goal("Where can I sit down?"), Plan(steps=["Where can I sit down?"])),
        (
            _goal("Do you sell stamps, may I smoke here, and who is the owner?"),
            Plan(steps=["Do you sell stamps?", "May I smoke here?", "Who is the owner?"]),
        ),
        (
            _goal("What does a ticket cost?", "What does a ticket cost?"),
            Plan(steps=["What is the price of a ticket?"]),
        ),
    ],
    max_tokens=300,
)

answerer = Agent(
    "answerer",
    input=Evidence,
    system="Answer the question in one short sentence. Use only the fact.",
    prompt="Question: {{ step }}\nFact: {{ fact }}",
    description="Says a fact as the answer to a question.",
    examples=[
        (
            Evidence(step="Do you sell stamps?", fact="Stamps are sold at the till."),
            "Yes, stamps are sold at the till.",
        ),
        (
            Evidence(step="Where can I sit down?", fact="There is a bench beside the door."),
            "There is a bench beside the door.",
        ),
        (
            Evidence(step="What is a ticket?", fact="A ticket costs 3 euros, or 20 for ten."),
            "A ticket costs 3 euros, or 20 for ten.",
        ),
    ],
    max_tokens=100,
    stop=["\n"],
)


@node
async def begin(asked: Question | Goal) -> Goal:
    """A goal: at first with nothing known, later with what is missing."""
    if isinstance(asked, Goal):
        return asked
    return Goal(question=asked.question, folder=asked.folder or str(Path(__file__).parent / "shop"))


@node(calls=[planner])
async def plan(goal: Goal, ctx: Context) -> list[Step]:
    """The steps; after the first time only for what is missing."""
    made = await ctx.call(planner, goal)
    known = {finding.step for finding in goal.known}
    steps = [step for step in dict.fromkeys(made.steps) if step not in known]
    if not goal.missing:  # later plans use other words on purpose
        steps = to_the_point(steps, goal.question)
    texts = steps or goal.missing or [goal.question]  # a plan of nothing is no reason to give up
    return [Step(goal=goal, text=text) for text in texts]


@node(calls=[search_documents, answerer])
async def look_up(step: Step, ctx: Context) -> Finding:
    """Finds the sentence that is nearest to a step and says it as an answer; code checks what is said."""
    [best, *_] = await ctx.call(search_documents, {"query": step.text, "shop": step.goal.folder})
    if best.score < NEAR:
        return Finding(step=step.text)
    sentence = await ctx.call(answerer, Evidence(step=step.text, fact=best.sentence))
    answer, _ = checked(sentence.strip(), best.sentence, key_words(best.sentence))
    return Finding(step=step.text, answer=answer or best.sentence, found=True, file=best.file)


@node
async def note_failure(failure: Failure) -> Finding:
    """A step that failed has found nothing: the others go on."""
    step: Step = failure.input
    return Finding(step=step.text)


@node
async def review(findings: list[Finding], goal: Goal) -> Report | Goal:
    """Finishes if every step found something, else asks for a plan of what is missing."""
    found = [finding for finding in findings if finding.found]
    known = (*goal.known, *found)
    missing = tuple(finding.step for finding in findings if not finding.found)
    after = Goal(question=goal.question, folder=goal.folder, known=known, missing=missing)
    return after if missing else written(after)


@node
async def report_open(reached: LimitReached) -> Report:
    """The way out when the laps are used up: what is known, and what stays open."""
    goal: Goal = reached.message
    return written(goal)


def to_the_point(steps: list[str], question: str) -> list[str]:
    """A plan without steps that have nothing to do with the question, and with the parts of the question it forgot."""
    about = stems(question)
    steps = [step for step in steps if stems(step) & about]
    covered = {word for step in steps for word in stems(step)}
    parts = re.split(r"\?\s+|,\s*(?:and\s+)?|\band\s+", question.strip().rstrip("?"))
    forgotten = [part.strip() + "?" for part in parts if stems(part) and not stems(part) & covered]
    return [*steps, *forgotten]


def written(goal: Goal) -> Report:
    """What is known, as text."""
    answer = (
        " ".join(dict.fromkeys(finding.answer for finding in goal.known))
        or "I found nothing about that."
    )
    return Report(answer=answer, findings=goal.known, open=goal.missing)


plan_execute: Graph[Question, Report] = Graph(
    "plan_execute",
    START >> begin >> (plan, review.into("goal")),
    # Isolated: a step that fails stops none of the others, and goes its own way to the review.
    plan.each.fork("isolate") >> look_up >> review.into("findings"),
    look_up[Failure] >> note_failure >> review.into("findings"),
    # What is missing is planned again with what is known; the limit ends this for what nobody wrote down.
    review[Goal].limit(LAPS) >> begin,
    review[LimitReached] >> report_open >> END,
    review[Report] >> END,
    input=Question,
    claims=[Before("plan", "look_up"), AtMost("plan", LAPS + 1)],
    model="local:smollm2",
    limits=Limits(depth=1, steps=200, model_calls=60, seconds=600, concurrency=8),
    description="Splits a question into simple ones, looks all of them up in a folder, plans again what was not found.",
)
