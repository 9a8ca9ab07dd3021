"""Checks values against a server's schema, in bounded time, whatever the server has written into it.

Rules:
1. References are followed within the schema only, never over the network, and only so many for one value.
2. Patterns are matched by pydantic's engine, whose time is linear. A pattern that it does not know (look-around,
   back-references) is left to the server; so is what is too large to be compared here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import SchemaError, SchemaValidator, core_schema

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

MAX_REFERENCES = 5_000
"""References that are followed for one value: a schema of thirty lines can have a thousand million of them."""
MAX_WORK = 10**9
"""Bytes of a schema times bytes of a value, at most."""
MAX_COMPARED = 1_000
"""Items that are compared with each other."""
MAX_ERRORS = 20
"""Errors that are reported of one value."""

Json: TypeAlias = Any
"""A value of JSON: a schema, a part of it, or what is checked against it."""
Validator: TypeAlias = Any
"""One of jsonschema's, which has no types."""
Errors = Iterator["ValidationError"]
KeywordCheck = Callable[[Validator, Json, Json, Json], "Errors | None"]
"""How jsonschema calls what checks a keyword: with itself, the keyword's value, the value, and the schema around it."""

_left: ContextVar[int] = ContextVar("references that may still be followed", default=MAX_REFERENCES)


def problems_of(schema: Json, value: Json) -> list[str]:
    """What does not fit, each with its place.

    Raises:
        ValueError: the schema is not one, or cannot be followed.
    """
    text = json.dumps(schema)
    validator = _validator(text)
    size = len(json.dumps(value, default=str))
    if len(text) * size > MAX_WORK:  # rule 2: the server compares it itself
        return []
    token = _left.set(MAX_REFERENCES)
    try:
        errors = list(islice(validator.iter_errors(value), MAX_ERRORS))
    except Exception as error:  # a reference that leads nowhere, a schema that never ends
        raise ValueError(f"it cannot be followed: {type(error).__name__}") from None
    finally:
        _left.reset(token)
    return [_problem(error) for error in errors]


def _problem(error: ValidationError) -> str:
    place = ".".join(str(step) for step in error.absolute_path)
    return f"{place}: {error.message}" if place else str(error.message)


def check_schema(schema: Json) -> None:
    """Refuses what is not a JSON schema.

    Raises:
        ValueError: why it is not.
    """
    _validator(json.dumps(schema))


@lru_cache(maxsize=4096)
def _validator(text: str) -> Validator:
    from jsonschema.exceptions import SchemaError as NotASchema
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    kind = validator_for(json.loads(text))
    schema = json.loads(text, object_hook=_without_dialect)
    try:
        kind.check_schema(schema)
    except (NotASchema, RecursionError) as error:
        reason = getattr(error, "message", type(error).__name__)
        raise ValueError(str(reason)[:300]) from None
    # In place of jsonschema's own checks, those whose time a server could make as long as it likes.
    checks: dict[str, KeywordCheck] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "uniqueItems": _unique_items(kind.VALIDATORS["uniqueItems"]),
        "additionalProperties": _additional_properties,
    }
    for name, check in kind.VALIDATORS.items():
        if name.endswith(("$ref", "Ref")):
            checks[name] = _counted(check)
    if '"patternProperties"' in text:
        checks["unevaluatedProperties"] = _left_to_the_server
    # An empty registry: nothing is fetched.
    return extend(kind, checks)(schema, registry=Registry())


def _without_dialect(part: dict[str, Json]) -> dict[str, Json]:
    """Without a `$schema` of its own: the part would be checked by the plain checks of that."""
    if isinstance(part.get("$schema"), str):
        del part["$schema"]
    return part


@lru_cache(maxsize=4096)
def _engine(pattern: str) -> SchemaValidator | None:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return None


def _matches(pattern: str, text: str) -> bool:
    engine = _engine(pattern)
    return engine is None or bool(engine.isinstance_python(text))


# -- keywords, as jsonschema calls them ------------------------------------------------------------
def _counted(check: KeywordCheck) -> KeywordCheck:
    def counted(validator: Validator, reference: Json, value: Json, schema: Json) -> Errors:
        left = _left.get()
        if not left:
            raise RecursionError
        _left.set(left - 1)
        yield from check(validator, reference, value, schema) or ()

    return counted


def _pattern(validator: Validator, pattern: str, value: Json, schema: Json) -> Errors:
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and not _matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Validator, patterns: Mapping[str, Json], value: Json, schema: Json
) -> Errors:
    if not isinstance(value, dict):
        return
    for pattern, inner in patterns.items():
        if _engine(pattern) is None:
            continue
        for key in value:
            if _matches(pattern, key):
                yield from validator.descend(value[key], inner, path=key, schema_path=pattern)


def _additional_properties(validator: Validator, rule: Json, value: Json, schema: Json) -> Errors:
    from jsonschema.exceptions import ValidationError

    if not isinstance(value, dict):
        return
    extra = [key for key in value if not _is_declared(key, schema)]
    if isinstance(rule, dict):
        for key in extra:
            yield from validator.descend(value[key], rule, path=key)
    elif rule is False and extra:
        names = ", ".join(repr(key) for key in extra[:MAX_ERRORS])
        verb = "was" if len(extra) == 1 else "were"
        yield ValidationError(f"Additional properties are not allowed ({names} {verb} unexpected)")


def _is_declared(key: str, schema: Json) -> bool:
    if key in schema.get("properties", {}):
        return True
    patterns = schema.get("patternProperties", {})
    return any(_matches(pattern, key) for pattern in patterns)


def _unique_items(check: KeywordCheck) -> KeywordCheck:
    def unique(validator: Validator, rule: Json, value: Json, schema: Json) -> Errors:
        if isinstance(value, list) and len(value) <= MAX_COMPARED:
            yield from check(validator, rule, value, schema) or ()

    return unique


def _left_to_the_server(validator: Validator, rule: Json, value: Json, schema: Json) -> Errors:
    return iter(())
