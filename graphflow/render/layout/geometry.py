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

    def text(self) -> str:
        """The point as DOT writes it."""
        return f"{self.x:.2f},{self.y:.2f}"

    def moved(self, dx: float, dy: float) -> Point:
        """A point so far away from this one."""
        x = self.x + dx
        y = self.y + dy
        return Point(x, y)

    def angle_to(self, other: Point) -> float:
        """The direction in which another point lies, from 0 (to the right) to a full turn, against the clock."""
        dx = other.x - self.x
        dy = other.y - self.y
        angle = atan2(dy, dx)
        return angle % TURN


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

    def without_border(self, beside: float, above: float) -> Box:
        """The box that is left where a border of that width and height is taken away."""
        left = self.left + beside
        low = self.low + above
        right = self.right - beside
        high = self.high - above
        return Box(left, low, right, high)

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
        to_left = inner.left - self.left
        to_right = self.right - inner.right
        to_low = inner.low - self.low
        to_high = self.high - inner.high
        nearest = min(to_left, to_right, to_low, to_high)
        return nearest > 1

    def is_crossed_by(self, line: list[Point]) -> bool:
        """Whether a line, given as points along it, runs through the box."""
        left, low, right, high = self
        for start, end in pairwise(line):
            x0, y0 = start
            x1, y1 = end
            # Most of a line is on one side of the box altogether.
            if max(x0, x1) < left:
                continue
            if min(x0, x1) > right:
                continue
            if max(y0, y1) < low:
                continue
            if min(y0, y1) > high:
                continue
            # Points along a line are a few units apart: looking at five places between two of them misses no label.
            dx = x1 - x0
            dy = y1 - y0
            for step in range(5):
                x = x0 + dx * step / 4
                y = y0 + dy * step / 4
                if left <= x <= right and low <= y <= high:
                    return True
        return False


def box_at(middle: Point, width: float, height: float) -> Box:
    """The box of that size around a point."""
    half_width = width / 2
    half_height = height / 2
    left = middle.x - half_width
    low = middle.y - half_height
    right = middle.x + half_width
    high = middle.y + half_height
    return Box(left, low, right, high)


def box_around(points: Iterable[Point]) -> Box:
    """The smallest box that holds all of these points."""
    xs, ys = zip(*points, strict=True)
    left = min(xs)
    low = min(ys)
    right = max(xs)
    high = max(ys)
    return Box(left, low, right, high)


def distance(one: Point, other: Point) -> float:
    """How far two points are from each other."""
    dx = one.x - other.x
    dy = one.y - other.y
    return hypot(dx, dy)
