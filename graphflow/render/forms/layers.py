r"""Who stands in which row of a drawing: each below all that leads to it, lines that close a circle aside.

A line that goes over several rows has a place of its own in each of them, so that nothing is drawn over a box:

        a                 row 0: a
       / \                row 1: b, and the place where a's line to d passes
      b   |               row 2: c, d is wherever the longest way ends
      c   |
       \ /
        d
"""

from __future__ import annotations

from collections import defaultdict

from graphflow.render.picture import Line, Shape

ROUNDS = 3
"""How often rows are put in order, from above and from below."""

LayerLink = tuple[str, str]
"""A line from one row to the next: the keys of shapes, or of places where lines pass."""

LayerRow = list[str]


class Layers:
    """The rows of a drawing, and the lines between each and the next."""

    def __init__(self, shapes: list[Shape], lines: list[Line]) -> None:
        self.ranks = _ranks(shapes, lines)
        self.rows: list[LayerRow] = []
        self.links: list[list[LayerLink]] = []
        last = max(self.ranks.values())
        for _ in range(last + 1):
            self.rows.append([])
            self.links.append([])
        for shape in shapes:
            rank = self.ranks[shape.key]
            self.rows[rank].append(shape.key)
        arrows = [(line.source.key, line.target.key) for line in lines]
        self.arrows = list(dict.fromkeys(arrows))
        for source, target in self.arrows:
            self._add(source, target)
        for _ in range(ROUNDS):
            self._settle()

    def _add(self, source: str, target: str) -> None:
        """Leads a line down from row to row; one that leads back up is not drawn here."""
        first = self.ranks[source]
        last = self.ranks[target]
        if last <= first:
            return
        above = source
        for rank in range(first + 1, last):
            row = self.rows[rank]
            links = self.links[rank - 1]
            place = f"{source}.{rank}"  # what leaves one shape goes down in one line
            if place not in row:
                row.append(place)
            link = (above, place)
            if link not in links:
                links.append(link)
            above = place
        self.links[last - 1].append((above, target))

    def _settle(self) -> None:
        """Orders each row by the middle of what leads to it, then each by the middle of what it leads to."""
        lower = self.rows[1:]
        gaps = list(zip(self.rows, lower, self.links, strict=False))
        # Down and up again: a row is in order only relative to its neighbours, and these move, too.
        for above, below, links in gaps:
            upward = [(target, source) for source, target in links]
            _order(below, above, upward)
        for above, below, links in reversed(gaps):
            _order(above, below, links)


def _ranks(shapes: list[Shape], lines: list[Line]) -> dict[str, int]:
    """The number of each shape's row; the end of the picture is in the last one."""
    ranks = _longest_ways(shapes, lines)
    last = max(ranks.values())
    for shape in shapes:
        if _ends_picture(shape):
            ranks[shape.key] = last
    return ranks


def _ends_picture(shape: Shape) -> bool:
    is_outermost = len(shape.level) == 1
    return is_outermost and shape.kind == "end"


def _longest_ways(shapes: list[Shape], lines: list[Line]) -> dict[str, int]:
    """How many lines the longest way to each shape has: one more than that to any shape that leads to it."""
    keys = [shape.key for shape in shapes]
    ranks = dict.fromkeys(keys, 0)
    following: dict[str, list[str]] = defaultdict(list)
    missing = dict.fromkeys(keys, 0)
    """How many of the shapes that lead to each have no rank yet."""
    downward = [line for line in lines if not line.back]
    for line in downward:
        source = line.source.key
        target = line.target.key
        following[source].append(target)
        missing[target] += 1
    todo = [key for key in keys if missing[key] == 0]
    while todo:
        key = todo.pop()
        below = ranks[key] + 1
        # A shape gets its turn when all that lead to it had theirs: then its way cannot become longer.
        for target in following[key]:
            ranks[target] = max(ranks[target], below)
            missing[target] -= 1
            if missing[target] == 0:
                todo.append(target)
    return ranks


def _order(row: LayerRow, beside: LayerRow, links: list[LayerLink]) -> None:
    """Orders a row by the middle of what each is linked to in the row beside it; what is linked to nothing stays."""
    linked: dict[str, list[int]] = defaultdict(list)
    for key, other in links:
        place = beside.index(other)
        linked[key].append(place)
    wanted: dict[str, float] = {}
    for place, key in enumerate(row):
        places = linked[key] or [place]
        middle = sum(places) / len(places)
        wanted[key] = middle
    row.sort(key=wanted.__getitem__)
