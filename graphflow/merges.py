"""Ready merges for states: what becomes of a value when something is added to it.

    notes = State("notes", list[Note], start=[], merge=extend)

Each is a function of the value and what is added, and changes neither. `bulk` does the same for many that are added in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Bulk = Callable[[Any, Sequence[Any]], Any]


class ReadyMerge(Protocol):
    """A merge that takes many additions at once, too."""

    bulk: Bulk

    def __call__(self, value: Any, added: Any) -> Any: ...


class _NamedMerge:
    """A merge by its bulk form. Two of one name are equal, so that states made of them are."""

    def __init__(self, name: str, bulk: Bulk) -> None:
        self._name = name
        self.bulk = bulk

    def __call__(self, value: Any, added: Any) -> Any:
        return self.bulk(value, [added])

    def __repr__(self) -> str:
        return self._name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _NamedMerge) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)


def _extended(value: list[T] | tuple[T, ...], added: Sequence[Iterable[T]]) -> Any:
    items = chain(value, *added)
    return tuple(items) if isinstance(value, tuple) else list(items)


def _united(value: Any, added: Sequence[Any]) -> Any:
    if isinstance(value, dict):
        united = dict(value)
        for each in added:
            united.update(each)
        return united
    return value.union(*added)


def _summed(value: Any, added: Sequence[Any]) -> Any:
    for each in added:
        value = value + each
    return value


def _largest(value: Any, added: Sequence[Any]) -> Any:
    return max([value, *added])


def _smallest(value: Any, added: Sequence[Any]) -> Any:
    return min([value, *added])


def _last(value: Any, added: Sequence[Any]) -> Any:
    return added[-1]


extend: ReadyMerge = _NamedMerge("extend", _extended)
"""Puts the items of what is added behind those of a list or tuple."""
union: ReadyMerge = _NamedMerge("union", _united)
"""All that is in either, of sets; of dicts, what is added wins."""
plus: ReadyMerge = _NamedMerge("plus", _summed)
"""`value + added`: a sum of numbers, of texts one behind the other."""
largest: ReadyMerge = _NamedMerge("largest", _largest)
"""Whatever is greater; of equals the first."""
smallest: ReadyMerge = _NamedMerge("smallest", _smallest)
"""Whatever is less; of equals the first."""
last: ReadyMerge = _NamedMerge("last", _last)
"""What was added last, in logical order."""

READY_MERGES: Mapping[str, ReadyMerge] = {
    "extend": extend,
    "union": union,
    "plus": plus,
    "largest": largest,
    "smallest": smallest,
    "last": last,
}
"""By the names that files know them by."""


def by_key(name: str) -> ReadyMerge:
    """A merge for a list of items that have a key: what is added takes the place of the item with its key, or comes behind.

    Args:
        name: the field of models, or the entry of dicts, that holds the key.
    """

    def key_of(item: Any) -> Any:
        return item[name] if isinstance(item, dict) else getattr(item, name)

    def merged(value: Any, added: Sequence[Any]) -> Any:
        items = {key_of(item): item for item in value}
        for item in chain.from_iterable(added):
            items[key_of(item)] = item
        return type(value)(items.values())

    return _NamedMerge(f"by_key({name!r})", merged)
