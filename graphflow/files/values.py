"""What may stand where in a file, and what an error says where something else does.

A shape says in words what is allowed, and whether a value is that. `Checker` walks through a value and its shape together and
collects every problem with its place, so that all problems of a file are reported at once.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeGuard

from graphflow.files.document import PlainMapping
from graphflow.files.secrets import names_secret
from graphflow.files.sources import KeyPath
from graphflow.keywords import translated

MAX_SHOWN = 60
"""Characters of a wrong value that an error shows."""
Fits: TypeAlias = Callable[[object], bool]
"""Whether a value may stand where it does."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A single value."""

    words: str
    fits: Fits
    schema: Mapping[str, object] = field(default_factory=dict)
    """The same as JSON Schema, as far as that can say it."""
    meant: Callable[[object], str] | None = None
    """What was probably meant by a value that does not fit; "" if nothing is known."""


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
    is_open: bool = False
    """Whether there may be other keys, which somebody else looks at."""
    needed: tuple[str, ...] = ()
    """Those that have to be there; who reads them says so if they are not."""
    is_foreign: Callable[[PlainMapping], bool] | None = None
    """Whether such a mapping belongs to a plug-in, which has keys of its own: who reads it looks at them."""


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
    if not isinstance(value, str):
        return False
    return value.strip() != ""


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    # True and False are numbers to Python, and never meant as one in a file.
    if isinstance(value, bool):
        return False
    return isinstance(value, int)


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_whole(value)


def _is_positive(value: object) -> bool:
    if not _is_number(value):
        return False
    return value > 0


def _number_from(lowest: float) -> Fits:
    def fits(value: object) -> bool:
        if not _is_number(value):
            return False
        return value >= lowest

    return fits


def _whole_from(lowest: int) -> Fits:
    def fits(value: object) -> bool:
        if not _is_whole(value):
            return False
        return value >= lowest

    return fits


def _whole(lowest: int) -> Plain:
    schema = {"type": "integer", "minimum": lowest}
    return Plain(f"a whole number of at least {lowest}", _whole_from(lowest), schema)


def _at_least(lowest: int) -> Plain:
    schema = {"type": "number", "minimum": lowest}
    return Plain(f"a number of at least {lowest}", _number_from(lowest), schema)


NOT_EMPTY: Mapping[str, object] = {"type": "string", "pattern": "\\S"}
NOTHING = Plain("left out", lambda value: value is None, {"type": "null"})
ANY = Plain("any value", lambda value: True)
TEXT = Plain("a text", _is_text, {"type": "string"})
WORD = Plain("a text that is not empty", _is_word, NOT_EMPTY)
TRUTH = Plain("true or false", _is_truth, {"type": "boolean"})
WHOLE = Plain("a whole number", _is_whole, {"type": "integer"})
COUNT = _whole(1)
COUNT_OR_NONE = _whole(0)
NUMBER = Plain("a number", _is_number, {"type": "number"})
POSITIVE = Plain("a positive number", _is_positive, {"type": "number", "exclusiveMinimum": 0})
AT_LEAST_0 = _at_least(0)
AT_LEAST_1 = _at_least(1)
TEXTS = ListOf(TEXT)


def one_of(words: Iterable[str]) -> Plain:
    """One of these words."""
    known = tuple(words)
    listed = ", ".join(known)

    def fits(value: object) -> bool:
        if not isinstance(value, str):
            return False
        return value in known

    return Plain(f"one of {listed}", fits, {"enum": list(known)})


