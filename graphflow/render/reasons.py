"""A walk's picture that says why one node ran, or why it did not: what led to it stands out, the rest is pale.

way --sent--> left        why did `right` not run?   way and what it sent stay as they are,
`--skipped--> right                                so does the edge that was skipped; `right` has the reasons under its name
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from textwrap import wrap

from graphflow.errors import PlaceUnknown
from graphflow.render.compare.marks import nearest
from graphflow.render.picture import Drawn, Line, Picture, Shape
from graphflow.runtime.explain import Explanation

WIDTH = 44
"""Characters in a line of reasons."""
LINES = 6
"""Lines of reasons under a name at most; the words alone have all of them."""

LinesByPlace = dict[Drawn, list[Line]]
"""The lines that lead to each place, or that leave it."""


def show_reasons(picture: Picture, explanation: Explanation) -> Picture:
    """Leaves on a picture what led to a node, and writes under its name why it ran, or why it did not.

    Args:
        picture: a graph's, with the walk on it.
        explanation: of a node of that graph.

    Raises:
        PlaceUnknown: nothing stands for the node in this picture.
    """
    place = _place(picture, explanation.node)
    lines = _leading(picture, place)
    kept: set[Drawn] = {place}
    for line in lines:
        kept.add(_source(line))
        kept.add(_target(line))
    for line in picture.lines:
        if line in lines:
            continue
        line.mark = "idle"
        line.badge = ""
        line.count = 0
    for other in picture.places.values():
        if other in kept or _holds(other, kept):
            continue
        other.mark = "idle"
        other.badge = ""
    words = _words(place, explanation)
    place.badge = "\n".join(words)
    outcome = "ran" if explanation.ran else "did not run"
    picture.headline = f"why {explanation.node} {outcome}"
    return picture


def _place(picture: Picture, name: str) -> Drawn:
    """What stands for a node: itself, or what holds it."""
    *way, node = name.split(" > ")
    for key, place in picture.places.items():
        level, own_name = key
        if own_name != node:
            continue
        # A way may begin anywhere: it is enough that the graphs right around the node are those.
        begin = len(level) - len(way)
        innermost = level[begin:]
        if list(innermost) == way:
            return place
    level = (picture.name, *way)
    holder = nearest(picture, level, node)
    if holder is None:
        raise PlaceUnknown(f"{name!r} is not drawn in the picture of {picture.name!r}; open more")
    return holder


def _leading(picture: Picture, place: Drawn) -> set[Line]:
    """The lines that led to a place: those that brought something, or the way up to where another arm was taken."""
    into = _lines_by(_target, picture)
    out = _lines_by(_source, picture)
    leading: set[Line] = set()
    todo = [place]
    seen: set[Drawn] = set()
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        for line in into[current]:
            if line.style == "call" and not line.count:
                continue
            leading.add(line)
            if line.mark == "sent":
                continue
            # What was not sent: either its source did not run either, or it has sent something else.
            source = _source(line)
            taken = {other for other in out[source] if other.mark == "sent"}
            leading |= taken
            if not taken:
                todo.append(source)
    return leading


def _lines_by(end: Callable[[Line], Drawn], picture: Picture) -> LinesByPlace:
    lines: LinesByPlace = defaultdict(list)
    for line in picture.lines:
        place = end(line)
        lines[place].append(line)
    return lines


def _source(line: Line) -> Drawn:
    return line.from_area or line.source


def _target(line: Line) -> Drawn:
    return line.to_area or line.target


def _holds(place: Drawn, kept: set[Drawn]) -> bool:
    """Whether a place is an opened graph in which something stands out."""
    if isinstance(place, Shape):
        return False
    inner: list[Drawn] = [*place.shapes, *place.areas]
    for part in inner:
        if part in kept or _holds(part, kept):
            return True
    return False


def _words(place: Drawn, explanation: Explanation) -> list[str]:
    """The small lines under the name: what the walk says of it, and the reasons."""
    words: list[str] = []
    _, _, node = explanation.node.rpartition(" > ")
    headline = f"{node!r} did not run"
    for reason in explanation.lines:
        # The headline of the picture says so.
        if reason != headline:
            words += wrap(reason, WIDTH, break_long_words=True)
    if len(words) > LINES:
        last = LINES - 1
        words[last:] = ["..."]
    if place.badge:
        return [place.badge, *words]
    return words
