"""What is kept with a run is kept with its record: cached answers, artifacts, what plain functions say from their threads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphflow import END, START, Context, Graph, node, tool
from graphflow.events import CacheHit, Emitted
from graphflow.journal.stores.memory import MemoryStore

asked: list[int] = []


@tool(effects=["reads"], cache=True)
async def price(n: int) -> int:
    """The price of something."""
    asked.append(n)
    return n * 10


def test_a_cached_answer_of_a_frame_that_was_left_is_not_asked_for_after_a_resume() -> None:
    async def main() -> None:
        asked.clear()
        store = MemoryStore()
        started = asyncio.Event()
        release = asyncio.Event()

        @node(effects=[], calls=[price])
        async def first(n: int, ctx: Context) -> int:
            return await ctx.call(price, {"n": n})

        @node(effects=[])
        async def between(n: int) -> int:
            started.set()
            await release.wait()
            return n

        @node(effects=[], calls=[price])
        async def second(n: int, ctx: Context) -> int:
            return n + await ctx.call(price, {"n": 3})

        inner = Graph("inner", START >> first >> END, input=int)
        graph = Graph("shop", START >> inner >> between >> second >> END, input=int)
        run = graph.start(3, store=store, id="x")
        await started.wait()
        run.cancel()
        await run.settled()
        assert asked == [3]
        release.set()
        resumed = await graph.resume("x", store=store)
        assert resumed.output == 60
        assert asked == [3]
        assert [event.node for event in resumed.events if isinstance(event, CacheHit)] == ["price"]

    asyncio.run(main())


@pytest.mark.parametrize("payload", ["words", b"\xff\x00 bytes", "x" * 100_000])
def test_an_artifact_comes_back_with_its_bytes(payload: str | bytes) -> None:
    @node(effects=[])
    def keeps(n: int, ctx: Context) -> int:
        ctx.keep("a", payload)
        ctx.keep("b", payload)
        ctx.emit("kept", n)
        return n

    async def main() -> None:
        graph = Graph("g", START >> keeps >> END)
        store = MemoryStore()
        run = await graph.run(1, store=store)
        loaded: Any = await store.load(run.id, graph)
        assert [artifact.name for artifact in loaded.artifacts] == ["a", "b"]
        expected = payload if isinstance(payload, bytes) else payload.encode()
        assert loaded.payload(loaded.artifacts[1]) == expected
        assert [event.value for event in loaded.events if isinstance(event, Emitted)] == [1]

    asyncio.run(main())
