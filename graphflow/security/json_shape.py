"""A guard of the shape of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from graphflow.concurrency import in_thread
from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guard
from graphflow.messages.types import Type, adapter_of, schema_of, type_name
from graphflow.plain import to_json_value
from graphflow.security.text_guard import LARGE

SHOWN = 3
"""Places that are named."""


@dataclass(frozen=True, slots=True)
class JsonShape(Guard):
    """Rejects what is not JSON of a type: a text is read as JSON, any other message is taken as the JSON that it is.

    Attributes:
        type: the type, as annotations write it: a pydantic model, `list[int]`, `dict[str, float]`...
    """

    type: Type
    name = "JSON shape"

    async def check(self, message: object, ctx: Context) -> str | None:
        if isinstance(message, str) and len(message) > LARGE:
            return await in_thread(self._judge, message)
        return self._judge(message)

    def _judge(self, message: object) -> str | None:
        adapter = adapter_of(self.type)
        try:
            if isinstance(message, str):
                adapter.validate_json(message)
            else:
                adapter.validate_python(to_json_value(message))
        except ValidationError as error:
            problem = error
        else:
            return None
        kind = type_name(self.type)
        details = self._details(problem)
        return f"it is not JSON of type {kind} ({details})"

    def _details(self, error: ValidationError) -> str:
        """What is wrong, without a word of what was given: names of places are told if they are the type's own."""
        known = frozenset(_names_in(schema_of(self.type)))
        parts: list[str] = []
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        for problem in problems[:SHOWN]:
            places = [
                str(place) for place in problem["loc"] if place in known or isinstance(place, int)
            ]
            where = ".".join(places)
            parts.append(f"{where}: {problem['type']}" if where else problem["type"])
        if len(problems) > SHOWN:
            parts.append(f"{len(problems) - SHOWN} more")
        return "; ".join(parts)


def _names_in(schema: Any) -> Iterator[str]:
    """The names of fields that a JSON schema gives."""
    if isinstance(schema, list):
        for part in schema:
            yield from _names_in(part)
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if isinstance(properties, dict):
        yield from properties
    for part in schema.values():
        yield from _names_in(part)
