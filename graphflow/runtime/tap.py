"""A tap: where what a run tells is led to others than its own readers, without the walk looking for them.

    walk  >  run.journal.append  >  tap.take       a journal with a tap hands on what is added to it
             feed.say            >  tap.take       pieces of what is still being said

A run that nobody has tapped has a plain list for its journal: it pays nothing, not even a question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from graphflow.journal.stretch import Row


class Tap(Protocol):
    """What is led a run's rows. It is called by the walk, and must be quick."""

    def take(self, row: Row) -> None:
        """Takes a row, or a piece; from whatever thread: plain functions tell from theirs."""
        ...

    def recall(self, rows: Sequence[Row]) -> None:
        """Takes what an earlier sitting has told."""
        ...


class TappedJournal(list[Row]):
    """A journal that hands on what is added to it."""

    __slots__ = ("tap",)

    def __init__(self, rows: Iterable[Row], tap: Tap) -> None:
        super().__init__(rows)
        self.tap = tap

    def append(self, row: Row, /) -> None:
        """Adds a row."""
        super().append(row)
        self.tap.take(row)

    def extend(self, rows: Iterable[Row], /) -> None:
        """Adds what earlier sittings have told."""
        # Nobody is told of these again: they are history.
        listed = list(rows)
        super().extend(listed)
        self.tap.recall(listed)
