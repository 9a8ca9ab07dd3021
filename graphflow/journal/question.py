"""A question: what a waiting branch has asked a person, the clock or another program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeGuard

from graphflow.errors import QuestionUnknown
from graphflow.events import (
    Event,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    QuestionAnswered,
    QuestionAsked,
    QuestionKind,
    Resumed,
    Stopped,
)

SHOWN = 10
"""Open questions that an error names."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a run waits for.

    Attributes:
        id: its name within the run, by which it is answered.
        node: who asks.
        path: names of the frames around it.
        about: whom it is for: "human", "approval", "elicitation", "time" or "message".
        message: what was asked.
        schema: the JSON schema of an answer.
        asked: when, in UTC.
        due: when it answers itself, in UTC; None: never.
    """

    id: str
    node: str
    path: tuple[str, ...]
    about: QuestionKind
    message: Any
    schema: Mapping[str, Any] = field(repr=False)
    asked: datetime
    due: datetime | None = None

    @staticmethod
    def of(event: QuestionAsked, path: tuple[str, ...], asked_at: float) -> Question:
        """The question that an event tells of, asked then (in seconds since 1970)."""
        due = None if event.due is None else datetime.fromtimestamp(event.due, UTC)
        return Question(
            event.question,
            event.node,
            path,
            event.about,
            event.message,
            event.schema,
            datetime.fromtimestamp(asked_at, UTC),
            due,
        )


def open_questions(events: Iterable[Event]) -> list[QuestionAsked]:
    """The questions that somebody waits for, by what has happened in a run so far, in the order in which they were asked."""
    book = _Book()
    for event in events:
        book.take(event)
    return [
        asked for asked in book.asked.values() if not book.is_over(asked.frame, asked.activation)
    ]


class _Book:
    """What is open, and what is over."""

    def __init__(self) -> None:
        self.asked: dict[str, QuestionAsked] = {}
        self._over: set[tuple[int, int]] = set()
        """Activations that have ended, by frame and number."""
        self._around: dict[int, tuple[int, int]] = {}
        """The activation that has entered each frame."""
        self._stopped: set[int] = set()
        """Frames that were told to stop: what was under way there begins again, if the run goes on."""

    def take(self, event: Event) -> None:
        if isinstance(event, QuestionAsked):
            self.asked[event.question] = event
        elif isinstance(event, QuestionAnswered):
            self.asked.pop(event.question, None)
        elif isinstance(event, FrameEntered):
            self._around[event.frame] = event.parent, event.activation
        elif isinstance(event, Stopped):
            self._stopped.add(event.frame)
        elif isinstance(event, Resumed):
            self._stopped.clear()
        elif self._ends(event):
            self._over.add((event.frame, event.activation))

    def _ends(
        self, event: Event
    ) -> TypeGuard[NodeFinished | NodeFailed | NodeCancelled | NodeRefused]:
        """Whether an activation is over with that."""
        if isinstance(event, NodeFinished):
            return True
        # What ended because its frame was told to stop begins again when the run goes on.
        return (
            isinstance(event, (NodeFailed, NodeCancelled, NodeRefused))
            and event.frame not in self._stopped
        )

    def is_over(self, frame: int, activation: int) -> bool:
        """Whether an activation has ended, or one around it."""
        while (frame, activation) not in self._over:
            around = self._around.get(frame)
            if around is None:
                return False
            frame, activation = around
        return True


def unknown_question(name: str, open: Sequence[str], run: str) -> QuestionUnknown:
    """The error for a question that is not open, or that is one of several of its node."""
    return QuestionUnknown(
        f"run {run!r} has no open question {name!r}; those that are open: {names_of(open)}"
    )


def names_of(questions: Sequence[str]) -> str:
    """The names of questions, for an error: of many the first few."""
    shown = [repr(id) for id in questions[:SHOWN]]
    if len(questions) > SHOWN:
        shown.append(f"and {len(questions) - SHOWN:,} more")
    return ", ".join(shown) or "none"


def question_id(node: str, place: str, digits: int = 8) -> str:
    """The name of a question: who asks, and so many digits of a digest of where, so that it is the same after a restart."""
    digest = sha256(place.encode(errors="surrogatepass")).hexdigest()
    return f"{node}-{digest[:digits]}"
