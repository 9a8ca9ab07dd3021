"""A policy."""

from __future__ import annotations

from graphflow import Policy
from graphflow.policy import Use


def opening_hours(*, opens: int = 9, closes: int = 17, now: int = 12) -> Policy:
    """What writes is allowed in opening hours only."""

    def check(use: Use) -> str | None:
        if "writes" in use.effects and not opens <= now < closes:
            return f"it is {now} o'clock, and we open at {opens}"
        return None

    return Policy(check=check)
