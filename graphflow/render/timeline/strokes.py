"""The critical path as lines: a heavy stroke under each bar, and dotted lines from bar to bar."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from graphflow.render.timeline.elements import number, path, place

TOUCHING = 1.5
"""Points between two strokes that are drawn as one."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A level stroke."""

    left: float
    right: float
    y: float


class Strokes:
    """The strokes of one path while they are gathered, in the order of time.

    Attributes:
        rows: the strokes by their height.
        joins: the dotted lines between them.
        last: the one before the next.
    """

    def __init__(self) -> None:
        self.rows: dict[float, list[Stroke]] = defaultdict(list)
        self.joins: list[str] = []
        self.last: Stroke | None = None

    def add(self, stroke: Stroke) -> None:
        """Adds a stroke; one that touches the one beside it makes it longer."""
        if self.last is not None:
            self._join(self.last, stroke)
        self.last = stroke
        row = self.rows[stroke.y]
        # A long run has thousands of pieces: those that touch on the screen are one.
        if row:
            beside = row[-1]
            gap = stroke.left - beside.right
            if gap < TOUCHING:
                row.pop()
                right = max(beside.right, stroke.right)
                stroke = Stroke(beside.left, right, stroke.y)
        row.append(stroke)

    def _join(self, before: Stroke, after: Stroke) -> None:
        """Leads from the end of one bar to the begin of the next."""
        gap = after.left - before.right
        rise = abs(before.y - after.y)
        # A piece that begins before the last one ended is within it: there is nothing to join.
        if gap >= -TOUCHING and rise > 1:
            start = place(before.right, before.y)
            end = place(after.left, after.y)
            line = path("thin", f"M{start}L{end}")
            self.joins.append(line)

    def heavy(self) -> str:
        """All strokes as one path: a long run has thousands of them."""
        line = ""
        for row in self.rows.values():
            for stroke in row:
                start = place(stroke.left, stroke.y)
                end = number(stroke.right)
                line += f"M{start}H{end}"
        if not line:
            return ""
        return path("path", line)
