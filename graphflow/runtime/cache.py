"""Answers that are kept: what a node with `cache=` has answered, by what it was asked.

One table a run, and one a process for nodes that say for how many seconds their answers hold. Who asks while the first
asker is still waiting waits for the same answer.

Rules:
1. Two questions are the same if they are of the same types and equal in all their parts: JSON would tell neither two
   secrets nor two kinds of message apart.
2. What a node can see of its run (dependencies, session, model, policies) belongs to the question.
3. Everybody gets a copy of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from math import inf
from typing import Any

from pydantic import BaseModel

from graphflow.declaration.node import AnyNode

CacheKey = tuple[Any, ...]
"""The node, what it was asked, and what it could see of its run."""
FutureAnswer = asyncio.Future[Any]
CacheEntry = tuple[float, FutureAnswer]
"""Until when an answer holds, by the process clock, and the answer."""
MAX_ANSWERS = 4096
"""Answers in a table; the oldest goes first."""


class Cache:
    """A table of answers."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: OrderedDict[CacheKey, CacheEntry] = OrderedDict()

    def key(
        self, node: AnyNode, inputs: Mapping[str, object], around: tuple[object, ...] = ()
    ) -> CacheKey | None:
        """What an activation is known by; None if its messages cannot be compared."""
        try:
            messages = _frozen(list(inputs.values()))
            key = node, messages, _of_run(around)
            hash(key)
        # RecursionError of what holds itself, TypeError, whatever a message of the user's raises.
        except Exception:
            return None
        return key

    def get(self, key: CacheKey) -> FutureAnswer | None:
        """The answer, or what will be it; None if there is none, or it no longer holds."""
        entry = self._known.get(key)
        if entry is None:
            return None
        until, future = entry
        is_elsewhere = not future.done() and future.get_loop() is not asyncio.get_running_loop()
        # What another event loop is still working on cannot be awaited here: it is worked out once more.
        if time.monotonic() > until or is_elsewhere:
            self._known.pop(key, None)  # run_sync in another thread may have been faster
            return None
        return future

    def begin(self, key: CacheKey, seconds: float) -> FutureAnswer:
        """A place for an answer that somebody is working on."""
        future: FutureAnswer = asyncio.get_running_loop().create_future()
        node: AnyNode = key[0]
        # A run's own table (`cache=True`) ends with the run, so its answers need no end of their own.
        now = time.monotonic()
        until = inf if node.cache is True else now + seconds
        self._known[key] = (until, future)
        self._drop_old(now)
        return future

    def _drop_old(self, now: float) -> None:
        """Drops the oldest answers as far as they no longer hold, or are too many."""
        while self._known:
            until, _ = next(iter(self._known.values()))
            if until >= now and len(self._known) <= MAX_ANSWERS:
                return
            self._known.popitem(last=False)

    def forget(self, key: CacheKey, future: FutureAnswer) -> None:
        """Takes back an answer that was not given after all."""
        entry = self._known.get(key)
        if entry is not None and entry[1] is future:
            del self._known[key]


_PLAIN = (str, bytes, int, bool, type(None))


def copied(value: Any) -> Any:
    """A value that its next reader may change; what cannot be copied is shared."""
    if type(value) in _PLAIN or type(value) is float:
        return value
    try:
        return deepcopy(value)
    except Exception:
        return value


def _frozen(value: Any) -> object:
    """A value as something that can be hashed, equal to another's only if types and contents are.

    Raises:
        TypeError: there is a part that is only equal to itself.
    """
    kind = type(value)
    if kind in _PLAIN or isinstance(value, Enum):
        return kind, value
    if isinstance(value, BaseModel):
        return kind, _frozen_items({**value.__dict__, **(value.__pydantic_extra__ or {})})
    if isinstance(value, dict):
        return kind, _frozen_items(value)
    if isinstance(value, (list, tuple)):
        return kind, tuple(map(_frozen, value))
    if isinstance(value, (set, frozenset)):
        return kind, frozenset(map(_frozen, value))
    if is_dataclass(value) and not isinstance(value, type):
        attributes = [getattr(value, field.name) for field in fields(value)]
        return kind, tuple(map(_frozen, attributes))
    return _frozen_scalar(kind, value)


def _frozen_scalar(kind: type, value: object) -> object:
    if getattr(kind, "__eq__", None) is object.__eq__:
        raise TypeError(f"{kind.__name__} cannot be compared")
    # 10:00 UTC equals 12:00 in Rome, and 1.0 equals 1.00, and yet they read otherwise.
    return kind, value, repr(value)


def _frozen_items(items: Mapping[Any, Any]) -> tuple[object, ...]:
    frozen: list[object] = []
    for name, part in items.items():
        frozen.append((_frozen(name), _frozen(part)))
    return tuple(frozen)


class _Same:
    """Something that is only equal to itself."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _of_run(value: object) -> object:
    """Something that a run was given: by its content where that can be compared, else by being the same object."""
    if isinstance(value, tuple):
        return tuple(map(_of_run, value))
    try:
        return _frozen(value)
    except Exception:
        return _Same(value)


@lru_cache(maxsize=1)
def lasting() -> Cache:
    """The table of this process."""
    return Cache()
