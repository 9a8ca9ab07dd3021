"""What is proven about a graph before a token is spent: all proofs, in order.

Rules:
1. All problems are collected and reported together; a later proof is left out only where an earlier problem would make
   it guess.
2. Work is linear in nodes and edges; what depends on types is found once for each type.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from itertools import chain
from operator import or_
from typing import Any, Literal

from graphflow.declaration.arrows import Edge
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.turn_states import turn_states
from graphflow.limits import DEFAULT_DEPTH, Limits
from graphflow.messages.state import AnyState
from graphflow.messages.types import Type
from graphflow.proofs.call_edges import Callees, call_cycles, problems_of, resolve_calls
from graphflow.proofs.coverage import check_coverage
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.end_proofs import check_end
from graphflow.proofs.exclusion import Exclusion
from graphflow.proofs.join_proofs import JoinProofs, check_doubles
from graphflow.proofs.loop_proofs import (
    LoopExits,
    check_lap_limits,
    check_limit_edges,
    lap_limit,
    loop_fact,
)
from graphflow.proofs.loops import order_acyclic, order_looped
from graphflow.proofs.membership import Membership
from graphflow.proofs.problems import Problems
from graphflow.proofs.topology import GraphEdge, Topology
from graphflow.proofs.wiring import Wiring

Ends = Literal["one", "first", "all"]


class Proof:
    """What is known of one graph, and what is wrong with it."""

    def __init__(
        self,
        name: str,
        written: Iterable[Edge],
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
        self.facts: list[str] = []
        self.callees: Callees = {}
        self.nesting = 0
        """How deep graphs are nested in this one."""
        self.output: Type = Any
        self._alone = alone
        self._problems = Problems()
        self.members = Membership(written, self._problems, alone=alone)
        self._check_nodes(alone)
        self.wiring = Wiring(self.members, input, self._problems)
        self.exclusive = Exclusion(self.wiring)
        wiring = self.wiring
        self.topology = Topology(
            wiring.start, wiring.end, wiring.edges, wiring.by_source, wiring.by_target
        )
        self._prove()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, each thing once."""
        return self._problems.texts

    @property
    def nodes(self) -> list[AnyNode]:
        """The nodes, by number."""
        return self.members.nodes

    @property
    def edges(self) -> list[TypedEdge]:
        """The edges, by number."""
        return self.wiring.edges

    @property
    def input(self) -> Type:
        """The type of message that the graph takes."""
        return self.wiring.input

    @property
    def implied(self) -> set[Edge]:
        """Edges that nobody wrote."""
        return self.members.implied

    def lap_limit(self, edge: GraphEdge) -> int:
        """How often at most an edge begins a lap."""
        return lap_limit(edge, self.limits)

    @property
    def warnings(self) -> list[str]:
        """What is allowed, and probably not meant."""
        return self.wiring.warnings

    def _prove(self) -> None:
        if self._problems:
            return
        acyclic = order_acyclic(self.topology)
        check_coverage(self.wiring, self._problems, acyclic=acyclic)
        if self._problems:
            return
        if not acyclic:
            order_looped(self.topology)
        self._prove_shape()
        self._check_prompts()
        self._check_neighbours()
        self._check_nesting()
        self._check_policies()
        self._infer_output()

    def _prove_shape(self) -> None:
        wiring, top, exclusive, problems = (
            self.wiring,
            self.topology,
            self.exclusive,
            self._problems,
        )
        check_lap_limits(wiring, problems)
        check_limit_edges(wiring, exclusive, problems)
        check_doubles(wiring, exclusive, problems)
        JoinProofs(wiring, top, exclusive, problems).check()
        if self.ends == "one" and not problems:
            check_end(wiring, top, exclusive, problems)
        exits = LoopExits(wiring, top, problems)
        for loop in top.loops:
            if self.ends != "first":  # else something from outside of the loop may end it
                exits.check(loop)
            self.facts.append(loop_fact(loop, wiring, top, self.limits))

    # -- nodes by themselves -----------------------------------------------------------------------
    def _check_nodes(self, alone: bool) -> None:
        calling = False
        for node in self.members.special:
            if (
                node.problems
                or node.unanswered
                or node.in_background
                or node.source
                or not node.ports
            ):
                self._check_node(node)
            if node.calls or type(node).within is not Node.within:
                calling = True
        if alone or not calling:
            return
        self.callees = resolve_calls(self.members.nodes, self._problems)
        self.facts += call_cycles(self.callees, self.limits)

    @property
    def turn_states(self) -> tuple[AnyState, ...]:
        """The hidden states in which its agents keep what they say, which it owns."""
        if self._alone:  # an agent that is entered by itself: who calls it lends it its state
            return ()
        return turn_states(chain(self.members.special, *self.callees.values()))

    def _check_node(self, node: AnyNode) -> None:
        name = node.name
        for problem in (*problems_of(node), *node.unanswered):
            self._problems.add(f"node {name!r}: {problem}", node.where)
        if node.in_background:
            self._problems.add(
                f"node {name!r} is a background call, and stands on an arrow; "
                "give it to an agent or step as a call edge",
                node.where,
            )
        if node.source:
            self._problems.add(
                f"node {name!r} is a server and stands on an arrow; give it to an agent: mcp=[...]",
                node.where,
            )
        if not node.ports and not node.problems:
            self._problems.add(
                f"node {name!r} takes no message; give it a parameter with the type of what it takes"
            )

    def _check_prompts(self) -> None:
        for node in self.members.special:
            number = self.members.index[node.name]
            arriving = self.wiring.by_target[number]
            incoming = [kind for edge in arriving for kind in edge.carries]
            problems = node.check_arrivals(incoming, self.deps)
            for guard in node.before:
                problems += guard.prove(incoming, self.deps)
            for guard in node.after:
                problems += guard.prove([node.output], self.deps)
            for problem in problems:
                self._problems.add(f"node {node.name!r}: {problem}", node.where)

    def _check_neighbours(self) -> None:
        names = self.members.index.keys()
        for node in self.members.special:
            for problem in node.check_beside(names):
                self._problems.add(f"node {node.name!r}: {problem}", node.where)

    def _check_nesting(self) -> None:
        entered = [node for node in self.members.special if node.enters == "always"]
        if not entered:
            return
        deepest = max(entered, key=_nesting_of)
        self.nesting = _nesting_of(deepest) + 1
        bound = DEFAULT_DEPTH if self.limits.depth is None else self.limits.depth
        if self.nesting > bound:
            self._problems.add(
                f"graphs are nested {self.nesting} deep below {self.name!r} (through {deepest.name!r}), and the depth "
                f"limit is {bound}; raise it with Limits(depth={self.nesting}), or nest less"
            )

    # -- the graph as a whole ----------------------------------------------------------------------
    def _check_policies(self) -> None:
        for number in self.wiring.branching:
            leaving = self.wiring.by_source[number]
            stated = {
                str(edge.edge.origin.fork) for edge in leaving if edge.edge.origin.fork is not None
            }
            if len(stated) > 1:
                named = ", ".join(sorted(stated))
                self._problems.add(
                    f"the edges of {self.wiring.name(number)!r} state different fork policies ({named}); state one"
                )

    def _infer_output(self) -> None:
        arriving = self.wiring.by_target[self.wiring.end]
        kinds = list(dict.fromkeys(kind for edge in arriving for kind in edge.carries))
        if Any in kinds:
            return
        union: Type = reduce(or_, kinds)
        self.output = list[union] if self.ends == "all" else union


def _nesting_of(node: AnyNode) -> int:
    """How deep graphs are nested in a node."""
    return int(getattr(node, "nesting", 0))
