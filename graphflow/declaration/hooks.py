"""Hooks of nodes: what changes a message before a node gets it, an answer before anybody else does, and the same for its model.

    before         the message, validated and judged anew if it was changed
    after          the answer, of the node's type still
    before_model   the request to a model, each time that one is asked
    after_model    its reply

Rules:
1. A hook answers with what takes the place of what it was given; None leaves that as it is.
2. What a hook raises fails the node, as if the node had raised it.
3. Guards judge what hooks have made: hooks before a node come before its guards, those after it before its guards as well.
4. Hooks of a model see what is masked already, and what they answer is masked again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, TypeAlias

from graphflow.concurrency import in_thread

if TYPE_CHECKING:
    from graphflow.declaration.context import Context
    from graphflow.declaration.node import AnyNode

HookFunction: TypeAlias = Callable[..., object]
"""A function of the message, or of the message and the `Context`; async, or plain: then it runs in a thread."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One function, or one node, that changes a message.

    Attributes:
        name: what it is called.
        function: the function; None = it is a node.
        node: the node, which is called along a call edge; None = it is a function.
        wants_ctx: whether the function takes the context, too.
    """

    name: str
    function: HookFunction | None = None
    node: AnyNode | None = None
    wants_ctx: bool = False

    async def changed(self, value: object, ctx: Context) -> object:
        """What takes the place of a value; the same object, if nothing does."""
        if self.node is not None:
            answer = await ctx.call(self.node, value)
        else:
            answer = await self._called(value, ctx)
        return value if answer is None else answer

    async def _called(self, value: object, ctx: Context) -> object:
        function = self.function
        assert function is not None
        given = (value, ctx) if self.wants_ctx else (value,)
        answer: object
        # A plain function may block, so it has a thread.
        if iscoroutinefunction(function):
            answer = function(*given)
        else:
            answer = await in_thread(function, *given, kind="hook")
        if isawaitable(answer):
            answer = await answer
        return answer


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of one node, each kind in the order in which they are asked."""

    before: tuple[Hook, ...] = ()
    after: tuple[Hook, ...] = ()
    before_model: tuple[Hook, ...] = ()
    after_model: tuple[Hook, ...] = ()

    def around(self, inner: Hooks) -> Hooks:
        """These around those that a node has already."""
        return Hooks(
            before=(*self.before, *inner.before),
            after=(*inner.after, *self.after),
            before_model=(*self.before_model, *inner.before_model),
            after_model=(*inner.after_model, *self.after_model),
        )

    @property
    def nodes(self) -> list[AnyNode]:
        """The nodes among them."""
        found: list[AnyNode] = []
        # Those of models are functions, all of them.
        for field in fields(self):
            found += [hook.node for hook in getattr(self, field.name) if hook.node is not None]
        return found


NO_HOOKS = Hooks()


def takes_context(function: HookFunction) -> bool:
    """Whether a function takes two arguments: the second one is the context."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some functions of C nobody knows
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        each
        for each in parameters
        if each.kind in kinds and each.default is inspect.Parameter.empty
    ]
    return len(required) > 1
