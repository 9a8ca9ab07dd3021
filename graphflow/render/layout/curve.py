r"""The line of an edge, as DOT writes it in `pos`.

        s,tip   p0 p1 p2 p3 ...  e,tip

An optional tip before the first point, Bezier pieces of three points each after the first, an optional tip at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from graphflow.render.layout.geometry import Point

NEXT_SHARE = 0.35
"""How far the handle of the next piece follows an end that is moved."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def numbers(text: str) -> list[float]:
    """All numbers in a value."""
    found = _NUMBER.findall(text)
    return list(map(float, found))


@dataclass(slots=True)
class Curve:
    """The line of an edge: Bezier pieces, and the tips of arrows before its first and behind its last point."""

    points: list[Point]
    first_tip: Point | None = None
    last_tip: Point | None = None

    @classmethod
    def read(cls, value: str) -> Curve | None:
        """The line that a `pos` describes; None where it describes several, or none at all."""
        # Semicolons part the curves of an edge that is drawn as several.
        if ";" in value:
            return None
        curve = cls([])
        for part in value.split():
            coordinates = numbers(part)
            if len(coordinates) < 2:
                return None
            x, y = coordinates[-2:]
            point = Point(x, y)
            match part[0]:
                case "e":
                    curve.last_tip = point
                case "s":
                    curve.first_tip = point
                case _:
                    curve.points.append(point)
        if not curve.is_whole:
            return None
        return curve

    @property
    def is_whole(self) -> bool:
        """Whether its points make Bezier pieces: three each, after the first."""
        after_first = len(self.points) - 1
        if after_first <= 0:
            return False
        return after_first % 3 == 0

    def text(self) -> str:
        """The line as DOT writes it."""
        parts: list[str] = []
        # Both tips come first, whichever end of the line they are at.
        if self.first_tip is not None:
            tip = self.first_tip.text()
            parts.append(f"s,{tip}")
        if self.last_tip is not None:
            tip = self.last_tip.text()
            parts.append(f"e,{tip}")
        for point in self.points:
            part = point.text()
            parts.append(part)
        return " ".join(parts)

    def sampled(self, steps: int = 8) -> list[Point]:
        """Points along the line, tips included."""
        found: list[Point] = []
        if self.first_tip is not None:
            found.append(self.first_tip)
        last = len(self.points) - 1
        # Each piece begins at the point where the one before it ends: that point is in both.
        for begin in range(0, last, 3):
            end = begin + 4
            piece = self.points[begin:end]
            for step in range(steps):
                share = step / steps
                point = _along(piece, share)
                found.append(point)
        end_point = self.points[last]
        found.append(end_point)
        if self.last_tip is not None:
            found.append(self.last_tip)
        return found

    def move_end(self, at_first: bool, dx: float, dy: float) -> None:
        """Moves one end sideways; its direction stays, and the rest of the line hardly notices."""
        # The end and its handle go all the way, so that the line arrives at the same angle. In a line of several pieces
        # the next handle follows a little; in a line of one piece it is the handle of the other end, which stays.
        if at_first:
            end, handle, next_handle = 0, 1, 2
            self.first_tip = _moved_tip(self.first_tip, dx, dy)
        else:
            end, handle, next_handle = -1, -2, -3
            self.last_tip = _moved_tip(self.last_tip, dx, dy)
        self._move_point(end, dx, dy)
        self._move_point(handle, dx, dy)
        if len(self.points) > 4:
            little_x = dx * NEXT_SHARE
            little_y = dy * NEXT_SHARE
            self._move_point(next_handle, little_x, little_y)

    def _move_point(self, place: int, dx: float, dy: float) -> None:
        point = self.points[place]
        self.points[place] = point.moved(dx, dy)


def _moved_tip(tip: Point | None, dx: float, dy: float) -> Point | None:
    if tip is None:
        return None
    return tip.moved(dx, dy)


def _along(piece: list[Point], t: float) -> Point:
    """The point of a cubic Bezier piece at `t`, from 0 at its begin to 1 at its end (Bernstein's form)."""
    rest = 1 - t
    begin = rest**3
    first_handle = 3 * t * rest**2
    second_handle = 3 * t * t * rest
    end = t**3
    weights = (begin, first_handle, second_handle, end)
    x = 0.0
    y = 0.0
    for weight, point in zip(weights, piece, strict=True):
        x += weight * point.x
        y += weight * point.y
    return Point(x, y)
