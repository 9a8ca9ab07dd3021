"""Plain functions in threads: not too many of them, none that waits for itself, none that holds what it was given."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Limits, node, tool
from graphflow import concurrency as pools
from graphflow.errors import NodeTimeout
from graphflow.events import NodeAbandoned, ToolPartial
from graphflow.testing import ScriptedModel, both, calls
from tests.clock import block
from tests.conftest import heard, kinds, walk


@node
async def numbers(count: int) -> list[int]:
    return list(range(count))


@node
async def total(found: list[int]) -> int:
    return sum(found)


def mapped(each: Any) -> Graph[int, int]:
    return Graph("many", START >> numbers, numbers.each >> each >> total >> END)


class Counting:
    """How many are inside at a time, and were at most."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *args: object) -> None:
        with self.lock:
            self.now -= 1


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """A pool of two threads, of this test alone."""
    monkeypatch.setattr(pools, "MAX_THREADS", 2)
    monkeypatch.setattr(pools, "_pools", {})
    return 2


# -- bounded ---------------------------------------------------------------------------------------
def test_a_map_of_thousands_runs_in_a_bounded_number_of_threads() -> None:
    counting, before = Counting(), threading.active_count()
    seen: set[int] = set()

    @node
    def slow(n: int) -> int:
        with counting:
            seen.add(threading.get_ident())
            threading.Event().wait(0.001)
        return n

    assert walk(mapped(slow), 2000).output == sum(range(2000))
    assert counting.most <= pools.MAX_THREADS
    assert threading.active_count() <= before + pools.MAX_THREADS


def nested(depth: int) -> Graph[int, int]:
    """A map of plain nodes each of which walks such a graph itself, and waits for it."""

    @node
    def leaf(n: int) -> int:
        return n

    if not depth:
        return mapped(leaf)
    inner = nested(depth - 1)

    @node
    def deeper(n: int) -> int:
        return inner.run_sync(3).output

    return mapped(deeper)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_plain_nodes_that_walk_graphs_do_not_wait_for_each_other(depth: int, few: int) -> None:
    """More of them than there are threads: each holds one and needs another."""
    assert walk(nested(depth), 3, limits=Limits(seconds=60)).output == 3**depth * 3


def test_a_plain_node_may_wait_for_the_loop_that_it_came_from(few: int) -> None:
    """Handed to the loop of its own walk, the inner graph needs threads while all of the outer ones wait."""

    @node
    def leaf(n: int) -> int:
        return n

    inner = Graph("inner", START >> leaf >> END)
    loops: list[asyncio.AbstractEventLoop] = []

    @node
    async def begin(n: int) -> int:
        loops.append(asyncio.get_running_loop())
        return n

    @node
    def waits(n: int) -> int:
        return asyncio.run_coroutine_threadsafe(inner.run(n), loops[0]).result().output

    graph = Graph("many", START >> begin >> numbers, numbers.each >> waits >> total >> END)
    assert walk(graph, 6, limits=Limits(seconds=60)).output == 15


def test_hooks_that_wait_for_people_do_not_hold_up_functions(few: int) -> None:
    worked = threading.Event()

    @tool(approval=True)
    def careful(n: int) -> int:
        """Careful."""
        return n

    @tool
    def work() -> str:
        """Work."""
        worked.set()
        return "done"

    def approve(use: Any) -> bool:
        return worked.wait(30)

    turn = both(*(calls("careful", n=n) for n in range(2)), calls("work"))
    agent = Agent("a", input=str, tools=[careful, work])
    run = walk(
        Graph("g", START >> agent >> END), "x", model=ScriptedModel(turn, "end"), approve=approve
    )
    assert run.output == "end"
    assert worked.is_set()


# -- left behind, and waiting ----------------------------------------------------------------------
def test_functions_that_hang_take_no_thread_from_others(few: int) -> None:
    free = threading.Event()

    @node(timeout_s=0.05)
    def hangs(n: int) -> int:
        free.wait(30)
        return n

    @node
    def works(n: int) -> int:
        return n

    try:
        for _ in range(3):
            run = walk(Graph("g", START >> hangs >> END), 1)
            assert isinstance(run.error, NodeTimeout)
            assert [e.node for e in run.events if isinstance(e, NodeAbandoned)] == ["hangs"]
        assert walk(mapped(works), 5, limits=Limits(seconds=30)).output == 10
    finally:
        free.set()


def test_time_in_the_queue_is_not_the_nodes(few: int) -> None:
    """Each takes 20 seconds of two threads, by the clock of the loop; the last ones begin long after the limit."""
    loops: list[asyncio.AbstractEventLoop] = []
    pair = threading.Barrier(few)

    @node
    async def numbers(n: int) -> list[int]:
        loops.append(asyncio.get_running_loop())
        return list(range(n))

    @node(timeout_s=100)
    def slow(n: int) -> int:
        # Both threads keep in step: no starved one is charged for what the other does meanwhile.
        pair.wait(60)
        asyncio.run_coroutine_threadsafe(pass_time(), loops[0]).result(60)
        pair.wait(60)
        return n

    async def pass_time() -> None:
        block(20)

    graph = Graph("g", START >> numbers, numbers.each >> slow >> total >> END)
    assert walk(graph, 40).output == sum(range(40))


