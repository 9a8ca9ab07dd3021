"""A guard."""

from __future__ import annotations

from dataclasses import dataclass

from graphflow import Context
from graphflow.security import Guard


@dataclass(frozen=True)
class NoShouting(Guard):
    """Rejects texts with too many capitals."""

    most: int = 3
    name = "no shouting"

    async def check(self, message: object, ctx: Context) -> str | None:
        """Counts."""
        capitals = sum(letter.isupper() for letter in str(message))
        return f"it has {capitals} capitals" if capitals > self.most else None
