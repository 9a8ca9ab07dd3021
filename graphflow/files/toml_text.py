"""TOML, with the place of every key and item.

Python's own reader says whether a text is TOML, and where it is not. That tells no places of what it has read, so the text is
looked through once more for them:

    [nodes.writer]                  a header: the keys below it belong there
    kind = "agent"                  a key, its value
    limits = { steps = 5 }          keys inside a value
    [[item]]                        a header of the next item of a list
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

from graphflow.errors import FileUnreadable
from graphflow.files.document import (
    MAX_DEPTH,
    TOO_DEEP,
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

_TOKEN = re.compile(
    r'"""(?:[^"\\]++|\\[\s\S]|"{1,2}+(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}+(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|#[^\n]*+|\n|[\[\]{}=,.]"
    r"""|[^\s\[\]{}=,.#"']++"""
)
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
_LONG_KEY = re.compile(f"(?<![\\w.-])(?:{_PART}){{{MAX_DEPTH}}}")
"""Python's reader takes quadratic time for a key of many parts."""
_AT = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_MULTILINE = ('"""', "'''")


def read_toml(text: str, where: str) -> Document:
    """The plain data of a TOML text, and where each part of it stands. Dates and times are texts.

    Raises:
        FileUnreadable: it is not TOML, or is nested too deep.
    """
    text = text.replace("\r\n", "\n")
    _check_size(text, where)
    try:
        data = tomllib.loads(text)
    except ValueError as error:  # of numbers that are too long for Python, too
        raise _syntax_error(text, where, str(error)) from None
    except RecursionError:
        raise _wrong(text, where, TextPlace(1, 1), TOO_DEEP) from None
    if not data:
        return nothing_in(text)
    scan = _TomlScan(text)
    marks = Marks(scan.root(), text)
    return Document(_plain(data), marks)


def _syntax_error(text: str, where: str, message: str) -> FileUnreadable:
    found = _AT.search(message)
    problem = _AT.sub("", message)
    mark = TextPlace(1, 1)
    if found is not None and found[1]:
        mark = TextPlace(int(found[1]), int(found[2]))
    elif found is not None:
        mark = place_in(text, len(text.rstrip()))
    return _wrong(text, where, mark, problem)


def _wrong(text: str, where: str, mark: TextPlace, problem: str) -> FileUnreadable:
    return unreadable(where, mark, f"this is not TOML: {problem}", text)


def _check_size(text: str, where: str) -> None:
    """Refuses what is nested too deep for Python's reader, which walks by recursion, or would cost too much to read."""
    found = _LONG_KEY.search(text)
    if found is not None:
        mark = place_in(text, found.start())
        raise _wrong(text, where, mark, f"a key has more than {MAX_DEPTH} parts")
    depth = values = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        if token[0] in "=,[":
            values += 1
        problem = size_problem(depth, values)
        if problem:
            mark = place_in(text, token.start())
            raise _wrong(text, where, mark, problem)


def _plain(value: Any) -> Any:
    """The same as JSON has it."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return value


class _TomlScan:
    """Finds the places in TOML that is right."""

    def __init__(self, text: str) -> None:
        self._starts = line_starts(text)
        self._tokens = [(each[0], each.start()) for each in _TOKEN.finditer(text)]
        self._next = 0

    def root(self) -> Placed:
        """The spot of the whole text."""
        root = Placed(TextPlace(1, 1), {})
        table = root
        while self._next < len(self._tokens):
            token, _ = self._tokens[self._next]
            if token == "\n" or token[0] == "#":
                self._next += 1
            elif token == "[":
                table = self._header(root)
            else:
                self._pair(table)
        return root

    def _header(self, root: Placed) -> Placed:
        """`[a.b]` or `[[a.b]]`: the table that the keys below belong to."""
        _, position = self._tokens[self._next]
        self._next += 1
        after, behind = self._tokens[self._next]
        # Side by side: `[ [a] ]` is not a header of a list.
        is_list = after == "[" and behind == position + 1
        if is_list:
            self._next += 1
        parts = self._key()
        self._next += 1
        if is_list:
            self._next += 1
        table = self._below(root, parts[:-1])
        word, mark = parts[-1]
        table = _entered(table, word, mark)
        if is_list:
            # The next item, which the keys below it belong to.
            number = len(table.inside)
            table = _entered(table, number, mark)
        return table

    def _below(self, table: Placed, parts: Sequence[tuple[str, TextPlace]]) -> Placed:
        """The table that a dotted key leads to; of a list of tables it is the last one."""
        for word, mark in parts:
            table = _entered(table, word, mark)
            last = len(table.inside) - 1
            # Only a list has positions; of one, its last item is meant.
            if last in table.inside:
                table = table.inside[last]
        return table

    def _pair(self, table: Placed) -> None:
        """`a.b = value`."""
        parts = self._key()
        self._next += 1  # the equals sign
        table = self._below(table, parts[:-1])
        word, mark = parts[-1]
        spot = _entered(table, word, mark)
        self._value(spot)

    def _key(self) -> list[tuple[str, TextPlace]]:
        """The parts of a dotted key, each with its place."""
        parts: list[tuple[str, TextPlace]] = []
        while True:
            token, position = self._tokens[self._next]
            self._next += 1
            word = _word(token)
            mark = self._mark(position)
            parts.append((word, mark))
            after, _ = self._tokens[self._next]
            if after != ".":
                return parts
            self._next += 1

    def _value(self, spot: Placed) -> None:
        token, _ = self._tokens[self._next]
        if token == "[":
            self._list(spot)
        elif token == "{":
            self._table(spot)
        else:
            self._skip_scalar()

    def _list(self, spot: Placed) -> None:
        self._next += 1
        while True:
            token, position = self._tokens[self._next]
            if token == "]":
                self._next += 1
                return
            if token in ",\n" or token[0] == "#":
                self._next += 1
                continue
            number = len(spot.inside)
            mark = self._mark(position)
            item = _entered(spot, number, mark)
            self._value(item)

    def _table(self, spot: Placed) -> None:
        self._next += 1
        while True:
            token, _ = self._tokens[self._next]
            if token == "}":
                self._next += 1
                return
            if token in ",\n" or token[0] == "#":
                self._next += 1
                continue
            self._pair(spot)

    def _skip_scalar(self) -> None:
        """A text is one token; a number or a time may be several: `1.5`, `12:30:00.25`."""
        while self._next < len(self._tokens):
            token, _ = self._tokens[self._next]
            if token in "\n,]}" or token[0] == "#":
                return
            self._next += 1

    def _mark(self, position: int) -> TextPlace:
        return place_among(self._starts, position)


def _entered(table: Placed, key: str | int, mark: TextPlace) -> Placed:
    """The spot of a key, made where it is first named."""
    inside = table.inside
    assert isinstance(inside, dict)
    spot = inside.get(key)
    if spot is None:
        spot = inside[key] = Placed(mark, {})
    return spot


def _word(token: str) -> str:
    """A part of a key as it is meant."""
    if token[0] in "\"'":
        [(word, _)] = tomllib.loads(f"{token} = 0").items()
        return word
    return token
