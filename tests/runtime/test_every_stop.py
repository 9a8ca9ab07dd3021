"""A run that is cancelled or limited anywhere, and resumed, comes to what it would have come to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from graphflow import Graph, Limits
from graphflow.journal.store import Ownership
from graphflow.journal.stored import StoredRow
from graphflow.journal.stores.memory import MemoryStore
from graphflow.run import Run
from tests.agent_shapes import agent_graph, answer
from tests.conftest import Msg


class StoppingStore(MemoryStore):
    """Cancels a run when so many rows are kept."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.left = rows
        self.run: Run[Any] | None = None

    def _append(
        self,
        ownership: Ownership,
        first: int,
        rows: Sequence[StoredRow],
        large: Mapping[str, bytes],
    ) -> asyncio.Future[None]:
        self.left -= len(rows)
        run = self.run
        if run is not None and self.left <= 0:
            self.run = None
            run.cancel()
        return super()._append(ownership, first, rows, large)


async def settled(
    graph: Graph[Any, Any], store: MemoryStore, seed: int, **options: Any
) -> Run[Any]:
    """The run, when it has ended; its questions are answered."""
    while True:
        run = graph.start(Msg(n=seed % 7), store=store, id="x", **options)
        if isinstance(store, StoppingStore) and store.left > 0:
            store.run = run
        await run.settled()
        if run.status != "waiting":
            return run
        for question in run.pending:
            await run.answer(question.id, answer(question))


def outcome(run: Run[Any]) -> tuple[Any, ...]:
    used = run.usage
    assert used.usd is not None
    return (
        run.status,
        run.output,
        used.steps,
        used.tool_calls,
        used.model_calls,
        used.tokens,
        round(used.usd, 6),
    )


@pytest.mark.parametrize("seed", [0, 1, 13, 17, 20, 30, 37])
def test_a_run_that_is_cancelled_anywhere_is_resumed_to_the_same_end(seed: int) -> None:
    async def main() -> None:
        graph = agent_graph(seed)
        store = MemoryStore()
        whole = outcome(await settled(graph, store, seed))
        rows = (await store.header("x")).rows
        for at in range(2, rows, max(1, rows // 12)):
            stopping = StoppingStore(at)
            await settled(graph, stopping, seed)
            assert outcome(await settled(graph, stopping, seed)) == whole

    asyncio.run(main())


@pytest.mark.parametrize("seed", [0, 1, 13, 17, 20, 30, 37])
@pytest.mark.parametrize("limit", ["steps", "model_calls"])
def test_a_run_that_is_limited_anywhere_goes_on_when_the_limit_is_raised(
    seed: int, limit: str
) -> None:
    async def main() -> None:
        graph = agent_graph(seed)
        run = await settled(graph, MemoryStore(), seed)
        whole = outcome(run)
        most = getattr(run.usage, limit)
        for value in range(1, most, max(1, most // 8)):
            store = MemoryStore()
            limits: Any = Limits(**{limit: value})
            assert (await settled(graph, store, seed, limits=limits)).status == "limited"
            assert outcome(await settled(graph, store, seed, limits=Limits())) == whole

    asyncio.run(main())
