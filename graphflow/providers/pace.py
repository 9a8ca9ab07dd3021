"""Requests and tokens per minute, kept to before a provider has to refuse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import isfinite

from graphflow.errors import DeclarationError


class Bucket:
    """A bucket that holds one minute's worth and refills evenly. Who takes more than is there waits, in order."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not per_minute > 0:
            raise DeclarationError(
                f"a pace of {per_minute:g} per minute lets nothing through; it must be more than 0"
            )
        self.size = float(per_minute)
        self.level = self.size
        self.clock = clock
        self.filled = clock()

    def take(self, amount: float) -> float:
        """Takes `amount` and returns the seconds to wait until it is there. What exceeds the bucket is cut to it."""
        # The level may fall below zero: who comes next then waits behind all who came before, each for their own share.
        self._refill()
        self.level -= min(amount, self.size)
        lacking = max(0.0, -self.level)
        return lacking * 60 / self.size

    def _refill(self) -> None:
        now = self.clock()
        flow = (now - self.filled) * self.size / 60
        self.level = min(self.size, self.level + flow)
        self.filled = now

    def give(self, amount: float) -> None:
        """Puts back what was not used (or takes what was used beyond it, if negative)."""
        # What a server counts is untrusted: one NaN would close the bucket for good.
        if not isfinite(amount):
            return
        level = min(self.size, self.level + amount)
        self.level = max(-self.size, level)


class Pace:
    """Limits of requests and tokens per minute. One `Pace` may be shared by several models.

    Args:
        rpm: requests per minute, or None.
        tpm: tokens per minute, in and out, or None.
    """

    def __init__(
        self,
        rpm: float | None = None,
        tpm: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        if rpm is not None:
            self.requests = Bucket(rpm, clock)
        if tpm is not None:
            self.tokens = Bucket(tpm, clock)

    async def admit(self, tokens: float) -> None:
        """Waits until a request of about that many tokens may go out."""
        wait_s = 0.0
        if self.requests is not None:
            wait_s = self.requests.take(1)
        if self.tokens is not None:
            wait_s = max(wait_s, self.tokens.take(tokens))
        if not wait_s:
            return
        try:
            await asyncio.sleep(wait_s)
        except asyncio.CancelledError:  # nothing went out
            self._give_back(tokens)
            raise

    def settle(self, estimated: float, used: float) -> None:
        """Corrects the estimate once the provider has counted."""
        if self.tokens is not None:
            taken = min(estimated, self.tokens.size)
            self.tokens.give(taken - used)

    def _give_back(self, tokens: float) -> None:
        if self.requests is not None:
            self.requests.give(1)
        if self.tokens is not None:
            self.tokens.give(min(tokens, self.tokens.size))
