"""What a file holds, whatever it is written in: plain data, and where each part of it stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphflow.errors import FileProblem, FileUnreadable
from graphflow.files.rows import file_error, shown_row

PlainMapping: TypeAlias = Mapping[Any, Any]
"""A mapping as a file has it: whatever its keys and values are, as nothing has looked at them yet."""
KeyStep: TypeAlias = str | int
"""A key of a mapping as it is written, or a position in a list."""
MAX_DEPTH = 100
"""Lists and mappings within each other; graphs need ten."""
MAX_VALUES = 200_000
"""Values of one file; a graph of ten thousand nodes has a third of it."""
MAX_DIGITS = 4_300
"""Digits of a whole number; Python itself reads no more."""


@dataclass(frozen=True, slots=True)
class TextPlace:
    """A place in a text: line and column, counted from one."""

    line: int
    column: int


@dataclass(slots=True)
class Placed:
    """Where one value stands, and all that is inside it.

    Attributes:
        mark: of its key, or of the value itself where it has none.
        inside: the spots of what it holds, by key or position.
    """

    mark: TextPlace
    inside: Mapping[KeyStep, Placed] = field(default_factory=dict)


class Marks:
    """Where things stand in a file.

    Args:
        root: the spot of all that it holds; None: nobody knows, as it was given as data.
        text: what it holds, as it is written.
    """

    def __init__(self, root: Placed | None = None, text: str = "") -> None:
        self.root = root
        self._text = text

    def find(self, path: Sequence[object]) -> TextPlace | None:
        """The place of what these keys and positions lead to, or of the last step of them that exists."""
        spot = self.root
        if spot is None:
            return None
        for step in path:
            inner = spot.inside.get(_step(step))
            if inner is None:
                break
            spot = inner
        return spot.mark

    def row(self, mark: TextPlace) -> str:
        """The line of the file that a place is in."""
        start = 0
        for _ in range(mark.line - 1):
            start = self._text.find("\n", start) + 1
        end = self._text.find("\n", start)
        row = self._text[start:] if end < 0 else self._text[start:end]
        return row.rstrip("\r")


def _step(step: object) -> KeyStep:
    if isinstance(step, int) and not isinstance(step, bool):
        return step
    return str(step)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds.

    Attributes:
        data: mappings, lists, texts, numbers, truth values and nothing else.
        marks: where each part of it stands.
    """

    data: Any
    marks: Marks


TOO_DEEP = "its lists and mappings are nested too deep"
TOO_MANY = f"it has more than {MAX_VALUES:,} values; make several files of it"


def nothing_in(text: str) -> Document:
    """What an empty text holds, or one that has comments only."""
    root = Placed(TextPlace(1, 1))
    return Document(None, Marks(root, text))


def size_problem(depth: int, values: int) -> str:
    """What is wrong with a text that is nested so deep, and has so many values; empty if nothing is."""
    if depth > MAX_DEPTH:
        return TOO_DEEP
    if values > MAX_VALUES:
        return TOO_MANY
    return ""


def line_starts(text: str) -> list[int]:
    """The positions at which the lines of a text begin, to find many places in it."""
    starts = [0]
    for found in re.finditer("\n", text):
        starts.append(found.end())
    return starts


def place_among(starts: Sequence[int], position: int) -> TextPlace:
    """The place of a character in a text whose lines begin there."""
    line = bisect_right(starts, position)
    start = starts[line - 1]
    return TextPlace(line, position - start + 1)


def place_in(text: str, position: int) -> TextPlace:
    """The place of a character."""
    before = text.count("\n", 0, position)
    start = text.rfind("\n", 0, position) + 1
    return TextPlace(before + 1, position - start + 1)


def unreadable(where: str, mark: TextPlace, problem: str, text: str) -> FileUnreadable:
    """The error for a text that is not what its ending says."""
    row, indent = shown_row(Marks(None, text).row(mark), mark.column)
    found = FileProblem(where, mark.line, mark.column, problem, row, indent)
    return file_error(found)
