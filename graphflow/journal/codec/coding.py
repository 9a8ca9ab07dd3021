"""A coding: how the values of one type are written as JSON data and read again.

Rules:
1. A coding is made once per type and then only followed: what a type means is not asked per value.
2. It writes a value only if it is exactly what it reads again; it never guesses, and never calls a validator.
3. Who meets what does not fit raises `Misfit`. Each level that it passes on its way out adds its step of the path.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from graphflow.journal.codec.columns import Column
from graphflow.journal.stored import Json
from graphflow.messages.types import Type, type_name

T = TypeVar("T")

UNSET, EXTRA, PRIVATE = "_unset", "_extra", "_private"
"""Beside the fields of a model stand under these names: which were not given, what it lets in besides, its private attributes."""
DEEPEST = 100
"""Levels of a value, at most. What holds itself has no end, so it ends here as well."""

Part = tuple[str, "Coding"]
"""A step of a path (`.name`, `[]`), and how the values behind it are written."""


Classes = frozenset[type] | None
"""The very classes that the values of a type have; None if it takes those that no other one does."""


class Misfit(Exception):
    """A value that cannot be written, or data that cannot be read.

    Attributes:
        wanted: what belongs there.
        found: what is there.
        remedy: what to change.
        is_final: whether it is of no use to try another arm of a union.
    """

    def __init__(
        self, wanted: str, found: str, remedy: str = "", *, is_final: bool = False
    ) -> None:
        self.wanted = wanted
        self.found = found
        self.remedy = remedy
        self.is_final = is_final
        self.steps: list[str] = []
        super().__init__(wanted, found)

    @property
    def path(self) -> str:
        """Where it is, from the outside in: `.items[3].when`."""
        return "".join(reversed(self.steps))


class Coding:
    """How the values of one type are written.

    Args:
        kind: the type.
        known: the class of its values, if that is not the type itself.
    """

    __slots__ = ("_known", "kind")

    def __init__(self, kind: Type, known: type | None = None) -> None:
        self.kind = kind
        self._known: type = known or kind

    def encode(self, value: object, depth: int) -> Json:
        """A value as JSON data.

        Args:
            value: what is to be written.
            depth: how many containers it stands in.

        Raises:
            Misfit: it cannot be written.
        """
        raise NotImplementedError

    def decode(self, data: Json, depth: int) -> object:
        """The value that was written.

        Raises:
            Misfit: the data was not written by this coding.
        """
        raise NotImplementedError

    def classes(self) -> Classes:
        """The very classes that its values have."""
        return frozenset({self._known})

    def problem(self) -> str:
        """Why no value of the type can be written, apart from its parts; empty if they can."""
        return ""

    def parts(self) -> Iterable[Part]:
        """The codings of what its values hold."""
        return ()

    def column(self, within: frozenset[Coding]) -> Column | None:
        """How many values are written at once, if that is exact.

        Args:
            within: the codings that hold this one: a type that holds itself has no column.
        """
        return None

    # -- what is looked at first -------------------------------------------------------------------
    def checked(self, value: object, known: type[T]) -> T:
        """A value that is of the very class."""
        if type(value) is known:
            return value
        raise self.foreign(value)

    def list_in(self, data: Json) -> list[Json]:
        """Data that is a list."""
        if type(data) is list:
            return data
        raise self.illegible(data)

    def object_in(self, data: Json, names: frozenset[str] | None = None) -> dict[str, Json]:
        """Data that is an object, of these names if any are given."""
        if type(data) is not dict:
            raise self.illegible(data)
        if names is not None and data.keys() != names:
            raise self.illegible(data)
        return data

    def text_in(self, data: Json) -> str:
        """Data that is a text."""
        if type(data) is str:
            return data
        raise self.illegible(data)

    # -- what is said of what does not fit ---------------------------------------------------------
    def foreign(self, value: object) -> Misfit:
        """A value whose class is not one that can be read again."""
        wanted = type_name(self.kind)
        known = type(value)
        found = class_name(known)
        for base in self.classes() or ():
            if issubclass(known, base):
                return Misfit(
                    wanted,
                    f"{found}, a subclass of {class_name(base)}",
                    f"declare {wanted} | {found}, or send {class_name(base)} itself",
                )
        return Misfit(wanted, found, f"declare {found}, or send what is declared")

    def illegible(self, data: Json) -> Misfit:
        """Data that stands for no value of the type."""
        return Misfit(type_name(self.kind), json_name(data))


def class_name(known: type) -> str:
    """A class as an error text shows it."""
    if known is type(None):
        return "None"
    return known.__qualname__.rpartition("<locals>.")[2]


_JSON_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def json_name(data: object) -> str:
    """What data is, without its content."""
    return _JSON_NAMES.get(type(data), "no JSON data")


def too_deep() -> Misfit:
    """What holds itself, or more levels than are written."""
    return Misfit(
        f"at most {DEEPEST} levels",
        "more, or a value that holds itself",
        "send a flatter value",
        is_final=True,
    )


def step(key: object) -> str:
    """A step of a path into a mapping."""
    if type(key) is not str:
        return f"[{class_name(type(key))} as key]"
    if len(key) > LONGEST_KEY:
        key = f"{key[:LONGEST_KEY]}..."
    return f"[{key!r}]"


LONGEST_KEY = 40
"""Characters of a key that a path shows."""
