"""Answers that are kept: what a node with `cache=` has answered, by what it was asked.

One table a run, and one a process for nodes that say for how many seconds their answers hold. Who asks while the first
asker is still waiting waits for the same answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from graphflow.nodes import Node

Key = tuple[Node[Any, Any], bytes]
MOST = 4096
"""Answers in a table; the oldest goes first."""


class Memory:
    """A table of answers."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: OrderedDict[Key, tuple[float, asyncio.Future[Any]]] = OrderedDict()

    def key(self, node: Node[Any, Any], inputs: Mapping[str, Any]) -> Key | None:
        """What an activation is known by; None if its messages cannot be written down."""
        try:
            return node, to_json(list(inputs.values()))
        except (PydanticSerializationError, ValueError, RecursionError):
            return None

    def get(self, key: Key) -> asyncio.Future[Any] | None:
        """The answer, or what will be it; None if there is none, or it no longer holds."""
        entry = self._known.get(key)
        if entry is None:
            return None
        until, future = entry
        if time.monotonic() > until or (not future.done() and future.get_loop() is not asyncio.get_running_loop()):
            del self._known[key]
            return None
        return future

    def begin(self, key: Key, seconds: float) -> asyncio.Future[Any]:
        """A place for an answer that somebody is working on."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        until = float("inf") if key[0].cache is True else time.monotonic() + seconds
        self._known[key] = (until, future)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return future

    def forget(self, key: Key, future: asyncio.Future[Any]) -> None:
        """Takes back an answer that was not given after all."""
        if key in self._known and self._known[key][1] is future:
            del self._known[key]


@lru_cache(maxsize=1)
def lasting() -> Memory:
    """The table of this process."""
    return Memory()
