"""Open values: what stands where a type says `Any`. Plain JSON values alone, exactly as they are.

JSON has no word for three things that plain values may be. They are written as an object with one key:

    {"float": "nan"}         a number that is not finite
    {"text": "6162eda080"}   a text with half a character in it, by its bytes
    {"dict": {...}}          a dict that would look like one of these, or like an arm

Types that whoever writes and reads knows may be let in besides, as the arms of a union: {"arm": n, "value": ...}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from graphflow.journal.codec.coding import (
    DEEPEST,
    Classes,
    Coding,
    Misfit,
    class_name,
    json_name,
    step,
    too_deep,
)
from graphflow.journal.codec.containers import (
    converted,
    mapping_data,
    mapping_of,
)
from graphflow.journal.codec.scalars import (
    NOT_FINITE,
    TextCoding,
    check_length,
    text_data,
    text_of_bytes,
)
from graphflow.journal.stored import Json
from graphflow.messages.types import Type

WANTED = "a plain JSON value"
_WORDS = frozenset({"float", "text", "dict"})
_ARM = frozenset({"arm", "value"})
_TEXTS = TextCoding(str)


class OpenCoding(Coding):
    """Values of any type, as far as they are plain JSON values."""

    __slots__ = ("_among", "_decoders", "_encoders")

    def __init__(self, kind: Type) -> None:
        super().__init__(kind)
        self._among: Coding | None = None
        self._encoders: dict[type, Callable[..., Json]] = {
            str: _text,
            int: _integer,
            float: _number,
            bool: _same,
            type(None): _same,
            list: self._list,
            dict: self._dict,
        }
        self._decoders: dict[type, Callable[..., object]] = {
            str: _read_same,
            int: _read_same,
            float: _read_same,
            bool: _read_same,
            type(None): _read_same,
            list: self._read_list,
            dict: self._read_dict,
        }

    def fill(self, among: Coding | None) -> None:
        """Lets in the values of a union."""
        self._among = among

    def classes(self) -> Classes:
        return None

    def encode(self, value: object, depth: int) -> Json:
        encode = self._encoders.get(type(value))
        if encode is not None:
            return encode(value, depth)
        if self._among is None:
            raise self.foreign(value)
        return self._among.encode(value, depth)

    def decode(self, data: Json, depth: int) -> object:
        decode = self._decoders.get(type(data))
        if decode is None:
            raise self.illegible(data)
        return decode(data, depth)

    def foreign(self, value: object) -> Misfit:
        found = class_name(type(value))
        return Misfit(WANTED, found, f"declare {found} instead of Any, or send plain JSON values")

    def illegible(self, data: Json) -> Misfit:
        return Misfit(WANTED, json_name(data))

    # -- containers --------------------------------------------------------------------------------
    def _list(self, value: Sequence[object], depth: int) -> Json:
        return converted(value, self.encode, depth + 1)

    def _read_list(self, data: Sequence[Json], depth: int) -> object:
        return converted(data, self.decode, depth + 1)

    def _dict(self, value: dict[object, object], depth: int) -> Json:
        if depth >= DEEPEST:
            raise too_deep()
        for key in value:
            if type(key) is not str:
                found = f"{class_name(type(key))} as key"
                raise Misfit(
                    "texts as keys", found, "declare its type instead of Any, or send texts as keys"
                )
        data = mapping_data(value, _TEXTS, self, depth + 1)
        # Half a character in a key makes a list of pairs of it.
        if type(data) is list or _is_word(data) or _is_arm(data):
            return {"dict": data}
        return data

    def _read_dict(self, data: dict[str, Json], depth: int) -> object:
        if depth >= DEEPEST:
            raise too_deep()
        if _is_arm(data):
            return self._read_arm(data, depth)
        if not _is_word(data):
            return mapping_of(data, _TEXTS, self, depth + 1, self)
        [(word, content)] = data.items()
        if word == "dict":
            return mapping_of(content, _TEXTS, self, depth + 1, self)
        try:
            return _float_of(content) if word == "float" else text_of_bytes(content)
        except ValueError:
            raise Misfit(WANTED, step(word)) from None

    def _read_arm(self, data: Json, depth: int) -> object:
        if self._among is None:
            raise self.illegible(data)
        return self._among.decode(data, depth)


def _is_arm(data: object) -> bool:
    """Whether an object looks like an arm of a union."""
    return type(data) is dict and data.keys() == _ARM


def _is_word(data: object) -> bool:
    """Whether an object looks like one that stands for what JSON has no word for."""
    return type(data) is dict and len(data) == 1 and not _WORDS.isdisjoint(data)


def _float_of(name: Json) -> float:
    if type(name) is str and name in NOT_FINITE:
        return float(name)
    raise ValueError(name)


def _text(value: str, depth: int) -> Json:
    return text_data(value)


def _integer(value: int, depth: int) -> Json:
    check_length(value)
    return value


def _number(value: float, depth: int) -> Json:
    return value if isfinite(value) else {"float": repr(value)}


def _same(value: Json, depth: int) -> Json:
    return value


def _read_same(data: object, depth: int) -> object:
    return data
