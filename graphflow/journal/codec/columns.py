"""A column: many values of one type, written and read at once by pydantic's Rust code.

That code is fast, and generous: it takes a subclass, a bool for an int, a number for another one. So every column has a
test beside it, which goes by sets of classes and not value by value, and is true only of what comes back as it was.
Models are written by a schema of our own that holds nothing but their fields: no alias, validator or serializer of the
user's is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from pydantic_core import core_schema

from graphflow.plain import BITS

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import CoreSchema

Test = Callable[[Sequence[object]], bool]


@dataclass(frozen=True, slots=True)
class Column:
    """How many values are written at once.

    Attributes:
        schema: what pydantic writes and reads them by.
        is_exact: whether all of these values come back as they are.
    """

    schema: CoreSchema
    is_exact: Test


def all_of(known: type) -> Test:
    """Whether values are of the very same class."""
    expected = {known}

    def are_of_class(values: Sequence[object]) -> bool:
        return expected.issuperset(map(type, values))

    return are_of_class


TEXTS = Column(core_schema.str_schema(strict=True), all_of(str))
"""Half a character in a text is an error in Rust, in both directions: such a column is written value by value."""
BOOLEANS = Column(core_schema.bool_schema(strict=True), all_of(bool))
NOTHING = Column(core_schema.none_schema(), all_of(type(None)))


def _are_short(values: Sequence[object]) -> bool:
    if not _are_integers(values):
        return False
    lengths = map(int.bit_length, values)  # type: ignore[arg-type]  # all are integers
    return max(lengths, default=0) < BITS


_are_integers = all_of(int)
INTEGERS = Column(core_schema.int_schema(strict=True), _are_short)


def _are_finite(values: Sequence[object]) -> bool:
    return _are_floats(values) and all(map(isfinite, values))  # type: ignore[arg-type]  # all are floats


_are_floats = all_of(float)
_NUMBER = core_schema.union_schema(
    [core_schema.int_schema(strict=True), core_schema.float_schema(strict=True)],
    mode="left_to_right",
)
FLOATS = Column(_NUMBER, _are_finite)
"""1 in a place of floats is read as an integer again, 1.0 as a float."""


def optional(inner: Column | None) -> Column | None:
    """Values that may be None."""
    if inner is None:
        return None

    def are_exact(values: Sequence[object]) -> bool:
        some = [value for value in values if value is not None]
        return inner.is_exact(some)

    schema = core_schema.nullable_schema(inner.schema)
    return Column(schema, are_exact)


def lists(inner: Column | None) -> Column | None:
    """Lists."""
    if inner is None:
        return None
    are_lists = all_of(list)

    def are_exact(values: Sequence[object]) -> bool:
        if not are_lists(values):
            return False
        rows: Sequence[list[object]] = values  # type: ignore[assignment]  # all are lists
        items = list(chain.from_iterable(rows))
        return inner.is_exact(items)

    schema = core_schema.list_schema(inner.schema, strict=True)
    return Column(schema, are_exact)


def mappings(inner: Column | None) -> Column | None:
    """Dicts with texts as keys."""
    if inner is None:
        return None
    are_dicts = all_of(dict)

    def are_exact(values: Sequence[object]) -> bool:
        if not are_dicts(values):
            return False
        dicts: Sequence[dict[object, object]] = values  # type: ignore[assignment]  # all are dicts
        keys = list(chain.from_iterable(dicts))
        if not TEXTS.is_exact(keys):
            return False
        contents = map(dict.values, dicts)
        items = list(chain.from_iterable(contents))
        return inner.is_exact(items)

    schema = core_schema.dict_schema(TEXTS.schema, inner.schema, strict=True)
    return Column(schema, are_exact)


_fields_of = attrgetter("__dict__")
_names_set = attrgetter("__pydantic_fields_set__")


def models(known: type[BaseModel], fields: Mapping[str, Column]) -> Column:
    """Models of one class that have a value of their own for each field, and nothing besides."""
    counts = {len(fields)}
    are_of_class = all_of(known)
    pickers = {name: itemgetter(name) for name in fields}

    def are_exact(values: Sequence[object]) -> bool:
        if not are_of_class(values):
            return False
        # A field that was not given is noted in the object, and what a model holds besides its fields is not among them:
        # both are for the way value by value.
        given = map(_names_set, values)
        if not counts.issuperset(map(len, given)):
            return False
        dicts = list(map(_fields_of, values))
        if not counts.issuperset(map(len, dicts)):
            return False
        for name, column in fields.items():
            items = list(map(pickers[name], dicts))
            if not column.is_exact(items):
                return False
        return True

    by_name: dict[str, core_schema.ModelField] = {}
    for name, column in fields.items():
        by_name[name] = core_schema.model_field(column.schema)
    content = core_schema.model_fields_schema(by_name, extra_behavior="forbid")
    return Column(core_schema.model_schema(known, content, strict=True), are_exact)
