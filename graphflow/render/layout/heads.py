r"""Sets heads of arrows apart that meet in a point.

\|/                 | | |
+--------+           +--------+       along the side that they lead to, in the order in which their lines come
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, pi, sin
from operator import sub
from typing import Literal

from graphflow.render.layout.drawing import EdgeLine, Outline
from graphflow.render.layout.geometry import TURN, Point, distance

APART = 9.0
"""Points between two heads, and"""
CORNER = 7.0
"""between a head and the corner of what it leads to."""
TOUCHING = 4.0
"""Points from an outline within which a line ends at it."""
ON_THE_WAY = 36.0
"""Points from the end of a line at which its direction is looked at."""
UNSEEN = 0.5
"""A move by so few points is not visible."""

Side = Literal["left", "right", "low", "high", "around"]


@dataclass(slots=True)
class _LineEnd:
    """One end of a line: a head, the ring where trouble begins, or where a line just leaves."""

    edge: EdgeLine
    at_first: bool
    tip: Point
    way: Point
    """Where the line comes from."""
    is_head: bool

    def move(self, dx: float, dy: float) -> None:
        """Moves the end, and the line with it."""
        self.edge.curve.move_end(self.at_first, dx, dy)
        self.edge.has_moved = True


_Touched = dict[tuple[int, Side], list[_LineEnd]]
"""Ends of lines, by the number of the outline that they touch, and its side."""


def spread_heads(edges: list[EdgeLine], outlines: list[Outline]) -> None:
    """Moves the heads of lines that meet on one side of a node; the edges are changed in place."""
    for (number, side), ends in _ends_by_side(edges, outlines).items():
        heads = [end for end in ends if end.is_head]
        # A line that leaves where another arrives has to give way, too; one that leaves elsewhere stays where it is.
        crowded = [end for end in ends if end.is_head or _is_near_one(end, heads)]
        if not heads or len(crowded) < 2:
            continue
        outline = outlines[number]
        if side == "around":
            _spread_around(outline, crowded)
        else:
            _spread_along(outline, side, crowded)


def _ends_by_side(edges: list[EdgeLine], outlines: list[Outline]) -> _Touched:
    """The ends of all lines by the outline that they touch and the side of it."""
    found: _Touched = {}
    for edge in edges:
        for end in _ends_of(edge):
            gaps = [_gap(outline, end.tip) for outline in outlines]
            least = min(gaps, default=TOUCHING)
            if least < TOUCHING:
                number = gaps.index(least)
                side = _side(outlines[number], end.tip)
                found.setdefault((number, side), []).append(end)
    return found


def _ends_of(edge: EdgeLine) -> Iterable[_LineEnd]:
    curve = edge.curve
    line = curve.sampled()
    has_first = curve.first_tip is not None
    yield _LineEnd(edge, True, line[0], _on_the_way(line), has_first)
    line.reverse()
    has_last = curve.last_tip is not None
    yield _LineEnd(edge, False, line[0], _on_the_way(line), has_last)


def _on_the_way(line: list[Point]) -> Point:
    """Where a line is when it has gone a little: there, lines that meet are told apart by their directions."""
    for point in line:
        if distance(point, line[0]) >= ON_THE_WAY:
            return point
    return line[-1]


def _is_near_one(end: _LineEnd, heads: list[_LineEnd]) -> bool:
    return any(distance(end.tip, head.tip) < APART for head in heads)


def _gap(outline: Outline, point: Point) -> float:
    """How far a point is from the border of something."""
    box = outline.box
    if outline.is_round:
        away = distance(point, box.middle)
        return abs(away - box.width / 2)
    to_left = box.left - point.x
    to_right = point.x - box.right
    to_low = box.low - point.y
    to_high = point.y - box.high
    aside = max(to_left, 0, to_right)
    above = max(to_low, 0, to_high)
    if aside or above:
        return hypot(aside, above)
    nearest = max(to_left, to_right, to_low, to_high)  # all are negative within the box
    return -nearest


def _side(outline: Outline, point: Point) -> Side:
    """The side of an outline that a point is nearest to."""
    if outline.is_round:
        return "around"
    box = outline.box
    gaps: dict[Side, float] = {
        "left": abs(point.x - box.left),
        "right": abs(point.x - box.right),
        "low": abs(point.y - box.low),
        "high": abs(point.y - box.high),
    }
    return min(gaps, key=gaps.__getitem__)


# -- along a side ----------------------------------------------------------------------------------------------------------
def _spread_along(outline: Outline, side: Side, ends: list[_LineEnd]) -> None:
    box = outline.box
    along_x = side in ("low", "high")
    if along_x:
        axis = 0
        low, high = box.left, box.right
    else:
        axis = 1
        low, high = box.low, box.high
    _order(ends, axis)
    places = [end.tip[axis] for end in ends]
    wanted = _set_apart(places, low + CORNER, high - CORNER, APART)
    for end, place in zip(ends, wanted, strict=True):
        by = place - end.tip[axis]
        if abs(by) <= UNSEEN:
            continue
        if along_x:
            end.move(by, 0.0)
        else:
            end.move(0.0, by)


def _order(ends: list[_LineEnd], axis: int) -> None:
    """Sorts ends along a side; those that meet are in the order in which their lines come, so that these do not cross."""
    ends.sort(key=lambda end: end.tip[axis])
    for _ in ends:
        # Neighbours change places as in a bubble sort: those that are far apart must keep the order of their tips.
        for place in range(len(ends) - 1):
            one = ends[place]
            other = ends[place + 1]
            gap = other.tip[axis] - one.tip[axis]
            crosses = one.way[axis] > other.way[axis]
            if abs(gap) < APART and crosses:
                ends[place] = other
                ends[place + 1] = one


def _set_apart(places: list[float], low: float, high: float, apart: float) -> list[float]:
    """Places in the same order, as far apart as there is room, and no farther from where they were than they must be."""
    gaps = [after - before for before, after in pairwise(places)]
    if min(gaps, default=apart) >= apart:
        return places
    span = high - low
    room = span / (len(places) - 1)
    apart = min(apart, max(0.0, room))
    spread: list[float] = []
    for place in places:
        if spread:
            place = max(place, spread[-1] + apart)
        spread.append(place)
    # Pushing moved all of them one way: going back by the mean leaves each as near to its old place as can be.
    moves = map(sub, places, spread)
    back = sum(moves) / len(places)
    first = low - spread[0]
    last = high - spread[-1]
    fits = spread[-1] - spread[0] <= span
    shift = max(first, min(back, last)) if fits else first
    return [place + shift for place in spread]


# -- around a circle -------------------------------------------------------------------------------------------------------
def _spread_around(outline: Outline, ends: list[_LineEnd]) -> None:
    """Around a circle it is angles that are set apart."""
    middle = outline.box.middle
    radius = outline.box.width / 2
    angles = _opened(ends, middle)
    # The outermost may go a quarter of a turn outwards; where there are very many, they share the whole circle.
    quarter = pi / 2
    share = TURN / (len(ends) + 1)
    apart = APART / max(radius, 4.0)
    first = angles[0] - quarter
    last = angles[-1] + quarter
    wanted = _set_apart(angles, first, last, min(apart, share))
    for end, angle, place in zip(ends, angles, wanted, strict=True):
        moved = radius * (place - angle)
        if abs(moved) <= UNSEEN:
            continue
        reach = distance(end.tip, middle)
        x = middle.x + reach * cos(place)
        y = middle.y + reach * sin(place)
        end.move(x - end.tip.x, y - end.tip.y)


def _opened(ends: list[_LineEnd], middle: Point) -> list[float]:
    """Sorts ends around a circle that is cut open where there is the most room, and returns their angles.

    Angles behind the cut go on beyond a full turn: cut at three o'clock, `1, 2, 6` stays; cut at noon it is `2, 6, 7.28`.
    """
    ends.sort(key=lambda end: middle.angle_to(end.tip))
    angles = [middle.angle_to(end.tip) for end in ends]
    gaps: list[float] = []
    for place, angle in enumerate(angles):
        before = angles[place - 1]
        gaps.append((angle - before) % TURN)
    widest = gaps.index(max(gaps))
    ends[:] = ends[widest:] + ends[:widest]
    beyond = [angle + TURN for angle in angles[:widest]]
    return angles[widest:] + beyond
