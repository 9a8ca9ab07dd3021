"""A clock that a test moves: timers and timeouts of hours are over in no time.

with FakeClock() as clock:
    run = await graph.run(order, store=store, id="order-17")     # waits for `Wait("night", seconds=8 * 3600)`
    clock.move(8 * 3600)
    run = await graph.resume("order-17", store=store)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Token
from datetime import UTC, datetime
from typing import Self

from graphflow.clock import Clock, current

START = datetime(2030, 1, 1, tzinfo=UTC)
"""When a fake clock begins, if nothing else is said."""


class _FakeTimer:
    __slots__ = ("callback", "loop", "when")

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback: Callable[[], object] | None = callback
        self.loop = asyncio.get_running_loop()

    def cancel(self) -> None:
        self.callback = None


class FakeClock(Clock):
    """A clock that stands still until it is moved.

    It holds for what is walked within its `with`: for `Wait`, for `timeout=` of questions, for `ctx.now()`. Leases, limits in
    seconds and `timeout_s` go by the process clock all the same.

    Args:
        start: the time at which it stands first.
    """

    def __init__(self, start: datetime = START) -> None:
        self._now = start.timestamp()
        self._timers: list[_FakeTimer] = []
        self._token: Token[Clock] | None = None

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], object]) -> _FakeTimer:
        """Has something called when the clock is moved so far."""
        timer = _FakeTimer(when, callback)
        self._timers.append(timer)
        self._call_due()
        return timer

    def move(self, seconds: float) -> None:
        """Moves the clock on, and has called what is due by then.

        Raises:
            ValueError: the seconds are negative; a clock that is set back is another test.
        """
        if seconds < 0:
            raise ValueError(f"move({seconds!r}): the seconds must be 0 or more")
        self._now += seconds
        self._call_due()

    def _call_due(self) -> None:
        due = [timer for timer in self._timers if timer.when <= self._now]
        self._timers = [timer for timer in self._timers if timer.when > self._now]
        for timer in due:
            callback = timer.callback
            # The run that waited may be over, and its loop with it. A clock may be moved by another thread, too.
            if callback is not None and not timer.loop.is_closed():
                timer.loop.call_soon_threadsafe(callback)

    def __enter__(self) -> Self:
        self._token = current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            current.reset(self._token)
            self._token = None
