"""The store: whether it is there, can be read and written, in which schema, and how much room is left."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

from graphflow.checkup.diagnosis import Diagnosis, Health
from graphflow.errors import GraphflowError, StoreLocked
from graphflow.journal.store import Stats
from graphflow.journal.stores.sqlite_schema import MIGRATIONS
from graphflow.plugins.seams import STORES
from graphflow.project.runs import RunPlace

_AREA = "store"
LITTLE_ROOM = 500_000_000
"""Bytes of free space below which there is little."""
NO_ROOM = 20_000_000
"""Bytes below which the next runs may not be kept."""
MEGABYTE = 1_000_000
NOWHERE = Diagnosis(
    area=_AREA,
    about="runs",
    state="absent",
    text="runs are not kept: there is no project here",
    advice="--store sqlite:FILE",
)


def _found(about: str, state: Health, text: str, advice: str = "") -> Diagnosis:
    return Diagnosis(_AREA, about, state, text, advice)


async def look_at_store(place: RunPlace, *, online: bool) -> AsyncIterator[Diagnosis]:
    """The place where runs are kept.

    Args:
        place: which.
        online: whether a server is asked.
    """
    kind, _, rest = place.address.partition(":")
    if kind == "memory":
        yield _found("runs", "ok", "in memory, until the process ends")
        return
    if _may_be_far(kind) and not online:
        text = f"{place.shown}: not asked"
        yield _found("runs", "absent", text, "graphflow doctor --online")
        return
    if kind in ("sqlite", "jsonl") and rest:
        path = Path(rest)
        # A disk of another machine may take its time.
        findings = await asyncio.to_thread(_look_at_files, kind, path)
        for finding in findings:
            yield finding
        # What is not even a database is told once.
        last = findings[-1]
        if last.about == "schema" and last.state == "problem":
            return
        if not await asyncio.to_thread(path.exists):
            yield _found("runs", "ok", f"nothing is kept in {place.shown} yet")
            return
    yield await _opened(place)


def _may_be_far(kind: str) -> bool:
    """Whether a store may be on another machine; of a plug-in's nobody knows."""
    return kind.startswith("postgres") or STORES.has(kind)


async def _opened(place: RunPlace) -> Diagnosis:
    """What the store itself says."""
    try:
        store = place.open()
        try:
            stats = await store.stats()
            await store.runs(status="running")  # opens headers, if they are sealed
        finally:
            await store.aclose()
    except StoreLocked as error:
        return _found("runs", "problem", str(error), "graphflow doctor --key env:NAME")
    except (GraphflowError, OSError) as error:
        return _found("runs", "problem", str(error))
    return _found("runs", "ok", f"{place.shown}: {_amount(stats)}")


def _amount(stats: Stats) -> str:
    megabytes = stats.bytes / MEGABYTE
    runs = "1 run" if stats.runs == 1 else f"{stats.runs:,} runs"
    return f"{runs}, {stats.rows:,} rows, {megabytes:,.1f} MB"


def _schema(path: Path) -> Diagnosis:
    """The schema of a file, which is only read here: to open it as a store would bring it up to date."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as db:
            (found,) = db.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        text = f"{os.path.relpath(path)} cannot be read: {error}"
        return _found("schema", "problem", text, "--store sqlite:FILE (another one)")
    known = len(MIGRATIONS)
    if found > known:
        text = f"schema {found}, and this version of graphflow reads up to {known}"
        return _found("schema", "problem", text, "pip install -U graphflow-agents")
    if found < known:
        text = f"schema {found}; it becomes {known} when it is next used"
        return _found("schema", "ok", text)
    return _found("schema", "ok", f"schema {found}, the newest")


def _look_at_files(kind: str, path: Path) -> list[Diagnosis]:
    """Whether there may be written, how much room there is, and the schema."""
    # What is not there yet will be made in the nearest folder that is.
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    findings = [_writing(folder, path), _room(folder)]
    if kind == "sqlite" and path.exists():
        findings.append(_schema(path))
    return findings


def _writing(folder: Path, path: Path) -> Diagnosis:
    # SQLite writes its log beside the file.
    for place in (folder, path):
        shown = os.path.relpath(place)
        if place.exists() and not os.access(place, os.W_OK):
            text = f"{shown} cannot be written"
            return _found("writing", "problem", text, f"chmod u+w {shown}")
    return _found("writing", "ok", f"{os.path.relpath(path)} can be written")


def _room(folder: Path) -> Diagnosis:
    free = shutil.disk_usage(folder).free
    text = f"{free / MEGABYTE:,.0f} MB are free"
    tidy = "graphflow prune --older-than 30d"
    if free < NO_ROOM:
        return _found("room", "problem", text, tidy)
    if free < LITTLE_ROOM:
        return _found("room", "warning", text, tidy)
    return _found("room", "ok", text)
