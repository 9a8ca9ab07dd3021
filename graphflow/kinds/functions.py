"""Nodes as functions for code: their names, signatures, arguments and answers.

What crosses is plain data, exactly what JSON can carry: a model arrives as a dict of its fields.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json

from graphflow.declaration.node import AnyNode
from graphflow.errors import ResultInvalid
from graphflow.kinds.tool import read_for, spec_of
from graphflow.messages.media import media_in, without_media
from graphflow.messages.types import adapter_of, type_name
from graphflow.plain import check_integers

MODULES = (
    *("asyncio", "base64", "bisect", "collections", "copy", "csv", "dataclasses", "datetime", "decimal", "functools"),
    *("hashlib", "itertools", "json", "math", "os", "pathlib", "random", "re", "sys", "time", "typing", "unicodedata"),
)
"""What code can import (pydantic-monty 1.4, tried one by one); `os` and `pathlib` reach nothing."""
TAKEN = frozenset([*dir(builtins), *keyword.kwlist, *MODULES])
LONG = 200
"""Characters of a description beside a signature."""


def function_name(node: str) -> str:
    """What a node is called in code: its own name, if that is an identifier that means nothing else there."""
    name = re.sub(r"\W", "_", node)
    if not name or name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name in TAKEN else name


def clashes(nodes: Sequence[str]) -> list[str]:
    """What is wrong with names that become the same in code."""
    problems = []
    known: dict[str, str] = {}
    for node in nodes:
        other = known.setdefault(function_name(node), node)
        if other != node:
            problems.append(
                f"its calls {other!r} and {node!r} would both be the function {function_name(node)!r} in code; "
                "rename one with .named(...)"
            )
    return problems


def told(node: AnyNode) -> str:
    """A node as one line of Python, as in `search(query: str, limit: int = 5) -> list[str]: Search the handbook`."""
    spec = spec_of(node)
    needed = spec.parameters.get("required", ())
    defined = spec.parameters.get("$defs", {})
    shown = []
    for name, schema in spec.parameters.get("properties", {}).items():
        kind = _kind(schema, defined)
        default = "" if name in needed else f" = {schema.get('default')!r}"
        shown.append(f"{name}: {kind}{default}")
    summary = " ".join(spec.description.split())
    summary = summary if len(summary) <= LONG else f"{summary[:LONG]}..."
    return f"{function_name(node.name)}({', '.join(shown)}) -> {_answer(node)}" + (f": {summary}" if summary else "")


_KINDS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict"}


def _kind(schema: Any, defined: Mapping[str, Any], depth: int = 0) -> str:
    """A JSON schema as Python writes the type."""
    if not isinstance(schema, Mapping) or depth > 4:
        return "Any"
    if "$ref" in schema:
        return _kind(defined.get(str(schema["$ref"]).rsplit("/", 1)[-1]), defined, depth + 1)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(map(repr, values))}]"
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        return " | ".join(dict.fromkeys(_kind(one, defined, depth + 1) for one in several))
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_kind(schema.get('items'), defined, depth + 1)}]"
    if kind == "object" and schema.get("properties"):
        fields = (f'"{name}": {_kind(one, defined, depth + 1)}' for name, one in schema["properties"].items())
        return "{" + ", ".join(fields) + "}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"dict[str, {_kind(schema['additionalProperties'], defined, depth + 1)}]"
    return _KINDS.get(str(kind), "Any")


def _answer(node: AnyNode) -> str:
    try:
        schema = adapter_of(node.output).json_schema(mode="serialization")
    except Exception:  # whatever pydantic cannot describe has a name at least
        return type_name(node.output)
    return _kind(schema, schema.get("$defs", {}))


def _fields(node: AnyNode) -> list[str]:
    arguments = getattr(node, "arguments", None)
    if isinstance(arguments, type) and issubclass(arguments, BaseModel):
        return list(arguments.model_fields)  # its schema says the same, and takes 0.3 ms to make
    return list(spec_of(node).parameters.get("properties", {}))


def bound(node: AnyNode, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a node is given for `f(*args, **kwargs)`, checked as a model's call is.

    Raises:
        TypeError: there are too many arguments, or one twice.
        ArgumentsInvalid: they do not fit.
        ResultInvalid: one is no plain data.
    """
    name = function_name(node.name)
    fields = _fields(node)
    if len(args) > len(fields):
        raise TypeError(f"{name}() takes {', '.join(fields) or 'no arguments'}, and was given {len(args)} arguments")
    given = dict(zip(fields, args, strict=False))
    twice = [key for key in kwargs if key in given]
    if twice:
        raise TypeError(f"{name}() got multiple values for argument {twice[0]!r}")
    return read_for(node, to_json(crossing(name, given | dict(kwargs))).decode())


def crossing(whose: str, value: Any) -> Any:
    """A value as plain data, what JSON can carry; media as their labels.

    Raises:
        ResultInvalid: it is no such thing.
    """
    if value is None or type(value) is bool:
        return value
    try:
        check_integers(value)
        if isinstance(value, (BaseModel, list, tuple, dict)) and media_in(value):
            value = without_media(value)
        return from_json(to_json(value, inf_nan_mode="constants", bytes_mode="utf8", fallback=_opened))
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise ResultInvalid(
            f"{whose!r}: {type(value).__name__} cannot be handed over, for it is no plain data: {str(error)[:200]}"
        ) from None


def _opened(value: Any) -> Any:
    """An instance of a class that the code itself has declared, as its fields."""
    fields = getattr(value, "attributes", None)
    if isinstance(fields, dict) and hasattr(value, "name"):
        return fields
    raise ValueError(f"there is a {type(value).__name__} in it")
