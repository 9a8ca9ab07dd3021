"""Cancellations: who has asked for one, and what it means that a node raises `CancelledError`.

asyncio counts requests to cancel a task (`Task.cancelling()`). A walk compares that number with what it was before, for
a request may be older than the walk and not meant for it.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from graphflow.errors import StrayCancellation, WalkCancelled
from graphflow.messages.message import error_text
from graphflow.runtime.frame import Frame

EXACT = sys.version_info >= (3, 13)
"""Whether asyncio takes back the requests to stop that it makes itself: before 3.13 a `TaskGroup` with a failing task left
one behind (https://github.com/python/cpython/issues/116720)."""
MAX_CAUSES = 50
"""Errors that are looked at for the cancellation they came of: a chain may be a ring."""


def stray(node: str, cancelled: BaseException) -> StrayCancellation:
    """The failure of a node that raised `CancelledError` with nobody cancelling it."""
    error = StrayCancellation(node, error_text(cancelled))
    error.__cause__ = cancelled
    return error


def unasked(node: str, cancelled: asyncio.CancelledError) -> Exception:
    """What a cancellation means that the walk has not asked for."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return WalkCancelled(f"node {node!r} was cancelled from outside of the walk")
    return stray(node, cancelled)


def asked_to_stop(
    frame: Frame, task: asyncio.Task[Any], before: int, error: BaseException | None
) -> bool:
    """Whether somebody wants the task to end: after a node answered, or raised `error`, and the requests have become more."""
    if task.cancelling() <= before:
        return False
    if EXACT or isinstance(error, asyncio.CancelledError) or frame.shared.run._cancelled:
        return True
    # A deadline of ours cancels the task, too, and says so only where it was set.
    book = frame.ledger.first_deadline()
    if book is not None and book.deadline is not None:
        now = asyncio.get_running_loop().time()
        if now >= book.deadline:
            return True
    return _comes_of_a_cancellation(error)


def _comes_of_a_cancellation(error: BaseException | None) -> bool:
    for _ in range(MAX_CAUSES):
        if error is None or isinstance(error, asyncio.CancelledError):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, asyncio.CancelledError)


def may_be_told_to_stop(frame: Frame, before: int, error: Exception) -> bool:
    """Whether what failed may have failed because its task was told to stop; then it is not tried again."""
    task = asyncio.current_task()
    return task is not None and asked_to_stop(frame, task, before, error)


def uncancel() -> None:
    """Takes back the requests to cancel the current task that the walk itself has made."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def is_closed(task: asyncio.Task[Any] | None) -> bool:
    """Whether a `GeneratorExit` comes from outside: the event loop is gone, and nothing can be awaited any more.

    One that a node raises itself arises while its task runs.
    """
    try:
        return task is None or asyncio.current_task() is not task
    except RuntimeError:  # no event loop runs
        return True
