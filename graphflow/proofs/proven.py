"""A proven graph: everything about a graph that the rooms below its face know.

    ProvenGraph     what it is made of, what it needs, what it can reach    (here: proofs, runtime, pictures look at this)
        Graph       run, draw, check, to_yaml                              (`graphflow.graph`, above all that these call)

Rules:
1. Building one proves it: there is no graph that is not sound.
2. What is derived later (`needs_models`, `server_callers`, ...) is kept with the graph, which never changes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeAlias, Unpack

from graphflow.declaration.arrows import END, START, AnyEntry, Edge, Entry, In, Out, edges_of
from graphflow.declaration.claims import Claims
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode, Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, GraphError
from graphflow.limits import Limits
from graphflow.messages.state import AnyState, WriteKind
from graphflow.messages.types import Type, type_name
from graphflow.proofs.compiler import compile_program
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.program import Program
from graphflow.proofs.proof import Proof
from graphflow.proofs.state_arrows import part_state_arrows
from graphflow.proofs.state_proofs import StateProofs, visible_states

if TYPE_CHECKING:
    from graphflow.model.seam import Model

LARGE = 1000
"""Edges from which on a graph is built without looks of the garbage collector."""
ModelOfNode: TypeAlias = "tuple[str, Model | str | None]"
"""A node's name, and the model that it asks."""
Ends: TypeAlias = Literal["one", "first", "all"]


class ServerCaller(NamedTuple):
    """A node that has an edge to a server."""

    name: str
    callees: tuple[AnyNode, ...]
    """All that it can call."""
    handoff_tools: tuple[str, ...]
    """The names by which it hands over, which no tool of a server may have."""


