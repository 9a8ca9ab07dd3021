"""What a picture of a graph shows: shapes, lines, areas around what lies deeper. Made once, then written in any form.

Rules:
1. Nothing here knows DOT, Mermaid or SVG; names are kept as they are, each writer escapes for itself.
2. The same graph gives the same picture: order is that of the declaration.
3. A *level* is the way of graphs to a node, as frames of a walk are called; a sub-agent that is one agent opens an area,
   but no level, for what it calls belongs to the graph around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from graphflow.declaration.node import AnyNode
from graphflow.proofs.proven import AnyGraph
from graphflow.render.labels import edge_tooltip, node_tooltip

Level = tuple[str, ...]
Direction = Literal["TB", "LR"]
Open = int | Literal["all", "auto", "flat"]
FOLDED = "\u25b8"
"""The mark of what holds more than is drawn."""
STATE = "state"
"""The kind of the shape of a state, and the style of the lines to it and from it."""
ENDS = ("start", "end")
"""The kinds of shapes that are not nodes."""


@dataclass(slots=True, eq=False)
class Shape:
    """One node as drawn, or several that were folded into one.

    Attributes:
        key: its name in the drawing.
        name: the node's name.
        kind: the node's kind, or start, end.
        level: the graphs around it.
        note: a small second line.
        detail: what its tooltip adds to the description of the node.
        members: the names of the nodes it stands for.
        mark: its state in a walk, or how it differs in a comparison.
        badge: small figures of a walk.
        opened: whether it is the sub-agent that an area is named after: there the area shows it, and it is only a dot.
        waits: what it waits for before it begins.
        options: how it is run: approval, tries, time, limits.
    """

    key: str
    name: str
    kind: str
    level: Level
    note: str = ""
    detail: str = ""
    members: tuple[str, ...] = ()
    mark: str = ""
    badge: str = ""
    opened: bool = False
    waits: str = ""
    options: tuple[str, ...] = ()
    node: AnyNode | None = None

    @property
    def id(self) -> str:
        """Its whole way: the graphs around it, and its name."""
        return node_id(self.level, self.name)

    @property
    def is_end(self) -> bool:
        """Whether it is the start or an end, and not a node."""
        return self.kind in ENDS

    @property
    def under(self) -> list[str]:
        """The small lines under its name."""
        return _small_lines(self.note, self.options, self.waits, self.badge)

    @property
    def about(self) -> str:
        """Its tooltip."""
        return _tooltip(self.node, self.detail)


@dataclass(slots=True, eq=False)
class Line:
    """One edge as drawn, or several equal ones.

    Attributes:
        source: where it begins in the drawing.
        target: where it ends in the drawing.
        style: flow, call, hand (a hand-over), trouble (`Failure`, `LimitReached`).
        parts: what it says: the message, `each`, laps.
        level: the graph it belongs to.
        indexes: places in that graph's edges; empty for call edges.
        names: the nodes at its ends; an open graph has dots of its own for the drawing.
    """

    source: Shape
    target: Shape
    style: str
    parts: tuple[str, ...]
    level: Level
    indexes: tuple[int, ...]
    names: tuple[str, str]
    plain: bool = False
    """Whether it carries all that its source sends, as it is."""
    back: bool = False
    """Whether it leads back up, and closes a circle."""
    mark: str = ""
    badge: str = ""
    count: int = 0
    from_area: Area | None = None
    to_area: Area | None = None

    @property
    def id(self) -> str:
        """Its whole way: the graphs around it, and its place among the edges there, or who calls whom."""
        which = self.indexes[0] if self.indexes else self.names
        return edge_id(self.level, which)

    @property
    def about(self) -> str:
        """Its tooltip."""
        return edge_tooltip(self.names, self.parts, self.style)


@dataclass(slots=True, eq=False)
class Area:
    """What lies deeper, opened: a graph or a sub-agent with all that is its own."""

    key: str
    name: str
    kind: str
    path: Level
    depth: int
    level: Level
    """The graph that its node stands in."""
    shapes: list[Shape] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    note: str = ""
    detail: str = ""
    mark: str = ""
    badge: str = ""
    opens_level: bool = False
    waits: str = ""
    options: tuple[str, ...] = ()
    node: AnyNode | None = None

    @property
    def id(self) -> str:
        """Its whole way: the graphs around it, and its name."""
        return node_id(self.level, self.name)

    @property
    def own(self) -> Shape | None:
        """The sub-agent that the area is named after, if there is one: its figures are shown in the area's title."""
        for shape in self.shapes:
            if shape.opened:
                return shape
        return None

    @property
    def figures(self) -> str:
        """Small figures of a walk: its own, or those of the sub-agent that it is of."""
        if not self.badge and self.own is not None:
            return self.own.badge
        return self.badge

    @property
    def under(self) -> list[str]:
        """The small lines under its name."""
        return _small_lines(self.note, self.options, self.waits, self.figures)

    @property
    def about(self) -> str:
        """Its tooltip."""
        return _tooltip(self.node, self.detail)


