"""The shapes of classes: which fields they have, of which types, with which defaults."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar, TypeVarTuple, get_args, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo, ModelPrivateAttr
from pydantic_core import PydanticUndefined

from graphflow.messages.types import Type, origin_of

ANY: Type = Any
"""What a field without a type is of."""


Default = Callable[[Mapping[str, object]], object]
"""Makes the value of a field that was not written, given those that were."""


class Unresolved(Exception):
    """Annotations name what cannot be found."""


class TypedField(NamedTuple):
    """A field of a class.

    Attributes:
        name: its name.
        kind: its type.
        default: what makes its value where none was written; None: one must be there.
        is_optional: whether it may be missing altogether.
        may_be_none: whether its default is None, whatever its type says.
    """

    name: str
    kind: Type
    default: Default | None = None
    is_optional: bool = False
    may_be_none: bool = False


def _hints(known: type) -> Mapping[str, Type]:
    try:
        return get_type_hints(known, include_extras=True)
    except Exception as error:  # NameError, and whatever an annotation raises when it is evaluated
        raise Unresolved(str(error)) from error


# -- records ---------------------------------------------------------------------------------------
def dataclass_fields(kind: Type, known: type) -> Iterator[TypedField]:
    """The fields of a dataclass, of pydantic's as well."""
    hints = _dataclass_hints(known)
    given = arguments_of(kind, known)
    for field in dataclasses.fields(known):
        name = field.name
        kind = substituted(hints[name], given)
        default = _dataclass_default(field)
        may_be_none = field.default is None
        yield TypedField(name, kind, default, may_be_none=may_be_none)


def _dataclass_hints(known: type) -> Mapping[str, Type]:
    """The types of the fields. Pydantic has resolved those of its own, also where a class stands in a function."""
    resolved: Mapping[str, FieldInfo] = vars(known).get("__pydantic_fields__", {})
    if resolved:
        return {name: field.annotation for name, field in resolved.items()}
    return _hints(known)


def _dataclass_default(field: dataclasses.Field[object]) -> Default | None:
    if field.default is not MISSING:
        return _always(field.default)
    factory = field.default_factory
    if factory is MISSING:
        return None
    return lambda values: factory()


def named_tuple_fields(kind: Type, known: type) -> Iterator[TypedField]:
    """The fields of a named tuple; one that was made without types holds anything."""
    names: tuple[str, ...] = getattr(known, "_fields", ())
    defaults: Mapping[str, object] = getattr(known, "_field_defaults", {})
    hints = _hints(known)
    given = arguments_of(kind, known)
    for name in names:
        default: Default | None = None
        if name in defaults:
            default = _always(defaults[name])
        hint = hints.get(name, ANY)
        kind = substituted(hint, given)
        yield TypedField(name, kind, default)


def _always(value: object) -> Default:
    return lambda values: value


def typed_dict_fields(kind: Type, known: type) -> Iterator[TypedField]:
    """The keys of a typed dict."""
    optional: frozenset[str] = getattr(known, "__optional_keys__", frozenset())
    given = arguments_of(kind, known)
    for name, hint in _hints(known).items():
        is_optional = name in optional
        # Python 3.11 does not see `NotRequired` in an annotation that is a text.
        words = set(_words(hint))
        if "NotRequired" in words:
            is_optional = True
        if "Required" in words:
            is_optional = False
        kind = substituted(hint, given)
        yield TypedField(name, kind, None, is_optional)


def _words(hint: Type) -> Iterator[str]:
    """The words around a type: `Required`, `NotRequired`, `ReadOnly`."""
    while True:
        word = word_of(hint)
        if not word:
            return
        yield word
        hint, *_ = get_args(hint)


WORDS = frozenset({"Annotated", "Required", "NotRequired", "ReadOnly", "Final"})
"""What stands around a type and says nothing about its values."""


