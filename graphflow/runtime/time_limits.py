"""The time limit of one attempt: how long it may take, and what becomes of one that does not end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context as Variables
from typing import Any

from graphflow.concurrency import Queueing
from graphflow.errors import NodeTimeout
from graphflow.events import NodeAbandoned
from graphflow.runtime.frame import Invocation

GRACE_S = 5.0
"""Seconds that what was told to stop gets to end before it is abandoned: asyncio cannot end a task that refuses."""


async def in_time(
    invocation: Invocation, work: Coroutine[Any, Any, Any], variables: Variables
) -> Any:
    """The answer that `work` gives within the node's `timeout_s`.

    Raises:
        NodeTimeout: it took longer; also if it has blocked the event loop, so that no timer could stop it.
    """
    node = invocation.node
    assert node.timeout_s is not None
    loop, queueing = asyncio.get_running_loop(), Queueing(node.timeout_s)
    began = loop.time()
    took = 0.0

    async def timed() -> Any:
        nonlocal took
        answer = await work
        took = loop.time() - began - queueing.seconds
        return answer

    # A task of its own, so that one that refuses to stop can be left behind.
    task = queueing.task(timed(), variables)
    # If its time was over before its first step, `work` never began.
    task.add_done_callback(lambda _: work.close())
    try:
        await queueing.wait(task)
    except asyncio.CancelledError:
        await _stop(invocation, task)
        raise
    if not task.done():
        await _stop(invocation, task)
        raise NodeTimeout(node.name, node.timeout_s)
    answer = task.result()
    if took >= node.timeout_s:
        raise NodeTimeout(node.name, node.timeout_s)
    return answer


async def _stop(invocation: Invocation, task: asyncio.Task[Any]) -> None:
    """Ends an attempt; one that does not end is left behind, and an event says so."""
    task.cancel()
    await asyncio.wait([task], timeout=GRACE_S)
    if not task.done():
        invocation.frame.tell(NodeAbandoned(*invocation.stamp, invocation.node.name))
    elif not task.cancelled():
        task.exception()  # whatever it raises now comes too late
