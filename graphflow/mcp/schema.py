"""A server's schema, held against values in bounded time, whatever the server has written into it.

Rules:
1. References are followed within the schema only, never over the network, and so many for one value.
2. Patterns are matched by pydantic's engine, whose time is linear. One that it does not know (look-around, references
   back) is left to the server; so is what is too large to be compared here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, core_schema

REFERENCES = 5_000
"""References that are followed for one value: a schema of thirty lines can have a milliard of them."""
WORK = 10**9
"""Bytes of a schema times bytes of a value, at most."""
ALIKE = 1_000
"""Items that are compared with each other."""
TOLD = 20
"""Errors that are told of one value."""

_left: ContextVar[int] = ContextVar("references that may still be followed", default=REFERENCES)


def wrong_with(schema: Any, value: Any) -> list[str]:
    """What does not fit, each with its place.

    Raises:
        ValueError: the schema is none, or cannot be followed.
    """
    text = json.dumps(schema)
    validator = _validator(text)
    if len(text) * len(json.dumps(value, default=str)) > WORK:
        return []
    token = _left.set(REFERENCES)
    try:
        errors = list(islice(validator.iter_errors(value), TOLD))
    except Exception as error:  # a reference that leads nowhere, a schema that never ends
        raise ValueError(f"it cannot be followed: {type(error).__name__}") from None
    finally:
        _left.reset(token)
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}".removeprefix(": ") for e in errors]


def check_schema(schema: Any) -> None:
    """Refuses what is no JSON schema.

    Raises:
        ValueError: why it is none.
    """
    _validator(json.dumps(schema))


@lru_cache(maxsize=4096)
def _validator(text: str) -> Any:
    from jsonschema.exceptions import SchemaError as NoSchema
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    kind = validator_for(json.loads(text))
    schema = json.loads(text, object_hook=_without_dialect)
    try:
        kind.check_schema(schema)
    except (NoSchema, RecursionError) as error:
        raise ValueError(str(getattr(error, "message", type(error).__name__))[:300]) from None
    own = {name: _counted(check) for name, check in kind.VALIDATORS.items() if name.endswith(("$ref", "Ref"))}
    own |= {"pattern": _pattern, "patternProperties": _by_pattern, "uniqueItems": _unique(kind)}
    own["additionalProperties"] = _additional
    if '"patternProperties"' in text:
        own["unevaluatedProperties"] = _left_to_the_server
    return extend(kind, own)(schema, registry=Registry())


def _without_dialect(part: dict[str, Any]) -> dict[str, Any]:
    """Without a `$schema` of its own: it would be checked by the plain rules of that."""
    return {key: inner for key, inner in part.items() if key != "$schema" or not isinstance(inner, str)}


@lru_cache(maxsize=4096)
def _engine(pattern: str) -> SchemaValidator | None:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return None


def _matches(pattern: str, text: str) -> bool:
    engine = _engine(pattern)
    return engine is None or bool(engine.isinstance_python(text))


# -- keywords, as jsonschema calls them --------------------------------------------------------------------------------
def _counted(check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    def counted(validator: Any, reference: Any, value: Any, schema: Any) -> Iterator[Any]:
        left = _left.get()
        if not left:
            raise RecursionError
        _left.set(left - 1)
        yield from check(validator, reference, value, schema) or ()

    return counted


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and not _matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _by_pattern(validator: Any, patterns: Mapping[str, Any], value: Any, schema: Any) -> Iterator[Any]:
    for pattern, inner in patterns.items() if isinstance(value, dict) else ():
        for key in value:
            if _engine(pattern) is not None and _matches(pattern, key):
                yield from validator.descend(value[key], inner, path=key, schema_path=pattern)


def _additional(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [key for key in value if key not in known and not any(_matches(pattern, key) for pattern in patterns)]
    if isinstance(rule, dict):
        for key in extra:
            yield from validator.descend(value[key], rule, path=key)
    elif rule is False and extra:
        told = ", ".join(map(repr, extra[:TOLD]))
        verb = "was" if len(extra) == 1 else "were"
        yield ValidationError(f"Additional properties are not allowed ({told} {verb} unexpected)")


def _unique(kind: Any) -> Callable[..., Iterator[Any]]:
    plain = kind.VALIDATORS["uniqueItems"]

    def unique(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[Any]:
        if isinstance(value, list) and len(value) <= ALIKE:
            yield from plain(validator, rule, value, schema) or ()

    return unique


def _left_to_the_server(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[Any]:
    return iter(())
