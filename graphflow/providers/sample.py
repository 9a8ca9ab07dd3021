"""The smallest value that fits a JSON schema: what a model says that knows nothing but the form of its answer.

The words are those of JSON Schema 2020-12 which pydantic writes. A `pattern` is not looked at.
"""

from __future__ import annotations

from math import ceil

from graphflow.errors import DeclarationError
from graphflow.model.seam import JsonSchema

MAX_DEPTH = 40
"""How deep a value may be nested; a type that needs itself has no end."""
_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.org/",
    "email": "someone@example.org",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
_DIGITS_BEHIND = 9
"""A float above an excluded bound is above it by 10 to the power of minus this."""


def sample(schema: JsonSchema) -> object:
    """The smallest value that fits: required fields only, the first of several, the least of a range.

    Raises:
        DeclarationError: the schema needs itself, or points to a definition that it does not have.
    """
    return _Sampler(schema.get("$defs", {})).value(schema, 0)


class _Sampler:
    def __init__(self, definitions: JsonSchema) -> None:
        self.definitions = definitions

    def value(self, schema: JsonSchema, depth: int) -> object:
        if depth > MAX_DEPTH:
            # Far above what people nest, and far below what Python's stack takes.
            raise DeclarationError("mock:echo: the type of the answer needs itself without an end")
        for word in ("default", "const"):
            if word in schema:
                value: object = schema[word]
                return value
        if "enum" in schema:
            [first, *_] = schema["enum"]
            return first
        if "$ref" in schema:
            return self.value(self._definition(schema["$ref"]), depth + 1)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._first_of(schema[word], depth)
        return self._of_type(schema, depth)

    def _definition(self, pointer: str) -> JsonSchema:
        name = pointer.removeprefix("#/$defs/")
        if name not in self.definitions:
            raise DeclarationError(f"mock:echo: the schema has no definition {pointer!r}")
        found: JsonSchema = self.definitions[name]
        return found

    def _first_of(self, choices: list[JsonSchema], depth: int) -> object:
        """The simplest that has an end: nothing rather than a leaf, and a leaf rather than another tree."""
        *simpler, last = sorted(choices, key=_weight)
        for choice in simpler:
            try:
                return self.value(choice, depth + 1)
            except DeclarationError:
                continue
        return self.value(last, depth + 1)

    def _of_type(self, schema: JsonSchema, depth: int) -> object:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = "null" if "null" in kind else kind[0]
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return _text(schema)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return False
            case _:  # null, and a schema that takes anything
                return None

    def _object(self, schema: JsonSchema, depth: int) -> object:
        fields = schema.get("properties", {})
        required = schema.get("required", ())
        return {name: self.value(fields.get(name, {}), depth + 1) for name in required}

    def _array(self, schema: JsonSchema, depth: int) -> object:
        first = schema.get("prefixItems", [])
        items = [self.value(item, depth + 1) for item in first]
        wanted = schema.get("minItems", 0) - len(items)
        further = schema.get("items", {})
        items += [self.value(further, depth + 1) for _ in range(wanted)]
        return items


def _weight(schema: JsonSchema) -> int:
    """How much a value of this schema may hold: 0 = nothing, 1 = one thing, 2 = others."""
    kind = schema.get("type")
    if kind == "null":
        return 0
    return 2 if "$ref" in schema or kind in ("object", "array") else 1


def _text(schema: JsonSchema) -> str:
    known = _FORMATS.get(schema.get("format", ""), "text")
    padded = known.ljust(schema.get("minLength", 0), "x")
    return padded[: schema.get("maxLength")]


def _number(schema: JsonSchema, *, whole: bool) -> int | float:
    least = schema.get("minimum", 0)
    most = schema.get("maximum", least)
    value = min(least, most)
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        value = _beside(schema["exclusiveMaximum"], -1, whole=whole)
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        value = _beside(schema["exclusiveMinimum"], 1, whole=whole)
    step = schema.get("multipleOf")
    if step:  # upwards: the bound below holds
        value = ceil(value / step) * step
    return int(value) if whole else value


def _beside(bound: float, side: int, *, whole: bool) -> float:
    """The number next to a bound that is excluded itself."""
    return bound + side if whole else bound + side * 10**-_DIGITS_BEHIND
