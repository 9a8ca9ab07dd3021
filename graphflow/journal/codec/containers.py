"""Containers: lists, tuples, sets, deques, dicts."""

from __future__ import annotations

import json
from collections import abc, deque
from collections.abc import (
    Callable,
    Iterable,
    Sequence,
)
from functools import partial
from typing import TypeVar

from graphflow.journal.codec import columns
from graphflow.journal.codec.coding import (
    DEEPEST,
    Coding,
    Misfit,
    Part,
    class_name,
    step,
    too_deep,
)
from graphflow.journal.codec.columns import Column
from graphflow.journal.codec.scalars import TextCoding
from graphflow.journal.stored import Json
from graphflow.messages.types import Type

S = TypeVar("S")
T = TypeVar("T")


def converted(items: Iterable[S], convert: Callable[[S, int], T], depth: int) -> list[T]:
    """What a coding makes of each item, written or read. What does not fit has its place in the path."""
    if depth > DEEPEST:
        raise too_deep()
    made: list[T] = []
    add = made.append  # bound once: this is done for each item of each list
    try:
        for item in items:
            add(convert(item, depth))
    except Misfit as misfit:
        misfit.steps.append(f"[{len(made)}]")
        raise
    return made


class CollectionCoding(Coding):
    """Values of one class that hold any number of items of one type."""

    __slots__ = ("_item",)

    def __init__(self, kind: Type, known: type, item: Coding) -> None:
        super().__init__(kind, known)
        self._item = item

    def parts(self) -> Iterable[Part]:
        return [("[]", self._item)]

    def encode(self, value: object, depth: int) -> Json:
        if type(value) is not self._known:
            raise self.foreign(value)
        assert isinstance(value, abc.Iterable)
        return converted(value, self._item.encode, depth + 1)

    def _items(self, data: Json, depth: int) -> list[object]:
        data = self.list_in(data)
        return converted(data, self._item.decode, depth + 1)


class ListCoding(CollectionCoding):
    """Lists."""

    __slots__ = ()

    def decode(self, data: Json, depth: int) -> object:
        return self._items(data, depth)

    def column(self, within: frozenset[Coding]) -> Column | None:
        inner = self._item.column(within)
        return columns.lists(inner)


class TupleCoding(CollectionCoding):
    """Tuples of any length."""

    __slots__ = ()

    def decode(self, data: Json, depth: int) -> object:
        items = self._items(data, depth)
        return tuple(items)


class SetCoding(CollectionCoding):
    """Sets. They are written in an order of their own: that of Python differs from process to process."""

    __slots__ = ()

    def encode(self, value: object, depth: int) -> Json:
        items = super().encode(value, depth)
        assert isinstance(items, list)
        return sorted(items, key=_order)

    def decode(self, data: Json, depth: int) -> object:
        items = self._items(data, depth)
        # What was hashable when it was written need not be so now: its class may have changed.
        return hashed(partial(self._known, items))


_DEQUE = frozenset({"items", "maxlen"})


class DequeCoding(CollectionCoding):
    """Deques, with how many items they hold at most."""

    __slots__ = ()

    def encode(self, value: object, depth: int) -> Json:
        items = super().encode(value, depth)
        assert isinstance(value, deque)
        return {"items": items, "maxlen": value.maxlen}

    def decode(self, data: Json, depth: int) -> object:
        data = self.object_in(data, _DEQUE)
        most = data["maxlen"]
        if most is not None and type(most) is not int:
            raise self.illegible(data)
        items = self._items(data["items"], depth)
        return deque(items, most)


def _order(data: Json) -> str:
    return json.dumps(data, sort_keys=True)


def hashed(make: Callable[[], T]) -> T:
    """What is made of values that must be hashable, whatever their own hash does.

    Raises:
        Misfit: one of them is not.
    """
    try:
        return make()
    except Exception as error:
        raise Misfit(
            "hashable values", f"one whose hash raises {class_name(type(error))}"
        ) from error


