"""A proven graph: everything about a graph that the rooms below its face know.

    ProvenGraph     what it is made of, what it needs, what it can reach    (here: proofs, runtime, pictures look at this)
        Graph       run, draw, check, to_yaml                              (`graphflow.graph`, above all that these call)

Rules:
1. Building one proves it: there is no graph that is not sound.
2. What is derived later (`needs_models`, `server_callers`, ...) is kept with the graph, which never changes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from graphflow.limits import UNLIMITED, Limits
from graphflow.messages.state import AnyState, WriteKind
from graphflow.messages.types import Type, type_name
from graphflow.policy import Policy
from graphflow.proofs.compiler import compile_program
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.program import Program
from graphflow.proofs.proof import Proof
from graphflow.proofs.state_arrows import part_state_arrows
from graphflow.proofs.state_proofs import StateProofs, touches_states, visible_states
from graphflow.proofs.untrusted import GraphParts, acts_on_world, brings_untrusted, untrusted_ways

if TYPE_CHECKING:
    from graphflow.model.seam import Model
    from graphflow.secrets.declared import Secrets

LARGE = 1000
"""Edges from which on a graph is built without looks of the garbage collector."""
ModelOfNode: TypeAlias = "tuple[str, Model | str | None]"
"""A node's name, and the model that it asks."""
Ends: TypeAlias = Literal["one", "first", "all"]
OnUntrusted: TypeAlias = Literal["refuse", "warn"]
"""What becomes of a graph in which untrusted content reaches what acts on the world with no check on the way."""


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
        untrusted: what becomes of it where untrusted content reaches what acts on the world with no check on the way.
        uses: those that it is lent by the nearest graph around that owns them.
        place: file and line of the declaration, for the error.
    """

    kind: ClassVar[str] = "graph"
    enters: ClassVar[Literal["never", "called", "always"]] = "always"

    model: Model | str | None
    limits: Limits | None
    nesting: int
    nodes: tuple[AnyNode, ...]
    state: tuple[AnyState, ...]
    hidden_states: tuple[AnyState, ...]
    """What agents have said in this run, which those that remember it are shown."""
    uses: tuple[AnyState, ...]
    secrets: Secrets | None
    """What none of its runs shows, nor those of graphs around it."""
    claims: Claims
    """What is claimed of its walks; whether and how it holds is asked of `graphflow/claims/claim_proofs.py`."""
    state_edges: tuple[Edge, ...]
    """The arrows that write states."""
    visible: Mapping[str, AnyState] | None
    """The states that its nodes can see, by name; None for an agent alone, which sees what its caller sees."""
    on_untrusted: OnUntrusted
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
        secrets: Secrets | None = None,
        untrusted: OnUntrusted = "refuse",
        **options: Unpack[NodeOptions],
    ) -> None:
        if not isinstance(name, str):
            raise DeclarationError(
                f"Graph({name!r}): the first argument is the graph's name, as in Graph('desk', START >> ...)"
            )
        _check_choices(name, ends, untrusted)
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
        hidden = proof.turn_states
        visible = None if alone else visible_states(name, state, uses, hidden)
        port = Port("input", proof.input)
        self._declare(name, ports=(port,), output=proof.output, description=description, **options)
        self._set(
            model=model,
            limits=limits,
            nesting=proof.nesting,
            nodes=tuple(proof.nodes),
            claims=claims,
            proof=proof,
            state=tuple(state),
            hidden_states=hidden,
            uses=tuple(uses),
            secrets=secrets,
            state_edges=tuple(writing),
            visible=visible,
            on_untrusted=untrusted,
        )
        if not alone:
            self._prove_states(place)
            self._prove_untrusted(place)

    def _prove_states(self, place: str) -> None:
        proof = self.proof
        # Nearly no graph has states, and their proofs need the program.
        if self.visible or self.state_edges or touches_states(proof.members.special, proof.callees):
            problems = StateProofs(self.program, self._reached_from).prove(self.state_edges)
            if problems:
                raise GraphError(self.name, problems, place)

    def _prove_untrusted(self, place: str) -> None:
        """Refuses ways on which untrusted content reaches what acts on the world, or warns of them."""
        if not (self.brings_untrusted and self.acts_on_world):
            return
        own = _parts_of(self)
        assert own is not None
        ways = untrusted_ways(own, _parts_of)
        problems = tuple(map(str, ways))
        if problems and self.on_untrusted == "refuse":
            raise GraphError(self.name, problems, place)
        self.proof.warnings.extend(problems)

    @cached_property
    def brings_untrusted(self) -> bool:
        """Whether untrusted content comes in, here or in a graph below."""
        nodes = self._with_callees(self.proof.members.special)
        if brings_untrusted(nodes):
            return True
        graphs, others = _entered(nodes)
        return brings_untrusted(others) or any(graph.brings_untrusted for graph in graphs)

    @cached_property
    def acts_on_world(self) -> bool:
        """Whether anything acts on the world, here or in a graph below."""
        nodes = self._with_callees(self.proof.nodes)
        if acts_on_world(nodes):
            return True
        graphs, others = _entered(nodes)
        return acts_on_world(others) or any(graph.acts_on_world for graph in graphs)

    def _with_callees(self, nodes: Iterable[AnyNode]) -> list[AnyNode]:
        nodes = list(nodes)
        for callees in self.proof.callees.values():
            nodes += callees
        return nodes

    @cached_property
    def program(self) -> Program:
        """The graph, compiled for the walk: when it is first walked, as many graphs are only drawn or placed in others."""
        with _without_collecting(len(self.edges)):
            program = compile_program(self.proof)
        program.states = self.visible
        program.owned = (*self.state, *self.hidden_states)
        return program

    @property
    def touched(self) -> tuple[AnyState, ...]:
        """What the graphs around have to lend it."""
        return self.uses

    @property
    def lasting_states(self) -> tuple[AnyState, ...]:
        """Those that it owns and that live as long as a conversation."""
        return tuple(state for state in self.state if state.scope == "conversation")

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
            self.secrets,
            self.on_untrusted,
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
        yield from self.proof.callees.get(node.name, ())
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
    def own_limits(self) -> Limits:
        """The limits of a run that is given none."""
        return self.limits or UNLIMITED

    @cached_property
    def own_policies(self) -> tuple[Policy, ...]:
        """The policies of a run that is given none."""
        return () if self.policy is None else (self.policy,)

    @cached_property
    def needs_nothing(self) -> bool:
        """Whether a run can begin at once: no models or servers to open, nothing to prepare, no claims to see to."""
        if self.claims or self.needs_models or self.needs_sources:
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
        for name, callees in self.proof.callees.items():
            if not any(callee.source for callee in callees):
                continue
            handoffs = self.proof.members.handoffs.get(name, ())
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
            entered += self.proof.callees.get(node.name, ())
        for node in entered:
            target, _ = node.entry()
            if isinstance(target, ProvenGraph) and node.inherits_deps:
                wanted += target.deps_wanted
        return tuple(wanted)

    @cached_property
    def deps_of_code(self) -> tuple[tuple[str, Type], ...]:
        """What code says of the dependencies (`ctx: Context[Shop]`), as (node, type), of what gets those of the run."""
        wanted: list[tuple[str, Type]] = []
        for node in self.nodes:
            for each in (node, *self.proof.callees.get(node.name, ())):
                target, _ = each.entry()
                if each.wants_deps is not None:
                    wanted.append((each.name, each.wants_deps))
                elif isinstance(target, ProvenGraph) and each.inherits_deps:
                    wanted += target.deps_of_code
        return tuple(dict.fromkeys(wanted))

    @cached_property
    def is_lent(self) -> bool:
        """Whether something of it comes from around it: a state of a graph around, or a secret of its run."""
        return bool(self.uses or self.secrets_below or self.secrets_wanted)

    @cached_property
    def secrets_below(self) -> tuple[Secrets, ...]:
        """What was declared secret in graphs below, then here: where two have one name, the outer one counts."""
        found: list[Secrets] = []
        for graph in self._graphs_below:
            found += graph.secrets_below
        if self.secrets is not None:
            found.append(self.secrets)
        return tuple(found)

    @cached_property
    def secrets_wanted(self) -> tuple[tuple[str, str], ...]:
        """Every secret that code is given, here or in a graph below, as (node, secret)."""
        found: list[tuple[str, str]] = []
        for graph in self._graphs_below:
            found += graph.secrets_wanted
        for node in self.reach():
            for secret in node.wants_secrets:
                found.append((node.name, secret))
        return tuple(found)

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


def _check_choices(name: str, ends: str, untrusted: str) -> None:
    if ends not in ("one", "first", "all"):
        raise DeclarationError(f"graph {name!r}: ends={ends!r}; it is 'one', 'first' or 'all'")
    if untrusted not in ("refuse", "warn"):
        raise DeclarationError(f"graph {name!r}: untrusted={untrusted!r}; it is 'refuse' or 'warn'")


def _parts_of(node: AnyNode) -> GraphParts | None:
    """What untrusted content is followed through, of a node that is a graph."""
    if not isinstance(node, ProvenGraph):
        return None
    edges = [typed.edge for typed in node.edges]
    edges += node.state_edges
    return GraphParts(node.nodes, edges, node.proof.callees, node.claims, node.policy)


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


def _entered(nodes: Sequence[AnyNode]) -> tuple[list[AnyGraph], list[AnyNode]]:
    """What is walked behind those nodes that are always entered as frames: graphs, and others."""
    graphs: list[AnyGraph] = []
    others: list[AnyNode] = []
    for node in nodes:
        if node.enters != "always":
            continue
        target, _ = node.entry()
        if isinstance(target, ProvenGraph):
            graphs.append(target)
        else:
            others.append(target)
    return graphs, others
