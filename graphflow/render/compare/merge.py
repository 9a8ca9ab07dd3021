"""Puts what only the first of two pictures has into the second, and tells which lines differ."""

from __future__ import annotations

from graphflow.render.compare.difference import ADDED, REMOVED, Change
from graphflow.render.picture import Area, Drawn, Level, Line, Picture, Shape, find_back

FIRST_KEY = 100_000
"""Keys of what is taken over begin here: no picture has so many shapes of its own."""

DrawnKey = tuple[Level, str]
"""The way to a node from the outermost graph, which may have another name in the other picture; and the node's name."""
DrawnPlaces = dict[DrawnKey, Drawn]
DrawnLineKey = tuple[object, ...]
"""What a line says: two with the same are the same line."""


def places_of(picture: Picture) -> DrawnPlaces:
    """Every place of a picture by its key."""
    places: DrawnPlaces = {}
    for (level, name), place in picture.places.items():
        places[level[1:], name] = place
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
            self.areas[area.path[1:]] = area
        self.count = 0

    def changes(self) -> list[Change]:
        """Merges the two, and tells which lines were added or removed."""
        changes: list[Change] = []
        before = {_line_key(line) for line in self.old.lines}
        after = {_line_key(line) for line in self.new.lines}
        for line in self.new.lines:
            if _line_key(line) not in before:
                line.mark = "added"
                words = _line_words(line)
                changes.append((ADDED, words))
        # Shapes first: the lines that are taken over next may end at them.
        self._take_over(self.old, ())
        for line in self.old.lines:
            if _line_key(line) not in after:
                words = _line_words(line)
                changes.append((REMOVED, words))
                self._take_over_line(line)
        find_back(self.new)
        return changes

    # -- shapes and areas --------------------------------------------------------------------------
    def _take_over(self, home: Picture | Area, path: Level) -> None:
        """Takes over what the second picture does not have of what stands here in the first, and within it."""
        for shape in home.shapes:
            if _key(shape) not in self.after:
                shape.key = self._new_key("n")
                merged_home = self._home(path)
                _insert(merged_home, shape)
        for area in home.areas:
            inner = area.path[1:]
            is_drawn = inner in self.areas or _key(area) in self.after
            if not is_drawn:
                self._take_over_area(area)
            self._take_over(area, inner)

    def _take_over_area(self, area: Area) -> None:
        path = area.path[1:]
        key = self._new_key("a")
        # Empty: what stands in it follows, shape by shape.
        twin = Area(key, area.name, area.kind, area.path, area.depth, area.level)
        twin.opens_level = area.opens_level
        twin.mark = "removed"
        home = self._home(path[:-1])
        home.areas.append(twin)
        self.areas[path] = twin
        # Lines to an open graph end at its dots, which come with it; those to a sub-agent at its own shape.
        if area.opens_level:
            self.before[_key(area)] = twin

    def _home(self, path: Level) -> Picture | Area:
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
        source, target = line.names
        line.mark = "removed"
        line.source, line.from_area = self._end(line.level, source, "end")
        line.target, line.to_area = self._end(line.level, target, "start")
        _, *way = line.level
        # The outermost graph may be called otherwise in the first picture.
        line.level = (self.new.name, *way)
        line.indexes = ()  # it has no place among the edges of the second
        self.new.lines.append(line)

    def _end(self, level: Level, name: str, kind: str) -> tuple[Shape, Area | None]:
        """Where an end of a line that is gone is in the merged picture; in an open graph, at its dot of this kind."""
        key = (level[1:], name)
        place = self.after.get(key) or self.before[key]
        if isinstance(place, Shape):
            return place, None
        for shape in place.shapes:
            if shape.kind == kind:
                return shape, place
        return place.shapes[0], place


def _key(place: Drawn) -> DrawnKey:
    return place.level[1:], place.name


def _insert(home: Picture | Area, shape: Shape) -> None:
    """Puts a shape behind the others, but before the end of its graph."""
    shapes = home.shapes
    place = len(shapes)
    if shapes and shapes[-1].kind == "end":
        place -= 1
    shapes.insert(place, shape)


def _line_key(line: Line) -> DrawnLineKey:
    return line.level[1:], line.names, line.style, line.parts


def _line_words(line: Line) -> str:
    source, target = line.names
    words = f"edge {source} >> {target}"
    if line.parts:
        message = ", ".join(line.parts)
        words += f" ({message})"
    elif line.style == "call":
        words += " (call)"
    where = " > ".join(line.level[1:])
    if where:
        words += f" in {where}"
    return words
