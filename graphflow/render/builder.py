"""Builds the picture of a graph, level by level: which nodes are drawn, in which area, with which lines between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphflow.declaration.handoffs import HandTo
from graphflow.declaration.node import AnyNode
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.program import JoinSpec
from graphflow.proofs.proven import AnyGraph
from graphflow.render.folding import fold_rows
from graphflow.render.labels import join_words, label_parts, option_words
from graphflow.render.members import NodeWay, callees_of, graph_within, members_of, ways_of
from graphflow.render.picture import (
    FOLDED,
    STATE,
    Area,
    Direction,
    Level,
    Line,
    Open,
    Picture,
    Shape,
    find_back,
)

ROOM = 70
"""Shapes that a picture holds before what lies deeper stays folded by itself, and long rows are folded."""
MAX_LABELLED_SHAPES = 2 * ROOM
MAX_LABELLED_LINES = 3 * ROOM
"""Beyond these, lines do not say what they carry."""
MAX_OPEN_LEVELS = 12
"""Levels that `open="all"` opens at most."""
FLAT = -1
"""Levels of a picture in which not even sub-agents have areas."""


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

    def built(levels: int) -> Picture:
        empty = Picture(graph.name, graph, direction, labels, legend, about=graph.description)
        builder = _Builder(empty, levels)
        return builder.build(graph)

    drawn = built(_levels(open))
    if open == "auto" and drawn.size > ROOM:
        drawn = built(0)
    if fold and drawn.size > ROOM:
        fold_rows(drawn, ROOM)
    # After folding: a circle of nodes that became one shape is none any more.
    find_back(drawn)
    has_many_lines = len(drawn.lines) > MAX_LABELLED_LINES
    if has_many_lines or drawn.size > MAX_LABELLED_SHAPES:
        drawn.labels = False
    return drawn


def _levels(open: Open) -> int:
    match open:
        case "all":
            return MAX_OPEN_LEVELS
        case "auto":
            return 1
        case "flat":
            return FLAT
        case int():
            return open


@dataclass(frozen=True, slots=True)
class _LineEnds:
    """Where lines to a node end and lines from it begin: at its shape, or at the dots of its area."""

    first: Shape
    last: Shape
    area: Area | None = None


@dataclass(slots=True)
class _LevelBuilder:
    """One graph while it is drawn.

    Attributes:
        depth: how many areas are around it.
        ways: the sub-agents around each node, whether they are drawn or not.
        drawn_ways: those of them that may be drawn as areas.
        sizes: how many nodes lie within each sub-agent, by its way.
        joins: what each node waits for.
        on_arrows: the names of the nodes on its arrows.
        areas: what is drawn so far, by way; the empty way is the level itself.
        ends: where lines meet each node that is drawn.
    """

    graph: AnyGraph
    path: Level
    depth: int
    nodes: dict[str, AnyNode]
    ways: dict[str, NodeWay]
    drawn_ways: dict[str, NodeWay]
    sizes: dict[NodeWay, int]
    joins: dict[str, JoinSpec | None]
    on_arrows: set[str]
    areas: dict[NodeWay, Picture | Area]
    ends: dict[str, _LineEnds] = field(default_factory=dict)
    states: dict[str, Shape] = field(default_factory=dict)
    """The states that its nodes can see, by name; those of the graphs around it included."""

    def folded_words(self, node: AnyNode, inner: AnyGraph | None, size: int, depth: int) -> str:
        """What stands under the name of something that holds more than is drawn."""
        if inner is not None:
            members = members_of(inner)
            count = len(members)
            nodes = "1 node" if count == 1 else f"{count} nodes"
            where = f"depth {depth}"
            if inner.nesting:
                deepest = depth + inner.nesting
                where += f" to {deepest}"
            return f"{FOLDED} {nodes}, {where}"
        if size:
            return f"{FOLDED} {size} within, depth {depth}"
        is_called = node.name not in self.on_arrows
        could_open = is_called and node.enters != "never"
        if node.kind == "sub-agent" or could_open:
            return f"depth {depth}"
        return ""


class _Builder:
    """Puts shapes, areas and lines into a picture."""

    def __init__(self, picture: Picture, levels: int) -> None:
        self.picture = picture
        self.levels = levels
        self.count = 0

    def build(self, graph: AnyGraph) -> Picture:
        """Draws a graph, and is done."""
        self._add_level(graph, (graph.name,), self.picture, 0, {})
        return self.picture

    def _key(self, letter: str = "n") -> str:
        """A name in the drawing that nothing else has."""
        key = f"{letter}{self.count}"
        self.count += 1
        return key

    def _add_level(
        self,
        graph: AnyGraph,
        path: Level,
        home: Picture | Area,
        depth: int,
        states_around: dict[str, Shape],
    ) -> None:
        level = self._level(graph, path, home, depth)
        lent = {
            state.name: states_around[state.name]
            for state in graph.uses
            if state.name in states_around
        }
        level.states = {**lent, **self._add_states(graph, path, home)}
        start = self._terminal("START", path)
        end = self._terminal("END", path)
        level.ends["START"] = _LineEnds(start, start)
        level.ends["END"] = _LineEnds(end, end)
        home.shapes.append(start)
        for name, node in level.nodes.items():
            way = level.drawn_ways[name]
            # Else it lies in what stays folded.
            if way in level.areas:
                level.ends[name] = self._add_node(level, node)
        home.shapes.append(end)
        # Lines come when all their ends are there; those of inner graphs have been drawn with them.
        for declared in graph.edges:
            self._add_edge(level, declared)
        for node in level.nodes.values():
            self._add_calls(level, node)
            self._add_touches(level, node)
        for edge in graph.state_edges:
            self._add_touch(level, edge.origin.node.name, edge.target.name, "writes")

    def _add_states(self, graph: AnyGraph, path: Level, home: Picture | Area) -> dict[str, Shape]:
        """Draws the states that a graph owns."""
        shapes: dict[str, Shape] = {}
        for state in graph.state:
            shape = Shape(self._key("s"), state.name, STATE, path, note=state.kind)
            home.shapes.append(shape)
            shapes[state.name] = shape
        return shapes

    def _add_touches(self, level: _LevelBuilder, node: AnyNode) -> None:
        """Draws which states a node reads and writes; those of a graph that is drawn open its own nodes show."""
        inner = graph_within(node)
        ends = level.ends.get(node.name)
        if ends is None or (inner is not None and ends.area is not None):
            return
        for state in dict.fromkeys(node.touched):
            kinds = node.writes_to(state)
            if state in node.reads or not kinds:
                self._add_touch(level, node.name, state.name, "reads")
            if kinds:
                verb = "sets" if "set" in kinds else "adds"
                self._add_touch(level, node.name, state.name, verb)

    def _add_touch(self, level: _LevelBuilder, node: str, state: str, verb: str) -> None:
        shape, ends = level.states.get(state), level.ends.get(node)
        if shape is None or ends is None:
            return
        if verb == "reads":
            line = Line(shape, ends.first, STATE, (verb,), level.path, (), (state, node))
            line.to_area = ends.area
        else:
            line = Line(ends.last, shape, STATE, (verb,), level.path, (), (node, state))
            line.from_area = ends.area
        self.picture.lines.append(line)

    def _level(
        self, graph: AnyGraph, path: Level, home: Picture | Area, depth: int
    ) -> _LevelBuilder:
        nodes = members_of(graph)
        ways = ways_of(graph, nodes)
        drawn_ways = ways
        if self.levels == FLAT:
            drawn_ways = dict.fromkeys(nodes, ())
        sizes = _sizes(drawn_ways)
        return _LevelBuilder(
            graph=graph,
            path=path,
            depth=depth,
            nodes=nodes,
            ways=ways,
            drawn_ways=drawn_ways,
            sizes=sizes,
            joins={slot.name: slot.join for slot in graph.program.slots},
            on_arrows={node.name for node in graph.nodes},
            areas={(): home},
        )

    def _terminal(self, name: str, path: Level) -> Shape:
        key = self._key()
        kind = name.lower()
        shape = Shape(key, name, kind, path, members=(name,))
        self.picture.places[path, name] = shape
        return shape

    # -- nodes -------------------------------------------------------------------------------------
    def _add_node(self, level: _LevelBuilder, node: AnyNode) -> _LineEnds:
        """Draws a node: as an area with what lies within it, if it is within the levels to open, else as a shape."""
        name = node.name
        way = level.drawn_ways[name]
        own_way = (*way, name)
        home = level.areas[way]
        around = level.ways[name]
        depth = level.depth + len(around) + 1
        inner = graph_within(node)
        size = level.sizes.get(own_way, 0)
        holds_more = inner is not None or size > 0
        if not holds_more or depth > self.levels:
            shape = self._add_shape(level, node, home)
            # What is folded says so; what could not be opened says how deep it lies.
            shape.note = level.folded_words(node, inner, size, depth)
            return _LineEnds(shape, shape)

        area = self._add_area(level, node, home, depth)
        if inner is not None:
            area.opens_level = True
            path = (*level.path, name)
            self._add_level(inner, path, area, depth, level.states)
            start = area.shapes[0]
            end = area.shapes[-1]
            return _LineEnds(start, end, area)
        # A sub-agent: it stands as a dot in its own area, and what it calls will be put beside it.
        level.areas[own_way] = area
        shape = self._add_shape(level, node, area)
        shape.opened = True
        return _LineEnds(shape, shape, area)

    def _add_area(
        self, level: _LevelBuilder, node: AnyNode, home: Picture | Area, depth: int
    ) -> Area:
        name = node.name
        path = (*level.path, *level.drawn_ways[name], name)
        key = self._key("a")
        area = Area(key, name, node.kind, path, depth, level.path)
        area.node = node
        join = level.joins.get(name)
        area.waits = join_words(join)
        area.options = option_words(node)
        home.areas.append(area)
        self.picture.places[level.path, name] = area
        return area

    def _add_shape(self, level: _LevelBuilder, node: AnyNode, home: Picture | Area) -> Shape:
        name = node.name
        key = self._key()
        shape = Shape(key, name, node.kind, level.path, node=node)
        shape.members = (name,)
        join = level.joins.get(name)
        shape.waits = join_words(join)
        shape.options = option_words(node)
        home.shapes.append(shape)
        self.picture.places[level.path, name] = shape
        return shape

    # -- lines -------------------------------------------------------------------------------------
    def _add_edge(self, level: _LevelBuilder, declared: TypedEdge) -> None:
        edge = declared.edge
        origin = edge.origin
        names = (origin.node.name, edge.target.name)
        style = _style(declared)
        line = self._add_line(level, names, style)
        line.parts = label_parts(declared, level.graph)
        line.indexes = (declared.index,)
        # Every message goes along a plain line, and as it is.
        is_whole = origin.arm is None and not origin.each
        is_plain = is_whole and not origin.guard
        line.plain = is_plain and not declared.exceptional

    def _add_calls(self, level: _LevelBuilder, node: AnyNode) -> None:
        caller = node.name
        if caller not in level.ends:
            return
        for callee in callees_of(level.graph, node):
            if callee.name in level.ends:
                names = (caller, callee.name)
                self._add_line(level, names, "call")

    def _add_line(self, level: _LevelBuilder, names: tuple[str, str], style: str) -> Line:
        source_name, target_name = names
        source = level.ends[source_name]
        target = level.ends[target_name]
        line = Line(source.last, target.first, style, (), level.path, (), names)
        line.from_area = source.area
        line.to_area = target.area
        self.picture.lines.append(line)
        return line


def _style(declared: TypedEdge) -> str:
    if isinstance(declared.edge.origin.arm, HandTo):
        return "hand"
    if declared.exceptional:
        return "trouble"
    return "flow"


def _sizes(ways: dict[str, NodeWay]) -> dict[NodeWay, int]:
    """How many nodes lie within each sub-agent, at any depth."""
    sizes: dict[NodeWay, int] = {}
    for way in ways.values():
        around = way
        # A node lies within all sub-agents on its way, and not only within the last of them.
        while around:
            before = sizes.get(around, 0)
            sizes[around] = before + 1
            around = around[:-1]
    return sizes
