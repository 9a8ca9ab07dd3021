"""Rows of alike nodes as one shape, where there are too many for one picture.

Two things are folded: nodes side by side (same kind, fed by the same and feeding the same), and nodes one behind the other
(each with one way in and one way out). What is folded keeps the names of its members, and a walk's figures are summed.

         .--> a --.                                    a --> b --> c --> d   becomes   a ... d
    s ---+--> b --+--> t   becomes   s --> a ... c --> t
         '--> c --'
"""

from __future__ import annotations

from collections import defaultdict

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
DrawnLine = tuple[object, ...]
"""What a line says, and between which shapes: two with the same become one."""


def fold_rows(picture: Picture, room: int) -> None:
    """Folds long rows; then, as long as there are too many shapes, short ones, the longest first.

    The picture is changed in place.
    """
    # All long rows at once, for a picture in which one is folded and another like it is not looks wrong; short ones only as
    # far as they must be. Each time new rows may come about: of what has been folded, and what stands beside it.
    for fewest, limit in ((LONG_ROW, 0), (SHORT_ROW, room)):
        has_rows = True
        while has_rows and picture.size > room:
            has_rows = _fold_once(picture, fewest, limit)


def _fold_once(picture: Picture, fewest: int, room: int) -> bool:
    """Folds the rows that there are now until there is room; returns whether there were any."""
    crowd = _Crowd(picture)
    rows = crowd.side_by_side(fewest)
    rows += crowd.one_behind_another(fewest)
    # The longest first: it makes the most room.
    rows.sort(key=len, reverse=True)
    size = picture.size
    folded: Folded = {}
    for row in rows:
        if size <= room:
            break
        # A shape may stand in a row of either sort.
        if any(shape in folded for shape in row):
            continue
        whole = _whole(row)
        for shape in row:
            folded[shape] = whole
        gain = len(row) - 1
        size -= gain
    if not folded:
        return False
    _replace_shapes(picture, folded)
    _replace_lines(picture, folded)
    _merge_lines(picture)
    return True


class _Crowd:
    """The shapes of a picture, the areas they stand in, and the lines that lead to and from them."""

    def __init__(self, picture: Picture) -> None:
        self.shapes: ShapeRow = []
        self.homes: dict[Shape, str] = {}
        self.into: dict[Shape, list[Line]] = defaultdict(list)
        self.out: dict[Shape, list[Line]] = defaultdict(list)
        for shape in picture.every_shape():
            self.homes[shape] = ""
            if not shape.is_end:
                self.shapes.append(shape)
        for area in picture.every_area():
            for shape in area.shapes:
                self.homes[shape] = area.key
        for line in picture.lines:
            self.into[line.target].append(line)
            self.out[line.source].append(line)

    def side_by_side(self, fewest: int) -> list[ShapeRow]:
        """Rows of shapes that are fed by the same and feed the same."""
        alike: dict[object, ShapeRow] = defaultdict(list)
        for shape in self.shapes:
            key = self._likeness(shape)
            alike[key].append(shape)
        rows: list[ShapeRow] = []
        for row in alike.values():
            if len(row) >= fewest:
                rows.append(row)
        return rows

    def _likeness(self, shape: Shape) -> object:
        """Where a shape stands, what it is, what leads to it and where it leads: equal for shapes that are alike."""
        into: set[object] = set()
        for line in self.into[shape]:
            way_in = (line.source, line.style, line.parts)
            into.add(way_in)
        out: set[object] = set()
        for line in self.out[shape]:
            way_out = (line.target, line.style, line.parts)
            out.add(way_out)
        home = self.homes[shape]
        return home, shape.kind, frozenset(into), frozenset(out)

    def one_behind_another(self, fewest: int) -> list[ShapeRow]:
        """Rows of shapes with one way in and one way out."""
        free = set(filter(self._is_inside, self.shapes))
        rows: list[ShapeRow] = []
        for shape in self.shapes:
            if shape not in free:
                continue
            home = self.homes[shape]
            row: ShapeRow = []
            following = self._first_of_row(shape, free)
            while following in free:
                # A row does not go on into another area.
                if self.homes[following] != home:
                    break
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
        (line_in,) = into
        (line_out,) = out
        return _is_plain(line_in) and _is_plain(line_out)

    def _first_of_row(self, shape: Shape, free: set[Shape]) -> Shape:
        """Back to where the row begins that a shape stands in; in a circle, to where one is again."""
        home = self.homes[shape]
        seen: set[Shape] = set()
        while shape not in seen:
            seen.add(shape)
            (line,) = self.into[shape]
            before = line.source
            if before not in free:
                break
            if self.homes[before] != home:
                break
            shape = before
        return shape


def _is_plain(line: Line) -> bool:
    """Whether a line has nothing that would be lost in a row: no guard, no arm, no hand-over."""
    if line.style != "flow":
        return False
    return line.plain


def _whole(row: ShapeRow) -> Shape:
    """One shape for a row of them."""
    first = row[0]
    kind = first.kind
    noun = _plural(kind)
    members: list[str] = []
    for shape in row:
        members += shape.members
        if shape.kind != first.kind:
            kind = "step"
            noun = "nodes"
    name = f"{members[0]} {ELLIPSIS} {members[-1]}"
    # The key of the first is taken over, so that what is folded stands where the first stood.
    whole = Shape(first.key, name, kind, first.level)
    whole.members = tuple(members)
    count = len(members)
    whole.note = f"{FOLDED} {count} {noun}"
    names = ", ".join(members)
    whole.detail = clip(names, MAX_TOOLTIP)
    return whole


def _plural(kind: str) -> str:
    if kind in WITHOUT_PLURAL:
        return kind
    return f"{kind}s"


def _replace_shapes(picture: Picture, folded: Folded) -> None:
    areas = picture.every_area()
    homes: list[Picture | Area] = [picture, *areas]
    for home in homes:
        shapes = [folded.get(shape, shape) for shape in home.shapes]
        # All of a row have become the same shape: it stands where the first of them stood.
        each_once = dict.fromkeys(shapes)
        home.shapes = list(each_once)
    for whole in folded.values():
        for name in whole.members:
            picture.places[whole.level, name] = whole


def _replace_lines(picture: Picture, folded: Folded) -> None:
    kept: list[Line] = []
    for line in picture.lines:
        source = folded.get(line.source, line.source)
        target = folded.get(line.target, line.target)
        was_loop = line.source is line.target
        is_loop = source is target
        # Only now a loop: it lies within what was folded.
        if is_loop and not was_loop:
            continue
        line.source = source
        line.target = target
        kept.append(line)
    picture.lines = kept


def _merge_lines(picture: Picture) -> None:
    """Lines that now say the same between the same two shapes become one."""
    merged: dict[DrawnLine, Line] = {}
    for line in picture.lines:
        source = line.source
        target = line.target
        key: DrawnLine = (source, target, line.style, line.parts, line.level)
        # What was drawn as several lines between two shapes stays several.
        is_of_row = len(source.members) > 1 or len(target.members) > 1
        if not is_of_row:
            key = (*key, line.indexes)
        first = merged.setdefault(key, line)
        if first is not line:
            first.indexes += line.indexes
    picture.lines = list(merged.values())
