"""A graph: a frozen declaration of nodes and edges, proven sound when it is built. It is itself a node."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypedDict, TypeVar, Unpack, overload

from graphflow.declaration.arrows import END, START, Entry, In, Out
from graphflow.declaration.node import Context, Node, NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, GraphError
from graphflow.limits import Limits
from graphflow.messages.message import Type, type_name
from graphflow.policy import Approve, Policy
from graphflow.proofs.bounds import Bounds, bound
from graphflow.proofs.compiler import compile_program
from graphflow.proofs.membership import place_text
from graphflow.proofs.program import Program
from graphflow.proofs.proof import Proof
from graphflow.proofs.report import Report, report

A = TypeVar("A")
B = TypeVar("B")

if TYPE_CHECKING:
    from graphflow.events import Event
    from graphflow.model.seam import Model
    from graphflow.notebook.live import Live
    from graphflow.run import Run


class RunOptions(TypedDict, total=False):
    """How one walk is run; `Graph.run` says what each means."""

    deps: Any
    model: Model | str | None
    limits: Limits | None
    session: str | None
    policy: Policy | None
    approve: Approve | None
    keep_steps: int


class DrawOptions(TypedDict, total=False):
    """How a graph is drawn; `Graph.draw` says what each means."""

    open: int | Literal["all", "auto", "flat"]
    legend: bool
    direction: Literal["TB", "LR"]
    theme: Literal["auto", "light", "dark"]
    labels: bool


class Options(NodeOptions, total=False):
    """Everything about a graph but its name and arrows; `Graph` says what each means."""

    model: Model | str | None
    limits: Limits | None
    input: Any
    ends: Literal["one", "first", "all"]
    deps: Any
    description: str
    _alone: bool


class Graph(Node[In, Out], Generic[In, Out]):
    """A graph of nodes; building one proves it, and raises `GraphError` with everything that is wrong.

    Args:
        name: the graph's name.
        paths: arrows, as `START >> a >> END`; lists of arrows are fine.
        model: for agents that name none ("provider:model" or a `Model`).
        limits: what one walk of it may use; where several limits apply, the tightest wins.
        input: the type it takes, where the ports behind START do not tell.
        ends: what to do when several messages may reach END: refuse to build ("one"), take the first and cancel the
            rest ("first"), or return them all as a list ("all").
        deps: the type of `run(deps=...)`: prompts which use it are proven, and a run is refused anything else.
        description: what it does, for models that may call it and for people.
    """

    kind: ClassVar[str] = "graph"
    enters: ClassVar[Literal["never", "called", "always"]] = "always"

    program: Program
    model: Model | str | None
    limits: Limits | None
    nesting: int

    @overload
    def __init__(self: Graph[A, B], name: str, path: Entry[A, B], /, **options: Unpack[Options]) -> None: ...
    @overload
    def __init__(
        self: Graph[A, Any],
        name: str,
        path: Entry[A, Any],
        /,
        *paths: Entry[Any, Any] | Iterable[Entry[Any, Any]],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Graph[Any, Any],
        name: str,
        /,
        *paths: Entry[Any, Any] | Iterable[Entry[Any, Any]],
        **options: Unpack[Options],
    ) -> None: ...
    def __init__(
        self,
        name: str,
        /,
        *paths: Entry[Any, Any] | Iterable[Entry[Any, Any]],
        model: Model | str | None = None,
        limits: Limits | None = None,
        input: Type = None,
        ends: Literal["one", "first", "all"] = "one",
        deps: Type | None = None,
        description: str = "",
        _alone: bool = False,
        **options: Unpack[NodeOptions],
    ) -> None:
        caller = sys._getframe(1)
        where = place_text((caller.f_code.co_filename, caller.f_lineno))
        if not isinstance(name, str):
            raise DeclarationError(
                f"Graph({name!r}): the first argument is the graph's name, as in Graph('desk', START >> ...)"
            )
        if ends not in ("one", "first", "all"):
            raise DeclarationError(f"graph {name!r}: ends={ends!r}; it is 'one', 'first' or 'all'")
        if limits is not None and not isinstance(limits, Limits):
            raise DeclarationError(f"graph {name!r}: limits={limits!r}; give Limits(...)")
        proof = Proof(name, _flat(name, paths), input=input, ends=ends, limits=limits, deps=deps, alone=_alone)
        proof.run()
        if proof.problems:
            raise GraphError(name, proof.problems, where)
        self._declare(
            name,
            ports=(Port("input", proof.input),),
            output=proof.output,
            description=description,
            **options,
        )
        own = self.__dict__
        own["program"] = compile_program(proof)
        own["model"] = model
        own["limits"] = limits
        own["nesting"] = proof.nesting
        own["nodes"] = tuple(proof.nodes)
        own["_proof"] = proof
        own["_needed"] = None
        own["_needs_nothing"] = None
        own["_sources"] = None
        own["_preparing"] = None
        own["_deps_wanted"] = None
        own["_caps_dollars"] = None

    nodes: tuple[Node[Any, Any], ...]
    _proof: Proof
    _needed: bool | None
    _needs_nothing: bool | None
    _sources: tuple[tuple[str, tuple[Node[Any, Any], ...], tuple[str, ...]], ...] | None
    _preparing: tuple[Any, ...] | None
    _deps_wanted: tuple[tuple[str, Type], ...] | None
    _caps_dollars: bool | None

    @property
    def input(self) -> Type:
        """The type of message the graph takes."""
        return self.ports[0].type

    def _value(self) -> tuple[Any, ...]:
        edges = tuple(repr(d.edge) for d in self._proof.edges)
        return (self.name, edges, self.nodes, self.model, self.limits, self._proof.ends, self.description)

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Walks the graph in a frame of its own."""
        output: Out = await ctx.frame.enter(ctx.activation, self, next(iter(inputs.values())), None)
        return output

    # -- what is known before a run ------------------------------------------------------------------------------------
    def check(self) -> Report:
        """What was proven: warnings, and facts such as loops with their limits and call cycles with their bound."""
        return report(self)

    def bounds(self) -> Bounds:
        """The worst case of one walk: activations per node, depth, model calls, and cost where prices are known."""
        return bound(self)

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
            below = any(node.caps_dollars for node in self.reach() if isinstance(node, Graph))
            self.__dict__["_caps_dollars"] = below or any(each is not None and each.usd is not None for each in limits)
        return bool(self._caps_dollars)

    def sources_needed(self) -> tuple[tuple[str, tuple[Node[Any, Any], ...], tuple[str, ...]], ...]:
        """Every node that has an edge to a server, with all that it can call, and the names by which it hands over."""
        if self._sources is None:
            found: list[tuple[str, tuple[Node[Any, Any], ...], tuple[str, ...]]] = []
            for node in self.reach():
                if isinstance(node, Graph):
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
        return self._proof.deps

    def deps_wanted(self) -> tuple[tuple[str, Type], ...]:
        """What is declared of the dependencies of a run, by this graph and by those in it that get the same ones.

        Whatever lies deeper is looked at when it is entered.
        """
        if self._deps_wanted is None:
            wanted = [] if self.deps is None else [(self.name, self.deps)]
            called = [callee for node in self.nodes for callee in self.program.callees.get(node.name, ())]
            for node in (*self.nodes, *called):
                target, _ = node.entry()
                if isinstance(target, Graph) and node.inherits_deps:
                    wanted += target.deps_wanted()
            self.__dict__["_deps_wanted"] = tuple(wanted)
        return self._deps_wanted or ()

    def preparing(self) -> tuple[Any, ...]:
        """The nodes, here and in graphs below, whose `prepare()` tells before a run whether they can work at all."""
        if self._preparing is None:
            reached = self.reach()
            below = [other for node in reached if isinstance(node, Graph) for other in node.preparing()]
            own = [node for node in reached if hasattr(node, "prepare")]
            self.__dict__["_preparing"] = (*below, *own)
        return self._preparing or ()

    def models_needed(self, default: Model | str | None) -> Sequence[tuple[str, Model | str | None]]:
        """Every node that asks a model, with the model it will ask (None: nothing names one)."""
        found: list[tuple[str, Model | str | None]] = []
        for node in self.reach():
            if isinstance(node, Graph):
                found += node.models_needed(node.model if node.model is not None else default)
            elif getattr(node, "asks_model", False):
                for asker in getattr(node, "askers", (node,)):
                    named: Model | str | None = getattr(asker, "model", None)
                    found.append((node.name, named if named is not None else default))
        return found

    def reach(self) -> Sequence[Node[Any, Any]]:
        """The graph's nodes and all that they can call, each once."""
        found: dict[str, Node[Any, Any]] = {node.name: node for node in self.nodes}
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

    # -- running -------------------------------------------------------------------------------------------------------
    async def run(self, message: Any, **options: Unpack[RunOptions]) -> Run[Out]:
        """Walks the graph and returns the `Run` when it has completed.

        Args:
            message: the input; plain data is validated into the input type.
            deps: any object, for `ctx.deps` and for prompts.
            model: instead of the graph's own default.
            limits: the tightest of these, the graph's and the call edge's wins.
            session: a name that nodes can see as `ctx.session`.
            policy: what may be called, beside what graphs and nodes say.
            approve: an async function that is asked about calls of nodes with `approval`: `True`, or a text why not.
            keep_steps: how many activations a long loop keeps at least, 4096 if nothing is said; `run.dropped` tells how
                many are not kept any more. A run that is listened to keeps all.

        Raises:
            InputInvalid: the message does not fit; nothing ran.
            WalkError: the walk did not complete; or whatever a node raised. `error.run` is the `Run`, partial work in it.
        """
        run: Run[Out] = await _executor().run_graph(self, message, **options)
        return run

    def start(self, message: Any, **options: Unpack[RunOptions]) -> Run[Out]:
        """Starts a walk in the running event loop; iterate, await or `cancel()` the `Run` it returns."""
        run: Run[Out] = _executor().start_graph(self, message, **options)
        return run

    async def stream(self, message: Any, **options: Unpack[RunOptions]) -> AsyncIterator[Event]:
        """Yields every event of a walk; the last one is terminal. Leaving the loop early cancels the walk.

        Raises: what `run` raises, after the terminal event.
        """
        run = self.start(message, **options)
        try:
            async for event in run:
                yield event
            await run
        finally:
            if run.status == "running":
                run.cancel()
                await run.settled()

    def run_sync(self, message: Any, **options: Unpack[RunOptions]) -> Run[Out]:
        """`run` for code that is not async. Inside a running loop the walk gets a loop and thread of its own.

        Warns:
            RuntimeWarning: it blocks a loop in which others wait.
        """
        bridge = import_module("graphflow.sync")
        run: Run[Out] = bridge.run_sync(lambda: self.run(message, **options))
        return run

    # -- files ---------------------------------------------------------------------------------------------------------
    def to_yaml(self) -> str:
        """The graph as YAML, with the same words and arrows; `Graph.from_yaml` makes the same graph of it.

        Raises:
            FileUnreadable: something in it has no name that a file could give (a lambda, a function inside a function).
        """
        text: str = import_module("graphflow.files.dump").dump_graph(self)
        return text

    @staticmethod
    def from_yaml(path: str, root: str | None = None) -> Graph[Any, Any]:
        """The graph that a YAML file declares. A file is code: it names modules of its project, which are imported.

        Args:
            path: the file.
            root: the folder of its project; default: the nearest one upwards with `graphs/` in it, else the file's own.

        Raises:
            FileUnreadable: the file cannot be read, or names what is not there; with file and line, all problems at once.
            GraphError: the graph is unsound.
        """
        graph: Graph[Any, Any] = import_module("graphflow.files").load_graph(path, Graph, root)
        return graph

    # -- pictures ------------------------------------------------------------------------------------------------------
    def draw(self, path: str, **options: Unpack[DrawOptions]) -> str:
        """Writes a picture and returns its path; the ending says which kind: .svg, .png, .pdf, .dot, .mmd or .txt.

        Args:
            path: the file.
            open: how many levels of graphs and sub-agents are drawn open, a number or "all"; default: one, if there is room.
            legend: whether to explain the kinds and lines that occur.
            direction: "TB", top to bottom, or "LR".
            theme: "light", "dark", or "auto": an SVG is as the page around it.
            labels: whether edges say what they carry.
        """
        written: str = import_module("graphflow.render").draw(self, path, **options)
        return written

    def to_svg(self, *, prefix: str | None = None, **options: Unpack[DrawOptions]) -> str:
        """The picture as one `<svg>` element; every id in it begins with `prefix`, by default one of its own."""
        text: str = import_module("graphflow.render").to_svg(self, prefix=prefix, **options)
        return text

    def to_mermaid(self, **options: Unpack[DrawOptions]) -> str:
        """The graph as Mermaid text, as GitHub and JupyterLab draw it."""
        text: str = import_module("graphflow.render").to_mermaid(self, **options)
        return text

    def to_dot(self, **options: Unpack[DrawOptions]) -> str:
        """The graph as DOT text."""
        text: str = import_module("graphflow.render").to_dot(self, **options)
        return text

    def to_ascii(self, *, width: int = 100, unicode: bool = True, **options: Unpack[DrawOptions]) -> str:
        """The graph as boxes for a terminal of so many columns."""
        text: str = import_module("graphflow.render").to_ascii(self, width=width, unicode=unicode, **options)
        return text

    def live(self, *, open: int | Literal["all", "auto", "flat"] = "auto") -> Live:
        """The picture of the graph that a walk moves on, in a notebook: `live = graph.live()`, then `await live.run(...)`.

        Args:
            open: how many levels of graphs and sub-agents are drawn open, as for `draw`; what is in them moves as well.
        """
        made: Live = import_module("graphflow.notebook").Live(self, open=open)
        return made

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = import_module("graphflow.render").mimebundle(self)
        return bundle

    def __repr__(self) -> str:
        count = len(self._proof.edges)
        return (
            f"<graph {self.name}({type_name(self.input)}) -> {type_name(self.output)}: "
            f"{len(self.nodes)} nodes, {count} edge{'s' if count != 1 else ''}>"
        )


@lru_cache(maxsize=1)
def _executor() -> Any:
    """The executor stands above this module in the import law, so it is found by name when something runs."""
    return import_module("graphflow.runtime.executor")


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


def solo(node: Node[Any, Any]) -> Graph[Any, Any]:
    """The graph that a single node is when it is entered as a frame: START >> node >> END. Made once, and kept with the node."""
    known: Graph[Any, Any] | None = node.__dict__.get("_as_graph")
    if known is None:
        known = Graph(node.name, START >> node >> END, input=node.ports[0].type, _alone=True)
        node.__dict__["_as_graph"] = known
    return known
