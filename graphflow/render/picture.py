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
from typing import Any, Literal

from graphflow.declaration.handoffs import HandTo
from graphflow.declaration.node import Node
from graphflow.proofs.program import JoinSpec
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.render.labels import about_edge, about_node, join_words, label_parts, option_words

Level = tuple[str, ...]
Direction = Literal["TB", "LR"]
Open = int | Literal["all", "auto", "flat"]
ROOM = 70
"""Shapes that a picture holds before what lies deeper stays folded by itself, and long rows are folded."""
FOLDED = "\u25b8"
"""The mark of what holds more than is drawn."""
DEEPEST = 12
"""Levels that `open="all"` opens at most."""


@dataclass(slots=True, eq=False)
class Shape:
    """One node as drawn, or several that were folded into one.

    Attributes:
        key: its name in the drawing.
        name: the node's name.
        kind: the node's kind, or start, end.
        level: the graphs around it.
        note: a small second line.
        told: what a pointer that rests on it is told, beside what the node says of itself.
        members: the names of the nodes it stands for.
        mark: what a walk or a comparison says of it.
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
    told: str = ""
    members: tuple[str, ...] = ()
    mark: str = ""
    badge: str = ""
    opened: bool = False
    waits: str = ""
    options: tuple[str, ...] = ()
    node: Node[Any, Any] | None = None

    @property
    def id(self) -> str:
        """Its whole way: the graphs around it, and its name."""
        return " > ".join((*self.level, self.name))

    @property
    def under(self) -> list[str]:
        """The small lines under its name."""
        return [
            text for text in (self.note, " \u00b7 ".join(self.options), self.waits, *self.badge.split("\n")) if text
        ]

    @property
    def about(self) -> str:
        """What a pointer that rests on it is told."""
        return _about(self.node, self.told)


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
        return edge_id(self.level, self.indexes[0] if self.indexes else self.names)

    @property
    def about(self) -> str:
        """What a pointer that rests on it is told."""
        return about_edge(self.names, self.parts, self.style)


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
    told: str = ""
    mark: str = ""
    badge: str = ""
    opens_level: bool = False
    waits: str = ""
    options: tuple[str, ...] = ()
    node: Node[Any, Any] | None = None

    @property
    def id(self) -> str:
        """Its whole way: the graphs around it, and its name."""
        return " > ".join((*self.level, self.name))

    @property
    def own(self) -> Shape | None:
        """The sub-agent that the area is of, where it is one: what is said of it is said at the area's title."""
        return next((shape for shape in self.shapes if shape.opened), None)

    @property
    def under(self) -> list[str]:
        """The small lines under its name."""
        badge = self.badge or (self.own.badge if self.own is not None else "")
        return [text for text in (self.note, " \u00b7 ".join(self.options), self.waits, *badge.split("\n")) if text]

    @property
    def about(self) -> str:
        """What a pointer that rests on it is told."""
        return _about(self.node, self.told)


def edge_id(level: Level, which: int | tuple[str, str]) -> str:
    """The whole way of an edge: the graphs around it, and its place among the edges there, or who calls whom."""
    told = str(which) if isinstance(which, int) else " calls ".join(which)
    return f"{' > '.join(level)} # {told}"


def _about(node: Node[Any, Any] | None, told: str) -> str:
    return "\n".join(part for part in (about_node(node) if node is not None else "", told) if part)


@dataclass(slots=True, eq=False)
class Picture:
    """Everything that is drawn.

    Attributes:
        graph: the graph, or None for a picture of something else.
        shapes: what stands in no area.
        labels: whether lines say what they carry; else only a pointer is told.
        places: the shape or area of each node, by level and name.
        headline: what a walk says as a whole.
    """

    name: str
    graph: AnyGraph | None
    direction: Direction = "TB"
    labels: bool = True
    legend: bool = False
    shapes: list[Shape] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    places: dict[tuple[Level, str], Shape | Area] = field(default_factory=dict)
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
        return len(self.shapes) + sum(len(area.shapes) for area in self.every_area())


def picture(
    graph: AnyGraph,
    *,
    open: Open = "auto",
    legend: bool = False,
    direction: Direction = "TB",
    labels: bool = True,
    fold: bool = True,
) -> Picture:
    """The picture of a graph.

    Args:
        graph: the graph.
        open: how many levels below the outermost are drawn; "all"; "auto": one, if there is room; "flat": none, and what
            sub-agents call is drawn beside them.
        legend: whether to explain the kinds and lines that occur.
        direction: top to bottom, or left to right.
        labels: whether lines say what they carry.
        fold: whether long rows of alike nodes become one where there are too many for one picture.
    """
    from graphflow.render.folding import fold_rows

    levels = DEEPEST if open == "all" else 1 if open == "auto" else -1 if open == "flat" else open
    made = _Maker(graph, levels, direction, labels, legend).picture
    if open == "auto" and made.size > ROOM:
        made = _Maker(graph, 0, direction, labels, legend).picture
    if fold and made.size > ROOM:
        fold_rows(made, ROOM)
    find_back(made)
    if made.size > ROOM * 2 or len(made.lines) > ROOM * 3:
        made.labels = False
    return made


