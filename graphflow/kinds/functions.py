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
from graphflow.model.seam import JsonSchema
from graphflow.plain import check_integers

_MODULES = """asyncio base64 bisect collections copy csv dataclasses datetime decimal functools
hashlib itertools json math os pathlib random re sys time typing unicodedata"""
MODULES = tuple(_MODULES.split())
"""What code can import (pydantic-monty 1.4, tried one by one); `os` and `pathlib` reach nothing."""
FIND = "find_functions"
"""What finds the functions that are too many to be listed."""
TAKEN = frozenset([*dir(builtins), *keyword.kwlist, *MODULES, FIND])
LONG = 200
"""Characters of a description beside a signature."""


def function_name(node: str) -> str:
    """What a node is called in code: its own name, if that is an identifier that means nothing else there."""
    name = re.sub(r"\W", "_", node)
    if not name or name[0].isdigit():
        name = f"_{name}"
    if name in TAKEN:
        name += "_"
    return name


def clashes(nodes: Sequence[str]) -> list[str]:
    """What is wrong with names that become the same in code."""
    problems: list[str] = []
    known: dict[str, str] = {}
    for node in nodes:
        function = function_name(node)
        other = known.setdefault(function, node)
        if other != node:
            problems.append(
                f"its calls {other!r} and {node!r} would both be the function {function!r} in code; "
                "rename one with .named(...)"
            )
    return problems


def signature_line(node: AnyNode) -> str:
    """A node as one line of Python, as in `search(query: str, limit: int = 5) -> list[str]: Search the handbook`."""
    spec = spec_of(node)
    parameters = ", ".join(_parameters(spec.parameters))
    name = function_name(node.name)
    answer = _answer(node)
    line = f"{name}({parameters}) -> {answer}"
    words = spec.description.split()
    summary = " ".join(words)
    if not summary:
        return line
    if len(summary) > LONG:
        summary = summary[:LONG] + "..."
    return f"{line}: {summary}"


def _parameters(schema: JsonSchema) -> list[str]:
    """The parameters of a function whose arguments have this schema, as Python writes them."""
    required = schema.get("required", ())
    definitions = schema.get("$defs", {})
    properties = schema.get("properties", {})
    parameters: list[str] = []
    for name, field in properties.items():
        kind = _python_type(field, definitions)
        parameter = f"{name}: {kind}"
        if name not in required:
            default = field.get("default")
            parameter += f" = {default!r}"
        parameters.append(parameter)
    return parameters


_PLAIN_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict",
}
DEEPEST = 4
"""Levels of a type that are written out: a schema may hold itself."""


def _python_type(schema: object, definitions: JsonSchema, depth: int = 0) -> str:
    """A JSON schema as Python writes the type."""
    if depth > DEEPEST:
        return "Any"
    below = depth + 1
    match schema:
        case {"$ref": str(reference)}:
            _, _, name = reference.rpartition("/")
            return _python_type(definitions.get(name), definitions, below)
        case {"enum": values}:
            listed = ", ".join(map(repr, values))
            return f"Literal[{listed}]"
        case {"const": value}:
            return f"Literal[{value!r}]"
        case {"anyOf": [*alternatives]} | {"oneOf": [*alternatives]} if alternatives:
            types = [_python_type(each, definitions, below) for each in alternatives]
            return " | ".join(dict.fromkeys(types))
        case {"type": "array", **rest}:
            item = _python_type(rest.get("items"), definitions, below)
            return f"list[{item}]"
        case {"type": "object", **rest}:
            return _object_type(rest, definitions, depth)
        case {"type": str(kind)}:
            return _PLAIN_TYPES.get(kind, "Any")
    return "Any"


def _object_type(schema: Mapping[object, Any], definitions: JsonSchema, depth: int) -> str:
    """An object with fields as `{"name": str}`, one with any keys as `dict[str, int]`."""
    properties = schema.get("properties")
    below = depth + 1
    if properties:
        fields: list[str] = []
        for name, field in properties.items():
            kind = _python_type(field, definitions, below)
            fields.append(f'"{name}": {kind}')
        listed = ", ".join(fields)
        return f"{{{listed}}}"
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        kind = _python_type(values, definitions, below)
        return f"dict[str, {kind}]"
    return "dict"


def _answer(node: AnyNode) -> str:
    try:
        schema = adapter_of(node.output).json_schema(mode="serialization")
    except Exception:  # whatever pydantic cannot describe has a name at least
        return type_name(node.output)
    definitions = schema.get("$defs", {})
    return _python_type(schema, definitions)


def _fields(node: AnyNode) -> list[str]:
    arguments = getattr(node, "arguments", None)
    if isinstance(arguments, type) and issubclass(arguments, BaseModel):
        return list(arguments.model_fields)  # its schema says the same, and takes 0.3 ms to make
    schema = spec_of(node).parameters
    properties = schema.get("properties", {})
    return list(properties)


def arguments_for(node: AnyNode, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a node is given for `f(*args, **kwargs)`, checked as a model's call is.

    Raises:
        TypeError: there are too many arguments, or one twice.
        ArgumentsInvalid: they do not fit.
        ResultInvalid: one is not plain data.
    """
    name = function_name(node.name)
    fields = _fields(node)
    count = len(args)
    if count > len(fields):
        taken = ", ".join(fields) or "no arguments"
        raise TypeError(f"{name}() takes {taken}, and was given {count} arguments")
    given = dict(zip(fields, args, strict=False))
    for key, value in kwargs.items():
        if key in given:
            raise TypeError(f"{name}() got multiple values for argument {key!r}")
        given[key] = value
    # Through text, as a model's call comes: what its JSON cannot say, code cannot say either.
    plain = plain_value(name, given)
    data = to_json(plain)
    return read_for(node, data.decode())


def plain_value(whose: str, value: Any) -> Any:
    """A value as plain data, what JSON can carry; media as their labels.

    Raises:
        ResultInvalid: it cannot be written as one.
    """
    if value is None or type(value) is bool:
        return value
    try:
        check_integers(value)
        may_hold_media = isinstance(value, (BaseModel, list, tuple, dict))
        if may_hold_media and media_in(value):
            value = without_media(value)
        data = to_json(value, inf_nan_mode="constants", bytes_mode="utf8", fallback=_fields_of)
        return from_json(data)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        kind = type(value).__name__
        reason = str(error)[:200]
        problem = f"{whose!r}: {kind} cannot be handed over, for it is not plain data: {reason}"
        raise ResultInvalid(problem) from None


def _fields_of(value: Any) -> Any:
    """An instance of a class that the code itself has declared, as its fields."""
    fields = getattr(value, "attributes", None)
    if isinstance(fields, dict) and hasattr(value, "name"):
        return fields
    raise ValueError(f"there is a {type(value).__name__} in it")
