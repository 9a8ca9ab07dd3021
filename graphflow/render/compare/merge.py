"""Puts what only the first of two pictures has into the second, and tells which lines differ."""

from __future__ import annotations

from graphflow.render.compare.difference import ADDED, REMOVED, Change
from graphflow.render.picture import Area, Drawn, Level, Line, Picture, Shape, find_back

FIRST_KEY = 100_000
"""Keys of what is taken over begin here: no picture has so many shapes of its own."""

DrawnKey = tuple[Level, str]
"""The way to a node from the outermost graph, which may have another name in the other picture; and the node's name."""
DrawnPlaces = dict[DrawnKey, Drawn]
Home = Picture | Area
"""What shapes and areas stand in."""
DrawnEnd = tuple[Shape, Area | None]
"""Where a line ends: at a shape, or at an area, on its way to a shape in it."""
DrawnLineKey = tuple[object, ...]
"""What a line says: two with the same are the same line."""


def places_of(picture: Picture) -> DrawnPlaces:
    """Every place of a picture by its key."""
    places: DrawnPlaces = {}
    for place_key, place in picture.places.items():
        level, name = place_key
        inner_level = level[1:]
        places[inner_level, name] = place
    return places


class Merge:
    """Two pictures that become one: the second, with what only the first has."""

    def __init__(self, old: Picture, new: Picture, before: DrawnPlaces, after: DrawnPlaces) -> None:
        self.old = old
        self.new = new
        self.before = before
        self.after = after
        self.areas: dict[Level, Area] = {}
        """The areas of the second picture, by their way from the outermost graph."""
        for area in new.every_area():
            way = area.path[1:]
            self.areas[way] = area
        self.count = 0

    def changes(self) -> list[Change]:
        """Merges the two, and tells which lines were added or removed."""
        changes: list[Change] = []
        before = set(map(_line_key, self.old.lines))
        after = set(map(_line_key, self.new.lines))
        for line in self.new.lines:
            key = _line_key(line)
            if key in before:
                continue
            line.mark = "added"
            words = _line_words(line)
            changes.append((ADDED, words))
        # Shapes first: the lines that are taken over next may end at them.
        self._take_over(self.old, ())
        for line in self.old.lines:
            key = _line_key(line)
            if key in after:
                continue
            words = _line_words(line)
            changes.append((REMOVED, words))
            self._take_over_line(line)
        find_back(self.new)
        return changes

    # -- shapes and areas --------------------------------------------------------------------------
    def _take_over(self, home: Home, path: Level) -> None:
        """Takes over what the second picture does not have of what stands here in the first, and within it."""
        for shape in home.shapes:
            key = _key(shape)
            if key not in self.after:
                shape.key = self._new_key("n")
                merged_home = self._home(path)
                _insert(merged_home, shape)
        for area in home.areas:
            key = _key(area)
            inner = area.path[1:]
            # What is an area here may be a single shape there: then it is drawn already.
            if inner not in self.areas and key not in self.after:
                self._take_over_area(area)
            self._take_over(area, inner)

    def _take_over_area(self, area: Area) -> None:
        path = area.path[1:]
        key = self._new_key("a")
        # Empty: what stands in it follows, shape by shape.
        twin = Area(
            key,
            area.name,
            area.kind,
            area.path,
            area.depth,
            area.level,
            opens_level=area.opens_level,
            mark="removed",
        )
        around = path[:-1]
        home = self._home(around)
        home.areas.append(twin)
        self.areas[path] = twin
        # Lines to an open graph end at its dots, which come with it; those to a sub-agent at its own shape.
        if area.opens_level:
            old_key = _key(area)
            self.before[old_key] = twin

    def _home(self, path: Level) -> Home:
        """The innermost area around a path that the merged picture has."""
        while path:
            if path in self.areas:
                return self.areas[path]
            path = path[:-1]
        return self.new

    def _new_key(self, letter: str) -> str:
        self.count += 1
        number = FIRST_KEY + self.count
        return f"{letter}{number}"

    # -- lines -------------------------------------------------------------------------------------
    def _take_over_line(self, line: Line) -> None:
        line.mark = "removed"
        source, target = line.names
        way = line.level[1:]
        line.source, line.from_area = self._end(way, source, "end")
        line.target, line.to_area = self._end(way, target, "start")
        # The outermost graph may be called otherwise in the first picture.
        line.level = (self.new.name, *way)
        # It has no place among the edges of the second.
        line.indexes = ()
        self.new.lines.append(line)

    def _end(self, way: Level, name: str, kind: str) -> DrawnEnd:
        """Where an end of a line that is gone is in the merged picture; in an open graph, at its dot of this kind."""
        key = (way, name)
        places = self.after if key in self.after else self.before
        place = places[key]
        if isinstance(place, Shape):
            return place, None
        for shape in place.shapes:
            if shape.kind == kind:
                return shape, place
        return place.shapes[0], place


def _key(place: Drawn) -> DrawnKey:
    way = place.level[1:]
    return way, place.name


def _insert(home: Home, shape: Shape) -> None:
    """Puts a shape behind the others, but before the end of its graph."""
    shapes = home.shapes
    place = len(shapes)
    if shapes:
        last = shapes[-1]
        if last.kind == "end":
            place -= 1
    shapes.insert(place, shape)


def _line_key(line: Line) -> DrawnLineKey:
    way = line.level[1:]
    return way, line.names, line.style, line.parts


def _line_words(line: Line) -> str:
    source, target = line.names
    words = f"edge {source} >> {target}"
    if line.parts:
        message = ", ".join(line.parts)
        words += f" ({message})"
    elif line.style == "call":
        words += " (call)"
    way = line.level[1:]
    if way:
        where = " > ".join(way)
        words += f" in {where}"
    return words