def maybe(shape: Plain) -> Plain:
    """The same, or nothing (`null`), as if the key were left out."""

    def fits(value: object) -> bool:
        if value is None:
            return True
        return shape.fits(value)

    schema = {"anyOf": [shape.schema, NOTHING.schema]}
    return Plain(shape.words, fits, schema)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: the way to it, and what errors call it."""

    path: KeyPath
    name: str

    def part(self, key: object, name: str) -> Subject:
        """Something inside it."""
        path = (*self.path, key)
        return Subject(path, name)


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
        given = shown(value)
        if any(names_secret(str(step)) for step in subject.path):
            given = "of another kind"  # it may be the secret itself
        problem = f"{subject.name} is {given}; it must be {allowed}"
        self.note(subject.path, problem)

    def _plain(self, value: object, shape: Plain, subject: Subject) -> None:
        if shape.fits(value):
            return
        hint = _hint(value, shape)
        allowed = f"{shape.words}{hint}"
        self._wrong(value, subject, allowed)

    def _list(self, value: object, shape: ListOf, subject: Subject) -> None:
        if not isinstance(value, list):
            if shape.alone:
                self.check(value, shape.item, subject)
            else:
                self._wrong(value, subject, "a list, [a, b]")
            return
        for index, item in enumerate(value):
            number = index + 1  # people count from one
            name = f"item {number} of {subject.name}"
            part = subject.part(index, name)
            self.check(item, shape.item, part)

    def _mapping(self, value: object, shape: MappingOf, subject: Subject) -> None:
        if not isinstance(value, Mapping):
            self._wrong(value, subject, "a mapping, {name: value}")
            return
        for key, inner in value.items():
            name = f"{key!r} of {subject.name}"
            part = subject.part(key, name)
            if isinstance(key, str):
                self.check(inner, shape.value, part)
                continue
            # YAML reads 1: and true: as what they look like.
            given = shown(key)
            problem = f"{subject.name} has the key {given}, which must be a text: put it in quotes"
            self.note(part.path, problem)

    def _keys(self, value: object, shape: Keys, subject: Subject) -> None:
        if not isinstance(value, Mapping):
            given = shown(value)
            problem = f"{shape.what} is declared by a mapping, not by {given}; write {{key: value}}"
            self.note(subject.path, problem)
            return
        if shape.is_foreign is not None and shape.is_foreign(value):
            return
        for key, inner in value.items():
            part = subject.part(key, f"{key} of {shape.what}")
            # Somebody else knows it, and looks at it.
            if shape.is_open and key not in shape.keys:
                continue
            problem = _key_problem(key, value, shape)
            if problem:
                self.note(part.path, problem)
                continue
            name = shape.renamed.get(key, key)
            self.check(inner, shape.keys[name], part)

    def _either(self, value: object, shape: Either, subject: Subject) -> None:
        fitting: ValueShape | None = None
        if isinstance(value, Mapping):
            fitting = shape.mapping
        elif isinstance(value, list):
            fitting = shape.listed
        if fitting is not None:
            self.check(value, fitting, subject)
            return
        plain = shape.plain
        if plain is None or not plain.fits(value):
            allowed = _alternatives(shape)
            # A word of a plug-in, nearly.
            if plain is not None and plain.meant is not None:
                allowed += plain.meant(value)
            self._wrong(value, subject, allowed)


def _key_problem(key: Any, value: Mapping[Any, object], shape: Keys) -> str:
    """What is wrong with a key of a mapping; empty if nothing is."""
    what = shape.what
    name = shape.renamed.get(key, key)
    if name not in shape.keys:
        hint = nearest(key, shape.keys)
        given = shown(key)
        return f"{what} has no {given}; {hint}"
    # Under its present name and under an old one: which of the two is meant?
    if name != key and name in value:
        return f"{what} has {name} twice, the second time as {key}; leave {key} out"
    return ""


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
    """What to do about a value: a number or truth value that was meant as a text, a word that is nearly one."""
    if shape.meant is not None:
        return shape.meant(value)
    # `version: 1.0` was meant as a text, and YAML reads it as a number.
    if shape not in (TEXT, WORD):
        return ""
    if not isinstance(value, (int, float)):
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
    text = str(key)
    words = list(known)
    meant = translated(text, words)
    if meant is not None:
        return f"did you mean {meant!r}?"
    # It takes quadratic time, and a key may be as long as the file.
    beginning = text[:MAX_SHOWN]
    near = difflib.get_close_matches(beginning, words, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    listed = ", ".join(words)
    return f"there is: {listed}"
