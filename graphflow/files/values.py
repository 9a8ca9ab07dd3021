"""What may stand where in a file, and what an error says where something else does.

A shape says in words what is allowed, and whether a value is that. `Checker` walks through a value and its shape together and
collects every problem with its place, so that all problems of a file are reported at once.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from graphflow.files.problems import KeyPath
from graphflow.keywords import translated

MAX_SHOWN = 60
"""Characters of a wrong value that an error shows."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A single value."""

    words: str
    fits: Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of such values; with `alone`, one of them may stand without a list."""

    item: ValueShape
    alone: bool = False


@dataclass(frozen=True, slots=True)
class MappingOf:
    """A mapping from names to such values."""

    value: ValueShape


@dataclass(frozen=True, slots=True)
class Keys:
    """A mapping with these keys and no others."""

    what: str
    keys: Mapping[str, ValueShape]
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The present name of each key that had another one; the old ones are read, too."""


@dataclass(frozen=True, slots=True)
class Either:
    """One of several shapes, told apart by whether the value is a mapping, a list, or neither."""

    plain: Plain | None = None
    mapping: Keys | MappingOf | None = None
    listed: ListOf | None = None


ValueShape = Plain | ListOf | MappingOf | Keys | Either


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    # True and False are numbers to Python, and never meant as one in a file.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_whole(value)


def _number_from(lowest: float) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        return _is_number(value) and value >= lowest

    return fits


def _whole_from(lowest: int) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        return _is_whole(value) and value >= lowest

    return fits


def _is_positive(value: object) -> bool:
    return _is_number(value) and value > 0


NOTHING = Plain("left out", lambda value: value is None)
ANY = Plain("any value", lambda value: True)
TEXT = Plain("a text", _is_text)
WORD = Plain("a text that is not empty", _is_word)
TRUTH = Plain("true or false", _is_truth)
WHOLE = Plain("a whole number", _is_whole)
COUNT = Plain("a whole number of at least 1", _whole_from(1))
COUNT_OR_NONE = Plain("a whole number of at least 0", _whole_from(0))
NUMBER = Plain("a number", _is_number)
POSITIVE = Plain("a positive number", _is_positive)
AT_LEAST_0 = Plain("a number of at least 0", _number_from(0))
AT_LEAST_1 = Plain("a number of at least 1", _number_from(1))
TEXTS = ListOf(TEXT)


def one_of(words: Iterable[str]) -> Plain:
    """One of these words."""
    known = tuple(words)
    listed = ", ".join(known)

    def fits(value: object) -> bool:
        return isinstance(value, str) and value in known

    return Plain(f"one of {listed}", fits)


