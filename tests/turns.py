"""Turns of tests that run in several processes: who measures speed waits until no other test runs, and others wait for it.

Two locks of the operating system, on files that are there anyway. The first is the door: it is held for a moment by
everybody who comes, and kept by who wants to be alone, so that nobody else comes in meanwhile. The second is the room.
Both end with the process that holds them, however it ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).parent
_DOOR = (_HERE / "conftest.py").open("rb")
_ROOM = (_HERE / "turns.py").open("rb")


@contextmanager
def turn_of(*, alone: bool) -> Iterator[None]:
    """Waits until a test may begin, and lets others go on when it has ended.

    Args:
        alone: whether no other test may run meanwhile.
    """
    lock = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    fcntl.flock(_DOOR, lock)
    fcntl.flock(_ROOM, lock)
    if not alone:
        fcntl.flock(_DOOR, fcntl.LOCK_UN)
    try:
        yield
    finally:
        fcntl.flock(_ROOM, fcntl.LOCK_UN)
        fcntl.flock(_DOOR, fcntl.LOCK_UN)
