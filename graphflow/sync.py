"""The one bridge from plain code into async code."""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


def run_sync(make: Callable[[], Awaitable[T]]) -> T:
    """The result of `await make()`.

    Where a loop runs already (a notebook cell, a callback), the work gets a loop in a thread of its own; the caller waits,
    as it asked to, and Ctrl-C ends the wait and cancels the work. That loop stands still meanwhile: asyncio cannot be
    entered twice. Where others wait for it, that is said (`RuntimeWarning`).
    """

    async def work() -> T:
        return await make()

    if (
        asyncio._get_running_loop() is None
    ):  # the documented one raises, and every error of the walk would show that, too
        return asyncio.run(work())
    if waiting := _others_waiting():
        warnings.warn(
            f"run_sync blocks the event loop that it is called in, and {waiting} of its tasks stand still until the walk "
            "has ended; write `await graph.run(...)` there, or call it from a plain function: nodes of plain functions "
            "run in threads",
            RuntimeWarning,
            stacklevel=3,
        )
    result: T = _in_own_loop(work)
    return result


def _others_waiting() -> int:
    """Other tasks of the running loop. Those of a notebook's kernel do not count: any cell makes them wait."""
    if "ipykernel.zmqshell" in sys.modules:
        return 0
    loop = asyncio.get_running_loop()
    return len(asyncio.all_tasks(loop) - {asyncio.current_task(loop)})


def _in_own_loop(work: Callable[[], Any]) -> Any:
    outcome: dict[str, Any] = {}
    began = threading.Event()

    async def main() -> Any:
        outcome["loop"], outcome["task"] = asyncio.get_running_loop(), asyncio.current_task()
        began.set()
        return await work()

    def body() -> None:
        try:
            outcome["result"] = asyncio.run(main())
        except BaseException as error:
            outcome["error"] = error
        finally:
            began.set()

    # What the caller has set holds for the work; what the work sets is its own.
    context = copy_context()
    thread = threading.Thread(
        target=context.run, args=(body,), name="graphflow:run_sync", daemon=True
    )
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        began.wait()
        if "loop" in outcome and thread.is_alive():
            outcome["loop"].call_soon_threadsafe(outcome["task"].cancel)
            thread.join(timeout=5)
        raise
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]
