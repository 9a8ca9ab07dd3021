"""Servers that the process keeps (`scope="process"`): one of each, whatever event loops and threads call it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, MCP, START, Context, Graph, node
from graphflow.errors import ServerFailed
from graphflow.events import ToolPartial
from graphflow.journal.store import Store
from graphflow.journal.stores.memory import MemoryStore
from graphflow.mcp import Elicitation, close_kept
from graphflow.testing import ScriptedModel, both, calls
from tests.leftovers import alive, children
from tests.mcp.servers import TOKEN, dynamic, over_http
from tests.mcp.test_servers import graph_of, results
from tests.waiting import until

pytest.importorskip("mcp")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    before = children()
    yield
    asyncio.run(close_kept())
    until(lambda: children() == before)
    until(lambda: "graphflow:mcp-servers" not in {thread.name for thread in threading.enumerate()})


def kept(*flags: str, **options: Any) -> MCP:
    return MCP("dynamic", dynamic(*flags), scope="process", **options)


def who(server: MCP) -> str:
    """The process that answers, asked on a loop of its own."""
    model = ScriptedModel(calls("whoami"), "done")
    graph_of(server).run_sync("go", model=model)
    [result] = results(model)
    assert result.ok, result.text
    return result.text.split()[0]


def test_loops_one_after_the_other_have_the_same_server() -> None:
    assert len({who(kept()) for _ in range(3)}) == 1


def test_loops_of_several_threads_have_the_same_server_at_the_same_time() -> None:
    barrier = threading.Barrier(4)

    def ask(number: int) -> list[str]:
        barrier.wait(60)
        return [who(kept()) for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        answers = [pid for pids in pool.map(ask, range(4)) for pid in pids]
    assert len(answers) == 12
    assert len(set(answers)) == 1


def test_a_walk_inside_a_walk_on_another_loop_has_it_too() -> None:
    @node(calls=[kept()])
    async def outer(text: str, ctx: Context) -> str:
        mine = (await ctx.call("whoami", {})).split()[0]
        return f"{mine} {await asyncio.to_thread(who, kept())}"

    async def main() -> str:
        return (await Graph("g", START >> outer >> END).run("x")).output

    one, other = asyncio.run(main()).split()
    assert one == other


def test_over_http_as_well() -> None:
    with over_http() as url:
        server = MCP("far", url, token=TOKEN, scope="process")
        for _ in range(2):
            model = ScriptedModel(both(calls("ask", q="why"), calls("ask", q="how")), "done")
            graph_of(server).run_sync("go", model=model)
            assert [result.ok for result in results(model)] == [True, True]
        asyncio.run(close_kept())


def test_a_loop_that_ends_in_the_middle_of_a_call_takes_nothing_with_it() -> None:
    async def leave() -> None:
        run = graph_of(kept()).start("go", model=ScriptedModel(calls("slow", seconds=30), "done"))
        async for event in run:
            if event.kind == "call.start":
                break
        run.cancel()
        await run.settled()

    before = who(kept())
    asyncio.run(leave())
    assert who(kept()) == before


def test_a_time_limit_on_one_loop_does_not_stop_another() -> None:
    @node(calls=[kept()])
    async def hasty(text: str, ctx: Context) -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await ctx.call("slow", {"seconds": 30})
        return "gave up"

    server = kept()
    first = who(server)
    assert Graph("g", START >> hasty >> END).run_sync("x").output == "gave up"
    assert who(server) == first


def test_progress_is_told_on_the_callers_loop() -> None:
    model = ScriptedModel(calls("slow", seconds=0.1), "done")

    async def main() -> list[Any]:
        run = graph_of(kept()).start("go", model=model)
        return [event async for event in run]

    for _ in range(2):
        model.left = [*ScriptedModel(calls("slow", seconds=0.1), "done").left]
        assert [event for event in asyncio.run(main()) if isinstance(event, ToolPartial)]


def test_a_person_is_asked_on_the_callers_loop() -> None:
    asked_on: list[asyncio.AbstractEventLoop] = []

    async def ask(name: str, question: Elicitation) -> dict[str, Any]:
        asked_on.append(asyncio.get_running_loop())
        return {"name": "Ida"}

    async def main() -> asyncio.AbstractEventLoop:
        model = ScriptedModel(calls("person"), "done")
        await graph_of(kept(ask=ask)).run("go", model=model)
        assert results(model)[0].ok, results(model)[0].text
        return asyncio.get_running_loop()

    loops = [asyncio.run(main()) for _ in range(2)]
    assert asked_on == loops


def test_a_server_that_was_killed_is_opened_again_for_all_loops() -> None:
    first = who(kept())
    os.kill(int(first), signal.SIGKILL)
    until(lambda: not alive(int(first)))
    # Whoever finds out that it is gone may fail with it; the next call opens it again.
    with suppress(AssertionError):
        who(kept())
    again = {who(kept()) for _ in range(2)}
    assert len(again) == 1
    assert first not in again


def test_closing_ends_it_and_the_next_run_opens_another() -> None:
    first = who(kept())
    asyncio.run(close_kept())
    assert int(first) not in children()
    asyncio.run(close_kept())  # there is nothing to close, and that is fine
    assert who(kept()) != first


# -- one for each conversation ---------------------------------------------------------------------
def who_in(server: MCP, conversation: str, store: Store) -> str:
    """The process that answers in a conversation."""
    model = ScriptedModel(calls("whoami"), "done")
    graph_of(server).run_sync("go", model=model, store=store, conversation=conversation)
    *_, result = results(model)  # behind those of earlier runs
    assert result.ok, result.text
    return result.text.split()[0]


def test_each_conversation_has_a_server_for_itself() -> None:
    store = MemoryStore()
    server = MCP("dynamic", dynamic(), scope="conversation")
    ann = {who_in(server, "ann", store) for _ in range(2)}
    bob = {who_in(server, "bob", store) for _ in range(2)}
    assert len(ann) == len(bob) == 1
    assert ann != bob
    # A run in no conversation has one as long as it lasts.
    alone = int(who(server))
    until(lambda: not alive(alone))


def test_one_that_nobody_uses_is_closed_after_a_while_and_opened_again() -> None:
    store = MemoryStore()
    server = MCP("dynamic", dynamic(), scope="conversation", idle_s=0.2)
    first = who_in(server, "ann", store)
    until(lambda: not alive(int(first)))
    assert who_in(server, "ann", store) != first
    shared = kept(idle_s=0.2)
    first = who(shared)
    until(lambda: not alive(int(first)))
    assert who(shared) != first


def test_one_that_is_used_is_not_idle() -> None:
    server = kept(idle_s=0.1)

    @node(calls=[server])
    async def slow(text: str, ctx: Context) -> str:
        first = await ctx.call("whoami", {})
        await ctx.call("slow", {"seconds": 0.5})
        return f"{first.split()[0]} {(await ctx.call('whoami', {})).split()[0]}"

    who(server)
    one, other = Graph("g", START >> slow >> END).run_sync("x").output.split()
    assert one == other


def test_no_more_than_so_many_are_open() -> None:
    store = MemoryStore()
    server = MCP("dynamic", dynamic(), scope="conversation", max_open=1)
    ann = who_in(server, "ann", store)

    async def both_at_once() -> None:
        held = asyncio.Event()

        @node(calls=[server])
        async def holds(text: str, ctx: Context) -> str:
            held.set()
            await asyncio.sleep(3_600)
            return text

        graph = Graph("g", START >> holds >> END)
        run = graph.start("x", store=store, conversation="bob")
        await held.wait()
        # The one that was idle has made room; this one is used.
        await asyncio.to_thread(until, lambda: not alive(int(ann)))
        with pytest.raises(
            ServerFailed, match="1 conversations use it at the moment, and max_open=1"
        ):
            await graph.run("x", store=store, conversation="eve")
        run.cancel()
        await run.settled()

    asyncio.run(both_at_once())


PROGRAM = """
import sys
from graphflow import END, MCP, START, Agent, Graph
from graphflow.testing import ScriptedModel, calls
from tests.mcp.servers import dynamic
from tests.mcp.test_servers import results
model = ScriptedModel(calls("whoami"), "done")
server = MCP("dynamic", dynamic(), scope="process")
Graph("g", START >> Agent("a", input=str, mcp=[server]) >> END).run_sync("go", model=model)
print(results(model)[0].text.split()[0])
"""


def test_the_end_of_the_process_is_its_end() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    until(lambda: not alive(int(done.stdout)))
