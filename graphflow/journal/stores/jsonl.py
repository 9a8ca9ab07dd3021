"""Runs as JSON lines, a file a run: the store that people can read.

    {"run": {...}}                                        what it was begun with; the first line
    {"lease": {"holder": ..., "epoch": 1, "until": ...}}  who owns it; the last one counts
    {"row": 0, "kind": ..., "place": ..., "body": ..., "checksum": ...}
    {"note": {"status": ..., "changed": ...}}             the last one counts

Rules:
1. A file is only ever added to, in whole lines, under a lock on the folder that processes share (`flock`). So every
   process sees the same order, and the newest lease is the last one in the file.
2. Rows are followed by a note. Rows without one, and a line without its newline, were being written when the machine died.
   Nobody was told that they are there; whoever writes next cuts them off.
3. Large values lie in `large/`, one file each, named by their digest.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from errno import EDQUOT, ENOSPC
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from graphflow.errors import RunDamaged, StoreError, StoreUnreadable
from graphflow.journal.store import (
    LEASE_S,
    Large,
    Ownership,
    RunFilter,
    Stats,
    Store,
    lease_lost,
    next_lease,
    refuse_owned,
)
from graphflow.journal.stored import FORMAT, Json, Lease, RunHeader, StoredRow, check_row

T = TypeVar("T")

ENDING = ".jsonl"
_ROW = b'{"row":'
"""How the line of a row begins."""
_CREATE = os.O_CREAT | os.O_CLOEXEC
MODE = 0o644
"""Who may do what with a new file: its owner may write."""
MAX_NAME = 200
"""Bytes of a file's name that an id may take; file systems allow 255."""


@dataclass(slots=True)
class _File:
    """What a run's file holds.

    Attributes:
        sound: bytes up to the end of what was read: whole lines, and of rows whole additions.
        problem: what is wrong with the next row; nothing behind it is read.
    """

    header: RunHeader
    inode: int
    sound: int = 0
    rows: list[StoredRow] = field(default_factory=list)
    large: set[str] = field(default_factory=set)
    problem: RunDamaged | None = None

    @staticmethod
    def at(path: Path, inode: int) -> _File:
        """A file, read from its beginning.

        Raises:
            StoreUnreadable: its first line is not that of a run, or a newer version's.
        """
        with path.open("rb") as lines:
            first = lines.readline()
        try:
            header = RunHeader(**json.loads(first)["run"])
        except (KeyError, TypeError, ValueError):
            raise StoreUnreadable(f'{path} is not a run: its first line should be {{"run": ...}}') from None
        if header.format > FORMAT:
            raise StoreUnreadable(
                f"{path} has format {header.format}, written by a newer version of graphflow; "
                f"this one reads formats up to {FORMAT}: update graphflow"
            )
        file = _File(header, inode, len(first))
        file.read_on(path, path.stat().st_size)
        return file

    def read_on(self, path: Path, size: int) -> None:
        """Reads what has been added, up to the last line that ends something: rows count when the note behind them is there."""
        if size == self.sound:
            return
        added: list[bytes] = []
        with path.open("rb") as lines:
            lines.seek(self.sound)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                added.append(line)
                if line.startswith(_ROW):
                    continue
                for each in added:
                    self._take(each)
                    self.sound += len(each)
                added.clear()
        self.header = replace(self.header, rows=len(self.rows))

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if "row" in record:
                self._take_row(
                    StoredRow(record["row"], record["kind"], record["place"], record["body"], record["checksum"])
                )
            elif "lease" in record:
                self.header = replace(self.header, lease=Lease(**record["lease"]))
            else:
                noted = record["note"]
                self.large.update(noted.pop("large", ()))
                self.header = replace(self.header, **noted)
        except (KeyError, TypeError, ValueError):
            self._note_problem(RunDamaged(self.header.id, len(self.rows), "a line of its file cannot be read"))

    def _take_row(self, row: StoredRow) -> None:
        if self.problem is not None:
            return
        try:
            check_row(self.header.id, row, len(self.rows))
        except RunDamaged as problem:
            self._note_problem(problem)
        else:
            self.rows.append(row)

    def _note_problem(self, problem: RunDamaged) -> None:
        if self.problem is None:
            self.problem = problem


