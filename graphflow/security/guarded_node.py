"""Nodes with guards around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeVar, overload

from graphflow.concurrency import in_thread
from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guard, Guards
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.ports import name_of
from graphflow.errors import DeclarationError
from graphflow.kinds.subagent import SubAgent
from graphflow.proofs.proven import ProvenGraph

A = TypeVar("A")
B = TypeVar("B")
N = TypeVar("N", bound=AnyNode)
GuardFunction = Callable[[Any], Awaitable[bool | str] | bool | str]
"""A guard of your own: of the message it returns True if it passes, or why it does not."""


@dataclass(frozen=True, slots=True)
class FunctionGuard(Guard):
    """A function as a guard. Only True lets a message pass; a text says why it does not."""

    function: GuardFunction

    @property
    def name(self) -> str:  # type: ignore[override]  # of the function, not to be set
        return name_of(self.function)

    async def check(self, message: object, ctx: Context) -> str | None:
        function = self.function
        # A plain function may block, so it has a thread.
        given = (
            function(message)
            if iscoroutinefunction(function)
            else await in_thread(function, message, kind="hook")
        )
        answer = await given if isawaitable(given) else given
        if answer is True:
            return None
        if isinstance(answer, str):
            return answer
        if answer is False:
            return "it does not pass"
        kind = type(answer).__name__
        return f"the guard answered with {kind}; it must return True, or why it rejects"


@overload
def guarded(
    node: ProvenGraph[A, B],
    *,
    before: Sequence[Guard | GuardFunction] = ...,
    after: Sequence[Guard | GuardFunction] = ...,
) -> SubAgent[A, B]: ...
@overload
def guarded(
    node: N,
    *,
    before: Sequence[Guard | GuardFunction] = ...,
    after: Sequence[Guard | GuardFunction] = ...,
) -> N: ...
def guarded(
    node: AnyNode,
    *,
    before: Sequence[Guard | GuardFunction] = (),
    after: Sequence[Guard | GuardFunction] = (),
) -> AnyNode:
    """The same node with guards around it: an agent, a tool, a step, a router, a graph.

    What a guard rejects fails the node with `GuardRejected`: `node[Failure] >> ...` takes it where there is such an edge, a
    model that has called the node reads it. Guards before it are asked before a person (`approval=`) and before a cached
    answer; those after it once for each attempt (`retry=`).

    Args:
        node: which; of a graph, it is the way into it that is guarded, and what comes back stands on arrows and in `tools`.
        before: what judges the messages that it is given, in this order.
        after: what judges its answers, in this order.

    Raises:
        DeclarationError: that is not a node, or not a guard.
    """
    _check(node)
    first = read_guards(node.name, "before", before)
    last = read_guards(node.name, "after", after)
    if isinstance(node, ProvenGraph):
        node = SubAgent(node)
    elif isinstance(node, SubAgent) and not isinstance(node.target, ProvenGraph):
        # The words of an agent are told while it says them, so they are judged where they are said.
        return node.twin(target=node.target.guarded(first, last))
    return node.guarded(first, last)


def checked(node: N) -> N:
    """The same node, declared to check: what it answers may be acted upon, although it was made of untrusted content.

    For code of yours that looks at content and says what of it is right: a router that sorts out, a step that compares with a
    table. The build believes it.

    Raises:
        DeclarationError: that is not a node.
    """
    _check(node)
    return node.twin(checks=True)


def _check(node: object) -> None:
    if not isinstance(node, Node):
        raise DeclarationError(
            f"guarded({node!r}): give a node; decorate functions with @node or @tool"
        )
    if node.source:
        raise DeclarationError(
            f"guarded({node.name!r}): a server stands for its tools, which are not known yet; guard the agent that calls them"
        )


def read_guards(whose: str, stage: str, given: Sequence[Guard | GuardFunction]) -> Guards:
    """Guards as they were given, functions among them.

    Raises:
        DeclarationError: one is neither.
    """
    problem = f"guarded({whose!r}, {stage}={given!r})"
    if isinstance(given, (str, Guard)) or not isinstance(given, Sequence):
        raise DeclarationError(f"{problem}: give a list")
    guards: list[Guard] = []
    for each in given:
        if isinstance(each, Guard):
            guards.append(each)
        elif callable(each) and not isinstance(each, (type, Node)):
            guards.append(FunctionGuard(each))
        else:
            raise DeclarationError(f"{problem}: {each!r} is neither a Guard nor a function")
    return tuple(guards)
