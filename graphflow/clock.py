"""The clock on the wall, as runs look at it: when a question is due, and what time it is for the code of a node.

Tests put another one in its place (`graphflow.testing.FakeClock`), for whatever is walked within their context.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

LONGEST_TIMER_S = 3600.0
"""Seconds after which a timer looks at the clock again, which may have been set meanwhile."""


class Timer(Protocol):
    """What will be called, and can be called off."""

    def cancel(self) -> None: ...


class Clock:
    """The system's."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Has something called in the running event loop when it is so late, however the clock is set meanwhile."""
        timer = _SystemTimer(self, when, callback)
        timer.look()
        return timer


class _SystemTimer:
    __slots__ = ("_callback", "_clock", "_handle", "_when")

    def __init__(self, clock: Clock, when: float, callback: Callable[[], object]) -> None:
        self._clock = clock
        self._when = when
        self._callback = callback
        self._handle: asyncio.Handle | None = None

    def look(self) -> None:
        """Calls what is due, or looks again later: the clock may be set back, and timers come early."""
        loop = asyncio.get_running_loop()
        left = self._when - self._clock.now()
        if left > 0:
            self._handle = loop.call_later(min(left, LONGEST_TIMER_S), self.look)
        else:
            self._handle = loop.call_soon(self._callback)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


SYSTEM = Clock()
current: ContextVar[Clock] = ContextVar("graphflow_clock", default=SYSTEM)
"""The clock of what is walked here."""


def now() -> float:
    """Seconds since 1970, by the clock of what is walked here."""
    return current.get().now()
