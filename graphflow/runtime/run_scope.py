"""What all frames of a run have in common, and what ends with the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from graphflow.declaration.background import Background
from graphflow.declaration.node import Node
from graphflow.errors import GraphError
from graphflow.model.resolve import open_model
from graphflow.model.seam import Model
from graphflow.policy import Approve
from graphflow.runtime.cache import Cache, lasting
from graphflow.runtime.run_record import RunRecord

GRACE_S = 5.0
"""Seconds that background calls get to end when the run does."""
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Node[Any, Any], asyncio.Lock]] = (
    WeakKeyDictionary()
)
"""Locks of nodes that must not run twice at a time, for as long as somebody holds or awaits them."""


class RunScope:
    """The run's own: its models, background calls, servers, and answers that are kept for its time."""

    __slots__ = (
        "approve",
        "backgrounds",
        "cache",
        "calls",
        "holds",
        "model",
        "models",
        "plain",
        "questions",
        "run",
        "session",
        "sources",
    )

    def __init__(
        self,
        run: RunRecord[Any],
        model: Model | str | None,
        session: str | None,
        approve: Approve | None,
        *,
        plain: bool,
    ) -> None:
        self.run = run
        self.model = model
        self.models: dict[str, Model] | None = None
        self.session = session
        self.approve = approve
        self.plain = plain
        """Whether straight graphs may be walked straight."""
        self.calls = 0
        self.questions = 0
        self.backgrounds: dict[str, Background] = {}
        self.holds: dict[str, Any] = {}
        self.cache: Cache | None = None
        self.sources: Sources | None = None

    def open(self, named: str) -> Model:
        """The model of that name, opened once a run."""
        if self.models is None:
            self.models = {}
        if named not in self.models:
            self.models[named] = open_model(named)
        return self.models[named]

    def model_of(self, named: Model | str) -> Model:
        """A model, by its name or as it is."""
        return self.open(named) if isinstance(named, str) else named

    def turn_of(self, node: Node[Any, Any]) -> asyncio.Lock:
        """What a node holds that must not run twice at a time, in whatever run of this event loop."""
        turns = _TURNS.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        return turns.setdefault(node, asyncio.Lock())

    def cache_of(self, node: Node[Any, Any]) -> Cache:
        """Where a node's answers are kept: with the run, or with the process if the node says for how long."""
        if node.cache is not True:
            return lasting()
        if self.cache is None:
            self.cache = Cache()
        return self.cache

    def hold(self, name: str, make: Callable[[], Any]) -> Any:
        """What nodes of this run share under that name, made once; its `close()` is awaited at the run's end."""
        if name not in self.holds:
            self.holds[name] = make()
        return self.holds[name]

    @property
    def idle(self) -> bool:
        """Whether nothing has to be ended with the run."""
        return not self.backgrounds and self.sources is None and not self.holds

    async def close(self) -> None:
        """Ends background calls, then the servers that were started for the run."""
        tasks = []
        for background in self.backgrounds.values():
            task = background.task
            if task is not None and not task.done():
                if not self.run._cancelled:
                    background.note_cut_off()
                task.cancel()
                tasks.append(task)
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_S)
        for background in self.backgrounds.values():
            task = background.task
            if task is not None and task.done() and not task.cancelled():
                task.exception()  # told by its event; asyncio need not complain that nobody asked
        for held in self.holds.values():
            await held.close()
        if self.sources is not None:
            await self.sources.close()


class Sources:
    """The nodes that stand for others (the tools of servers), opened for one run."""

    __slots__ = ("callers", "graph", "opened")

    def __init__(self, graph: str, callers: Sequence[tuple[str, tuple[Node[Any, Any], ...], tuple[str, ...]]]) -> None:
        self.graph = graph
        self.callers = callers
        """Who has an edge to a source, to what else, and the names by which it hands over."""
        self.opened: list[tuple[Node[Any, Any], Any]] = []

    async def open(self, run: RunRecord[Any]) -> None:
        """Opens each source once, all at the same time, and refuses names that clash.

        Raises:
            ServerFailed: one could not be opened.
            GraphError: a caller can reach two nodes of one name.
        """
        distinct: list[Node[Any, Any]] = []
        for source in (node for _, callees, _ in self.callers for node in callees if node.source):
            if source not in distinct:
                distinct.append(source)
        tasks = [asyncio.get_running_loop().create_task(source.open(run.id)) for source in distinct]  # type: ignore[attr-defined]  # what a source has
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            raise
        finally:
            for source, task in zip(distinct, tasks, strict=True):
                if task.done() and not task.cancelled() and task.exception() is None:
                    self.opened.append((source, task.result()))
        for task in tasks:
            task.result()
        self._check()

    def expanded(self, callees: tuple[Node[Any, Any], ...]) -> tuple[Node[Any, Any], ...]:
        """The callees, each source replaced by what it offers now.

        A name stands for the first that has it: what a server adds later takes no other's place.
        """
        if not any(callee.source for callee in callees):
            return callees
        nodes: dict[str, Node[Any, Any]] = {}
        for callee in callees:
            for node in self._offered(callee) if callee.source else (callee,):
                nodes.setdefault(node.name, node)
        return tuple(nodes.values())

    def _offered(self, source: Node[Any, Any]) -> Sequence[Node[Any, Any]]:
        for known, opened in self.opened:
            if known == source:
                offered: Sequence[Node[Any, Any]] = opened.nodes
                return offered
        return ()

    def _check(self) -> None:
        """Now that the names are known, and before anything has been asked of a model."""
        problems = []
        for caller, callees, tools in self.callers:
            names = dict.fromkeys(tools, "its hand-overs")
            for callee in callees:
                for node in self._offered(callee) if callee.source else (callee,):
                    if node.name in names:
                        problems.append(
                            f"{caller!r} can reach two nodes named {node.name!r} (of {names[node.name]} and {callee.name!r}); "
                            "give one server a prefix, or exclude the tool"
                        )
                    names.setdefault(node.name, repr(callee.name))
        if problems:
            raise GraphError(self.graph, list(dict.fromkeys(problems)))

    async def close(self) -> None:
        """Closes what belongs to this run only."""
        for _, opened in self.opened:
            await opened.close()
