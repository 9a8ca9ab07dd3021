"""A background call: it goes on while its caller does, and ends with the run at the latest."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

from pydantic import PrivateAttr, computed_field

from graphflow.errors import BackgroundFailed, LimitExceeded, WalkCancelled
from graphflow.events import Status
from graphflow.messages.message import Message, error_text
from graphflow.messages.state import StateWrites

backgrounds: ContextVar[dict[str, Background] | None] = ContextVar(
    "graphflow_backgrounds", default=None
)
"""The calls in the background of the run that the code is part of, by handle, if the run goes on from a record."""


class Collector(Protocol):
    """Who looks at answers of calls in the background, and takes what those have written to states."""

    def collect(self, background: Background) -> None:
        """Takes what the call has written.

        Raises:
            BackgroundFailed: it was called from elsewhere.
        """


collector: ContextVar[Collector | None] = ContextVar("graphflow_collector", default=None)
"""The states as the node sees them that the code is part of; None where its graph has none."""


class RestingPlace(Protocol):
    """What knows what moves in a run."""

    def resting(self) -> AbstractContextManager[None]: ...


class Background(Message):
    """The handle of a background call: `await` it for the answer, look at `status`, `cancel()` it.

    Attributes:
        handle: its name within the run.
        node: what was called.
    """

    handle: str
    node: str
    _task: asyncio.Future[Any] | None = PrivateAttr(None)
    _called: object = PrivateAttr(None)
    _sitting: Any = PrivateAttr(None)
    _ended: bool = PrivateAttr(False)
    _cut_off: bool = PrivateAttr(False)
    _caller: tuple[int, int] = PrivateAttr((-1, -1))
    _written: list[StateWrites] = PrivateAttr(default_factory=list)
    """What it has written, once it has answered; one list for all copies of the handle."""

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def status(self) -> Status:
        """running, completed, failed, limited or cancelled."""
        task = self._own().task
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

    def _own(self) -> Background:
        """The handle that is tied to the work. One that came out of a record is not: its run knows the one that is."""
        if self._task is not None:
            return self
        known = backgrounds.get()
        return self if known is None else known.get(self.handle, self)

    @property
    def error(self) -> BaseException | None:
        """What ended it, if it has failed."""
        task = self._own().task
        if task is None or not task.done() or task.cancelled():
            return None
        return task.exception()

    def cancel(self) -> None:
        """Stops it, unless it has ended."""
        task = self._own().task
        if task is not None:
            task.cancel()

    async def wait(self, seconds: float | None = None) -> Status:
        """Waits until it has ended, or so long; how it stands then."""
        own = self._own()
        task, sitting = own.task, own._sitting
        if task is not None and not task.done():
            with nullcontext() if sitting is None or seconds is not None else sitting.resting():
                await asyncio.wait([task], timeout=seconds)
        return self.status

    @property
    def answer(self) -> Any:
        """What it answered; None until it has. What it has added to states is added now.

        Raises:
            BackgroundFailed: it has added to states, and this is not the activation that has called it.
        """
        task = self._own().task
        if task is None or self.status != "completed":
            return None
        self._collect()
        return task.result()

    def _collect(self) -> None:
        """Adds to states what it has added, behind what was written there so far."""
        own = self._own()
        # Nearly every call has written nothing, and may be looked at anywhere.
        if not own.writes:
            return
        # Of a node that has no states to look at, there is none: it cannot be the one that has called.
        view = collector.get()
        if view is None:
            raise foreign(own)
        view.collect(own)

    # -- what only the runtime does with it --------------------------------------------------------
    def begin(
        self, called: object, task: asyncio.Future[Any], sitting: RestingPlace | None = None
    ) -> None:
        """Ties the handle to the node that is called, to the task that does the work, and to where whoever awaits it rests."""
        self._called = called
        self._task = task
        self._sitting = sitting

    @property
    def called(self) -> object:
        """The node that is called."""
        return self._called

    @property
    def task(self) -> asyncio.Future[Any] | None:
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

    @property
    def caller(self) -> tuple[int, int]:
        """The number of the frame, and that of the activation in it, that has called."""
        return self._caller

    def note_caller(self, frame: int, activation: int) -> None:
        """Notes who has called."""
        self._caller = (frame, activation)

    @property
    def writes(self) -> StateWrites:
        """What it has added to the states that its caller sees."""
        return self._written[0] if self._written else ()

    def note_writes(self, writes: StateWrites) -> None:
        """Notes what it has added to states."""
        # Appended, not set: a handle that was copied meanwhile shares the list.
        self._written.append(writes)

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
        task = self._own().task
        if status == "completed" and task is not None:
            self._collect()
            return task.result()
        error = self.error
        why = (
            f"{type(error).__name__}: {error_text(error)}"
            if error is not None
            else "it was cancelled"
        )
        raise BackgroundFailed(
            f"background call {self.handle!r} of {self.node!r}: {status}; {why}"
        ) from error


def foreign(background: Background) -> BackgroundFailed:
    """What it is to look at the answer of a call elsewhere than where its writes can count."""
    states = ", ".join(repr(name) for name in {write.state.name for write in background.writes})
    return BackgroundFailed(
        f"background call {background.handle!r} of {background.node!r} has added to {states}, which counts where it was called: "
        "await its handle there, and hand on the answer"
    )


def cut_off(background: Background) -> BackgroundFailed:
    """What a call in the background ends in if the run ended first."""
    return BackgroundFailed(
        f"background call {background.handle!r} of {background.node!r} was cut off: the run ended before it did; "
        "await its handle where its answer is needed"
    )
