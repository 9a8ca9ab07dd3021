r"""Sets heads of arrows apart that meet in a point.

\|/                 | | |
+--------+           +--------+       along the side that they lead to, in the order in which their lines come
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, pi, sin
from operator import sub
from typing import Literal, NamedTuple

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


class _Contact(NamedTuple):
    """Where lines touch an outline: its number, and the side of it."""

    number: int
    side: Side


_Meetings = dict[_Contact, list[_LineEnd]]
"""The ends of lines that touch one side of an outline."""


def spread_heads(edges: list[EdgeLine], outlines: list[Outline]) -> None:
    """Moves the heads of lines that meet on one side of a node; the edges are changed in place."""
    meetings = _ends_by_contact(edges, outlines)
    for contact, ends in meetings.items():
        crowded = _crowded(ends)
        if len(crowded) < 2:
            continue
        number, side = contact
        outline = outlines[number]
        if side == "around":
            _spread_around(outline, crowded)
        else:
            _spread_along(outline, side, crowded)


def _crowded(ends: list[_LineEnd]) -> list[_LineEnd]:
    """The heads, and what is too near to one: a line that leaves where another arrives has to give way, too."""
    heads = [end for end in ends if end.is_head]
    crowded: list[_LineEnd] = []
    for end in ends:
        if end.is_head or _is_near_one(end, heads):
            crowded.append(end)
    return crowded


def _is_near_one(end: _LineEnd, heads: list[_LineEnd]) -> bool:
    for head in heads:
        if distance(end.tip, head.tip) < APART:
            return True
    return False


def _ends_by_contact(edges: list[EdgeLine], outlines: list[Outline]) -> _Meetings:
    """The ends of all lines by the outline that they touch and the side of it."""
    meetings: _Meetings = defaultdict(list)
    for edge in edges:
        for end in _ends_of(edge):
            contact = _contact(end.tip, outlines)
            if contact is not None:
                meetings[contact].append(end)
    return meetings


def _contact(tip: Point, outlines: list[Outline]) -> _Contact | None:
    """Where a tip touches the nearest outline, if it touches one."""
    gaps = [_gap(outline, tip) for outline in outlines]
    least = min(gaps, default=TOUCHING)
    if least >= TOUCHING:
        return None
    number = gaps.index(least)
    nearest = outlines[number]
    side = _side(nearest, tip)
    return _Contact(number, side)


def _ends_of(edge: EdgeLine) -> Iterable[_LineEnd]:
    curve = edge.curve
    line = curve.sampled()
    tip = line[0]
    way = _on_the_way(line)
    is_head = curve.first_tip is not None
    yield _LineEnd(edge, True, tip, way, is_head)
    line.reverse()
    tip = line[0]
    way = _on_the_way(line)
    is_head = curve.last_tip is not None
    yield _LineEnd(edge, False, tip, way, is_head)


def _on_the_way(line: list[Point]) -> Point:
    """Where a line is when it has gone a little: there, lines that meet are told apart by their directions."""
    tip = line[0]
    for point in line:
        if distance(point, tip) >= ON_THE_WAY:
            return point
    return line[-1]


def _gap(outline: Outline, point: Point) -> float:
    """How far a point is from the border of something."""
    box = outline.box
    if outline.is_round:
        away = distance(point, box.middle)
        radius = box.width / 2
        return abs(away - radius)
    left, low, right, high = box
    x, y = point
    beyond_left = left - x
    beyond_right = x - right
    beyond_low = low - y
    beyond_high = y - high
    aside = max(beyond_left, 0, beyond_right)
    above = max(beyond_low, 0, beyond_high)
    if aside or above:
        return hypot(aside, above)
    # Within the box all of them are negative: the largest is that to the nearest side.
    nearest = max(beyond_left, beyond_right, beyond_low, beyond_high)
    return -nearest


def _side(outline: Outline, point: Point) -> Side:
    """The side of an outline that a point is nearest to."""
    if outline.is_round:
        return "around"
    left, low, right, high = outline.box
    x, y = point
    distances: dict[Side, float] = {
        "left": abs(x - left),
        "right": abs(x - right),
        "low": abs(y - low),
        "high": abs(y - high),
    }
    return min(distances, key=distances.__getitem__)


# -- along a side ----------------------------------------------------------------------------------
def _spread_along(outline: Outline, side: Side, ends: list[_LineEnd]) -> None:
    box = outline.box
    along_x = side in ("low", "high")
    if along_x:
        axis = 0
        low = box.left
        high = box.right
    else:
        axis = 1
        low = box.low
        high = box.high
    _order(ends, axis)
    places = [end.tip[axis] for end in ends]
    first = low + CORNER
    last = high - CORNER
    wanted = _set_apart(places, first, last, APART)
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
        for after in range(1, len(ends)):
            before = after - 1
            one = ends[before]
            other = ends[after]
            gap = other.tip[axis] - one.tip[axis]
            if abs(gap) >= APART:
                continue
            crosses = one.way[axis] > other.way[axis]
            if crosses:
                ends[before] = other
                ends[after] = one


def _set_apart(places: list[float], low: float, high: float, apart: float) -> list[float]:
    """Places in the same order, as far apart as there is room, and no farther from where they were than they must be."""
    gaps = [after - before for before, after in pairwise(places)]
    if min(gaps, default=apart) >= apart:
        return places
    span = high - low
    steps = len(places) - 1
    room = max(0.0, span / steps)
    apart = min(apart, room)
    spread: list[float] = []
    least = places[0]
    for place in places:
        pushed = max(place, least)
        spread.append(pushed)
        least = pushed + apart
    # Pushing moved all of them one way: going back by the mean leaves each as near to its old place as can be.
    moves = map(sub, places, spread)
    back = sum(moves) / len(places)
    lowest = spread[0]
    highest = spread[-1]
    first = low - lowest
    last = high - highest
    shift = first
    if highest - lowest <= span:
        shift = min(back, last)
        shift = max(first, shift)
    return [place + shift for place in spread]


# -- around a circle -------------------------------------------------------------------------------
def _spread_around(outline: Outline, ends: list[_LineEnd]) -> None:
    """Around a circle it is angles that are set apart."""
    box = outline.box
    middle = box.middle
    radius = box.width / 2
    angles = _opened(ends, middle)
    # The outermost may go a quarter of a turn outwards; where there are very many, they share the whole circle.
    quarter = pi / 2
    count = len(ends) + 1
    share = TURN / count
    # An arc is as long as its angle times the radius.
    apart = APART / max(radius, 4.0)
    apart = min(apart, share)
    first = angles[0] - quarter
    last = angles[-1] + quarter
    wanted = _set_apart(angles, first, last, apart)
    for end, angle, place in zip(ends, angles, wanted, strict=True):
        moved = radius * (place - angle)
        if abs(moved) <= UNSEEN:
            continue
        tip = end.tip
        reach = distance(tip, middle)
        x = middle.x + reach * cos(place)
        y = middle.y + reach * sin(place)
        dx = x - tip.x
        dy = y - tip.y
        end.move(dx, dy)


def _opened(ends: list[_LineEnd], middle: Point) -> list[float]:
    """Sorts ends around a circle that is cut open where there is the most room, and returns their angles.

    Angles behind the cut go on beyond a full turn: cut at three o'clock, `1, 2, 6` stays; cut at noon it is `2, 6, 7.28`.
    """
    ends.sort(key=lambda end: middle.angle_to(end.tip))
    angles = [middle.angle_to(end.tip) for end in ends]
    gaps: list[float] = []
    # It is a circle: the first comes after the last.
    before = angles[-1]
    for angle in angles:
        gap = (angle - before) % TURN
        gaps.append(gap)
        before = angle
    widest = max(gaps)
    start = gaps.index(widest)
    ends[:] = ends[start:] + ends[:start]
    beyond = [angle + TURN for angle in angles[:start]]
    return angles[start:] + beyond
