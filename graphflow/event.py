"""An event: what all of them have. `events.py` has them all, and their rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Scope = tuple[tuple[int, Any], ...]
"""The path of forks and laps that led to a token: `((fork or loop, index), ...)`, outermost first. It orders tokens, too."""

Status = Literal["running", "completed", "failed", "cancelled", "limited", "waiting"]
QuestionKind = Literal["human", "approval", "elicitation", "time", "message"]
"""Whom a question is for: a person who fills in an answer or agrees to a call, a person behind a server's question, the
clock, another program."""


@dataclass(slots=True)
class Event:
    """What every event has."""

    kind: ClassVar[str] = "event"
    passing: ClassVar[bool] = False
    """Whether it is a piece of what is still being said: told to whoever listens, and not kept (`graphflow.journal.live`)."""
    follows: ClassVar[bool] = False
    """Whether it follows from the facts, so that no store has to keep it."""
    at: float
    frame: int