Drawn = Shape | Area
"""What a node is drawn as."""


def node_id(level: Level, name: str) -> str:
    """The whole way of a node: the graphs around it, and its name."""
    return " > ".join((*level, name))


def edge_id(level: Level, which: int | tuple[str, str]) -> str:
    """The whole way of an edge: the graphs around it, and its place among the edges there, or who calls whom."""
    where = " > ".join(level)
    if isinstance(which, int):
        return f"{where} # {which}"
    caller, callee = which
    return f"{where} # {caller} calls {callee}"


def _small_lines(note: str, options: tuple[str, ...], waits: str, badge: str) -> list[str]:
    special = " \u00b7 ".join(options)
    # A badge has a line for counts, one for costs and one for an error.
    figures = badge.split("\n")
    lines = (note, special, waits, *figures)
    return [line for line in lines if line]


def _tooltip(node: AnyNode | None, detail: str) -> str:
    lines: list[str] = []
    if node is not None:
        lines.append(node_tooltip(node))
    if detail:
        lines.append(detail)
    return "\n".join(lines)


@dataclass(slots=True, eq=False)
class Picture:
    """Everything that is drawn.

    Attributes:
        graph: the graph, or None for a picture of something else.
        shapes: what stands in no area.
        labels: whether lines say what they carry; else only tooltips do.
        places: the shape or area of each node, by level and name.
        headline: the summary of a walk.
    """

    name: str
    graph: AnyGraph | None
    direction: Direction = "TB"
    labels: bool = True
    legend: bool = False
    shapes: list[Shape] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    places: dict[tuple[Level, str], Drawn] = field(default_factory=dict)
    headline: str = ""
    about: str = ""
    overlay: Literal["", "walk", "difference"] = ""

    def every_shape(self) -> Iterator[Shape]:
        """All shapes, in the order of the declaration."""
        yield from self.shapes
        for area in self.every_area():
            yield from area.shapes

    def every_area(self) -> Iterator[Area]:
        """All areas, the outer ones first."""
        todo = list(self.areas)
        while todo:
            area = todo.pop(0)
            yield area
            todo = [*area.areas, *todo]

    @property
    def size(self) -> int:
        """How many shapes there are."""
        return sum(1 for _ in self.every_shape())


def find_back(picture: Picture) -> None:
    """Marks the lines that close a circle, as they are met on the way down from where the graph begins.

    This is a search in depth: a line that leads to a shape on the way to itself closes a circle. The way is kept on a list
    of its own, for a chain of thousands of nodes would be too deep for calls within calls.
    """
    leaving: dict[Shape, list[Line]] = {}
    for line in picture.lines:
        line.back = False
        leaving.setdefault(line.source, []).append(line)
    seen: set[Shape] = set()
    on_the_way: set[Shape] = set()
    # Starts go first: what is a way back depends on where the way begins.
    shapes = sorted(picture.every_shape(), key=lambda shape: shape.kind != "start")
    for first in shapes:
        if first in seen:
            continue
        stack = [_step_down(first, leaving)]
        seen.add(first)
        on_the_way.add(first)
        while stack:
            shape, lines = stack[-1]
            following = next(lines, None)
            if following is None:
                on_the_way.discard(shape)
                stack.pop()
                continue
            target = following.target
            if target in on_the_way:
                following.back = target is not shape
            elif target not in seen:
                seen.add(target)
                on_the_way.add(target)
                stack.append(_step_down(target, leaving))


def _step_down(shape: Shape, leaving: dict[Shape, list[Line]]) -> tuple[Shape, Iterator[Line]]:
    """A shape, and the lines that leave it and have not been followed yet."""
    lines = leaving.get(shape, [])
    return shape, iter(lines)
