"""Answers that come too late: the question was answered before, and the first answer counts.

Whoever gives the very answer that counts is told nothing: a program that was stopped while it answered does it again.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from graphflow.errors import AnswerExists, GraphflowError, QuestionUnknown
from graphflow.events import Event, QuestionAnswered
from graphflow.journal.entries import Given
from graphflow.journal.question import names_of
from graphflow.journal.record import StoredRecord
from graphflow.journal.wall_clock import clock_of
from graphflow.messages.message import to_json_value
from graphflow.runtime.run_record import RunRecord
from graphflow.runtime.sitting import Sitting

Answers = MutableMapping[str, Given]
"""What a sitting is begun with, by the question's id or the name of the node that asks."""


def check_by_id(record: StoredRecord, answers: Answers) -> None:
    """Looks at the answers that are given by the id of a question; those that count already are taken out.

    Those by the name of a node may be for a question that it is going to ask.

    Raises:
        AnswerExists: another answer counts.
    """
    for answered in _answered(record.events):
        _check(record, answered, answered.question, answers)


def check_of_ended(record: StoredRecord, answers: Answers) -> None:
    """Looks at all answers for a run that has ended.

    Raises:
        AnswerExists: another answer counts.
        QuestionUnknown: it has never asked that.
    """
    for answered in _answered(record.events):
        _check(record, answered, answered.question, answers)
        _check(record, answered, answered.node, answers)
    if answers:
        header = record.header
        raise QuestionUnknown(
            f"run {header.id!r} has ended ({header.status}); nobody waits for an answer of {', '.join(answers)}"
        )


def _answered(events: Iterable[Event]) -> list[QuestionAnswered]:
    return [event for event in events if isinstance(event, QuestionAnswered)]


def _check(record: StoredRecord, answered: QuestionAnswered, name: str, answers: Answers) -> None:
    given = answers.get(name)
    if given is None:
        return
    if to_json_value(given.value) != answered.value:
        clock = clock_of(record.header.began, [entry.event for entry in record.entries])
        at = clock.seconds(answered.at)
        raise AnswerExists(record.header.id, answered.question, answered.by, at)
    del answers[name]


def problem_of_unasked(run: RunRecord[object], sitting: Sitting) -> GraphflowError:
    """What is wrong with answers that were not asked for until the run could only wait."""
    for record in sitting.asked.values():
        answered = record.answered
        if answered is not None and record.asked.node in sitting.answers:
            at = run.seconds_at(answered.at)
            return AnswerExists(run.id, answered.question, answered.by, at)
    names = ", ".join(map(repr, sitting.answers))
    is_open = names_of([question.id for question in run.pending])
    return QuestionUnknown(
        f"run {run.id!r} was given answers that nobody has asked for: {names}; it waits for {is_open}"
    )
