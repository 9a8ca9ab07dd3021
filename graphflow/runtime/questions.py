"""Questions to the outside: a branch puts one down and rests until somebody, or the clock, has answered it.

Rules:
1. That it was asked is kept before it can be answered, and its answer is kept before anything follows from it.
2. An answer is read by the declared type first: what does not fit is no answer, and the question stays open.
3. The first answer counts.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from graphflow.declaration.inquiry import Inquiry
from graphflow.declaration.node import AnyNode
from graphflow.errors import AnswerInvalid
from graphflow.events import QuestionAnswered, QuestionAsked
from graphflow.journal.detail import Detail
from graphflow.journal.question import Question, question_id
from graphflow.messages.types import Type, adapter_of, output_check, schema_of, type_name
from graphflow.places import Place
from graphflow.runtime.frame import Frame
from graphflow.runtime.sitting import OpenQuestion, Sitting

CLOCK = "the clock"
"""Who answers a question that was due."""
LONGEST_TIMER_S = 3600.0
"""Seconds after which a timer looks at the clock again, which may have been set meanwhile."""


async def ask_outside(frame: Frame, node: AnyNode, activation: int, place: Place, inquiry: Inquiry) -> Any:
    """The answer to a question, after however many sittings of the run."""
    from graphflow.journal.codec.value_codec import codec_of  # who never asks never loads it

    past = frame.shared.past
    id = question_id(node.name, place.name)
    known = None if past is None else past.asked.pop(id, None)
    codec = codec_of(inquiry.answer)
    if known is not None and known.answered is not None:
        return codec.decode(known.answered.value)
    if known is None:
        schema = inquiry.schema or schema_of(inquiry.answer)
        stamp = (frame.clock(), frame.number, activation)
        asked = QuestionAsked(*stamp, node.name, id, inquiry.about, inquiry.message, schema, inquiry.due)
        frame.tell(asked, Detail(place.name))
        await frame.keep_record()
    else:
        asked = known.asked

    answer, by = await _answer_to(frame, node, id, asked, inquiry)
    stamp = (frame.clock(), frame.number, activation)
    answered = QuestionAnswered(*stamp, node.name, id, codec.encode(answer), by)
    frame.tell(answered, Detail(place.name))
    await frame.keep_record()
    return answer


async def _answer_to(frame: Frame, node: AnyNode, id: str, asked: QuestionAsked, inquiry: Inquiry) -> tuple[Any, str]:
    """The answer that was given before this sitting, or comes while it goes on; and who gave it."""
    shared = frame.shared
    sitting = shared.sitting
    assert sitting is not None

    def read(value: Any) -> Any:
        return read_answer(id, value, inquiry.answer)

    given = sitting.take_answer(id, node.name)
    if given is not None:
        value, by = given
        try:
            return read(value), by
        except AnswerInvalid as invalid:
            sitting.refused.append(invalid)
    waiting = OpenQuestion(Question.of(asked, frame.path, shared.run.began_at), read)
    waiting.answer = asyncio.get_running_loop().create_future()
    sitting.open[id] = waiting
    if asked.due is not None:
        _answer_when_due(sitting, waiting, asked.due, inquiry.otherwise)
    sitting.drop()
    try:
        return await waiting.answer
    finally:
        if sitting.open.pop(id, None) is not None:  # it was stopped, and not answered
            waiting.stop()
            sitting.add()


def _answer_when_due(sitting: Sitting, waiting: OpenQuestion, due: float, otherwise: Any) -> None:
    """Has a question answer itself in time."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        left = due - time.time()
        if left > 0:  # the clock was set back, or a timer came early
            waiting.timer = loop.call_later(min(left, LONGEST_TIMER_S), look)
        else:
            sitting.give(waiting.question.id, otherwise, CLOCK)

    left = max(0.0, due - time.time())
    waiting.timer = loop.call_later(min(left, LONGEST_TIMER_S), look)


def read_answer(id: str, value: Any, kind: Type) -> Any:
    """An answer as its type wants it.

    Raises:
        AnswerInvalid: it does not fit; the text names each field.
    """
    expected, fits = output_check(kind)
    if type(value) is expected or fits is None or fits(value):
        return value
    try:
        return adapter_of(kind).validate_python(value)
    except ValueError as error:
        lines = str(error).splitlines()
        why = "; ".join(line.strip() for line in lines[1:] if not line.startswith("    For further"))
        raise AnswerInvalid(id, type_name(kind), why or str(error)) from None
