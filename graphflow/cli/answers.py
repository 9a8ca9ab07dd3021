"""What `graphflow answer` does: one answer to one question of a run that waits."""

from __future__ import annotations

import json
import sys

from graphflow.cli.outcome import question_line
from graphflow.cli.questions import answer_to
from graphflow.cli.stored_runs import header_of
from graphflow.cli.terminal import can_ask
from graphflow.errors import InputInvalid, QuestionUnknown
from graphflow.journal.entries import Given
from graphflow.journal.question import Question
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader
from graphflow.project.runs import RunPlace
from graphflow.runtime.run_record import open_question


async def give_answer(
    store: Store, place: RunPlace, id: str | None, name: str | None, text: str | None, by: str
) -> tuple[RunHeader, RunPlace, str]:
    """Answers a question of a run.

    Args:
        store: where the run is kept.
        place: the same.
        id: the run; None: the newest one that waits.
        name: the question, or the node that asks; None: the only one that is open.
        text: the answer; None: it is asked for on a terminal, else read from standard input.
        by: who answers.

    Returns:
        The run, where it is kept, and the question's id.

    Raises:
        QuestionUnknown: there is no such question, or it is not clear which one is meant.
        AnswerInvalid: the answer does not fit.
        AnswerExists: somebody was faster.
    """
    header = await header_of(
        store, id, lambda each: each.status == "waiting", "run that waits for an answer"
    )
    run = await store.load(header.id)
    waiting = run.waits_for
    if name is not None:
        asked: Question = open_question(name, waiting, header.id).question
    else:
        asked = _only(header, [each.question for each in waiting])
    given = await _given(asked, text)
    await store.answer(header.id, asked.id, given.value, arm=given.arm, by=by)
    return header, place, asked.id


async def _given(asked: Question, text: str | None) -> Given:
    """The answer as it was written behind the command, or is typed now.

    Raises:
        InputInvalid: the input has ended.
    """
    if text is not None or not can_ask():
        return Given(read_value(asked, text))
    given = await answer_to(asked)
    if given is None:
        raise InputInvalid(f"{asked.id} is not answered")
    return given


def _only(header: RunHeader, questions: list[Question]) -> Question:
    if len(questions) == 1:
        return questions[0]
    if not questions:
        raise QuestionUnknown(f"run {header.id} ({header.status}) has no open question")
    listed = "; ".join(map(question_line, questions))
    raise QuestionUnknown(
        f"run {header.id} waits for {len(questions)} answers; say which question: {listed}"
    )


def read_value(question: Question, text: str | None) -> object:
    """The value of an answer as it was written: JSON, or a text where one is wanted."""
    if text is None or text == "-":
        if sys.stdin.isatty():  # and nobody can read what is asked
            raise InputInvalid(
                f"{question_line(question)}\nwrite the answer behind it, as JSON or as a text"
            )
        text = sys.stdin.read()
    # 7 is the text "7" where a text is wanted, and whoever says yes to an approval need not quote it.
    wants_text = question.schema.get("type") == "string" or question.about == "approval"
    try:
        value: object = json.loads(text)
    except ValueError:
        return text.rstrip("\n")  # whoever wants something else says so, and what
    if wants_text and not isinstance(value, (str, dict, bool)):
        return text.rstrip("\n")
    return value
