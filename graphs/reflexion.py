"""Reflexion: try, be tested, put into words what went wrong, remember it, try again.

After Shinn et al., "Reflexion: Language Agents with Verbal Reinforcement Learning" (2023), arXiv:2303.11366. Unlike an
optimizer, which mends its last text, the actor begins anew each time; what it carries over are its lessons. The test is
code where the task says what can be counted (words in "double quotes", "at most 12 words"), else a judge. When the
attempts are used up, the best one goes out, marked as not solved.

    graphflow run reflexion 'Tell Tom in one sentence that his "coat" is in the "office".'
    graphflow run reflexion "Write a limerick about a lighthouse." --model openai:gpt-5-mini

The embedded model learns from a lesson now and then (Tom's coat takes it two attempts); more often it gives up, and says so.

To make it your own: put your test into `evaluate` (run the program, ask the database, compare with the expected answer),
give `actor` tools, and change `ATTEMPTS`.
"""

from __future__ import annotations

from pydantic import Field

from graphflow import (
    END,
    START,
    Agent,
    AtMost,
    Before,
    Context,
    Graph,
    LimitReached,
    Limits,
    Message,
    node,
)
from nodes._support.demands import demands_of, unmet

ATTEMPTS = 4
"""Attempts in all."""


class Task(Message):
    """What to do."""

    task: str


class Attempt(Message):
    """What an actor came up with, and what is wrong with it; nothing if it passed."""

    answer: str
    wrong: tuple[str, ...] = ()


class Trial(Message):
    """A task, what has been tried, and what was learned from it: the memory, as a message."""

    task: str
    attempts: tuple[Attempt, ...] = ()
    lessons: tuple[str, ...] = ()


class Failed(Message):
    """A trial whose last attempt did not pass."""

    trial: Trial
    answer: str
    why: str


class Solved(Message):
    """What comes out."""

    answer: str
    solved: bool
    attempts: int
    lessons: tuple[str, ...]


class Verdict(Message):
    """What a judge says of an answer."""

    why: str = Field(max_length=300)
    passed: bool


class Case(Message):
    """What a judge is shown."""

    task: str
    answer: str


@node
async def trial(work: Task | Trial) -> Trial:
    """Begins an attempt."""
    return work if isinstance(work, Trial) else Trial(task=work.task)


actor = Agent(
    "actor",
    input=Trial,
    system="Do the task. Answer with the text itself, and nothing else.",
    prompt="{{ task }}{% for lesson in lessons %}\nRemember: {{ lesson }}{% endfor %}",
    examples=[
        (
            Trial(
                task='Write a line about the sea with "blue", "salt" and "wind".',
                lessons=("Next time I also write 'salt'.",),
            ),
            "The sea is blue, the wind tastes of salt.",
        ),
        (
            Trial(task='Ask Mia when she brings the "keys" to the "office".'),
            "Dear Mia, when do you bring the keys to the office?",
        ),
        (
            Trial(
                task='Tell Ben that his "chair" is "ready" until "Tuesday".',
                lessons=("Next time I also write 'Tuesday'.",),
            ),
            "Dear Ben, your chair is ready until Tuesday.",
        ),
    ],
)

judge = Agent(
    "judge",
    input=Case,
    output=Verdict,
    system="Say whether the answer does what the task asks for, and why.",
    prompt="Task: {{ task }}\nAnswer: {{ answer }}",
    description="Says whether an answer does what its task asks for.",
)


@node(calls=[judge])
async def evaluate(trial: Trial, answer: str, ctx: Context) -> Solved | Failed:
    """Tests an answer: by code if the task says what can be counted, else by the judge."""
    answer = answer.strip()
    demands = demands_of(trial.task)
    wrong = unmet(answer, demands)
    is_counted = bool(demands.words) or demands.most is not None
    if not wrong and not is_counted:  # a judge is asked only where code cannot tell
        verdict = await ctx.call(judge, Case(task=trial.task, answer=answer))
        wrong = () if verdict.passed else (verdict.why,)
    attempts = (*trial.attempts, Attempt(answer=answer, wrong=wrong))
    if not wrong:
        return Solved(answer=answer, solved=True, attempts=len(attempts), lessons=trial.lessons)
    tried = Trial(task=trial.task, attempts=attempts, lessons=trial.lessons)
    return Failed(trial=tried, answer=answer, why=" ".join(wrong))


def _failed(task: str, answer: str, why: str) -> Failed:
    return Failed(trial=Trial(task=task), answer=answer, why=why)


reflector = Agent(
    "reflector",
    input=Failed,
    description="Says what to do differently next time.",
    system="The answer failed. Say in one short sentence what to do differently next time.",
    prompt="Task: {{ trial.task }}\nAnswer: {{ answer }}\nWrong: {{ why }}",
    examples=[
        (
            _failed("Greet Mia in at most 5 words.", "Dear Mia, how are you?", "It is too long."),
            "Next time I write fewer words.",
        ),
        (
            _failed('Write a line with "blue" and "salt".', "The sea is blue.", "It lacks 'salt'."),
            "Next time I also write 'salt'.",
        ),
        (
            _failed(
                'Tell Ben that his "chair" is "ready".',
                "Good news!",
                "It lacks 'chair'. It lacks 'ready'.",
            ),
            "Next time I also write 'chair' and 'ready'.",
        ),
    ],
    max_tokens=100,
)


@node(calls=[reflector])
async def reflect(failed: Failed, ctx: Context) -> Trial:
    """Puts what went wrong into words, and the words into the memory; the newest come last."""
    lesson = await ctx.call(reflector, failed)
    lessons = dict.fromkeys((*failed.trial.lessons, lesson.strip()))
    return Trial(task=failed.trial.task, attempts=failed.trial.attempts, lessons=tuple(lessons))


@node
async def give_up(reached: LimitReached) -> Solved:
    """The way out when the attempts are used up: the one with the least wrong, the latest of equals."""
    failed: Failed = reached.message
    attempts = failed.trial.attempts
    # `min` takes the first of equals.
    best = min(reversed(attempts), key=lambda attempt: len(attempt.wrong))
    return Solved(
        answer=best.answer, solved=False, attempts=len(attempts), lessons=failed.trial.lessons
    )


reflexion: Graph[Task, Solved] = Graph(
    "reflexion",
    START >> trial >> (actor, evaluate.into("trial")),
    actor >> evaluate.into("answer"),
    evaluate[Solved] >> END,
    # The first attempt needs no way back, so the edge may be taken one time less.
    evaluate[Failed].limit(ATTEMPTS - 1) >> reflect >> trial,
    evaluate[LimitReached] >> give_up >> END,
    input=Task,
    claims=[Before("evaluate[Failed]", "reflect"), AtMost("actor", ATTEMPTS)],
    model="local:smollm2",
    limits=Limits(depth=1, steps=60, model_calls=30, seconds=600),
    description="Tries, is tested, remembers what went wrong, tries again; at most four times.",
)
