"""Notes that are found by what they mean, with a little help of their words.

    score = cosine(note, question) + a tenth of BM25, as a share of the best BM25

Measured on 42 facts among 1,542 lines, asked for in other words: `tests/bench/recall_figures.py`, figures in `docs/memory.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Unpack

from graphflow.concurrency import in_thread
from graphflow.errors import GraphflowError, MemoryUnavailable
from graphflow.journal.key_ring import StoreKey
from graphflow.memory.kept_memory import (
    MAX_NOTES,
    KeptMemory,
    MemoryOptions,
    Ranking,
    ScopeIndex,
    searched_text,
)
from graphflow.memory.note_store import NoteStore
from graphflow.memory.vector_index import pack_vector, require_numpy
from graphflow.messages.notes import Note
from graphflow.model.resolve import open_embedder
from graphflow.model.seam import Embedder

WORD_SHARE = 0.1
"""What the best match by words adds to a cosine."""
BATCH = 64
"""Texts that an embedder is given at once."""
BEST, FALLBACK = "local:minilm", "local:use"


class SemanticMemory(KeptMemory):
    """Recalls the notes whose meaning is nearest to the question.

    No threshold tells that nothing was ever said about something: questions with and without an answer score alike. So it
    gives its best, with date and source, and whoever reads them decides.

    Args:
        name: as in `Memory`.
        embedder: "provider:model" or an `Embedder`; default: `local:minilm` if it was pulled (`graphflow models pull
            minilm`), else `local:use`. Vectors of another embedder are made again.
        at, key, max_age_s, max_notes: as in `KeptMemory`.
        options: as in `Memory`.

    Raises:
        MissingExtra: numpy is not installed.
    """

    def __init__(
        self,
        name: str = "",
        *,
        embedder: Embedder | str | None = None,
        at: str | Path | NoteStore | None = None,
        key: StoreKey | None = None,
        max_age_s: float | None = None,
        max_notes: int = MAX_NOTES,
        **options: Unpack[MemoryOptions],
    ) -> None:
        require_numpy()
        super().__init__(name, at=at, key=key, max_age_s=max_age_s, max_notes=max_notes, **options)
        self.given_embedder = embedder
        """What was given: a name, an object, or None: the best that is here."""
        self._open: Embedder | None = None

    @property
    def embedder(self) -> Embedder:
        """What makes its vectors.

        Raises:
            UnknownProvider, MissingExtra, WeightsError: there is none of that name, or not here.
        """
        if self._open is None:
            given = self.given_embedder
            if given is None:
                self._open = default_embedder()
            else:
                self._open = open_embedder(given) if isinstance(given, str) else given
        return self._open

    async def rank(self, index: ScopeIndex, query: str) -> Ranking:
        """By meaning and words."""
        if not index.notes or not query.strip():
            return []
        [vector] = await self._embed([query])

        def work() -> Ranking:
            with index.lock:
                # BM25 has no scale of its own, a cosine has: so each score counts as a share of the best one.
                words = index.words.scores(query)
                best = max(words.values(), default=1.0)
                bonus = {number: WORD_SHARE * score / best for number, score in words.items()}
                return [*index.vectors.ranking(vector, bonus)]

        return await in_thread(work)

    async def vectors_of(self, notes: Sequence[Note]) -> list[bytes]:
        """The vectors of some notes: those that are known, and new ones, which are kept."""
        name = self.embedder.name
        known = await in_thread(self._store.vectors, notes, name)
        missing = [note for note in notes if note.id not in known]
        for start in range(0, len(missing), BATCH):
            some = missing[start : start + BATCH]
            made = await self._embed([searched_text(note) for note in some])
            fresh = list(zip(some, made, strict=True))
            await self.keep_vectors(fresh)
            known |= {note.id: vector for note, vector in fresh}
        return [known[note.id] for note in notes]

    async def keep_vectors(self, vectors: Iterable[tuple[Note, bytes]]) -> None:
        """Keeps vectors beside their notes."""
        await in_thread(self._store.keep_vectors, vectors, self.embedder.name)

    async def _embed(self, texts: list[str]) -> list[bytes]:
        """Vectors of texts as they are stored.

        Raises:
            MemoryUnavailable: the embedder has failed.
        """
        try:
            vectors = await self.embedder.embed(texts)
        except GraphflowError:
            raise
        except Exception as error:
            who = self.embedder.name
            raise MemoryUnavailable(f"{self!r}: the embedder {who} failed: {error}") from error
        if len(vectors) != len(texts):
            raise MemoryUnavailable(
                f"{self!r}: the embedder gave {len(vectors)} vectors for {len(texts)} texts"
            )
        return [pack_vector(vector) for vector in vectors]


def default_embedder() -> Embedder:
    """The best embedder that is here."""
    from graphflow.errors import MissingExtra, WeightsError

    try:
        return open_embedder(BEST)
    except (MissingExtra, WeightsError):
        return open_embedder(FALLBACK)