def test_what_waits_in_the_queue_can_be_cancelled_and_never_begins(few: int) -> None:
    begun: list[int] = []
    free = threading.Event()
    full = asyncio.Event()

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()

        @node
        def slow(n: int) -> int:
            begun.append(n)
            if len(begun) == few:
                loop.call_soon_threadsafe(full.set)
            free.wait(30)
            return n

        run = mapped(slow).start(10)
        await full.wait()
        run.cancel()
        await run.settled()
        return kinds(run)

    try:
        assert asyncio.run(main()).count("node.abandoned") == few
        assert len(begun) == few
    finally:
        free.set()


def test_an_idle_thread_holds_nothing() -> None:
    class Held:
        pass

    def of(held: Held) -> Callable[[], weakref.ref[Held]]:
        def function() -> weakref.ref[Held]:
            return weakref.ref(held)

        return function

    async def main() -> weakref.ref[Held]:
        return await pools.in_thread(of(Held()))

    ref = asyncio.run(main())
    for _ in range(100):
        gc.collect()
        if ref() is None:
            return
        threading.Event().wait(0.01)  # the thread has told its answer, and goes to wait for more
    raise AssertionError("the thread still holds its last function")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_threads_of_its_own() -> None:
    code = """
import os
from graphflow import END, START, Graph, node
@node
def plain(n: int) -> int: return n + 1
graph = Graph("g", START >> plain >> END)
assert graph.run_sync(1).output == 2
child = os.fork()
if not child:
    os._exit(graph.run_sync(2).output)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_a_function_that_hangs_does_not_keep_the_process_alive() -> None:
    code = """
import threading
from graphflow import END, START, Graph, node
@node(timeout_s=0.05)
def hangs(n: int) -> int: threading.Event().wait(); return n
try: Graph("g", START >> hangs >> END).run_sync(1)
except TimeoutError: print("late")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "late\n"


# -- generators ------------------------------------------------------------------------------------
mark: contextvars.ContextVar[int] = contextvars.ContextVar("mark", default=0)


def stream(each: Any, **options: Any) -> Any:
    model = ScriptedModel(calls(each.name), "end")
    agent = Agent("a", input=str, tools=[each])
    return walk(Graph("g", START >> agent >> END), "x", model=model, observed=True, **options)


def test_a_plain_generator_has_one_thread_and_one_context() -> None:
    seen: list[tuple[int, int]] = []

    @tool
    def count() -> Iterator[int]:
        """Count."""
        try:
            for n in range(5):
                seen.append((threading.get_ident(), mark.get()))
                mark.set(n + 1)
                yield n
        finally:
            seen.append((threading.get_ident(), mark.get()))

    run = stream(count)
    assert [e.piece for e in heard(run) if isinstance(e, ToolPartial)] == [0, 1, 2, 3, 4]
    assert [value for _, value in seen] == [0, 1, 2, 3, 4, 5]
    assert {thread for thread, _ in seen} == {seen[0][0]}
    assert seen[0][0] != threading.get_ident()


def test_a_generator_makes_no_piece_before_it_is_wanted_and_is_closed_in_its_thread() -> None:
    made: list[int] = []
    closed: list[int] = []

    def count() -> Iterator[int]:
        try:
            for n in range(100):
                made.append(threading.get_ident())
                yield n
        finally:
            closed.append(threading.get_ident())

    async def main() -> list[int]:
        found = []
        pieces = pools.iterated_in_thread(count)
        async for piece in pieces:
            found.append(piece)
            if piece == 2:
                break
        await pieces.aclose()
        return found

    assert asyncio.run(main()) == [0, 1, 2]
    assert len(made) == 3
    assert closed == made[:1]


def test_a_generator_that_raises_is_the_tools_failure() -> None:
    @tool
    def breaks() -> Iterator[int]:
        """Break."""
        yield 1
        raise ValueError("no more")

    run = stream(breaks)
    assert [str(failed.error) for failed in run.failures] == ["no more"]


def test_a_generator_that_is_stopped_while_it_works_is_left_behind_and_closes_itself() -> None:
    free, closed = threading.Event(), threading.Event()

    @tool(timeout_s=0.05)
    def hangs() -> Iterator[int]:
        """Hang."""
        try:
            yield 1
            free.wait(30)
            yield 2
        finally:
            closed.set()

    run = stream(hangs)
    assert kinds(run).count("node.abandoned") == 1
    assert not closed.is_set()
    free.set()
    assert closed.wait(30)


def test_run_sync_inside_a_running_loop_sees_the_callers_context() -> None:
    @node
    async def look(n: int) -> int:
        seen = mark.get()
        mark.set(99)
        return seen

    graph = Graph("g", START >> look >> END)

    async def main() -> tuple[int, int]:
        mark.set(7)
        return graph.run_sync(1).output, mark.get()

    assert asyncio.run(main()) == (7, 7)
