"""Messages: the immutable values that travel on edges, and how they are read as text.

A message is a frozen pydantic model or a plain JSON value. It is never changed on its way; what could be is copied
(`copies.py`).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from graphflow.plain import check_integers
from graphflow.plain import to_json_value as to_json_value


class Message(BaseModel):
    """A frozen pydantic model that refuses unknown fields. Any other pydantic model is a message too."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Failure(Message):
    """What travels along `source[Failure]` when a node has failed and its retries are used up."""

    node: str
    error: str
    """The exception's text."""
    kind: str
    """The exception's class name."""
    input: Any = None
    """The message, or the ports' messages by name, that the node was given."""


class LimitReached(Message):
    """What travels along `source[LimitReached]` when a limited edge has used up its laps."""

    limit: str
    value: float
    message: Any = None
    """The last message: the one that would have gone round once more."""


class TimedOut(Message):
    """What a node sends that has waited for an answer from outside, and got none in time."""

    node: str
    seconds: float
    """How long it has waited."""
    message: Any = None
    """What it was given."""


def to_text(message: object) -> str:
    """A message as a model or a terminal should read it: text as it is, everything else as JSON.

    Raises:
        IntegerTooLong: there is an integer of more than 4,300 digits in it.
    """
    if isinstance(message, str):
        return message
    from pydantic_core import to_json

    check_integers(message)
    return to_json(message, fallback=repr, serialize_unknown=True, inf_nan_mode="strings").decode()


def error_text(error: BaseException) -> str:
    """An exception's text; an exception whose own text cannot be had still has one."""
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} without a text>"


def shortened(value: object, most: int = 120) -> str:
    """A value as an error text shows it; one whose own `repr` raises is named by its class."""
    try:
        shown = repr(value)
    except Exception:
        return f"<{type(value).__name__} without a repr>"
    if len(shown) <= most:
        return shown
    beginning = shown[: most - 3]
    return f"{beginning}..."
