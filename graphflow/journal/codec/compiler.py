"""The compiler: from a type to the coding of its values.

A class is known by its coding before its fields are looked at, so a class that holds itself ends there.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict, abc, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum, Flag
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import BuiltinFunctionType, FunctionType, GenericAlias, MethodType
from typing import Literal, NewType, TypeVar, Union, get_args

import pydantic
from pydantic import BaseModel

from graphflow.declaration.background import Background
from graphflow.journal.codec import shapes
from graphflow.journal.codec.choices import (
    NONE,
    EnumCoding,
    FlagCoding,
    LiteralCoding,
    OptionalCoding,
    UnionCoding,
)
from graphflow.journal.codec.coding import Coding
from graphflow.journal.codec.containers import (
    CollectionCoding,
    DequeCoding,
    DictCoding,
    ListCoding,
    RecordTupleCoding,
    SetCoding,
    TupleCoding,
)
from graphflow.journal.codec.fields import CodedField
from graphflow.journal.codec.handles import HandleCoding
from graphflow.journal.codec.models import ModelCoding
from graphflow.journal.codec.open_values import OpenCoding
from graphflow.journal.codec.records import (
    DataclassCoding,
    NamedTupleCoding,
    RecordCoding,
    TypedDictCoding,
)
from graphflow.journal.codec.scalars import ExactTextCoding, scalars
from graphflow.journal.codec.shapes import ANY, TypedField, Unresolved
from graphflow.journal.codec.stand_ins import AliasCoding, UnknownCoding
from graphflow.journal.codec.times import times
from graphflow.journal.codec.type_key import type_key
from graphflow.messages.types import Type, arms, is_typed_dict, origin_of, says_nothing

CLASSES: Mapping[type, Coding] = {**scalars(), **times()}
"""The codings of the classes that hold nothing."""
PATHS = (PurePath, PurePosixPath, PureWindowsPath, Path, PosixPath, WindowsPath)
SECRETS = (pydantic.Secret, pydantic.SecretStr, pydantic.SecretBytes)


MEANT: Mapping[Type, Type] = {
    pydantic.EmailStr: str,
    pydantic.PastDate: date,
    pydantic.FutureDate: date,
    pydantic.PastDatetime: datetime,
    pydantic.FutureDatetime: datetime,
    pydantic.AwareDatetime: datetime,
    pydantic.NaiveDatetime: datetime,
    pydantic.IPvAnyAddress: IPv4Address | IPv6Address,
    pydantic.IPvAnyInterface: IPv4Interface | IPv6Interface,
    pydantic.IPvAnyNetwork: IPv4Network | IPv6Network,
    pydantic.JsonValue: ANY,
}
"""What pydantic calls a class, and whose values are of another one."""

# What an abstract class of Python's own stands for, as far as its values can be written. The order is part of the format.
SEVERAL: Mapping[type, Sequence[type]] = {
    abc.Sequence: (list, tuple),
    abc.Collection: (list, tuple, set, frozenset, deque),
    abc.Iterable: (list, tuple, set, frozenset, deque),
    abc.Set: (set, frozenset),
}
COLLECTIONS: Mapping[type, type[CollectionCoding]] = {
    list: ListCoding,
    set: SetCoding,
    frozenset: SetCoding,
    deque: DequeCoding,
}
ONE: Mapping[type, type] = {
    abc.MutableSequence: list,
    abc.MutableSet: set,
    abc.Mapping: dict,
    abc.MutableMapping: dict,
}

FUNCTIONS: Sequence[Type] = (abc.Callable, FunctionType, MethodType, BuiltinFunctionType)

SECRET = "a secret is never written; keep it in the `deps` of the run, and send a name that stands for it"
FUNCTION = "a function is never written; send a name that stands for it"
UNKNOWN = "nobody knows how to write it; make it a pydantic model or a dataclass"
ABSTRACT = "it stands for classes that it does not name; declare those, as in A | B"


class CodingTable:
    """The codings of types, each made once.

    Args:
        among: the types that values behind `Any` may have, besides plain JSON values.
    """

    def __init__(self, among: Sequence[Type] = ()) -> None:
        self._codings: dict[Hashable, Coding] = {}
        self._among = tuple(among)

    def coding_of(self, kind: Type) -> Coding:
        """How the values of a type are written."""
        kind = unwrapped(kind)
        # Not by the type itself: `A | B` and `B | A` are equal, and their arms have other numbers.
        key = type_key(kind)
        try:
            coding = self._codings.get(key)
        # What cannot be hashed is not a message either: the parameters of a Callable.
        except TypeError:
            return self._compiled(kind)
        if coding is None:
            coding = self._compiled(kind)
            self._codings[key] = coding
        return coding

    def _compiled(self, kind: Type) -> Coding:
        if says_nothing(kind):
            return self._open(kind)
        kinds = arms(kind)
        if len(kinds) > 1:
            return self._union(kind, kinds)
        [kind] = kinds
        if is_alias(kind):
            return self._alias(kind)
        origin = origin_of(kind)
        if origin is Literal:
            return LiteralCoding(kind)
        known = origin or kind
        if isinstance(known, type):
            return self._of_class(kind, known)
        return UnknownCoding(kind, UNKNOWN)

    def _open(self, kind: Type) -> Coding:
        # Known before what it lets in is: that may hold values of any type itself.
        coding = OpenCoding(kind)
        self._codings[kind] = coding
        if self._among:
            arms = [self.coding_of(each) for each in self._among]
            coding.fill(UnionCoding(kind, self._among, arms))
        return coding

    def _union(self, kind: Type, kinds: Sequence[Type]) -> Coding:
        # None is null anyway, so a union of one type and None needs no number.
        some = [each for each in kinds if each is not NONE]
        if len(some) == 1 and len(kinds) == 2:
            return OptionalCoding(kind, self.coding_of(some[0]))
        codings = [self.coding_of(each) for each in kinds]
        return UnionCoding(kind, kinds, codings)

    def _alias(self, kind: Type) -> Coding:
        coding = AliasCoding(kind)
        self._codings[type_key(kind)] = coding
        try:
            target = shapes.alias_target(kind)
        except Unresolved as error:
            return UnknownCoding(kind, f"what it stands for is not known: {error}")
        coding.fill(self.coding_of(target))
        return coding

    # -- classes -----------------------------------------------------------------------------------
    def _of_class(self, kind: Type, known: type) -> Coding:
        if known in CLASSES:
            return CLASSES[known]
        container = self._container(kind, known)
        if container is not None:
            return container
        if issubclass(known, BaseModel):
            return self._model(known)
        if issubclass(known, Enum):
            return _enum(known)
        record = _record(kind, known)
        if record is not None:
            return self._with_fields(kind, known, record)
        return _single(known)

    def _container(self, kind: Type, known: type) -> Coding | None:
        arguments = get_args(kind)
        known = ONE.get(known, known)
        if known in SEVERAL:
            item = arguments[0] if arguments else ANY
            return self._any_of(kind, SEVERAL[known], item)
        if known is tuple:
            return self._tuple(kind, arguments)
        if known in COLLECTIONS:
            item = self.coding_of(arguments[0] if arguments else ANY)
            return COLLECTIONS[known](kind, known, item)
        if known in (dict, OrderedDict):
            key, value = arguments or (ANY, ANY)
            keys = self.coding_of(key)
            values = self.coding_of(value)
            return DictCoding(kind, known, keys, values)
        if known is Counter:
            keys = self.coding_of(arguments[0] if arguments else ANY)
            return DictCoding(kind, known, keys, CLASSES[int])
        return None

    def _any_of(self, kind: Type, containers: Sequence[type], item: Type) -> Coding:
        """One of several containers of the same items."""
        kinds: list[Type] = []
        for container in containers:
            arguments = (item, ...) if container is tuple else (item,)
            kinds.append(GenericAlias(container, arguments))
        codings = [self.coding_of(each) for each in kinds]
        return UnionCoding(kind, kinds, codings)

    def _tuple(self, kind: Type, arguments: Sequence[Type]) -> Coding:
        if origin_of(kind) is None:  # bare: it holds anything
            return TupleCoding(kind, tuple, self.coding_of(ANY))
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return TupleCoding(kind, tuple, self.coding_of(arguments[0]))
        if any(map(shapes.is_unpacked, arguments)):
            return UnknownCoding(
                kind, "a tuple with an open middle has no types by place; declare tuple[T, ...]"
            )
        places = [self.coding_of(each) for each in arguments]
        return RecordTupleCoding(kind, places)

    # -- what has fields ---------------------------------------------------------------------------
    def _model(self, known: type[BaseModel]) -> Coding:
        if known is Background:
            return HandleCoding()
        if known is BaseModel:
            return UnknownCoding(known, ABSTRACT)
        # Known before its fields are: one of them may hold the same class.
        coding = ModelCoding(known)
        self._codings[known] = coding
        try:
            fields = self._coded(shapes.model_fields(known))
            private = self._coded(shapes.private_attributes(known))
        except Unresolved as error:
            return UnknownCoding(known, f"its fields are not known: {error}")
        coding.fill(fields)
        more = shapes.extra_type(known)
        extra = None
        if more is not None:
            extra = DictCoding(known, dict, CLASSES[str], self.coding_of(more))
        coding.fill_beside(extra, private)
        return coding

    def _with_fields(self, kind: Type, known: type, coding: RecordCoding) -> Coding:
        self._codings[type_key(kind)] = coding
        try:
            fields = self._coded(_fields(kind, known))
        except Unresolved as error:
            return UnknownCoding(kind, f"its fields are not known: {error}")
        coding.fill(fields)
        return coding

    def _coded(self, fields: Iterable[TypedField]) -> list[CodedField]:
        found: list[CodedField] = []
        for field in fields:
            coding = self.coding_of(field.kind)
            if field.may_be_none:  # `text: str = None`, which nobody checks
                coding = OptionalCoding(field.kind, coding)
            found.append(CodedField(field.name, coding, field.default, field.is_optional))
        return found


def unwrapped(kind: Type) -> Type:
    """A type without what says nothing about how its values are written: `Annotated`, `NewType`, type variables."""
    while True:
        if shapes.word_of(kind):
            kind = get_args(kind)[0]
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        elif isinstance(kind, TypeVar):
            kind = _meant_by_variable(kind)
        elif isinstance(kind, type) or is_alias(kind):
            return MEANT.get(kind, kind)
        else:
            return kind


def _meant_by_variable(variable: TypeVar) -> Type:
    if variable.__constraints__:
        return Union[variable.__constraints__]  # noqa: UP007  # there is no other way to join a tuple
    return variable.__bound__ or ANY


def is_alias(kind: Type) -> bool:
    """Whether a type is `type X = ...`, or one with arguments. By name: Python 3.11 has no such class."""
    return type(origin_of(kind) or kind).__name__ == "TypeAliasType"


def _enum(known: type[Enum]) -> Coding:
    if not known.__members__:
        return UnknownCoding(known, ABSTRACT)
    return FlagCoding(known) if issubclass(known, Flag) else EnumCoding(known)


def _record(kind: Type, known: type) -> RecordCoding | None:
    """The coding of a class with fields, before it has them."""
    if is_typed_dict(known):
        return TypedDictCoding(kind, known)
    if issubclass(known, tuple) and hasattr(known, "_fields"):
        return NamedTupleCoding(kind, known, known._fields)
    if dataclasses.is_dataclass(known):
        names = [field.name for field in dataclasses.fields(known)]
        return DataclassCoding(kind, known, names)
    return None


def _fields(kind: Type, known: type) -> Iterable[TypedField]:
    if is_typed_dict(known):
        return shapes.typed_dict_fields(kind, known)
    if issubclass(known, tuple):
        return shapes.named_tuple_fields(kind, known)
    return shapes.dataclass_fields(kind, known)


def _single(known: type) -> Coding:
    """The coding of a class that holds nothing that could be looked into."""
    if known in PATHS:
        return _path(known)
    if issubclass(known, pydantic.AnyUrl):
        return ExactTextCoding(known, known, str, known)
    if issubclass(known, SECRETS):
        return UnknownCoding(known, SECRET)
    problem = FUNCTION if known in FUNCTIONS else UNKNOWN
    return UnknownCoding(known, problem)


def _path(known: type[PurePath]) -> Coding:
    try:
        very_class = type(known())
    except NotImplementedError:  # a path of another system
        return UnknownCoding(known, "this system has no such paths; declare PurePath")
    return ExactTextCoding(known, very_class, str, known)
