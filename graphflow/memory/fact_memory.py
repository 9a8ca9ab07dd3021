"""Facts by key: one note for each thing, the latest that was said of it."""

from __future__ import annotations

from graphflow.errors import NoteInvalid
from graphflow.memory.kept_memory import KeptMemory, Ranking, ScopeIndex
from graphflow.messages.notes import Note


class FactMemory(KeptMemory):
    """Remembers one fact for each key. Recalls that of the key that is asked for; else those with words of the question."""

    async def rank(self, index: ScopeIndex, query: str) -> Ranking:
        """The fact of that very key first, then by words."""
        asked = " ".join(query.casefold().split())
        with index.lock:
            ranking: Ranking = [
                (number, None)
                for number, note in enumerate(index.notes)
                if note.key.casefold() == asked
            ]
            exact = {number for number, _ in ranking}
            ranking += [entry for entry in index.words.ranking(query) if entry[0] not in exact]
            return ranking

    async def remember(
        self, note: Note | str, *, key: str = "", source: str = "", scope: str | None = None
    ) -> Note:
        """Keeps a fact in the place of the one with its key."""
        known = note.key if isinstance(note, Note) else key
        if not known.strip():
            raise NoteInvalid("a fact needs a key: what it is about, in a word or two")
        return await super().remember(note, key=key, source=source, scope=scope)
