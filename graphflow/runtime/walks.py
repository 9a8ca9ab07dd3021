"""How a frame is walked: within its own deadline, straight where that will do, else by the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextvars import copy_context
from typing import Any

from graphflow.contexts import within
from graphflow.runtime.fast_path import walk_straight
from graphflow.runtime.frame import Frame
from graphflow.runtime.general_walk import GeneralWalk
from graphflow.runtime.recount import recount
from graphflow.runtime.sitting import Sitting
from graphflow.runtime.watch import ClaimWatch


def walked(frame: Frame, message: object) -> Awaitable[Any]:
    """The output of a frame's graph. No coroutine is made that only waits for another."""
    seconds = frame.ledger.limits.seconds
    if seconds is None:
        return _walk_of(frame, message) if frame.watch is None else _walked(frame, message)
    past = frame.shared.past
    # What it has used in earlier sittings is used.
    if frame.record is not None and past is not None:
        seconds -= past.seconds - frame.record.entered
    return _in_time(frame, seconds, message)


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


async def _moving(sitting: Sitting, walk: Coroutine[Any, Any, object]) -> object:
    """A walk in which there is always one activation under way."""
    sitting.add()
    try:
        return await walk
    finally:
        sitting.drop()


def _walked(frame: Frame, message: object) -> Awaitable[Any]:
    if frame.watch is not None:
        return _watched(frame, message, frame.watch)
    return _walk_of(frame, message)


async def _watched(frame: Frame, message: object, watch: ClaimWatch) -> Any:
    """The same for a frame that claims look into: a walk that lacks something does not complete."""
    if frame.record is not None:
        recount(frame, message, watch)
    output = await _walk_of(frame, message)
    watch.check_end(frame.program.name)
    return output


def _walk_of(frame: Frame, message: object) -> Awaitable[Any]:
    shared = frame.shared
    watch = frame.watch
    if (
        frame.program.straight
        and shared.plain
        and (watch is None or not watch.sees_arrows)
        and frame.denied is None
        and frame.record is None
        and frame.states is None
        and not frame.keeps_effects
    ):
        work = walk_straight(frame, message)
        sitting = shared.sitting
        if sitting is not None:
            work = _moving(sitting, work)
        return within(copy_context(), work)
    return GeneralWalk(frame).output(message)
