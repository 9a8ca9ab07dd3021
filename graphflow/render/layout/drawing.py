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
        if block.is_area and "bb" in block.values:
            left, low, right, high = numbers(block.values["bb"])
            box = Box(left, low, right, high)
            outlines.append(Outline(box, is_area=True))
        elif block.is_node and "pos" in block.values:
            x, y = numbers(block.values["pos"])
            # Graphviz' defaults, for what is as it would be anyway is not written.
            width = block.inches("width", 0.75)
            height = block.inches("height", 0.4)
            middle = Point(x, y)
            box = box_at(middle, width, height)
            is_round = block.values.get("shape") in _ROUND
            outlines.append(Outline(box, is_round))
    return outlines


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
        if "lp" in block.values:
            x, y = numbers(block.values["lp"])
            edge.label = Point(x, y)
            label = block.values.get("label", "")
            edge.label_width, edge.label_height = _size_of(label)
        edges.append(edge)
    return edges


def titles_of(blocks: list[AttributeList]) -> list[Box]:
    """Where the titles of areas stand."""
    titles: list[Box] = []
    for block in blocks:
        if not block.is_area or "lp" not in block.values:
            continue
        x, y = numbers(block.values["lp"])
        width = block.inches("lwidth", 0.0)
        height = block.inches("lheight", 0.0)
        middle = Point(x, y)
        titles.append(box_at(middle, width, height))
    return titles


def _size_of(label: str) -> tuple[float, float]:
    """The width and height of a label of markup: `<<FONT POINT-SIZE="8.5">Verdict<BR/>each</FONT>>`."""
    named = _SIZE.search(label)
    size = float(named[1]) if named else LABEL_SIZE
    widths: list[float] = []
    for row in _BREAK.split(label[1:-1]):
        text = unescape(_MARKUP.sub("", row))
        widths.append(width_of(text, size))
    height = size * LINE_HEIGHT * len(widths)
    return max(widths), height
