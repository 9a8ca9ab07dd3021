"""Rows of alike nodes as one shape, where there are too many for one picture.

Two things are folded: nodes side by side (same kind, fed by the same and feeding the same), and nodes one behind the other
(each with one way in and one way out). What is folded keeps the names of its members, and a walk's figures are summed.

         .--> a --.                                    a --> b --> c --> d   becomes   a ... d
    s ---+--> b --+--> t   becomes   s --> a ... c --> t
         '--> c --'
"""

from __future__ import annotations

from graphflow.render.labels import MAX_TOOLTIP
from graphflow.render.picture import FOLDED, Area, Line, Picture, Shape
from graphflow.render.xml import ELLIPSIS, clip

LONG_ROW = 4
"""Nodes that make a row; where that is not enough, two do."""
SHORT_ROW = 2
WITHOUT_PLURAL = ("code", "skills")
"""Kinds that are called the same however many there are."""

ShapeRow = list[Shape]
Folded = dict[Shape, Shape]
"""What each shape of a row is folded into."""


def fold_rows(picture: Picture, room: int) -> None:
    """Folds long rows; then, as long as there are too many shapes, short ones, the longest first.

    The picture is changed in place.
    """
    # All long rows at once, for a picture in which one is folded and another like it is not looks wrong; short ones only as
    # far as they must be. Each time new rows may come about: of what has been folded, and what stands beside it.
    while picture.size > room and _fold_once(picture, LONG_ROW, 0):
        pass
    while picture.size > room and _fold_once(picture, SHORT_ROW, room):
        pass


def _fold_once(picture: Picture, fewest: int, room: int) -> bool:
    """Folds the rows that there are now until there is room; returns whether there were any."""
    crowd = _Crowd(picture)
    rows = crowd.side_by_side(fewest)
    rows += crowd.one_behind_another(fewest)
    rows.sort(key=len, reverse=True)  # the longest first: it makes the most room
    size = picture.size
    folded: Folded = {}
    for row in rows:
        if size <= room:
            break
        if any(shape in folded for shape in row):  # a shape may stand in a row of either sort
            continue
        whole = _whole(row)
        for shape in row:
            folded[shape] = whole
        size -= len(row) - 1
    if not folded:
        return False
    _replace_shapes(picture, folded)
    _replace_lines(picture, folded)
    _merge_lines(picture)
    return True


class _Crowd:
    """The shapes of a picture, the areas they stand in, and the lines that lead to and from them."""

    def __init__(self, picture: Picture) -> None:
        self.shapes = [shape for shape in picture.every_shape() if not shape.is_end]
        self.homes: dict[Shape, str] = {}
        self.into: dict[Shape, list[Line]] = {}
        self.out: dict[Shape, list[Line]] = {}
        for shape in picture.every_shape():
            self.homes[shape] = ""
            self.into[shape] = []
            self.out[shape] = []
        for area in picture.every_area():
            for shape in area.shapes:
                self.homes[shape] = area.key
        for line in picture.lines:
            self.into[line.target].append(line)
            self.out[line.source].append(line)

    def side_by_side(self, fewest: int) -> list[ShapeRow]:
        """Rows of shapes that are fed by the same and feed the same."""
        alike: dict[object, ShapeRow] = {}
        for shape in self.shapes:
            key = self._likeness(shape)
            row = alike.setdefault(key, [])
            row.append(shape)
        return [row for row in alike.values() if len(row) >= fewest]

    def _likeness(self, shape: Shape) -> object:
        """Where a shape stands, what it is, what leads to it and where it leads: equal for shapes that are alike."""
        into = frozenset((line.source, line.style, line.parts) for line in self.into[shape])
        out = frozenset((line.target, line.style, line.parts) for line in self.out[shape])
        home = self.homes[shape]
        return home, shape.kind, into, out

    def one_behind_another(self, fewest: int) -> list[ShapeRow]:
        """Rows of shapes with one way in and one way out."""
        free = set(filter(self._is_inside, self.shapes))
        rows: list[ShapeRow] = []
        for shape in self.shapes:
            if shape not in free:
                continue
            first = self._first_of_row(shape, free)
            home = self.homes[shape]
            row: ShapeRow = []
            following = first
            while following in free and self.homes[following] == home:
                row.append(following)
                free.discard(following)
                (line,) = self.out[following]
                following = line.target
            if len(row) >= fewest:
                rows.append(row)
        return rows

    def _is_inside(self, shape: Shape) -> bool:
        """Whether a shape hands all it gets from one shape on to another one."""
        into = self.into[shape]
        out = self.out[shape]
        if len(into) != 1 or len(out) != 1:
            return False
        lines = [*into, *out]
        return all(map(_is_plain, lines))

    def _first_of_row(self, shape: Shape, free: set[Shape]) -> Shape:
        """Back to where the row begins that a shape stands in; in a circle, to where one is again."""
        home = self.homes[shape]
        seen: set[Shape] = set()
        while shape not in seen:
            seen.add(shape)
            (line,) = self.into[shape]
            before = line.source
            if before not in free or self.homes[before] != home:
                break
            shape = before
        return shape


def _is_plain(line: Line) -> bool:
    """Whether a line has nothing that would be lost in a row: no guard, no arm, no hand-over."""
    return line.plain and line.style == "flow"


def _whole(row: ShapeRow) -> Shape:
    """One shape for a row of them."""
    first = row[0]
    members: list[str] = []
    for shape in row:
        members += shape.members
    # The key of the first is taken over, so that what is folded stands where the first stood.
    kind = first.kind
    noun = _plural(kind)
    kinds = {shape.kind for shape in row}
    if len(kinds) > 1:
        kind = "step"
        noun = "nodes"
    count = len(members)
    ends = (members[0], ELLIPSIS, members[-1])
    whole = Shape(first.key, " ".join(ends), kind, first.level)
    whole.members = tuple(members)
    whole.note = f"{FOLDED} {count} {noun}"
    whole.detail = clip(", ".join(members), MAX_TOOLTIP)
    return whole


def _plural(kind: str) -> str:
    if kind in WITHOUT_PLURAL:
        return kind
    return f"{kind}s"


def _replace_shapes(picture: Picture, folded: Folded) -> None:
    homes: list[Picture | Area] = [picture, *picture.every_area()]
    for home in homes:
        shapes = [folded.get(shape, shape) for shape in home.shapes]
        # All of a row have become the same shape: it stands where the first of them stood.
        home.shapes = list(dict.fromkeys(shapes))
    for whole in folded.values():
        for name in whole.members:
            picture.places[whole.level, name] = whole


def _replace_lines(picture: Picture, folded: Folded) -> None:
    kept: list[Line] = []
    for line in picture.lines:
        source = folded.get(line.source, line.source)
        target = folded.get(line.target, line.target)
        is_loop = line.source is line.target
        if source is target and not is_loop:
            continue  # it lies within what was folded
        line.source = source
        line.target = target
        kept.append(line)
    picture.lines = kept


def _merge_lines(picture: Picture) -> None:
    """Lines that now say the same between the same two shapes become one."""
    merged: dict[object, Line] = {}
    for line in picture.lines:
        source = line.source
        target = line.target
        # What was drawn as several lines between two shapes stays several.
        indexes = line.indexes
        if len(source.members) > 1 or len(target.members) > 1:
            indexes = ()
        key = (source, target, line.style, line.parts, line.level, indexes)
        first = merged.setdefault(key, line)
        if first is not line:
            first.indexes += line.indexes
    picture.lines = list(merged.values())
