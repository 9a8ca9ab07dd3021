"""Dead ends: where messages ended without reaching END, and what is said of a walk that has no output because of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphflow.errors import NoOutput, Stuck
from graphflow.events import Scope
from graphflow.proofs.program import Program, Slot
from graphflow.walk.scope import scope_text


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """Where a message ended: at a node that sent it nowhere, or at a join that was skipped.

    Attributes:
        node: the node or join.
        why: what happened there, in words that follow its name.
    """

    node: str
    why: str

    def __str__(self) -> str:
        return f"{self.node!r} {self.why}"


@dataclass(frozen=True, slots=True)
class HalfFilled:
    """A join that was skipped although some of its ports had messages.

    Attributes:
        node: the join.
        port: the port that stayed empty.
        edges: the edges that lead to that port.
        scope: in which it waited.
    """

    node: str
    port: str
    edges: tuple[str, ...]
    scope: Scope


def edges_to(program: Program, slot: Slot, port: int) -> tuple[str, ...]:
    """The edges that lead to a port, as they are written."""
    edges: list[str] = []
    for link in program.links:
        if link.target == slot.index and link.port == port:
            source = program.slots[link.source]
            edges.append(f"{source.name} >> {slot.name}")
    return tuple(edges)


def no_output(
    program: Program, dead_ends: Iterable[DeadEnd], half: HalfFilled | None = None
) -> NoOutput:
    """The error of a walk in which nothing can move any more, and nothing has reached END."""
    name = program.name
    # A half-filled join says more than all dead ends: it is where the graph waited in vain.
    if half is not None:
        scope = scope_text(half.scope, program)
        edges = ", ".join(half.edges)
        return Stuck(
            f"graph {name!r} ended without an output: {half.node!r} had messages waiting, but its port {half.port!r} can "
            f"never get one (edges: {edges}; scope {scope}). Make the port optional ({half.port}: T | None), or give the "
            "branch that was not taken another way to END",
            node=half.node,
            port=half.port,
            edges=half.edges,
            scope=scope,
        )
    why = "; ".join(map(str, dead_ends)) or "no message was sent"
    return NoOutput(
        f"graph {name!r} ended without an output: {why}. Give every branch a way to END, or collect with list[...]"
    )
