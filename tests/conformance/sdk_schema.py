"""The request types of an SDK as a strict validator: no unknown keys, nothing read lazily, nothing coerced."""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

import typing_extensions
from pydantic import BaseModel
from pydantic_core import SchemaValidator, ValidationError, core_schema
from typing_extensions import ReadOnly, get_type_hints, is_typeddict

Schema = core_schema.CoreSchema

PLAIN: dict[Any, Schema] = {
    str: core_schema.str_schema(),
    int: core_schema.int_schema(),
    float: core_schema.float_schema(),
    bool: core_schema.bool_schema(),
    None: core_schema.none_schema(),
    type(None): core_schema.none_schema(),
    object: core_schema.any_schema(),
    Any: core_schema.any_schema(),
}
LISTS = (list, Iterable, Sequence)
DICTS = (dict, Mapping)
LITERALS = (Literal, typing_extensions.Literal)
NOT_JSON = (BaseModel, os.PathLike, IO)


class NoJson(TypeError):
    """A type that no JSON is of: open files, instances of the SDK's own models."""


class Strict:
    """A validator of JSON for one `TypedDict` of an SDK; `more` are keys that its top level may have besides."""

    def __init__(self, kind: Any, more: Mapping[str, Any] | None = None) -> None:
        self.definitions: dict[Any, core_schema.TypedDictSchema] = {}
        self.named: set[Any] = set()
        schema = self.of(kind)
        for name, hint in (more or {}).items():
            assert name not in self.definitions[kind]["fields"], f"the SDK knows {name!r} itself"
            self.definitions[kind]["fields"][name] = core_schema.typed_dict_field(
                self.of(hint), required=False
            )
        whole = core_schema.definitions_schema(schema, list(self.definitions.values()))
        self.validator = SchemaValidator(whole, core_schema.CoreConfig(strict=True))

    def problems(self, text: bytes) -> list[str]:
        """What is wrong with this JSON, the deepest first; empty if it fits."""
        try:
            self.validator.validate_json(text)
        except ValidationError as error:
            return told(error)
        return []

    def of(self, kind: Any) -> Schema:
        """The schema of a type.

        Raises:
            NoJson: no JSON is of this type.
            TypeError: the type is of a sort that this validator does not know.
        """
        if kind in PLAIN:
            return PLAIN[kind]
        if is_typeddict(kind):
            return self.typed_dict(kind)
        origin, args = get_origin(kind), get_args(kind)
        if origin in (Annotated, Required, NotRequired, ReadOnly):
            if any(
                getattr(note, "alias", None) or getattr(note, "format", None) for note in args[1:]
            ):
                raise TypeError(f"the SDK renames or reformats this field: {kind}")
            return self.of(args[0])
        if origin in LITERALS:
            return core_schema.literal_schema(list(args))
        if origin in (Union, types.UnionType):
            return self.union(args)
        if origin in LISTS:
            return core_schema.list_schema(self.of(args[0]))
        if origin in DICTS:
            return core_schema.dict_schema(self.of(args[0]), self.of(args[1]))
        if isinstance(origin or kind, type) and issubclass(origin or kind, NOT_JSON):
            raise NoJson(kind)
        raise TypeError(f"a type that this validator does not know: {kind!r}")

    def union(self, members: tuple[Any, ...]) -> Schema:
        """Any of these types that JSON can be of."""
        schemas: list[Schema | tuple[Schema, str]] = []
        for member in members:
            try:
                schemas.append(self.of(member))
            except NoJson:
                continue
        if not schemas:
            raise NoJson(members)
        return core_schema.union_schema(schemas)

    def typed_dict(self, kind: Any) -> Schema:
        """An object of these keys and no others, unless the SDK itself says that there may be others."""
        ref = f"{kind.__module__}.{kind.__qualname__}:{id(kind)}"
        if kind not in self.named:
            self.named.add(kind)  # first, for a type that holds itself
            fields = {
                name: core_schema.typed_dict_field(
                    self.of(hint), required=_required(kind, name, hint)
                )
                for name, hint in get_type_hints(kind, include_extras=True).items()
            }
            extra = getattr(kind, "__pydantic_config__", {}).get("extra", "forbid")
            self.definitions[kind] = core_schema.typed_dict_schema(
                fields, extra_behavior=extra, total=False, ref=ref, cls_name=kind.__name__
            )
        return core_schema.definition_reference_schema(ref)


def _required(kind: Any, name: str, hint: Any) -> bool:
    """Whether a key must be there: `__required_keys__` alone does not see `Required` in a postponed annotation."""
    while get_origin(hint) in (Annotated, ReadOnly):
        hint = get_args(hint)[0]
    match get_origin(hint):
        case origin if origin is Required:
            return True
        case origin if origin is NotRequired:
            return False
        case _:
            return name in kind.__required_keys__


def told(error: ValidationError) -> list[str]:
    """The errors in words; of a union only those of the members that were meant, by their `type` or `role`."""
    found = error.errors(include_url=False)
    named = [e["loc"] for e in found if e["loc"][-1:] in (("type",), ("role",))]
    other = {loc[:-1] for loc in named}
    near = [
        e for e in found if not any(e["loc"][:size] in other for size in range(len(e["loc"])))
    ] or found
    return [f"{_where(e['loc'])}: {e['msg']} ({str(e['input'])[:80]})" for e in near]


def _where(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in loc if "[" not in str(step))


def lacking(model: BaseModel, spared: frozenset[str] = frozenset()) -> list[str]:
    """The fields that a pydantic model's own descriptions call required and its types do not, where they are missing."""
    missing: list[str] = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        where = f"{type(model).__name__}.{name}"
        if (
            value is None
            and (field.description or "").startswith("Required.")
            and where not in spared
        ):
            missing.append(f"{where}: required, and not there")
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, BaseModel):
                missing += lacking(inner, spared)
    return missing
