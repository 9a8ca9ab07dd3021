"""A tuned call edge to an agent or graph: what the child sees of the conversation, its limits, its dependencies."""

from __future__ import annotations

from inspect import isfunction
from typing import Any, ClassVar, Literal, Unpack, get_args

from graphflow.declaration.arrows import In, Out
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode, Inputs, Isolation, Node
from graphflow.declaration.options import NodeOptions
from graphflow.errors import DeclarationError
from graphflow.limits import Limits
from graphflow.proofs.proven import ProvenGraph

INHERITED: Any = object()


class SubAgent(Node[In, Out]):
    """An agent or graph as a callee, entered in a frame of its own: depth = parent + 1.

    Args:
        target: the agent or graph. A model that calls it sees the schema of what it takes.
        isolation: what the child sees of its caller's conversation: nothing ("isolated"), the very same, one child at a time
            and what it says is kept beside the caller's own turns ("shared"), or a copy ("forked").
        background: whether the caller goes on at once, with a handle to await, look at or cancel. The call ends with the run.
        limits: what one delegation may use; the parent's remaining limits hold as well.
        deps: the child's dependencies; a function makes them of the parent's. Default: the parent's.
        name: what the caller knows it by; default: the target's name.
        description: what the calling model reads; default: the target's description, never its prompt.
    """

    kind: ClassVar[str] = "sub-agent"
    enters: ClassVar[Literal["never", "called", "always"]] = "always"

    target: AnyNode
    limits: Limits | None
    deps: Any

    def __init__(
        self,
        target: Node[In, Out],
        *,
        isolation: Isolation = "isolated",
        background: bool = False,
        limits: Limits | None = None,
        deps: Any = INHERITED,
        name: str | None = None,
        description: str = "",
        **options: Unpack[NodeOptions],
    ) -> None:
        _check(target, isolation, background)
        if target.enters == "always":
            inherited = {
                key: getattr(target, key) for key in NodeOptions.__annotations__ if key != "policy"
            }
            # A graph's own options hold for the edge to it; its policy it asks itself, within.
            options = {**inherited, **options}  # type: ignore[typeddict-item]  # the options of any node
        self._declare(
            name or target.name,
            ports=target.ports,
            output=target.output,
            description=description or target.description,
            **options,
        )
        self._set(
            target=target,
            isolation=isolation,
            in_background=background,
            limits=limits,
            deps=deps,
            inherits_deps=deps is INHERITED,
        )

    @property
    def nesting(self) -> int:
        """Graphs nested below the target."""
        return int(getattr(self.target, "nesting", 0))

    def entry(self) -> tuple[AnyNode, Limits | None]:
        """The target, and the limits of this edge."""
        return self.target, self.limits

    def child_deps(self, deps: Any) -> Any:
        """What was given as `deps`, or what that function makes of the parent's; else the parent's own."""
        if self.deps is INHERITED:
            return deps
        return self.deps(deps) if isfunction(self.deps) else self.deps

    def within(self) -> tuple[AnyNode, ...]:
        """The target, whose own call edges belong to the same graph; a graph has its own."""
        return () if isinstance(self.target, ProvenGraph) else (self.target,)

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Walks the target in a frame of its own."""
        output: Out = await ctx.frame.enter(ctx.activation, self, next(iter(inputs.values())), None)
        return output


def _check(target: object, isolation: str, background: bool) -> None:
    if not isinstance(target, Node) or target.enters == "never":
        raise DeclarationError(
            f"SubAgent({target!r}): the target is an agent or a graph; tools go into tools=[...]"
        )
    whose = f"SubAgent({target.name!r})"
    allowed = get_args(Isolation)
    if isolation not in allowed:
        listed = ", ".join(allowed)
        raise DeclarationError(f"{whose}: isolation={isolation!r}; it is {listed}")
    if background and isolation == "shared":
        raise DeclarationError(
            f"{whose}: in the background it would talk into its caller's conversation; use 'forked'"
        )
