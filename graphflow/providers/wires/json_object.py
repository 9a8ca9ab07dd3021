"""JSON objects: what requests are made of, and what replies are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

Json = dict[str, Any]


def present(**fields: Any) -> Json:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def merge(body: Json, extra: Mapping[str, Any]) -> Json:
    """`body` with `extra` laid over it: objects into objects, lists after lists (each item once); None takes a key away."""
    if not extra:
        return body
    whole = dict(body)
    for key, value in extra.items():
        own = whole.get(key)
        if value is None:
            whole.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(own, dict):
            whole[key] = merge(own, value)
        elif isinstance(value, list) and isinstance(own, list):
            new = [item for item in value if item not in own]
            whole[key] = own + new
        else:
            whole[key] = value
    return whole


def arguments_of(text: str) -> Json:
    """A call's arguments as an object. "", "null" and what is not an object (a reply that was cut) mean no arguments."""
    if not text:
        return {}
    try:
        arguments = from_json(text)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}
