"""A question: what a waiting branch has asked a person, the clock or another program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from graphflow.events import QuestionAsked, QuestionKind


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
    def of(event: QuestionAsked, path: tuple[str, ...], began_at: float) -> Question:
        """The question that an event tells of, in a run that began then (in seconds since 1970)."""
        due = None if event.due is None else datetime.fromtimestamp(event.due, UTC)
        return Question(
            event.question,
            event.node,
            path,
            event.about,
            event.message,
            event.schema,
            datetime.fromtimestamp(began_at + event.at, UTC),
            due,
        )


def question_id(node: str, place: str) -> str:
    """The name of a question: who asks, and a digest of where, so that it is the same after a restart."""
    digest = sha256(place.encode(errors="surrogatepass")).hexdigest()
    return f"{node}-{digest[:8]}"
