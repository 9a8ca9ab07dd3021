"""Notes that are found by their words: for memories that people read along, as in a Markdown file."""

from __future__ import annotations

from graphflow.memory.kept_memory import KeptMemory, Ranking, ScopeIndex


class NoteMemory(KeptMemory):
    """Recalls the notes that share words with the question, rare words counting more (BM25)."""

    async def rank(self, index: ScopeIndex, query: str) -> Ranking:
        """By words."""
        with index.lock:
            return [*index.words.ranking(query)]
