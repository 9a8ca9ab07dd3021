"""What the tests of waiting share: runs in a store on the disk, that another store object opens again after each sitting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from graphflow import Graph, Run, Store
from graphflow.journal.question import Question

T = TypeVar("T")


class Draft(BaseModel, frozen=True):
    text: str


class Approved(BaseModel, frozen=True):
    text: str


class Rejected(BaseModel, frozen=True):
    why: str


class Desk:
    """A store of which nothing stays in memory between two uses: as if each came from a process of its own."""

    def __init__(self, path: Path) -> None:
        self.address = f"sqlite:{path}"

    def use(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """What some work with the store gives, in an event loop of its own."""

        async def main() -> T:
            async with Store.open(self.address) as store:
                return await work(store)

        return asyncio.run(main())

    def run(self, graph: Graph[Any, Any], message: Any, id: str = "r", **options: Any) -> Run[Any]:
        """The first sitting of a run."""
        return self.use(lambda store: _settled(graph.run(message, store=store, id=id, **options)))

    def resume(self, graph: Graph[Any, Any], id: str = "r", **options: Any) -> Run[Any]:
        """The next one."""
        return self.use(lambda store: _settled(graph.resume(id, store=store, **options)))

    def answer(self, question: str, value: Any, id: str = "r", **options: Any) -> Any:
        """Answers a question of a run that nobody works on."""
        return self.use(lambda store: store.answer(id, question, value, **options))

    def send(self, node: str, message: Any, id: str = "r", **options: Any) -> Any:
        """Sends a message."""
        return self.use(lambda store: store.send(id, node, message, **options))

    def pending(self, id: str = "r") -> list[Question]:
        """What a run waits for, as somebody sees who has only the store."""

        async def look(store: Store) -> list[Question]:
            run: Run[Any] = await store.load(id)
            return run.pending

        return self.use(look)


async def _settled(running: Coroutine[Any, Any, Run[Any]]) -> Run[Any]:
    run = await running
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()
    return run