def word_of(hint: Type) -> str:
    """The word around a type; empty if there is none. By name: `typing_extensions` has its own."""
    origin = origin_of(hint)
    if origin is None:
        return ""
    name: str | None = getattr(origin, "_name", None)
    if name is None:
        name = getattr(origin, "__name__", "")
    if name not in WORDS:
        return ""
    return name


def is_unpacked(hint: Type) -> bool:
    """Whether a type stands for several places of a tuple."""
    if isinstance(hint, TypeVarTuple) or getattr(hint, "__unpacked__", False):
        return True
    origin = origin_of(hint)
    return getattr(origin, "_name", "") == "Unpack"


# -- generics --------------------------------------------------------------------------------------
def arguments_of(kind: Type, known: type) -> Mapping[Type, Type]:
    """What the type variables of a generic class stand for in `Box[int]`."""
    variables = getattr(known, "__parameters__", ())
    return dict(zip(variables, get_args(kind), strict=False))


def substituted(kind: Type, given: Mapping[Type, Type]) -> Type:
    """A type with type variables replaced."""
    if not given:
        return kind
    if isinstance(kind, TypeVar):
        return given.get(kind, kind)
    variables = getattr(kind, "__parameters__", ())
    if isinstance(kind, type) or not variables:
        return kind
    arguments = [given.get(variable, variable) for variable in variables]
    return kind[tuple(arguments)]


def alias_target(alias: Type) -> Type:
    """What `type X = ...` stands for, with its arguments.

    Raises:
        Unresolved: it names what cannot be found.
    """
    origin = origin_of(alias) or alias
    # Before Python 3.12 an alias that holds itself does so by its name.
    around = SimpleNamespace(__annotations__={"target": origin.__value__})
    module = sys.modules.get(origin.__module__)
    try:
        hints = get_type_hints(around, vars(module), include_extras=True)
    except Exception as error:
        raise Unresolved(str(error)) from error
    variables = getattr(origin, "__type_params__", ())
    given = dict(zip(variables, get_args(alias), strict=False))
    return substituted(hints["target"], given)


# -- models ----------------------------------------------------------------------------------------
def model_fields(known: type[BaseModel]) -> Iterator[TypedField]:
    """The fields of a model.

    Raises:
        Unresolved: its annotations name what cannot be found.
    """
    if not known.__pydantic_complete__:
        known.model_rebuild(raise_errors=False)
    if not known.__pydantic_complete__:
        raise Unresolved(
            "it names what was not there when it was declared; call its model_rebuild()"
        )
    for name, field in known.model_fields.items():
        default = _model_default(field)
        may_be_none = field.default is None
        yield TypedField(name, field.annotation, default, may_be_none=may_be_none)


def _model_default(field: FieldInfo) -> Default | None:
    if field.is_required():
        return None

    def default(values: Mapping[str, object]) -> object:
        # A factory may ask for the fields before it.
        return field.get_default(call_default_factory=True, validated_data=dict(values))

    return default


def private_attributes(known: type[BaseModel]) -> Iterator[TypedField]:
    """The private attributes of a model; one without a type holds anything."""
    attributes = known.__private_attributes__
    if not attributes:
        return
    try:
        hints = _hints(known)
    except Unresolved:
        hints = {}
    for name, attribute in attributes.items():
        default = _private_default(attribute)
        hint = hints.get(name, ANY)
        yield TypedField(name, hint, default, is_optional=default is None)


def _private_default(attribute: ModelPrivateAttr) -> Default | None:
    if attribute.default is PydanticUndefined and attribute.default_factory is None:
        return None
    return lambda values: attribute.get_default()


def extra_type(known: type[BaseModel]) -> Type | None:
    """The type of what a model lets in beside its fields; None if it lets nothing in."""
    if known.model_config.get("extra") != "allow":
        return None
    for base in known.__mro__:
        if base is BaseModel:
            break
        annotations = vars(base).get("__annotations__", {})
        hint = annotations.get("__pydantic_extra__")
        arguments = get_args(hint)
        if len(arguments) == 2:  # dict[str, X]
            return arguments[1]
    return ANY
