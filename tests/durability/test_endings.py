"""Runs that are stopped half way in every way there is: what was acknowledged is there, and they go on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from graphflow.errors import RunOwned, WalkCancelled
from graphflow.journal.store import Store
from graphflow.run import Run
from tests import programs
from tests.durability.kills import Findings
from tests.durability.office import Clerk, Desk, entries_of, office, order_of
from tests.journal.keeping import lasting
from tests.waiting import LONG_S, eventually, until

RUN = "order1"
EFFECTS = 9
"""So many effects and questions are waited for before a run is stopped, of the thirty that it has."""

PROGRAM = """
import asyncio, signal, sys
from pathlib import Path
from graphflow.journal.store import Store
from tests.durability.office import Clerk, Desk, office, order_of

async def main(address, ledger, how, run):
    if how == "handler":
        task = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    desk = Desk(Path(ledger))
    async with Store.open(address) as store:
        await office.run(order_of(run), store=store, id=run, deps=desk, model=Clerk(desk), lease_s=2.0)

if sys.argv[3] == "run_sync":
    _, address, ledger, _, run = sys.argv
    desk = Desk(Path(ledger))
    office.run_sync(order_of(run), store=address, id=run, deps=desk, model=Clerk(desk), lease_s=2.0)
else:
    asyncio.run(main(*sys.argv[1:]))
"""


def options(folder: Path, store: Store) -> dict[str, Any]:
    desk = Desk(folder / "ledger")
    return {"store": store, "deps": desk, "model": Clerk(desk), "lease_s": 30.0}


def is_half_way(folder: Path) -> bool:
    return len(entries_of(folder / "ledger")) >= EFFECTS


def resumed(address: str, folder: Path) -> Run[Any]:
    """The run when it has gone on to its end; that it went on as undisturbed ones go is looked at."""

    async def main() -> Run[Any]:
        async with Store.open(address) as store:
            run = await office.resume(RUN, **options(folder, store))
        findings = Findings(address, folder)
        await findings.look()
        assert findings.wrong == []
        assert findings.counts["runs"] == 1
        return run

    return asyncio.run(main())


def header_of(address: str) -> Any:
    async def main() -> Any:
        async with Store.open(address) as store:
            return await store.find(RUN)

    return asyncio.run(main())


def until_shut_down(main: Coroutine[Any, Any, None], store: Store) -> None:
    """`asyncio.run`, which cancels what still goes on; the watch over tests would take that for a task that was forgotten."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main)
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = loop.run_until_complete(asyncio.wait(tasks, timeout=LONG_S))
            assert left == set()
        loop.run_until_complete(store.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


# -- in the process --------------------------------------------------------------------------------
async def left_to_the_loop(run: Run[Any]) -> None:
    """The loop is shut down while the run goes on."""


async def cancelled(run: Run[Any]) -> None:
    run.cancel()
    with pytest.raises(WalkCancelled):
        await run


async def its_task_cancelled(run: Run[Any]) -> None:
    assert run._task is not None
    run._task.cancel()
    await run.settled()


@lasting
@pytest.mark.parametrize("stop", [left_to_the_loop, cancelled, its_task_cancelled])
def test_a_run_that_was_stopped_in_its_process_goes_on(
    address: str, stop: Callable[..., Any], tmp_path: Path
) -> None:
    store = Store.open(address)

    async def main() -> None:
        run = office.start(order_of(RUN), id=RUN, **options(tmp_path, store))
        await eventually(lambda: is_half_way(tmp_path))
        await stop(run)

    until_shut_down(main(), store)
    header = header_of(address)
    assert header.status == "cancelled"
    assert header.lease.until == 0.0
    assert resumed(address, tmp_path).status == "completed"


# -- from outside ----------------------------------------------------------------------------------
def stopped(
    address: str, folder: Path, number: signal.Signals, how: str
) -> subprocess.CompletedProcess[str]:
    """A process whose run was stopped half way by a signal."""
    given = (address, str(folder / "ledger"), how, RUN)
    process = programs.start("-c", PROGRAM, *given, stderr=subprocess.PIPE, text=True)
    until(lambda: is_half_way(folder) or process.poll() is not None)
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
    _, told = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, "", told)


@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize(
    ("number", "how"),
    [(signal.SIGINT, "plain"), (signal.SIGINT, "run_sync"), (signal.SIGTERM, "handler")],
    ids=["ctrl-c", "ctrl-c in run_sync", "sigterm with a handler"],
)
def test_a_run_that_was_told_to_stop_goes_on(
    address: str, number: signal.Signals, how: str, tmp_path: Path
) -> None:
    done = stopped(address, tmp_path, number, how)
    assert done.returncode != 0
    assert "bug in graphflow" not in done.stderr
    assert "never retrieved" not in done.stderr
    assert header_of(address).status == "cancelled"
    assert resumed(address, tmp_path).status == "completed"


def test_a_run_whose_process_was_ended_is_owned_until_its_lease_is_over(tmp_path: Path) -> None:
    address = f"sqlite:{tmp_path / 'runs.db'}"
    done = stopped(address, tmp_path, signal.SIGTERM, "plain")
    assert done.returncode == -signal.SIGTERM
    assert header_of(address).status == "running"

    async def again() -> Run[Any]:
        async with Store.open(address) as store:
            given = options(tmp_path, store)
            with pytest.raises(RunOwned, match="process"):
                await office.run(order_of(RUN), id=RUN, **given)
            header = await store.header(RUN)
            assert header.lease is not None
            end = header.lease.until
            await eventually(lambda: time.time() > end)
            return await office.run(order_of(RUN), id=RUN, **given)

    assert asyncio.run(again()).status == "completed"
    assert resumed(address, tmp_path).status == "completed"
