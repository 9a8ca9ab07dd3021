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
4. Answers lie in a file beside that of their run, a line each: {"question": ..., "value": ..., "by": ..., "at": ...}.
5. With a key rows are {"row": 0, "sealed": BASE64}, and what else has content is text that is sealed. The wrapped data keys lie
   in `keys/`, one file each, so that a backup can leave them out. `store.key` says that the folder is encrypted.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from errno import EDQUOT, ENOSPC
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from graphflow.errors import StoreError, StoreUnreachable, StoreUnreadable
from graphflow.journal.accounts import AccountBalance, AccountCharge, ChargeOutcome
from graphflow.journal.commit import Commit
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
    moved,
)
from graphflow.journal.key_ring import StoreKey
from graphflow.journal.seal import PLAIN, STORE, Seal, SealOwner, run_owner
from graphflow.journal.sealed import (
    open_answer,
    open_large,
    seal_answer,
    seal_data,
    seal_large,
    seal_row,
)
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
from graphflow.journal.stored import Json, Lease, RunHeader, StoredAnswer, StoredRow
from graphflow.journal.stores.account_files import AccountFolder
from graphflow.journal.stores.jsonl_conversations import ConversationFolder
from graphflow.journal.stores.key_files import key_at, key_bytes
from graphflow.journal.stores.lines import (
    CREATE,
    MODE,
    file_name,
    remove,
    replace_whole,
    write_lines,
    write_whole,
)
from graphflow.journal.stores.run_file import RunFile
from graphflow.journal.vault import Vault, key_gone

T = TypeVar("T")

BUSY_S = 30.0
"""Seconds to wait for another process that has the folder."""
MIN_WAIT_S = 0.0002
MAX_WAIT_S = 0.01
"""Between two looks whether it is free."""
ENDING = ".jsonl"
ANSWERS = ".answers"
"""How the name of a file of answers ends."""
KEY = ".key"
"""How the name of a file ends that holds a wrapped data key."""


