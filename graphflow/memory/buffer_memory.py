"""A buffer: what was remembered last, whatever is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from graphflow.journal.key_ring import StoreKey
from graphflow.memory.kept_memory import KeptMemory, MemoryOptions, Ranking, ScopeIndex
from graphflow.memory.memory import LIMIT
from graphflow.memory.note_store import NoteStore


class BufferMemory(KeptMemory):
    """Recalls the latest notes, the last one first.

    Args:
        name: as in `Memory`.
        last: how many it keeps in each scope, and recalls.
        at, key: where they are kept, and what they are encrypted with, as in `KeptMemory`.
        options: as in `Memory`.
    """

    def __init__(
        self,
        name: str = "",
        *,
        last: int = LIMIT,
        at: str | Path | NoteStore | None = None,
        key: StoreKey | None = None,
        **options: Unpack[MemoryOptions],
    ) -> None:
        options.setdefault("limit", last)
        super().__init__(name, at=at, key=key, max_notes=last, **options)

    async def rank(self, index: ScopeIndex, query: str) -> Ranking:
        """From the last to the first."""
        return [(number, None) for number in reversed(range(len(index.notes)))]
