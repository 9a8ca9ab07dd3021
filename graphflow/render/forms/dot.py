"""A picture as DOT text, for graphviz to lay out.

Rules:
1. Names and types are data: they stand in labels with every sign escaped, and nowhere else.
2. Shapes and lines carry ids and classes, by which an SVG finds them again.
3. Marks of a walk or a comparison are shown by line style and sign first, by colour second.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from graphflow.render.forms.dot_text import (
    css_class,
    kind_name,
    label,
    label_over,
    put,
    quoted,
    title,
)
from graphflow.render.forms.looks import (
    LINE_COLOURS,
    LINE_STYLES,
    MARK_COLOURS,
    area_look,
    label_colour,
    line_look,
    shape_look,
    turned,
)
from graphflow.render.labels import MAX_TOOLTIP, printable, wrapped
from graphflow.render.palette import FONT, SHAPES, Theme, colours
from graphflow.render.picture import Area, Line, Picture, Shape
from graphflow.render.xml import ELLIPSIS

if TYPE_CHECKING:
    from graphviz import Digraph

SIGNS = {
    "done": "\u2713",
    "failed": "\u2717",
    "skipped": "\u2205",
    "mixed": "!",
    "running": "\u25cf",
    "asking": "?",
    "stopped": "\u25a0",
    "added": "+",
    "removed": "\u2212",
    "changed": "~",
}
"""The signs of what a walk did with a node, and of what differs."""
LINE_WORDS = {
    "flow": "message",
    "call": "call",
    "hand": "hand-over",
    "trouble": "failure, limit",
    "state": "reads, writes",
}
MAX_SAYING_ALL = 16
"""Lines up to which each has its own label."""
LABEL_WIDTH = 30
"""Characters of a line's label before it is wrapped, and"""
MAX_LABEL_LINES = 4
"""lines of it that are shown."""
KINDS_IN_ROW = 3
STYLES_IN_ROW = 2
"""Samples in a row of the legend."""
CROWD = 100
"""Shapes beyond which they stand closer together."""


@dataclass(frozen=True, slots=True)
class TerminalForm:
    """How the start or the end of a graph is drawn: a circle with its name, or a dot in an open graph; and at which border."""

    shape: str
    rank: str
    size: str
    font_size: str
    dot_size: str


START_FORM = TerminalForm("circle", "source", size="0.42", font_size="6.5", dot_size="0.12")
END_FORM = TerminalForm("doublecircle", "sink", size="0.34", font_size="6", dot_size="0.1")


def write_dot(
    picture: Picture, theme: Theme = "auto", *, tooltips: bool = False, ticks: bool = True
) -> str:
    """The picture as DOT text; without ticks where fonts may lack them: what is done then just looks as ever."""
    look = colours(theme)
    writer = _DotWriter(picture, look, tooltips, ticks)
    return writer.text()


