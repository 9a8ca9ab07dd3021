"""Values whose type nobody has declared, exactly: what JSON has, and what a little more has to be said of.

JSON data (`is_json`) is written as it is. Where there is anything else in a value, all of it is packed:

    {"a": (1, b"x"), 2: nan}    ["map", [["a", ["tuple", [1, ["bytes", "eA=="]]]], [2, ["float", "nan"]]]]

Lists are packed as well, so nothing that a value holds can be mistaken for a pack.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias, TypeGuard, cast

from graphflow.errors import Unreadable, Unstorable
from graphflow.journal.stored import Json
from graphflow.plain import is_huge

WHOLE = "packed data"
"""What errors call it."""
DEEPEST = 200
"""Levels of a value: a writer or reader of JSON fails at about a thousand, and no provider sends so many."""
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
                below += part.values()
                if not all(type(key) is str and is_text(key) for key in part):
                    return False
            elif kind is list:
                below += cast("list[object]", part)
            elif not _is_leaf(part):
                return False
        if not below:
            return True
        # Level by level, not by recursion: a value may be deeper than the stack, or stand in itself.
        level = below
    return False


def _is_leaf(part: object) -> bool:
    if part is None or part is True or part is False:
        return True
    kind = type(part)
    if kind is str:
        return is_text(cast("str", part))
    if kind is int:
        return not is_huge(cast("int", part))
    return kind is float and math.isfinite(cast("float", part))


def is_text(text: str) -> bool:
    """Whether a text can be written: one with half a character in it, as file names have them, cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def pack(value: object, depth: int = DEEPEST) -> Json:
    """A value that is not JSON data as such.

    Raises:
        Unstorable: there is something in it that is not data, or it is too deep.
    """
    if depth == 0:
        raise Unstorable(WHOLE, "", f"{DEEPEST} levels at most", "more")
    if _is_leaf(value):
        return cast("Json", value)
    # Keys may be anything here, numbers and tuples too, so a mapping is a list of pairs.
    if isinstance(value, Mapping):
        pairs = [[pack(key, depth - 1), pack(inner, depth - 1)] for key, inner in value.items()]
        return ["map", pairs]
    if type(value) in (list, tuple):
        items = cast("list[object]", value)
        return [type(value).__name__, [pack(item, depth - 1) for item in items]]
    return _pack_leaf(value)


def _pack_leaf(value: object) -> Json:
    if type(value) is bytes:
        return ["bytes", b64encode(value).decode()]
    if type(value) is float:
        return ["float", repr(value)]
    if type(value) is str:
        return ["text", value.encode(errors="surrogatepass").hex()]
    raise Unstorable(WHOLE, "", "JSON data, tuples and bytes", type(value).__name__)


def unpack(data: object) -> object:
    """What was packed.

    Raises:
        Unreadable: nothing was.
    """
    if type(data) is not list:
        return data  # a leaf: whatever holds something is a list that begins with its kind
    match data:
        case ["map", [*pairs]]:
            return _unpack_map(pairs)
        case ["list", [*items]]:
            return [unpack(item) for item in items]
        case ["tuple", [*items]]:
            return tuple(unpack(item) for item in items)
        case [str(kind), str(text)]:
            return _unpack_leaf(kind, text)
    raise Unreadable(WHOLE, "", "a pack", "a list that is none")


def _unpack_leaf(kind: str, text: str) -> object:
    with suppress(ValueError):
        match kind:
            case "bytes":
                return b64decode(text)
            case "float":
                return float(text)
            case "text":
                return bytes.fromhex(text).decode(errors="surrogatepass")
    raise Unreadable(WHOLE, "", "bytes, a number or a text", "something else")


def _unpack_map(pairs: Sequence[object]) -> dict[object, object]:
    try:
        return dict(_pair(pair) for pair in pairs)
    except TypeError:  # a list is not a key
        raise Unreadable(WHOLE, "", "a key", "what cannot be one") from None


def _pair(pair: object) -> Pair:
    match pair:
        case [key, value]:
            return unpack(key), unpack(value)
    raise Unreadable(WHOLE, "", "a key and its value", "something else")
