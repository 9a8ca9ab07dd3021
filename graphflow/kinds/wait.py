"""Waits: nodes that let time pass, or take a message from outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, TypeAlias, TypeVar, Unpack

from graphflow import clock
from graphflow.declaration.arrows import In, Out
from graphflow.declaration.context import Context
from graphflow.declaration.inquiry import (
    USE_TIMEOUT,
    Inquiry,
    check_timeout,
    due_after,
    refuse_attempt_timeout,
)
from graphflow.declaration.node import Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, OutputInvalid
from graphflow.messages.message import TimedOut
from graphflow.messages.types import Type

T = TypeVar("T")
Moment: TypeAlias = datetime | Callable[[Any], datetime]
"""A time, or a function of the message that tells it."""
LONGEST_SLEEP_S = 60.0
"""Seconds after which who sleeps looks at the clock again, which may have been set meanwhile."""


class Wait(Node[T, T]):
    """Lets time pass, and sends on what it was given.

    In a run that is kept in a store the time passes although the process ends: the branch rests, and who resumes the run
    when the time is over finds it so. In any other run it sleeps. Who answers its question with `True` ends it early.
    Who calls it along a call edge is answered with True.

    Args:
        name: the node's name.
        seconds: how long.
        until: or until when: a `datetime` with a time zone, or a function of the message that returns one. What is over
            already is not waited for.
        input: the type of message that goes through. It is needed where that is what the graph answers: `Any` says
            nothing, and proves nothing.
        description: what the node is for.
        retry, cache, policy, approval, approval_timeout_s, quota, reads, adds, sets: as for every node (`NodeOptions`).
    """

    kind: ClassVar[str] = "wait"
    undeclared: bool = False
    seconds: float | None
    until: Moment | None

    def __init__(
        self,
        name: str,
        *,
        seconds: float | None = None,
        until: Moment | None = None,
        input: Type = Any,
        description: str = "",
        **options: Unpack[NodeOptions],
    ) -> None:
        whose = f"wait {name!r}"
        if (seconds is None) == (until is None):
            raise DeclarationError(f"{whose}: give seconds=... or until=..., one of them")
        if seconds is not None and not _is_duration(seconds):
            raise DeclarationError(
                f"{whose}: seconds={seconds!r} must be a number of seconds, 0 or more"
            )
        if until is not None and not callable(until):
            problem = _problem_of(until)
            if problem:
                raise DeclarationError(f"{whose}: until={until!r} {problem}")
        refuse_attempt_timeout(whose, options, "seconds= and until= say how long")
        ports = (Port("input", input),)
        self._declare(
            name, ports=ports, output=bool, description=description, passes_input=True, **options
        )
        self._set(seconds=seconds, until=until)

    async def activate(self, inputs: Inputs, ctx: Context) -> Any:
        """Waits; True: the time is over. What travels on is the message itself (`passes_input`).

        Raises:
            OutputInvalid: the function has returned no time.
        """
        message = next(iter(inputs.values()))
        due = self._due(message)
        if ctx.frame.can_wait:
            await ctx.frame.ask(ctx, Inquiry("time", message, bool, due, True))
        else:
            await _sleep_until(due)
        return True

    def _due(self, message: object) -> float:
        """When it is over, in seconds since 1970."""
        if self.seconds is not None:
            return clock.now() + self.seconds
        until = self.until
        assert until is not None
        moment = until(message) if callable(until) else until
        problem = _problem_of(moment)
        if problem:
            raise OutputInvalid(
                f"the function until= of wait {self.name!r} returned {moment!r}, which {problem}"
            )
        return moment.timestamp()


async def _sleep_until(due: float) -> None:
    """Sleeps until that time, in seconds since 1970, by whatever the clock is set to meanwhile."""
    left = due - time.time()
    while left > 0:
        await asyncio.sleep(min(left, LONGEST_SLEEP_S))
        left = due - time.time()


def _is_duration(seconds: object) -> bool:
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds >= 0


def _problem_of(moment: object) -> str:
    """What is wrong with a time; "" if nothing is."""
    if not isinstance(moment, datetime):
        return "is not a time; give a datetime, or a function of the message that returns one"
    if moment.tzinfo is None:
        return "has no time zone; add tzinfo=UTC"
    return ""


class Receive(Node[In, Out]):
    """Takes a message from outside, of another program: `await store.send(run, name, message)`.

    The branch rests until the message is there; one that was sent before is taken at once, the first one first.

    Args:
        name: the node's name, by which messages are sent.
        type: the type of the message; plain data is validated into it.
        timeout: seconds after which it is not waited for any more: the node sends `TimedOut` then, which is an arm of its
            output (`payment[TimedOut] >> ...`).
        input: the type of message that lets it begin.
        description: what the node is for.
        retry, cache, policy, approval, approval_timeout_s, quota, reads, adds, sets: as for every node (`NodeOptions`).
    """

    kind: ClassVar[str] = "receive"
    asks_outside: bool = True
    undeclared: bool = False
    type: Type
    timeout: float | None

    def __init__(
        self,
        name: str,
        type: Type,
        *,
        timeout: float | None = None,
        input: Type = Any,
        description: str = "",
        **options: Unpack[NodeOptions],
    ) -> None:
        check_timeout(f"receive {name!r}", timeout)
        refuse_attempt_timeout(f"receive {name!r}", options, USE_TIMEOUT)
        sent = type if timeout is None else type | TimedOut
        self._declare(
            name, ports=(Port("input", input),), output=sent, description=description, **options
        )
        self._set(type=type, timeout=timeout)

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Waits for the message."""
        message = next(iter(inputs.values()))
        late = (
            None
            if self.timeout is None
            else TimedOut(node=self.name, seconds=self.timeout, message=message)
        )
        inquiry = Inquiry(
            "message", message, self.output, due_after(self.timeout), late, people=self.type
        )
        received: Out = await ctx.frame.ask(ctx, inquiry)
        return received
