"""A background call: it goes on while its caller does, and ends with the run at the latest."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from pydantic import PrivateAttr, computed_field

from graphflow.errors import BackgroundFailed, LimitExceeded, WalkCancelled
from graphflow.events import Status
from graphflow.messages.message import Message, error_text


class Background(Message):
    """The handle of a background call: `await` it for the answer, look at `status`, `cancel()` it.

    Attributes:
        handle: its name within the run.
        node: what was called.
    """

    handle: str
    node: str
    _task: asyncio.Task[Any] | None = PrivateAttr(None)
    _called: object = PrivateAttr(None)
    _ended: bool = PrivateAttr(False)
    _cut_off: bool = PrivateAttr(False)

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def status(self) -> Status:
        """running, completed, failed, limited or cancelled."""
        task = self._task
        if task is None or not task.done():
            return "running"
        if task.cancelled():
            return "cancelled"
        error = task.exception()
        if error is None:
            return "completed"
        if isinstance(error, WalkCancelled):
            return "cancelled"
        if isinstance(error, LimitExceeded):
            return "limited"
        return "failed"

    @property
    def error(self) -> BaseException | None:
        """What ended it, if it has failed."""
        task = self._task
        if task is None or not task.done() or task.cancelled():
            return None
        return task.exception()

    def cancel(self) -> None:
        """Stops it, unless it has ended."""
        if self._task is not None:
            self._task.cancel()

    async def wait(self, seconds: float | None = None) -> Status:
        """Waits until it has ended, or so long; how it stands then."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=seconds)
        return self.status

    @property
    def answer(self) -> Any:
        """What it answered; None until it has."""
        task = self._task
        if task is None or self.status != "completed":
            return None
        return task.result()

    # -- what only the runtime does with it ----------------------------------------------------------------------------
    def begin(self, called: object, task: asyncio.Task[Any]) -> None:
        """Ties the handle to the node that is called, and to the task that does the work."""
        self._called = called
        self._task = task

    @property
    def called(self) -> object:
        """The node that is called."""
        return self._called

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that does the work, once there is one."""
        return self._task

    @property
    def has_ended(self) -> bool:
        """Whether its end is in the journal."""
        return self._ended

    @property
    def was_cut_off(self) -> bool:
        """Whether the run ended first."""
        return self._cut_off

    def note_end(self) -> None:
        """Notes that its end is in the journal."""
        self._ended = True

    def note_cut_off(self) -> None:
        """Notes that the run has ended first."""
        self._cut_off = True

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        status = await self.wait()
        if status == "completed" and self._task is not None:
            return self._task.result()
        error = self.error
        why = f"{type(error).__name__}: {error_text(error)}" if error is not None else "it was cancelled"
        raise BackgroundFailed(f"background call {self.handle!r} of {self.node!r}: {status}; {why}") from error


def cut_off(background: Background) -> BackgroundFailed:
    """What a call in the background ends in if the run ended first."""
    return BackgroundFailed(
        f"background call {background.handle!r} of {background.node!r} was cut off: the run ended before it did; "
        "await its handle where its answer is needed"
    )
