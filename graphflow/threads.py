"""Plain functions off the event loop.

asyncio's and anyio's worker threads are joined when the interpreter exits, so a function that blocks for ever would keep
the process alive after its walk has long given up. Daemon threads of our own are left behind instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any, on_abandon: Callable[[], None] | None = None) -> T:
    """The result of `function(*args)`, run in a thread with the caller's context variables.

    If the awaiting task is cancelled, the thread goes on alone (Python cannot stop it); `on_abandon` is told.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            if isinstance(error, StopIteration):  # a future refuses it; PEP 479 has the reason
                error = RuntimeError("the function raised StopIteration")
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only if T allows it

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = context.run(function, *args)
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody is left to tell
            loop.call_soon_threadsafe(settle, result, error)

    thread = threading.Thread(target=work, name=f"graphflow:{getattr(function, '__name__', 'function')}", daemon=True)
    thread.start()
    try:
        return await future
    except asyncio.CancelledError:
        if thread.is_alive() and on_abandon is not None:
            on_abandon()
        raise