def members_of(graph: AnyGraph) -> dict[str, Node[Any, Any]]:
    """The nodes that a picture of a graph has on one level, by name: those on arrows, then what is called."""
    nodes = {node.name: node for node in graph.nodes}
    todo = list(nodes.values())
    while todo:
        for callee in callees_of(graph, todo.pop(0)):
            if callee.name not in nodes:
                nodes[callee.name] = callee
                todo.append(callee)
    return nodes


def callees_of(graph: AnyGraph, node: Node[Any, Any]) -> tuple[Node[Any, Any], ...]:
    """What a node calls; a sub-agent calls what its target does."""
    found = graph.program.callees.get(node.name)
    if not found:
        target, _ = node.entry()
        found = graph.program.callees.get(target.name, ()) if target in node.within() else ()
    return found


def graph_within(node: Node[Any, Any]) -> AnyGraph | None:
    """The graph that entering a node walks, if it is one."""
    target, _ = node.entry()
    return target if isinstance(target, ProvenGraph) else None


def find_back(picture: Picture) -> None:
    """Marks the lines that close a circle, as they are met on the way down from where the graph begins."""
    out: dict[int, list[Line]] = {}
    for line in picture.lines:
        line.back = False
        out.setdefault(id(line.source), []).append(line)
    state: dict[int, int] = {}
    for first in sorted(picture.every_shape(), key=lambda shape: shape.kind != "start"):
        if id(first) in state:
            continue
        state[id(first)] = 1
        stack = [(first, iter(out.get(id(first), ())))]
        while stack:
            shape, rest = stack[-1]
            way = next(rest, None)
            if way is None:
                state[id(shape)] = 2
                stack.pop()
            elif state.get(id(way.target)) == 1:
                way.back = way.target is not shape
            elif id(way.target) not in state:
                state[id(way.target)] = 1
                stack.append((way.target, iter(out.get(id(way.target), ()))))


def within_of(graph: AnyGraph, name: str) -> tuple[str, ...]:
    """The sub-agents around a node of that graph, the outer ones first."""
    return _containers(graph, members_of(graph)).get(name, ())


class _Maker:
    """Builds a picture, level by level."""

    def __init__(self, graph: AnyGraph, levels: int, direction: Direction, labels: bool, legend: bool) -> None:
        self.levels = levels
        self.count = 0
        self.owned: dict[tuple[str, ...], int] = {}
        """Nodes within each sub-agent of the level at hand, by its way, and"""
        self.around: dict[str, tuple[str, ...]] = {}
        """The sub-agents around each node of the level at hand, whether they are drawn or not, and"""
        self.joins: dict[str, JoinSpec | None] = {}
        """what each of its nodes waits for."""
        self.on_arrows: set[str] = set()
        """the names of those that stand on its arrows."""
        self.picture = Picture(graph.name, graph, direction, labels, legend, about=graph.description)
        self._add_level(graph, (graph.name,), self.picture, 0)

    def _key(self) -> str:
        self.count += 1
        return f"n{self.count - 1}"

    def _add_level(self, graph: AnyGraph, level: Level, into: Picture | Area, depth: int) -> None:
        nodes = members_of(graph)
        self.around = within = _containers(graph, nodes)
        if self.levels < 0:
            within = {name: () for name in nodes}
        around, self.owned = (self.owned, self.on_arrows), _owned(within)
        self.on_arrows = {node.name for node in graph.nodes}
        ends: dict[str, tuple[Shape, Shape, Area | None]] = {}
        areas: dict[tuple[str, ...], Picture | Area] = {(): into}
        deep = self.around, {slot.name: slot.join for slot in graph.program.slots}
        start, end = (self._terminal(name, level) for name in ("START", "END"))
        into.shapes.append(start)
        ends["START"] = ends["END"] = (start, start, None)
        for name, node in nodes.items():
            if within[name] not in areas:
                continue  # it lies in what stays folded
            self.around, self.joins = deep
            ends[name] = self._add_node(graph, node, name, level, areas, within, depth)
        into.shapes.append(end)
        ends["END"] = (end, end, None)
        self._add_flow(graph, level, ends)
        self._add_calls(graph, level, nodes, ends)
        self.owned, self.on_arrows = around

    def _terminal(self, name: str, level: Level) -> Shape:
        shape = Shape(self._key(), name, name.lower(), level, members=(name,))
        self.picture.places[level, name] = shape
        return shape

    def _add_node(
        self,
        graph: AnyGraph,
        node: Node[Any, Any],
        name: str,
        level: Level,
        areas: dict[tuple[str, ...], Picture | Area],
        within: dict[str, tuple[str, ...]],
        depth: int,
    ) -> tuple[Shape, Shape, Area | None]:
        around = areas[within[name]]
        deeper = depth + len(self.around[name]) + 1
        inner = graph_within(node)
        own = self.owned.get((*within[name], name), 0)
        if (inner is not None or own) and deeper <= self.levels:
            area = Area(f"a{self._key()[1:]}", name, node.kind, (*level, *within[name], name), deeper, level)
            area.node = node
            area.waits, area.options = join_words(self.joins.get(name)), option_words(node)
            around.areas.append(area)
            self.picture.places[level, name] = area
            if inner is not None:
                area.opens_level = True
                self._add_level(inner, (*level, name), area, deeper)
                first, *_, last = area.shapes
                return first, last, area
            areas[(*within[name], name)] = area
            around = area
        shape = Shape(self._key(), name, node.kind, level, members=(name,), node=node)
        shape.waits, shape.options = join_words(self.joins.get(name)), option_words(node)
        around.shapes.append(shape)
        self.picture.places[level, name] = shape
        if isinstance(around, Picture) or around.name != name:
            shape.note = _folded(node, inner, own, deeper, called=name not in self.on_arrows)
            return shape, shape, None
        shape.opened = True
        return shape, shape, around

    def _add_flow(self, graph: AnyGraph, level: Level, ends: dict[str, tuple[Shape, Shape, Area | None]]) -> None:
        for declared in graph.edges:
            edge = declared.edge
            names = edge.origin.node.name, edge.target.name
            _, source, from_area = ends[names[0]]
            target, _, to_area = ends[names[1]]
            hand = isinstance(edge.origin.arm, HandTo)
            parts = label_parts(declared, graph)
            self.picture.lines.append(
                Line(
                    source,
                    target,
                    "hand" if hand else "trouble" if declared.exceptional else "flow",
                    parts,
                    level,
                    (declared.index,),
                    names,
                    plain=not (declared.exceptional or edge.origin.each or edge.origin.guard)
                    and edge.origin.arm is None,
                    from_area=from_area,
                    to_area=to_area,
                )
            )

    def _add_calls(
        self,
        graph: AnyGraph,
        level: Level,
        nodes: dict[str, Node[Any, Any]],
        ends: dict[str, tuple[Shape, Shape, Area | None]],
    ) -> None:
        for name, node in nodes.items():
            for callee in callees_of(graph, node):
                if name in ends and callee.name in ends:
                    names = name, callee.name
                    _, source, from_area = ends[name]
                    target, _, to_area = ends[callee.name]
                    line = Line(source, target, "call", (), level, (), names)
                    line.from_area, line.to_area = from_area, to_area
                    self.picture.lines.append(line)


