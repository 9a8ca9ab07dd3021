"""The files that one graph is declared in: the file itself, and those that it includes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from graphflow.files.document import Marks

KeyPath: TypeAlias = tuple[object, ...]
"""The way to a value in a file: keys and positions, from the outside in."""


class WrittenAt(tuple[str, int]):
    """File and line, as the places of arrows and nodes in Python are told, with the column that a file has besides.

    Attributes:
        column: counted from one.
    """

    column: int

    def __new__(cls, file: str, line: int, column: int) -> WrittenAt:
        """A place."""
        place = super().__new__(cls, (file, line))
        place.column = column
        return place


@dataclass(frozen=True, slots=True)
class GraphSource:
    """One file.

    Attributes:
        where: its name, as it was given.
        marks: where things stand in it.
    """

    where: str
    marks: Marks

    @property
    def folder(self) -> Path:
        """Where it lies: what it names by a path is looked for from there."""
        return Path(self.where).parent


@dataclass(frozen=True, slots=True)
class GraphSources:
    """All files of one graph.

    Attributes:
        main: the file that was asked for.
        included: what stands in another one: the file and the way to it there, by the part and the name (or position) that it
            has now, `("nodes", "writer")`.
    """

    main: GraphSource
    included: dict[KeyPath, tuple[GraphSource, KeyPath]] = field(default_factory=dict)

    def find(self, path: KeyPath) -> tuple[GraphSource, KeyPath]:
        """The file that something stands in, and the way to it there."""
        found = self.included.get(path[:2])
        if found is None:
            return self.main, path
        source, beginning = found
        return source, (*beginning, *path[2:])

    def written_at(self, path: KeyPath) -> WrittenAt | None:
        """The place of something; None: it stands in no file."""
        source, own_path = self.find(path)
        mark = source.marks.find(own_path)
        if mark is None:
            return None
        return WrittenAt(source.where, mark.line, mark.column)
