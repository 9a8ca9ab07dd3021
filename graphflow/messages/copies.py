"""Messages that could be changed after they were sent, and the copies that keep everybody's own.

Rules:
1. What cannot be changed travels as it is, and costs nothing: plain values, frozen models of these, tuples. So does what
   nobody can copy faithfully: clients, arrays, functions.
2. A message that can be changed is copied where a fork or a map sends it to several, where it enters a walk and where it
   leaves it: the caller, the branches and the record each have their own.
3. Lists, dicts, sets and values of type `Any` are copied at every node besides. A model is not, on its way along a chain
   of async functions: it is what fast chains are made of. `check()` names the classes that are not frozen.

Types decide when a graph is built whether there is anything to look at; `copy_of` looks at a value's class.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy, deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from operator import is_
from pathlib import PurePath
from typing import Any, Literal, TypeVar, get_args
from uuid import UUID

from pydantic import BaseModel

from graphflow.messages.types import (
    UNION_ORIGINS,
    Type,
    arms,
    is_typed_dict,
    origin_of,
    plain,
    says_nothing,
)

K = TypeVar("K")
T = TypeVar("T")
Copier = Callable[[Any], object]
Mutability = Literal["fixed", "model", "loose"]
"""Whether values of a type can be changed: not at all; models that can be; containers, and what only a look can tell."""

_PLAIN = (str, bytes, int, float, complex, bool, type(None), range)
_DATES = (date, datetime, time, timedelta)
ATOMS = (*_PLAIN, *_DATES, Enum, Decimal, Fraction, UUID, PurePath)
_FIXED_CONTAINERS = (tuple, frozenset)
_CONTAINERS = (list, dict, set, bytearray, deque)


# -- what a type tells -----------------------------------------------------------------------------
@lru_cache(maxsize=4096)
def mutability_of(kind: Type) -> Mutability:
    """Whether the values of a type can be changed, as far as the type says."""
    nobody: frozenset[type] = frozenset()
    found = {_mutability_of_arm(arm, nobody) for arm in arms(kind)}
    for mutability in _MOST_MUTABLE_FIRST:
        if mutability in found:
            return mutability
    return "fixed"


_MOST_MUTABLE_FIRST: tuple[Mutability, ...] = ("loose", "model")


def _mutability_of_arm(kind: Type, within: frozenset[type]) -> Mutability:
    """The same for a type that is not a union; `within` are the classes that are being looked at."""
    kind = plain(kind)
    origin = origin_of(kind)
    if kind is None or origin is Literal:
        return "fixed"
    if says_nothing(kind) or is_typed_dict(kind):
        return "loose"
    if kind in _FIXED_CONTAINERS:  # bare, as in `-> tuple`: it may hold anything
        return "loose"
    if origin in UNION_ORIGINS or origin in _FIXED_CONTAINERS:
        return _mutability_of_parts(get_args(kind), within)
    known = origin if isinstance(origin, type) else kind
    if isinstance(known, type):
        return _mutability_of_class(known, within)
    return "fixed" if callable(kind) else "loose"


def _mutability_of_class(known: type, within: frozenset[type]) -> Mutability:
    if issubclass(known, ATOMS):
        return "fixed"
    if issubclass(known, BaseModel) or dataclasses.is_dataclass(known):
        return "fixed" if _is_fixed(known, within) else "model"
    if issubclass(known, (*_CONTAINERS, tuple, Iterable)):
        return "loose"
    return "fixed"


def _mutability_of_parts(kinds: Collection[Type], within: frozenset[type]) -> Mutability:
    """The same for what holds values of these types: one part that can be changed is enough."""
    for kind in kinds:
        if kind is not Ellipsis and _mutability_of_arm(kind, within) != "fixed":
            return "loose"
    return "fixed"


def _is_fixed(known: type, within: frozenset[type]) -> bool:
    """Whether nothing about an instance of a model or dataclass can be changed.

    A class that holds itself adds nothing: `class Tree: left: Tree | None` is as fixed as its other fields.
    """
    if known in within:
        return True
    if not is_frozen(known) or _takes_extra(known):
        return False
    kinds = _field_types(known)
    return _mutability_of_parts(kinds, within | {known}) == "fixed"


def _takes_extra(known: type) -> bool:
    if not issubclass(known, BaseModel):
        return False
    return known.model_config.get("extra") == "allow"


def is_frozen(known: type) -> bool:
    """Whether the attributes of a model or dataclass cannot be set."""
    if not issubclass(known, BaseModel):
        return bool(known.__dataclass_params__.frozen)  # type: ignore[attr-defined]  # a dataclass has it
    if known.model_config.get("frozen"):
        return True
    fields = known.model_fields.values()
    return bool(fields) and all(field.frozen for field in fields)


def _field_types(known: type) -> list[Type]:
    if issubclass(known, BaseModel):
        return [field.annotation for field in known.model_fields.values()]
    kinds = [field.type for field in dataclasses.fields(known)]  # type: ignore[arg-type]  # a dataclass, as the caller knows
    # A text that nobody has resolved may mean anything.
    return [Any if isinstance(kind, str) else kind for kind in kinds]


@lru_cache(maxsize=4096)
def unfrozen_in(kind: Type) -> tuple[type, ...]:
    """The message classes within a type whose attributes can be set."""
    found: dict[type, None] = {}
    seen: set[type] = set()
    todo = [*arms(kind)]
    while todo:
        each = plain(todo.pop())
        todo += get_args(each)
        if not isinstance(each, type) or origin_of(each) is not None:
            continue
        if each in seen:
            continue
        seen.add(each)
        has_fields = issubclass(each, BaseModel) or dataclasses.is_dataclass(each)
        if not has_fields:
            continue
        todo += _field_types(each)
        if not is_frozen(each):
            found[each] = None
    return tuple(found)


# -- copies of values ------------------------------------------------------------------------------
def copy_of(value: T) -> T:
    """A copy that shares nothing that can be changed; the value itself where there is nothing to copy."""
    known: type = type(value)
    make = _copier_of(known)
    if make is None:
        return value
    try:
        return make(value)  # type: ignore[return-value]  # a copier of a class makes instances of it
    except RecursionError:  # it holds itself, or is deeper than Python's stack
        return _deeply(value)


def copier_of(kind: Type) -> Copier | None:
    """What copies values of a type; None if there is nothing to copy."""
    if mutability_of(kind) == "fixed":
        return None
    if says_nothing(kind) or not isinstance(kind, type):
        return copy_of
    return _copier_of(kind) or copy_of


@lru_cache(maxsize=4096)
def _copier_of(known: type) -> Copier | None:
    """What copies the instances of a class; None if they travel as they are."""
    if known in _COPIERS:
        return _COPIERS[known]
    if issubclass(known, ATOMS) or issubclass(known, frozenset):
        return None
    if issubclass(known, BaseModel):
        return _copier_of_model(known)
    if dataclasses.is_dataclass(known):
        return None if _is_fixed(known, frozenset()) else _copy_dataclass
    # A class of the user's own, which may hold more than its items.
    if issubclass(known, (*_CONTAINERS, tuple)):
        return _deeply
    return None


def _copier_of_model(known: type[BaseModel]) -> Copier | None:
    if _is_fixed(known, frozenset()):
        return None
    if known.__copy__ is not BaseModel.__copy__:  # it has a way of its own
        return _deeply
    if known.__deepcopy__ is not BaseModel.__deepcopy__:
        return _deeply
    if _takes_extra(known) or known.__private_attributes__:
        return _copy_model
    is_flat = _mutability_of_parts(_field_types(known), frozenset()) == "fixed"
    return _copy_flat if is_flat else _copy_model


_Setter = Callable[[BaseModel, object], None]
_new = object.__new__
_set_dict = BaseModel.__dict__["__dict__"].__set__
_set_fields = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__


def _copy_flat(
    value: BaseModel,
    # What the function needs is bound here: a local name is found faster than a global one, and this runs at every fork.
    new: Callable[[type], BaseModel] = _new,
    set_dict: _Setter = _set_dict,
    set_fields: _Setter = _set_fields,
    set_extra: _Setter = _set_extra,
    set_private: _Setter = _set_private,
) -> BaseModel:
    """A model whose fields cannot be changed: what `model_copy` does, at a third of its price."""
    made = new(value.__class__)
    set_dict(made, value.__dict__.copy())
    set_fields(made, value.__pydantic_fields_set__.copy())
    set_extra(made, None)
    set_private(made, None)
    return made


def _copy_model(value: BaseModel) -> BaseModel:
    parts = {name: copy_of(part) for name, part in value.__dict__.items()}
    extra = value.__pydantic_extra__ or {}
    more = {name: copy_of(part) for name, part in extra.items()}
    may_stay = is_frozen(type(value))
    if may_stay and _are_same(parts, value.__dict__) and _are_same(more, extra):
        return value
    made = value.model_copy()
    made.__dict__.update(parts)
    if made.__pydantic_extra__:
        made.__pydantic_extra__.update(more)
    return made


def _are_same(parts: Mapping[str, object], others: Mapping[str, object]) -> bool:
    """Whether two mappings with the same names in the same order hold the very same values."""
    return all(map(is_, parts.values(), others.values()))


def _copy_dataclass(value: Any) -> object:
    fields: dict[str, object] = {}
    for field in dataclasses.fields(value):
        if hasattr(value, field.name):
            fields[field.name] = getattr(value, field.name)
    parts = _copy_dict(fields)
    if is_frozen(type(value)) and _are_same(parts, fields):
        return value
    made = copy(value)
    for name, part in parts.items():
        object.__setattr__(made, name, part)
    return made


def _copy_list(value: list[T]) -> list[T]:
    return [copy_of(item) for item in value]


def _copy_dict(value: dict[K, T]) -> dict[K, T]:
    return {key: copy_of(item) for key, item in value.items()}


def _copy_tuple(value: tuple[object, ...]) -> tuple[object, ...]:
    items = tuple(copy_of(item) for item in value)
    is_same = all(map(is_, items, value))
    return value if is_same else items


def _copy_deque(value: deque[T]) -> deque[T]:
    return deque((copy_of(item) for item in value), value.maxlen)


def _deeply(value: T) -> T:
    """A copy in the way that the value itself knows; what cannot be copied travels as it is."""
    try:
        return deepcopy(value)
    except Exception:
        return value


_COPIERS: dict[type, Copier] = {
    list: _copy_list,
    dict: _copy_dict,
    set: set,
    bytearray: bytearray,
    tuple: _copy_tuple,
    deque: _copy_deque,
}
