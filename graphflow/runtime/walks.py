"""How a frame is walked: within its own deadline, straight where that will do, else by the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import copy_context
from typing import Any

from graphflow.contexts import within
from graphflow.runtime.fast_path import walk_straight
from graphflow.runtime.frame import Frame
from graphflow.runtime.general_walk import GeneralWalk


def walked(frame: Frame, message: object) -> Awaitable[Any]:
    """The output of a frame's graph. No coroutine is made that only waits for another."""
    seconds = frame.ledger.limits.seconds
    return _walked(frame, message) if seconds is None else _in_time(frame, seconds, message)


async def _in_time(frame: Frame, seconds: float, message: object) -> Any:
    ledger = frame.ledger
    clock = asyncio.timeout_at(ledger.begin(seconds))
    try:
        async with clock:
            output = await _walked(frame, message)
    except TimeoutError:
        if not clock.expired():
            raise
        raise ledger.exceeded("seconds") from None
    ledger.check_time()  # the last node has blocked the event loop, or swallowed the cancellation
    return output


def _walked(frame: Frame, message: object) -> Awaitable[Any]:
    if frame.program.straight and frame.shared.plain and frame.denied is None:
        return within(copy_context(), walk_straight(frame, message))
    return GeneralWalk(frame).output(message)
