"""What shapes, areas and lines look like, by their kind and by their marks in a walk or a comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from graphflow.render.forms.dot_text import Attributes
from graphflow.render.palette import SHAPES
from graphflow.render.picture import Area, Line, Shape

LINE_STYLES: dict[str, Attributes] = {
    "flow": {"style": "solid", "arrowhead": "normal"},
    "call": {"style": "dashed", "arrowhead": "vee"},
    "hand": {"style": "dotted", "arrowhead": "normal", "penwidth": "1.8"},
    "state": {"style": "dotted", "arrowhead": "vee"},
    "trouble": {"style": "solid", "arrowhead": "normal", "dir": "both", "arrowtail": "odot"},
}
LINE_COLOURS = {
    "flow": "line",
    "call": "call",
    "hand": "hand",
    "trouble": "trouble",
    "state": "state",
}
MARK_COLOURS = {
    "failed": "trouble",
    "mixed": "trouble",
    "stopped": "trouble",
    "running": "running",
    "asking": "hand",
}
"""Border colours of nodes with these marks."""
DIFFERENCES = ("added", "removed", "changed")
MAX_BROADER = 2.2
"""How much broader a line gets at most that messages went along, and"""
MAX_BROADER_CALL = 0.4
"""one of calls: a broad dashed line is a row of blots."""

Colours = dict[str, str]


@dataclass(slots=True)
class Look:
    """How a shape or an area is drawn."""

    fill: str
    line: str
    ink: str
    width: float
    style: list[str] = field(default_factory=lambda: ["filled"])


def shape_look(shape: Shape, colours: Colours, *, compared: bool) -> Look:
    """How a node is drawn; where two things are compared, what does not differ is pale."""
    kind = known_kind(shape.kind, colours)
    width = 2.0 if kind in ("agent", "human") else 1.2
    fill = colours[f"{kind}-fill"]
    line = colours[f"{kind}-line"]
    look = Look(fill, line, colours["ink"], width)
    if SHAPES.get(shape.kind, "box") == "box":
        look.style.append("rounded")
    mark = shape.mark
    if mark == "skipped":
        look.fill = colours["idle-fill"]
        look.line = look.ink = colours["faint"]
        look.width = 1.2
        look.style.append("dashed")
    elif mark == "idle":
        look.fill = colours["idle-fill"]
        look.line = colours["pale"]
        look.ink = colours["faint"]
        look.width = 1.2
        look.style.append("dotted")
    elif mark in MARK_COLOURS:
        colour = MARK_COLOURS[mark]
        look.line = colours[colour]
        look.width = 3.0
        if mark == "asking":
            look.style.append("dashed")
    elif mark in DIFFERENCES:
        look.line = colours[mark]
        look.fill = colours[f"{mark}-fill"]
        look.width = 2.4
        if mark == "removed":
            look.style.append("dashed")
    elif compared:
        # What is the same in both steps back, so that what differs is seen first.
        look.fill = colours["idle-fill"]
        look.line = colours["faint"]
    return look


def area_look(area: Area, colours: Colours) -> Look:
    """How an area is drawn; the deeper of two that lie within each other is darker."""
    is_even = area.depth % 2 == 0
    fill = colours["area-deep-fill"] if is_even else colours["area-fill"]
    own_line = f"{area.kind}-line"
    line = colours.get(own_line, colours["area-line"])
    look = Look(fill, line, colours["ink"], 1.2, ["rounded", "filled"])
    mark = area.mark
    if mark in MARK_COLOURS or mark in DIFFERENCES:
        colour = MARK_COLOURS.get(mark, mark)
        look.line = colours[colour]
        look.width = 2.6
        if mark == "removed":
            look.style.append("dashed")
    elif mark == "skipped":
        look.line = colours["faint"]
        look.style.append("dashed")
    elif mark == "idle":
        look.line = colours["pale"]
        look.style.append("dotted")
    return look


def known_kind(kind: str, colours: Colours) -> str:
    """A kind that has colours: a user's own kind is drawn as a step."""
    fill = f"{kind}-fill"
    if fill in colours:
        return kind
    return "step"


def line_look(line: Line, colours: Colours, *, compared: bool) -> Attributes:
    """How a line is drawn, its colour included."""
    look = dict(LINE_STYLES[line.style])
    name = LINE_COLOURS[line.style]
    look["color"] = colours[name]
    match line.mark:
        case "sent":
            look["penwidth"] = _breadth(line)
            if line.style == "flow":
                look["color"] = colours["done"]
        # It was closed: a bar where its head would be, and no dashes, which are calls.
        case "skipped":
            look["color"] = colours["faint"]
            look["penwidth"] = "0.8"
            look["arrowhead"] = "tee"
        case "idle" if line.style == "hand":  # dots need more ink to be seen
            look["color"] = colours["faint"]
            look["penwidth"] = "1.4"
        case "idle":
            look["color"] = colours["pale"]
            look["penwidth"] = "0.9"
        case "added" | "removed" | "changed":
            look["color"] = colours[line.mark]
            look["penwidth"] = "2.2"
            if line.mark == "removed":
                look["style"] = "dashed"
        case _ if compared:
            look["color"] = colours["pale"]
    return look


def _breadth(line: Line) -> str:
    """The more went along a line, the broader it is; twice as much is one step."""
    limit = MAX_BROADER_CALL if line.style == "call" else MAX_BROADER
    count = max(1, line.count)
    doublings = math.log2(count)
    more = min(limit, 0.6 * doublings)
    width = 1.6 + more
    return f"{width:.3g}"


def label_colour(line: Line, colour: str, colours: Colours) -> str:
    """The colour of a line's words: its own for hand-overs and failures, else a quiet one."""
    if line.style in ("flow", "call"):
        return colours["faint"]
    if line.mark in ("idle", "skipped"):
        return colours["faint"]
    # Words as pale as the line could not be read.
    if colour == colours["pale"]:
        return colours["faint"]
    return colour


def turned(look: Attributes) -> Attributes:
    """The same line for an edge that is written from its head to its tail."""
    ends = {"ltail": "lhead", "lhead": "ltail", "arrowtail": "arrowhead", "arrowhead": "arrowtail"}
    # Where a line has a head but no tail, "back" draws just the tail: the head of the line as it is read.
    other: Attributes = {}
    for name, value in look.items():
        if name not in ends:
            other[name] = value
    other["dir"] = look.get("dir", "back")
    for name in ("arrowhead", "ltail", "lhead", "arrowtail"):
        if name in look:
            other_end = ends[name]
            other[other_end] = look[name]
    return other
