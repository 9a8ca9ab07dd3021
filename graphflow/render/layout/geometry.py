"""Points and boxes of a picture that is laid out, in points (1/72 inch), with the origin at the lower left."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import atan2, hypot, pi
from typing import NamedTuple

TURN = 2 * pi


class Point(NamedTuple):
    """A place in a picture."""

    x: float
    y: float

    def moved(self, dx: float, dy: float) -> Point:
        """A point so far away from this one."""
        return Point(self.x + dx, self.y + dy)

    def angle_to(self, other: Point) -> float:
        """The direction in which another point lies, from 0 (to the right) to a full turn, against the clock."""
        dx = other.x - self.x
        dy = other.y - self.y
        return atan2(dy, dx) % TURN


class Box(NamedTuple):
    """An upright rectangle."""

    left: float
    low: float
    right: float
    high: float

    @property
    def width(self) -> float:
        """How wide it is."""
        return self.right - self.left

    @property
    def middle(self) -> Point:
        """Where its diagonals cross."""
        x = (self.left + self.right) / 2
        y = (self.low + self.high) / 2
        return Point(x, y)

    def overlaps(self, other: Box, room: float = 0.0) -> bool:
        """Whether the two touch, or come closer than `room`."""
        # Most boxes are far from each other: the first question usually answers it.
        if self.left >= other.right + room:
            return False
        if other.left >= self.right + room:
            return False
        if self.low >= other.high + room:
            return False
        return other.low < self.high + room

    def holds(self, inner: Box) -> bool:
        """Whether the other box lies within this one, and at least one point away from its border."""
        beside = min(inner.left - self.left, self.right - inner.right)
        above = min(inner.low - self.low, self.high - inner.high)
        return min(beside, above) > 1

    def is_crossed_by(self, line: list[Point]) -> bool:
        """Whether a line, given as points along it, runs through the box."""
        for start, end in pairwise(line):
            (x0, y0), (x1, y1) = start, end
            is_aside = max(x0, x1) < self.left or min(x0, x1) > self.right
            if is_aside or max(y0, y1) < self.low or min(y0, y1) > self.high:
                continue
            # Points along a line are a few units apart: looking at five places between two of them misses no label.
            dx = x1 - x0
            dy = y1 - y0
            for step in range(5):
                x = x0 + dx * step / 4
                y = y0 + dy * step / 4
                if self.left <= x <= self.right and self.low <= y <= self.high:
                    return True
        return False


def box_at(middle: Point, width: float, height: float) -> Box:
    """The box of that size around a point."""
    left = middle.x - width / 2
    low = middle.y - height / 2
    right = middle.x + width / 2
    high = middle.y + height / 2
    return Box(left, low, right, high)


def box_around(points: Iterable[Point]) -> Box:
    """The smallest box that holds all of these points."""
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def distance(one: Point, other: Point) -> float:
    """How far two points are from each other."""
    dx = one.x - other.x
    dy = one.y - other.y
    return hypot(dx, dy)
