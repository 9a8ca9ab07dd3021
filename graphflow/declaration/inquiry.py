"""An inquiry: a question that is about to be put to the outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphflow import clock
from graphflow.errors import DeclarationError
from graphflow.events import QuestionKind
from graphflow.messages.types import Type


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is about to be asked.

    Attributes:
        about: whom.
        message: what is shown.
        answer: the type of the answer that is recorded.
        due: when it answers itself, in seconds since 1970; None: never.
        otherwise: the answer that it gives itself then.
        people: the type of an answer that somebody gives; by default the same.
        schema: the JSON schema of that; by default that of its type.
        check: raises a `ValueError` of an answer that is of that type, and wrong all the same.
    """

    about: QuestionKind
    message: object
    answer: Type
    due: float | None = None
    otherwise: Any = None
    people: Type | None = None
    schema: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[Any], None] | None = None

    @property
    def accepted(self) -> Type:
        """The type of an answer that somebody gives."""
        return self.answer if self.people is None else self.people


def due_after(seconds: float | None) -> float | None:
    """When so many seconds are over, in seconds since 1970."""
    return None if seconds is None else clock.now() + seconds


def check_timeout(whose: str, seconds: object) -> None:
    """Refuses a timeout that is not a positive number of seconds.

    Raises:
        DeclarationError: it is not.
    """
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0:
        raise DeclarationError(f"{whose}: timeout={seconds!r} must be a positive number of seconds")


USE_TIMEOUT = "give timeout=..., and it sends TimedOut then"
"""What a node that waits for somebody has in the place of `timeout_s`."""


def refuse_attempt_timeout(whose: str, options: Mapping[str, object], instead: str) -> None:
    """Refuses `timeout_s` for a node that only waits: it would hold in one process, and be forgotten by the next.

    Args:
        whose: what the error is about.
        options: those of the node.
        instead: what to write.

    Raises:
        DeclarationError: it is given.
    """
    if options.get("timeout_s") is not None:
        raise DeclarationError(
            f"{whose}: timeout_s= is for nodes that work, and this one waits, whether a process is there or not; {instead}"
        )
