"""A store in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from graphflow.journal.stores.jsonl import JsonlStore


def open_cellar(address: str, *, room: str = "cellar") -> JsonlStore:
    """The store at `cellar:FOLDER`. It encrypts nothing, so it takes no key."""
    _, _, folder = address.partition(":")
    return JsonlStore(str(Path(folder) / room))
