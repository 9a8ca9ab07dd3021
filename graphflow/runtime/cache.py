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
from typing import Any

from pydantic import BaseModel

from graphflow.declaration.node import Node

Key = tuple[Any, ...]
MAX_ANSWERS = 4096
"""Answers in a table; the oldest goes first."""


class Cache:
    """A table of answers."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: OrderedDict[Key, tuple[float, asyncio.Future[Any]]] = OrderedDict()

    def key(self, node: Node[Any, Any], inputs: Mapping[str, Any], around: tuple[Any, ...] = ()) -> Key | None:
        """What an activation is known by; None if its messages cannot be compared."""
        try:
            key = node, _frozen(list(inputs.values())), tuple(map(_of_run, around))
            hash(key)
        except Exception:  # RecursionError of what holds itself, TypeError, whatever a message of the user's raises
            return None
        return key

    def get(self, key: Key) -> asyncio.Future[Any] | None:
        """The answer, or what will be it; None if there is none, or it no longer holds."""
        entry = self._known.get(key)
        if entry is None:
            return None
        until, future = entry
        if time.monotonic() > until or (not future.done() and future.get_loop() is not asyncio.get_running_loop()):
            self._known.pop(key, None)  # run_sync in another thread may have been faster
            return None
        return future

    def begin(self, key: Key, seconds: float) -> asyncio.Future[Any]:
        """A place for an answer that somebody is working on."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        until = float("inf") if key[0].cache is True else time.monotonic() + seconds
        self._known[key] = (until, future)
        while self._known and (
            len(self._known) > MAX_ANSWERS or next(iter(self._known.values()))[0] < time.monotonic()
        ):
            self._known.popitem(last=False)
        return future

    def forget(self, key: Key, future: asyncio.Future[Any]) -> None:
        """Takes back an answer that was not given after all."""
        if key in self._known and self._known[key][1] is future:
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


def _frozen(value: Any) -> Any:
    """A value as something that can be hashed, equal to another's only if types and contents are.

    Raises:
        TypeError: there is a part that is only equal to itself.
    """
    kind = type(value)
    if kind in _PLAIN or isinstance(value, Enum):
        return kind, value
    if isinstance(value, BaseModel):
        parts = {**value.__dict__, **(value.__pydantic_extra__ or {})}
        return kind, tuple((name, _frozen(part)) for name, part in parts.items())
    if isinstance(value, dict):
        return kind, tuple((_frozen(name), _frozen(part)) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return kind, tuple(map(_frozen, value))
    if isinstance(value, (set, frozenset)):
        return kind, frozenset(map(_frozen, value))
    if is_dataclass(value) and not isinstance(value, type):
        return kind, tuple(_frozen(getattr(value, field.name)) for field in fields(value))
    if getattr(kind, "__eq__", None) is object.__eq__:
        raise TypeError(f"{kind.__name__} cannot be compared")
    return kind, value, repr(value)  # 10:00 UTC equals 12:00 in Rome, and 1.0 equals 1.00, and yet they read otherwise


class _Same:
    """Something that is only equal to itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _of_run(value: Any) -> Any:
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
