r"""What a layout program leaves undone: labels that stand on borders, and heads of arrows that meet in a point.

    +--------+           +--------+
    | Uncle|ar           | Unclear|        a label is moved along its line until it stands on nothing
    +--------+           +--------+
       \|/                 | | |           heads that meet are set apart along the side that they lead to

Nothing else is moved, so the picture is that of the program. Where the text cannot be read, it is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape
from itertools import pairwise
from math import atan2, cos, hypot, pi, sin

from graphflow.render.layout.document import Block, Box, Curve, Point, blocks_of, changed, numbers
from graphflow.render.layout.widths import width_of

MOST_EDGES = 160
"""Edges of a picture that is looked over; where there are more, nobody reads their labels."""
APART = 9.0
"""Points between two heads, and"""
CORNER = 7.0
"""between a head and the corner of what it leads to."""
ON_THE_WAY = 36.0
"""Points from the end of a line at which its direction is looked at."""
LINE_HEIGHT = 1.2
_ROUND = frozenset({"circle", "doublecircle", "ellipse"})
_BREAK = re.compile(r"<BR[^>]*/>")
_MARKUP = re.compile(r"<[^>]*>")
_SIZE = re.compile(r'POINT-SIZE="([\d.]+)"')


@dataclass(slots=True)
class _Thing:
    """A node or an area: its box, and whether it is round."""

    box: Box
    is_round: bool = False
    solid: bool = True

    @property
    def middle(self) -> Point:
        left, low, right, high = self.box
        return (left + right) / 2, (low + high) / 2


@dataclass(slots=True)
class _Edge:
    """An edge: its line, its label, and where they are written."""

    block: Block
    curve: Curve
    label: Point | None = None
    wide: float = 0.0
    high: float = 0.0
    moved: bool = False

    def box(self, at: Point) -> Box:
        return at[0] - self.wide / 2, at[1] - self.high / 2, at[0] + self.wide / 2, at[1] + self.high / 2


def polished(text: str) -> str:
    """The laid-out text with labels and heads in better places."""
    try:
        return _polished(text)
    except ValueError:  # numbers that are none: some other program's way of writing
        return text


def _polished(text: str) -> str:
    blocks = blocks_of(text)
    changes = dict(_periphery_sizes(blocks))
    edges = [edge for block in blocks if block.id.startswith("e-") and (edge := _edge_of(block)) is not None]
    if len(edges) <= MOST_EDGES:
        things = _things(blocks)
        _spread_heads(edges, things)
        _place_labels(edges, things, [title for block in blocks if (title := _title_of(block)) is not None])
    for edge in edges:
        if edge.moved:
            changes[edge.block.spans["pos"]] = edge.curve.written()
            if edge.label is not None:
                changes[edge.block.spans["lp"]] = f"{edge.label[0]:.2f},{edge.label[1]:.2f}"
    return changed(text, changes)


def _periphery_sizes(blocks: list[Block]) -> Iterable[tuple[tuple[int, int], str]]:
    """A second line around a shape counts into the size that is told, but not into the one that is asked for."""
    for block in blocks:
        double = block.values.get("shape") == "doublecircle" or block.values.get("peripheries") == "2"
        if double and block.id.startswith("n-"):
            for name in ("width", "height"):
                if name in block.values:
                    yield block.spans[name], f"{float(block.values[name]) - 8 / 72:.4f}"


# -- reading ---------------------------------------------------------------------------------------------------------------
def _things(blocks: list[Block]) -> list[_Thing]:
    things: list[_Thing] = []
    for block in blocks:
        if block.id.startswith("a-") and "bb" in block.values:
            left, low, right, high = numbers(block.values["bb"])
            things.append(_Thing((left, low, right, high), solid=False))
        elif block.id.startswith("n-") and "pos" in block.values:
            x, y = numbers(block.values["pos"])
            wide, high = (
                36 * float(block.values.get(name, least)) for name, least in (("width", 0.75), ("height", 0.4))
            )
            things.append(_Thing((x - wide, y - high, x + wide, y + high), block.values.get("shape") in _ROUND))
    return things


def _edge_of(block: Block) -> _Edge | None:
    curve = Curve.read(block.values.get("pos", ""))
    if curve is None:
        return None
    edge = _Edge(block, curve)
    if "lp" in block.values:
        x, y = numbers(block.values["lp"])
        edge.label = x, y
        edge.wide, edge.high = _size_of(block.values.get("label", ""))
    return edge


def _size_of(label: str) -> tuple[float, float]:
    found = _SIZE.search(label)
    size = float(found[1]) if found else 8.5
    rows = [unescape(_MARKUP.sub("", row)) for row in _BREAK.split(label[1:-1])]
    return max(width_of(row, size) for row in rows), size * LINE_HEIGHT * len(rows)


def _title_of(block: Block) -> Box | None:
    """Where the title of an area stands."""
    if not block.id.startswith("a-") or "lp" not in block.values:
        return None
    x, y = numbers(block.values["lp"])
    wide, high = (72 * float(block.values.get(name, "0")) for name in ("lwidth", "lheight"))
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


# -- heads -----------------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _End:
    """One end of a line: a head, the ring where trouble begins, or where a line just leaves."""

    edge: _Edge
    at_first: bool
    tip: Point
    near: Point
    """Where the line comes from."""
    is_head: bool


def _ends_of(edge: _Edge) -> Iterable[_End]:
    curve = edge.curve
    first, last = curve.first_tip, curve.last_tip
    line = curve.sampled()
    yield _End(edge, True, first or curve.points[0], _on_the_way(line), first is not None)
    yield _End(edge, False, last or curve.points[-1], _on_the_way(line[::-1]), last is not None)


def _on_the_way(line: list[Point]) -> Point:
    """Where a line is when it has gone a little: there, lines that meet are told apart by their directions."""
    return next((point for point in line if _far(point, line[0]) >= ON_THE_WAY), line[-1])


def _spread_heads(edges: list[_Edge], things: list[_Thing]) -> None:
    at: dict[tuple[int, str], list[_End]] = {}
    for edge in edges:
        for end in _ends_of(edge):
            touched = min(things, key=lambda thing: _gap(thing, end.tip), default=None)
            if touched is not None and _gap(touched, end.tip) < 4:
                at.setdefault((id(touched), _side(touched, end.tip)), []).append(end)
    known = {id(thing): thing for thing in things}
    for (thing, side), ends in at.items():
        heads = [end for end in ends if end.is_head]
        near = [end for end in ends if end.is_head or any(_far(end.tip, head.tip) < APART for head in heads)]
        if heads and len(near) > 1:
            _spread(known[thing], side, near)


def _far(one: Point, other: Point) -> float:
    return hypot(one[0] - other[0], one[1] - other[1])


def _gap(thing: _Thing, point: Point) -> float:
    """How far a point is from the border of something."""
    x, y = point
    left, low, right, high = thing.box
    if thing.is_round:
        middle = thing.middle
        return abs(hypot(x - middle[0], y - middle[1]) - (right - left) / 2)
    outside = hypot(max(left - x, 0, x - right), max(low - y, 0, y - high))
    return outside or min(x - left, right - x, y - low, high - y)


def _side(thing: _Thing, point: Point) -> str:
    if thing.is_round:
        return "around"
    x, y = point
    left, low, right, high = thing.box
    gaps = {"left": abs(x - left), "right": abs(x - right), "low": abs(y - low), "high": abs(y - high)}
    return min(gaps, key=gaps.__getitem__)


def _spread(thing: _Thing, side: str, ends: list[_End]) -> None:
    if side == "around":
        _spread_around(thing, ends)
        return
    axis = 0 if side in ("low", "high") else 1
    low, high = thing.box[axis] + CORNER, thing.box[axis + 2] - CORNER
    _order(ends, axis)
    wanted = _set_apart([end.tip[axis] for end in ends], low, high, APART)
    for end, place in zip(ends, wanted, strict=True):
        by = place - end.tip[axis]
        if abs(by) > 0.5:
            end.edge.curve.move_end(end.at_first, (by, 0.0) if axis == 0 else (0.0, by))
            end.edge.moved = True


def _order(ends: list[_End], axis: int) -> None:
    """Sorts ends along a side; those that meet are in the order in which their lines come, so that these do not cross."""
    ends.sort(key=lambda end: end.tip[axis])
    for _ in ends:
        for place in range(len(ends) - 1):
            one, other = ends[place : place + 2]
            if abs(one.tip[axis] - other.tip[axis]) < APART and one.near[axis] > other.near[axis]:
                ends[place : place + 2] = other, one


def _spread_around(thing: _Thing, ends: list[_End]) -> None:
    """Around a circle it is angles that are set apart."""
    middle = thing.middle
    radius = (thing.box[2] - thing.box[0]) / 2
    angles = sorted((atan2(end.tip[1] - middle[1], end.tip[0] - middle[0]) % (2 * pi), n) for n, end in enumerate(ends))
    gaps = [(angles[n][0] - angles[n - 1][0]) % (2 * pi) for n in range(len(angles))]
    first = max(range(len(gaps)), key=gaps.__getitem__)  # cut the circle open where there is the most room
    order = [*angles[first:], *((angle + 2 * pi, n) for angle, n in angles[:first])]
    least = min(APART / max(radius, 4.0), 2 * pi / (len(ends) + 1))
    wanted = _set_apart([angle for angle, _ in order], order[0][0] - pi / 2, order[-1][0] + pi / 2, least)
    for (angle, number), place in zip(order, wanted, strict=True):
        end = ends[number]
        if abs(place - angle) * radius > 0.5:
            reach = hypot(end.tip[0] - middle[0], end.tip[1] - middle[1])
            to = middle[0] + reach * cos(place), middle[1] + reach * sin(place)
            end.edge.curve.move_end(end.at_first, (to[0] - end.tip[0], to[1] - end.tip[1]))
            end.edge.moved = True


def _set_apart(places: list[float], low: float, high: float, apart: float) -> list[float]:
    """Places in the same order, so far apart as there is room, and no farther from where they were than they must be."""
    if len(places) < 2 or all(b - a >= apart for a, b in pairwise(places)):
        return places
    apart = min(apart, max(0.0, (high - low) / (len(places) - 1)))
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + apart) if found else place)
    shift = sum(a - b for a, b in zip(places, found, strict=True)) / len(places)
    shift = max(low - found[0], min(shift, high - found[-1])) if found[-1] - found[0] <= high - low else low - found[0]
    return [place + shift for place in found]


# -- labels ----------------------------------------------------------------------------------------------------------------
def _place_labels(edges: list[_Edge], things: list[_Thing], titles: list[Box]) -> None:
    ground = _Ground(edges, things, titles)
    for edge in edges:
        if edge.label is None:
            continue
        best, least = edge.label, ground.cost(edge, edge.label, float("inf"))
        for candidate, extra in _candidates(edge, ground.lines[id(edge)]) if least > 0 else ():
            if extra >= least - 0.01:
                continue
            cost = ground.cost(edge, candidate, least - extra) + extra
            if cost < least - 0.01:
                best, least = candidate, cost
        if best != edge.label:
            edge.label, edge.moved = best, True
            ground.labels[id(edge)] = edge.box(best)


def _candidates(edge: _Edge, line: list[Point]) -> Iterable[tuple[Point, float]]:
    """Places beside the line, with what each costs for being far from the middle or on the other side."""
    assert edge.label is not None
    count = len(line)
    for place in range(1, count - 1):
        x, y = line[place]
        aside = 0.6 * abs(place / (count - 1) - 0.5)
        (x0, y0), (x1, y1) = line[place - 1], line[place + 1]
        long = hypot(x1 - x0, y1 - y0) or 1.0
        across, up = (y0 - y1) / long, (x1 - x0) / long  # square to the line, where the label just clears it
        clear = (edge.wide / 2 + 1) * abs(across) + (edge.high / 2 + 1) * abs(up)
        beside = edge.wide / 2 + 1
        for to in (
            (x + beside, y),
            (x - beside, y),
            (x + across * clear, y + up * clear),
            (x - across * clear, y - up * clear),
        ):
            yield to, 0.2 + aside + 0.002 * hypot(to[0] - edge.label[0], to[1] - edge.label[1])


class _Ground:
    """All that a label could stand on: shapes, borders and titles of areas, other labels, lines."""

    def __init__(self, edges: list[_Edge], things: list[_Thing], titles: list[Box]) -> None:
        self.solid = [thing.box for thing in things if thing.solid]
        self.areas = [thing.box for thing in things if not thing.solid]
        self.titles = titles
        self.labels = {id(edge): edge.box(edge.label) for edge in edges if edge.label is not None}
        self.lines = {id(edge): edge.curve.sampled() for edge in edges}
        self.around = {key: _box_of(points) for key, points in self.lines.items()}

    def cost(self, edge: _Edge, at: Point, bound: float) -> float:
        """How bad a place for a label is: what it covers, and what runs through it. Beyond the bound it is not looked at closely."""
        box = edge.box(at)
        cost = 6.0 * sum(_overlaps(box, other, 1.0) for other in self.solid)
        cost += 4.0 * sum(_overlaps(box, other, 1.0) and not _holds(other, box) for other in self.areas)
        cost += 6.0 * sum(_overlaps(box, other, 1.0) for other in self.titles)
        cost += 6.0 * sum(key != id(edge) and _overlaps(box, other, 0.5) for key, other in self.labels.items())
        inner = box[0] + 4.0, box[1] + 1.0, box[2] - 4.0, box[3] - 1.0
        for key, points in self.lines.items():
            if cost >= bound:
                break
            if _overlaps(inner, self.around[key], 0.0) and _runs_through(points, inner):
                cost += 3.0 if key == id(edge) else 2.0
        return cost


def _box_of(points: list[Point]) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def _overlaps(one: Box, other: Box, room: float) -> bool:
    return (
        one[0] < other[2] + room and other[0] < one[2] + room and one[1] < other[3] + room and other[1] < one[3] + room
    )


def _holds(outer: Box, inner: Box) -> bool:
    return outer[0] + 1 < inner[0] and outer[1] + 1 < inner[1] and inner[2] + 1 < outer[2] and inner[3] + 1 < outer[3]


def _runs_through(points: list[Point], box: Box) -> bool:
    """Whether a line, as it is sampled, crosses a box."""
    left, low, right, high = box
    for (x0, y0), (x1, y1) in pairwise(points):
        if max(x0, x1) < left or min(x0, x1) > right or max(y0, y1) < low or min(y0, y1) > high:
            continue
        for step in range(5):
            x, y = x0 + (x1 - x0) * step / 4, y0 + (y1 - y0) * step / 4
            if left <= x <= right and low <= y <= high:
                return True
    return False
