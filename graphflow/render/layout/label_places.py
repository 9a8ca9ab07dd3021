r"""Moves labels along their lines until they stand on nothing.

+--------+           +--------+
| Uncle|ar           | Unclear|
+------|-+           +--------+--
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from graphflow.render.layout.drawing import EdgeLine, Outline
from graphflow.render.layout.geometry import Box, Point, box_around, distance

ON_A_SHAPE = 6.0
"""What it costs a label to cover a shape, a title or another label,"""
ON_A_BORDER = 4.0
"""to stand on the border of an area,"""
ON_ITS_LINE = 3.0
"""to have its own line run through it, or"""
ON_A_LINE = 2.0
"""another one."""
BESIDE = 0.2
"""What any place but the first costs: a label is not moved for nothing."""
ASIDE = 0.6
"""What it costs to be away from the middle of the line, by its length, and"""
FAR = 0.002
"""to be away from where the label was, by a point."""
LEAST_GAIN = 0.01


def place_labels(edges: list[EdgeLine], outlines: list[Outline], titles: list[Box]) -> None:
    """Moves each label to the best place beside its line; the edges are changed in place."""
    ground = _Ground(edges, outlines, titles)
    for edge in edges:
        label = edge.label
        if label is None:
            continue
        place = _best_place(edge, label, ground)
        if place == label:
            continue
        edge.label = place
        edge.has_moved = True
        # The labels after it have to keep clear of it where it is now.
        ground.labels[edge] = edge.label_box(place)


def _best_place(edge: EdgeLine, label: Point, ground: _Ground) -> Point:
    best = label
    least = ground.cost(edge, label, inf)
    if least <= 0:
        return best
    line = ground.lines[edge]
    for place, extra in _candidates(edge, label, line):
        enough = least - LEAST_GAIN
        if extra >= enough:
            continue
        bound = least - extra
        cost = extra + ground.cost(edge, place, bound)
        if cost < enough:
            best = place
            least = cost
    return best


def _candidates(edge: EdgeLine, label: Point, line: list[Point]) -> Iterable[tuple[Point, float]]:
    """Places beside the line, each with what it costs to be far from the middle of the line and from where the label was."""
    last = len(line) - 1
    half_width = edge.label_width / 2 + 1
    half_height = edge.label_height / 2 + 1
    for number in range(1, last):
        point = line[number]
        share = number / last
        off_middle = abs(share - 0.5)
        aside = ASIDE * off_middle
        before = line[number - 1]
        after = line[number + 1]
        length = distance(before, after) or 1.0
        rise = before.y - after.y
        run = after.x - before.x
        # (across, up) is a unit vector square to the line; `clear` is how far along it the label just clears the line.
        across = rise / length
        up = run / length
        clear = half_width * abs(across) + half_height * abs(up)
        dx = across * clear
        dy = up * clear
        places = (
            point.moved(half_width, 0.0),
            point.moved(-half_width, 0.0),
            point.moved(dx, dy),
            point.moved(-dx, -dy),
        )
        for place in places:
            away = distance(place, label)
            extra = BESIDE + aside + FAR * away
            yield place, extra


class _Ground:
    """All that a label could stand on: shapes, borders and titles of areas, other labels, lines."""

    def __init__(self, edges: list[EdgeLine], outlines: list[Outline], titles: list[Box]) -> None:
        self.obstacles = list(titles)
        self.areas: list[Box] = []
        for outline in outlines:
            boxes = self.areas if outline.is_area else self.obstacles
            boxes.append(outline.box)
        self.labels: dict[EdgeLine, Box] = {}
        self.lines: dict[EdgeLine, list[Point]] = {}
        self.line_boxes: dict[EdgeLine, Box] = {}
        for edge in edges:
            line = edge.curve.sampled()
            self.lines[edge] = line
            self.line_boxes[edge] = box_around(line)
            label = edge.label
            if label is not None:
                self.labels[edge] = edge.label_box(label)

    def cost(self, edge: EdgeLine, place: Point, bound: float) -> float:
        """How bad a place for a label is: what it covers, and what runs through it. Beyond the bound nothing more is added."""
        box = edge.label_box(place)
        cost = self._cost_of_boxes(edge, box)
        # Lines may come closer than borders: a label's box is taller and wider than its letters.
        inner = box.without_border(4.0, 1.0)
        for other, line in self.lines.items():
            if cost >= bound:
                break
            line_box = self.line_boxes[other]
            # Cheaper than to follow the line, and most lines are somewhere else.
            if not inner.overlaps(line_box):
                continue
            if inner.is_crossed_by(line):
                cost += ON_ITS_LINE if other is edge else ON_A_LINE
        return cost

    def _cost_of_boxes(self, edge: EdgeLine, box: Box) -> float:
        """What it costs that a label covers shapes, titles and other labels, or stands on borders of areas."""
        cost = 0.0
        for obstacle in self.obstacles:
            if box.overlaps(obstacle, 1.0):
                cost += ON_A_SHAPE
        for area in self.areas:
            if box.overlaps(area, 1.0) and not area.holds(box):
                cost += ON_A_BORDER
        for other, label in self.labels.items():
            if other is not edge and box.overlaps(label, 0.5):
                cost += ON_A_SHAPE
        return cost
