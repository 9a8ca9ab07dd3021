"""The engine that runs weights in this process: llama.cpp, through xllamacpp.

Rules:
1. One engine per file and process, one thread that talks to it, one request at a time: on few cores two at once are no
   faster, and as many threads as cores collapse when anything else runs (OpenMP spin barriers).
2. The thread is stopped and joined before the interpreter exits: an exit during generation is a segmentation fault.
3. The engine opens a port on 127.0.0.1 whether one wants it or not; it gets a random key that is given to nobody.
"""

from __future__ import annotations

import atexit
import os
import queue
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphflow.errors import ContextOverflow, MissingExtra, ModelError
from graphflow.model.prices import EMBEDDED_WINDOW

Chunk = dict[str, Any]
N_CTX = EMBEDDED_WINDOW


class Job:
    """One request under way: pieces go to `on_chunk` from the engine's thread, `stop` ends it early."""

    __slots__ = ("body", "on_chunk", "on_end", "stop")

    def __init__(
        self,
        body: dict[str, Any],
        on_chunk: Callable[[Chunk], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self.body = body
        self.on_chunk = on_chunk
        self.on_end = on_end
        self.stop = threading.Event()


class Engine:
    """One loaded model and the thread that talks to it."""

    def __init__(self, path: Path) -> None:
        # One thread owns the engine for good: it is loaded, asked and freed there, and a request waits for its turn.
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._current: Job | None = None
        self._path = path
        self._server: Any = None
        self._thread = threading.Thread(target=self._work, name="graphflow:engine", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def submit(self, job: Job) -> None:
        """Queues a request."""
        self._jobs.put(job)

    def close(self) -> None:
        """Ends what runs, joins the thread, frees the model."""
        current = self._current
        if current is not None:
            current.stop.set()
        self._jobs.put(None)
        self._thread.join(timeout=10)
        self._server = None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._current = job
            error: BaseException | None = None
            try:
                if not job.stop.is_set():
                    self._answer(job)
            # Whoever asked gets it; the thread goes on for the next.
            except BaseException as raised:
                error = raised
            self._current = None
            job.on_end(error)

    def _answer(self, job: Job) -> None:
        if self._server is None:
            self._server = _load(self._path)
        problem: list[Chunk] = []

        def on_chunk(chunk: Chunk) -> bool:
            if "error" in chunk:
                problem.append(chunk)
                return True
            job.on_chunk(chunk)
            return job.stop.is_set()

        try:
            answer = self._server.handle_chat_completions({**job.body, "stream": True}, on_chunk)
        except ValueError as error:
            raise ModelError(f"the embedded model refused the request: {error}") from None
        if isinstance(answer, dict) and "error" in answer:
            problem.append(answer)
        if problem:
            raise _error_of(problem[0])


def _error_of(chunk: Chunk) -> ModelError:
    text = f"the embedded model failed: {_error_text(chunk)}"
    error = chunk["error"]
    # llama.cpp's word for a prompt that is longer than the context it was opened with.
    is_overflow = isinstance(error, dict) and error.get("type") == "exceed_context_size_error"
    return ContextOverflow(text) if is_overflow else ModelError(text)


def _error_text(chunk: Chunk) -> str:
    error = chunk["error"]
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


def _load(path: Path) -> Any:
    xlc = _import()
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    params = xlc.CommonParams()
    params.model.path = str(path)
    params.n_ctx = N_CTX
    params.n_parallel = 1
    params.warmup = False
    params.ui = False
    params.verbosity = 0
    params.api_keys = [secrets.token_hex(16)]
    params.cors_origins = "http://127.0.0.1"
    params.cpuparams.n_threads = max(1, cores // 2)
    params.cpuparams_batch.n_threads = cores
    try:
        return xlc.Server(params)
    except RuntimeError as error:
        raise ModelError(
            f"the engine cannot load {path.name}: {error}; delete {path} and pull it again"
        ) from None


def _import() -> Any:
    # Measured: with OpenMP's default of spinning, one busy core beside it takes generation from 97 to 2 tokens a second.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtra("the embedded model", "local", _why(error)) from None
    return xllamacpp


def _why(error: ImportError) -> str:
    if "libgomp" in str(error):
        return "the system library libgomp is missing: apt-get install libgomp1"
    if error.name == "xllamacpp":
        return "wheels exist for Linux with glibc (x86_64, aarch64), macOS 13+, and Windows x86_64"
    return str(error)


def require() -> None:
    """Raises `MissingExtra` now rather than in the middle of a walk."""
    from importlib.util import find_spec

    if find_spec("xllamacpp") is None:
        raise MissingExtra(
            "the embedded model",
            "local",
            "wheels exist for Linux with glibc (x86_64, aarch64), macOS 13+, and Windows x86_64",
        )


_engines: dict[Path, Engine] = {}
_lock = threading.Lock()


def engine_for(path: Path) -> Engine:
    """The engine of a file, started at the first call."""
    with _lock:
        if path not in _engines:
            _engines[path] = Engine(path)
        return _engines[path]


def _forget() -> None:
    # A forked child has neither the engine's thread nor its OpenMP pool; it loads its own if it needs one.
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
