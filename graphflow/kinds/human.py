"""A person as a node: somebody in the process is asked, or the branch rests until somebody anywhere has answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Unpack

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
from graphflow.errors import DeclarationError
from graphflow.messages.message import TimedOut
from graphflow.messages.types import Type, adapter_of

Ask = Callable[[str, Any], Awaitable[Any]]


class Human(Node[In, Out]):
    """Asks a person, and takes the answer as its output.

    Without `ask` the branch rests until somebody has answered: here (`run.answer`), from another process (`store.answer`), or
    when the run is resumed. Other branches go on; a run in which nothing else can move ends its sitting as "waiting".

    Args:
        name: the node's name.
        ask: how the person is reached in this process: an async function of the node's name and the message.
        input: the type of message that is shown.
        output: the type of the answer; plain data is validated into it.
        timeout: seconds after which nobody is waited for any more: the node sends `TimedOut`, which is an arm of its output
            then (`editor[TimedOut] >> ...`).
    """

    kind: ClassVar[str] = "human"
    checks: bool = True
    ask: Ask | None
    answer: Type
    timeout: float | None
    asks_outside: bool

    def __init__(
        self,
        name: str,
        *,
        ask: Ask | None = None,
        input: Type = Any,
        output: Type = str,
        timeout: float | None = None,
        description: str = "",
        **options: Unpack[NodeOptions],
    ) -> None:
        if ask is not None and not callable(ask):
            raise DeclarationError(
                f"human {name!r}: ask={ask!r} is not a function; give an async function of (name, message)"
            )
        check_timeout(f"human {name!r}", timeout)
        if ask is not None and timeout is not None:
            raise DeclarationError(
                f"human {name!r}: timeout= is for questions without ask=; give timeout_s= beside ask="
            )
        if ask is None:
            refuse_attempt_timeout(f"human {name!r}", options, USE_TIMEOUT)
        sent = output if timeout is None else output | TimedOut
        self._declare(
            name, ports=(Port("input", input),), output=sent, description=description, **options
        )
        self._set(ask=ask, answer=output, timeout=timeout, asks_outside=ask is None)

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Waits for the answer."""
        message = next(iter(inputs.values()))
        output: Out
        if self.ask is not None:
            answer = await self.ask(self.name, message)
            # A person answers in a form or a chat: as JSON, or as text.
            output = adapter_of(self.answer).validate_python(answer)
            return output
        inquiry = Inquiry(
            "human",
            message,
            self.output,
            due_after(self.timeout),
            self._late(message),
            people=self.answer,
        )
        output = await ctx.frame.ask(ctx, inquiry)
        return output

    def _late(self, message: object) -> TimedOut | None:
        return (
            None
            if self.timeout is None
            else TimedOut(node=self.name, seconds=self.timeout, message=message)
        )
