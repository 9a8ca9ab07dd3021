r"""The line of an edge, as DOT writes it in `pos`.

        s,tip   p0 p1 p2 p3 ...  e,tip

An optional tip before the first point, Bezier pieces of three points each after the first, an optional tip at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from graphflow.render.layout.geometry import Point

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def numbers(text: str) -> list[float]:
    """All numbers in a value."""
    return [float(number) for number in _NUMBER.findall(text)]


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
            pair = numbers(part)[-2:]
            if len(pair) < 2:
                return None
            point = Point(*pair)
            match part[0]:
                case "e":
                    curve.last_tip = point
                case "s":
                    curve.first_tip = point
                case _:
                    curve.points.append(point)
        return curve if curve.is_whole else None

    @property
    def is_whole(self) -> bool:
        """Whether its points make Bezier pieces: three each, after the first."""
        pieces, rest = divmod(len(self.points) - 1, 3)
        return pieces > 0 and rest == 0

    def text(self) -> str:
        """The line as DOT writes it."""
        parts: list[str] = []
        if self.first_tip is not None:
            tip = self.first_tip.text()
            parts.append(f"s,{tip}")
        if self.last_tip is not None:
            tip = self.last_tip.text()
            parts.append(f"e,{tip}")
        parts += [point.text() for point in self.points]
        return " ".join(parts)

    def sampled(self, steps: int = 8) -> list[Point]:
        """Points along the line, tips included."""
        found: list[Point] = []
        if self.first_tip is not None:
            found.append(self.first_tip)
        last = len(self.points) - 1
        for begin in range(0, last, 3):
            piece = self.points[begin : begin + 4]
            for step in range(steps):
                point = _along(piece, step / steps)
                found.append(point)
        found.append(self.points[-1])
        if self.last_tip is not None:
            found.append(self.last_tip)
        return found

    def move_end(self, at_first: bool, dx: float, dy: float) -> None:
        """Moves one end sideways; its direction stays, and the rest of the line hardly notices."""
        # The end and its handle go all the way, so that the line arrives at the same angle. In a line of several pieces
        # the next handle follows a little; in a line of one piece it is the handle of the other end, which stays.
        next_share = 0.35 if len(self.points) > 4 else 0.0
        shares = (1.0, 1.0, next_share)
        places = (0, 1, 2) if at_first else (-1, -2, -3)
        for place, share in zip(places, shares, strict=True):
            point = self.points[place]
            self.points[place] = point.moved(dx * share, dy * share)
        if at_first and self.first_tip is not None:
            self.first_tip = self.first_tip.moved(dx, dy)
        elif not at_first and self.last_tip is not None:
            self.last_tip = self.last_tip.moved(dx, dy)


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