class ProvenGraph(Node[In, Out], Generic[In, Out]):
    """A graph of nodes, proven sound. Users build a `Graph`, which says what each argument means.

    Args:
        paths: arrows, or lists of arrows.
        claims: each once; the face has read them.
        alone: whether it is nothing but one node, which is entered as a frame of its own.
        state: the states that it owns.
        uses: those that it is lent by the nearest graph around that owns them.
        place: file and line of the declaration, for the error.
    """

    kind: ClassVar[str] = "graph"
    enters: ClassVar[Literal["never", "called", "always"]] = "always"

    program: Program
    model: Model | str | None
    limits: Limits | None
    nesting: int
    nodes: tuple[AnyNode, ...]
    state: tuple[AnyState, ...]
    uses: tuple[AnyState, ...]
    claims: Claims
    """What is claimed of its walks; whether and how it holds is asked of `graphflow/claims/claim_proofs.py`."""
    state_edges: tuple[Edge, ...]
    """The arrows that write states."""
    proof: Proof
    """What was proven: topology, types, warnings. Rooms above ask for what they need of it by name."""

    def __init__(
        self,
        name: str,
        paths: Iterable[object],
        *,
        model: Model | str | None = None,
        limits: Limits | None = None,
        input: Type = None,
        ends: Ends = "one",
        deps: Type | None = None,
        description: str = "",
        claims: Claims = (),
        alone: bool = False,
        place: str = "",
        state: Sequence[AnyState] = (),
        uses: Sequence[AnyState] = (),
        **options: Unpack[NodeOptions],
    ) -> None:
        if not isinstance(name, str):
            raise DeclarationError(
                f"Graph({name!r}): the first argument is the graph's name, as in Graph('desk', START >> ...)"
            )
        if ends not in ("one", "first", "all"):
            raise DeclarationError(f"graph {name!r}: ends={ends!r}; it is 'one', 'first' or 'all'")
        if limits is not None and not isinstance(limits, Limits):
            raise DeclarationError(f"graph {name!r}: limits={limits!r}; give Limits(...)")
        written: list[Edge] = []
        for entry in _flat(name, paths):
            written += edges_of(entry)
        written, writing = part_state_arrows(written)
        with _without_collecting(len(written)):
            proof = Proof(
                name, written, input=input, ends=ends, limits=limits, deps=deps, alone=alone
            )
            if proof.problems:
                raise GraphError(name, proof.problems, place)
            program = compile_program(proof)
        if not alone:
            program.states = visible_states(name, state, uses)
            program.owned = tuple(state)
        port = Port("input", proof.input)
        self._declare(name, ports=(port,), output=proof.output, description=description, **options)
        self._set(
            program=program,
            model=model,
            limits=limits,
            nesting=proof.nesting,
            nodes=tuple(proof.nodes),
            claims=claims,
            proof=proof,
            state=tuple(state),
            uses=tuple(uses),
            state_edges=tuple(writing),
        )
        if not alone:
            problems = StateProofs(program, self._reached_from).prove(writing)
            if problems:
                raise GraphError(name, problems, place)

    @property
    def touched(self) -> tuple[AnyState, ...]:
        """What the graphs around have to lend it."""
        return self.uses

    @property
    def needed_states(self) -> tuple[AnyState, ...]:
        """Those that must have a value when it is entered."""
        return self.program.needed

    def writes_to(self, state: AnyState) -> set[WriteKind]:
        """How its nodes write a state that it was lent."""
        kinds: set[WriteKind] = set()
        if state not in self.uses:
            return kinds
        for node in self.reach():
            kinds |= node.writes_to(state)
        for slot in self.program.slots:
            kinds |= {arrow.kind for arrow in slot.state_arrows if arrow.state == state}
        return kinds

    @property
    def input(self) -> Type:
        """The type of message the graph takes."""
        return self.ports[0].type

    def _value(self) -> tuple[object, ...]:
        edges = tuple(repr(typed.edge) for typed in self.edges)
        return (
            self.name,
            edges,
            self.nodes,
            self.model,
            self.limits,
            self.ends,
            self.description,
            self.claims,
        )

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Walks the graph in a frame of its own."""
        message = next(iter(inputs.values()))
        output: Out = await ctx.frame.enter(ctx.activation, self, message, None)
        return output

    # -- what was declared -------------------------------------------------------------------------
    @property
    def edges(self) -> Sequence[TypedEdge]:
        """Every edge, with the types that travel on it, in the order they were written."""
        return self.proof.edges

    @property
    def ends(self) -> Ends:
        """What is done when several messages may reach END."""
        return self.proof.ends

    @property
    def declared_input(self) -> Type | None:
        """The type that was given as `input`, if one was."""
        return self.proof.declared_input

    @property
    def deps(self) -> Type | None:
        """The type of `run(deps=...)`, if it was declared."""
        return self.proof.deps

    def is_implied(self, typed: TypedEdge) -> bool:
        """Whether an edge was not written, but follows from a node's handoffs."""
        return typed.edge in self.proof.implied

    def laps_of(self, typed: TypedEdge) -> int | None:
        """How many laps an edge allows, if it closes a loop."""
        return self.proof.lap_limit(typed)

    # -- what it reaches ---------------------------------------------------------------------------
    def reach(self) -> Sequence[AnyNode]:
        """The graph's nodes and all that they can call, each once."""
        found: dict[str, AnyNode] = {node.name: node for node in self.nodes}
        todo = list(self.nodes)
        while todo:
            node = todo.pop()
            for other in self._reached_from(node):
                name = other.name
                if found.get(name) is other or other in found.values():
                    continue
                # A caller may know its target by the name of another node: `SubAgent(target, name="editor")`.
                if name in found:
                    name += " (target)"
                found[name] = other
                todo.append(other)
        return list(found.values())

    def _reached_from(self, node: AnyNode) -> Iterator[AnyNode]:
        """What can be entered from a node, besides along arrows."""
        yield from self.program.callees.get(node.name, ())
        yield from node.within()
        for handoff in node.handoffs:
            if isinstance(handoff.target, Node):
                yield handoff.target
        target, _ = node.entry()
        if target is not node:
            yield target

    @cached_property
    def _graphs_below(self) -> tuple[AnyGraph, ...]:
        """The graphs that it reaches, which know what is needed below them."""
        graphs: list[AnyGraph] = []
        for node in self.reach():
            if isinstance(node, ProvenGraph):
                graphs.append(node)
        return tuple(graphs)

    # -- what a run of it needs --------------------------------------------------------------------
    @cached_property
    def needs_nothing(self) -> bool:
        """Whether a run can begin at once: no models or servers to open, nothing to prepare."""
        if self.needs_models or self.needs_sources:
            return False
        return not self.preparing

    @cached_property
    def needs_models(self) -> bool:
        """Whether any node here, or in a graph below, asks a model."""
        return bool(self.models_needed(None))

    @property
    def needs_sources(self) -> bool:
        """Whether any node here, or in a graph below, may call the tools of a server."""
        return bool(self.server_callers)

    @cached_property
    def caps_dollars(self) -> bool:
        """Whether dollars are limited here, in a graph below, or on a call edge."""
        if any(graph.caps_dollars for graph in self._graphs_below):
            return True
        limits = [self.limits]
        limits += [node.entry()[1] for node in self.reach()]
        return any(each is not None and each.usd is not None for each in limits)

    def models_needed(self, default: Model | str | None) -> Sequence[ModelOfNode]:
        """Every node that asks a model, with the model it will ask (None: nothing names one)."""
        found: list[ModelOfNode] = []
        for node in self.reach():
            if isinstance(node, ProvenGraph):
                inner = default if node.model is None else node.model
                found += node.models_needed(inner)
                continue
            for asker in node.askers:
                model = default if asker.model is None else asker.model
                found.append((node.name, model))
        return found

    @cached_property
    def server_callers(self) -> tuple[ServerCaller, ...]:
        """Every node here, or in a graph below, that may call the tools of a server."""
        found: list[ServerCaller] = []
        for graph in self._graphs_below:
            found += graph.server_callers
        for name, callees in self.program.callees.items():
            if not any(callee.source for callee in callees):
                continue
            handoffs = self.program.handoffs.get(name, ())
            taken = tuple(handoff.tool for handoff, _ in handoffs)
            caller = ServerCaller(name, callees, taken)
            found.append(caller)
        return tuple(found)

    @cached_property
    def deps_wanted(self) -> tuple[tuple[str, Type], ...]:
        """What is declared of the dependencies of a run, by this graph and by those in it that get the same ones.

        Whatever lies deeper is looked at when it is entered.
        """
        wanted: list[tuple[str, Type]] = []
        if self.deps is not None:
            wanted.append((self.name, self.deps))
        entered = list(self.nodes)
        for node in self.nodes:
            entered += self.program.callees.get(node.name, ())
        for node in entered:
            target, _ = node.entry()
            if isinstance(target, ProvenGraph) and node.inherits_deps:
                wanted += target.deps_wanted
        return tuple(wanted)

    @cached_property
    def may_wait(self) -> bool:
        """Whether any node here, or in a graph below, waits for an answer that nobody in the process gives."""
        if any(graph.may_wait for graph in self._graphs_below):
            return True
        for node in self.reach():
            if isinstance(node, ProvenGraph):
                continue  # asked above
            if node.asks_outside:
                return True
        return False

    @cached_property
    def preparing(self) -> tuple[AnyNode, ...]:
        """The nodes, here and in graphs below, whose `prepare()` tells before a run whether they can work at all."""
        found: list[AnyNode] = []
        for graph in self._graphs_below:
            found += graph.preparing
        found += [node for node in self.reach() if node.prepares]
        return tuple(found)

    def __repr__(self) -> str:
        count = len(self.edges)
        edges = "edge" if count == 1 else "edges"
        nodes = len(self.nodes)
        taken = type_name(self.input)
        answer = type_name(self.output)
        return f"<graph {self.name}({taken}) -> {answer}: {nodes} nodes, {count} {edges}>"


