"""Rows of alike nodes as one shape, where there are too many for one picture.

Two things are folded: nodes side by side (same kind, fed by the same and feeding the same), and nodes one behind the other
(each with one way in and one way out). What is folded keeps the names of its members, and a walk's figures are summed.
"""

from __future__ import annotations

from graphflow.render.labels import LONGEST, cut
from graphflow.render.picture import FOLDED, Area, Line, Picture, Shape

FEWEST = 4
"""Nodes that make a row; where that is not enough, two do."""


def fold_rows(picture: Picture, room: int) -> None:
    """Folds long rows; then, as long as there are too many shapes, short ones, the longest first.

    The picture is changed in place.
    """
    while picture.size > room and _fold_once(picture, FEWEST, 0):
        pass
    while picture.size > room and _fold_once(picture, 2, room):
        pass


def _fold_once(picture: Picture, fewest: int, room: int) -> bool:
    """Folds the rows there are now, until there is room; tells whether there was any."""
    rows = [*_side_by_side(picture, fewest), *_one_behind_another(picture, fewest)]
    rows.sort(key=len, reverse=True)
    seen: set[int] = set()
    for row in rows:
        if picture.size > room and not any(id(shape) in seen for shape in row):
            seen.update(id(shape) for shape in row)
            _fold(picture, row)
    _merge_lines(picture)
    return bool(rows)


def _ways(picture: Picture) -> tuple[dict[int, list[Line]], dict[int, list[Line]]]:
    into: dict[int, list[Line]] = {id(s): [] for s in picture.every_shape()}
    out: dict[int, list[Line]] = {id(s): [] for s in picture.every_shape()}
    for line in picture.lines:
        out[id(line.source)].append(line)
        into[id(line.target)].append(line)
    return into, out


def _side_by_side(picture: Picture, fewest: int) -> list[list[Shape]]:
    into, out = _ways(picture)
    alike: dict[object, list[Shape]] = {}
    homes = _homes(picture)
    for shape in picture.every_shape():
        if shape.kind in ("start", "end"):
            continue
        fed = frozenset((line.source.key, line.style, line.parts) for line in into[id(shape)])
        feeds = frozenset((line.target.key, line.style, line.parts) for line in out[id(shape)])
        alike.setdefault((homes[id(shape)], shape.kind, fed, feeds), []).append(shape)
    return [row for row in alike.values() if len(row) >= fewest]


def _one_behind_another(picture: Picture, fewest: int) -> list[list[Shape]]:
    into, out = _ways(picture)
    homes = _homes(picture)

    def inside(shape: Shape) -> bool:
        ways = [*into[id(shape)], *out[id(shape)]]
        return (
            len(into[id(shape)]) == len(out[id(shape)]) == 1
            and shape.kind not in ("start", "end")
            and all(line.style == "flow" and line.plain for line in ways)
        )

    rows: list[list[Shape]] = []
    taken: set[int] = set()
    for shape in picture.every_shape():
        if id(shape) in taken or not inside(shape):
            continue
        while True:  # back to where the row begins
            before = into[id(shape)][0].source
            if not inside(before) or homes[id(before)] != homes[id(shape)] or id(before) in taken:
                break
            shape = before
        row = [shape]
        taken.add(id(shape))
        while True:
            after = out[id(row[-1])][0].target
            if not inside(after) or homes[id(after)] != homes[id(shape)] or id(after) in taken:
                break
            row.append(after)
            taken.add(id(after))
        if len(row) >= fewest:
            rows.append(row)
    return rows


def _homes(picture: Picture) -> dict[int, str]:
    homes = {id(shape): "" for shape in picture.shapes}
    for area in picture.every_area():
        homes.update({id(shape): area.key for shape in area.shapes})
    return homes


def _fold(picture: Picture, row: list[Shape]) -> None:
    first = row[0]
    members = tuple(name for shape in row for name in shape.members)
    kinds = dict.fromkeys(shape.kind for shape in row)
    kind = first.kind if len(kinds) == 1 else "step"
    folded = Shape(first.key, f"{members[0]} \u2026 {members[-1]}", kind, first.level)
    folded.members = members
    folded.note = f"{FOLDED} {len(members)} {_several(kind) if len(kinds) == 1 else 'nodes'}"
    folded.about = cut(", ".join(members), LONGEST)
    inside = {id(shape) for shape in row}
    homes: list[Picture | Area] = [picture, *picture.every_area()]
    for home in homes:
        _replace(home, row, folded, inside)
    for name in members:
        picture.places[first.level, name] = folded
    kept: list[Line] = []
    for line in picture.lines:
        if id(line.source) in inside and id(line.target) in inside:
            continue
        if id(line.source) in inside:
            line.source = folded
        if id(line.target) in inside:
            line.target = folded
        kept.append(line)
    picture.lines = kept


def _several(kind: str) -> str:
    return kind if kind in ("code", "skills") else f"{kind}s"


def _replace(home: Picture | Area, row: list[Shape], folded: Shape, inside: set[int]) -> None:
    if any(shape is row[0] for shape in home.shapes):
        home.shapes = [folded if s is row[0] else s for s in home.shapes if s is row[0] or id(s) not in inside]


def _merge_lines(picture: Picture) -> None:
    """Lines that now say the same between the same two shapes become one."""
    merged: dict[object, Line] = {}
    for line in picture.lines:
        same = line.source.key, line.target.key, line.style, line.parts, line.level
        if len(line.source.members) == len(line.target.members) == 1:
            same = (*same, line.indexes)  # type: ignore[assignment]  # what was drawn as several stays several
        first = merged.setdefault(same, line)
        if first is not line:
            first.indexes += line.indexes
    picture.lines = list(merged.values())
