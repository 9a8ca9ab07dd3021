"""JSON, read strictly, with the place of every key and item.

Python's own reader says whether a text is JSON, and where it is not. That tells no places of what it has read, so the text is
looked through once more for them: of JSON that is right, that takes no more than its brackets, texts and commas.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from graphflow.files.document import (
    MAX_DIGITS,
    Document,
    Marks,
    Placed,
    TextPlace,
    line_starts,
    nothing_in,
    place_among,
    place_in,
    size_problem,
    unreadable,
)

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++')


class _NotJson(Exception):
    def __init__(self, position: int, problem: str) -> None:
        super().__init__(problem)
        self.position = position


@dataclass(slots=True)
class _OpenJson:
    """A list or object that is being looked through."""

    spot: Placed
    is_list: bool
    inside: dict[Any, Placed] = field(default_factory=dict)
    key: str | None = None
    key_mark: TextPlace | None = None


def read_json(text: str, where: str) -> Document:
    """The plain data of a JSON text, and where each part of it stands.

    Raises:
        FileUnreadable: it is not JSON, has a key twice, or is nested too deep.
    """
    if not text.strip():
        return nothing_in(text)
    try:
        # First, as the reader itself walks by recursion.
        _check_size(text)
        data = json.loads(text)
        root = _JsonScan(text).root()
    except json.JSONDecodeError as error:
        problem = f"this is not JSON: {error.msg}"
        raise unreadable(where, TextPlace(error.lineno, error.colno), problem, text) from None
    except _NotJson as error:
        problem = f"this is not JSON: {error}"
        raise unreadable(where, place_in(text, error.position), problem, text) from None
    return Document(data, Marks(root, text))


def _check_size(text: str) -> None:
    """Refuses what is not JSON though Python would read it, and what would cost too much to read."""
    depth = values = 0
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "{[":
            depth += 1
        elif word in "}]":
            depth -= 1
        # All values but the first of a list follow a comma.
        elif word == ",":
            values += 1
        elif word in ("NaN", "Infinity", "-Infinity"):
            raise _NotJson(token.start(), f"it has {word}, which JSON does not know")
        elif len(word) > MAX_DIGITS and word[0] != '"':
            raise _NotJson(token.start(), f"a number has more than {MAX_DIGITS} digits")
        problem = size_problem(depth, values)
        if problem:
            raise _NotJson(token.start(), problem)


class _JsonScan:
    """Finds the places in JSON that is right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = line_starts(text)
        self._open: list[_OpenJson] = []
        self._root: Placed | None = None

    def root(self) -> Placed | None:
        """The spot of the whole text."""
        for token in _TOKEN.finditer(self._text):
            self._take(token[0], token.start())
        return self._root

    def _take(self, token: str, position: int) -> None:
        if token in "}]":
            self._open.pop()
        elif token not in ",:":
            self._take_value(token, position)

    def _take_value(self, token: str, position: int) -> None:
        mark = self._mark(position)
        around = self._open[-1] if self._open else None
        # In an object, texts are keys and values by turns.
        if around is not None and not around.is_list and around.key is None:
            self._take_key(around, token, position)
            return
        spot = Placed(mark)
        if around is None:
            self._root = spot
        elif around.key is not None:
            spot.mark = around.key_mark or mark
            around.inside[around.key] = spot
            around.key = None
        else:
            around.inside[len(around.inside)] = spot
        if token in "{[":
            opened = _OpenJson(spot, token == "[")
            spot.inside = opened.inside
            self._open.append(opened)

    def _take_key(self, around: _OpenJson, token: str, position: int) -> None:
        # As it is meant, not as it is written: "\u0061" is the key "a", too.
        key = json.loads(token)
        if key in around.inside:
            raise _NotJson(position, f"the key {key[:100]!r} is given twice")
        around.key = key
        around.key_mark = self._mark(position)

    def _mark(self, position: int) -> TextPlace:
        return place_among(self._starts, position)
