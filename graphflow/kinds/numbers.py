"""Numbers in arguments that are none: NaN and infinities.

JSON has no word for them, and models write them all the same. Pydantic takes them unless it is told otherwise. A comparison
with NaN is false whatever is compared, so a limit that a tool checks would let it pass: here they are refused unless the
type says itself that it takes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING

from pydantic import BaseModel

from graphflow.messages.types import Type, adapter_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NO_NUMBER = "NaN and infinities are not JSON numbers; give finite ones"


_NEVER = (str, int, bool, type(None))
"""Types whose values are always numbers of JSON or none at all: most arguments are of these, and need no second look."""


def holds_no_number(value: object) -> bool:
    """Whether NaN or an infinity was given somewhere in a value; what a declaration has as its default was not given."""
    if isinstance(value, float):
        return not isfinite(value)
    for part in _given_parts(value):
        if type(part) not in _NEVER and holds_no_number(part):
            return True
    return False


def _given_parts(value: object) -> Iterable[object]:
    if isinstance(value, BaseModel):
        return [getattr(value, name) for name in value.model_fields_set]
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return _changed_fields(value)
    return ()


def _changed_fields(value: DataclassInstance) -> list[object]:
    """The fields of a dataclass that are not their defaults; what was given is not known of these."""
    parts: list[object] = []
    for field in fields(value):
        part = getattr(value, field.name)
        if part is not field.default:
            parts.append(part)
    return parts


@lru_cache(maxsize=4096)
def takes_no_number(kind: Type) -> bool:
    """Whether a type says itself that it takes NaN and infinities, as `Annotated[float, AllowInfNan(True)]` does."""
    todo: list[object] = [adapter_of(kind).core_schema]
    while todo:
        part = todo.pop()
        if isinstance(part, Mapping):
            if part.get("allow_inf_nan") is True:
                return True
            todo += part.values()
        elif isinstance(part, (list, tuple)):
            todo += part
    return False
