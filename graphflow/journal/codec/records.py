"""Records: typed dicts, named tuples, dataclasses. No code of theirs runs when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import cast

from graphflow.errors import Unreadable
from graphflow.journal.codec.coding import Coding, Misfit, Part
from graphflow.journal.codec.fields import CodedField, FieldSet
from graphflow.journal.codec.known_migrations import migrations_to, note_use
from graphflow.journal.stored import Json
from graphflow.messages.types import Type

IGNORED = frozenset({"__orig_class__"})
"""What `typing` notes on an instance of `Box[int]`; nobody compares it."""


class RecordCoding(Coding):
    """A class with named values. Its fields are filled in later, as it may hold itself."""

    __slots__ = ("_class", "_fields")

    def __init__(self, kind: Type, known: type, declared: type | None = None) -> None:
        super().__init__(kind, known)
        self._class = declared or known
        self._fields = FieldSet(kind, ())

    def fill(self, fields: Sequence[CodedField]) -> None:
        """Gives it its fields."""
        self._fields = FieldSet(self.kind, fields)

    def parts(self) -> Iterable[Part]:
        return self._fields.parts()

    def decode(self, data: Json, depth: int) -> object:
        try:
            return self._decoded(data, depth)
        except Misfit as misfit:
            return self._migrated(data, depth, misfit)

    def _decoded(self, data: Json, depth: int) -> object:
        """The value that was written by the class as it is now."""
        raise NotImplementedError

    def _migrated(self, data: Json, depth: int, misfit: Misfit) -> object:
        """The value that was written by an older class, if a migration leads from there to this one."""
        for migration in migrations_to(self._class):
            try:
                old = migration.read(data)
            except Unreadable:
                continue  # it leads from yet another class
            try:
                made = migration.make(old)
            except Exception as error:  # whatever the user's code raises
                name = type(error).__name__
                wanted = f"what the migration {migration} takes"
                raise Misfit(wanted, f"a {name} of it") from error
            if type(made) is not self._class:
                made = self._decoded(cast(Json, made), depth)
            note_use(migration)
            return made
        raise misfit

    def _read(self, data: Json, depth: int) -> dict[str, object]:
        data = self.object_in(data)
        values = self._fields.decode(data, depth + 1)
        self._fields.add_defaults(values)
        return values


class TypedDictCoding(RecordCoding):
    """Typed dicts."""

    __slots__ = ()

    def __init__(self, kind: Type, declared: type) -> None:
        super().__init__(kind, dict, declared)

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, dict)
        return self._fields.encode(value, depth + 1)

    def _decoded(self, data: Json, depth: int) -> object:
        return self._read(data, depth)


class NamedTupleCoding(RecordCoding):
    """Named tuples."""

    __slots__ = ("_names", "_tuple")

    def __init__(self, kind: Type, known: type[tuple[object, ...]], names: Sequence[str]) -> None:
        super().__init__(kind, known)
        self._tuple = known
        self._names = tuple(names)

    def encode(self, value: object, depth: int) -> Json:
        items = self.checked(value, self._tuple)
        values: dict[str, object] = {}
        for name, item in zip(self._names, items, strict=True):
            values[name] = item
        # A subclass of a named tuple may have attributes besides: the fields refuse them.
        values |= getattr(value, "__dict__", {})
        return self._fields.encode(values, depth + 1)

    def _decoded(self, data: Json, depth: int) -> object:
        values = self._read(data, depth)
        items = [values[name] for name in self._names]
        # A `__new__` of its own is not called: it may change what it is given.
        return tuple.__new__(self._tuple, items)


class DataclassCoding(RecordCoding):
    """Dataclasses."""

    __slots__ = ("_names", "_unstored")

    def __init__(self, kind: Type, known: type, names: Sequence[str]) -> None:
        super().__init__(kind, known)
        self._names = tuple(names)
        self._unstored = cached_names(known) | IGNORED

    def problem(self) -> str:
        return instance_problem(self._known, self._names)

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, self._known)
        values: dict[str, object] = {}
        for name in self._names:
            if hasattr(value, name):  # else it was never set, and the fields say so
                values[name] = getattr(value, name)
        stored: dict[str, object] = getattr(value, "__dict__", {})
        for name in stored.keys() - self._unstored:
            values[name] = stored[name]
        return self._fields.encode(values, depth + 1)

    def _decoded(self, data: Json, depth: int) -> object:
        values = self._read(data, depth)
        # Neither is an `__init__`, nor what forbids to set a field.
        made: object = object.__new__(self._known)
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made


def cached_names(known: type) -> frozenset[str]:
    """The names of what a class works out once and keeps in its instances."""
    found: set[str] = set()
    for base in known.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, cached_property):
                found.add(name)
    return frozenset(found)


def instance_problem(known: type, names: Iterable[str]) -> str:
    """Why an instance of a class cannot be made again from its fields alone; empty if it can."""
    try:
        object.__new__(known)
    except TypeError:
        return "it is abstract, or it holds more than its fields"
    unknown = slots_of(known.__mro__) - set(names)
    return slots_problem(unknown)


def slots_of(classes: Iterable[type]) -> set[str]:
    """The names of the slots that classes declare."""
    found: set[str] = set()
    for known in classes:
        names = vars(known).get("__slots__", ())
        if isinstance(names, str):  # one slot may be declared by its bare name
            names = [names]
        found.update(names)
    return found - {"__dict__", "__weakref__"}


def slots_problem(slots: Iterable[str]) -> str:
    """What is said of slots that are no fields; empty if there are none."""
    names = ", ".join(sorted(slots))
    if not names:
        return ""
    return f"it has slots that are no fields: {names}"
