"""Sources: nodes that stand for others (the tools of servers), opened for one run.

A server tells what it has only when it is asked, and may have more a moment later. So names are looked at twice: here,
before anything has been asked of a model, and at each call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Protocol, cast

from graphflow.declaration.node import AnyNode
from graphflow.errors import GraphError
from graphflow.event import Event

NewsMaker = Callable[[float], Event]
"""Makes an event, once it is known when that is by the clock of a run."""
Hear = Callable[[NewsMaker], None]
Caller = tuple[str, tuple[AnyNode, ...], tuple[str, ...]]
"""A node that has an edge to a source: its name, all that it can call, and the names by which it hands over."""


class OpenSource(Protocol):
    """A source while it is open."""

    @property
    def nodes(self) -> Sequence[AnyNode]:
        """What it stands for now."""

    async def close(self) -> None:
        """Closes what belongs to this run only."""


class SourceNode(Protocol):
    """A node with `source` set."""

    async def open(
        self, run: str, *, can_wait: bool, hear: Hear | None, conversation: str
    ) -> OpenSource:
        """Opens it for a run.

        Args:
            run: the id of the run.
            can_wait: whether what it asks people may be answered later.
            hear: who hears how it fares.
            conversation: the one that the run is part of, with its graph; "": none.
        """


class Sources:
    """The sources of one run."""

    __slots__ = ("callers", "graph", "opened")

    def __init__(self, graph: str, callers: Sequence[Caller]) -> None:
        self.graph = graph
        self.callers = callers
        self.opened: list[tuple[AnyNode, OpenSource]] = []

    async def open(
        self,
        run: str,
        *,
        can_wait: bool = False,
        tell: Callable[[NewsMaker], None] | None = None,
        conversation: str = "",
    ) -> None:
        """Opens each source once, all at the same time, and refuses names that clash.

        Args:
            run: the id of the run.
            can_wait: whether what they ask people may be answered later.
            tell: tells the run how they fare, in the thread of its loop.
            conversation: the one that the run is part of, with its graph; "": none.

        Raises:
            ServerFailed: one could not be opened.
            GraphError: a caller can reach two nodes of one name.
        """
        loop = asyncio.get_running_loop()
        sources = self._distinct()
        hear = None if tell is None else _crossing_to(loop, tell)
        tasks = [
            loop.create_task(
                cast("SourceNode", source).open(
                    run, can_wait=can_wait, hear=hear, conversation=conversation
                )
            )
            for source in sources
        ]
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            raise
        finally:
            # Those that are open have to be closed, even if another one has failed.
            for source, task in zip(sources, tasks, strict=True):
                if _has_answered(task):
                    self.opened.append((source, task.result()))
        for task in tasks:
            task.result()
        self._check_names()

    def _distinct(self) -> list[AnyNode]:
        """Each source once; the same server may stand in many calls."""
        sources: list[AnyNode] = []
        for _, callees, _ in self.callers:
            for node in callees:
                if node.source and node not in sources:
                    sources.append(node)
        return sources

    def expanded(self, callees: tuple[AnyNode, ...]) -> tuple[AnyNode, ...]:
        """The callees, each source replaced by what it offers now.

        A name stands for the first that has it: what a server adds later takes no other's place.
        """
        # Most callers have no server at all, and this is asked at each call.
        if not any(callee.source for callee in callees):
            return callees
        nodes: dict[str, AnyNode] = {}
        for callee in callees:
            for node in self._behind(callee):
                nodes.setdefault(node.name, node)
        return tuple(nodes.values())

    def _behind(self, callee: AnyNode) -> Iterable[AnyNode]:
        """What a callee stands for: itself, or what a source offers."""
        if not callee.source:
            return (callee,)
        for known, opened in self.opened:
            if known == callee:
                return opened.nodes
        return ()

    def _check_names(self) -> None:
        problems: dict[str, None] = {}
        for caller, callees, tools in self.callers:
            names = dict.fromkeys(tools, "its hand-overs")
            for callee in callees:
                for node in self._behind(callee):
                    other = names.get(node.name)
                    if other is not None:
                        problems[_clash(caller, node, other, callee)] = None
                    names.setdefault(node.name, repr(callee.name))
        if problems:
            raise GraphError(self.graph, list(problems))

    async def close(self) -> None:
        """Closes what belongs to this run only."""
        for _, opened in self.opened:
            await opened.close()


def _crossing_to(loop: asyncio.AbstractEventLoop, tell: Hear) -> Hear:
    """Tells in the thread of a loop, whoever hears something first: a server of the process has a thread of its own."""
    thread = get_ident()

    def hear(make: NewsMaker) -> None:
        if get_ident() == thread:
            tell(make)
            return
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, make)

    return hear


def _has_answered(task: asyncio.Task[OpenSource]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _clash(caller: str, node: AnyNode, other: str, callee: AnyNode) -> str:
    return (
        f"{caller!r} can reach two nodes named {node.name!r} (of {other} and {callee.name!r}); "
        "give one server a prefix, or exclude the tool"
    )
