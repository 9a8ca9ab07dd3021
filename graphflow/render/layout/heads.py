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


def spread_heads(edges: list[EdgeLine], outlines: list[Outline]) -> None:
    """Moves the heads of lines that meet on one side of a node; the edges are changed in place."""
    for contact, ends in _ends_by_contact(edges, outlines).items():
        crowded = _crowded(ends)
        if len(crowded) < 2:
            continue
        outline = outlines[contact.number]
        if contact.side == "around":
            _spread_around(outline, crowded)
        else:
            _spread_along(outline, contact.side, crowded)


def _crowded(ends: list[_LineEnd]) -> list[_LineEnd]:
    """The heads, and what is too near to one: a line that leaves where another arrives has to give way, too."""
    heads = [end for end in ends if end.is_head]
    crowded: list[_LineEnd] = []
    for end in ends:
        if end.is_head or _is_near_one(end, heads):
            crowded.append(end)
    return crowded


def _is_near_one(end: _LineEnd, heads: list[_LineEnd]) -> bool:
    return any(distance(end.tip, head.tip) < APART for head in heads)


def _ends_by_contact(
    edges: list[EdgeLine], outlines: list[Outline]
) -> dict[_Contact, list[_LineEnd]]:
    """The ends of all lines by the outline that they touch and the side of it."""
    found: dict[_Contact, list[_LineEnd]] = {}
    for edge in edges:
        for end in _ends_of(edge):
            contact = _contact(end.tip, outlines)
            if contact is not None:
                ends = found.setdefault(contact, [])
                ends.append(end)
    return found


def _contact(tip: Point, outlines: list[Outline]) -> _Contact | None:
    """Where a tip touches the nearest outline, if it touches one."""
    gaps = [_gap(outline, tip) for outline in outlines]
    least = min(gaps, default=TOUCHING)
    if least >= TOUCHING:
        return None
    number = gaps.index(least)
    side = _side(outlines[number], tip)
    return _Contact(number, side)


def _ends_of(edge: EdgeLine) -> Iterable[_LineEnd]:
    curve = edge.curve
    line = curve.sampled()
    way = _on_the_way(line)
    is_head = curve.first_tip is not None
    yield _LineEnd(edge, True, line[0], way, is_head)
    line.reverse()
    way = _on_the_way(line)
    is_head = curve.last_tip is not None
    yield _LineEnd(edge, False, line[0], way, is_head)


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
    offsets: dict[Side, float] = {
        "left": point.x - box.left,
        "right": point.x - box.right,
        "low": point.y - box.low,
        "high": point.y - box.high,
    }
    return min(offsets, key=lambda side: abs(offsets[side]))


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
    steps = len(places) - 1
    room = max(0.0, span / steps)
    apart = min(apart, room)
    spread: list[float] = []
    for place in places:
        if spread:
            least = spread[-1] + apart
            place = max(place, least)
        spread.append(place)
    # Pushing moved all of them one way: going back by the mean leaves each as near to its old place as can be.
    moves = map(sub, places, spread)
    back = sum(moves) / len(places)
    first = low - spread[0]
    last = high - spread[-1]
    shift = first
    fits = spread[-1] - spread[0] <= span
    if fits:
        shift = max(first, min(back, last))
    return [place + shift for place in spread]


# -- around a circle -------------------------------------------------------------------------------
def _spread_around(outline: Outline, ends: list[_LineEnd]) -> None:
    """Around a circle it is angles that are set apart."""
    middle = outline.box.middle
    radius = outline.box.width / 2
    angles = _opened(ends, middle)
    # The outermost may go a quarter of a turn outwards; where there are very many, they share the whole circle.
    quarter = pi / 2
    share = TURN / (len(ends) + 1)
    apart = APART / max(radius, 4.0)
    apart = min(apart, share)
    first = angles[0] - quarter
    last = angles[-1] + quarter
    wanted = _set_apart(angles, first, last, apart)
    for end, angle, place in zip(ends, angles, wanted, strict=True):
        moved = radius * (place - angle)
        if abs(moved) <= UNSEEN:
            continue
        reach = distance(end.tip, middle)
        x = middle.x + reach * cos(place)
        y = middle.y + reach * sin(place)
        dx = x - end.tip.x
        dy = y - end.tip.y
        end.move(dx, dy)


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
