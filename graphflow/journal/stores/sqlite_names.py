"""The names in a SQLite file of runs, for shells that complete them: nothing is opened for writing, unsealed or brought up to date.

A file that cannot be read, or has another schema, has no names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

PATIENCE_S = 0.3
"""Seconds to wait for whoever has locked the file."""

Row = tuple[str, str]


def runs_in(file: Path, most: int) -> Sequence[Row]:
    """The ids of the newest runs, each with its graph and status."""
    return _rows(file, "SELECT id, graph || ', ' || status FROM runs", most)


def conversations_in(file: Path, most: int) -> Sequence[Row]:
    """The keys of the newest conversations, each with its graph."""
    return _rows(file, "SELECT key, graph FROM conversations", most)


def _rows(file: Path, query: str, most: int) -> Sequence[Row]:
    address = f"file:{quote(str(file))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S)) as db:
            return db.execute(f"{query} ORDER BY changed DESC LIMIT {most}").fetchall()
    except sqlite3.Error:
        return ()
