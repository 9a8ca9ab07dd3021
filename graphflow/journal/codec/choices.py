"""Choices: what is one of several: unions, literals, enums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, Flag
from functools import partial
from typing import get_args

from graphflow.journal.codec import columns
from graphflow.journal.codec.coding import (
    Classes,
    Coding,
    Misfit,
    Part,
)
from graphflow.journal.codec.columns import Column
from graphflow.journal.codec.scalars import text_data
from graphflow.journal.stored import Json
from graphflow.messages.types import (
    Type,
    by_specificity,
    type_name,
)

NONE = type(None)
ARM = frozenset({"arm", "value"})
VALUE = frozenset({"value"})


class OptionalCoding(Coding):
    """`T | None`: null is None, anything else is a `T` without a word about it: no coding but that of None writes null."""

    __slots__ = ("_some",)

    def __init__(self, kind: Type, some: Coding) -> None:
        super().__init__(kind)
        self._some = some

    def classes(self) -> Classes:
        known = self._some.classes()
        if known is None:
            return None
        return known | {NONE}

    def parts(self) -> Iterable[Part]:
        return [("", self._some)]

    def encode(self, value: object, depth: int) -> Json:
        return None if value is None else self._some.encode(value, depth)

    def decode(self, data: Json, depth: int) -> object:
        return None if data is None else self._some.decode(data, depth)

    def column(self, within: frozenset[Coding]) -> Column | None:
        inner = self._some.column(within)
        return columns.optional(inner)


class UnionCoding(Coding):
    """`A | B`: `{"arm": n, "value": ...}`, where n counts the arms from 0 as they are declared. None is null."""

    __slots__ = ("_arms", "_by_class", "_kinds", "_takes_none")

    def __init__(self, kind: Type, kinds: Sequence[Type], arms: Sequence[Coding]) -> None:
        super().__init__(kind)
        self._kinds = tuple(kinds)
        self._arms = tuple(arms)
        self._by_class: dict[type, list[int]] | None = None
        self._takes_none = NONE in kinds

    def classes(self) -> Classes:
        found: set[type] = set()
        for arm in self._arms:
            known = arm.classes()
            if known is None:
                return None
            found |= known
        return frozenset(found)

    def parts(self) -> Iterable[Part]:
        return [("", arm) for arm in self._arms]

    def encode(self, value: object, depth: int) -> Json:
        if value is None and self._takes_none:
            return None
        last: Misfit | None = None
        numbers = self._arms_for(type(value))
        for number in numbers:
            arm = self._arms[number]
            try:
                data = arm.encode(value, depth)
                return {"arm": number, "value": data}
            # `list[int] | list[str]`: of one class, and only a look inside tells which.
            except Misfit as misfit:
                last = misfit
                if misfit.is_final:
                    break
        raise last or self.foreign(value)

    def decode(self, data: Json, depth: int) -> object:
        if data is None and self._takes_none:
            return None
        data = self.object_in(data, ARM)
        number = data["arm"]
        if type(number) is not int or not 0 <= number < len(self._arms):
            raise _missing(self, "an arm")
        arm = self._arms[number]
        return arm.decode(data["value"], depth)

    def _arms_for(self, known: type) -> Sequence[int]:
        """The arms that may write values of a class, the likeliest first."""
        by_class = self._by_class
        if by_class is None:
            by_class = self._by_class = self._arms_by_class()
        if known in by_class:
            return by_class[known]
        return by_class[object]

    def _arms_by_class(self) -> dict[type, list[int]]:
        # The arm that is the very class comes first, then the narrower of two (`Literal["a"] | str`), then what is open.
        order = _order(self._kinds)
        known_by = [arm.classes() for arm in self._arms]
        found: dict[type, list[int]] = {object: []}
        for classes in known_by:
            for known in classes or ():
                found[known] = []
        for known, fitting in found.items():
            for number in order:
                classes = known_by[number]
                if classes is None or known in classes:
                    fitting.append(number)
            fitting.sort(key=partial(self._distance, known))
        return found

    def _distance(self, known: type, number: int) -> int:
        """How far an arm is from a class: 0 for the very class, 2 for an arm that is open."""
        if self._kinds[number] is known:
            return 0
        arm = self._arms[number]
        if arm.classes() is None:
            return 2
        return 1


def _missing(coding: Coding, what: str) -> Misfit:
    wanted = type_name(coding.kind)
    return Misfit(wanted, f"{what} that is not there")


def _order(kinds: Sequence[Type]) -> list[int]:
    """The arms, the narrower first where that can be told."""
    try:
        return by_specificity(kinds)
    except TypeError:  # a type that cannot be hashed
        return list(range(len(kinds)))


class LiteralCoding(Coding):
    """Literals: by themselves where JSON has them; members of enums by name; all by number where two would be alike."""

    __slots__ = ("_classes", "_data", "_values")

    def __init__(self, kind: Type) -> None:
        super().__init__(kind)
        values = get_args(kind)
        self._classes = frozenset(map(type, values))
        self._data: dict[tuple[type, object], Json] = {}
        self._values: dict[tuple[type, object], object] = {}
        written = [_literal_data(value) for value in values]
        keys = set(map(_key, written))
        are_different = len(keys) == len(values)
        for number, value in enumerate(values):
            data = written[number]
            if not are_different:
                data = str(number)
            self._data[_key(value)] = data
            self._values[_key(data)] = value

    def classes(self) -> Classes:
        return self._classes

    def encode(self, value: object, depth: int) -> Json:
        if type(value) not in self._classes:
            raise self.foreign(value)
        key = _key(value)
        if key in self._data:
            return self._data[key]
        wanted = type_name(self.kind)
        raise Misfit(wanted, "another value of the same class", "send one of the declared values")

    def decode(self, data: Json, depth: int) -> object:
        try:
            return self._values[_key(data)]
        except (KeyError, TypeError):
            raise self.illegible(data) from None


def _key(value: object) -> tuple[type, object]:
    """What tells 1 from True."""
    return type(value), value


def _literal_data(value: object) -> Json:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and text_data(value) is not value:
        return value.encode("utf-8", "surrogatepass").hex()
    return value  # type: ignore[return-value]  # a text, an integer, a boolean or None: there is no other literal


class EnumCoding(Coding):
    """Enums: by the name of the member.

    A model with `use_enum_values` holds the value of the member in its place: that is `{"value": name}`.
    """

    __slots__ = ("_enum", "_members")

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__(kind)
        self._enum = kind
        self._members = dict(kind.__members__)

    def encode(self, value: object, depth: int) -> Json:
        if type(value) is not self._enum:
            return {"value": self._name_of(value)}
        member = self.checked(value, self._enum)
        name = member.name
        # A value outside of the members has no name, or that of several.
        if self._members.get(name) is not member:
            raise Misfit(
                type_name(self.kind),
                "a value that is not a member of it",
                "send one of its members",
            )
        return name

    def decode(self, data: Json, depth: int) -> object:
        if type(data) is dict:
            content = self.object_in(data, VALUE)
            return self._member(content["value"]).value
        return self._member(data)

    def _member(self, data: Json) -> Enum:
        name = self.text_in(data)
        if name not in self._members:
            raise _missing(self, "a member")
        return self._members[name]

    def _name_of(self, value: object) -> str:
        """The name of the member with a value."""
        for name, member in self._members.items():
            if type(member.value) is type(value) and member.value == value:
                return name
        raise self.foreign(value)


class FlagCoding(Coding):
    """Flags: by the names of all members that are set."""

    __slots__ = ("_flags",)

    def __init__(self, kind: type[Flag]) -> None:
        super().__init__(kind)
        self._flags = kind

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, self._flags)
        names = [str(member.name) for member in value]
        # Bits that no member has are in no name.
        joined = self._joined(names)
        if joined.value != value.value:
            raise Misfit(type_name(self.kind), "bits without a name", "send one of its members")
        return names

    def decode(self, data: Json, depth: int) -> object:
        names = self.list_in(data)
        known = self._flags.__members__
        for name in names:
            if self.text_in(name) not in known:
                raise _missing(self, "a member")
        return self._joined(names)

    def _joined(self, names: Iterable[object]) -> Flag:
        joined = self._flags(0)
        for name in names:
            joined |= self._flags[str(name)]
        return joined
