"""Asks a SQLite file in a process of its own: `nodes.tools.sql` starts it, and kills it when it takes too long.

It is run by its path with `-I -S`, so it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
import time
from typing import Any

MEMORY = 1 << 30
CELL = 2_000
"""Characters of a value that are shown."""
VALUE = 10_000_000
"""Bytes of any text or blob within a statement: `zeroblob(1e9)` and the like end there."""
STEPS = 2_000
"""Steps of SQLite's machine between two looks at the clock: some 50 us."""

READS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
WRITES = READS | {
    getattr(sqlite3, f"SQLITE_{name}")
    for name in (
        *("INSERT", "UPDATE", "DELETE", "TRANSACTION", "ALTER_TABLE", "REINDEX", "ANALYZE"),
        *(f"{verb}_{thing}" for verb in ("CREATE", "DROP") for thing in ("TABLE", "INDEX", "VIEW", "TRIGGER")),
        *(f"{verb}_TEMP_{thing}" for verb in ("CREATE", "DROP") for thing in ("TABLE", "INDEX", "VIEW", "TRIGGER")),
    )
}


ACTIONS = {
    getattr(sqlite3, f"SQLITE_{name}"): name.replace("_", " ")
    for name in (
        *("ATTACH", "DETACH", "PRAGMA", "INSERT", "UPDATE", "DELETE", "TRANSACTION", "SAVEPOINT", "FUNCTION"),
        *("CREATE_TABLE", "CREATE_INDEX", "CREATE_VIEW", "CREATE_TRIGGER", "CREATE_VTABLE", "ALTER_TABLE"),
        *("CREATE_TEMP_TABLE", "DROP_TABLE", "DROP_INDEX", "DROP_VIEW", "DROP_TRIGGER", "ANALYZE", "REINDEX"),
    )
}


def main() -> None:
    """One statement from the standard input, its rows to the standard output, both JSON."""
    task = json.loads(sys.stdin.buffer.read())
    with contextlib.suppress(ImportError):  # Windows has no such limits; the one that started it still kills it
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (int(task["seconds"]) + 2, int(task["seconds"]) + 3))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.stdout.write(json.dumps(answer(task)))


def answer(task: dict[str, Any]) -> dict[str, Any]:
    """The rows of one statement, and how many it changed; or why there are none."""
    end = time.monotonic() + task["seconds"]
    refused: list[str] = []
    try:
        base = opened(task, end, refused)
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
        return {"error": str(error), "refused": refused[:1], "late": time.monotonic() > end}
    rows = [[cell(value) for value in row] for row in found[: task["rows"]]]
    return {"columns": columns, "rows": rows, "cut": len(found) > task["rows"], "changed": changed}


def opened(task: dict[str, Any], end: float, refused: list[str]) -> sqlite3.Connection:
    """The file, opened for no more than the task allows."""
    write = task["write"]
    base = sqlite3.connect(f"{task['file']}?mode={'rw' if write else 'ro'}", uri=True, timeout=task["seconds"])
    base.text_factory = lambda text: text.decode("utf-8", "replace")
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE)
    base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    if not write:
        base.execute("PRAGMA query_only = ON")
    base.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    base.set_authorizer(authorizer(WRITES if write else READS, refused))
    return base


def authorizer(allowed: set[int], refused: list[str]) -> Any:
    """What SQLite asks before each thing that a statement does; what was refused is noted."""

    def judge(action: int, first: str | None, second: str | None, base: str | None, inner: str | None) -> int:
        loads = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() == "load_extension"
        if action in allowed and not loads:
            return sqlite3.SQLITE_OK
        refused.append(ACTIONS.get(action, "that") + (f" {first or second}" if first or second else ""))
        return sqlite3.SQLITE_DENY

    return judge


def cell(value: Any) -> Any:
    """A value as a model can read it: blobs by their size, long texts cut, infinities in words."""
    if isinstance(value, bytes):
        return f"[blob of {len(value)} bytes]"
    if isinstance(value, str) and len(value) > CELL:
        return f"{value[:CELL]} [and {len(value) - CELL} more characters]"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    return value


if __name__ == "__main__":
    main()
