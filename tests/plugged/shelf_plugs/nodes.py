"""Kinds of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from pydantic import BaseModel

from graphflow import Context, Node
from graphflow.declaration.node import AnyNode, Inputs
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port


class Shelf(Node[Any, Any]):
    """Says what stands on a shelf.

    Args:
        name: the node's name.
        size: how many places it has.
        labels: what stands on it.
    """

    kind: ClassVar[str] = "shelf"
    size: int
    labels: tuple[str, ...]

    def __init__(
        self,
        name: str,
        *,
        size: int = 3,
        labels: tuple[str, ...] = (),
        **options: Unpack[NodeOptions],
    ) -> None:
        self._declare(name, ports=(Port("text", str),), output=str, **options)
        self._set(size=size, labels=labels)

    async def activate(self, inputs: Inputs, ctx: Context) -> str:
        """The text, once for each place."""
        shown = [*self.labels, inputs["text"]]
        return " ".join(shown * self.size)


class Porter(Node[Any, Any]):
    """Hands what it is given to each node that it may call."""

    kind: ClassVar[str] = "porter"

    def __init__(
        self,
        name: str,
        *,
        calls: Sequence[AnyNode | str] = (),
        input: Any = str,
        **options: Unpack[NodeOptions],
    ) -> None:
        ports = (Port("text", input),)
        self._declare(name, ports=ports, output=str, calls=calls, **options)

    async def activate(self, inputs: Inputs, ctx: Context) -> str:
        """What they answer."""
        answers = [await ctx.call(callee, inputs["text"]) for callee in self.calls]
        return ", ".join(answers)


class DeskOptions(BaseModel, extra="forbid"):
    """How a desk is set up."""

    greeting: str
    chairs: int = 1


class Desk(Node[Any, Any]):
    """Greets."""

    kind: ClassVar[str] = "desk"

    def __init__(self, name: str, options: DeskOptions) -> None:
        self._declare(name, ports=(Port("text", str),), output=str)
        self._set(greeting=options.greeting, chairs=options.chairs)

    async def activate(self, inputs: Inputs, ctx: Context) -> str:
        """The greeting and the text."""
        return f"{self.greeting}, {inputs['text']}!"


def desk(name: str, options: DeskOptions) -> AnyNode:
    """A desk."""
    return Desk(name, options)
