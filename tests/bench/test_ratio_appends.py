"""What is appended to a SQLite store against bare commits on the same disk: the goal doubled, on the fastest of rounds."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from graphflow.journal.store import Ownership, Store
from tests.bench.appends import bare_database, begun, body, step
from tests.bench.beside import Work, assert_costs

STEPS = 50


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Work]:
    """As many bare commits."""
    with closing(bare_database(tmp_path)) as db:
        yield lambda: commits(db)


async def commits(db: sqlite3.Connection) -> None:
    for number in range(STEPS):
        db.execute("INSERT INTO log (run, delta) VALUES ('r', ?)", (body(number),))


def test_a_step_costs_little_more_than_a_bare_commit(tmp_path: Path, bare: Work) -> None:
    store = Store.open(f"sqlite:{tmp_path / 'runs.db'}")
    ownership = asyncio.run(begun(store, "one"))

    async def ours() -> None:
        for _ in range(STEPS):
            await step(store, ownership)

    assert_costs(ours, bare, 2.6, time.perf_counter, time.perf_counter)
    asyncio.run(store.aclose())


def test_runs_that_append_at_once_share_their_commits(tmp_path: Path, bare: Work) -> None:
    store = Store.open(f"sqlite:{tmp_path / 'runs.db'}")

    async def all_begun() -> list[Ownership]:
        return [await begun(store, f"run {number}") for number in range(STEPS)]

    ownerships = asyncio.run(all_begun())

    async def ours() -> None:
        await asyncio.gather(*(step(store, ownership) for ownership in ownerships))

    assert_costs(ours, bare, 0.34, time.perf_counter, time.perf_counter)
    asyncio.run(store.aclose())
