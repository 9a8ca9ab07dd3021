"""Weight: whether writing something down takes so long that the event loop should not wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel

HEAVY = 100_000
"""Characters, bytes or items from which on a value is heavy: writing so many takes about a millisecond."""
PARTS = 64
"""Parts of a value that are looked at. What has more is heavy by that."""


_AT_A_GLANCE = frozenset({str, int, float, bool, type(None)})
_MANY = (None,) * (PARTS + 1)
"""Stands for what is in a long container."""


def is_heavy(value: object) -> bool:
    """Whether a value is large, or has so many parts that nobody can tell at a glance."""
    if type(value) is str:
        return len(value) > HEAVY
    fields = getattr(value, "__dict__", None)
    if fields is not None and _AT_A_GLANCE.issuperset(map(type, fields.values())):
        # A model of texts and numbers, as most messages are.
        return _characters(fields.values()) > HEAVY
    return _is_heavy_inside(value)


def _characters(parts: Iterable[object]) -> int:
    return sum([len(part) for part in parts if isinstance(part, str)])


def _is_heavy_inside(value: object) -> bool:
    """The same for a value of which parts have parts."""
    left = HEAVY
    todo = [value]
    for _ in range(PARTS):
        if not todo:
            return False
        part = todo.pop()
        if isinstance(part, (str, bytes)):
            left -= len(part)
        else:
            inner = _inner(part)
            if inner is not None:
                todo += inner
        if left < 0:
            return True
    return bool(todo)


def _inner(part: object) -> Iterable[object] | None:
    """What is in a container; of a long one enough to tell that it is long."""
    if isinstance(part, BaseModel):
        return part.__dict__.values()
    if isinstance(part, Mapping):
        return part.values() if len(part) <= PARTS else _MANY
    if isinstance(part, (list, tuple, set, frozenset)):
        return part if len(part) <= PARTS else _MANY
    return None
