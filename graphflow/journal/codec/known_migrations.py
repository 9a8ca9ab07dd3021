"""The migrations that are known: `graphflow.journal.migrations` declares them, the codings of classes ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from graphflow.journal.stored import Json


@dataclass(frozen=True, slots=True)
class Migration:
    """One way from an older type to a class as it is now.

    Attributes:
        name: what the older type was called.
        new: the class.
        read: makes what the function is given of what is kept: a value of the older type, or the plain data.
        make: the function: it makes a value of the class, or its fields as plain data.
    """

    name: str
    new: type
    read: Callable[[Json], object]
    make: Callable[[Any], object]

    def __str__(self) -> str:
        return f"{self.name} -> {self.new.__name__}"


_known: dict[type, list[Migration]] = {}
"""By the class that they lead to, the newest first."""
_used: ContextVar[list[Migration] | None] = ContextVar("_used", default=None)


def add_migration(migration: Migration) -> None:
    """From now on it is asked, before those that lead to the same class."""
    _known.setdefault(migration.new, []).insert(0, migration)


def migrations_to(new: type) -> list[Migration]:
    """The migrations that lead to a class, the newest first."""
    return _known.get(new, [])


def note_use(migration: Migration) -> None:
    """Takes note of a value that was read through a migration."""
    used = _used.get()
    if used is not None:
        used.append(migration)


@contextmanager
def migrations_used() -> Iterator[list[Migration]]:
    """The migrations that values are read through within."""
    used: list[Migration] = []
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)
