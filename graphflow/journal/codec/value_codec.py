"""The codec of a type: its values as JSON data, one by one or in columns, and back."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import Any

from pydantic_core import (
    SchemaSerializer,
    SchemaValidator,
    core_schema,
)

from graphflow.errors import Unreadable, Unstorable
from graphflow.journal.codec.coding import Coding, Misfit
from graphflow.journal.codec.columns import Column
from graphflow.journal.codec.compiler import CodingTable
from graphflow.journal.codec.type_key import type_key
from graphflow.journal.stored import Json
from graphflow.messages.types import Type, type_name

MOST_CODECS = 4096
"""Codecs that are kept. What makes types without end makes them anew."""


class ValueCodec:
    """How the values of one type are written as JSON data, and read again exactly as they were.

    Attributes:
        kind: the type.
    """

    __slots__ = ("_coding", "_rust", "kind")

    def __init__(self, kind: Type, coding: Coding) -> None:
        self.kind = kind
        self._coding = coding
        self._rust: _Rust | None = None

    def encode(self, value: object) -> Json:
        """A value as JSON data. It holds well-formed texts and finite numbers only, so that any JSON writer can write it.

        Raises:
            Unstorable: it could not be read again as it is.
        """
        try:
            return self._coding.encode(value, 0)
        except Misfit as misfit:
            raise self._unstorable(misfit) from misfit.__cause__
        except RecursionError:
            raise self._unstorable(_STACK) from None

    def decode(self, data: Json) -> Any:
        """The value that was written.

        Raises:
            Unreadable: the data does not fit the type, as the type has changed since.
        """
        try:
            return self._coding.decode(data, 0)
        except Misfit as misfit:
            raise self._unreadable(misfit) from misfit.__cause__
        except RecursionError:
            raise self._unreadable(_STACK) from None

    def encode_column(self, values: Sequence[object]) -> str:
        """The JSON text of a list of values: what `encode` makes of each, and faster.

        Raises:
            Unstorable: one of them could not be read again as it is.
        """
        # Made when it is asked for: most codecs never write a column.
        rust = self._rust or self._made_rust()
        text = rust.written(values)
        if text is not None:
            return text
        data: list[Json] = []
        try:
            for value in values:
                data.append(self._coding.encode(value, 0))
        except Misfit as misfit:
            misfit.steps.append(f"[{len(data)}]")
            raise self._unstorable(misfit) from misfit.__cause__
        except RecursionError:
            raise self._unstorable(_STACK) from None
        return json_text(data)

    def decode_column(self, text: str) -> list[Any]:
        """The values of a list that `encode_column` has written.

        Raises:
            Unreadable: one of them does not fit the type, as the type has changed since.
        """
        rust = self._rust or self._made_rust()
        found = rust.read(text)
        if found is not None:
            return found
        values: list[Any] = []
        try:
            for data in self._list_in(text):
                values.append(self._coding.decode(data, 0))
        except Misfit as misfit:
            misfit.steps.append(f"[{len(values)}]")
            raise self._unreadable(misfit) from misfit.__cause__
        except RecursionError:
            raise self._unreadable(_STACK) from None
        return values

    def _list_in(self, text: str) -> list[Json]:
        try:
            data = json.loads(text)
        except ValueError:
            raise self._unreadable(Misfit("a list in JSON", "another text")) from None
        if type(data) is not list:
            raise self._unreadable(Misfit("a list in JSON", "other JSON"))
        return data

    def _made_rust(self) -> _Rust:
        column = self._coding.column(frozenset())
        self._rust = _Rust(column)
        return self._rust

    def _unstorable(self, misfit: Misfit) -> Unstorable:
        return Unstorable(
            type_name(self.kind), misfit.path, misfit.wanted, misfit.found, misfit.remedy
        )

    def _unreadable(self, misfit: Misfit) -> Unreadable:
        return Unreadable(type_name(self.kind), misfit.path, misfit.wanted, misfit.found)


_STACK = Misfit(
    "a value that Python's stack has room for", "a deeper one", "call it from less deep"
)


class _Rust:
    """The fast way of a column, where there is one and it is exact. None means: value by value."""

    __slots__ = ("_column", "_serializer", "_validator")

    def __init__(self, column: Column | None) -> None:
        self._column = column
        if column is None:
            return
        schema = core_schema.list_schema(column.schema, strict=True)
        # The third argument: that pydantic does not take, for each model, what the class itself is written and read by. A
        # version that has no such argument always would, so there is no fast way with it.
        try:
            self._serializer = SchemaSerializer(schema, None, False)
            self._validator = SchemaValidator(schema, None, False)
        except TypeError:
            self._column = None

    def written(self, values: Sequence[object]) -> str | None:
        """The text of all values."""
        if self._column is None or not self._column.is_exact(values):
            return None
        try:
            return self._serializer.to_json(list(values)).decode()
        except ValueError:  # half a character in a text
            return None

    def read(self, text: str) -> list[Any] | None:
        """The values in a text."""
        if self._column is None:
            return None
        try:
            return self._validator.validate_json(text)  # type: ignore[no-any-return]  # a list, as its schema says
        except ValueError:  # written value by value, or by another version of the class
            return None


def json_text(data: Json) -> str:
    """JSON data as a text, on one line."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


_codecs: dict[Hashable, ValueCodec] = {}
_by_identity: dict[int, tuple[Type, ValueCodec]] = {}
"""The same for the very object that a type is, which is kept with it: whoever asks for each value asks with the same one."""


def codec_of(kind: Type, among: Sequence[Type] = ()) -> ValueCodec:
    """The codec of a type, made once. A type that cannot be written has one as well: it refuses each value.

    Args:
        kind: the type.
        among: the types that values behind `Any` may have besides plain JSON values, such as the messages of a graph. What
            was written with some can only be read with the same ones, in the same order.
    """
    if among:
        return _codec_by_key(kind, among)
    known = _by_identity.get(id(kind))
    if known is not None:
        return known[1]
    codec = _codec_by_key(kind, ())
    if len(_by_identity) >= MOST_CODECS:
        _by_identity.clear()
    _by_identity[id(kind)] = kind, codec
    return codec


def _codec_by_key(kind: Type, among: Sequence[Type]) -> ValueCodec:
    key = type_key(kind), tuple(map(type_key, among))
    try:
        codec = _codecs.get(key)
    except TypeError:  # a type that cannot be hashed
        return ValueCodec(kind, CodingTable(among).coding_of(kind))
    if codec is None:
        codec = ValueCodec(kind, CodingTable(among).coding_of(kind))
        # All at once, and not the oldest: whoever is in use comes back at the next call.
        if len(_codecs) >= MOST_CODECS:
            _codecs.clear()
        _codecs[key] = codec
    return codec


def unstorable(kind: Type) -> str | None:
    """Why values of a type, or of a part of it, cannot be written; None if they can.

    Of what stands behind `Any` each value decides, so nothing is said against it.
    """
    # Every coding once, however it is reached: a class may hold itself.
    first = CodingTable().coding_of(kind)
    seen = {first}
    todo = [("", first)]
    while todo:
        path, coding = todo.pop()
        problem = coding.problem()
        if problem:
            found = type_name(coding.kind)
            where = f", at {path} of {type_name(kind)}" if path else ""
            return f"{found}{where}: {problem}"
        for step, part in coding.parts():
            if part not in seen:
                seen.add(part)
                todo.append((path + step, part))
    return None
