"""What the nodes of a graph may call: names become nodes here once, and nothing else is ever reached.

Rules:
1. A node can call nothing that is not among its callees here.
2. Call edges may go round: a cycle of calls is a fact, bounded by the depth limit, and no problem.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.ports import required_ports
from graphflow.limits import DEFAULT_DEPTH, Limits
from graphflow.proofs.arms import nearest
from graphflow.proofs.problems import Problems

Nodes: TypeAlias = Sequence[AnyNode]
NodesByName: TypeAlias = dict[str, AnyNode]
"""Nodes by their names."""
Callees: TypeAlias = dict[str, tuple[AnyNode, ...]]
"""What each node may call, by its name."""


def resolve_calls(nodes: Nodes, problems: Problems) -> Callees:
    """The callees of every node that is on an arrow, called, handed over to, or within another one."""
    names, reached = _reach(nodes, problems)
    callees: Callees = {}
    for node in reached:
        own = _callees_of(node, names, problems)
        if own or node.name not in callees:
            callees[node.name] = tuple(own)
        _check_clashes(node, own, problems)
    return callees


def _reach(nodes: Nodes, problems: Problems) -> tuple[NodesByName, list[AnyNode]]:
    """All nodes in reach, by name, and in the order in which they were found."""
    names = {node.name: node for node in nodes}
    todo = deque(nodes)
    reached: list[AnyNode] = []
    while todo:
        node = todo.popleft()
        reached.append(node)
        for other in _neighbours(node):
            name = other.name
            known = names.get(name)
            if known is None:
                names[name] = other
                todo.append(other)
            elif name == node.name and other in node.within():
                # A sub-agent and its target share a name: the target is followed for what it calls itself.
                if other not in reached and other not in todo:
                    todo.append(other)
            elif known != other and not _is_wrapped(known, other):
                text = _namesake_text(other, known, node)
                problems.add(text)
    return names, reached


def _namesake_text(node: AnyNode, known: AnyNode, caller: AnyNode) -> str:
    both = f"{known!r} and {node!r}"
    return (
        f"two different nodes are named {node.name!r}: {both} (called by {caller.name!r}); "
        f"rename one with .named('{node.name}_2')"
    )


def _neighbours(node: AnyNode) -> Iterator[AnyNode]:
    """The nodes that a node names itself: within it, called, handed over to."""
    yield from node.within()
    for callee in node.calls:
        if isinstance(callee, Node):
            yield callee
    for handoff in node.handoffs:
        if isinstance(handoff.target, Node):
            yield handoff.target


def _is_wrapped(one: AnyNode, other: AnyNode) -> bool:
    """Whether one of two nodes stands within the other: a sub-agent has the name of its target."""
    if other in one.within():
        return True
    return one in other.within()


def _callees_of(node: AnyNode, names: NodesByName, problems: Problems) -> list[AnyNode]:
    caller = f"node {node.name!r}"
    found: list[AnyNode] = []
    for callee in node.calls:
        if isinstance(callee, Node):
            target = callee
        elif callee in names:
            target = names[callee]
        else:
            near = nearest(callee, names)
            problems.add(f"{caller} calls {callee!r}, and no node in the graph has that name{near}")
            continue
        for problem in problems_of(target):
            problems.add(f"node {target.name!r}: {problem}")
        required = required_ports(target.ports)
        if len(required) > 1:
            problems.add(
                f"{caller} calls {target.name!r}, which has several ports; what is called takes one "
                "message (a tool takes several arguments)"
            )
        found.append(target)
    return found


def problems_of(node: AnyNode) -> tuple[str, ...]:
    """What is wrong with a node by now: what it named when it was declared may be defined since."""
    if node.problems:
        node.settle()
    return node.problems


def _check_clashes(node: AnyNode, callees: Iterable[AnyNode], problems: Problems) -> None:
    """Two of a node's edges that a model could not tell apart."""
    caller = f"node {node.name!r}"
    counts = Counter(callee.name for callee in callees)
    for name in sorted(counts):
        if counts[name] > 1:
            problems.add(
                f"{caller} has two call edges to nodes named {name!r}; rename one with .named(...)"
            )
    for handoff in node.handoffs:
        if handoff.tool not in counts:
            continue
        problems.add(
            f"{caller} calls {handoff.tool!r}, which is how it hands over to {handoff.name!r}, too; "
            "rename one with .named(...)"
        )


def call_cycles(callees: Callees, limits: Limits) -> list[str]:
    """One fact for each cycle of calls, with what bounds it."""
    bound = DEFAULT_DEPTH if limits.depth is None else limits.depth
    entering = _entering(callees)
    facts: list[str] = []
    for names in _cycles(callees):
        first = names[0]
        cycle = " > ".join([*names, first])
        # The depth limit counts frames, so it stops only a cycle that enters one.
        bounded_by = f"depth {bound}"
        if entering.isdisjoint(names):
            bounded_by = "steps alone: no frame is entered"
        facts.append(f"call cycle {cycle}: bounded by {bounded_by}")
    return facts


def _entering(callees: Callees) -> set[str]:
    """The names of those that enter a frame when they are called."""
    entering: set[str] = set()
    for own in callees.values():
        for node in own:
            if node.enters != "never":
                entering.add(node.name)
    return entering


def _cycles(callees: Callees) -> Iterator[list[str]]:
    """The names on each cycle that a depth-first search closes, with a stack of its own: teams may be deep."""
    seen: set[str] = set()
    for origin in callees:
        if origin in seen:
            continue
        path = [origin]
        stack = [iter(callees[origin])]
        while stack:
            callee = next(stack[-1], None)
            if callee is None:
                stack.pop()
                seen.add(path.pop())
            elif callee.name in path:
                begin = path.index(callee.name)
                yield path[begin:]
            elif callee.name not in seen:
                path.append(callee.name)
                behind = callees.get(callee.name, ())
                stack.append(iter(behind))
