"""A guard of lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from graphflow.declaration.guards import StreamJudge
from graphflow.errors import DeclarationError
from graphflow.keywords import strict_keywords
from graphflow.security.text_guard import TextGuard


@strict_keywords
@dataclass(frozen=True, slots=True)
class Length(TextGuard):
    """Rejects messages whose texts are too long, or too short.

    Attributes:
        most: characters of all texts of a message together, at most.
        least: characters, at least; space around a text does not count for it.
    """

    most: int
    least: int = 0
    name = "length"
    checks_content: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most:
            raise DeclarationError(
                f"{self!r}: least is at least 0, and most is at least as much as least"
            )

    def judge(self, texts: Sequence[str]) -> str | None:
        size = sum(map(len, texts))
        if size > self.most:
            return too_long(self.most)
        words = sum(len(text.strip()) for text in texts)
        if words < self.least:
            return f"{words:,} characters are fewer than {self.least:,}"
        return None

    def stream(self) -> StreamJudge | None:
        # Whether a text is too short is only known when it is over.
        return None if self.least else _LengthJudge(self)


class _LengthJudge(StreamJudge):
    """Counts what is said."""

    __slots__ = ("guard",)

    def __init__(self, guard: Length) -> None:
        super().__init__()
        self.guard = guard

    def take(self, piece: str) -> str | None:
        most = self.guard.most
        # What would be beyond the limit is not told.
        self.safe = min(self.safe + len(piece), most + 1)
        return too_long(most) if self.safe > most else None


def too_long(most: int) -> str:
    """Why a text is rejected that is longer than so many characters."""
    return f"it is longer than {most:,} characters"
