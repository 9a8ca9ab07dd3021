"""A proven graph: everything about a graph that the rooms below its face know.

    ProvenGraph     what it is made of, what it needs, what it can reach    (here: proofs, runtime, pictures look at this)
        Graph       run, draw, check, to_yaml                              (`graphflow.graph`, above all that these call)

Rules:
1. Building one proves it: there is no graph that is not sound.
2. What is derived later (`needs_models`, `sources_needed`, ...) is kept with the graph, which never changes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, Unpack

from graphflow.declaration.arrows import END, START, Entry, In, Out, edges_of
from graphflow.declaration.node import AnyNode, Context, Node, NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, GraphError
from graphflow.limits import Limits
from graphflow.messages.types import Type, type_name
from graphflow.proofs.compiler import compile_program
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.program import Program
from graphflow.proofs.proof import Proof

if TYPE_CHECKING:
    from graphflow.model.seam import Model

LARGE = 1000
"""Edges from which on a graph is built without looks of the garbage collector."""


class ProvenGraph(Node[In, Out], Generic[In, Out]):
    """A graph of nodes, proven sound. Users build a `Graph`, which says what each argument means.

    Args:
        paths: arrows, or lists of arrows.
        alone: whether it is nothing but one node, which is entered as a frame of its own.
        place: file and line of the declaration, for the error.
    """

    kind: ClassVar[str] = "graph"
    enters: ClassVar[Literal["never", "called", "always"]] = "always"

    program: Program
    model: Model | str | None
    limits: Limits | None
    nesting: int

    def __init__(
        self,
        name: str,
        paths: Iterable[Any],
        *,
        model: Model | str | None = None,
        limits: Limits | None = None,
        input: Type = None,
        ends: Literal["one", "first", "all"] = "one",
        deps: Type | None = None,
        description: str = "",
        alone: bool = False,
        place: str = "",
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
        written = [edge for entry in _flat(name, paths) for edge in edges_of(entry)]
        with _without_collecting(len(written)):
            proof = Proof(name, written, input=input, ends=ends, limits=limits, deps=deps, alone=alone)
            if proof.problems:
                raise GraphError(name, proof.problems, place)
            program = compile_program(proof)
        port = Port("input", proof.input)
        self._declare(name, ports=(port,), output=proof.output, description=description, **options)
        own = self.__dict__
        own["program"] = program
        own["model"] = model
        own["limits"] = limits
        own["nesting"] = proof.nesting
        own["nodes"] = tuple(proof.nodes)
        own["proof"] = proof
        own["_needed"] = None
        own["_needs_nothing"] = None
        own["_sources"] = None
        own["_preparing"] = None
        own["_deps_wanted"] = None
        own["_caps_dollars"] = None

    nodes: tuple[AnyNode, ...]
    proof: Proof
    """What was proven: topology, types, warnings. Rooms above ask for what they need of it by name."""
    _needed: bool | None
    _needs_nothing: bool | None
    _sources: tuple[tuple[str, tuple[AnyNode, ...], tuple[str, ...]], ...] | None
    _preparing: tuple[AnyNode, ...] | None
    _deps_wanted: tuple[tuple[str, Type], ...] | None
    _caps_dollars: bool | None

    @property
    def input(self) -> Type:
        """The type of message the graph takes."""
        return self.ports[0].type

    def _value(self) -> tuple[Any, ...]:
        edges = tuple(repr(d.edge) for d in self.proof.edges)
        return (self.name, edges, self.nodes, self.model, self.limits, self.proof.ends, self.description)

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Walks the graph in a frame of its own."""
        output: Out = await ctx.frame.enter(ctx.activation, self, next(iter(inputs.values())), None)
        return output

    @property
    def needs_models(self) -> bool:
        """Whether any node here, or in a graph below, asks a model."""
        if self._needed is None:
            self.__dict__["_needed"] = any(True for _ in self.models_needed(None))
        return bool(self._needed)

    @property
    def needs_nothing(self) -> bool:
        """Whether a run can begin at once: no models or servers to open, nothing to prepare."""
        if self._needs_nothing is None:
            needs = self.needs_models or self.needs_sources or self.preparing()
            self.__dict__["_needs_nothing"] = not needs
        return bool(self._needs_nothing)

    @property
    def needs_sources(self) -> bool:
        """Whether any node here, or in a graph below, may call the tools of a server."""
        return bool(self.sources_needed())

    @property
    def caps_dollars(self) -> bool:
        """Whether dollars are limited here, in a graph below, or on a call edge."""
        if self._caps_dollars is None:
            limits = [self.limits, *(node.entry()[1] for node in self.reach())]
            below = any(node.caps_dollars for node in self.reach() if isinstance(node, ProvenGraph))
            self.__dict__["_caps_dollars"] = below or any(each is not None and each.usd is not None for each in limits)
        return bool(self._caps_dollars)

    def sources_needed(self) -> tuple[tuple[str, tuple[AnyNode, ...], tuple[str, ...]], ...]:
        """Every node that has an edge to a server, with all that it can call, and the names by which it hands over."""
        if self._sources is None:
            found: list[tuple[str, tuple[AnyNode, ...], tuple[str, ...]]] = []
            for node in self.reach():
                if isinstance(node, ProvenGraph):
                    found += node.sources_needed()
            for name, callees in self.program.callees.items():
                if any(callee.source for callee in callees):
                    tools = tuple(handoff.tool for handoff, _ in self.program.handoffs.get(name, ()))
                    found.append((name, callees, tools))
            self.__dict__["_sources"] = tuple(found)
        return self._sources or ()

    @property
    def deps(self) -> Type | None:
        """The type of `run(deps=...)`, if it was declared."""
        return self.proof.deps

    def deps_wanted(self) -> tuple[tuple[str, Type], ...]:
        """What is declared of the dependencies of a run, by this graph and by those in it that get the same ones.

        Whatever lies deeper is looked at when it is entered.
        """
        if self._deps_wanted is None:
            wanted = [] if self.deps is None else [(self.name, self.deps)]
            called = [callee for node in self.nodes for callee in self.program.callees.get(node.name, ())]
            for node in (*self.nodes, *called):
                target, _ = node.entry()
                if isinstance(target, ProvenGraph) and node.inherits_deps:
                    wanted += target.deps_wanted()
            self.__dict__["_deps_wanted"] = tuple(wanted)
        return self._deps_wanted or ()

    def preparing(self) -> tuple[AnyNode, ...]:
        """The nodes, here and in graphs below, whose `prepare()` tells before a run whether they can work at all."""
        if self._preparing is None:
            reached = self.reach()
            below = [other for node in reached if isinstance(node, ProvenGraph) for other in node.preparing()]
            own = [node for node in reached if node.prepares]
            self.__dict__["_preparing"] = (*below, *own)
        return self._preparing or ()

    def models_needed(self, default: Model | str | None) -> Sequence[tuple[str, Model | str | None]]:
        """Every node that asks a model, with the model it will ask (None: nothing names one)."""
        found: list[tuple[str, Model | str | None]] = []
        for node in self.reach():
            if isinstance(node, ProvenGraph):
                found += node.models_needed(node.model if node.model is not None else default)
            else:
                for asker in node.askers:
                    found.append((node.name, asker.model if asker.model is not None else default))
        return found

    def reach(self) -> Sequence[AnyNode]:
        """The graph's nodes and all that they can call, each once."""
        found: dict[str, AnyNode] = {node.name: node for node in self.nodes}
        todo = list(self.nodes)
        while todo:
            node = todo.pop()
            target, _ = node.entry()
            for other in (
                *self.program.callees.get(node.name, ()),
                *node.within(),
                *(h.target for h in node.handoffs if isinstance(h.target, Node)),
                *((target,) if target is not node else ()),
            ):
                if found.get(other.name) is not other and other not in found.values():
                    found[other.name if other.name not in found else f"{other.name} (target)"] = other
                    todo.append(other)
        return list(found.values())

    # -- what was declared ---------------------------------------------------------------------------------------------
    @property
    def edges(self) -> Sequence[TypedEdge]:
        """Every edge, with the types that travel on it, in the order they were written."""
        return self.proof.edges

    @property
    def ends(self) -> Literal["one", "first", "all"]:
        """What is done when several messages may reach END."""
        return self.proof.ends

    @property
    def declared_input(self) -> Type | None:
        """The type that was given as `input`, if one was."""
        return self.proof.declared_input

    def is_implied(self, declared: TypedEdge) -> bool:
        """Whether an edge was not written, but follows from a node's handoffs."""
        return declared.edge in self.proof.implied

    def laps_of(self, declared: TypedEdge) -> int | None:
        """How many laps an edge allows, if it closes a loop."""
        return self.proof.lap_limit(declared)

    def __repr__(self) -> str:
        count = len(self.proof.edges)
        edges = "edge" if count == 1 else "edges"
        types = f"{type_name(self.input)}) -> {type_name(self.output)}"
        return f"<graph {self.name}({types}: {len(self.nodes)} nodes, {count} {edges}>"


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


def _flat(name: str, paths: Iterable[Any]) -> list[Entry[Any, Any]]:
    flat: list[Entry[Any, Any]] = []
    for path in paths:
        if isinstance(path, (list, tuple)):
            flat += _flat(name, path)
        elif isinstance(path, Entry):
            flat.append(path)
        else:
            raise DeclarationError(f"graph {name!r}: {path!r} is no arrow; write START >> a >> END")
    return flat


def solo(node: AnyNode) -> AnyGraph:
    """The graph that a single node is when it is entered as a frame: START >> node >> END. Made once, and kept with the node."""
    known: AnyGraph | None = node.__dict__.get("_as_graph")
    if known is None:
        known = ProvenGraph(node.name, [START >> node >> END], input=node.ports[0].type, alone=True)
        node.__dict__["_as_graph"] = known
    return known
