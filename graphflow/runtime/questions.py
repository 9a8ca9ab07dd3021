"""Questions to the outside: a branch puts one down and rests until somebody, or the clock, has answered it.

Rules:
1. That it was asked is kept before it can be answered, and its answer is kept before anything follows from it.
2. An answer is read by the declared type first: what does not fit is not an answer, and the question stays open.
3. The first answer counts, for every attempt that asks the same at the same place: nobody is asked twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from graphflow import clock
from graphflow.declaration.inquiry import Inquiry
from graphflow.declaration.node import AnyNode
from graphflow.errors import AnswerExists, AnswerInvalid
from graphflow.events import AnswerRefused, QuestionAnswered, QuestionAsked
from graphflow.journal.detail import Detail
from graphflow.journal.entries import Given, entries_for, entry_value, is_message
from graphflow.journal.question import Question
from graphflow.messages.types import schema_of
from graphflow.places import Place
from graphflow.runtime.answers import read_answer
from graphflow.runtime.frame import Frame
from graphflow.runtime.sitting import Answers, OpenQuestion, QuestionRecord, Sitting

CLOCK = "the clock"
"""Who answers a question that was due."""
LONGEST_TIMER_S = 60.0
"""Seconds after which a timer looks at the clock again, which may have been set meanwhile."""


async def ask_outside(
    frame: Frame, node: AnyNode, activation: int, place: Place, inquiry: Inquiry
) -> Any:
    """The answer to a question, after however many sittings of the run. Nobody is asked twice, whatever is tried again."""
    from graphflow.journal.codec.value_codec import codec_of  # who never asks never loads it

    sitting = frame.shared.sitting
    assert sitting is not None
    message = frame.masked(inquiry.message, "question", activation, node.name)
    id = sitting.question_at(node.name, place.name)
    record = sitting.asked.get(id)
    codec = codec_of(inquiry.answer)
    if record is not None and record.answered is not None:
        return codec.decode(record.answered.value)
    if record is None:
        schema = inquiry.schema or schema_of(inquiry.accepted)
        stamp = (frame.clock(), frame.number, activation)
        asked = QuestionAsked(*stamp, node.name, id, inquiry.about, message, schema, inquiry.due)
        record = sitting.asked[id] = QuestionRecord(asked, place.name)
        frame.tell(asked, Detail(place.name))
        await frame.keep_record()

    given = await _PendingInquiry(frame, node, activation, record, inquiry, sitting).answer()
    stamp = (frame.clock(), frame.number, activation)
    answered = QuestionAnswered(
        *stamp, node.name, id, codec.encode(given.value), given.by, given.entry
    )
    record.answered = answered
    frame.tell(answered, Detail(place.name))
    await frame.keep_record()
    return given.value


class _PendingInquiry:
    """One question, while it has no answer."""

    def __init__(
        self,
        frame: Frame,
        node: AnyNode,
        activation: int,
        record: QuestionRecord,
        inquiry: Inquiry,
        sitting: Sitting,
    ) -> None:
        self.frame = frame
        self.node = node
        self.activation = activation
        self.record = record
        self.inquiry = inquiry
        self.sitting = sitting
        self.id = record.asked.question

    async def answer(self) -> Given:
        """What was given before this sitting, or is while it goes on; read by its type."""
        sitting, asked = self.sitting, self.record.asked
        given = sitting.take_answer(self.id, self.node.name)
        stored = self._find(sitting.stored)
        if stored is not None:
            if given is not None:
                first = sitting.stored[stored.entry]
                sitting.refused.append(
                    AnswerExists(self.frame.shared.run.id, self.id, first.by, first.at)
                )
            return stored
        if given is not None:
            try:
                return self._read(given)
            except AnswerInvalid as invalid:
                sitting.refused.append(invalid)
        asked_at = self.frame.shared.run.seconds_at(asked.at)
        question = Question.of(asked, self.frame.path, asked_at)
        waiting = OpenQuestion(question, lambda given: self._read(given).value, self.record)
        waiting.find = self._find
        waiting.answer = asyncio.get_running_loop().create_future()
        waiting.task = asyncio.current_task()
        sitting.open[self.id] = waiting
        if asked.due is not None:
            _answer_when_due(sitting, waiting, asked.due, self.inquiry.otherwise)
        sitting.drop()
        sitting.watch()
        try:
            return await waiting.answer
        finally:
            if sitting.open.pop(self.id, None) is not None:  # it was stopped, and not answered
                waiting.stop()
                sitting.add()

    def _read(self, given: Given) -> Given:
        inquiry = self.inquiry
        value = read_answer(self.id, given, inquiry.accepted)
        if inquiry.check is not None:
            try:
                inquiry.check(value)
            except ValueError as error:
                raise AnswerInvalid(self.id, inquiry.about, str(error)) from None
        frame, node = self.frame, self.node
        return replace(given, value=frame.masked(value, "answer", self.activation, node.name))

    def _find(self, stored: Answers) -> Given | None:
        """The first of what a store holds for the question that fits it. What does not is refused, once and for all."""
        record, sitting = self.record, self.sitting
        for entry in entries_for(record.asked, record.refused, stored, sitting.taken):
            sitting.taken.add(entry.question)
            given = entry_value(entry)
            try:
                return self._read(given)
            except AnswerInvalid as invalid:
                if not is_message(entry.question):
                    record.refused += 1
                frame = self.frame
                stamp = (frame.clock(), frame.number, self.activation)
                refused = AnswerRefused(
                    *stamp, self.node.name, self.id, str(invalid), given.by, entry.question
                )
                frame.tell(refused, Detail(record.place))
        return None


def _answer_when_due(sitting: Sitting, waiting: OpenQuestion, due: float, otherwise: Any) -> None:
    """Has a question answer itself in time."""

    def answer() -> None:
        sitting.give(waiting.question.id, Given(otherwise, by=CLOCK))

    waiting.timer = clock.current.get().call_at(due, answer)
