"""One attempt of a node: how long it may take, and what it means that it ends in a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context as Variables
from typing import TYPE_CHECKING, Any

from graphflow.concurrency import Queueing
from graphflow.errors import NodeTimeout, StrayCancellation
from graphflow.events import NodeAbandoned
from graphflow.messages.message import error_text

if TYPE_CHECKING:
    from graphflow.declaration.node import Frame, Node

GRACE_S = 5.0
"""Seconds that what was told to stop gets to end before it is abandoned: asyncio cannot end a task that refuses."""


def stray(node: str, cancelled: BaseException) -> StrayCancellation:
    """The failure of a node that raised `CancelledError` with nobody cancelling it."""
    error = StrayCancellation(node, error_text(cancelled))
    error.__cause__ = cancelled
    return error


async def of_its_own(node: str, work: Coroutine[Any, Any, Any]) -> Any:
    """The answer that `work` gives; a cancellation that nobody has asked for is a failure of the node like any other."""
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        return await work
    except asyncio.CancelledError as cancelled:
        if task is None or task.cancelling() > before:
            raise
        raise stray(node, cancelled) from cancelled


async def in_time(
    frame: Frame, node: Node[Any, Any], activation: int, work: Coroutine[Any, Any, Any], variables: Variables
) -> Any:
    """The answer that `work` gives within the node's `timeout_s`.

    It is a task of its own, so that one that refuses to stop can be left behind.

    Raises:
        NodeTimeout: it took longer; also if it has blocked the event loop, so that no timer could stop it.
    """
    assert node.timeout_s is not None
    loop, queueing = asyncio.get_running_loop(), Queueing(node.timeout_s)
    began = loop.time()
    took = 0.0

    async def timed() -> Any:
        nonlocal took
        answer = await work
        took = loop.time() - began - queueing.seconds
        return answer

    task = queueing.task(timed(), variables)
    task.add_done_callback(lambda _: work.close())  # if its time was over before its first step, `work` never began
    try:
        await queueing.wait(task)
    except asyncio.CancelledError:
        await _stop(frame, node, activation, task)
        raise
    if task.done():
        answer = task.result()
        if took < node.timeout_s:
            return answer
    else:
        await _stop(frame, node, activation, task)
    raise NodeTimeout(node.name, node.timeout_s)


async def _stop(frame: Frame, node: Node[Any, Any], activation: int, task: asyncio.Task[Any]) -> None:
    """Ends an attempt; one that does not end is left behind, and said to be."""
    task.cancel()
    await asyncio.wait([task], timeout=GRACE_S)
    if not task.done():
        frame.record(NodeAbandoned, activation, node=node.name)
    elif not task.cancelled():
        task.exception()  # whatever it says now comes too late
