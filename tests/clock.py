"""A clock for event loops that moves only while everybody waits, and then at once.

What a test computes takes no time by it, however busy the machine is, and a wait of a minute is over as soon as nothing else
is to be done. So `timeout_s=0.05` never ends what only had no turn yet, and the order of waits is the order of their lengths.

    somebody can go on                              no time passes
    all wait for timers                             the clock jumps to the first of them
    one waits for a thread, a process or a socket   time passes as it does everywhere
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Mapping
from typing import Any

from graphflow import concurrency as pools

POLL_S = 0.002


def block(seconds: float) -> None:
    """What a node does that computes for so long without giving way to others."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock moves only while everybody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.others = set(threading.enumerate())
        super().__init__(_Waiting(self))

    def time(self) -> float:
        """Seconds since it was made."""
        return self.now


class _Waiting(selectors.BaseSelector):
    """Waits in place of the loop: for real only if somebody outside may have something to say."""

    def __init__(self, loop: JumpingLoop) -> None:
        self.loop = loop
        self.real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self.real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self.real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self.real.modify(fileobj, events, data)

    def close(self) -> None:
        self.real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self.real.get_map()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return self.real.select(None)
        if ready := self.real.select(0):
            return ready
        if timeout > 0:
            return self._pass(timeout)
        return []

    def _pass(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        """So many seconds, or fewer if somebody else has something to say before."""
        if self._somebody_else_works():
            began = time.monotonic()
            ready = self.real.select(min(seconds, POLL_S))
            self.loop.now += min(seconds, time.monotonic() - began)
            return ready
        if ready := self.real.select(0):  # it has ended just now
            return ready
        self.loop.now += seconds
        return []

    def _somebody_else_works(self) -> bool:
        if len(self.real.get_map()) > 1:  # more than the pipe by which threads wake the loop
            return True
        if any(map(_works, pools._pools.values())):
            return True
        started = (thread for thread in threading.enumerate() if thread not in self.loop.others)
        return not all(thread.name.startswith("graphflow:") for thread in started)


def _works(pool: pools._ThreadPool) -> bool:
    """Whether there is something that somebody waits for; what was left behind is not."""
    with pool._changed:
        return bool(pool._jobs) or pool._threads > pool._idle