class _DotWriter:
    """Writes one picture."""

    def __init__(self, picture: Picture, look: dict[str, str], tooltips: bool, ticks: bool) -> None:
        self.picture = picture
        self.look = look
        self.tooltips = tooltips
        self.signs = dict(SIGNS)
        if not ticks:
            del self.signs["done"]
        self.is_comparison = picture.overlay == "difference"

    def text(self) -> str:
        """The whole text."""
        from graphviz import Digraph, nohtml

        picture = self.picture
        name = printable(picture.name)
        name = name[:MAX_TOOLTIP]
        name = name.replace("\\", "\\\\")
        dot = Digraph(nohtml(name))
        self._defaults(dot)
        if picture.headline:
            headline = label([picture.headline], 10, self.look["ink"])
            dot.attr(labelloc="t", label=headline)
        self._fill(dot, picture.shapes, picture.areas, depth=0)
        silent = self._silent_lines()
        for number, line in enumerate(picture.lines):
            self._line(dot, line, number, silent=line in silent)
        if picture.legend:
            self._legend(dot)
        source: str = dot.source
        return source

    def _defaults(self, dot: Digraph) -> None:
        """The default attributes of graph, nodes and edges."""
        is_crowded = self.picture.size > CROWD
        direction = self.picture.direction
        ink = self.look["ink"]
        dot.attr(
            rankdir=direction,
            bgcolor=self.look["paper"],
            fontname=FONT,
            fontsize="11",
            fontcolor=ink,
            compound="true",
            pad="0.15",
            nodesep="0.18" if is_crowded else "0.28",
            ranksep="0.5" if direction == "LR" else "0.38",
        )
        dot.attr(
            "node", fontname=FONT, fontsize="11", fontcolor=ink, margin="0.16,0.07", height="0.4"
        )
        dot.attr("edge", fontname=FONT, fontsize="8.5", arrowsize="0.65", penwidth="1.1")

    # -- shapes ------------------------------------------------------------------------------------
    def _fill(self, dot: Digraph, shapes: list[Shape], areas: list[Area], depth: int) -> None:
        """Writes what stands in a graph or an area: its start first and its end last, as the program is to rank them."""
        is_open = depth > 0
        for shape in shapes:
            if shape.kind == "start":
                self._terminal(dot, shape, small=is_open)
        for shape in shapes:
            if shape.opened:
                self._dot(dot, shape)
            elif not shape.is_end:
                self._shape(dot, shape)
        for area in areas:
            self._area(dot, area)
        for shape in shapes:
            if shape.kind == "end":
                self._terminal(dot, shape, small=is_open)

    def _terminal(self, dot: Digraph, shape: Shape, *, small: bool) -> None:
        """The start or end of a graph: a circle with its name, or a small dot in an open graph."""
        look = self.look
        form = END_FORM if shape.kind == "end" else START_FORM
        is_reached = shape.mark in ("", "done", "changed")
        colour = look["pale"]
        fill = look["idle-fill"]
        ink = look["faint"]
        if is_reached:
            colour = look["end-fill"]
            fill = look["end-fill"]
            ink = look["end-ink"]
        attributes = {
            "id": _id(shape.key),
            "class": css_class(shape.kind, shape.mark),
            "shape": form.shape,
            "style": "filled",
            "color": colour,
            "fillcolor": fill,
            "fixedsize": "true",
        }
        if small:
            attributes["label"] = ""
            attributes["width"] = form.dot_size
            attributes["height"] = form.dot_size
        else:
            attributes["label"] = shape.name
            attributes["fontsize"] = form.font_size
            attributes["width"] = form.size
            attributes["height"] = form.size
            attributes["fontcolor"] = ink
        if self.tooltips:
            attributes["tooltip"] = shape.name
        if small:
            put(dot, shape.key, attributes)
            return
        # Only the outermost start and end are held at the borders: those of an open graph stand where its lines lead.
        with dot.subgraph() as alone:
            alone.attr(rank=form.rank)
            put(alone, shape.key, attributes)

    def _dot(self, dot: Digraph, shape: Shape) -> None:
        """A sub-agent in its own area: the area's title names it, and this dot is where its lines end and begin."""
        look = self.look
        colour = look.get(f"{shape.kind}-line")
        if colour is None:
            colour = look["step-line"]
        if shape.mark in MARK_COLOURS:
            name = MARK_COLOURS[shape.mark]
            colour = look[name]
        attributes = {
            "id": _id(shape.key),
            "class": css_class(kind_name(shape.kind), shape.mark),
            "label": "",
            "shape": "circle",
            "style": "filled",
            "fixedsize": "true",
            "width": "0.14",
            "height": "0.14",
            "color": colour,
            "fillcolor": colour,
        }
        if self.tooltips:
            attributes["tooltip"] = quoted(shape.about)
        put(dot, shape.key, attributes)

    def _shape(self, dot: Digraph, shape: Shape) -> None:
        form = SHAPES.get(shape.kind, "box")
        look = shape_look(shape, self.look, compared=self.is_comparison)
        attributes = {
            "id": _id(shape.key),
            "class": css_class(kind_name(shape.kind), shape.mark),
            "label": self._shape_label(shape, look.ink),
            "shape": form,
            "style": ",".join(look.style),
            "fillcolor": look.fill,
            "color": look.line,
            "penwidth": f"{look.width:g}",
        }
        if shape.kind == "sub-agent":
            attributes["peripheries"] = "2"
        if form == "diamond":
            attributes["margin"] = "0.03,0.03"
        if self.tooltips:
            attributes["tooltip"] = quoted(shape.about)
        put(dot, shape.key, attributes)

    def _shape_label(self, shape: Shape, ink: str) -> str:
        width = 16 if shape.kind == "router" else 24
        lines = wrapped(shape.name, width)
        sign = self.signs.get(shape.mark, "")
        first = f"{sign} {lines[0]}"
        lines[0] = first.strip()
        faint = self.look["faint"]
        return label_over(lines, 11, ink, shape.under, faint)

    def _area(self, dot: Digraph, area: Area) -> None:
        look = area_look(area, self.look)
        with dot.subgraph(name=f"cluster_{area.key}") as inner:
            inner.attr(
                id=_id(area.key),
                label=self._area_label(area, look.ink),
                labeljust="l",
                labelloc="t",
                style=",".join(look.style),
                color=look.line,
                penwidth=f"{look.width:g}",
                fillcolor=look.fill,
                margin="10",
                **{"class": css_class(kind_name(area.kind), area.mark)},
            )
            if self.tooltips:
                inner.attr(tooltip=quoted(area.about))
            depth = area.depth if area.opens_level else 0
            self._fill(inner, area.shapes, area.areas, depth)

    def _area_label(self, area: Area, ink: str) -> str:
        lines = wrapped(area.name, 32)
        sign = self.signs.get(area.mark, "")
        if sign:
            lines[0] = f"{sign} {lines[0]}"
        aside = f"{area.kind}, depth {area.depth}"
        faint = self.look["faint"]
        return title(lines, 10, ink, aside, area.under, faint)

    # -- lines -------------------------------------------------------------------------------------
    def _silent_lines(self) -> set[Line]:
        """Lines that have no label because an equal one beside them has it: three or more equal ones from or to one shape."""
        silent: set[Line] = set()
        if len(self.picture.lines) <= MAX_SAYING_ALL:
            return silent
        for side in ("source", "target"):
            groups: dict[object, list[Line]] = defaultdict(list)
            for line in self.picture.lines:
                is_common = line.plain and line.style == "flow"
                if not is_common or line.badge or line in silent:
                    continue
                shape: Shape = getattr(line, side)
                key = (shape.key, line.parts)
                groups[key].append(line)
            for group in groups.values():
                count = len(group)
                if count < 3:
                    continue
                # The one in the middle speaks for the others.
                middle = count // 2
                del group[middle]
                silent.update(group)
        return silent

    def _line(self, dot: Digraph, line: Line, number: int, *, silent: bool) -> None:
        attributes = line_look(line, self.look, compared=self.is_comparison)
        attributes["id"] = f"e-{number}"
        attributes["class"] = css_class(line.style, line.mark)
        words = self._words(line, silent=silent)
        if words:
            colour = label_colour(line, attributes["color"], self.look)
            # A broad line needs more room.
            padding = 2 if line.count > 3 else 1
            attributes["label"] = label(words, 8.5, colour, padding=padding)
        # The way of messages is drawn straight, calls give way.
        if line.style == "flow" and not line.back:
            attributes["weight"] = "3"
        attributes |= _borders(line)
        if self.tooltips:
            tooltip = quoted(line.about)
            attributes |= {"edgetooltip": tooltip, "labeltooltip": tooltip}
        tail = line.source.key
        head = line.target.key
        # Laid out the other way round, so that what begins a lap does not turn the picture over.
        if line.back:
            tail, head = head, tail
            attributes = turned(attributes)
        put(dot, f"{tail} -> {head}", attributes)

    def _words(self, line: Line, *, silent: bool) -> list[str]:
        """The lines of a line's label."""
        words: list[str] = []
        if self.picture.labels and not silent:
            for part in _said_parts(line):
                words += wrapped(part, LABEL_WIDTH)
        if len(words) > MAX_LABEL_LINES:
            last = MAX_LABEL_LINES - 1
            words[last:] = [ELLIPSIS]
        figures = line.badge
        if self.is_comparison:
            sign = SIGNS.get(line.mark, "")
            figures = f"{sign} {figures}"
        figures = figures.strip()
        if figures:
            words.append(figures)
        return words

    # -- legend ------------------------------------------------------------------------------------
    def _legend(self, dot: Digraph) -> None:
        """The kinds and lines that occur, in rows that invisible edges keep under each other."""
        kinds, styles = self._occurring()
        heading = label(["Legend"], 9, self.look["faint"])
        firsts: list[str] = []
        with dot.subgraph(name="cluster_legend") as box:
            box.attr(
                label=heading, color=self.look["pale"], style="rounded", margin="8", id="legend"
            )
            for begin in range(0, len(kinds), KINDS_IN_ROW):
                firsts.append(f"k{begin}")
                end = begin + KINDS_IN_ROW
                in_row = kinds[begin:end]
                with box.subgraph() as row:
                    row.attr(rank="same")
                    for number, kind in enumerate(in_row, begin):
                        shape = Shape(f"k{number}", kind, kind, ())
                        self._shape(row, shape)
            for begin in range(0, len(styles), STYLES_IN_ROW):
                firsts.append(f"l{begin}")
                end = begin + STYLES_IN_ROW
                in_row = styles[begin:end]
                with box.subgraph() as row:
                    row.attr(rank="same")
                    for number, style in enumerate(in_row, begin):
                        self._sample(row, number, style)
            for above, below in pairwise(firsts):
                dot.edge(above, below, style="invis")

    def _occurring(self) -> tuple[list[str], list[str]]:
        """The kinds and the styles of lines that occur in the picture."""
        picture = self.picture
        kinds = {shape.kind for shape in picture.every_shape()}
        kinds |= {area.kind for area in picture.every_area()}
        styles = {line.style for line in picture.lines}
        # In the order in which they are declared, whatever the picture begins with.
        known_kinds = [kind for kind in SHAPES if kind in kinds]
        known_styles = [style for style in LINE_STYLES if style in styles]
        return known_kinds, known_styles

    def _sample(self, row: Digraph, number: int, style: str) -> None:
        left = f"l{number}"
        right = f"r{number}"
        look = self.look
        words = LINE_WORDS[style]
        word = label([words], 9, look["ink"], padding=1)
        colour_name = LINE_COLOURS[style]
        colour = look[colour_name]
        paper = look["paper"]
        row.node(left, label="", shape="point", width="0.03", color=paper, id=f"legend-{left}")
        row.node(right, label=word, shape="plain", id=f"legend-{right}")
        row.edge(left, right, color=colour, **LINE_STYLES[style])


def _id(key: str) -> str:
    """The id of an element: `n-3` for the node `n3`; a sample of the legend keeps its key, for nothing looks for it."""
    letter = key[0]
    number = key[1:]
    if letter not in "na":
        return key
    return f"{letter}-{number}"


def _borders(line: Line) -> dict[str, str]:
    """Where a line from or to an open graph is cut off: at its border, unless it runs within it."""
    borders: dict[str, str] = {}
    from_area = line.from_area
    if from_area is not None and not _lies_in(line.target, from_area):
        borders["ltail"] = f"cluster_{from_area.key}"
    to_area = line.to_area
    if to_area is not None and not _lies_in(line.source, to_area):
        borders["lhead"] = f"cluster_{to_area.key}"
    return borders


def _said_parts(line: Line) -> list[str]:
    """The parts of a line's label: `each` stands before the type, and `collect` is left out."""
    parts = [part for part in line.parts if part != "collect"]
    if len(parts) > 1 and parts[0] == "each":
        _, message, *rest = parts
        return [f"each {message}", *rest]
    return parts


def _lies_in(shape: Shape, area: Area) -> bool:
    for each in area.shapes:
        if each is shape:
            return True
    return any(_lies_in(shape, inner) for inner in area.areas)
