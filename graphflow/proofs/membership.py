"""Who belongs to a graph: the nodes on its arrows, whom they hand over to, and what they call.

Rules:
1. A hand-over is written as an edge like any other, by whoever declared the agent; the graph only adds it.
2. Call edges are resolved here once, names and all; a node can call nothing that is not in `callees`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, Literal

from graphflow.declaration.arrows import END, START, Edge, Entry, Origin, Where
from graphflow.declaration.handoffs import Handoff, HandTo
from graphflow.declaration.node import Node
from graphflow.limits import DEFAULT_DEPTH, Limits
from graphflow.messages.message import Type
from graphflow.proofs.edge_types import nearest

Ends = Literal["one", "first", "all"]


class Members:
    """The nodes of one graph, and what is wrong with them."""

    def __init__(
        self,
        name: str,
        paths: Iterable[Entry[Any, Any]],
        *,
        input: Type,
        ends: Ends,
        limits: Limits | None,
        deps: Type,
        alone: bool = False,
    ) -> None:
        self.name = name
        self.ends = ends
        self.limits = limits or Limits()
        self.declared_input = input
        self.deps = deps
        self.alone = alone
        """Whether this is one node entered as a frame, whose call edges its caller's graph has resolved."""
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.facts: list[str] = []
        self.nodes: list[Node[Any, Any]] = []
        self.index: dict[str, int] = {}
        self.handoffs: dict[str, list[tuple[Handoff, Node[Any, Any]]]] = {}
        self.implied: set[Edge] = set()
        """Edges that nobody wrote: hand-overs, and `>> END` behind their targets."""
        self._written = [edge for path in paths for edge in path._edges()]

    # -- nodes ---------------------------------------------------------------------------------------------------------
    def _collect_nodes(self) -> None:
        for edge in self._written:
            for end in (edge.origin.node, edge.target):
                if end is START or end is END:
                    continue
                assert isinstance(end, Node)
                known = self.index.get(end.name)
                if known is None:
                    self.index[end.name] = len(self.nodes)
                    self.nodes.append(end)
                elif self.nodes[known] is not end and self.nodes[known] != end:
                    self._say(
                        f"two different nodes are named {end.name!r}: {self.nodes[known]!r} and {end!r}; "
                        f"rename one with .named('{end.name}_2')",
                        edge.where,
                    )
        if not self._written:
            self.problems.append("it has no edges; write at least START >> node >> END")
        elif all(e.origin.node is not START for e in self._written):
            self.problems.append("nothing leaves START; write START >> the node that comes first")
        if self._written and all(e.target is not END for e in self._written):
            self.problems.append("nothing reaches END; write the node that answers >> END")

    def _add_handoffs(self) -> None:
        """Writes the hand-over edges, and `target >> END` for targets without arrows of their own."""
        leaving = {edge.origin.node for edge in self._written}
        todo = [node for node in self.nodes if node.handoffs]
        while todo:
            node = todo.pop(0)
            place = node.where or ("", 0)
            for handoff in node.handoffs:
                target = self._handoff_target(node, handoff)
                if target is None:
                    continue
                if target.name not in self.index:
                    self.index[target.name] = len(self.nodes)
                    self.nodes.append(target)
                    if target.handoffs:
                        todo.append(target)
                edges = [Edge(Origin(node, arm=HandTo(handoff), laps=handoff.laps), target, None, place)]
                if target not in leaving:
                    leaving.add(target)
                    edges.append(Edge(Origin(target), END, None, place))
                self._written += edges
                self.implied.update(edges)
                self.handoffs.setdefault(node.name, []).append((handoff, target))

    def _handoff_target(self, node: Node[Any, Any], handoff: Handoff) -> Node[Any, Any] | None:
        known = self.nodes[self.index[handoff.name]] if handoff.name in self.index else None
        if isinstance(handoff.target, Node):
            target = handoff.target
            if known is not None and known != target:
                self._say_node(
                    node, f"{node.name!r} hands over to {target!r}, and {known!r} has the same name; rename one"
                )
                return None
            target = known or target
        elif known is None:
            if not self.alone:  # alone in a frame, an agent hands over only to what it names as a node
                near = nearest(handoff.name, self.index)
                self._say_node(
                    node, f"{node.name!r} hands over to {handoff.name!r}, and no node in the graph has that name{near}"
                )
            return None
        else:
            target = known
        if sum(not port.optional for port in target.ports) != 1:
            self._say_node(
                node, f"{node.name!r} hands over to {target.name!r}, which takes several messages; give it one port"
            )
            return None
        if handoff.conversation and target.kind != "agent":
            self._say_node(
                node,
                f"{node.name!r} hands its conversation to {target.name!r}, which is a {target.kind}; only agents read one",
            )
            return None
        return target

    def _check_nodes(self) -> None:
        self.callees: dict[str, tuple[Node[Any, Any], ...]] = {}
        for node in self.nodes:
            for problem in (*_problems_of(node), *node.unanswered):
                self._say_node(node, f"node {node.name!r}: {problem}")
            if node.in_background:
                self._say_node(
                    node,
                    f"node {node.name!r} is a background call, and stands on an arrow; give it to an agent or step as a call edge",
                )
            if node.source:
                self._say_node(
                    node, f"node {node.name!r} is a server and stands on an arrow; give it to an agent: mcp=[...]"
                )
            if not node.ports and not node.problems:
                self.problems.append(
                    f"node {node.name!r} takes no message; give it a parameter with the type of what it takes"
                )
        if not self.alone and any(node.calls or node.within() for node in self.nodes):
            self._resolve_calls()

    def _resolve_calls(self) -> None:
        names: dict[str, Node[Any, Any]] = {node.name: node for node in self.nodes}
        todo = list(self.nodes)
        pending: list[Node[Any, Any]] = []
        while todo:
            node = todo.pop(0)
            pending.append(node)
            handed = (h.target for h in node.handoffs if isinstance(h.target, Node))
            for other in (*node.within(), *(c for c in node.calls if isinstance(c, Node)), *handed):
                known = names.get(other.name)
                if known is None or (other.name == node.name and other in node.within()):
                    names.setdefault(other.name, other)
                    if other.name != node.name or known is None or (other not in pending and other not in todo):
                        todo.append(other)
                elif known != other and not any(
                    other == inner or known == inner for inner in (*known.within(), *other.within())
                ):
                    self.problems.append(
                        f"two different nodes are named {other.name!r}: {known!r} and {other!r} (called by {node.name!r}); "
                        f"rename one with .named('{other.name}_2')"
                    )
        for node in pending:
            callees = []
            for callee in node.calls:
                target = names.get(callee) if isinstance(callee, str) else callee
                if target is None:
                    near = nearest(str(callee), names)
                    self.problems.append(
                        f"node {node.name!r} calls {callee!r}, and no node in the graph has that name{near}"
                    )
                else:
                    self.problems += [f"node {target.name!r}: {problem}" for problem in _problems_of(target)]
                    if sum(not port.optional for port in target.ports) > 1:
                        self.problems.append(
                            f"node {node.name!r} calls {target.name!r}, which has several ports; what is called takes one "
                            "message (a tool takes several arguments)"
                        )
                    callees.append(target)
            if callees or node.name not in self.callees:
                self.callees[node.name] = tuple(callees)
            self._find_clashes(node, callees)
        self._find_call_cycles()

    def _find_clashes(self, node: Node[Any, Any], callees: list[Node[Any, Any]]) -> None:
        """Two of a node's edges that a model could not tell apart."""
        names = [callee.name for callee in callees]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.problems.append(
                f"node {node.name!r} has two call edges to nodes named {name!r}; rename one with .named(...)"
            )
        for handoff in node.handoffs:
            if handoff.tool in names:
                self.problems.append(
                    f"node {node.name!r} calls {handoff.tool!r}, which is how it hands over to {handoff.name!r}, too; "
                    "rename one with .named(...)"
                )

    def _find_call_cycles(self) -> None:
        bound = DEFAULT_DEPTH if self.limits.depth is None else self.limits.depth
        seen: set[str] = set()
        for origin in self.callees:
            path, stack = [origin], [iter(self.callees[origin])]
            while stack and origin not in seen:
                callee = next(stack[-1], None)
                if callee is None:
                    stack.pop()
                    seen.add(path.pop())
                elif callee.name in path:
                    around = path[path.index(callee.name) :]
                    cycle = " > ".join([*around, callee.name])
                    frames = any(self._enters(name) for name in around)
                    limit = f"bounded by depth {bound}" if frames else "bounded by steps alone: no frame is entered"
                    self.facts.append(f"call cycle {cycle}: {limit}")
                elif callee.name not in seen:
                    path.append(callee.name)
                    stack.append(iter(self.callees.get(callee.name, ())))
                if not path:
                    break

    def _enters(self, name: str) -> bool:
        """Whether a node of that name, called, has a frame of its own."""
        return any(
            node.name == name and node.enters != "never" for callees in self.callees.values() for node in callees
        )

    def _say_node(self, node: Node[Any, Any], text: str) -> None:
        if node.where is None:
            self.problems.append(text)
        else:
            self._say(text, node.where)

    def _say(self, text: str, where: Where) -> None:
        self.problems.append(f"{text} [{place_text(where)}]")


def _problems_of(node: Node[Any, Any]) -> tuple[str, ...]:
    """What is wrong with a node by now: what it named when it was declared may be defined since."""
    if node.problems:
        node.settle()
    return node.problems


def place_text(where: Where) -> str:
    """File and line, the file as seen from the working directory where that is shorter; in a notebook the cell: In[4]:2."""
    file, line = where
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cell = getattr(getattr(shell, "compile", None), "format_code_name", lambda _: None)(file)
    if cell is not None:  # ("Cell", "In[4]"); the file is a temporary one that nobody has seen
        return f"{cell[1]}:{line}"
    try:
        short = os.path.relpath(file)
    except ValueError:  # another drive
        short = file
    return f"{file if short.startswith('..') else short}:{line}"
