"""Fields: what a class with named values holds, each by its own type.

They are written as an object. The class may have grown since: a field that was not there yet gets its default. A field
that the class has no more is refused, since what it meant is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graphflow.journal.codec.coding import (
    DEEPEST,
    Coding,
    Misfit,
    Part,
    too_deep,
)
from graphflow.journal.codec.shapes import Default
from graphflow.journal.stored import Json
from graphflow.messages.types import Type, type_name


class CodedField(NamedTuple):
    """A field.

    Attributes:
        name: its name.
        coding: how its values are written.
        default: what makes a value where none was written; None: one must be there.
        is_optional: whether it may be missing altogether, as a key of a typed dict.
    """

    name: str
    coding: Coding
    default: Default | None = None
    is_optional: bool = False


class FieldSet:
    """The fields of a class, by name."""

    __slots__ = ("_decoders", "_encoders", "_optional", "fields", "kind", "names")

    def __init__(self, kind: Type, fields: Sequence[CodedField]) -> None:
        self.kind = kind
        self.fields = tuple(fields)
        self.names = frozenset(field.name for field in fields)
        self._optional = frozenset(field.name for field in fields if field.is_optional)
        # Bound once: a name is looked up in a dict anyway, and what stands there is called at once.
        self._encoders = {field.name: field.coding.encode for field in fields}
        self._decoders = {field.name: field.coding.decode for field in fields}

    def parts(self) -> list[Part]:
        """The codings of the fields."""
        return [(f".{field.name}", field.coding) for field in self.fields]

    def encode(self, values: Mapping[str, object], depth: int) -> dict[str, Json]:
        """The values of the fields as JSON data, in the order in which they are given."""
        if depth > DEEPEST:
            raise too_deep()
        # One comparison of sets for all that is as usual.
        if values.keys() != self.names:
            self._check_names(values)
        encoders = self._encoders
        data: dict[str, Json] = {}
        name = ""
        try:
            for name, value in values.items():
                data[name] = encoders[name](value, depth)
        except Misfit as misfit:
            misfit.steps.append(f".{name}")
            raise
        return data

    def _check_names(self, values: Mapping[str, object]) -> None:
        """Refuses values that lack a field, or hold more."""
        for name in values:
            if name not in self.names:
                raise self._misfit(name, "one that it does not declare", "declare it")
        for name in self.names - self._optional:
            if name not in values:
                raise self._misfit(name, "no value", "set it")

    def _misfit(self, name: str, found: str, remedy: str = "") -> Misfit:
        declaring = type_name(self.kind)
        misfit = Misfit(f"a field of {declaring}", found, remedy)
        misfit.steps.append(f".{name}")
        return misfit

    def decode(self, data: Mapping[str, Json], depth: int) -> dict[str, object]:
        """The values that were written, in the order of the data."""
        if depth > DEEPEST:
            raise too_deep()
        decoders = self._decoders
        values: dict[str, object] = {}
        name = ""
        try:
            for name, each in data.items():
                values[name] = decoders[name](each, depth)
        except Misfit as misfit:
            misfit.steps.append(f".{name}")
            raise
        except KeyError:
            raise self._misfit(name, "one that it has no more") from None
        return values

    def add_defaults(self, values: dict[str, object]) -> None:
        """Gives the fields that were not written their defaults."""
        for field in self.fields:
            if field.name in values or field.is_optional:
                continue
            if field.default is None:
                raise self._misfit(field.name, "nothing, and it has no default")
            try:
                values[field.name] = field.default(values)
            except Exception as error:  # it is the user's
                name = type(error).__name__
                raise self._misfit(field.name, f"a default that raises {name}") from error
