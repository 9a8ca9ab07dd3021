"""Where the keys of a TOML text stand: `tomllib` reads values and forgets their places.

The text has been read by `tomllib` already, so it is sound, and only as much of it is understood here as places need: headers
of tables, keys before an equals sign, and texts over several lines, in which neither counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

KeyNames: TypeAlias = tuple[str, ...]

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEYS = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_KEYS})\s*\]\]?")
_ENTRY = re.compile(rf"\s*({_KEYS})\s*=")
_PART = re.compile(_KEY)
_QUOTES = ('"""', "'''")


class TomlLines:
    """The line of each key, from 1 on."""

    def __init__(self, text: str = "") -> None:
        self._lines: dict[KeyNames, int] = {}
        table: KeyNames = ()
        inside = ""  # the quotes of a text that began on a line before
        for number, line in enumerate(text.splitlines(), 1):
            if inside:
                if inside in line:
                    inside = ""
                continue
            header = _HEADER.match(line)
            entry = None if header else _ENTRY.match(line)
            if header:
                table = _parts(header[1])
                self._lines.setdefault(table, number)
            elif entry:
                self._lines.setdefault((*table, *_parts(entry[1])), number)
            inside = _opened(line)

    def line(self, path: Sequence[object]) -> int | None:
        """The line of what these keys lead to, or of the last of them that has one."""
        names = tuple(map(str, path))
        while names:
            found = self._lines.get(names)
            if found is not None:
                return found
            names = names[:-1]
        return None


def _parts(written: str) -> KeyNames:
    return tuple(each.strip("\"'") for each in _PART.findall(written))


def _opened(line: str) -> str:
    """The quotes of a text that a line begins and does not end; "" if there is none."""
    for quotes in _QUOTES:
        if line.count(quotes) % 2:
            return quotes
    return ""
