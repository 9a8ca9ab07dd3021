"""Notes in a Markdown file that people can read, edit and keep under version control (`markdown.py` has its form).

Rules:
1. The file is written as a whole, beside itself, and takes its own place in one step: readers see the old file or the new.
2. Who writes reads first, under a lock that processes share (`flock` on a file beside it): nobody's notes are lost.
3. Vectors are not kept in it, where nobody could read them: they are computed again in the next process.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphflow.errors import MemoryUnavailable
from graphflow.memory.markdown import Notebook, parse_notebook, render_notebook
from graphflow.memory.note_store import Mark, NoteChanges, NoteFilter
from graphflow.memory.notes_in_memory import KnownVectors
from graphflow.messages.notes import Note

BUSY_S = 10.0
"""Seconds to wait for another process that writes."""
LOOK_S = 0.01
"""Seconds between two looks at its lock."""
MAX_BYTES = 16_000_000
"""Of a file that is read: a larger one is not a notebook, and SQLite keeps it better."""


class MarkdownNotes:
    """A store in one Markdown file. The file and its folder are made with the first note.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._vectors = KnownVectors()

    def read(self, scope: str, since: Mark | None) -> NoteChanges:
        with self._failures():
            mark = self._mark()
            if mark == since:
                return NoteChanges(mark, (), whole=False)
            notes = self._notebook().section(scope).notes
            return NoteChanges(mark, tuple(notes), whole=True)

    def put(self, note: Note) -> Note:
        def change(notebook: Notebook) -> tuple[Note, bool]:
            section = notebook.section(note.scope)
            for known in section.notes:
                if known.id == note.id:
                    return known, False
            if note.key:
                section.notes = [known for known in section.notes if known.key != note.key]
            section.notes.append(note)
            return note, True

        kept: Note = self._change(change)
        return kept

    def remove(self, wanted: NoteFilter) -> int:
        def change(notebook: Notebook) -> tuple[int, bool]:
            count = 0
            for section in notebook.sections:
                left = [note for note in section.notes if not wanted.takes(note)]
                count += len(section.notes) - len(left)
                section.notes = left
            return count, count > 0

        removed: int = self._change(change)
        return removed

    def trim(self, scope: str, most: int) -> int:
        def change(notebook: Notebook) -> tuple[int, bool]:
            section = notebook.section(scope)
            beyond = max(0, len(section.notes) - most)
            section.notes = section.notes[beyond:]
            return beyond, beyond > 0

        removed: int = self._change(change)
        return removed

    def vectors(self, notes: Sequence[Note], embedder: str) -> dict[str, bytes]:
        with self._lock:
            return self._vectors.of(notes, embedder)

    def keep_vectors(self, vectors: Iterable[tuple[Note, bytes]], embedder: str) -> None:
        with self._lock:
            self._vectors.keep(vectors, embedder)

    # -- the file ----------------------------------------------------------------------------------
    def _change(self, change: Callable[[Notebook], tuple[Any, bool]]) -> Any:
        """Changes the file, if the change says that it has: reads, changes, writes, all under the lock."""
        with self._failures(), self._alone():
            notebook = self._notebook()
            answer, has_changed = change(notebook)
            if has_changed:
                self._replace(render_notebook(notebook))
            return answer

    def _notebook(self) -> Notebook:
        try:
            size = self._path.stat().st_size
            if size > MAX_BYTES:
                raise MemoryUnavailable(
                    f"{self!r} has {size} bytes, more than the {MAX_BYTES} that are read; keep so many notes in a .db file"
                )
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        except UnicodeDecodeError as error:
            raise MemoryUnavailable(f"{self!r} is not UTF-8 text: {error}") from error
        return parse_notebook(text)

    def _mark(self) -> Mark:
        """What changes whenever the file does: another file takes its place at every change."""
        try:
            about = self._path.stat()
        except FileNotFoundError:
            return (0, 0, 0)
        return (about.st_mtime_ns, about.st_size, about.st_ino)

    def _replace(self, text: str) -> None:
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            with aside.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self._path)
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock: of this process's threads, and of processes."""
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            place = self._path.with_name(f".{self._path.name}.lock")
            # A lock belongs to what was opened, so it ends with the process that holds it, however that ends.
            handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._take(handle)
                yield
            finally:
                os.close(handle)

    def _take(self, handle: int) -> None:
        try:
            from fcntl import LOCK_EX, LOCK_NB, flock
        except ImportError:  # Windows
            raise MemoryUnavailable(
                f"{self!r}: this system has no flock, so notes go into a .db file here"
            ) from None
        end = time.monotonic() + BUSY_S
        while True:
            try:
                return flock(handle, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise MemoryUnavailable(
                        f"{self!r} was locked by another process for {BUSY_S:g} s; try again"
                    ) from None
            time.sleep(LOOK_S)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """What is wrong with the disk is told as an error of the memory."""
        try:
            yield
        except OSError as error:
            if isinstance(error, MemoryUnavailable):
                raise
            raise MemoryUnavailable(f"{self!r} cannot be used: {error}") from error

    def __repr__(self) -> str:
        return f"<notes in {self._path}>"