AnyGraph: TypeAlias = ProvenGraph[Any, Any]
"""A graph where it does not matter what it takes and answers."""


@contextmanager
def _without_collecting(edges: int) -> Iterator[None]:
    """Keeps the garbage collector from looking while a large graph is built."""
    # All that is made lives as long as the graph, so there is nothing to collect, and each look goes through everything
    # that the process has: half of the time that a graph of 10,000 nodes would take. Of two threads that build at once,
    # the one that found it on turns it on again.
    if edges < LARGE or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _flat(name: str, paths: Iterable[object]) -> list[AnyEntry]:
    flat: list[AnyEntry] = []
    for path in paths:
        if isinstance(path, (list, tuple)):
            flat += _flat(name, path)
        elif isinstance(path, Entry):
            flat.append(path)
        else:
            raise DeclarationError(
                f"graph {name!r}: {path!r} is not an arrow; write START >> a >> END"
            )
    return flat


def solo(node: AnyNode) -> AnyGraph:
    """The graph that a single node is when it is entered as a frame: START >> node >> END. Made once, and kept with the node."""
    known: AnyGraph | None = node.__dict__.get("_as_graph")
    if known is not None:
        return known
    path = START >> node >> END
    taken = node.ports[0].type
    graph: AnyGraph = ProvenGraph(node.name, [path], input=taken, alone=True)
    node.__dict__["_as_graph"] = graph
    return graph
