"""Events as they are read back: from a file of `--events`, or as dicts, and only if they can be events at all.

What reads them draws bars as long as they say and looks up what they name, so that every field is what its event says that
it is. A record of this version with fewer fields, or of a later one with more kinds and fields, is read as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from graphflow import events
from graphflow.errors import FileUnreadable
from graphflow.regular import read_regular

LONGEST_S = 10 * 366 * 86_400.0
"""Seconds of a run, at most: ten years. A timeline has marks and widths for every one of them."""
DEEPEST = 1_000
"""Frames within each other."""

MOMENTS = ("at", "started")


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """The records in a file of JSON lines, as `graphflow run --events` writes them.

    Raises:
        FileUnreadable: there is no such file, or a line of it is no event.
    """
    text = read_regular(path)
    records: list[dict[str, Any]] = []
    for number, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            records.append(checked(json.loads(row)))
        except (ValueError, RecursionError) as error:
            why = "it is not JSON" if isinstance(error, (json.JSONDecodeError, RecursionError)) else str(error)
            written_by = "`graphflow run --events FILE` writes a line each"
            raise FileUnreadable(f"{path}, line {number}, is no event: {why}; {written_by}") from None
    if not records:
        raise FileUnreadable(f"{path} holds no events; write them with `graphflow run --events FILE`")
    return records


def checked(record: Any) -> dict[str, Any]:
    """A record with every field that its event has.

    Raises:
        ValueError: it is none; the text says which field is wrong.
    """
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ValueError("an event is an object with a kind")
    whole = {"frame": 0, **record}
    kind = _kinds().get(whole["kind"], events.Event)
    for field in fields(kind):
        if field.name not in whole:
            whole[field.name] = _default(whole["kind"], field)
        fits = _is_moment if field.name in MOMENTS else _TESTS.get(str(field.type))
        if fits is not None and not fits(whole[field.name]):
            raise ValueError(f"{field.name} of {whole['kind']!r} is {whole[field.name]!r:.80}, which cannot be")
    return whole


def _default(kind: str, field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    raise ValueError(f"{kind!r} has no {field.name}")


@lru_cache(maxsize=1)
def _kinds() -> dict[str, type[events.Event]]:
    found = [each for each in vars(events).values() if isinstance(each, type) and issubclass(each, events.Event)]
    return {each.kind: each for each in found}


def _is_moment(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= LONGEST_S


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_path(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple)) and 0 < len(value) <= DEEPEST and all(isinstance(name, str) for name in value)
    )


def _is_error(value: Any) -> bool:
    return isinstance(value, (str, BaseException)) or (
        isinstance(value, dict) and all(isinstance(value.get(name, ""), str) for name in ("type", "text"))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _or_none(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or test(value)


_TESTS: dict[str, Callable[[Any], bool]] = {
    "float": _is_number,
    "float | None": _or_none(_is_number),
    "int": _is_count,
    "int | None": _or_none(_is_count),
    "str": _is_text,
    "str | None": _or_none(_is_text),
    "bool": lambda value: isinstance(value, bool),
    "Status": _is_text,
    "Scope": lambda value: isinstance(value, (list, tuple)),
    "tuple[str, ...]": _is_path,
    "BaseException": _is_error,
    "BaseException | None": _or_none(_is_error),
    "Mapping[str, float]": lambda value: isinstance(value, Mapping),
}
"""What a field holds, by the way its type is written in `graphflow.events`. What is not here may be anything."""
