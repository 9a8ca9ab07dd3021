"""What may stand where in a file, and how that is said when something else does.

A shape says in words what is allowed and whether a value is that. `Checker` walks through a value and its shape together, and
collects every problem with its place: all of a file's problems are told at once.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphflow.keywords import translated

Path = tuple[Any, ...]
"""The way to a value: keys and positions, from the outside in."""
SHOWN = 60
"""Characters of a wrong value that an error shows."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A single value."""

    words: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of such values; with `alone`, one of them may stand without a list."""

    item: Shape
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping from names to such values."""

    value: Shape


@dataclass(frozen=True, slots=True)
class Keyed:
    """A mapping with these keys and no others."""

    what: str
    keys: Mapping[str, Shape]
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The present name of each key that had another one; the old ones are read, too."""


@dataclass(frozen=True, slots=True)
class Either:
    """One of several shapes, told apart by whether the value is a mapping, a list, or neither."""

    plain: Plain | None = None
    mapping: Keyed | Named | None = None
    listed: Listed | None = None


Shape = Plain | Listed | Named | Keyed | Either


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


NOTHING = Plain("left out", lambda value: value is None)
ANY = Plain("any value", lambda value: True)
TEXT = Plain("a text", lambda value: isinstance(value, str))
WORD = Plain("a text that is not empty", lambda value: isinstance(value, str) and value.strip() != "")
TRUTH = Plain("true or false", lambda value: isinstance(value, bool))
WHOLE = Plain("a whole number", _is_whole)
COUNT = Plain("a whole number of at least 1", lambda value: _is_whole(value) and value >= 1)
COUNT_OR_NONE = Plain("a whole number of at least 0", lambda value: _is_whole(value) and value >= 0)
NUMBER = Plain("a number", _is_number)
POSITIVE = Plain("a positive number", lambda value: _is_number(value) and value > 0)
AT_LEAST_0 = Plain("a number of at least 0", lambda value: _is_number(value) and value >= 0)
AT_LEAST_1 = Plain("a number of at least 1", lambda value: _is_number(value) and value >= 1)
TEXTS = Listed(TEXT)


def one_of(words: Iterable[str]) -> Plain:
    """One of these words."""
    known = tuple(words)
    return Plain(f"one of {', '.join(known)}", lambda value: isinstance(value, str) and value in known)


def maybe(shape: Plain) -> Plain:
    """The same, or nothing (`null`), as if the key were left out."""
    return Plain(shape.words, lambda value: value is None or shape.fits(value))


class Checker:
    """Problems of one value, collected.

    Attributes:
        problems: what is wrong, and the way to it.
    """

    def __init__(self) -> None:
        self.problems: list[tuple[Path, str]] = []

    def check(self, value: Any, shape: Shape, path: Path, name: str) -> None:
        """Notes what is wrong with a value. `name` is what it is called in errors."""
        match shape:
            case Plain():
                self._plain(value, shape, path, name)
            case Listed():
                self._listed(value, shape, path, name)
            case Named():
                self._named(value, shape, path, name)
            case Keyed():
                self._keyed(value, shape, path)
            case Either():
                self._either(value, shape, path, name)

    def note(self, path: Path, problem: str) -> None:
        """One more problem."""
        self.problems.append((path, problem))

    def _plain(self, value: Any, shape: Plain, path: Path, name: str) -> None:
        if not shape.fits(value):
            self.note(path, f"{name} is {shown(value)}; it must be {shape.words}{_hint(value, shape)}")

    def _listed(self, value: Any, shape: Listed, path: Path, name: str) -> None:
        if shape.alone and not isinstance(value, list):
            self.check(value, shape.item, path, name)
        elif not isinstance(value, list):
            self.note(path, f"{name} is {shown(value)}; it must be a list, [a, b]")
        else:
            for number, item in enumerate(value):
                self.check(item, shape.item, (*path, number), f"item {number + 1} of {name}")

    def _named(self, value: Any, shape: Named, path: Path, name: str) -> None:
        if not isinstance(value, Mapping):
            self.note(path, f"{name} is {shown(value)}; it must be a mapping, {{name: value}}")
            return
        for key, inner in value.items():
            if not isinstance(key, str):
                self.note((*path, key), f"{name} has the key {shown(key)}, which must be a text: put it in quotes")
            else:
                self.check(inner, shape.value, (*path, key), f"{key!r} of {name}")

    def _keyed(self, value: Any, shape: Keyed, path: Path) -> None:
        if not isinstance(value, Mapping):
            self.note(path, f"{shape.what} is declared by a mapping, not by {shown(value)}")
            return
        for key, inner in value.items():
            name = shape.renamed.get(key, key)
            if name not in shape.keys:
                self.note((*path, key), f"{shape.what} has no {shown(key)}; {nearest(key, shape.keys)}")
            elif name != key and name in value:
                self.note((*path, key), f"{shape.what} has {name} twice, the second time as {key}; leave {key} out")
            else:
                self.check(inner, shape.keys[name], (*path, key), f"{key} of {shape.what}")

    def _either(self, value: Any, shape: Either, path: Path, name: str) -> None:
        if isinstance(value, Mapping) and shape.mapping is not None:
            self.check(value, shape.mapping, path, name)
        elif isinstance(value, list) and shape.listed is not None:
            self.check(value, shape.listed, path, name)
        elif shape.plain is not None and shape.plain.fits(value):
            return
        else:
            self.note(path, f"{name} is {shown(value)}; it must be {_alternatives(shape)}")


def _alternatives(shape: Either) -> str:
    words = [] if shape.plain is None else [shape.plain.words]
    if shape.listed is not None:
        words.append("a list")
    if isinstance(shape.mapping, Keyed):
        words.append(f"a mapping with {', '.join(shape.mapping.keys)}")
    elif shape.mapping is not None:
        words.append("a mapping, {name: value}")
    return " or ".join(words)


def _hint(value: Any, shape: Plain) -> str:
    """What to do about a number or truth value that was meant as a text."""
    quoted = shape in (TEXT, WORD) and isinstance(value, (int, float))
    return f"; put it in quotes, '{str(value).lower()}'" if quoted else ""


def shown(value: Any) -> str:
    """A wrong value in an error: what it is, and no more of it than one needs to find it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def nearest(key: Any, known: Iterable[str]) -> str:
    """What somebody may have meant, or what there is."""
    words = list(known)
    elsewhere = translated(str(key), words)
    near = [elsewhere] if elsewhere else difflib.get_close_matches(str(key)[:SHOWN], words, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(words)}"
