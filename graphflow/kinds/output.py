"""Typed output of a model: the schema it is shown, and how its text becomes a value again."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from graphflow.errors import OutputInvalid
from graphflow.messages.message import Type, adapter_of, type_name
from graphflow.model.reply import fenced_blocks

WRAPPER = "result"
"""The field that carries what is no JSON object itself: providers want an object at the root of a schema."""


@lru_cache(maxsize=1024)
def output_schema(kind: Type) -> tuple[dict[str, Any] | None, bool]:
    """The JSON schema of an output type and whether it is wrapped in an object; None for free text."""
    if kind is str or kind is Any:
        return None, False
    schema = adapter_of(kind).json_schema()
    wrapped = schema.get("type") != "object"
    if wrapped:
        definitions = schema.pop("$defs", None)
        schema = {"type": "object", "properties": {WRAPPER: schema}, "required": [WRAPPER]}
        if definitions:
            schema["$defs"] = definitions
    _close(schema)
    return schema, wrapped


def _close(schema: Any) -> None:
    """Objects take no fields but their own: small models invent keys until their tokens run out otherwise."""
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if part.get("type") == "object" and "properties" in part:
                part.setdefault("additionalProperties", False)
            if isinstance(part.get("title"), str):
                del part["title"]
            todo += [value for key, value in part.items() if key not in ("default", "examples", "const", "enum")]
        elif isinstance(part, list):
            todo += part


def read_output(text: str, kind: Type, wrapped: bool) -> Any:
    """The value that a model's text spells.

    Raises:
        OutputInvalid: it is no JSON, or does not fit; the text can be shown to the model.
    """
    data = _json_in(text, kind)
    if wrapped and isinstance(data, dict) and set(data) == {WRAPPER}:
        data = data[WRAPPER]
    try:
        return adapter_of(kind).validate_python(data)
    except ValidationError:
        pass
    try:
        return adapter_of(kind).validate_json(to_json(data))  # as JSON: a strict model takes a date as a text there
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors())
        raise OutputInvalid(f"the answer does not fit {type_name(kind)}: {details}") from None


def _json_in(text: str, kind: Type) -> Any:
    candidates = [text, *fenced_blocks(text)]
    opened = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
    closed = max(text.rfind("}"), text.rfind("]"))
    if 0 <= opened < closed:
        candidates.append(text[opened : closed + 1])
    for candidate in candidates:
        try:
            return from_json(candidate.strip())
        except ValueError:
            continue
    raise OutputInvalid(f"the answer is not JSON, and {type_name(kind)} was asked for: {text[:200]!r}")
