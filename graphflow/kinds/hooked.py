"""Nodes with hooks: functions or nodes that change what a node is given and answers, and what its model is asked and says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

from graphflow.declaration.hooks import Hook, HookFunction, Hooks, takes_context
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.ports import name_of
from graphflow.errors import DeclarationError
from graphflow.kinds.agent import AgentNode
from graphflow.kinds.subagent import SubAgent
from graphflow.proofs.proven import ProvenGraph

A = TypeVar("A")
B = TypeVar("B")
N = TypeVar("N", bound=AnyNode)
CALLING = ("tool", "step", "agent")
"""Kinds of nodes that can call a node which is a hook of theirs."""


@overload
def hooked(
    node: ProvenGraph[A, B],
    *,
    before: Sequence[HookFunction | AnyNode] = ...,
    after: Sequence[HookFunction | AnyNode] = ...,
) -> SubAgent[A, B]: ...
@overload
def hooked(
    node: N,
    *,
    before: Sequence[HookFunction | AnyNode] = ...,
    after: Sequence[HookFunction | AnyNode] = ...,
    before_model: Sequence[HookFunction] = ...,
    after_model: Sequence[HookFunction] = ...,
) -> N: ...
def hooked(
    node: AnyNode,
    *,
    before: Sequence[HookFunction | AnyNode] = (),
    after: Sequence[HookFunction | AnyNode] = (),
    before_model: Sequence[HookFunction] = (),
    after_model: Sequence[HookFunction] = (),
) -> AnyNode:
    """The same node with hooks: they change its messages and answers, and what its model is asked and says.

    A hook is a function of what it changes, or of that and the `Context`; it returns what takes its place, or None for no
    change. Before and after a node it may also be a node, which is called: a step of its own, in the record and the picture.

    Args:
        node: a tool, a step, an agent, a router; of a graph, it is the way into it that has the hooks.
        before: what changes a message before the node gets it, in this order; what was changed is validated, and policies and
            guards judge it.
        after: what changes an answer before anybody gets it, guards included; it stays of the node's type.
        before_model: what changes a `Request` before a model is asked; not where its answer is in the record already.
        after_model: what changes a `Reply` before anybody reads it. Nobody hears the pieces of an answer while it is said.

    Raises:
        DeclarationError: that is not a node, or not a hook; or the node asks no model, has several ports, or cannot call.
    """
    if not isinstance(node, Node):
        raise DeclarationError(
            f"hooked({node!r}): give a node; decorate functions with @node or @tool"
        )
    if node.source:
        raise DeclarationError(
            f"hooked({node.name!r}): a server stands for its tools, which are not known yet; hook the agent that calls them"
        )
    given = Hooks(
        before=_read(node.name, "before", before),
        after=_read(node.name, "after", after),
        before_model=_read(node.name, "before_model", before_model),
        after_model=_read(node.name, "after_model", after_model),
    )
    if isinstance(node, ProvenGraph):
        node = SubAgent(node)
    _check(node, given)
    return _with_hooks(node, given)


def _with_hooks(node: AnyNode, given: Hooks) -> AnyNode:
    nodes = [each for each in dict.fromkeys(given.nodes) if each not in node.calls]
    hooks = given.around(node.hooks)
    changed: dict[str, object] = {"hooks": hooks, "calls": (*node.calls, *nodes)}
    if isinstance(node, AgentNode):
        # They are not its model's to call.
        names = {each.name for each in nodes}
        changed["unoffered"] = node.unoffered | names
    return node.twin(**changed, plain=False, direct=None)


def _check(node: AnyNode, given: Hooks) -> None:
    """Refuses hooks that would never be asked, or could not work.

    Raises:
        DeclarationError: there are some.
    """
    whose = f"hooked({node.name!r})"
    if (given.before_model or given.after_model) and not node.asks_model:
        raise DeclarationError(
            f"{whose}: it asks no model, so before_model= and after_model= have nothing to change"
        )
    if given.before and len(node.ports) > 1:
        raise DeclarationError(
            f"{whose}: it has {len(node.ports)} ports, and a hook changes one message; put a step in front of it"
        )
    if given.nodes and node.kind not in CALLING:
        raise DeclarationError(
            f"{whose}: a {node.kind} cannot call {given.nodes[0].name!r}; give a function, or put the node on an arrow"
        )


def _read(name: str, stage: str, given: Sequence[HookFunction | AnyNode]) -> tuple[Hook, ...]:
    problem = f"hooked({name!r}, {stage}={given!r})"
    if isinstance(given, str) or not isinstance(given, (list, tuple)):
        raise DeclarationError(f"{problem}: give a list")
    hooks: list[Hook] = []
    for each in given:
        if isinstance(each, Node) and not stage.endswith("model"):
            hooks.append(Hook(each.name, node=each))
        elif callable(each) and not isinstance(each, (type, Node)):
            hooks.append(Hook(name_of(each), function=each, wants_ctx=takes_context(each)))
        else:
            what = "a function" if stage.endswith("model") else "a function or a node"
            raise DeclarationError(f"{problem}: {each!r} is not {what}")
    return tuple(hooks)
