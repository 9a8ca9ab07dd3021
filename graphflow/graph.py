"""A graph: a frozen declaration of nodes and edges, proven sound when it is built. It is itself a node.

What a graph is made of, and what is proven of it, lies below (`graphflow.proofs.proven`). This is its face: what users call. It
stands above all that it calls, and loads that when it is called: a graph that is only built loads no runtime and no pictures.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from functools import cache, partial
from operator import is_
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    Self,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

from graphflow.declaration.arrows import AnyEntry, Arm, Entry, ForkPolicy, In, Out
from graphflow.declaration.claims import Claim, Claims, read_claims
from graphflow.declaration.node import AnyNode
from graphflow.declaration.options import NodeOptions
from graphflow.errors import GraphError
from graphflow.limits import Limits
from graphflow.messages.state import AnyState
from graphflow.messages.types import Type
from graphflow.proofs.bounds import Bounds, bound
from graphflow.proofs.problems import place_text
from graphflow.proofs.proven import ProvenGraph
from graphflow.proofs.report import Report, report
from graphflow.runtime.options import ForkOptions, RunOptions, SittingOptions

A = TypeVar("A")
B = TypeVar("B")
PlainData: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""What becomes a message, or a list of messages, when it is checked: data as JSON holds it."""

if TYPE_CHECKING:
    from graphflow.chat import Chat
    from graphflow.claims.exploration import Exploration
    from graphflow.claims.verdict import ClaimVerdict
    from graphflow.events import Event
    from graphflow.journal.store import Store
    from graphflow.journal.verdict import Verdicts
    from graphflow.model.seam import Model
    from graphflow.notebook import Live
    from graphflow.run import Run
    from graphflow.runtime.executor import Executor
    from graphflow.secrets.declared import Secrets
    from graphflow.telemetry.subscription import Receiver, Subscription


class DrawOptions(TypedDict, total=False):
    """How a graph is drawn; `Graph.draw` says what each means."""

    open: int | Literal["all", "auto", "flat"]
    legend: bool
    direction: Literal["TB", "LR"]
    theme: Literal["auto", "light", "dark"]
    labels: bool


class GraphOptions(NodeOptions, total=False):
    """Everything about a graph but its name and arrows; `Graph` says what each means."""

    model: Model | str | None
    limits: Limits | None
    input: Any
    ends: Literal["one", "first", "all"]
    deps: Any
    description: str
    state: Sequence[AnyState]
    uses: Sequence[AnyState]
    claims: Sequence[Claim]
    secrets: Secrets | None
    untrusted: Literal["refuse", "warn"]


