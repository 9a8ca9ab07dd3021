"""Kills workers at random moments, again and again, and looks whether their runs know of it.

    python -m tests.durability.kills STORE [--kills 500] [--workers 3] [--seed 0] [--lease 0.5] [--life 1.2] [--freezes 0] [--every 0]

    STORE   the address of an empty store, or "postgres": a server of our own

Every worker is a process that takes up runs which nobody owns (`office.work`). Held against the same runs undisturbed:

    outputs     equal
    effects     the same keys; none done again in a later sitting than the one that has recorded its answer
    record      every row sound; one end of each call, of each question to a model; no row of a former owner
    store       SQLite's own check of the file

The last line of its output is what it has counted, as JSON; it ends with 1 if something was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from graphflow.events import (
    CallFinished,
    CallStarted,
    Event,
    ModelFinished,
    ModelStarted,
    NodeFinished,
    Resumed,
)
from graphflow.journal.record import read_record
from graphflow.journal.store import Store
from graphflow.places import key_of
from tests.durability.office import Desk, Entry, entries_of, office, undisturbed, work
from tests.stand_ins import postgres

LIFE_S = 1.2
"""A worker is killed at a random moment of its first seconds; about what one run takes."""
FROZEN_LEASES = 3.0
"""A worker that is frozen sleeps for so many leases: others have gone on by then."""
AT_ONCE = 2
MOST_RUNS = 100_000


@dataclass
class Worker:
    """A process that works, and when it is killed or frozen."""

    pid: int
    until: float
    frozen: bool = False


@dataclass
class Torture:
    """One go.

    Attributes:
        address: of the store.
        folder: where the ledger is, and what went wrong.
    """

    address: str
    folder: Path
    lease_s: float
    life_s: float
    choose: random.Random
    every: int = 0
    """So many effects and questions come between two kills at most, whoever did the last; 0: the time says when."""
    goal: int = 1
    workers: dict[int, Worker] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def problems(self) -> Path:
        return self.folder / "problems"

    @property
    def enough(self) -> Path:
        """No new runs are begun from now on."""
        return self.folder / "enough"

    def spawn(self) -> None:
        """Starts a worker, which is this very process once more: nothing has to be loaded."""
        seed = self.choose.random()
        pid = os.fork()
        if pid:
            until = time.monotonic() + self.choose.random() * self.life_s
            self.workers[pid] = Worker(pid, inf if self.every else until)
            return
        code = 0
        try:
            desk = Desk(self.ledger)
            random.seed(seed)
            work_on = work(
                self.address,
                desk,
                lease_s=self.lease_s,
                enough=self.enough,
                at_once=AT_ONCE,
                seed=seed,
            )
            asyncio.run(work_on)
        except BaseException:
            code = 1
            with self.problems.open("a") as problems:
                problems.write(traceback.format_exc() + "\n")
        finally:
            os._exit(code)

    def disturb(self, kills: int, freezes: int, workers: int) -> None:
        """Kills and freezes until it was done so often, then lets what is left come to its end."""
        for _ in range(workers):
            self.spawn()
        while kills + freezes > 0:
            time.sleep(0.002)
            self.reap()
            now = time.monotonic()
            if self.every:
                self.choose_by_ledger(now)
            for worker in [worker for worker in self.workers.values() if worker.until <= now]:
                if worker.frozen:
                    os.kill(worker.pid, signal.SIGCONT)
                    worker.frozen = False
                    worker.until = inf if self.every else now + self.life_s
                elif freezes and (not kills or self.choose.random() < freezes / (kills + freezes)):
                    freezes -= 1
                    self.counts["freezes"] += 1
                    os.kill(worker.pid, signal.SIGSTOP)
                    worker.frozen = True
                    worker.until = now + FROZEN_LEASES * self.lease_s
                elif kills:
                    kills -= 1
                    self.counts["kills"] += 1
                    os.kill(worker.pid, signal.SIGKILL)
                    os.waitpid(worker.pid, 0)
                    del self.workers[worker.pid]
            while len(self.workers) < workers:
                self.spawn()
        for worker in self.workers.values():
            os.kill(worker.pid, signal.SIGCONT)
        self.enough.touch()
        if not self.workers:
            self.spawn()
        while self.workers:
            time.sleep(0.01)
            self.reap()

    def choose_by_ledger(self, now: float) -> None:
        """Chooses whoever has written the newest line, when there are enough new ones."""
        if not self.ledger.exists():
            return
        lines = self.ledger.read_text().splitlines()
        if len(lines) < self.goal:
            return
        self.goal = len(lines) + self.choose.randint(1, self.every)
        worker = self.workers.get(json.loads(lines[-1])["process"])
        if worker is not None and not worker.frozen:
            worker.until = now

    def reap(self) -> None:
        """Takes note of workers that have ended by themselves."""
        for pid in list(self.workers):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self.workers[pid]
                if status:
                    self.counts["workers that failed"] += 1

    def end(self) -> None:
        """Leaves no process behind."""
        for pid in list(self.workers):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


# -- what came of it -------------------------------------------------------------------------------
class Findings:
    """What was counted, and what was wrong."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def expect(self, holds: bool, what: str) -> None:
        """Takes down what does not hold."""
        if not holds:
            self.wrong.append(what)

    async def look(self) -> None:
        """Looks through the whole store."""
        by_run: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries_of(self.folder / "ledger"):
            if entry.what.startswith("end"):
                self.counts[entry.what] += 1
            else:
                by_run[entry.run].append(entry)
        async with Store.open(self.address) as store:
            for header in await store.runs():
                self.counts["runs"] += 1
                self.expect(header.status == "completed", f"{header.id} is {header.status}")
                record = await read_record(store, header, office)
                self.expect(record.damage is None, f"{header.id}: {record.damage}")
                self.expect(
                    len(record.entries) == header.rows,
                    f"{header.id}: {len(record.entries)} of {header.rows}",
                )
                self.counts["rows"] += header.rows
                run = await store.load(header.id, office)
                await self._look_at(
                    header.id, run.output, list(self._told(record.entries)), by_run[header.id]
                )

    def _told(self, entries: Iterable[Any]) -> Iterable[tuple[int, Event, str]]:
        """Facts, each with its sitting and its place."""
        sitting = 1
        for entry in entries:
            if isinstance(entry.event, Resumed):
                self.expect(
                    entry.event.sitting == sitting + 1,
                    f"sitting {entry.event.sitting} follows {sitting}",
                )
                sitting = entry.event.sitting
            yield sitting, entry.event, entry.detail.place

    async def _look_at(
        self, run: str, output: Any, told: list[tuple[int, Event, str]], done: list[Entry]
    ) -> None:
        self.counts["sittings"] += told[-1][0]
        recorded: dict[str, int] = {}
        asked: Counter[str] = Counter()
        for sitting, event, place in told:
            if isinstance(event, (CallStarted, ModelStarted)):
                self.expect(
                    place not in recorded,
                    f"{run}: {place} was begun in {sitting}, known in {recorded}",
                )
            elif isinstance(event, (CallFinished, ModelFinished)):
                self.expect(place not in recorded, f"{run}: {place} has answered twice")
                recorded[place] = sitting
                if isinstance(event, ModelFinished):
                    asked[place] += 1
            elif isinstance(event, NodeFinished) and event.frame == 0:
                recorded[f"#{event.activation}"] = sitting
        known = {key_of(run, place): sitting for place, sitting in recorded.items()}
        await self._effects(run, output, known, done)

    async def _effects(
        self, run: str, output: Any, known: dict[str, int], done: list[Entry]
    ) -> None:
        effects = [entry for entry in done if not entry.what.startswith("ask")]
        asks = [entry for entry in done if entry.what.startswith("ask")]
        twin = self.folder / "twin"
        twin.unlink(missing_ok=True)
        calm = await undisturbed(run, twin)
        expected = entries_of(twin)
        self.expect(output == calm.output, f"{run}: {output} instead of {calm.output}")
        wanted = {(entry.key, entry.what) for entry in expected if not entry.what.startswith("ask")}
        found = Counter((entry.key, entry.what) for entry in effects)
        self.expect(set(found) == wanted, f"{run}: keys {set(found) ^ wanted}")
        for entry in effects:
            last = known.get(entry.key)
            late = last is not None and entry.sitting > last
            self.expect(
                not late,
                f"{run}: {entry.what} was done again in sitting {entry.sitting}, known since {last}",
            )
        self.counts["effects"] += len(wanted)
        self.counts["effects done again"] += found.total() - len(wanted)
        self.counts["questions"] += len(expected) - len(wanted)
        self.counts["questions asked again"] += len(asks) - (len(expected) - len(wanted))