def maybe(shape: Plain) -> Plain:
    """The same, or nothing (`null`), as if the key were left out."""

    def fits(value: object) -> bool:
        return value is None or shape.fits(value)

    return Plain(shape.words, fits)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: the way to it, and what errors call it."""

    path: KeyPath
    name: str

    def part(self, key: object, name: str) -> Subject:
        """Something inside it."""
        return Subject((*self.path, key), name)


class Checker:
    """Checks values, and collects what is wrong with them.

    Attributes:
        problems: what is wrong, each with the way to it.
    """

    def __init__(self) -> None:
        self.problems: list[tuple[KeyPath, str]] = []

    def check(self, value: object, shape: ValueShape, subject: Subject) -> None:
        """Notes what is wrong with a value."""
        match shape:
            case Plain():
                self._plain(value, shape, subject)
            case ListOf():
                self._list(value, shape, subject)
            case MappingOf():
                self._mapping(value, shape, subject)
            case Keys():
                self._keys(value, shape, subject)
            case Either():
                self._either(value, shape, subject)

    def note(self, path: KeyPath, problem: str) -> None:
        """Adds a problem."""
        self.problems.append((path, problem))

    def _wrong(self, value: object, subject: Subject, allowed: str) -> None:
        problem = f"{subject.name} is {shown(value)}; it must be {allowed}"
        self.note(subject.path, problem)

    def _plain(self, value: object, shape: Plain, subject: Subject) -> None:
        if not shape.fits(value):
            hint = _hint(value, shape)
            self._wrong(value, subject, f"{shape.words}{hint}")

    def _list(self, value: object, shape: ListOf, subject: Subject) -> None:
        if not isinstance(value, list):
            if shape.alone:
                self.check(value, shape.item, subject)
            else:
                self._wrong(value, subject, "a list, [a, b]")
            return
        for index, item in enumerate(value):
            number = index + 1  # people count from one
            part = subject.part(index, f"item {number} of {subject.name}")
            self.check(item, shape.item, part)

    def _mapping(self, value: object, shape: MappingOf, subject: Subject) -> None:
        if not isinstance(value, Mapping):
            self._wrong(value, subject, "a mapping, {name: value}")
            return
        for key, inner in value.items():
            part = subject.part(key, f"{key!r} of {subject.name}")
            if isinstance(key, str):
                self.check(inner, shape.value, part)
            else:  # YAML reads 1: and true: as what they look like
                problem = f"{subject.name} has the key {shown(key)}, which must be a text: put it in quotes"
                self.note(part.path, problem)

    def _keys(self, value: object, shape: Keys, subject: Subject) -> None:
        what = shape.what
        if not isinstance(value, Mapping):
            problem = f"{what} is declared by a mapping, not by {shown(value)}"
            self.note(subject.path, problem)
            return
        for key, inner in value.items():
            part = subject.part(key, f"{key} of {what}")
            name = shape.renamed.get(key, key)
            if name not in shape.keys:
                hint = nearest(key, shape.keys)
                problem = f"{what} has no {shown(key)}; {hint}"
                self.note(part.path, problem)
            elif name != key and name in value:
                problem = f"{what} has {name} twice, the second time as {key}; leave {key} out"
                self.note(part.path, problem)
            else:
                self.check(inner, shape.keys[name], part)

    def _either(self, value: object, shape: Either, subject: Subject) -> None:
        if isinstance(value, Mapping) and shape.mapping is not None:
            self.check(value, shape.mapping, subject)
        elif isinstance(value, list) and shape.listed is not None:
            self.check(value, shape.listed, subject)
        elif shape.plain is None or not shape.plain.fits(value):
            self._wrong(value, subject, _alternatives(shape))


def _alternatives(shape: Either) -> str:
    words: list[str] = []
    if shape.plain is not None:
        words.append(shape.plain.words)
    if shape.listed is not None:
        words.append("a list")
    if isinstance(shape.mapping, Keys):
        keys = ", ".join(shape.mapping.keys)
        words.append(f"a mapping with {keys}")
    elif shape.mapping is not None:
        words.append("a mapping, {name: value}")
    return " or ".join(words)


def _hint(value: object, shape: Plain) -> str:
    """What to do about a number or truth value that was meant as a text."""
    # `version: 1.0` was meant as a text, and YAML reads it as a number.
    if shape not in (TEXT, WORD) or not isinstance(value, (int, float)):
        return ""
    written = str(value).lower()  # True of Python is true of YAML
    return f"; put it in quotes, '{written}'"


def shown(value: object) -> str:
    """A wrong value in an error: what it is, and no more of it than is needed to find it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "empty"
    text = repr(value)
    if len(text) <= MAX_SHOWN:
        return text
    return f"{text[: MAX_SHOWN - 3]}..."


def nearest(key: object, known: Iterable[str]) -> str:
    """What was probably meant by a key that there is not, else what there is."""
    words = list(known)
    meant = translated(str(key), words)
    if meant is None:
        beginning = str(key)[:MAX_SHOWN]
        near = difflib.get_close_matches(beginning, words, n=1)
        meant = near[0] if near else None
    if meant is None:
        return f"there is: {', '.join(words)}"
    return f"did you mean {meant!r}?"
