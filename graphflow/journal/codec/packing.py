"""Values whose type nobody has declared, exactly: what JSON has, and what a little more has to be said of.

JSON data (`is_json`) is written as it is. Where there is anything else in a value, all of it is packed:

    {"a": (1, b"x"), 2: nan}    ["map", [["a", ["tuple", [1, ["bytes", "eA=="]]]], [2, ["float", "nan"]]]]

Lists are packed as well, so nothing that a value holds can be mistaken for a pack.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TypeAlias, TypeGuard, cast

from graphflow.errors import RecordInvalid
from graphflow.journal.stored import Json
from graphflow.plain import is_huge

DEEPEST = 200
"""Levels of a value: a writer or reader of JSON fails at about a thousand, and no provider sends so many."""
PLAIN = frozenset({str, bool, type(None)})
Pair: TypeAlias = "tuple[object, object]"


def is_json(value: object) -> TypeGuard[Json]:
    """Whether a value comes back from JSON as it is: texts as keys, lists, finite numbers."""
    level: list[object] = [value]
    for _ in range(DEEPEST):
        below: list[object] = []
        for part in level:
            kind = type(part)
            if kind is dict:
                part = cast("dict[object, object]", part)
                if not all(type(key) is str for key in part):
                    return False
                below += part.values()
            elif kind is list:
                below += cast("list[object]", part)
            elif not _is_leaf(part):
                return False
        if not below:
            return True
        level = below  # level by level, not by recursion: a value may be deeper than the stack, or stand in itself
    return False


def _is_leaf(part: object) -> bool:
    kind = type(part)
    if kind in PLAIN:
        return True
    if kind is int:
        return not is_huge(cast("int", part))
    return kind is float and math.isfinite(cast("float", part))


def pack(value: object, depth: int = DEEPEST) -> Json:
    """A value that is not JSON data as such.

    Raises:
        RecordInvalid: there is something in it that is no data, or it is too deep.
    """
    if depth == 0:
        raise RecordInvalid(f"a value of more than {DEEPEST} levels cannot be recorded")
    if _is_leaf(value):
        return cast("Json", value)
    # Keys may be anything here, numbers and tuples too, so a mapping is a list of pairs.
    if isinstance(value, Mapping):
        pairs = [[pack(key, depth - 1), pack(inner, depth - 1)] for key, inner in value.items()]
        return ["map", pairs]
    if type(value) in (list, tuple):
        items = cast("list[object]", value)
        return [type(value).__name__, [pack(item, depth - 1) for item in items]]
    if type(value) is bytes:
        return ["bytes", b64encode(value).decode()]
    if type(value) is float:
        return ["float", repr(value)]
    raise RecordInvalid(f"{type(value).__name__} cannot be recorded: it is neither JSON data nor a tuple or bytes")


def unpack(data: object) -> object:
    """What was packed.

    Raises:
        RecordInvalid: nothing was.
    """
    if type(data) is not list:
        return data  # a leaf: whatever holds something is a list that begins with its kind
    match data:
        case ["map", [*pairs]]:
            return dict(_pair(pair) for pair in pairs)
        case ["list", [*items]]:
            return [unpack(item) for item in items]
        case ["tuple", [*items]]:
            return tuple(unpack(item) for item in items)
        case ["bytes", str(text)]:
            return b64decode(text)
        case ["float", str(text)]:
            return float(text)
    raise RecordInvalid("a record holds a pack of a kind that is not known here")


def _pair(pair: object) -> Pair:
    match pair:
        case [key, value]:
            return unpack(key), unpack(value)
    raise RecordInvalid("a record holds a mapping whose entries are no pairs")
