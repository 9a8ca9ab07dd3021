"""A person as a node: the seam. What asks is given from outside; pausing a walk for an answer is not part of it yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Unpack

from graphflow.declaration.arrows import In, Out
from graphflow.declaration.node import Context, Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError
from graphflow.messages.types import Type, adapter_of

Ask = Callable[[str, Any], Awaitable[Any]]


class Human(Node[In, Out]):
    """Asks a person, through `ask(name, message)`, and takes the answer as its output.

    Args:
        name: the node's name.
        ask: how the person is reached: an async function of the node's name and the message.
        input: the type of message that is shown.
        output: the type of the answer; plain data is validated into it.
    """

    kind: ClassVar[str] = "human"
    ask: Ask

    def __init__(
        self,
        name: str,
        *,
        ask: Ask,
        input: Type = Any,
        output: Type = str,
        description: str = "",
        **options: Unpack[NodeOptions],
    ) -> None:
        if not callable(ask):
            raise DeclarationError(
                f"human {name!r}: ask={ask!r} is not a function; give an async function of (name, message)"
            )
        self._declare(name, ports=(Port("input", input),), output=output, description=description, **options)
        self._set(ask=ask)

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Waits for the answer."""
        answer = await self.ask(self.name, next(iter(inputs.values())))
        # A person answers in a form or a chat: as JSON, or as text.
        output: Out = adapter_of(self.output).validate_python(answer)
        return output
