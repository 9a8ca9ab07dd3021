"""What stands in a laid-out picture, read from its DOT text: outlines of nodes and areas, lines with their labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from graphflow.render.layout.curve import Curve, numbers
from graphflow.render.layout.document import AttributeList
from graphflow.render.layout.geometry import Box, Point, box_at
from graphflow.render.layout.widths import width_of

LINE_HEIGHT = 1.2
"""The height of a line of text, by its size."""
LABEL_SIZE = 8.5
"""The size of a label that does not name its own."""
_ROUND = frozenset({"circle", "doublecircle", "ellipse"})
_BREAK = re.compile(r"<BR[^>]*/>")
_MARKUP = re.compile(r"<[^>]*>")
_SIZE = re.compile(r'POINT-SIZE="([\d.]+)"')


@dataclass(frozen=True, slots=True)
class Outline:
    """The border of a node or an area; an area is open: lines and labels may stand in it."""

    box: Box
    is_round: bool = False
    is_area: bool = False


@dataclass(slots=True, eq=False)
class EdgeLine:
    """An edge: its line, its label, and the attributes in which they are written."""

    block: AttributeList
    curve: Curve
    label: Point | None = None
    label_width: float = 0.0
    label_height: float = 0.0
    has_moved: bool = False

    def label_box(self, middle: Point) -> Box:
        """The box of its label, if that stood there."""
        return box_at(middle, self.label_width, self.label_height)


def outlines_of(blocks: list[AttributeList]) -> list[Outline]:
    """The outlines of all nodes and areas.

    Raises:
        ValueError: a place is not written as numbers.
    """
    outlines: list[Outline] = []
    for block in blocks:
        outline: Outline | None = None
        if block.is_area:
            outline = _area_outline(block)
        elif block.is_node:
            outline = _node_outline(block)
        if outline is not None:
            outlines.append(outline)
    return outlines


def _area_outline(block: AttributeList) -> Outline | None:
    written = block.values.get("bb")
    if written is None:
        return None
    left, low, right, high = numbers(written)
    box = Box(left, low, right, high)
    return Outline(box, is_area=True)


def _node_outline(block: AttributeList) -> Outline | None:
    written = block.values.get("pos")
    if written is None:
        return None
    x, y = numbers(written)
    middle = Point(x, y)
    # Graphviz' defaults, for what is as it would be anyway is not written.
    width = block.inches("width", 0.75)
    height = block.inches("height", 0.4)
    box = box_at(middle, width, height)
    shape = block.values.get("shape")
    return Outline(box, is_round=shape in _ROUND)


def edges_of(blocks: list[AttributeList]) -> list[EdgeLine]:
    """All edges whose line is one curve."""
    edges: list[EdgeLine] = []
    for block in blocks:
        if not block.is_edge:
            continue
        pos = block.values.get("pos", "")
        curve = Curve.read(pos)
        if curve is None:
            continue
        edge = EdgeLine(block, curve)
        label_place = block.values.get("lp")
        if label_place is not None:
            x, y = numbers(label_place)
            edge.label = Point(x, y)
            label = block.values.get("label", "")
            edge.label_width, edge.label_height = _size_of(label)
        edges.append(edge)
    return edges


def titles_of(blocks: list[AttributeList]) -> list[Box]:
    """Where the titles of areas stand."""
    titles: list[Box] = []
    for block in blocks:
        title_place = block.values.get("lp")
        if title_place is None or not block.is_area:
            continue
        x, y = numbers(title_place)
        middle = Point(x, y)
        width = block.inches("lwidth", 0.0)
        height = block.inches("lheight", 0.0)
        title = box_at(middle, width, height)
        titles.append(title)
    return titles


def _size_of(label: str) -> tuple[float, float]:
    """The width and height of a label of markup: `<<FONT POINT-SIZE="8.5">Verdict<BR/>each</FONT>>`."""
    size = LABEL_SIZE
    named = _SIZE.search(label)
    if named:
        size = float(named[1])
    markup = label[1:-1]
    rows = _BREAK.split(markup)
    width = 0.0
    for row in rows:
        plain = _MARKUP.sub("", row)
        text = unescape(plain)
        width = max(width, width_of(text, size))
    line_height = size * LINE_HEIGHT
    height = line_height * len(rows)
    return width, height
