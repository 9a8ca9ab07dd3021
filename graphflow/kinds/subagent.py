"""A tuned call edge to an agent or graph: its own limits, name and description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from graphflow.arrows import In, Out
from graphflow.errors import DeclarationError
from graphflow.graph import Graph
from graphflow.limits import Limits
from graphflow.nodes import Context, Node


class SubAgent(Node[In, Out]):
    """An agent or graph as a callee, entered in a frame of its own: depth = parent + 1.

    Args:
        target: the agent or graph.
        limits: what one delegation may use; the parent's remaining limits hold as well.
        name: what the caller knows it by; default: the target's name.
        description: what the calling model reads; default: the target's description, never its prompt.
    """

    kind: ClassVar[str] = "sub-agent"
    enters: ClassVar[Literal["never", "called", "always"]] = "always"

    target: Node[Any, Any]
    limits: Limits | None

    def __init__(
        self, target: Node[In, Out], *, limits: Limits | None = None, name: str | None = None, description: str = ""
    ) -> None:
        if not isinstance(target, Node) or target.enters == "never":
            raise DeclarationError(
                f"SubAgent({target!r}): the target is an agent or a graph; tools go into tools=[...]"
            )
        self._declare(
            name or target.name,
            ports=target.ports,
            output=target.output,
            description=description or target.description,
            retry=target.retry if target.enters == "always" else None,
            timeout_s=target.timeout_s if target.enters == "always" else None,
        )
        self.__dict__["target"] = target
        self.__dict__["limits"] = limits

    @property
    def nesting(self) -> int:
        """Graphs nested below the target."""
        return int(getattr(self.target, "nesting", 0))

    def entry(self) -> tuple[Node[Any, Any], Limits | None]:
        """The target, and the limits of this edge."""
        return self.target, self.limits

    def within(self) -> tuple[Node[Any, Any], ...]:
        """The target, whose own call edges belong to the same graph; a graph has its own."""
        return () if isinstance(self.target, Graph) else (self.target,)

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Walks the target in a frame of its own."""
        output: Out = await ctx.frame.enter(ctx.activation, self, next(iter(inputs.values())), None)
        return output