class RecordTupleCoding(Coding):
    """Tuples with a type for each place."""

    __slots__ = ("_decoders", "_encoders", "_places")

    def __init__(self, kind: Type, places: Sequence[Coding]) -> None:
        super().__init__(kind, tuple)
        self._places = tuple(places)
        self._encoders = [place.encode for place in places]
        self._decoders = [place.decode for place in places]

    def parts(self) -> Iterable[Part]:
        return [(f"[{number}]", place) for number, place in enumerate(self._places)]

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, tuple)
        return self._converted(value, self._encoders, depth)

    def decode(self, data: Json, depth: int) -> object:
        data = self.list_in(data)
        items = self._converted(data, self._decoders, depth)
        return tuple(items)

    def _converted(
        self, items: Sequence[S], converters: Sequence[Callable[[S, int], T]], depth: int
    ) -> list[T]:
        """What the coding of its place makes of each item."""
        count, wanted = len(items), len(converters)
        if count != wanted:
            raise Misfit(f"{wanted} items", f"{count} items", "send as many as are declared")
        if depth >= DEEPEST:
            raise too_deep()
        depth += 1
        made: list[T] = []
        try:
            for convert, item in zip(converters, items, strict=True):
                made.append(convert(item, depth))
        except Misfit as misfit:
            misfit.steps.append(f"[{len(made)}]")
            raise
        return made


class DictCoding(Coding):
    """Dicts: an object where every key is written as a text of its own, else pairs."""

    __slots__ = ("_key", "_value")

    def __init__(self, kind: Type, known: type, key: Coding, value: Coding) -> None:
        super().__init__(kind, known)
        self._key = key
        self._value = value

    def parts(self) -> Iterable[Part]:
        return [("[] as key", self._key), ("[]", self._value)]

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, self._known)
        if depth >= DEEPEST:
            raise too_deep()
        assert isinstance(value, dict)
        return mapping_data(value, self._key, self._value, depth + 1)

    def decode(self, data: Json, depth: int) -> object:
        if depth >= DEEPEST:
            raise too_deep()
        found = mapping_of(data, self._key, self._value, depth + 1, self)
        return found if self._known is dict else self._known(found)

    def column(self, within: frozenset[Coding]) -> Column | None:
        # Dicts of another class would come back as plain ones, and other keys than texts are no JSON.
        if self._known is not dict or not isinstance(self._key, TextCoding):
            return None
        inner = self._value.column(within)
        return columns.mappings(inner)


def mapping_data(value: dict[object, object], keys: Coding, values: Coding, depth: int) -> Json:
    """A dict as JSON data."""
    pairs: list[tuple[Json, Json]] = []
    key: object = None
    try:
        for key, item in value.items():
            name = keys.encode(key, depth)
            written = values.encode(item, depth)
            pairs.append((name, written))
    except Misfit as misfit:
        misfit.steps.append(step(key))
        raise
    # An object has texts as keys: one key that is written otherwise makes pairs of all.
    by_name = {name: written for name, written in pairs if type(name) is str}
    if len(by_name) == len(pairs):  # two keys may be written alike: NaN and NaN
        return by_name
    return [list(pair) for pair in pairs]


def mapping_of(
    data: Json, keys: Coding, values: Coding, depth: int, coding: Coding
) -> dict[object, object]:
    """The dict that was written."""
    pairs: list[tuple[object, object]] = []
    name: object = None
    try:
        for name, item in _pairs(data, coding):
            key = keys.decode(name, depth)
            value = values.decode(item, depth)
            pairs.append((key, value))
    except Misfit as misfit:
        misfit.steps.append(step(name))
        raise
    made: dict[object, object] = hashed(partial(dict, pairs))
    return made


def _pairs(data: Json, coding: Coding) -> Iterable[tuple[Json, Json]]:
    if type(data) is dict:
        return data.items()
    pairs: list[tuple[Json, Json]] = []
    for pair in coding.list_in(data):
        if len(coding.list_in(pair)) != 2:
            raise coding.illegible(data)
        name, item = coding.list_in(pair)
        pairs.append((name, item))
    return pairs
