"""JSON schemas as the vendors take them: OpenAI's strict ones, Anthropic's strict ones, Gemini's OpenAPI subset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Fault = tuple[tuple[str, ...], str]
"""Where in the schema, and what is wrong there."""

_NESTED = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_SINGLE = (
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
)
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")

_OPENAI_FORBIDDEN = {
    "allOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else", "oneOf", "default",
    "patternProperties", "unevaluatedProperties", "propertyNames", "minProperties", "maxProperties",
    "unevaluatedItems", "contains", "minContains", "maxContains", "uniqueItems",
}  # fmt: skip

_ANTHROPIC_FORBIDDEN = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
    "uniqueItems", "minProperties", "maxProperties", "patternProperties", "propertyNames", "if", "then", "else", "not",
    "contains",
}  # fmt: skip

GEMINI_KEYS = {
    "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
    "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
    "default", "items", "minimum", "maximum",
}  # fmt: skip
_GEMINI_TYPES = {
    "STRING",
    "NUMBER",
    "INTEGER",
    "BOOLEAN",
    "ARRAY",
    "OBJECT",
    "NULL",
    "TYPE_UNSPECIFIED",
}


def _walk(
    schema: Any, at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every schema inside a schema, itself first."""
    if not isinstance(schema, dict):
        return
    yield at, schema
    for key in _NESTED:
        for name, part in (schema.get(key) or {}).items():
            yield from _walk(part, (*at, key, name))
    for key in _SINGLE:
        yield from _walk(schema.get(key), (*at, key))
    for key in _LISTS:
        for index, part in enumerate(schema.get(key) or []):
            yield from _walk(part, (*at, key, str(index)))


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return (
        kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
    )


def openai_strict(schema: Any) -> Fault | None:
    """What OpenAI has against a schema with `strict: true`."""
    if isinstance(schema, dict) and "anyOf" in schema:
        return (), "schema must have type 'object' and not have 'anyOf' at the top level."
    for at, part in _walk(schema):
        if _is_object(part):
            if part.get("additionalProperties") is not False:
                return at, "'additionalProperties' is required to be supplied and to be false."
            missing = [
                name for name in part.get("properties", {}) if name not in part.get("required", [])
            ]
            if missing or ("required" not in part and part.get("properties")):
                return at, (
                    "'required' is required to be supplied and to be an array including every key in properties. "
                    f"Missing '{missing[0]}'."
                )
            extra = [
                name for name in part.get("required", []) if name not in part.get("properties", {})
            ]
            if extra:
                return (
                    at,
                    f"'required' is required to be supplied and to hold only properties. Extra required key '{extra[0]}' supplied.",
                )
        if "$ref" in part and len(part) > 1:
            return at, f"$ref cannot have keywords {sorted(set(part) - {'$ref'})}."
        for key in part:
            if key in _OPENAI_FORBIDDEN:
                return at, f"'{key}' is not permitted."
        if part.get("type") == "array" and "items" not in part:
            return at, "array schema missing items."
        if not {"type", "$ref", "anyOf", "enum", "const"} & set(part):
            return at, "schema must have a 'type' key."
    return None


def anthropic_strict(schema: Any) -> str | None:
    """What Anthropic has against the schema of a strict tool or of a structured output."""
    for _, part in _walk(schema):
        kind = part.get("type", "object")
        if _is_object(part) and part.get("additionalProperties") is not False:
            return "For 'object' type, 'additionalProperties' must be explicitly set to false"
        bad = sorted(set(part) & _ANTHROPIC_FORBIDDEN)
        if bad:
            return f"For '{kind}' type, properties {', '.join(bad)} are not supported"
        if part.get("minItems", 0) not in (0, 1):
            return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
        if "oneOf" in part:
            return "Schema type 'oneOf' is not supported"
    return None


def camel(key: str) -> str:
    """A name as the JSON mapping of protocol buffers spells it; both spellings are taken."""
    head, *tail = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in tail) if head else key


def gemini_subset(schema: Any, where: str) -> Iterator[tuple[bool, str, str]]:
    """What Gemini has against a schema in `parameters` or `responseSchema`.

    Yields (the parser refused it, where, what): what the parser refuses is worded otherwise than what the API refuses.
    """
    if not isinstance(schema, dict):
        yield (
            True,
            where,
            f"Invalid value at '{where}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)",
        )
        return
    fields = {camel(key): value for key, value in schema.items()}
    for key in schema:
        if camel(key) not in GEMINI_KEYS or key.startswith("$"):
            yield (
                True,
                where,
                f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}': Cannot find field.",
            )
    kind = fields.get("type")
    if isinstance(kind, list):
        yield (
            True,
            where,
            (
                f"Invalid JSON payload received. Unknown name \"type\" at '{where}': "
                "Proto field is not repeating, cannot start list."
            ),
        )
        return
    if kind is not None and str(kind).upper() not in _GEMINI_TYPES:
        yield (
            True,
            where,
            f"Invalid value at '{where}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), \"{kind}\"",
        )
    for index, value in enumerate(fields.get("enum") or []):
        if not isinstance(value, str):
            yield True, where, f"Invalid value at '{where}.enum[{index}]' (TYPE_STRING), {value}"
    yield from _gemini_meaning(fields, str(kind or "").upper(), where)
    for name, part in (fields.get("properties") or {}).items():
        yield from gemini_subset(part, f"{where}.properties[{name}]")
    if "items" in fields:
        yield from gemini_subset(fields["items"], f"{where}.items")
    for index, part in enumerate(fields.get("anyOf") or []):
        yield from gemini_subset(part, f"{where}.any_of[{index}]")


def _gemini_meaning(
    fields: dict[str, Any], kind: str, where: str
) -> Iterator[tuple[bool, str, str]]:
    if not kind and "anyOf" not in fields:
        yield False, where, f"{where}.type: must be specified"
    if kind == "ARRAY" and "items" not in fields:
        yield False, where, f"{where}.items: missing field."
    if kind == "STRING" and fields.get("format") not in (None, "enum", "date-time"):
        yield (
            False,
            where,
            f"{where}.format: only 'enum' and 'date-time' are supported for STRING type",
        )
    if fields.get("enum") and kind != "STRING":
        yield False, where, f"{where}.enum: only allowed for STRING type"
    if fields.get("properties") and kind != "OBJECT":
        yield False, where, f"{where}.properties: only allowed for OBJECT type"
    for index, name in enumerate(fields.get("required") or []):
        if name not in (fields.get("properties") or {}):
            yield False, where, f"{where}.required[{index}]: property is not defined"
