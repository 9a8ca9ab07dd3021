"""Waiting for what a test is about, and not for seconds: how soon it comes is the machine's affair."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

LONG_S = 60.0
"""So long is waited before a test fails: far longer than anything takes, on a machine with other things to do as well."""
PAUSE_S = 0.01


def until(
    condition: Callable[[], T], seconds: float = LONG_S, because: Callable[[], object] | None = None
) -> T:
    """What a condition answers as soon as that is true; the loop of this thread stands still meanwhile.

    Args:
        condition: is asked again and again.
        seconds: after so many the test fails.
        because: what the failure says; the condition's last answer unless given.
    """
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, (
            f"not within {seconds:g} s: {because() if because else answer!r}"
        )
        time.sleep(PAUSE_S)
    return answer


async def eventually(
    condition: Callable[[], T], seconds: float = LONG_S, because: Callable[[], object] | None = None
) -> T:
    """The same, while the loop goes on."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, (
            f"not within {seconds:g} s: {because() if because else answer!r}"
        )
        await asyncio.sleep(PAUSE_S)
    return answer


@contextmanager
def patience(seconds: float = LONG_S) -> Iterator[None]:
    """Fails if what is done within has taken longer: for what would go on for many times as long if it were not stopped."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"took {took:.0f} s, longer than anything takes that does not hang"
