"""A SQLite file that several processes make at the same moment."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from subprocess import PIPE

import pytest

from graphflow.journal.stores import write_ahead
from graphflow.journal.stores.write_ahead import switch_to_write_ahead
from tests import programs

MAKING = """
import asyncio, sys, time
from graphflow.journal.store import Store
from graphflow.memory import NoteMemory

async def make(kind, path, moment):
    memory = NoteMemory(at=path)
    while time.time() < float(moment):
        pass
    if kind == "memory":
        await memory.remember("here")
        return
    async with Store.open(f"sqlite:{path}") as store:
        await store.find("x")

asyncio.run(make(*sys.argv[1:]))
"""


def mode_of(db: sqlite3.Connection) -> str:
    return str(db.execute("PRAGMA journal_mode").fetchone()[0])


def test_it_is_tried_again_while_another_connection_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db,
    ):
        other.execute("CREATE TABLE rows (number INTEGER)")
        other.execute("BEGIN")
        other.execute("SELECT * FROM rows").fetchall()
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                other.execute("COMMIT")

        monkeypatch.setattr(write_ahead.time, "sleep", pause)
        switch_to_write_ahead(db, 60)
        assert len(pauses) == 3
        assert mode_of(db) == "wal"


def test_it_is_not_tried_for_ever_nor_where_that_is_no_use(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db,
    ):
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            switch_to_write_ahead(db, 0.02)
        other.execute("COMMIT")
        db.execute("BEGIN")
        with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
            switch_to_write_ahead(db, 60)


@pytest.mark.parametrize("kind", ["store", "memory"])
def test_processes_that_make_one_at_the_same_moment_all_have_it(kind: str, tmp_path: Path) -> None:
    for number in range(5):
        words = (kind, str(tmp_path / f"{number}.db"), str(time.time() + 0.2))
        making = [programs.start("-c", MAKING, *words, stderr=PIPE, text=True) for _ in range(3)]
        told = [each.communicate()[1] for each in making]
        assert told == [""] * 3
