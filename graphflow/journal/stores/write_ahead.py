"""SQLite's write-ahead log, switched on for a file that several processes may be making at once."""

from __future__ import annotations

import sqlite3
import time

PAUSE_S = 0.01
PRIMARY = 0xFF
"""The bits of an error code that say what it is; the others say why (https://www.sqlite.org/rescode.html)."""


def switch_to_write_ahead(db: sqlite3.Connection, patience_s: float) -> None:
    """Has a file keep a write-ahead log; it stays with the file. Not within a transaction.

    Of two connections that switch at the same moment each would wait for the other to stop reading, so SQLite refuses one of
    them at once, whatever its timeout (https://www.sqlite.org/c3ref/busy_handler.html). That one has to try again.

    Args:
        db: an open connection.
        patience_s: seconds for which it is tried again.

    Raises:
        sqlite3.Error: the file is locked for longer than that, or cannot be used at all.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & PRIMARY == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > end:
                raise
        time.sleep(PAUSE_S)
