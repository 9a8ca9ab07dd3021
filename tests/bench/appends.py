"""What a step costs in a store, against what bare sqlite3 takes for the same bytes on the same disk.

    python -m tests.bench.appends [ROUNDS]

    one run      a row of 1 KB and a commit a step, in turns with an INSERT of 1 KB and a commit of bare sqlite3 (WAL,
                 synchronous=FULL, as the store has it): median and mean of a step as multiples of the bare one
    100 at once  what a step takes of the time if 100 runs append at the same time, as a part of a step of one run
    disk         what the closed file takes, as a multiple of what is in its rows

Disks differ and machines are busy, so only ratios are told.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import fmean, median

from graphflow.journal.store import Ownership, Store
from graphflow.journal.stored import RunHeader, StoredRow

STEPS = 400
TURN = 40
"""Steps of one kind before it is the other's turn."""
RUNS = 100
ROUNDS = 5


def body(number: int) -> str:
    """1 KB of JSON, another one for each number."""
    return f'"{number:08d}:{"x" * 1013}"'


async def begun(store: Store, id: str) -> Ownership:
    """A run to append to."""
    now = time.time()
    return await store.create(RunHeader(id, "appends", "running", now, now), "appends")


async def step(store: Store, ownership: Ownership) -> None:
    """One row and its commit."""
    number = ownership.rows
    await store.append(ownership, [StoredRow.of(number, "node.end", f"0/{number}", body(number))])


async def timed(work: Callable[[], Awaitable[None]]) -> list[float]:
    """Seconds of each step of one turn."""
    taken = []
    for _ in range(TURN):
        begin = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - begin)
    return taken


def bare_database(folder: Path) -> sqlite3.Connection:
    """What stores nothing but the bodies, as lastingly as a store."""
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE log (step INTEGER PRIMARY KEY, run TEXT, delta TEXT)")
    return db


def size_of(folder: Path) -> int:
    """Bytes of the files of the store of one run."""
    return sum(file.stat().st_size for file in folder.glob("store.db*"))


async def one_run(folder: Path) -> tuple[list[float], list[float], float]:
    """Seconds of each bare step and of each step of a store; and the size of its file as a multiple of its rows."""
    bare = bare_database(folder)
    store = Store.open(f"sqlite:{folder / 'store.db'}")
    ownership = await begun(store, "one")

    async def bare_step() -> None:
        bare.execute("INSERT INTO log (run, delta) VALUES ('r', ?)", (body(ownership.rows),))

    bare_times: list[float] = []
    times: list[float] = []
    for _ in range(STEPS // TURN):
        bare_times += await timed(bare_step)
        times += await timed(lambda: step(store, ownership))
    await store.aclose()
    bare.close()
    return bare_times, times, size_of(folder) / (STEPS * len(body(0)))


async def many_runs(folder: Path) -> float:
    """Seconds that a step takes of the time if many runs append at once."""
    async with Store.open(f"sqlite:{folder / 'many.db'}") as store:
        ownerships = [await begun(store, f"run {number}") for number in range(RUNS)]
        begin = time.perf_counter()
        for _ in range(20):
            await asyncio.gather(*(step(store, ownership) for ownership in ownerships))
        return (time.perf_counter() - begin) / (20 * RUNS)


async def main(rounds: int) -> None:
    medians, means, parts, disk = [], [], [], 0.0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            bare, times, disk = await one_run(Path(name))
            together = await many_runs(Path(name))
        medians.append(median(times) / median(bare))
        means.append(fmean(times) / fmean(bare))
        parts.append(together / fmean(times))
    print(f"one run: median {median(medians):.2f} x bare, mean {median(means):.2f} x bare")
    print(f"{RUNS} at once: {median(parts):.3f} of a step of one run")
    print(f"disk: {disk:.2f} x what is in the rows")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
