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
    ways, homes, size = _ways(picture), _homes(picture), picture.size
    rows = [*_side_by_side(picture, ways, homes, fewest), *_one_behind_another(picture, ways, homes, fewest)]
    rows.sort(key=len, reverse=True)
    folded: dict[int, Shape] = {}
    for row in rows:
        if size > room and not any(id(shape) in folded for shape in row):
            whole = _whole(row)
            folded.update((id(shape), whole) for shape in row)
            size -= len(row) - 1
    if folded:
        _replace(picture, folded)
        _merge_lines(picture)
    return bool(folded)


Ways = tuple[dict[int, list[Line]], dict[int, list[Line]]]
"""The lines that lead to each shape, and those that leave it."""


def _ways(picture: Picture) -> Ways:
    into: dict[int, list[Line]] = {id(s): [] for s in picture.every_shape()}
    out: dict[int, list[Line]] = {id(s): [] for s in picture.every_shape()}
    for line in picture.lines:
        out[id(line.source)].append(line)
        into[id(line.target)].append(line)
    return into, out


def _side_by_side(picture: Picture, ways: Ways, homes: dict[int, str], fewest: int) -> list[list[Shape]]:
    into, out = ways
    alike: dict[object, list[Shape]] = {}
    for shape in picture.every_shape():
        if shape.kind in ("start", "end"):
            continue
        fed = frozenset([(id(line.source), line.style, line.parts) for line in into[id(shape)]])
        feeds = frozenset([(id(line.target), line.style, line.parts) for line in out[id(shape)]])
        alike.setdefault((homes[id(shape)], shape.kind, fed, feeds), []).append(shape)
    return [row for row in alike.values() if len(row) >= fewest]


def _one_behind_another(picture: Picture, ways: Ways, homes: dict[int, str], fewest: int) -> list[list[Shape]]:
    into, out = ways

    within = {
        key
        for key, lines in into.items()
        if len(lines) == len(out[key]) == 1
        and lines[0].plain
        and out[key][0].plain
        and lines[0].style == out[key][0].style == "flow"
    }

    def inside(shape: Shape) -> bool:
        return id(shape) in within and shape.kind not in ("start", "end")

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


def _whole(row: list[Shape]) -> Shape:
    """One shape for a row of them."""
    members = tuple(name for shape in row for name in shape.members)
    kinds = {shape.kind for shape in row}
    kind = row[0].kind if len(kinds) == 1 else "step"
    whole = Shape(row[0].key, f"{members[0]} \u2026 {members[-1]}", kind, row[0].level)
    whole.members = members
    several = kind if kind in ("code", "skills") else f"{kind}s"
    whole.note = f"{FOLDED} {len(members)} {several if len(kinds) == 1 else 'nodes'}"
    whole.told = cut(", ".join(members), LONGEST)
    return whole


def _replace(picture: Picture, folded: dict[int, Shape]) -> None:
    homes: list[Picture | Area] = [picture, *picture.every_area()]
    for home in homes:
        home.shapes = list(dict.fromkeys(folded.get(id(shape), shape) for shape in home.shapes))
    for whole in dict.fromkeys(folded.values()):
        for name in whole.members:
            picture.places[whole.level, name] = whole
    kept: list[Line] = []
    for line in picture.lines:
        source, target = folded.get(id(line.source), line.source), folded.get(id(line.target), line.target)
        if source is target and line.source is not line.target:
            continue  # it lies within what was folded
        line.source, line.target = source, target
        kept.append(line)
    picture.lines = kept


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
