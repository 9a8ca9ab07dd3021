"""A walk's picture that says why one node ran, or why it did not: what led to it stands out, the rest is pale.

way --sent--> left        why did `right` not run?   way and what it sent stay as they are,
`--skipped--> right                                so does the edge that was skipped; `right` has the reasons under its name
"""

from __future__ import annotations

from collections import defaultdict
from textwrap import wrap

from graphflow.errors import PlaceUnknown
from graphflow.render.compare.marks import nearest
from graphflow.render.picture import Drawn, Line, Picture, Shape
from graphflow.runtime.explain import Explanation

WIDTH = 44
"""Characters in a line of reasons."""
LINES = 6
"""Lines of reasons under a name at most; the words alone have all of them."""


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
        kept.update((_source(line), _target(line)))
    for line in picture.lines:
        if line not in lines:
            line.mark, line.badge, line.count = "idle", "", 0
    for other in picture.places.values():
        if other not in kept and not _holds(other, kept):
            other.mark, other.badge = "idle", ""
    place.badge = "\n".join(_words(place, explanation))
    picture.headline = f"why {explanation.node} {'ran' if explanation.ran else 'did not run'}"
    return picture


def _place(picture: Picture, name: str) -> Drawn:
    """What stands for a node: itself, or what holds it."""
    *way, node = name.split(" > ")
    for (level, own), place in picture.places.items():
        if own == node and list(level[len(level) - len(way) :]) == way:
            return place
    level = (picture.name, *way)
    holder = nearest(picture, level, node)
    if holder is None:
        raise PlaceUnknown(f"{name!r} is not drawn in the picture of {picture.name!r}; open more")
    return holder


def _leading(picture: Picture, place: Drawn) -> set[Line]:
    """The lines that led to a place: those that brought something, or the way up to where another arm was taken."""
    into: dict[Drawn, list[Line]] = defaultdict(list)
    out: dict[Drawn, list[Line]] = defaultdict(list)
    for line in picture.lines:
        into[_target(line)].append(line)
        out[_source(line)].append(line)
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
    node = explanation.node.rpartition(" > ")[2]
    for reason in explanation.lines:
        if reason == f"{node!r} did not run":  # the headline says so
            continue
        words += wrap(reason, WIDTH, break_long_words=True)
    if len(words) > LINES:
        words = [*words[: LINES - 1], "..."]
    if place.badge:
        return [place.badge, *words]
    return words
