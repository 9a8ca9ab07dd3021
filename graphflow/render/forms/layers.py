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
from graphlib import TopologicalSorter
from typing import NamedTuple

from graphflow.render.picture import Line, Shape

ROUNDS = 3
"""How often rows are put in order, from above and from below."""

LayerLink = tuple[str, str]
"""A line from one row to the next: the keys of shapes, or of places where lines pass."""
LayerLinks = list[LayerLink]
LayerRow = list[str]
Ranks = dict[str, int]
"""The number of each shape's row, by the key of the shape."""


class LayerGap(NamedTuple):
    """Two rows that follow each other, and the lines between them."""

    above: LayerRow
    below: LayerRow
    links: LayerLinks


class Layers:
    """The rows of a drawing, and the lines between each and the next."""

    def __init__(self, shapes: list[Shape], lines: list[Line]) -> None:
        self.arrows = _arrows(lines)
        self.ranks = _ranks(shapes, lines)
        last = max(self.ranks.values())
        self.rows: list[LayerRow] = []
        self.links: list[LayerLinks] = []
        for _ in range(last + 1):
            self.rows.append([])
            self.links.append([])
        for shape in shapes:
            rank = self.ranks[shape.key]
            row = self.rows[rank]
            row.append(shape.key)
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
        # What leaves one shape goes down in one line, as far as it has the same way.
        for rank in range(first + 1, last):
            place = f"{source}.{rank}"
            row = self.rows[rank]
            if place not in row:
                row.append(place)
            self._link(above, place, rank)
            above = place
        self._link(above, target, last)

    def _link(self, above: str, below: str, rank: int) -> None:
        """Draws a line to the row of this number from the one above it, but only once."""
        link = (above, below)
        links = self.links[rank - 1]
        if link not in links:
            links.append(link)

    def _settle(self) -> None:
        """Orders each row by the middle of what leads to it, then each by the middle of what it leads to."""
        lower = self.rows[1:]
        parts = zip(self.rows, lower, self.links, strict=False)
        gaps = [LayerGap(*part) for part in parts]
        # Down and up again: a row is in order only relative to its neighbours, and these move, too.
        for gap in gaps:
            upward = [(target, source) for source, target in gap.links]
            _order(gap.below, gap.above, upward)
        for gap in reversed(gaps):
            _order(gap.above, gap.below, gap.links)


def _arrows(lines: list[Line]) -> list[LayerLink]:
    """The ends of the lines; several lines between the same two shapes are drawn as one."""
    arrows: dict[LayerLink, None] = {}
    for line in lines:
        source = line.source.key
        target = line.target.key
        arrows[source, target] = None
    return list(arrows)


def _ranks(shapes: list[Shape], lines: list[Line]) -> Ranks:
    """The number of each shape's row; the end of the picture is in the last one."""
    ranks = _longest_ways(shapes, lines)
    last = max(ranks.values())
    for shape in shapes:
        if _ends_picture(shape):
            ranks[shape.key] = last
    return ranks


def _ends_picture(shape: Shape) -> bool:
    if shape.kind != "end":
        return False
    return len(shape.level) == 1


def _longest_ways(shapes: list[Shape], lines: list[Line]) -> Ranks:
    """How many lines the longest way to each shape has: one more than that to any shape that leads to it."""
    sources: dict[str, set[str]] = {}
    for shape in shapes:
        sources[shape.key] = set()
    for line in lines:
        # Without those that lead back there are no circles.
        if line.back:
            continue
        source = line.source.key
        target = line.target.key
        sources[target].add(source)
    ranks: Ranks = {}
    # A shape gets its turn when all that lead to it had theirs: then its way cannot become longer.
    for key in TopologicalSorter(sources).static_order():
        rank = 0
        for source in sources[key]:
            below = ranks[source] + 1
            rank = max(rank, below)
        ranks[key] = rank
    return ranks


def _order(row: LayerRow, beside: LayerRow, links: LayerLinks) -> None:
    """Orders a row by the middle of what each is linked to in the row beside it; what is linked to nothing stays."""
    linked: dict[str, list[int]] = defaultdict(list)
    for key, other in links:
        place = beside.index(other)
        linked[key].append(place)
    middles: dict[str, float] = {}
    for place, key in enumerate(row):
        places = linked[key]
        if not places:
            places = [place]
        total = sum(places)
        middles[key] = total / len(places)
    row.sort(key=middles.__getitem__)
