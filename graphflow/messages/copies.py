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
from collections.abc import Callable, Collection, Iterable
from copy import copy, deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from pathlib import PurePath
from types import UnionType
from typing import Any, Literal, Union, get_args
from uuid import UUID

from pydantic import BaseModel

from graphflow.messages.message import Type, arms, is_typed_dict, origin_of, plain

Copier = Callable[[Any], Any]
Mutability = Literal["fixed", "model", "loose"]
"""How firm values of a type are: not to be changed; models that can be; containers, and what only a look can tell."""

ATOMS = (
    *(str, bytes, int, float, complex, bool, type(None), range),
    *(Enum, date, datetime, time, timedelta, Decimal, Fraction, UUID, PurePath),
)
_CONTAINERS = (list, dict, set, bytearray, deque)


# -- what a type tells -----------------------------------------------------------------------------------------------------
@lru_cache(maxsize=4096)
def mutability_of(kind: Type) -> Mutability:
    """How firm the values of a type are, as far as the type tells."""
    holds = {_mutability_of_arm(arm, frozenset()) for arm in arms(kind)}
    return "loose" if "loose" in holds else "model" if "model" in holds else "fixed"


def _mutability_of_arm(kind: Type, within: frozenset[type]) -> Mutability:
    kind = plain(kind)
    origin = origin_of(kind)
    if kind is None or origin is Literal:
        return "fixed"
    if kind is Any or kind is object or is_typed_dict(kind):
        return "loose"
    if origin in (Union, UnionType):
        return _weakest(get_args(kind), within)
    if origin in (tuple, frozenset) or kind in (tuple, frozenset):
        inner = [item for item in get_args(kind) if item is not Ellipsis]
        return "loose" if not inner or _weakest(inner, within) != "fixed" else "fixed"
    known = origin if isinstance(origin, type) else kind
    if not isinstance(known, type):
        return "fixed" if callable(kind) else "loose"
    if issubclass(known, ATOMS):
        return "fixed"
    if issubclass(known, BaseModel) or dataclasses.is_dataclass(known):
        return "fixed" if _is_firm(known, within) else "model"
    return "loose" if issubclass(known, (*_CONTAINERS, tuple)) or issubclass(known, Iterable) else "fixed"


def _weakest(kinds: Collection[Type], within: frozenset[type]) -> Mutability:
    holds = {_mutability_of_arm(kind, within) for kind in kinds}
    return "fixed" if holds <= {"fixed"} else "loose"


def _is_firm(known: type, within: frozenset[type]) -> bool:
    """Whether nothing about an instance of a model or dataclass can be changed. A class that holds itself adds nothing."""
    if known in within:
        return True
    if not is_frozen(known) or (issubclass(known, BaseModel) and known.model_config.get("extra") == "allow"):
        return False
    return _weakest(_field_types(known), within | {known}) == "fixed"


def is_frozen(known: type) -> bool:
    """Whether the attributes of a model or dataclass cannot be set."""
    if issubclass(known, BaseModel):
        return bool(known.model_config.get("frozen")) or (
            all(field.frozen for field in known.model_fields.values()) and bool(known.model_fields)
        )
    return bool(known.__dataclass_params__.frozen)  # type: ignore[attr-defined]  # a dataclass has it


def _field_types(known: type) -> list[Type]:
    if issubclass(known, BaseModel):
        return [field.annotation for field in known.model_fields.values()]
    kinds = [field.type for field in dataclasses.fields(known)]  # type: ignore[arg-type]  # a dataclass, as the caller knows
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
        if not isinstance(each, type) or each in seen or origin_of(each) is not None:
            continue
        seen.add(each)
        if issubclass(each, BaseModel) or dataclasses.is_dataclass(each):
            if not is_frozen(each):
                found[each] = None
            todo += _field_types(each)
    return tuple(found)


# -- copies of values ------------------------------------------------------------------------------------------------------
def copy_of(value: Any) -> Any:
    """A copy that shares nothing that can be changed; the value itself where there is nothing to copy."""
    known: type = type(value)
    make = _copier_of(known)
    if make is None:
        return value
    try:
        return make(value)
    except RecursionError:  # it holds itself, or is deeper than Python's stack
        return _deeply(value)


def copier_of(kind: Type) -> Copier | None:
    """What copies values of a type; None if there is nothing to copy."""
    if mutability_of(kind) == "fixed":
        return None
    return (_copier_of(kind) or copy_of) if isinstance(kind, type) and kind not in (Any, object) else copy_of


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
        return None if _is_firm(known, frozenset()) else _copy_dataclass
    return _deeply if issubclass(known, (*_CONTAINERS, tuple)) else None


def _copier_of_model(known: type[BaseModel]) -> Copier | None:
    if _is_firm(known, frozenset()):
        return None
    if known.__copy__ is not BaseModel.__copy__ or known.__deepcopy__ is not BaseModel.__deepcopy__:
        return _deeply
    if known.model_config.get("extra") == "allow" or known.__private_attributes__:
        return _copy_model
    flat = all(_mutability_of_arm(kind, frozenset()) == "fixed" for kind in _field_types(known))
    return _copy_flat if flat else _copy_model


_new = object.__new__
_set_dict = BaseModel.__dict__["__dict__"].__set__
_set_fields = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__


def _copy_flat(
    value: Any,
    new: Any = _new,
    set_dict: Any = _set_dict,
    set_fields: Any = _set_fields,
    set_extra: Any = _set_extra,
    set_private: Any = _set_private,
) -> Any:
    """A model whose fields cannot be changed: what `model_copy` does, at a third of its price."""
    made = new(value.__class__)
    set_dict(made, value.__dict__.copy())
    set_fields(made, value.__pydantic_fields_set__.copy())
    set_extra(made, None)
    set_private(made, None)
    return made


def _copy_model(value: Any) -> Any:
    parts = {name: copy_of(part) for name, part in value.__dict__.items()}
    extra = value.__pydantic_extra__
    more = None if extra is None else {name: copy_of(part) for name, part in extra.items()}
    if is_frozen(type(value)) and _are_same(parts, value.__dict__) and _are_same(more or {}, extra or {}):
        return value
    made = value.model_copy()
    made.__dict__.update(parts)
    if more:
        made.__pydantic_extra__.update(more)
    return made


def _are_same(parts: dict[str, Any], others: dict[str, Any]) -> bool:
    return all(parts[name] is others[name] for name in parts)


def _copy_dataclass(value: Any) -> Any:
    parts = {f.name: copy_of(getattr(value, f.name)) for f in dataclasses.fields(value) if hasattr(value, f.name)}
    if is_frozen(type(value)) and all(part is getattr(value, name) for name, part in parts.items()):
        return value
    made = copy(value)
    for name, part in parts.items():
        object.__setattr__(made, name, part)
    return made


def _copy_list(value: Any) -> Any:
    return [copy_of(item) for item in value]


def _copy_dict(value: Any) -> Any:
    return {key: copy_of(item) for key, item in value.items()}


def _copy_tuple(value: Any) -> Any:
    items = [copy_of(item) for item in value]
    return value if all(item is old for item, old in zip(items, value, strict=True)) else tuple(items)


def _copy_deque(value: Any) -> Any:
    return deque((copy_of(item) for item in value), value.maxlen)


def _deeply(value: Any) -> Any:
    """For what has ways of its own; what cannot be copied travels as it is."""
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
