"""Marks a picture with what a walk did with each node and edge."""

from __future__ import annotations

from collections import defaultdict

from graphflow.render.compare.tally import Tally, Traffic, badge_of, mark_of, traffic_words
from graphflow.render.members import graph_at, way_to
from graphflow.render.picture import STATE, Area, Drawn, Level, Line, Picture, Shape


def lay_on(
    picture: Picture, figures: dict[Drawn, Tally], traffic: dict[Line, Traffic], *, over: bool
) -> None:
    """Marks shapes and areas with their figures, and lines with what went along them.

    `over` is whether the walk has ended: what has not ended then never will.
    """
    picture.overlay = "walk"
    for line in picture.lines:
        _mark_line(line, traffic[line])
    # What is folded into one shape has several names, and is marked once.
    places = dict.fromkeys(picture.places.values())
    for place in places:
        if isinstance(place, Shape) and place.is_end:
            _mark_end(place, picture.lines)
        else:
            tally = figures.get(place, Tally())
            _mark_place(place, tally, over)
    for area in picture.every_area():
        if not area.mark and not area.opens_level:
            area.mark = _own_mark(area)
    _mark_states(picture)
    _pass_on_skips(picture)


def _mark_states(picture: Picture) -> None:
    """Marks what was read and written: whatever a node that ran declares."""
    for line in picture.lines:
        if line.style != STATE:
            continue
        source = line.from_area or line.source
        target = line.to_area or line.target
        node, state = (target, source) if line.source.kind == STATE else (source, target)
        has_run = node.mark not in ("", "idle", "skipped")
        line.mark = "sent" if has_run else "idle"
        if has_run:
            state.mark = "done"


def _mark_line(line: Line, traffic: Traffic) -> None:
    line.count = traffic.sent
    line.badge = traffic_words(traffic)
    if traffic.sent:
        line.mark = "sent"
    elif traffic.skipped:
        line.mark = "skipped"
    else:
        line.mark = "idle"


def _mark_end(end: Shape, lines: list[Line]) -> None:
    """Marks the start or the end of a graph: it did its part if a message went along a line of it."""
    end.mark = "idle"
    for line in lines:
        if line.mark != "sent":
            continue
        if end is line.source or end is line.target:
            end.mark = "done"
            return


def _mark_place(place: Drawn, tally: Tally, over: bool) -> None:
    place.mark = mark_of(tally, over)
    place.badge = badge_of(tally)
    if tally.error:
        place.detail = tally.error


def _own_mark(area: Area) -> str:
    """The mark of the sub-agent that an area is named after."""
    for shape in area.shapes:
        if shape.name == area.name:
            return shape.mark
    return ""


def _pass_on_skips(picture: Picture) -> None:
    r"""Marks what a tombstone went through.

    What only skipped edges lead to is skipped, and so is what it would have sent:

        way --skipped--> right --idle--> after        way --skipped--> right --skipped--> after, and both are skipped
    """
    into: dict[Drawn, list[Line]] = defaultdict(list)
    out: dict[Drawn, list[Line]] = defaultdict(list)
    for line in picture.lines:
        # A tombstone goes along the edges of messages only.
        if line.style == "call":
            continue
        source = line.from_area or line.source
        out[source].append(line)
        target = _target(line)
        into[target].append(line)
    # Each place is looked at again when something that leads to it has turned out to be skipped.
    todo = list(picture.places.values())
    while todo:
        place = todo.pop()
        if _was_skipped(place, into[place]):
            place.mark = "skipped"
        if place.mark != "skipped":
            continue
        for line in out[place]:
            if line.mark == "idle" and line.style == "flow":
                line.mark = "skipped"
                target = _target(line)
                todo.append(target)


def _target(line: Line) -> Drawn:
    return line.to_area or line.target


def _was_skipped(place: Drawn, lines: list[Line]) -> bool:
    """Whether a place that nothing was heard of must have been skipped, by what came along the lines to it."""
    if place.mark != "idle":
        return False
    if isinstance(place, Shape) and place.is_end:
        return False
    marks = {line.mark for line in lines}
    return "skipped" in marks and "sent" not in marks


def nearest(picture: Picture, level: Level, name: str) -> Drawn | None:
    """What holds a node that is not drawn itself."""
    graph = graph_at(picture.graph, level)
    if graph is not None:
        way = way_to(graph, name)
        # The sub-agents around it, the innermost first.
        for holder in reversed(way):
            place = picture.places.get((level, holder))
            if place is not None:
                return place
    # Then the graphs around it.
    while len(level) > 1:
        *around, name = level
        level = tuple(around)
        place = picture.places.get((level, name))
        if place is not None:
            return place
    return None
