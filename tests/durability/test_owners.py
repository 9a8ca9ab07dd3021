"""Who owns a run: one at a time, until its lease is over; who has lost it stops, and says so."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Context, Failure, Graph, Retry, node, tool
from graphflow.errors import LeaseLost, RunOwned
from graphflow.journal.store import Store
from graphflow.journal.stores import memory, sqlite
from graphflow.run import Run
from graphflow.testing import ScriptedModel, calls, says
from tests.durability.kills import Findings
from tests.durability.office import Clerk, Desk, entries_of, office
from tests.waiting import LONG_S, until

LEASE_S = 0.2


class Sleeper:
    """What the nodes of a run are given: whoever is told to, sleeps with its whole event loop."""

    def __init__(self) -> None:
        self.sleeps = False
        self.asleep = threading.Event()
        self.wake = threading.Event()
        self.done: list[str] = []

    def sleep(self) -> None:
        """Blocks the event loop, as a frozen process does."""
        if self.sleeps:
            self.sleeps = False
            self.asleep.set()
            assert self.wake.wait(LONG_S)


@node(effects=[])
async def first(text: str) -> str:
    return f"{text}!"


@node(effects=["writes"])
async def falls_asleep(text: str, ctx: Context) -> str:
    ctx.deps.done.append("falls asleep")
    ctx.deps.sleep()
    return f"{text}?"


@node(effects=["writes"], retry=Retry(attempts=3, wait_s=0))
async def after(text: str, ctx: Context) -> str:
    ctx.deps.done.append("after")
    return f"{text}."


@node(effects=[])
async def mend(failure: Failure) -> str:
    return "mended"


@node(effects=[])
async def shown(texts: list[str]) -> str:
    return " ".join(texts)


@node(effects=[])
async def parts(text: str) -> list[str]:
    return [text, text * 2]


@tool(effects=["writes"])
async def doze(ctx: Context) -> str:
    """Falls asleep."""
    ctx.deps.done.append("falls asleep")
    ctx.deps.sleep()
    return "awake"


@tool(effects=["writes"])
async def act(ctx: Context) -> str:
    """Does something."""
    ctx.deps.done.append("after")
    return "done"


napper = Agent(
    "napper", input=str, output=str, tools=[doze, act], prompt="{{ text }}", retry=Retry(attempts=3)
)
straight = Graph(
    "straight", START >> first >> falls_asleep >> after >> END, after[Failure] >> mend >> END
)
inner = Graph("inner", START >> falls_asleep >> after >> END, after[Failure] >> mend >> END)
nested = Graph("nested", START >> first >> inner >> END, inner[Failure] >> mend >> END)
spread = Graph("spread", START >> parts, parts.each >> falls_asleep >> after >> shown >> END)
asking = Graph("asking", START >> napper >> END, napper[Failure] >> mend >> END)


def script() -> ScriptedModel:
    return ScriptedModel(calls("doze"), calls("act"), says("well"))


async def adopted(graph: Graph[Any, Any], address: str, sleeper: Sleeper, model: Any) -> Run[Any]:
    """The run, taken over as soon as its lease is over."""
    async with Store.open(address) as store:
        while True:
            try:
                return await graph.resume("x", store=store, deps=sleeper, model=model, lease_s=30)
            except RunOwned as owned:
                assert owned.left_s <= LEASE_S
                assert f"process {os.getpid()} on" in owned.holder
                await asyncio.sleep(owned.left_s)


@pytest.mark.parametrize("graph", [straight, nested, spread, asking], ids=lambda graph: graph.name)
@pytest.mark.parametrize("observed", [False, True])
def test_who_sleeps_for_longer_than_its_lease_stops_when_it_wakes(
    graph: Graph[Any, Any], observed: bool, tmp_path: Path
) -> None:
    address = f"sqlite:{tmp_path / 'runs.db'}"
    sleeper = Sleeper()
    sleeper.sleeps = True
    runs: list[Run[Any]] = []

    async def zombie() -> None:
        async with Store.open(address) as store:
            options: dict[str, Any] = {
                "store": store,
                "id": "x",
                "deps": sleeper,
                "lease_s": LEASE_S,
            }
            try:
                if observed:
                    await graph.start("a", model=script(), **options)
                else:
                    await graph.run("a", model=script(), **options)
            except LeaseLost as lost:
                runs.append(lost.run)
                assert "taken over by somebody else" in str(lost)

    with ThreadPoolExecutor(1) as pool:
        sleeping = pool.submit(asyncio.run, zombie())
        until(sleeper.asleep.is_set)
        run = asyncio.run(
            adopted(graph, address, sleeper, script() if graph is not asking else rest_of_script())
        )
        done = list(sleeper.done)
        sleeper.wake.set()
        sleeping.result(LONG_S)
    assert run.status == "completed"
    assert run.output != "mended"
    assert sleeper.done == done
    (lost,) = runs
    assert lost.status == "failed"
    assert isinstance(lost.error, LeaseLost)
    assert lost.output is None
    calm = ScriptedModel(calls("doze"), calls("act"), says("well"))
    assert run.output == asyncio.run(graph.run("a", deps=sleeper, model=calm)).output
    rows = asyncio.run(kept(address))
    assert len(rows) == len(set(rows))


def rest_of_script() -> ScriptedModel:
    return ScriptedModel(calls("act"), says("well"))


async def kept(address: str) -> list[int]:
    async with Store.open(address) as store:
        return [row.number async for row in store.rows("x")]


# -- a process that is frozen ----------------------------------------------------------------------
FROZEN = """
import asyncio, json, sys
from pathlib import Path
from graphflow.errors import LeaseLost
from graphflow.journal.store import Store
from tests.durability.office import Clerk, Desk, office, order_of