class Graph(ProvenGraph[In, Out], Generic[In, Out]):
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
        state: the states that it owns; they begin anew in each of its frames.
        uses: those that the nearest graph around it owns, and lends to it.
        secrets: what none of its runs shows; `Graph.run` says more.
        claims: properties of all its walks (`graphflow.claims`): proven, or enforced while it is walked; `check()` says which.
        untrusted: what to do where untrusted content (`graphflow.security.Untrusted`) reaches a node that acts on the world
            with no check on the way: refuse to build, or "warn" (`check()` names the ways).
        retry, timeout_s, cache, policy, approval, approval_timeout_s, quota, reads, adds, sets: as for every node (`NodeOptions`).
    """

    @overload
    def __init__(
        self: Graph[A, B], name: str, path: Entry[A, B], /, **options: Unpack[GraphOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Graph[A, Any],
        name: str,
        path: Entry[A, Any],
        /,
        *paths: AnyEntry | Iterable[AnyEntry],
        **options: Unpack[GraphOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Graph[Any, Any],
        name: str,
        /,
        *paths: AnyEntry | Iterable[AnyEntry],
        **options: Unpack[GraphOptions],
    ) -> None: ...
    def __init__(
        self,
        name: str,
        /,
        *paths: AnyEntry | Iterable[AnyEntry],
        model: Model | str | None = None,
        limits: Limits | None = None,
        input: Type = None,
        ends: Literal["one", "first", "all"] = "one",
        deps: Type | None = None,
        description: str = "",
        state: Sequence[AnyState] = (),
        uses: Sequence[AnyState] = (),
        claims: Sequence[Claim] = (),
        secrets: Secrets | None = None,
        untrusted: Literal["refuse", "warn"] = "refuse",
        **options: Unpack[NodeOptions],
    ) -> None:
        caller = sys._getframe(1)
        place = place_text((caller.f_code.co_filename, caller.f_lineno))
        read: Claims = ()
        if claims:
            read = read_claims(f"graph {name!r}", claims)
        super().__init__(
            name,
            paths,
            model=model,
            limits=limits,
            input=input,
            ends=ends,
            deps=deps,
            description=description,
            claims=read,
            secrets=secrets,
            place=place,
            state=state,
            uses=uses,
            untrusted=untrusted,
            **options,
        )
        if read:
            self._check_claims(place)

    def _check_claims(self, place: str) -> None:
        """Refuses claims that name nothing in the graph, and proves what can be proven in linear time."""
        from graphflow.claims.claim_proofs import claim_proofs_of
        from graphflow.claims.targets import claim_problems

        proofs = claim_proofs_of(self)
        problems = tuple(claim_problems(self.claims, proofs.targets))
        if problems:
            raise GraphError(self.name, problems, place)
        proofs.prove_linearly(self.claims)

    # -- what was proven ---------------------------------------------------------------------------
    def check(self) -> Report:
        """What was proven: warnings, and facts such as loops with their limits and call cycles with their bound."""
        from graphflow.journal.storable import storage_problems

        facts = [*storage_problems(self)]
        warnings: list[str] = []
        if self.claims:
            from graphflow.claims.claim_proofs import claim_lines

            lines, warnings = claim_lines(self)
            facts += lines
        return report(self, facts, warnings)

    def prove(
        self, claim: Claim, *, states: int | None = None, lists: int | None = None
    ) -> ClaimVerdict:
        """How a claim holds, whether the graph declares it or not.

        Args:
            claim: the claim.
            states: how many states of walks are looked at, at most; default: 100,000.
            lists: up to which length lists are mapped; default: 2, or one more than is counted or taken.

        Raises:
            DeclarationError: it names nothing in the graph; the text names near ones.
        """
        from graphflow.claims.claim_proofs import PROVE_BUDGET, claim_proofs_of

        budget = PROVE_BUDGET if states is None else states
        return claim_proofs_of(self).verdict(claim, budget, lists)

    def explore(self, *, states: int = 100_000, lists: int = 2) -> Exploration:
        """How its walks may end, which edges none takes, and how much goes on at the same time.

        Args:
            states: how many states are looked at, at most.
            lists: up to which length lists are mapped.
        """
        from graphflow.claims.exploration import explore

        return explore(self, states, lists)

    def bounds(self) -> Bounds:
        """The worst case of one walk: activations per node, depth, model calls, and cost where prices are known."""
        return bound(self)

    def variant(self, changes: Mapping[AnyNode | str, AnyNode]) -> Self:
        """The graph with other nodes in the places of some, wherever these stand: on arrows, behind calls, in graphs within.

        Args:
            changes: what takes which node's place: `{"draft": draft.but(prompt=...)}`, `{"inner > draft": other}`. It takes and
                answers the same, so that all that was proven stands.

        Raises:
            DeclarationError: no such node stands in the graph, several do, or it takes or answers something else.
        """
        from graphflow.proofs.variant import variant

        return variant(self, changes)

    # -- running -----------------------------------------------------------------------------------
    async def run(self, message: In | PlainData, **options: Unpack[RunOptions]) -> Run[Out]:
        """Walks the graph and returns the `Run` when it has completed.

        Args:
            message: the input; plain data is validated into the input type.
            deps: any object, for `ctx.deps` and for prompts.
            model: instead of the graph's own default.
            limits: the tightest of these, the graph's and the call edge's wins.
            budgets: what it may spend together with other runs of its store, a list of `Budget`: counted there, in all processes,
                refused before a model is asked.
            user: whom it serves, for budgets that are per user.
            secrets: what nobody sees of this run, beside what the graph declares (`graphflow.security.Secrets`): it is masked
                where text enters the walk (the message, answers of nodes, tools, models and people), and code gets it by
                `ctx.secret("name")` or a parameter annotated `Secret`.
            conversation: the key of the conversation that the message belongs to: what was said before is shown, and this
                exchange is added when the run has completed. It needs a store.
            traceparent: the span of another program that the run belongs to, as the header of that name has it; default: the
                current one of OpenTelemetry, if there is one. Requests to models and servers carry it on.
            history: what was said before, for those who keep it themselves: turns, as `run.history` gives them, or
                {"role": "user", "content": "..."}. What is orphaned in it is mended, and told by an event.
            busy: while another run has the conversation: "wait", "refuse", or "cancel" that one.
            session: the former word for `conversation`; nodes see either as `ctx.session`.
            policy: what may be called, beside what graphs and nodes say.
            approve: an async function that is asked about calls of nodes with `approval`: `True`, or a text why not.
            keep_steps: how many activations a long loop keeps at least, 4096 if nothing is said; `run.dropped` tells how
                many are not kept any more. A run that is listened to keeps all.
            store: a `Store`, or its address, that keeps the run: it can be resumed when this process is gone.
            id: the run's name, unique in its store. The same id again gives back the run that there is, or goes on with
                it.
            sync: when the run waits until what it has done is kept: before effects and after models ("effects"), before
                each step ("each"), or only at the end ("end").
            metadata: JSON that stands with the run in the store; `store.runs(metadata=...)` finds it by that.
            lease_s: seconds after which somebody else may take the run over if this process is gone.
            best_effort: whether a run whose record cannot be kept (a value that is not data, a disk that is full) goes on
                without one. Then `run.unkept` says why, and what was kept of it is removed.

        Raises:
            InputInvalid: the message does not fit; nothing ran.
            WalkError: the walk did not complete; or whatever a node raised. `error.run` is the `Run`, partial work in it.
        """
        return await _executor().run(self, message, **options)

    async def resume(self, id: str, **options: Unpack[SittingOptions]) -> Run[Out]:
        """Goes on with a run that a store keeps: after a crash, a cancellation, a limit that was raised, an answer.

        Args:
            id: the run's name.
            store: where it is kept.
            limits, budgets: instead of those that the run was begun with.
            deps, model, session, policy, approve, keep_steps, sync, lease_s, best_effort: as for `run`.

        Returns:
            The run, when it has completed or waits; one that had ended is what it was.

        Raises:
            RunUnknown: there is no such run.
            RunOwned: somebody else is working on it.
            Diverged, Unreadable: its record does not fit the graph as it is now.
        """
        return await _executor().resume(self, id, **options)

    async def replay(self, id: str, *, store: Store | str) -> Run[Out]:
        """The run of that id, made again from its record alone: nobody is asked, no node runs, and all has to be the same.

        A run that was cancelled or limited, or that waits, is replayed up to there.

        Raises:
            RunUnknown: there is no such run.
            RunDamaged: its record is not as it was written.
            Diverged, Unreadable: its record does not fit the graph as it is now.
            RowDiffers: something would be written in another way now.
        """
        from graphflow.run import Run
        from graphflow.runtime.replay import replay

        return await replay(store, id, self, Run)

    @overload
    def fork(self, policy: ForkPolicy) -> Arm[In, Out]: ...
    @overload
    def fork(
        self,
        id: str,
        /,
        *,
        store: Store | str,
        at: str | None = None,
        edit: Mapping[str, object] | None = None,
        new_id: str | None = None,
        graph: Graph[In, Out] | None = None,
        prompt: Mapping[AnyNode | str, str] | str | None = None,
        metadata: Mapping[str, object] | None = None,
        **options: Unpack[ForkOptions],
    ) -> Coroutine[None, None, Run[Out]]: ...
    def fork(self, *given: str, **options: Any) -> object:
        """A new run that shares what the run of that id has done up to a cut, and goes on by itself.

        With a policy alone, `graph.fork("isolate")`, it is that of a node: what a failure in one branch means for the others.

        What does not depend on the cut is taken over; what does is done anew, under keys of the new run. `run.fork_report` tells
        which was which. The run of that id is never touched.

        Args:
            id: the run that it is made of, however that one stands.
            store: where that one is kept; the new one is kept there, too.
            at: what is done again, with all that depends on it: a node (`"draft"`, `"draft#4"` where it has run several times,
                `"writers > draft#4"` inside a graph), a call (`"boss > look"`), or a place as rows name it.
            edit: other answers, by the same names: of nodes, calls, models, people. An exception stands for a failure.
                "planner.notes" is the value of state `notes` behind `planner`.
            new_id: the new run's name; default: the old one with a few letters behind it.
            graph: what the new run walks instead, such as `graph.variant(...)`.
            prompt: other prompts, by the agent or its name: `{"draft": "Shorter: {{ text }}"}`; of a graph with one agent the
                text alone. Without `at` and `edit`, these agents are where the runs part.
            metadata: instead of the old one's.
            options: deps, model, limits, ... as for `resume`.

        Raises:
            RunUnknown: there is no such run.
            PlaceUnknown: nothing of such a name is recorded; the text names near ones.
            OutputInvalid, AnswerInvalid: an answer is not what is declared.
            Unreadable: the record does not fit the graph.
        """
        if "store" not in options:
            return super().fork(*given, **options)  # type: ignore[arg-type]  # looked at there
        from graphflow.run import Run
        from graphflow.runtime.fork import fork

        walked = options.pop("graph", None) or self
        prompt = options.pop("prompt", None)
        if prompt is not None:
            from graphflow.kinds.other_prompts import with_prompts

            walked = with_prompts(walked, prompt)
        return fork(walked, *given, make=Run, resume=_executor().resume, **options)

    async def verdict(self, *, store: Store | str, runs: Iterable[str] | None = None) -> Verdicts:
        """Says of runs that are kept whether they can go on with this graph: to be asked before it is deployed.

        Args:
            store: where they are kept.
            runs: their ids; None: all of this graph's that have not ended for good.

        Raises:
            RunUnknown: one of them is not there.
        """
        from graphflow.runtime.judge import verdicts

        return await verdicts(store, self, runs)

    def start(
        self, message: In | PlainData, *, observed: bool = True, **options: Unpack[RunOptions]
    ) -> Run[Out]:
        """Starts a walk in the running event loop; iterate, await or `cancel()` the `Run` it returns.

        Args:
            message: the input, as for `run`.
            observed: whether somebody iterates it while it goes. If nobody does, it is as fast as `run`.
            options: as for `run`.
        """
        return _executor().start(self, message, observed=observed, **options)

    def stream(
        self, message: In | PlainData, **options: Unpack[RunOptions]
    ) -> AsyncIterator[Event]:
        """Yields every event of a walk; the last one is terminal. Leaving the loop early cancels the walk.

        Raises: what `run` raises, after the terminal event.
        """
        from graphflow.run import followed

        return followed(partial(self.start, message, **options))

    def chat(
        self, key: str, *, store: Store | str | None = None, **options: Unpack[ForkOptions]
    ) -> Chat[In, Out]:
        """One conversation with the graph: `chat = graph.chat("user:42", store=store)`, then `await chat.say(...)`.

        Args:
            key: what the conversation is called.
            store: where it is kept; None: in memory, for as long as the chat is there.
            options: for each run of it, as for `run`.
        """
        from graphflow.chat import Chat

        return Chat(self, key, store, **options)

    def run_sync(self, message: In | PlainData, **options: Unpack[RunOptions]) -> Run[Out]:
        """`run` for code that is not async. Inside a running loop the walk gets a loop and thread of its own.

        Warns:
            RuntimeWarning: it blocks a loop in which others wait.
        """
        from graphflow.sync import run_sync

        return run_sync(lambda: self.run(message, **options))

    # -- who is told -------------------------------------------------------------------------------
    def subscribe(
        self, *kinds: str, path: str = "", to: Receiver | None = None, room: int | None = None
    ) -> Subscription:
        """A subscription to events of all runs of it in this process that begin from now on.

        Read it (`async with graph.subscribe("model.*") as events: async for event in events: ...`), or say whom to tell. No walk
        waits for a subscriber, whatever it does; `graphflow.telemetry` says more.

        Args:
            kinds: patterns of kinds of events, such as "node.*"; none: all.
            path: a pattern of the names of the frames, joined by slashes: "desk/*" is all that happens within frames of desk.
            to: a function of one event, an async function, or a sink; it is called in another thread, or in this event loop.
            room: how many events wait for it at most, 10,000 if nothing is said; the oldest of more are dropped, and counted.

        Raises:
            DeclarationError: no event has such a kind, or it cannot be handed on so.
        """
        from graphflow.telemetry.hub import HUB
        from graphflow.telemetry.subscription import ROOM

        owner = partial(is_, self)
        return HUB.subscribe(
            *kinds, path=path, to=to, room=ROOM if room is None else room, owner=owner
        )

    # -- files -------------------------------------------------------------------------------------
    def to_yaml(self) -> str:
        """The graph as YAML, with the same words and arrows; `Graph.from_yaml` makes the same graph of it.

        Raises:
            FileUnreadable: something in it has no name that a file could give (a lambda, a function inside a function).
        """
        from graphflow.files.dump import dump_graph

        return dump_graph(self)

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
        from graphflow.files.reader import load_graph

        return load_graph(path, Graph, root)

    # -- pictures ----------------------------------------------------------------------------------
    def draw(
        self, path: str, *, verdict: ClaimVerdict | None = None, **options: Unpack[DrawOptions]
    ) -> str:
        """Writes a picture and returns its path; the ending says which kind: .svg, .png, .pdf, .dot, .mmd or .txt.

        Args:
            path: the file.
            open: how many levels of graphs and sub-agents are drawn open, a number or "all"; default: one, if there is room.
            legend: whether to explain the kinds and lines that occur.
            direction: "TB", top to bottom, or "LR".
            theme: "light", "dark", or "auto": an SVG is as the page around it.
            labels: whether edges say what they carry.
            verdict: what `prove` has said of a claim: the walk that refutes it is drawn, and the rest is pale.
        """
        if verdict is not None:
            from graphflow.render.counterexamples import draw_verdict

            return draw_verdict(self, path, verdict, **options)
        from graphflow.render import draw

        return draw(self, path, **options)

    def to_svg(self, *, prefix: str | None = None, **options: Unpack[DrawOptions]) -> str:
        """The picture as one `<svg>` element; every id in it begins with `prefix`, by default one of its own."""
        from graphflow.render import to_svg

        return to_svg(self, prefix=prefix, **options)

    def to_mermaid(self, **options: Unpack[DrawOptions]) -> str:
        """The graph as Mermaid text, as GitHub and JupyterLab draw it."""
        from graphflow.render import to_mermaid

        return to_mermaid(self, **options)

    def to_dot(self, **options: Unpack[DrawOptions]) -> str:
        """The graph as DOT text."""
        from graphflow.render import to_dot

        return to_dot(self, **options)

    def to_ascii(
        self, *, width: int = 100, unicode: bool = True, **options: Unpack[DrawOptions]
    ) -> str:
        """The graph as boxes for a terminal of so many columns."""
        from graphflow.render import to_ascii

        return to_ascii(self, width=width, unicode=unicode, **options)

    def live(self, *, open: int | Literal["all", "auto", "flat"] = "auto") -> Live[Run[Out]]:
        """The picture of the graph that a walk moves on, in a notebook: `live = graph.live()`, then `await live.run(...)`.

        Args:
            open: how many levels of graphs and sub-agents are drawn open, as for `draw`; what is in them moves as well.
        """
        from graphflow.notebook import Live

        return Live(self, open=open)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from graphflow.render import mimebundle

        return mimebundle(self)


RunnableGraph: TypeAlias = Graph[Any, Any]
"""A graph that can be run, where it does not matter what it takes and answers."""


@cache
def _executor() -> Executor[Run[Any]]:
    """What runs graphs, loaded when something runs first: an import in `Graph.run` would cost every run a microsecond."""
    from graphflow.run import Run
    from graphflow.runtime.listening import executor_of

    return executor_of(Run, _executor.cache_clear)
