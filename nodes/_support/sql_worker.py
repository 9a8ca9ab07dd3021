"""Asks a SQLite file in a process of its own: `nodes.tools.sql` starts it, and kills it when it takes too long.

It is run by its path with `-I -S`, so it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any

MAX_MEMORY = 1 << 30
MAX_CELL = 2_000
"""Characters of a value that are shown."""
MAX_VALUE = 10_000_000
"""Bytes of any text or blob within a statement: `zeroblob(1e9)` and the like end there."""
STEPS = 2_000
"""Steps of SQLite's machine between two looks at the clock: some 50 us."""

Task = dict[str, Any]
Authorizer = Callable[[int, str | None, str | None, str | None, str | None], int]


def _codes(names: str) -> dict[int, str]:
    """The numbers that SQLite gives to what a statement does, with their names."""
    codes: dict[int, str] = {}
    for name in names.split():
        code = getattr(sqlite3, f"SQLITE_{name}")
        codes[code] = name.replace("_", " ")
    return codes


_READS = _codes("SELECT READ FUNCTION RECURSIVE")
_CHANGES = _codes(
    "INSERT UPDATE DELETE TRANSACTION ALTER_TABLE REINDEX ANALYZE "
    "CREATE_TABLE CREATE_INDEX CREATE_VIEW CREATE_TRIGGER DROP_TABLE DROP_INDEX DROP_VIEW DROP_TRIGGER "
    "CREATE_TEMP_TABLE CREATE_TEMP_INDEX CREATE_TEMP_VIEW CREATE_TEMP_TRIGGER "
    "DROP_TEMP_TABLE DROP_TEMP_INDEX DROP_TEMP_VIEW DROP_TEMP_TRIGGER"
)
_NEVER = _codes("ATTACH DETACH PRAGMA SAVEPOINT CREATE_VTABLE")
READS = set(_READS)
WRITES = READS | set(_CHANGES)
ACTIONS = {**_codes("FUNCTION"), **_CHANGES, **_NEVER}
"""What an error calls that which was refused."""


def main() -> None:
    """One statement from the standard input, its rows to the standard output, both JSON."""
    task: Task = json.loads(sys.stdin.buffer.read())
    # Windows has no such limits; the one that started it still kills it.
    with contextlib.suppress(ImportError):
        import resource

        seconds = int(task["seconds"])
        resource.setrlimit(resource.RLIMIT_CPU, (seconds + 2, seconds + 3))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    sys.stdout.write(json.dumps(answer(task)))


def answer(task: Task) -> dict[str, Any]:
    """The rows of one statement, and how many it changed; or why there are none."""
    end = time.monotonic() + task["seconds"]
    refused: list[str] = []
    try:
        base = open_file(task, end, refused)
        try:
            cursor = base.execute(task["statement"], task["values"])
            found = cursor.fetchmany(task["rows"] + 1)
            columns = [str(column[0]) for column in cursor.description or ()]
            changed = cursor.rowcount
            cursor.close()
            base.commit()
        finally:
            base.close()
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
        is_late = time.monotonic() > end
        return {"error": str(error), "refused": refused[:1], "late": is_late}
    # One row more was fetched than is shown: that is how one knows that there are more.
    most = task["rows"]
    rows = [[cell(value) for value in row] for row in found[:most]]
    is_cut = len(found) > most
    return {"columns": columns, "rows": rows, "cut": is_cut, "changed": changed}


def open_file(task: Task, end: float, refused: list[str]) -> sqlite3.Connection:
    """The file, opened for no more than the task allows."""
    write = task["write"]
    mode = "rw" if write else "ro"
    file = task["file"]
    base = sqlite3.connect(f"{file}?mode={mode}", uri=True, timeout=task["seconds"])
    base.text_factory = lambda text: text.decode("utf-8", "replace")
    # The fences of `nodes.tools.sql` (rule 1), each of which would do by itself.
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
    base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    if not write:
        base.execute("PRAGMA query_only = ON")
    base.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    base.set_authorizer(authorizer(WRITES if write else READS, refused))
    return base


def authorizer(allowed: set[int], refused: list[str]) -> Authorizer:
    """What SQLite asks before each thing that a statement does; what was refused is noted."""

    def judge(
        action: int, first: str | None, second: str | None, base: str | None, inner: str | None
    ) -> int:
        function = second if action == sqlite3.SQLITE_FUNCTION else None
        is_extension = function is not None and function.lower() == "load_extension"
        if action in allowed and not is_extension:
            return sqlite3.SQLITE_OK
        name = ACTIONS.get(action, "that")
        thing = first or second
        refused.append(f"{name} {thing}" if thing else name)
        return sqlite3.SQLITE_DENY

    return judge


def cell(value: object) -> object:
    """A value as a model can read it: blobs by their size, long texts cut, infinities in words."""
    if isinstance(value, bytes):
        return f"[blob of {len(value)} bytes]"
    if isinstance(value, str) and len(value) > MAX_CELL:
        beginning = value[:MAX_CELL]
        more = len(value) - MAX_CELL
        return f"{beginning} [and {more} more characters]"
    if isinstance(value, float) and math.isinf(value):  # JSON has no word for it
        return str(value)
    return value


if __name__ == "__main__":
    main()