def check_file(address: str) -> str:
    """What SQLite says of its file."""
    if not address.startswith("sqlite:"):
        return "ok"
    with closing(sqlite3.connect(address.removeprefix("sqlite:"))) as db:
        (answer,) = db.execute("PRAGMA integrity_check").fetchone()
    return str(answer)


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="kills", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--freezes", type=int, default=0)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lease", type=float, default=0.5)
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--life", type=float, default=LIFE_S)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    server = postgres.running() if given.store == "postgres" else nullcontext()
    with tempfile.TemporaryDirectory() as folder, server as database:
        address = given.store if database is None else database.new_database()
        torture = Torture(
            address, Path(folder), given.lease, given.life, random.Random(given.seed), given.every
        )
        try:
            torture.disturb(given.kills, given.freezes, given.workers)
        finally:
            torture.end()
        disturbed_s = time.monotonic() - began
        findings = Findings(address, Path(folder))
        asyncio.run(findings.look())
        check = check_file(address)
        findings.expect(check == "ok", check)
        if torture.problems.exists():
            findings.wrong.append(torture.problems.read_text())
    for problem in findings.wrong:
        print(problem)
    figures = {
        **torture.counts,
        **findings.counts,
        "seconds": round(disturbed_s, 1),
        "wrong": len(findings.wrong),
    }
    print(json.dumps(figures))
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