class JsonlStore(Store):
    """Keeps runs in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._seen: dict[str, _File] = {}

    def __repr__(self) -> str:
        return f"<store in the folder {self._folder}>"

    # -- writing -------------------------------------------------------------------------------------------------------
    async def create(self, header: RunHeader, holder: str, lease_s: float = LEASE_S) -> Ownership:
        def work() -> Ownership:
            if self._read(header.id) is not None:
                raise self.exists(header.id)
            lease = next_lease(None, holder, time.time() + lease_s)
            begun: Json = {"run": _header_json(header)}
            self._write(header.id, [begun, _lease_line(lease)], 0)
            return Ownership(header.id, lease.epoch, 0, lease_s)

        return await self._locked(work)

    async def acquire(self, run: str, holder: str, lease_s: float = LEASE_S) -> Ownership:
        def work() -> Ownership | None:
            file = self._read(run)
            if file is None:
                return None
            now = time.time()
            refuse_owned(file.header, now)
            lease = next_lease(file.header.lease, holder, now + lease_s)
            self._write(run, [_lease_line(lease)], file.sound)
            return Ownership(run, lease.epoch, len(file.rows), lease_s)

        ownership = await self._locked(work)
        if ownership is None:
            raise await self.unknown(run)
        return ownership

    async def _append(self, ownership: Ownership, first: int, rows: Sequence[StoredRow], large: Large) -> None:
        def work() -> None:
            file, _ = self._owned(ownership)
            if file.problem is not None:  # rows behind a damaged one are read by nobody
                raise file.problem
            if len(file.rows) != first:
                raise lease_lost(ownership)
            self._keep(large)
            lines: list[Json] = [_row_json(row) for row in rows]
            noted: Json = {"changed": time.time(), "large": list(large)}
            lines.append({"note": noted})
            self._write(ownership.run, lines, file.sound)

        await self._locked(work)

    async def note(self, ownership: Ownership, status: str, metadata: Mapping[str, Json] | None = None) -> None:
        def work() -> None:
            file, _ = self._owned(ownership)
            noted: dict[str, Json] = {"status": status, "changed": time.time()}
            if metadata is not None:
                noted["metadata"] = metadata
            self._write(ownership.run, [{"note": noted}], file.sound)

        await self._locked(work)

    async def renew(self, ownership: Ownership) -> None:
        def work() -> None:
            file, lease = self._owned(ownership)
            longer = replace(lease, until=time.time() + ownership.lease_s)
            self._write(ownership.run, [_lease_line(longer)], file.sound)

        await self._locked(work)

    async def release(self, ownership: Ownership) -> None:
        def work() -> None:
            file = self._read(ownership.run)
            if file is None or file.header.lease is None:
                return
            lease = file.header.lease
            if lease.epoch == ownership.epoch:
                over = replace(lease, until=0.0)
                self._write(ownership.run, [_lease_line(over)], file.sound)

        await self._locked(work)

    async def delete(self, run: str) -> None:
        def work() -> bool:
            file = self._read(run)
            if file is None:
                return False
            refuse_owned(file.header, time.time())
            self._path(run).unlink()
            used: set[str] = set()  # equal values lie in one file, whichever runs name them
            for other in self._files():
                used |= other.large
            for digest in file.large - used:
                self._large_path(digest).unlink(missing_ok=True)
            return True

        if not await self._locked(work):
            raise await self.unknown(run)

    async def compact(self) -> None:
        pass  # a file that is removed gives its space back

    # -- reading -------------------------------------------------------------------------------------------------------
    async def find(self, run: str) -> RunHeader | None:
        file = await asyncio.to_thread(self._read, run)
        return None if file is None else file.header

    async def rows(self, run: str, first: int = 0) -> AsyncIterator[StoredRow]:
        file = await asyncio.to_thread(self._read, run)
        if file is None:
            raise await self.unknown(run)
        for row in file.rows[first:]:
            yield row
        if file.problem is not None:
            raise file.problem

    async def large(self, digest: str) -> bytes | None:
        def work() -> bytes | None:
            path = self._large_path(digest)
            return path.read_bytes() if path.exists() else None

        return await asyncio.to_thread(work)

    async def list_runs(self, wanted: RunFilter) -> list[RunHeader]:
        files = await asyncio.to_thread(self._files)
        found = [file.header for file in files if wanted.takes(file.header)]
        return sorted(found, key=lambda header: header.changed, reverse=True)

    async def stats(self) -> Stats:
        def work() -> Stats:
            files = self._files()
            rows = sum(len(file.rows) for file in files)
            large = list((self._folder / "large").glob("*"))
            every = [*self._paths(), *large]
            size = sum(path.stat().st_size for path in every)
            return Stats(len(files), rows, len(large), size)

        return await asyncio.to_thread(work)

    async def now(self) -> float:
        return time.time()

    async def aclose(self) -> None:
        self._seen.clear()

    # -- files ---------------------------------------------------------------------------------------------------------
    async def _locked(self, work: Callable[[], T]) -> T:
        """Does something in a thread while no other process writes."""

        def locked() -> T:
            try:
                with self._alone():
                    return work()
            except OSError as error:
                if error.errno in (ENOSPC, EDQUOT):
                    raise self.no_room() from None
                if isinstance(error, StoreError):
                    raise
                raise StoreUnreadable(f"{self!r} cannot be used: {error}") from error

        return await asyncio.to_thread(locked)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock of the folder: of this process's threads, and of processes."""
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            # A lock belongs to what was opened, so it ends with the process that holds it, however that ends.
            handle = os.open(self._folder / ".lock", os.O_RDWR | _CREATE, MODE)
            try:
                flock(handle, LOCK_EX)
                yield
            finally:
                os.close(handle)

    def _path(self, run: str) -> Path:
        return self._folder / (_file_name(run) + ENDING)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*" + ENDING))

    def _large_path(self, digest: str) -> Path:
        return self._folder / "large" / quote(digest, safe="")

    def _files(self) -> list[_File]:
        found = [self._read_path(path) for path in self._paths()]
        return [file for file in found if file is not None]

    def _read(self, run: str) -> _File | None:
        return self._read_path(self._path(run))

    def _read_path(self, path: Path) -> _File | None:
        """What a file holds. What was read of it before is not read again: a file only grows."""
        with self._reading:
            try:
                status = path.stat()
            except FileNotFoundError:
                self._seen.pop(path.name, None)
                return None
            seen = self._seen.get(path.name)
            # One that is shorter than what was read of it, or has another inode, was removed and begun anew.
            if seen is not None and seen.inode == status.st_ino and seen.sound <= status.st_size:
                seen.read_on(path, status.st_size)
                return seen
            file = _File.at(path, status.st_ino)
            self._seen[path.name] = file
            return file

    def _owned(self, ownership: Ownership) -> tuple[_File, Lease]:
        """The file of a run, for its owner.

        Raises:
            LeaseLost: somebody else owns the run now, or it is gone.
        """
        file = self._read(ownership.run)
        if file is None:
            raise lease_lost(ownership)
        lease = file.header.lease
        if lease is None or lease.epoch != ownership.epoch:
            raise lease_lost(ownership)
        return file, lease

    def _write(self, run: str, lines: Sequence[Json], sound: int) -> None:
        """Adds whole lines behind the sound part of a file; what is left of a line that was torn goes.

        All of them or none: if there is no room for the last one, the file is cut to what it was.
        """
        texts = [json.dumps(line, separators=(",", ":")) for line in lines]
        text = "\n".join([*texts, ""])
        handle = os.open(self._path(run), os.O_WRONLY | _CREATE, MODE)
        try:
            os.ftruncate(handle, sound)
            try:
                _write_all(handle, text.encode(errors="surrogatepass"), sound)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, sound)
                raise
        finally:
            os.close(handle)

    def _keep(self, large: Large) -> None:
        if not large:
            return
        (self._folder / "large").mkdir(exist_ok=True)
        for digest, body in large.items():
            path = self._large_path(digest)
            if path.exists():
                continue
            half = path.with_suffix(".half")
            handle = os.open(half, os.O_WRONLY | os.O_TRUNC | _CREATE, MODE)
            try:
                _write_all(handle, body, 0)
                os.fsync(handle)
            finally:
                os.close(handle)
            half.replace(path)  # a reader sees all of it or nothing


def _write_all(handle: int, content: bytes, at: int) -> None:
    rest = memoryview(content)
    while rest:
        written = os.pwrite(handle, rest, at)
        rest, at = rest[written:], at + written


def _file_name(run: str) -> str:
    """A file's name for an id. One that is too long for a file system keeps its beginning, and has a digest."""
    name = quote(run, safe=" @+,=")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) <= MAX_NAME:
        return name
    beginning = name[: MAX_NAME - 40]
    digest = sha256(run.encode(errors="surrogatepass")).hexdigest()
    return f"{beginning}~{digest[:32]}"


# -- lines -------------------------------------------------------------------------------------------------------------
def _row_json(row: StoredRow) -> Json:
    return {"row": row.number, "kind": row.kind, "place": row.place, "body": row.body, "checksum": row.checksum}


def _lease_line(lease: Lease) -> Json:
    return {"lease": {"holder": lease.holder, "epoch": lease.epoch, "until": lease.until}}


def _header_json(header: RunHeader) -> Json:
    return {
        "id": header.id,
        "graph": header.graph,
        "status": header.status,
        "began": header.began,
        "changed": header.changed,
        "about": header.about,
        "metadata": header.metadata,
        "format": header.format,
    }
