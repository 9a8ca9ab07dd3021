"""What pydantic finds wrong with data, in our words: where it stands, what stands there, what has to stand there instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TypeAlias

from pydantic import ValidationError

DataPath: TypeAlias = tuple[object, ...]
"""The way to a part of data: keys and positions, from the outside in."""
DataProblem: TypeAlias = tuple[DataPath, str]
"""What is wrong, and where."""
KnownKeys: TypeAlias = Callable[[DataPath], Iterable[str]]
"""The keys that the table of a place may have."""

MAX_SHOWN = 80
"""Characters of a wrong value that an error shows."""
_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
"""What has to stand there, by pydantic's name of what is wrong."""


def misfits(error: ValidationError, data: object, keys_at: KnownKeys) -> list[DataProblem]:
    """What pydantic has found, by places in the data."""
    found: dict[DataPath, list[str]] = {}
    unknown: list[DataProblem] = []
    for each in error.errors(include_url=False):
        path = _place_in(data, each["loc"])
        kind = each["type"]
        if kind == "extra_forbidden":
            hint = near(path[-1], keys_at(path[:-1]))
            unknown.append((path, f"unknown key{hint}"))
            continue
        if kind == "missing":
            unknown.append(((*path, each["loc"][-1]), "this is missing"))
            continue
        # Of a union each arm complains by itself: what they want is told together.
        wanted = found.setdefault(path, [])
        wanted.append(_WANTED.get(kind) or _plain(each["msg"]))
    wrong = [(path, _misfit(at_place(data, path), wanted)) for path, wanted in found.items()]
    return unknown + wrong


def _plain(message: str) -> str:
    """What has to stand there, out of a sentence of pydantic's."""
    wanted = message.removeprefix("Input should be ")
    first = wanted[:1]
    return first.lower() + wanted[1:]


def _misfit(value: object, wanted: list[str]) -> str:
    distinct = dict.fromkeys(wanted)
    either = " or ".join(distinct)
    text = repr(value)
    if len(text) > MAX_SHOWN:
        beginning = text[:MAX_SHOWN]
        text = f"{beginning}..."
    return f"{text} cannot stand here; it has to be {either}"


def _place_in(data: object, loc: tuple[int | str, ...]) -> DataPath:
    """The part of pydantic's place that is in the data: it also names arms of unions."""
    path: DataPath = ()
    for step in loc:
        inner = at_place(data, path)
        if not _has(inner, step):
            break
        path = (*path, step)
    return path


def _has(data: object, step: object) -> bool:
    if isinstance(data, dict):
        return step in data
    if isinstance(data, list) and isinstance(step, int):
        return step < len(data)
    return False


def at_place(data: object, path: DataPath) -> object:
    """What stands at a place; None: there is none."""
    for step in path:
        if not _has(data, step):
            return None
        data = data[step]  # type: ignore[index]  # it has the step
    return data


def near(word: object, words: Iterable[str]) -> str:
    """What was probably meant by a word, or all that there are."""
    known = list(words)
    text = str(word)
    close = difflib.get_close_matches(text, known, n=2)
    if close:
        quoted = map(repr, close)
        guesses = " or ".join(quoted)
        return f"; did you mean {guesses}?"
    listed = ", ".join(known) or "none"
    return f"; there is: {listed}"
