"""A picture as text: boxes in rows, lines between them, and under the boxes what each edge carries.

Rules:
1. Every node is there once; what leads back up goes up on rails at the right, as far as there is room for them.
2. Nothing is wider than asked: a row that does not fit is written as a list instead.
"""

from __future__ import annotations

from graphflow.render.forms.boxes import draw_boxes
from graphflow.render.forms.columns import columns, fitted, in_ascii, line_of
from graphflow.render.forms.dot import SIGNS
from graphflow.render.labels import one_line, printable
from graphflow.render.picture import Line, Picture, Shape

ARROWS = {"flow": "──>", "call": "-->", "hand": "··>", "trouble": "o─>", "state": "··>"}
ASCII_ARROWS = {"flow": "-->", "call": "- >", "hand": "..>", "trouble": "o->", "state": "..>"}
LEAST_WIDTH = 24
MAX_TARGET = 36
"""Columns of the names that edges lead to."""
MAX_SHAPES = 60
"""Shapes of a picture that is drawn; a larger one is only listed."""


def write_ascii(picture: Picture, *, width: int = 100, unicode: bool = True) -> str:
    """The picture as text."""
    width = max(LEAST_WIDTH, width)
    # A drawing of more shapes is wider than any terminal.
    drawing = ""
    if picture.size <= MAX_SHAPES:
        drawing = draw_boxes(picture, width, unicode)
    is_alone = not drawing
    listing = _Listing(picture, width, unicode, is_alone=is_alone)
    parts: list[str] = []
    if picture.headline:
        shown = printable(picture.headline)
        headline = line_of(shown, width)
        parts += (headline, "")
    if drawing:
        parts += (drawing, "")
    parts += listing.lines()
    parts.append("")
    text = "\n".join(parts)
    if unicode:
        return text
    return in_ascii(text)


class _Listing:
    """Every edge with what it carries, by the node that it leaves."""

    def __init__(self, picture: Picture, width: int, unicode: bool, *, is_alone: bool) -> None:
        self.picture = picture
        self.width = width
        self.arrows = ARROWS if unicode else ASCII_ARROWS
        self.is_alone = is_alone
        """Whether there is no drawing: then nodes that nothing leaves are listed, too."""
        widest = 1
        for line in picture.lines:
            _, target = line.names
            name = printable(target)
            widest = max(widest, columns(name))
        self.target_width = min(MAX_TARGET, widest)

    def lines(self) -> list[str]:
        """The lines of the list."""
        lines: list[str] = []
        for shape in self.picture.every_shape():
            leaving = [line for line in self.picture.lines if line.source is shape]
            if not leaving and not self.is_alone:
                continue
            heading = self._shape(shape)
            lines.append(heading)
            lines += map(self._line, leaving)
        return [line_of(line, self.width) for line in lines]

    def _shape(self, shape: Shape) -> str:
        sign = SIGNS.get(shape.mark, "")
        name = printable(shape.name)
        around = shape.level[1:]
        way = " > ".join((*around, name))
        text = f"{sign} {way}"
        if not shape.is_end:
            parts = (shape.kind, shape.note, *shape.options, shape.waits)
            about = filter(None, parts)
            words = ", ".join(about)
            text += f" ({words})"
        if shape.badge:
            figures = shape.badge.replace("\n", ", ")
            text += f"  {figures}"
        return text.strip()

    def _line(self, line: Line) -> str:
        # Beside a drawing, names are those of the declaration; alone, those that the list has.
        _, name = line.names
        if self.is_alone:
            name = line.target.name
        name = one_line(name)
        target = fitted(name, self.target_width)
        arrow = self.arrows[line.style]
        words = "call"
        if line.style != "call":
            carried = ", ".join(line.parts)
            words = printable(carried)
        text = f"  {arrow} {target}  {words}"
        if line.back:
            text += " (back)"
        sign = self._sign(line)
        figures = f"{sign} {line.badge}"
        figures = figures.strip()
        if figures:
            text += f"  {figures}"
        return text

    def _sign(self, line: Line) -> str:
        if self.picture.overlay == "difference":
            return SIGNS.get(line.mark, "")
        if line.mark == "skipped":
            return "skipped"
        return ""
