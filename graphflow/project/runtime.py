"""A project that runs: its graphs, loaded and proven, over one store, one set of servers, one set of settings.

    async with Runtime.open(".", env="prod") as runtime:
        run = await runtime.run("shop", "Do you have tea?")
        print(await runtime.reload())

Rules:
1. A run has one version of its graph from its beginning to its end, whatever is reloaded meanwhile.
2. What `run` is given goes before the project's settings. Limits are those of the run, where it states any.
3. Closing cancels the runs that still go, waits for them, and closes what the runtime has opened: sinks, dependencies, the store.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias, Unpack, cast
from weakref import ref

from pydantic import BaseModel

from graphflow.chat import Chat
from graphflow.concurrency import in_thread
from graphflow.errors import DeclarationError, GraphflowError
from graphflow.events import Event
from graphflow.graph import RunnableGraph
from graphflow.journal.store import Store
from graphflow.journal.verdict import Verdicts
from graphflow.limits import Ledger, Usage
from graphflow.messages.types import arms
from graphflow.project.dependencies import Dependencies, DepsFactory, DepsFor, DepsScope
from graphflow.project.graph_info import Json, info_of
from graphflow.project.graph_versions import GraphVersions, Reloaded
from graphflow.project.probing import probe_servers
from graphflow.project.project import Project
from graphflow.project.runs import KEY_VARIABLE, NOWHERE, place_in
from graphflow.project.spent import Grouping, UsageOfStore, WantedUsage, summed, usage_of
from graphflow.run import Run, followed
from graphflow.runtime.options import ForkOptions, RunOptions, SittingOptions

if TYPE_CHECKING:
    from graphflow.journal.exchanges import ConversationHeader
    from graphflow.journal.stored import RunHeader
    from graphflow.project.plain_runtime import PlainRuntime
    from graphflow.telemetry.subscription import Receiver, Subscription

AnyRun: TypeAlias = Run[object]
AnyChat: TypeAlias = Chat[object, object]
UNSWAPPED = ("store", "servers", "telemetry")
"""Settings that others stand on while a runtime is open."""


class Runtime:
    """A project that runs. `Runtime.open` makes one; it is used in an `async with`.

    Attributes:
        project: whose graphs it runs.
        store: where it keeps runs; None: nowhere.
    """

    def __init__(self, project: Project, store: Store | str | None, deps: Dependencies) -> None:
        self.project = project
        self.store: Store | None = None
        self._given_store = store
        self._deps = deps
        self._graphs = GraphVersions(project)
        self._older: dict[str, RunnableGraph] = {}
        """The graphs of runs that wait, and cannot go on with the one that is in use now."""
        self._going: set[asyncio.Task[AnyRun]] = set()
        self._usage: dict[str, Usage] = {}
        self._talking: list[tuple[ref[AnyRun], str, Ledger]] = []
        """Runs of chats whose usage is not counted yet: a chat begins them by itself."""
        self._stack = AsyncExitStack()
        self._reloading = asyncio.Lock()
        self._is_open = False
        self._has_sinks = True

    @classmethod
    def open(
        cls,
        path: str | Path = ".",
        env: str | None = None,
        *,
        store: Store | str | None = None,
        deps: DepsFactory | None = None,
        deps_per: DepsScope = "run",
        sinks: bool = True,
    ) -> Self:
        """The runtime of a project; nothing is loaded before it is entered.

        Args:
            path: a folder of the project.
            env: the overlay that is chosen; None: the one that $GRAPHFLOW_ENV names.
            store: where runs are kept, a `Store` or an address; "none" is nowhere; None: where the project says.
            deps: makes the dependencies of a run (`DepsFor`).
            deps_per: whether they are made for each "run", or for each "conversation".
            sinks: whether what runs tell is led to the sinks of its settings.

        Raises:
            ProjectUnknown, FileUnreadable, SettingsInvalid: there is no such project, or its settings are wrong.
        """
        runtime = cls(Project.open(path, env), store, Dependencies(deps, deps_per))
        runtime._has_sinks = sinks
        return runtime

    @classmethod
    def plain(
        cls,
        path: str | Path = ".",
        env: str | None = None,
        *,
        store: Store | str | None = None,
        deps: DepsFactory | None = None,
        deps_per: DepsScope = "run",
    ) -> PlainRuntime:
        """The same for code that is not async, used in a plain `with`; arguments and errors as for `open`."""
        from graphflow.project.plain_runtime import PlainRuntime

        return PlainRuntime(cls.open(path, env, store=store, deps=deps, deps_per=deps_per))

    def __repr__(self) -> str:
        return f"<runtime of {self.project!r}>"

    # -- opening and closing -----------------------------------------------------------------------
    async def __aenter__(self) -> Self:
        """Loads the graphs. One that is broken raises when it is asked for, and not here: the others can be used.

        Raises:
            StoreError: the store cannot be opened.
            DeclarationError: a sink of its settings cannot be.
            ServerFailed: a server is to be probed, and is not there.
        """
        if self._is_open:
            raise DeclarationError(f"{self!r} is open already; open another one")
        try:
            await in_thread(self._graphs.load)
            await self._open_store()
            await self._probe_servers()
            self._open_sinks()
            self._stack.push_async_callback(self._deps.close)
        except BaseException:
            await self._stack.aclose()
            raise
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _open_store(self) -> None:
        given = self._given_store
        if isinstance(given, Store):
            self.store = given  # whoever has opened it closes it
            return
        place = place_in(self.project)
        address = given
        if address is None and place is not None:
            address = place.address
        if address is None or address == NOWHERE:
            return
        options: Mapping[str, object] = {}
        if place is not None and address == place.address:
            await in_thread(place.prepare)
            options = place.options
        key = os.environ.get(KEY_VARIABLE) or self.project.store_key
        self.store = Store.open(address, key=key, **options)
        self._stack.push_async_callback(self.store.aclose)

    async def _probe_servers(self) -> None:
        """Opens the servers that outlive runs, if the settings want that: the first run need not wait for them, or find them gone.

        Raises:
            ServerFailed: one is not there.
        """
        if not self.project.settings.servers.probe:
            return
        for graph in self._graphs.snapshot().values():
            await probe_servers(graph)

    def _open_sinks(self) -> None:
        stated = self.project.telemetry
        if not stated or not self._has_sinks:
            return
        # Loaded by whoever listens.
        from graphflow.telemetry import sinks_of

        for sink in sinks_of(stated):
            self._stack.callback(self.subscribe(to=sink).close)

    async def close(self) -> None:
        """Cancels what still goes, and closes what was opened. Closing twice is closing once."""
        self._is_open = False
        for task in list(self._going):
            task.cancel()
        await asyncio.gather(*self._going, return_exceptions=True)
        await self._stack.aclose()

    # -- running -----------------------------------------------------------------------------------
    async def run(
        self, graph: str | None, message: object, **options: Unpack[RunOptions]
    ) -> AnyRun:
        """Runs a graph; None is the project's own. The rest is as for `Graph.run`.

        Raises:
            UnknownGraph: there is none of that name.
            Whatever is wrong with the graph, or ends the run.
        """
        return await self._task(graph, message, options)

    def stream(
        self, graph: str | None, message: object, **options: Unpack[RunOptions]
    ) -> AsyncIterator[Event]:
        """Runs a graph, and yields each of its events; the last one is terminal. Leaving early cancels the run."""
        return self._streamed(graph, message, options)

    async def _streamed(
        self, name: str | None, message: object, options: RunOptions
    ) -> AsyncIterator[Event]:
        graph = self._graph(name)
        async with self._run_options(graph, options) as given:
            begun: list[AnyRun] = []

            def begin() -> AnyRun:
                begun.append(graph.start(of_version(graph, message), **given))
                return begun[0]

            try:
                async for event in followed(begin):
                    yield event
            finally:
                # However it ends, what it has used was used.
                for run in begun:
                    self._count(run)

    def start(
        self, graph: str | None, message: object, **options: Unpack[RunOptions]
    ) -> asyncio.Task[AnyRun]:
        """Starts a run, and gives the task whose result is the `Run`: await it, or cancel it."""
        return self._task(graph, message, options)

    def _task(self, name: str | None, message: object, options: RunOptions) -> asyncio.Task[AnyRun]:
        # Looked up now: what is reloaded from here on is not for this run.
        graph = self._graph(name)
        walking = self._walked(graph, of_version(graph, message), options)
        task = asyncio.get_running_loop().create_task(walking)
        self._going.add(task)
        task.add_done_callback(self._going.discard)
        return task

    async def _walked(self, graph: RunnableGraph, message: object, options: RunOptions) -> AnyRun:
        async with self._run_options(graph, options) as given:
            with self._counted(graph):
                run: AnyRun = await graph.run(message, **given)
        self._count(run)
        return run

    @asynccontextmanager
    async def _run_options(
        self, graph: RunnableGraph, options: RunOptions | ForkOptions
    ) -> AsyncIterator[RunOptions]:
        """The options of one run: those that it is given, over those of the project."""
        given = cast("RunOptions", {**self.project.run_options(), **options})
        if self.store is not None and given.get("store") is None:
            given["store"] = self.store
            given.setdefault("sync", self.project.sync)
        purpose = DepsFor(graph.name, given.get("conversation"))
        async with self._deps.of(purpose) as deps:
            if self._deps.factory is not None:
                given.setdefault("deps", deps)
            yield given

    def chat(self, key: str, graph: str | None = None, **options: Unpack[ForkOptions]) -> AnyChat:
        """A conversation with a graph, kept where runs are. It has one version of the graph; ask again for a newer one."""
        # Of an exchange that is under way, the version must not change.
        found = self._graph(graph)
        given = cast("ForkOptions", {**self.project.run_options(), **options})
        chat: AnyChat = found.chat(key, store=self.store, **given)
        chat.make = self._made
        return chat

    async def answer(
        self,
        run: str,
        value: object,
        *,
        question: str = "",
        by: str = "",
        **options: Unpack[ForkOptions],
    ) -> AnyRun:
        """Answers a question that a run waits for, and lets that go on.

        Args:
            run: its id.
            value: the answer.
            question: its id, or the node that asks; not needed where one is open.
            by: who answers, for the record.
            options: as for `Graph.resume`.

        Raises:
            RunUnknown: there is no such run.
            QuestionUnknown: no such question is open, or several are.
            AnswerInvalid: the answer does not fit; the question is still open.
        """
        store = self._kept()
        header = await store.header(run)
        graph = self._older.get(run) or self._graph_called(header.graph)
        waiting: AnyRun = await store.load(run, graph)
        # Of several, the store says which there are.
        if not question:
            open_questions = [each.id for each in waiting.pending]
            if len(open_questions) == 1:
                question = open_questions[0]
        await store.answer(run, question, value, by=by)
        async with self._run_options(graph, options) as given:
            sitting = cast("SittingOptions", given)
            if "limits" not in options:
                sitting.pop("limits", None)  # those that it was begun with
            went_on: AnyRun = await graph.resume(run, **sitting)
        self._count(went_on)
        if went_on.status != "waiting":
            self._older.pop(run, None)
        return went_on

    # -- what there is -----------------------------------------------------------------------------
    def graphs(self) -> list[str]:
        """The names of its graphs, those that are broken among them."""
        return self._graphs.names

    def graph(self, name: str | None = None) -> RunnableGraph:
        """The version of a graph that is in use.

        Raises:
            UnknownGraph: there is none of that name.
            Whatever is wrong with it.
        """
        return self._graph(name)

    def info(self, name: str | None = None) -> Json:
        """What there is to know of a graph, as JSON: types, nodes, bounds, claims, models, tools, prompts, problems, version.

        Of one that is broken, its problems.
        """
        meant = name or self.project.main
        try:
            version = self._graphs.current(meant)
        except GraphflowError as error:
            if meant not in self._graphs.broken:
                raise
            return {"name": meant, "version": 0, "problems": [str(error)]}
        return {**info_of(version.graph, self.project.model), "version": version.number}

    async def runs(
        self, *, graph: str | None = None, status: str | None = None, since: float | None = None
    ) -> list[RunHeader]:
        """The runs that are kept, the newest first; `Store.runs` says what each word means."""
        return await self._kept().runs(graph=graph, status=status, since=since)

    async def conversations(self, graph: str | None = None) -> list[ConversationHeader]:
        """The conversations that are kept, the newest first."""
        return await self._kept().conversations(graph)

    def usage(self) -> Mapping[str, Usage]:
        """What the runs of this runtime have used so far, by graph; `spent` knows all that are kept."""
        self._count_talk()
        used = dict(self._usage)
        for _, graph, ledger in self._talking:
            _add(used, graph, ledger.usage())
        return used

    async def spent(
        self, by: Grouping = "graph", *, graph: str | None = None, since: float | None = None
    ) -> UsageOfStore:
        """What the runs that are kept have spent, of whatever process: the sums that `graphflow usage` shows.

        Args:
            by: what a group is about: "day", "graph", "node", "model" or "conversation".
            graph: only runs of the graph of this name.
            since: only what was spent since, in seconds since 1970.

        Raises:
            DeclarationError: it keeps nothing.
        """
        return await usage_of(self._kept(), WantedUsage(by, since, graph))

    def subscribe(self, *kinds: str, path: str = "", to: Receiver | None = None) -> Subscription:
        """A subscription to the runs of all its graphs that begin from now on, as `Graph.subscribe`."""
        from graphflow.telemetry.hub import HUB

        return HUB.subscribe(*kinds, path=path, to=to, owner=self._graphs.has)

    # -- reloading ---------------------------------------------------------------------------------
    async def reload(self, name: str | None = None) -> Reloaded:
        """Loads graphs anew; runs that go keep the version that they have.

        Args:
            name: that one alone; None: all that the project has now, and its settings.

        Returns:
            What is new, what is broken and stays as it was, what becomes of runs that wait, which settings are not swapped.
        """
        async with self._reloading:
            refused: tuple[str, ...] = ()
            if name is None:
                refused = await in_thread(self._reload_settings)
            before = self._graphs.snapshot()
            names = None if name is None else [name]
            done = await in_thread(self._graphs.load, names)
            verdicts = await self._judged(done, before)
            return done.judged(verdicts, refused)

    def _reload_settings(self) -> tuple[str, ...]:
        """Takes over what may be taken over; why the rest is not."""
        old = self.project
        try:
            new = Project.open(old.root, old.environment or None)
        except GraphflowError as error:
            return (f"the settings stay as they were: {error}",)
        refused: list[str] = []
        for key in UNSWAPPED:
            if getattr(old.settings, key) != getattr(new.settings, key):
                refused.append(
                    f"[{key}] has changed, and stays as it was while the runtime is open; close it and open it again"
                )
        # The rest is taken over: what is in use was opened, and nobody asks these tables again.
        self.project = self._graphs.project = new.with_tables_of(old, UNSWAPPED)
        return tuple(refused)

    async def _judged(self, done: Reloaded, before: Mapping[str, RunnableGraph]) -> Verdicts:
        """What becomes of runs that the store keeps; those that cannot go on with the new version go on with the old one."""
        found = Verdicts()
        if self.store is None:
            return found
        for name in done.loaded:
            graph = self._graph(name)
            verdicts = await graph.verdict(store=self.store)
            found += verdicts
            for verdict in verdicts.refused:
                # As long as this process is there; another one has only the new version.
                old = self._older.get(verdict.id) or before.get(name)
                if old is not None:
                    self._older[verdict.id] = old
        return found

    # -- inside ------------------------------------------------------------------------------------
    def _graph(self, name: str | None) -> RunnableGraph:
        if not self._is_open:
            raise DeclarationError(
                f"{self!r} is not open; write `async with Runtime.open(...) as runtime:`"
            )
        return self._graphs.current(name or self.project.main).graph

    def _graph_called(self, name: str) -> RunnableGraph:
        """The graph that calls itself so, whatever its file is called."""
        for graph in self._graphs.snapshot().values():
            if graph.name == name:
                return graph
        return self._graph(name)

    def _kept(self) -> Store:
        if self.store is None:
            raise DeclarationError(
                f"{self!r} keeps nothing; give store=..., or [store] in its settings"
            )
        return self.store

    @contextmanager
    def _counted(self, graph: RunnableGraph) -> Iterator[None]:
        """Counts what a run has used that has failed: it was paid for all the same."""
        try:
            yield
        except Exception as error:
            run = getattr(error, "run", None)
            if isinstance(run, Run):
                self._count(run)
            raise

    def _count(self, run: AnyRun) -> None:
        _add(self._usage, run.graph, run.usage)

    def _made(self, graph: str, ledger: Ledger) -> AnyRun:
        """The record of a run of a chat."""
        run: AnyRun = Run(graph, ledger)
        self._count_talk()
        self._talking.append((ref(run), graph, ledger))
        return run

    def _count_talk(self) -> None:
        """Counts the runs of chats that have ended."""
        going: list[tuple[ref[AnyRun], str, Ledger]] = []
        for each in self._talking:
            known, graph, ledger = each
            run = known()
            if run is None:
                _add(self._usage, graph, ledger.usage())
            elif run.ended is not None:
                self._count(run)
            else:
                going.append(each)
        self._talking = going


def _add(used: dict[str, Usage], graph: str, usage: Usage) -> None:
    """Adds what a run of a graph has used."""
    known = used.get(graph)
    used[graph] = usage if known is None else summed(known, usage)


def of_version(graph: RunnableGraph, message: object) -> object:
    """A message that this version of a graph can read: its class may be that of another version, of the same name."""
    if not isinstance(message, BaseModel):
        return message
    kind = type(message)
    for arm in arms(graph.input):
        is_other = arm is not kind and isinstance(arm, type)
        if is_other and (arm.__module__, arm.__qualname__) == (kind.__module__, kind.__qualname__):
            return message.model_dump()
    return message