class JsonlStore(Store):
    """Keeps runs in a folder."""

    def __init__(self, folder: str, *, key: StoreKey | None = None) -> None:
        self._folder = Path(folder)
        self._vault = Vault(repr(self), key)
        self._fits = False
        """Whether the keys were seen to be the right ones."""
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._seen: dict[str, RunFile] = {}
        self._conversations = ConversationFolder(
            self._folder / "conversations", self._vault, self._key_path, self._rows_of
        )
        self._accounts = AccountFolder(self._folder / "accounts")

    def __repr__(self) -> str:
        return f"<store in the folder {self._folder}>"

    # -- writing -----------------------------------------------------------------------------------
    async def create(
        self,
        header: RunHeader,
        holder: str,
        lease_s: float = LEASE_S,
        rows: Sequence[StoredRow] = (),
        large: Large | None = None,
    ) -> Ownership:
        def work() -> Ownership:
            if self._read(header.id) is not None:
                raise self.exists(header.id)
            self._mark()
            owner = run_owner(header.graph, header.id)
            seal, wrapped = self._vault.new(owner)
            if wrapped is not None:
                write_whole(self._key_path(owner), key_bytes(wrapped))
            lease = next_lease(None, holder, time.time() + lease_s)
            lines: list[Json] = [{"run": _header_json(header, seal)}, _lease_line(lease)]
            if rows:
                kept = seal_large(seal, large or {})
                self._keep(kept)
                lines += _lines_of(rows, kept, seal)
            write_lines(self._path(header.id), lines, 0)
            return Ownership(header.id, lease.epoch, len(rows), lease_s)

        return await self._locked(work)

    async def acquire(
        self, run: str, holder: str, lease_s: float = LEASE_S, *, by_force: bool = False
    ) -> Ownership:
        def work() -> Ownership | None:
            file = self._read(run)
            if file is None:
                return None
            if file.seal is None:
                raise key_gone(run)
            now = time.time()
            if not by_force:
                refuse_owned(file.header, now)
            lease = next_lease(file.header.lease, holder, now + lease_s)
            write_lines(self._path(run), [_lease_line(lease)], file.sound)
            return Ownership(run, lease.epoch, len(file.places), lease_s)

        ownership = await self._locked(work)
        if ownership is None:
            raise await self.unknown(run)
        return ownership

    def _append(
        self,
        ownership: Ownership,
        first: int,
        rows: Sequence[StoredRow],
        large: Large,
        change: ConversationChange | None = None,
    ) -> Commit:
        def work() -> None:
            file, _ = self._owned(ownership)
            if file.problem is not None:  # rows behind a damaged one are read by nobody
                raise file.problem
            if len(file.places) != first:
                raise lease_lost(ownership)
            seal = file.seal or PLAIN  # without its key it would be a problem
            kept = seal_large(seal, large)
            self._keep(kept)
            if change is not None and not self._conversations.change(change, first + len(rows)):
                raise moved(change.name)
            write_lines(self._path(ownership.run), _lines_of(rows, kept, seal), file.sound)

        commit = Commit()
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, self._working(work, locked=True)).add_done_callback(
            commit.follow
        )
        return commit

    async def note(
        self,
        ownership: Ownership,
        status: str,
        metadata: Mapping[str, Json] | None = None,
        about: Mapping[str, Json] | None = None,
    ) -> None:
        def work() -> None:
            file, _ = self._owned(ownership)
            noted: dict[str, Json] = {"status": status, "changed": time.time()}
            seal = _seal_in(file)
            if metadata is not None:
                noted["metadata"] = _data(seal, metadata, "metadata")
            if about is not None:
                noted["about"] = _data(seal, about, "about")
            write_lines(self._path(ownership.run), [{"note": noted}], file.sound)

        await self._locked(work)

    async def renew(self, ownership: Ownership) -> None:
        def work() -> None:
            file, lease = self._owned(ownership)
            longer = replace(lease, until=time.time() + ownership.lease_s)
            write_lines(self._path(ownership.run), [_lease_line(longer)], file.sound)

        await self._locked(work)

    async def release(self, ownership: Ownership) -> None:
        def work() -> None:
            file = self._read(ownership.run)
            if file is None or file.header.lease is None:
                return
            lease = file.header.lease
            if lease.epoch == ownership.epoch:
                over = replace(lease, until=0.0)
                write_lines(self._path(ownership.run), [_lease_line(over)], file.sound)

        await self._locked(work)

    async def _put_answer(self, run: str, question: str, value: str, by: str) -> bool:
        def work() -> bool:
            file = self._read(run)
            if file is None:
                return False
            seal = _seal_in(file)
            answers, sound = _read_answers(self._answers_path(run), run, seal)
            if question in answers:
                return False
            name, text, giver = seal_answer(seal, question, value, by)
            line: Json = {"question": name, "value": text, "by": giver, "at": time.time()}
            write_lines(self._answers_path(run), [line], sound)
            return True

        return await self._locked(work)

    async def _delete(self, run: str) -> None:
        def work() -> bool:
            file = self._read(run)
            if file is None:
                return False
            refuse_owned(file.header, time.time())
            # The key first: with it, all else is closed for ever.
            remove(self._key_path(run_owner(file.header.graph, run)))
            # Before the run: another one of its id must not find them.
            remove(self._answers_path(run))
            remove(self._path(run))
            used: set[str] = set()  # equal values lie in one file, whichever runs name them
            for other in self._files():
                used |= other.large
            for digest in file.large - used:
                remove(self._large_path(digest))
            return True

        if not await self._locked(work):
            raise await self.unknown(run)

    async def compact(self) -> None:
        pass  # a file that is removed gives its space back

    async def rotate(self, key: StoreKey | None = None) -> int:
        ring = self._vault.ring_with(key)

        def work() -> int:
            paths = self._key_paths()
            # All of them are opened before the first one is written.
            renewed: list[bytes] = []
            for path in paths:
                wrapped = key_at(path)
                assert wrapped is not None  # only who has the lock removes one
                renewed.append(key_bytes(ring.rewrapped(wrapped)))
            for path, content in zip(paths, renewed, strict=True):
                replace_whole(path, content)
            self._vault.ring = ring
            return len(paths)

        return await self._locked(work)

    # -- conversations -----------------------------------------------------------------------------
    async def find_conversation(self, name: ConversationName) -> ConversationHeader | None:
        return await self._in_thread(lambda: self._conversations.find(name))

    async def conversations(self, graph: str | None = None) -> list[ConversationHeader]:
        return await self._in_thread(lambda: self._conversations.every(graph))

    async def exchanges(
        self, name: ConversationName, first: int = 1, run: str | None = None
    ) -> list[StoredExchange]:
        return await self._in_thread(lambda: self._conversations.exchanges(name, first, run))

    async def change(self, change: ConversationChange) -> bool:
        def work() -> bool:
            self._mark()
            return self._conversations.change(change)

        return await self._locked(work)

    # -- accounts ----------------------------------------------------------------------------------
    async def charge(self, charges: Sequence[AccountCharge]) -> ChargeOutcome:
        def work() -> ChargeOutcome:
            self._mark()
            return self._accounts.charge(charges)

        return await self._locked(work)

    async def accounts(self) -> list[AccountBalance]:
        return await self._in_thread(self._accounts.every)

    async def drop_accounts(self, over_since: float) -> int:
        return await self._locked(lambda: self._accounts.drop(over_since))

    def _rows_of(self, run: str) -> int | None:
        """How many rows a run has; None: it is gone."""
        file = self._read(run)
        return None if file is None else len(file.places)

    # -- reading -----------------------------------------------------------------------------------
    async def find(self, run: str) -> RunHeader | None:
        file = await self._in_thread(lambda: self._read(run))
        return None if file is None else file.header

    async def rows(self, run: str, first: int = 0) -> AsyncIterator[StoredRow]:
        file = await self._in_thread(lambda: self._read(run))
        if file is None:
            raise await self.unknown(run)
        path = self._path(run)
        at, known = first, len(file.places)
        while at < known:
            for row in await self._in_thread(lambda at=at: file.page(path, at)):  # type: ignore[misc]
                yield row
                at += 1
        if file.problem is not None:
            raise file.problem

    async def large(self, run: str, digest: str) -> bytes | None:
        def work() -> bytes | None:
            seal: Seal = PLAIN
            if not self._vault.is_clear:
                file = self._read(run)
                if file is None:
                    return None
                seal = _seal_in(file)
            path = self._large_path(seal.name(digest))
            return open_large(seal, digest, path.read_bytes()) if path.exists() else None

        return await self._in_thread(work)

    async def answers(self, run: str) -> dict[str, StoredAnswer]:
        def work() -> dict[str, StoredAnswer] | None:
            file = self._read(run)
            if file is None:
                return None
            answers, _ = _read_answers(self._answers_path(run), run, _seal_in(file))
            return answers

        answers = await self._in_thread(work)
        if answers is None:
            raise await self.unknown(run)
        return answers

    async def list_runs(self, wanted: RunFilter) -> list[RunHeader]:
        files = await self._in_thread(self._files)
        found = [file.header for file in files if wanted.takes(file.header)]
        return sorted(found, key=lambda header: header.changed, reverse=True)

    async def stats(self) -> Stats:
        def work() -> Stats:
            files = self._files()
            rows = sum(len(file.places) for file in files)
            large = list((self._folder / "large").glob("*"))
            answers = list(self._folder.glob("*" + ANSWERS))
            every = [*self._paths(), *answers, *large, *self._key_paths()]
            size = sum(path.stat().st_size for path in every)
            return Stats(len(files), rows, len(large), size)

        return await self._in_thread(work)

    async def now(self) -> float:
        return time.time()

    async def aclose(self) -> None:
        self._seen.clear()

    # -- files -------------------------------------------------------------------------------------
    async def _locked(self, work: Callable[[], T]) -> T:
        """Does something in a thread while no other process writes."""
        return await asyncio.to_thread(self._working(work, locked=True))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Does something in a thread."""
        return await asyncio.to_thread(self._working(work))

    def _working(self, work: Callable[[], T], *, locked: bool = False) -> Callable[[], T]:
        """The work; what is wrong with the disk is told as an error of the store."""

        def run() -> T:
            try:
                if not locked:
                    self._check_key()
                    return work()
                with self._alone():
                    self._check_key()
                    return work()
            except StoreError:
                raise
            except OSError as error:
                if error.errno in (ENOSPC, EDQUOT):
                    raise self.no_room() from None
                raise StoreUnreadable(f"{self!r} cannot be used: {error}") from error

        return run

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock of the folder: of this process's threads, and of processes."""
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            # A lock belongs to what was opened, so it ends with the process that holds it, however that ends.
            handle = os.open(self._folder / ".lock", os.O_RDWR | CREATE, MODE)
            try:
                self._take(handle)
                yield
            finally:
                os.close(handle)

    def _take(self, handle: int) -> None:
        """Takes a lock that other processes may have.

        Raises:
            StoreUnreachable: one of them does not give it back; it may be frozen.
        """
        end = time.monotonic() + BUSY_S
        wait_s = MIN_WAIT_S
        while True:
            try:
                return flock(handle, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise StoreUnreachable(
                        f"{self!r} was locked by another process for {BUSY_S:g} s; try again"
                    ) from None
            time.sleep(wait_s)
            wait_s = min(MAX_WAIT_S, 2 * wait_s)

    # -- keys --------------------------------------------------------------------------------------
    @property
    def _keys(self) -> Path:
        return self._folder / "keys"

    def _key_path(self, owner: SealOwner) -> Path:
        if owner == STORE:
            return self._folder / ("store" + KEY)
        return self._keys / (file_name(owner.label) + KEY)

    def _key_paths(self) -> list[Path]:
        """The files of all data keys, that of the store itself among them."""
        return [*self._folder.glob("store" + KEY), *sorted(self._keys.glob("*" + KEY))]

    def _seal_of(self, graph: str, run: str) -> Seal | None:
        """The seal of a run; None if its key is gone."""
        if self._vault.is_clear:
            return PLAIN
        owner = run_owner(graph, run)
        return self._vault.seal(owner, key_at(self._key_path(owner)))

    def _check_key(self) -> None:
        """Refuses a folder that does not fit the keys, before anything is done in it.

        Raises:
            StoreLocked, StoreUnencrypted: it does not.
        """
        if self._fits:
            return
        wrapped = key_at(self._key_path(STORE))
        if wrapped is None:
            if self._keys.exists():
                raise StoreUnreadable(f"{self!r} is encrypted, and its store.key is gone")
            if self._is_empty:
                return  # nobody has begun anything here
        self._vault.check(wrapped)
        self._fits = True

    def _mark(self) -> None:
        """Says of a folder in which nothing is yet that it is encrypted. Another process may have begun meanwhile.

        Raises:
            StoreLocked, StoreUnencrypted: in another way.
        """
        path = self._key_path(STORE)
        wrapped = key_at(path)
        if wrapped is None and not self._vault.is_clear and self._is_empty:
            _, wrapped = self._vault.new(STORE)
            assert wrapped is not None  # there are keys
            write_whole(path, key_bytes(wrapped))
            self._keys.mkdir(exist_ok=True)
        self._vault.check(wrapped)

    @property
    def _is_empty(self) -> bool:
        """Whether nothing was ever begun in it."""
        return not self._paths() and self._conversations.is_empty

    # -- paths -------------------------------------------------------------------------------------
    def _path(self, run: str) -> Path:
        return self._folder / (file_name(run) + ENDING)

    def _answers_path(self, run: str) -> Path:
        return self._folder / (file_name(run) + ANSWERS)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*" + ENDING))

    def _large_path(self, digest: str) -> Path:
        return self._folder / "large" / quote(digest, safe="")

    def _files(self) -> list[RunFile]:
        found = [self._read_path(path) for path in self._paths()]
        return [file for file in found if file is not None]

    def _read(self, run: str) -> RunFile | None:
        return self._read_path(self._path(run))

    def _read_path(self, path: Path) -> RunFile | None:
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
            file = RunFile.at(path, status.st_ino, self._seal_of)
            if file is not None:
                self._seen[path.name] = file
            return file

    def _owned(self, ownership: Ownership) -> tuple[RunFile, Lease]:
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

    def _keep(self, large: Large) -> None:
        if not large:
            return
        (self._folder / "large").mkdir(exist_ok=True)
        for digest, body in large.items():
            path = self._large_path(digest)
            if path.exists():
                continue
            write_whole(path, body)


# -- lines -----------------------------------------------------------------------------------------
def _lines_of(rows: Sequence[StoredRow], large: Large, seal: Seal) -> list[Json]:
    """Rows, and the note behind them by which they count."""
    noted: Json = {"changed": time.time(), "large": list(large)}
    if seal is PLAIN:
        return [*map(_row_json, rows), {"note": noted}]
    lines: list[Json] = []
    for row in rows:
        content = b64encode(seal_row(seal, row))
        lines.append({"row": row.number, "sealed": content.decode()})
    return [*lines, {"note": noted}]


def _seal_in(file: RunFile) -> Seal:
    """The seal of a run.

    Raises:
        RunDamaged: its key is gone.
    """
    if file.seal is None:
        raise key_gone(file.header.id)
    return file.seal


def _data(seal: Seal, data: Mapping[str, Json], field: str) -> Json:
    """`about` or `metadata` in a line: an object, or text if it is sealed."""
    return data if seal is PLAIN else seal_data(seal, data, field)


def _row_json(row: StoredRow) -> Json:
    return {
        "row": row.number,
        "kind": row.kind,
        "place": row.place,
        "body": row.body,
        "checksum": row.checksum,
    }


def _lease_line(lease: Lease) -> Json:
    return {"lease": {"holder": lease.holder, "epoch": lease.epoch, "until": lease.until}}


def _header_json(header: RunHeader, seal: Seal) -> Json:
    return {
        "id": header.id,
        "graph": header.graph,
        "status": header.status,
        "began": header.began,
        "changed": header.changed,
        "about": _data(seal, header.about, "about"),
        "metadata": _data(seal, header.metadata, "metadata"),
        "format": header.format,
    }


def _read_answers(path: Path, run: str, seal: Seal) -> tuple[dict[str, StoredAnswer], int]:
    """The answers in a file, by question, and how many bytes of it are whole lines.

    Raises:
        StoreUnreadable: a line is not an answer.
    """
    if not path.exists():
        return {}, 0
    content = path.read_bytes()
    sound = content.rfind(b"\n") + 1
    answers: dict[str, StoredAnswer] = {}
    for number, line in enumerate(content[:sound].split(b"\n")[:-1], start=1):
        try:
            answer = open_answer(seal, StoredAnswer(run, **json.loads(line)))
        except (TypeError, ValueError):
            raise StoreUnreadable(
                f"line {number} of {path} is not an answer; correct it, or remove it"
            ) from None
        # Two of one question can only be there if somebody wrote the file by hand.
        answers.setdefault(answer.question, answer)
    return answers, sound
