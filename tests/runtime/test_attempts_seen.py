"""What a node sees of its own attempt: its number, and whether the walk has given it up."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from graphflow import END, START, Agent, Context, Graph, Limits, Retry, Store, node, tool
from graphflow.errors import LimitExceeded, ToolError
from graphflow.testing import ScriptedModel, both, calls, says
from tests.conftest import walk
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("jumping_clock")


def test_the_first_attempt_is_one() -> None:
    @node
    async def look(n: int, ctx: Context) -> int:
        return ctx.attempt

    assert walk(Graph("g", START >> look >> END), 0).output == 1


@pytest.mark.parametrize("plain", [True, False])
def test_each_attempt_has_its_number(plain: bool) -> None:
    seen: list[int] = []

    @node(retry=Retry(3, wait_s=0))
    async def look(n: int, ctx: Context) -> int:
        seen.append(ctx.attempt)
        if ctx.attempt < 3:
            raise OSError("busy")
        return ctx.attempt

    assert walk(Graph("g", START >> look >> END), 0, plain=plain).output == 3
    assert seen == [1, 2, 3]


def test_calls_of_one_turn_count_their_attempts_apart() -> None:
    @tool(retry=Retry(2, wait_s=0))
    async def search(word: str, ctx: Context) -> str:
        """Search."""
        if word == "b" and ctx.attempt == 1:
            raise ToolError("busy")
        return f"{word}{ctx.attempt}"

    model = ScriptedModel(both(calls("search", word="a"), calls("search", word="b")), says("ok"))
    Agent("clerk", tools=[search], model=model).run_sync("go")
    results = [result.content for result in model.requests[-1].turns[-1].results]
    assert results == ["a1", "b2"]


async def _cut(store: Store, graph: Graph[int, int]) -> None:
    with pytest.raises(LimitExceeded):
        await graph.run(1, store=store, id="one", limits=Limits(steps=1))


def test_a_run_that_goes_on_counts_from_one_where_nothing_was_tried() -> None:
    import asyncio

    @node
    async def first(n: int) -> int:
        return n

    @node(retry=Retry(2, wait_s=0))
    async def second(n: int, ctx: Context) -> int:
        assert ctx.run_id == "one"
        return ctx.attempt

    graph = Graph("g", START >> first >> second >> END)

    async def main() -> int:
        store = Store.open("memory:")
        await _cut(store, graph)
        return (await graph.resume("one", store=store, limits=Limits(steps=5))).output

    assert asyncio.run(main()) == 1


def test_a_plain_function_sees_that_it_was_given_up() -> None:
    ended = threading.Event()

    @node
    def work(n: int, ctx: Context) -> int:
        assert not ctx.stopped
        until(lambda: ctx.stopped)
        ended.set()
        return n

    run = walk(Graph("g", START >> work >> END), 1, limits=Limits(seconds=0.05))
    assert run.status == "limited"
    assert ended.wait(60)


def test_only_the_attempt_that_took_too_long_is_given_up() -> None:
    seen: list[tuple[int, bool]] = []
    ended = threading.Event()

    @node(timeout_s=0.05, retry=Retry(2, wait_s=0))
    def work(n: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            until(lambda: ctx.stopped)
            ended.set()
        seen.append((ctx.attempt, ctx.stopped))
        return ctx.attempt

    assert walk(Graph("g", START >> work >> END), 1).output == 2
    assert ended.wait(60)
    until(lambda: len(seen) == 2)
    assert set(seen) == {(1, True), (2, False)}


def test_a_tool_that_yields_pieces_sees_it_too() -> None:
    ended = threading.Event()

    @tool(timeout_s=0.05)
    def pieces(ctx: Context) -> Iterator[str]:
        """Pieces."""
        yield "a"
        until(lambda: ctx.stopped)
        ended.set()
        yield "b"

    model = ScriptedModel(calls("pieces"), says("ok"))
    Agent("clerk", tools=[pieces], model=model).run_sync("go")
    assert ended.wait(60)


def test_who_has_answered_was_not_given_up() -> None:
    kept: list[Context] = []

    @node
    def work(n: int, ctx: Context) -> int:
        kept.append(ctx)
        return n

    walk(Graph("g", START >> work >> END), 1)
    assert not kept[0].stopped