async def main(address, ledger):
    desk = Desk(Path(ledger))
    async with Store.open(address) as store:
        try:
            await office.run(order_of("order1"), store=store, id="order1", deps=desk, model=Clerk(desk), lease_s=0.3)
        except LeaseLost as lost:
            left = [task.get_coro().__qualname__ for task in asyncio.all_tasks() - {asyncio.current_task()}]
            print(json.dumps([lost.run.status, str(lost), lost.run is not None, left]))

asyncio.run(main(*sys.argv[1:]))
"""


def freeze(pid: int, address: str) -> None:
    """Freezes a process, but not one that has a file locked: nobody else could write then, whichever run it is of."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        # Each of its threads stands still from here on.
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if not is_locked(address):
            return
        os.kill(pid, signal.SIGCONT)


def is_locked(address: str) -> bool:
    kind, _, path = address.partition(":")
    if kind == "sqlite":
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False
    if kind == "jsonl":
        with Path(path, ".lock").open() as lock:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                return True
    return False  # PostgreSQL ends the transaction of whoever sleeps in it


@pytest.mark.parametrize("address", ["jsonl", "sqlite", "postgres"], indirect=True)
def test_a_frozen_process_finds_its_run_gone_on(address: str, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    command = [sys.executable, "-c", FROZEN, address, str(ledger)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: len(entries_of(ledger)) > 8 or process.poll() is not None)
        freeze(process.pid, address)

        async def take_over() -> Run[Any]:
            desk = Desk(ledger)
            async with Store.open(address) as store:
                while True:
                    try:
                        return await office.resume(
                            "order1", store=store, deps=desk, model=Clerk(desk)
                        )
                    except RunOwned as owned:
                        await asyncio.sleep(owned.left_s)

        run = asyncio.run(take_over())
        os.kill(process.pid, signal.SIGCONT)
        told, problems = process.communicate(timeout=LONG_S)
    finally:
        process.kill()
        process.communicate()
    assert run.status == "completed"
    assert problems == "", problems
    assert "bug in graphflow" not in told
    status, text, _, left = json.loads(told)
    assert status == "failed"
    assert "taken over by somebody else" in text
    assert [name for name in left if "Pool" not in name and "_writing" not in name] == []
    findings = Findings(address, tmp_path)
    asyncio.run(findings.look())
    assert findings.wrong == []


# -- two at once -----------------------------------------------------------------------------------
def test_of_two_who_begin_or_resume_a_run_one_is_told_who_has_it(tmp_path: Path) -> None:
    address = f"sqlite:{tmp_path / 'runs.db'}"
    inside, go_on = asyncio.Event(), asyncio.Event()

    @node
    async def waits(text: str) -> str:
        inside.set()
        await go_on.wait()
        return f"{text}!"

    graph = Graph("waiting", START >> waits >> END)

    async def main() -> None:
        async with Store.open(address) as one, Store.open(address) as other:
            begun = [
                asyncio.ensure_future(graph.run("a", store=store, id="x"))
                for store in (one, other, one)
            ]
            await inside.wait()
            while sum(task.done() for task in begun) < 2:
                await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
                begun.sort(key=lambda task: not task.done())
                if sum(task.done() for task in begun) < 2:
                    await asyncio.wait(begun[1:], return_when=asyncio.FIRST_COMPLETED)
            with pytest.raises(RunOwned) as resumed:
                await graph.resume("x", store=other)
            go_on.set()
            outcomes = await asyncio.gather(*begun, return_exceptions=True)
            owned = [outcome for outcome in outcomes if isinstance(outcome, RunOwned)]
            assert len(owned) == 2
            for refusal in (*owned, resumed.value):
                assert refusal.holder.startswith(f"process {os.getpid()} on ")
                assert 0 < refusal.left_s <= 30
                assert refusal.run is not None
            (run,) = [outcome for outcome in outcomes if isinstance(outcome, Run)]
            assert run.output == "a!"
            assert (await graph.run("a", store=other, id="x")).output == "a!"

    asyncio.run(main())


# -- clocks ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("module", "address"),
    [(memory, "memory:"), (sqlite, "sqlite:{}/runs.db")],
    ids=["memory", "sqlite"],
)
@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_clock_that_jumps_costs_a_run_its_lease_at_most(
    module: Any, address: str, jump_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forwards: others may take the run, and the owner is told. Backwards: they wait for longer."""
    sleeper = Sleeper()
    here, go_on = asyncio.Event(), asyncio.Event()

    @node(effects=["writes"])
    async def holds(text: str, ctx: Context) -> str:
        ctx.deps.done.append("holds")
        if len(ctx.deps.done) == 1:
            here.set()
            await go_on.wait()
        return text

    graph = Graph("clocks", START >> holds >> after >> END)

    async def main() -> None:
        async with Store.open(address.format(tmp_path)) as store:
            owner = asyncio.ensure_future(graph.run("a", store=store, id="x", deps=sleeper))
            await here.wait()
            real = time.time
            monkeypatch.setattr(module.time, "time", lambda: real() + jump_s)
            if jump_s < 0:
                with pytest.raises(RunOwned) as owned:
                    await graph.resume("x", store=store, deps=sleeper)
                assert owned.value.left_s > 3600
                go_on.set()
                assert (await owner).status == "completed"
                return
            run = await graph.resume("x", store=store, deps=sleeper)
            assert run.status == "completed"
            go_on.set()
            with pytest.raises(LeaseLost) as lost:
                await owner
            assert lost.value.run.status == "failed"
            assert sleeper.done == ["holds", "holds", "after"]

    asyncio.run(main())


# -- stores that are closed ------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["memory", "jsonl", "sqlite", "postgres"], indirect=True)
def test_a_store_that_is_closed_while_a_run_goes_on_is_opened_again(address: str) -> None:
    sleeper = Sleeper()
    here, go_on = asyncio.Event(), asyncio.Event()

    @node(effects=["writes"])
    async def holds(text: str) -> str:
        here.set()
        await go_on.wait()
        return text

    graph = Graph("closing", START >> holds >> after >> END)

    async def main() -> None:
        store = Store.open(address)
        run = graph.start("a", store=store, id="x", deps=sleeper)
        await here.wait()
        await store.aclose()
        go_on.set()
        await run
        assert (await store.header("x")).status == "completed"
        await store.aclose()

    asyncio.run(main())