def _containers(graph: AnyGraph, nodes: dict[str, Node[Any, Any]]) -> dict[str, tuple[str, ...]]:
    """For each node the sub-agents around it: those that every way of calls to it goes through."""
    on_arrows = {node.name for node in graph.nodes}
    if len(on_arrows) == len(nodes):
        return dict.fromkeys(nodes, ())
    callers: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for callee in callees_of(graph, node):
            if callee.name != name:
                callers[callee.name].append(name)

    def opens(name: str) -> bool:
        return nodes[name].enters == "always" or (nodes[name].enters == "called" and name not in on_arrows)

    unknown = ("\0",)
    within: dict[str, tuple[str, ...]] = {name: () if name in on_arrows else unknown for name in nodes}
    changed, left = True, len(nodes) + 2
    while changed and left:
        changed, left = False, left - 1
        for name in nodes:
            if name in on_arrows:
                continue
            ways = [
                (*within[caller], caller) if opens(caller) else within[caller]
                for caller in callers[name]
                if within[caller] is not unknown
            ]
            common = _common([way[: way.index(name)] if name in way else way for way in ways]) if ways else unknown
            if common != within[name]:
                within[name] = common
                changed = True
    return within


def _owned(within: dict[str, tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """How many nodes lie within each sub-agent, at any depth."""
    owned: dict[tuple[str, ...], int] = {}
    for path in within.values():
        for depth in range(1, len(path) + 1):
            owned[path[:depth]] = owned.get(path[:depth], 0) + 1
    return owned


def _common(ways: list[tuple[str, ...]]) -> tuple[str, ...]:
    shortest = min(ways, key=len)
    for place, name in enumerate(shortest):
        if any(way[place] != name for way in ways):
            return shortest[:place]
    return shortest


def _folded(node: Node[Any, Any], inner: AnyGraph | None, own: int, depth: int, called: bool) -> str:
    """What stands under the name of something that holds more than is drawn."""
    if inner is not None:
        deepest = depth + inner.nesting
        where = f"depth {depth}" if deepest == depth else f"depth {depth} to {deepest}"
        count = len(members_of(inner))
        return f"{FOLDED} {count} node{'s' if count != 1 else ''}, {where}"
    if own:
        return f"{FOLDED} {own} within, depth {depth}"
    return f"depth {depth}" if node.kind == "sub-agent" or (called and node.enters != "never") else ""
