"""A sitting: what moves in a run between its start, or a resume, and the moment in which nothing can move any more.

Rules:
1. Each activation is one thing that moves. While it awaits calls, these move in its place; a frame that was entered moves as
   its activations do. What waits for an answer from outside, for its turn, or for another's answer, rests.
2. When nothing moves and questions are open, the sitting is over: the run waits. A question that answers itself within
   `WAIT_HERE_S` is waited for here.
3. What a node does beside its calls is not seen. If that is all that goes on, it is stopped with the sitting, and begun again
   when the run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from graphflow import clock
from graphflow.errors import GraphflowError
from graphflow.events import QuestionAnswered, QuestionAsked
from graphflow.journal.entries import Given
from graphflow.journal.question import Question, question_id
from graphflow.journal.stored import StoredAnswer

WAIT_HERE_S = 10.0
"""Seconds that a sitting goes on for the sake of the clock alone."""
LOOKS = 8
"""Turns of the event loop in which nothing may move before a sitting is over: whoever was woken gets to its work in two."""


Answers = Mapping[str, StoredAnswer]
"""What a store holds for a run, by name."""


@dataclass(slots=True)
class QuestionRecord:
    """What is recorded of a question: that it was asked, where, what the answer was, and how many did not fit."""

    asked: QuestionAsked
    place: str
    answered: QuestionAnswered | None = None
    refused: int = 0


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """A question that has got its answer: by whom, and when, in seconds since 1970."""

    id: str
    node: str
    by: str
    at: float


class OpenQuestion:
    """A question that waits for its answer.

    Attributes:
        question: what was asked.
        read: makes of what was given what the branch takes, or raises `AnswerInvalid`.
        find: finds an answer that fits in what a store holds; nothing, where the run is only looked at.
        record: what is known of it.
        answer: the answer, read.
    """

    __slots__ = ("answer", "find", "question", "read", "record", "task", "timer")

    def __init__(
        self, question: Question, read: Callable[[Given], Any], record: QuestionRecord
    ) -> None:
        self.question = question
        self.read = read
        self.record = record
        self.find: Callable[[Answers], Given | None] = _nothing
        self.answer: asyncio.Future[Given] | None = None
        self.task: asyncio.Task[Any] | None = None
        """Who waits for it."""
        self.timer: clock.Timer | None = None

    def stop(self) -> None:
        """It is not waited for any more."""
        if self.timer is not None:
            self.timer.cancel()


def _nothing(_: Answers) -> None:
    return None


class Sitting:
    """What moves, and what is waited for.

    Args:
        end: what is called when nothing can move any more.
        watch: what is called when a question is open.
    """

    def __init__(self, end: Callable[[], None], watch: Callable[[], None]) -> None:
        self.moving = 0
        self.open: dict[str, OpenQuestion] = {}
        self.watch = watch
        self.asked: dict[str, QuestionRecord] = {}
        """All questions of the run, by name."""
        self.answers: dict[str, Given] = {}
        """Answers that this sitting was begun with, by the name of the question, or of the node that asks."""
        self.refused: list[GraphflowError] = []
        """Why some of those were not taken: they did not fit, or others had come first."""
        self.stored: Answers = {}
        """What the store held for the run when it was looked at last."""
        self.taken: set[str] = set()
        """Of that, what the run has taken or refused."""
        self.answered: list[GivenAnswer] = []
        """What has got its answer in this sitting, in order."""
        self.is_over = False
        """Whether nothing could move any more."""
        self._end = end
        self._looking = False

    def question_at(self, node: str, place: str) -> str:
        """The name of the question that a node asks at a place, with as many digits as tell it from the others of the run."""
        id = question_id(node, place)
        known = self.asked.get(id)
        if known is None or known.place == place:
            return id
        return question_id(node, place, digits=64)

    def take_answer(self, question: str, node: str) -> Given | None:
        """The answer to a question that the sitting was begun with, if there is one; it is taken once."""
        for name in (question, node):
            given = self.answers.pop(name, None)
            if given is not None:
                return given
        return None

    def add(self) -> None:
        """Something more moves."""
        self.moving += 1

    def drop(self) -> None:
        """Something moves no more."""
        self.moving -= 1
        if self.open and self.moving <= 0:
            self.look()

    def close(self) -> None:
        """Stops what still waits: tasks of a node's own, which nobody else would end."""
        for asked in list(self.open.values()):
            if asked.task is not None:
                asked.task.cancel()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While something waits for others of its run."""
        self.drop()
        try:
            yield
        finally:
            self.add()

    def look_into(self, stored: Answers) -> None:
        """Gives open questions what the store holds for them by now."""
        self.stored = stored
        for id, asked in list(self.open.items()):
            found = asked.find(stored)
            if found is not None:
                self.give(id, found)

    def look(self) -> None:
        """Looks whether the sitting is over, as soon as all that was woken has had its turn."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look, LOOKS)

    def _look(self, left: int) -> None:
        if self.moving > 0 or not self.open:
            self._looking = False
        elif left:
            asyncio.get_running_loop().call_soon(self._look, left - 1)
        else:
            self._looking = False
            if not self._soon():
                self._end()

    def _soon(self) -> bool:
        """Whether a question answers itself so soon that it is waited for."""
        limit = clock.now() + WAIT_HERE_S
        for asked in self.open.values():
            due = asked.question.due
            if due is not None and due.timestamp() <= limit:
                return True
        return False

    def give(self, id: str, answer: Given) -> bool:
        """Gives a question its answer, read; whether it was open."""
        asked = self.open.pop(id, None)
        if asked is None or asked.answer is None or asked.answer.done():
            return False
        asked.stop()
        self.answered.append(GivenAnswer(id, asked.question.node, answer.by, clock.now()))
        self.add()  # it moves from now on, not only when it wakes
        asked.answer.set_result(answer)
        return True


@asynccontextmanager
async def in_turn(lock: asyncio.Lock, sitting: Sitting | None) -> AsyncIterator[None]:
    """While a lock is held. Whoever waits for it rests."""
    if sitting is None or not lock.locked():
        await lock.acquire()
    else:
        with sitting.resting():
            await lock.acquire()
    try:
        yield
    finally:
        lock.release()
