"""Events as they are read back: from a run, from a file of `--events`, or as dicts, and only if they can be events at all.

Readers draw bars of the lengths that events give and look up the names in them, so every field is checked against the type
that its event declares. Records with fewer fields are read as well, and those of later versions with more kinds and fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from graphflow import events
from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.events import Event
from graphflow.regular import read_regular
from graphflow.runtime.run_record import RunRecord

MAX_RUN_S = 10 * 366 * 86_400.0
"""Seconds of a run: ten years. A timeline has marks and widths for every one of them."""
MAX_FRAMES = 1_000
"""Frames within each other."""
MOMENTS = ("at", "started")
"""Fields that are seconds since the run began."""
GIVE_A_RUN = "give a Run, its events, or a file of them"

Record = dict[str, Any]
"""An event as plain data; a message in it may be anything that JSON can hold."""
AnyEvent = Any
"""An event, or an object with the fields of one that was read back: kinds of later versions have no class here."""
EventSource = RunRecord[Any] | Iterable[Event | Mapping[str, Any]] | str | Path
"""A run, its events, its records, or the file they are in."""


def recorded_events(source: EventSource) -> Iterable[Event | Mapping[str, Any]]:
    """The events of a run, or its records, as they are.

    Raises:
        FileUnreadable: the source is a file that is not there, or a line of it is not an event.
    """
    if isinstance(source, RunRecord):
        return source.events
    if isinstance(source, (str, Path)):
        return read_records(source)
    return source


def read_events(source: EventSource) -> list[AnyEvent]:
    """The events of a run, of a list, or of a file that `--events` has written. A record becomes an object with its fields.

    Raises:
        FileUnreadable: the source is a file that is not there, or a line of it is not an event.
        DeclarationError: it is a list of something else.
    """
    if isinstance(source, RunRecord):
        return list(source.events)
    if isinstance(source, (str, Path)):
        return [SimpleNamespace(**record) for record in read_records(source)]
    try:
        return list(map(_event, source))
    except ValueError as error:
        raise DeclarationError(f"{error}; {GIVE_A_RUN}") from None
    except TypeError:
        raise DeclarationError(f"{source!r} is not the record of a run; {GIVE_A_RUN}") from None


def _event(item: object) -> AnyEvent:
    if isinstance(item, dict):
        return SimpleNamespace(**checked(item))
    if not isinstance(getattr(item, "kind", None), str):
        raise ValueError(f"{item!r} is not an event")
    return item


def read_records(path: str | Path) -> list[Record]:
    """The records in a file of JSON lines, as `graphflow run --events` writes them.

    Raises:
        FileUnreadable: there is no such file, or a line of it is not an event.
    """
    text = read_regular(path)
    records: list[Record] = []
    for number, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            read = json.loads(row)
            if is_header(read):
                continue
            record = checked(read)
        except (ValueError, RecursionError) as error:
            is_json = not isinstance(error, (json.JSONDecodeError, RecursionError))
            why = str(error) if is_json else "it is not JSON"
            raise FileUnreadable(
                f"{path}, line {number}, is not an event: {why}; `graphflow run --events FILE` writes a line each"
            ) from None
        records.append(record)
    if not records:
        raise FileUnreadable(
            f"{path} holds no events; write them with `graphflow run --events FILE`"
        )
    return records


FORMAT, VERSION = "graphflow.events", 1
"""What the first line of a file says that `graphflow.telemetry.JsonlSink` writes."""


def is_header(line: object) -> bool:
    """Whether a line says what the others are, and is not an event.

    Raises:
        ValueError: they are of a later version.
    """
    if not isinstance(line, dict) or line.get("format") != FORMAT:
        return False
    version = line.get("version")
    if version != VERSION:
        raise ValueError(f"the file is of version {version!r}, and {VERSION} is known here")
    return True


def checked(record: object) -> Record:
    """A record with every field that its event has.

    Raises:
        ValueError: it is not an event; the text says which field is wrong.
    """
    if not isinstance(record, dict):
        raise ValueError("an event is an object with a kind")
    kind = record.get("kind")
    if not isinstance(kind, str):
        raise ValueError("an event is an object with a kind")
    # Records of facts alone have no frames: then all is in the outermost one.
    whole = {"frame": 0, **record}
    event_class = _kinds().get(kind, Event)
    for field in fields(event_class):
        if field.name not in whole:
            whole[field.name] = _default(kind, field)
        value = whole[field.name]
        fits = _TESTS.get(str(field.type))
        if field.name in MOMENTS:
            fits = _is_moment
        elif field.name == "path":
            fits = _is_path
        if fits is not None and not fits(value):
            raise ValueError(f"{field.name} of {kind!r} is {value!r:.80}, which cannot be")
    return whole


def _default(kind: str, field: Field[Any]) -> object:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    raise ValueError(f"{kind!r} has no {field.name}")


@lru_cache(maxsize=1)
def _kinds() -> dict[str, type[Event]]:
    return {event_class.kind: event_class for event_class in _event_classes()}


def _event_classes() -> Iterator[type[Event]]:
    for value in vars(events).values():
        if isinstance(value, type) and issubclass(value, Event):
            yield value


# -- what a field may hold -------------------------------------------------------------------------
FieldTest = Callable[[object], bool]


def _is_moment(value: object) -> bool:
    return _is_number(value) and 0 <= value <= MAX_RUN_S  # type: ignore[operator]  # it is a number


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)


def _is_count(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return abs(value) < 2**63


def _is_path(value: object) -> bool:
    return _are_texts(value) and 0 < len(value) <= MAX_FRAMES  # type: ignore[arg-type]  # a list


def _are_texts(value: object) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    return all(isinstance(text, str) for text in value)


def _is_error(value: object) -> bool:
    if isinstance(value, dict):
        parts = (value.get("type", ""), value.get("text", ""))
        return all(isinstance(part, str) for part in parts)
    return isinstance(value, (str, BaseException))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _or_none(test: FieldTest) -> FieldTest:
    return lambda value: value is None or test(value)


_TESTS: dict[str, FieldTest] = {
    "float": _is_number,
    "float | None": _or_none(_is_number),
    "int": _is_count,
    "int | None": _or_none(_is_count),
    "str": _is_text,
    "str | None": _or_none(_is_text),
    "bool": _is_flag,
    "Status": _is_text,
    "Scope": _is_list,
    "tuple[str, ...]": _are_texts,
    "BaseException": _is_error,
    "BaseException | None": _or_none(_is_error),
    "Mapping[str, float]": _is_mapping,
}
"""What a field holds, by the way its type is written in `graphflow.events`. What is not here may be anything."""
