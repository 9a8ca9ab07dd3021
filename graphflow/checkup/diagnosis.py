"""What a look at one thing has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Health = Literal["ok", "warning", "problem", "absent"]
"""How a thing stands: it works; it may surprise; it is broken; it is not there, and nothing here needs it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a look at one thing has found.

    Attributes:
        area: what it belongs to: "environment", "extras", "programs", "models", "project", "store", "plugins", "names".
        about: the thing.
        state: how it stands.
        text: what is to be said of it. Never a secret.
        advice: what to type; "" if there is nothing to do.
    """

    area: str
    about: str
    state: Health
    text: str
    advice: str = ""
