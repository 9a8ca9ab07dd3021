"""A witness: it sees what nodes and models are really asked, whatever the record of a run tells, and takes its time.

While it looks, nodes that may act on the world and models pass through it; each waits some turns of the event loop first, a
different number for each seed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

from graphflow.declaration.node import AnyNode
from graphflow.model.seam import Model, Request
from graphflow.proofs.program import acts
from graphflow.proofs.proven import AnyGraph, ProvenGraph

MOST_TURNS = 4
"""Turns of the event loop that something waits at most before it begins."""


class Witness:
    """Looks at one run.

    Args:
        graph: what is run.
        model: for agents that name none.
        seed: which order things get.
    """

    def __init__(self, graph: AnyGraph, model: Model | None, seed: int) -> None:
        self.begun: Counter[str] = Counter()
        """How often each node and each model has begun its work."""
        self._random = random.Random(seed)
        self._seen: list[tuple[Any, str]] = []
        self._nodes = list(_nodes_of(graph))
        named = [node.model for node in self._nodes]
        self._models: dict[int, Model] = {}
        for each in (model, *named, graph.model):
            # What is named by a string is opened by the run, and seen by nobody.
            if each is not None and not isinstance(each, str):
                self._models[id(each)] = each

    def __enter__(self) -> Self:
        for node in self._nodes:
            if acts(node):
                self._watch(node, "activate", self._activation(node))
        for model in self._models.values():
            self._watch(model, "stream", self._answer(model))
        return self

    def __exit__(self, *_: object) -> None:
        for watched, name in self._seen:
            del watched.__dict__[name]

    def _watch(self, watched: Any, name: str, seen: Any) -> None:
        # Else only the record tells.
        if hasattr(watched, "__dict__") and name not in watched.__dict__:
            watched.__dict__[name] = seen
            self._seen.append((watched, name))

    def _activation(self, node: AnyNode) -> Any:
        real = node.activate

        async def activate(inputs: Any, ctx: Any) -> Any:
            name = f"node {node.name!r}"
            self.begun[name] += 1
            await self._wait()
            return await real(inputs, ctx)

        return activate

    def _answer(self, model: Model) -> Any:
        real = model.stream

        async def stream(request: Request) -> AsyncIterator[Any]:
            name = f"model {model.name!r}"
            self.begun[name] += 1
            await self._wait()
            async for event in real(request):
                yield event

        return stream

    async def _wait(self) -> None:
        turns = self._random.randrange(MOST_TURNS + 1)
        for _ in range(turns):
            await asyncio.sleep(0)


def _nodes_of(graph: AnyGraph) -> Iterable[AnyNode]:
    """All nodes of a graph, and of those within: on arrows, and along call edges."""
    seen: dict[int, AnyNode] = {}
    todo: list[AnyNode] = [graph]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        target, _ = node.entry()
        if target is not node:
            todo.append(target)
        if isinstance(node, ProvenGraph):
            program = node.program
            todo += program.nodes_by_name.values()
            for callees in program.callees.values():
                todo += callees
    return seen.values()
