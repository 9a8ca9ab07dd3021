"""`run_sync` and the loop that runs around it: others go on where that can be had, and it is said where it cannot."""

from __future__ import annotations

import asyncio
import threading
import warnings

import pytest

from graphflow import END, START, Graph, node
from tests.conftest import walk


@node
async def double(n: int) -> int:
    return 2 * n


inner = Graph("inner", START >> double >> END)


def test_a_plain_node_that_calls_it_stops_nobody() -> None:
    """The inner walk ends only when a sibling of the plain node has been activated meanwhile."""
    met = threading.Event()

    @node
    async def waits(n: int) -> int:
        met.set()
        return n

    @node
    def until_met(n: int) -> int:
        assert met.wait(60)
        return n

    slow_graph = Graph("slow", START >> until_met >> END)

    @node
    def plain(n: int) -> int:
        return slow_graph.run_sync(n).output

    @node
    async def add(a: int, b: int) -> int:
        return a + b

    graph = Graph("g", START >> plain >> add.into("a") >> END, START >> waits >> add.into("b"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert walk(graph, 3).output == 6


def test_it_says_that_others_stand_still() -> None:
    async def main() -> tuple[int, bool]:
        seen = asyncio.Event()

        async def other() -> None:
            seen.set()

        task = asyncio.get_running_loop().create_task(other())
        with pytest.warns(
            RuntimeWarning, match=r"1 of its tasks stand still.*await graph.run"
        ) as said:
            output = inner.run_sync(4).output
        assert said[0].filename == __file__
        still = not seen.is_set()
        await task
        return output, still

    assert asyncio.run(main()) == (8, True)


def test_an_async_node_of_a_fork_is_told() -> None:
    @node
    async def blocking(n: int) -> int:
        return inner.run_sync(n).output

    @node
    async def other(n: int) -> str:
        return "x" * n

    @node
    async def both(a: int, b: str) -> int:
        return a + len(b)

    with pytest.warns(RuntimeWarning, match="stand still"):
        assert walk(Graph("g", START >> (blocking, other) >> both >> END), 2).output == 6


def test_where_nobody_waits_nothing_is_said() -> None:
    @node
    async def alone(n: int) -> int:
        return inner.run_sync(n).output

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inner.run_sync(1).output == 2
        assert walk(Graph("g", START >> alone >> END), 2).output == 4
