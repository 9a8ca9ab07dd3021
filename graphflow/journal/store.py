"""Where runs are kept: one small seam, and behind it memory, files or a database.

Rules:
1. What `append` has returned from is kept, whatever happens to the process or the machine. Rows are added in order, all
   of one call or none.
2. A run has one owner. Who acquires a run gets a lease with a number, its epoch, that is higher than every one before; rows
   are taken with the newest epoch only. So an owner that was asleep for too long cannot write into what another one goes
   on with, even if it never noticed.
3. A lease ends by itself. Its holder renews it well before that; who wants to go on with the run of a holder that is dead
   waits until then.
4. A large value is kept once, by the digest of its content, and before the row that names it.
5. Anybody may answer a question of a run, whoever owns it. The first answer counts, and later ones are refused.
6. What runs spend is counted in accounts (`accounts.py`), whichever process they are in. Removing runs changes no account.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from graphflow.errors import (
    AnswerExists,
    DeclarationError,
    LeaseLost,
    RunDamaged,
    RunExists,
    RunOwned,
    RunUnknown,
    StoreFull,
    StoreUnencrypted,
    StoreUnreadable,
)
from graphflow.journal.accounts import AccountBalance, AccountCharge, ChargeOutcome
from graphflow.journal.addresses import address_problem
from graphflow.journal.codec.secrets import hide
from graphflow.journal.commit import Commit
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
)
from graphflow.journal.key_ring import StoreKey
from graphflow.journal.seal import PLAIN, Seal
from graphflow.journal.stored import Json, Lease, RunHeader, StoredAnswer, StoredRow
from graphflow.plugins.seams import STORES
from graphflow.redaction import scrub

LEASE_S = 30.0
"""Seconds that a lease lasts if nothing else is said."""
PAGE = 1000
"""Rows that are read at a time."""
PAGE_BYTES = 16 * 1024 * 1024
"""Of rows that are long, so many bytes are read at a time."""
_GOING_ON = frozenset({"running", "waiting"})
"""In which status a run has not ended."""
if TYPE_CHECKING:
    from graphflow.proofs.proven import AnyGraph


class ResumableGraph(Protocol):
    """A graph whose runs can go on."""

    async def resume(self, id: str, /, *, store: Store) -> object: ...


Large: TypeAlias = Mapping[str, bytes]
"""Large values by the digest of their content."""


@dataclass(slots=True)
class Ownership:
    """The right to add rows to a run.

    Attributes:
        run: its id.
        epoch: the number of the lease.
        rows: how many rows the run has, and so the number of the next one.
        lease_s: how long it lasts from each renewal, in seconds.
        key: what the store itself knows the run by, if that is not its id.
        seal: what its rows are sealed with.
    """

    run: str
    epoch: int
    rows: int
    lease_s: float
    key: int = 0
    seal: Seal = PLAIN


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted; None: all.

    Attributes:
        graph: of the graph of this name.
        status: in this status.
        since: that have changed at or after this time, in seconds since 1970.
        metadata: that have all of these.
    """

    graph: str | None = None
    status: str | None = None
    since: float | None = None
    metadata: Mapping[str, Json] | None = None

    def takes(self, header: RunHeader) -> bool:
        """Whether a run is wanted."""
        if self.graph is not None and header.graph != self.graph:
            return False
        if self.status is not None and header.status != self.status:
            return False
        if self.since is not None and header.changed < self.since:
            return False
        wanted = self.metadata or {}
        for name, value in wanted.items():
            if header.metadata.get(name) != value:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Stats:
    """How much is in a store.

    Attributes:
        runs: how many runs.
        rows: how many rows, of all runs.
        large: how many large values.
        bytes: what all of it takes on the disk, or in memory.
    """

    runs: int
    rows: int
    large: int
    bytes: int


class Store(ABC):
    """Keeps runs. Open one with `Store.open`; use it from any event loop; close it when no run uses it any more."""

    @staticmethod
    def open(address: str, *, key: StoreKey | None = None, **options: object) -> Store:
        """The store at an address. Nothing is created or connected to before it is used.

        Args:
            address: "memory:", "jsonl:FOLDER", "sqlite:FILE", "postgresql://USER@HOST/DATABASE", or one of a plug-in's scheme.
            key: what its content is encrypted with: 32 bytes, their base64 text, `env:NAME` or `file:PATH` of what holds it, or
                several keys by their names, the active one last (`KeyRing`); None: nothing is encrypted. Of what is in
                memory nothing is at rest, so there a key changes nothing.
            options: of the store of a plug-in, as it names them.

        Raises:
            StoreUnreadable: no kind of store has such addresses.
            PluginError: a plug-in has them, which may not be used, cannot be loaded, or does not take these options.
            DeclarationError: options were given for another store.
            KeyInvalid: the key is not one. Whether it is the right one is seen when the store is first used: `StoreLocked`.
            MissingExtra: its driver, or what encrypts, is not installed.
        """
        # Each store stands on this page, so this is the one place that reaches up. It does so when it is asked: a driver is
        # only loaded by whoever has runs where it leads to.
        kind, _, rest = address.partition(":")
        if options:
            return _plugged(address, key, options)
        if kind == "memory":
            from graphflow.journal.stores.memory import MemoryStore

            return MemoryStore(key=key)
        if kind == "jsonl" and rest:
            from graphflow.journal.stores.jsonl import JsonlStore

            return JsonlStore(rest, key=key)
        # Each connection would get one of its own.
        if kind == "sqlite" and rest and rest != ":memory:":
            from graphflow.journal.stores.sqlite import SqliteStore

            return SqliteStore(rest, key=key)
        if kind in ("postgresql", "postgres") and rest.startswith("//"):
            from graphflow.journal.stores.postgres import PostgresStore

            return PostgresStore(address, key=key)
        return _plugged(address, key, options)

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # -- writing -----------------------------------------------------------------------------------
    @abstractmethod
    async def create(
        self,
        header: RunHeader,
        holder: str,
        lease_s: float = LEASE_S,
        rows: Sequence[StoredRow] = (),
        large: Large | None = None,
    ) -> Ownership:
        """Begins a run, with its first rows and the large values that they name, and acquires it.

        Raises:
            RunExists: there is one of that id.
        """

    @abstractmethod
    async def acquire(
        self, run: str, holder: str, lease_s: float = LEASE_S, *, by_force: bool = False
    ) -> Ownership:
        """Takes a run that nobody owns any more.

        Args:
            run: its id.
            holder: who takes it, in words for people.
            lease_s: seconds that the lease lasts from each renewal.
            by_force: whether it is taken from whoever owns it, who adds nothing more to it from then on.

        Raises:
            RunUnknown: there is none of that id.
            RunOwned: somebody's lease has not ended yet.
        """

    async def append(
        self,
        ownership: Ownership,
        rows: Sequence[StoredRow],
        large: Large | None = None,
        change: ConversationChange | None = None,
    ) -> None:
        """Adds rows, and the large values that they name. When it returns, they are kept.

        The first row's number is `ownership.rows`, which counts up. One call follows another: nobody adds to a run twice at a
        time.

        Args:
            ownership: the right to add them.
            rows: in order.
            large: by the digest of their content.
            change: of a conversation, in the same transaction.

        Raises:
            LeaseLost: somebody else owns the run now; nothing was added.
            ConversationMoved: the conversation is no longer what it is to be changed from; nothing was added.
            StoreFull: there is no room; nothing was added.
            StoreUnreachable: nobody knows whether anything was added; the same call again is safe.
        """
        first = ownership.rows
        # Only who has an exchange to add needs a store that keeps conversations.
        beside = () if change is None else (change,)
        commit = self._append(ownership, first, rows, large or {}, *beside)
        try:
            await commit
        finally:  # whoever was cancelled meanwhile has to know, too
            if commit.done() and commit.exception() is None:
                ownership.rows = first + len(rows)

    @abstractmethod
    def _append(
        self,
        ownership: Ownership,
        first: int,
        rows: Sequence[StoredRow],
        large: Large,
        change: ConversationChange | None = None,
    ) -> Commit:
        """Begins to add rows, of which the first has this number, if the run has as many already and nobody else owns it now.

        It gives a future and is not a coroutine, because a task for each step of each run would cost more than the step.
        """

    @abstractmethod
    async def note(
        self,
        ownership: Ownership,
        status: str,
        metadata: Mapping[str, Json] | None = None,
        about: Mapping[str, Json] | None = None,
    ) -> None:
        """Notes a run's status, and replaces its metadata and what it is about if they are given.

        Raises:
            LeaseLost: somebody else owns the run now.
        """

    @abstractmethod
    async def renew(self, ownership: Ownership) -> None:
        """Makes a lease last from now on.

        Raises:
            LeaseLost: somebody else owns the run now.
        """

    @abstractmethod
    async def release(self, ownership: Ownership) -> None:
        """Gives a run back at once. If somebody else has it, nothing is done."""

    async def put_answer(self, run: str, question: str, value: str, by: str = "") -> None:
        """Keeps an answer for whoever owns the run. When it returns, it is kept.

        Args:
            value: JSON text.
            by: who answers, in words for people.

        Raises:
            AnswerExists: the question was answered already; that answer stays.
            RunUnknown: there is no such run.
            StoreFull: there is no room; nothing was kept.
            StoreUnreachable: nobody knows whether it was kept; `AnswerExists` for the same call again tells that it was.
        """
        # The run may be removed and begun anew in between; then there is no answer to tell of, and this one can be put.
        value, by = hide(value), scrub(by)
        while not await self._put_answer(run, question, value, by):
            answers = await self.answers(run)
            if question in answers:
                first = answers[question]
                raise AnswerExists(run, question, first.by, first.at)

    @abstractmethod
    async def _put_answer(self, run: str, question: str, value: str, by: str) -> bool:
        """Keeps an answer if there is such a run, and no answer to the question; whether it did."""

    # -- conversations -----------------------------------------------------------------------------
    @abstractmethod
    async def find_conversation(self, name: ConversationName) -> ConversationHeader | None:
        """A conversation's header, if there is such a conversation."""

    @abstractmethod
    async def conversations(self, graph: str | None = None) -> list[ConversationHeader]:
        """The headers of the conversations of a graph, or of all, the newest first."""

    @abstractmethod
    async def exchanges(
        self, name: ConversationName, first: int = 1, run: str | None = None
    ) -> list[StoredExchange]:
        """The exchanges of a conversation in order, from a number on; with `run`, only that of this run.

        One that is not as it was written is among them, and not sound.
        """

    @abstractmethod
    async def change(self, change: ConversationChange) -> bool:
        """Changes a conversation if it has the expected version; whether it did. When it returns, that is kept."""

    # -- accounts ----------------------------------------------------------------------------------
    async def charge(self, charges: Sequence[AccountCharge]) -> ChargeOutcome:
        """Adds to accounts: all of it, or nothing if it does not fit under a ceiling. When it returns, that is kept.

        Args:
            charges: one for each account at most.

        Raises:
            DeclarationError: this kind of store has no accounts.
            StoreUnreachable: nobody knows whether anything was added.
            StoreFull: there is no room; nothing was added.
        """
        raise self._without_accounts()

    async def accounts(self) -> list[AccountBalance]:
        """What all accounts hold, by their names.

        Raises:
            DeclarationError: this kind of store has none.
        """
        raise self._without_accounts()

    async def drop_accounts(self, over_since: float) -> int:
        """Removes the accounts that were over at a time, in seconds since 1970: of days that have gone. How many."""
        return 0

    def _without_accounts(self) -> DeclarationError:
        return DeclarationError(
            f"{self!r} has no accounts, so no budget can be counted there; use memory:, jsonl:, sqlite: or postgresql:"
        )

    # -- reading -----------------------------------------------------------------------------------
    @abstractmethod
    async def find(self, run: str) -> RunHeader | None:
        """A run's header, if there is such a run."""

    @abstractmethod
    def rows(self, run: str, first: int = 0) -> AsyncIterator[StoredRow]:
        """A run's rows in order, from a number on.

        Raises:
            RunDamaged: a row is not as it was written; those before it have been yielded.
        """

    @abstractmethod
    async def large(self, run: str, digest: str) -> bytes | None:
        """A large value that a run names, if it is kept.

        Raises:
            SealBroken: it is encrypted, and not as it was written.
        """

    @abstractmethod
    async def answers(self, run: str) -> dict[str, StoredAnswer]:
        """The answers to a run's questions, by question, the first one first.

        Raises:
            RunUnknown: there is no such run.
        """

    @abstractmethod
    async def list_runs(self, wanted: RunFilter) -> list[RunHeader]:
        """The headers of runs, the newest first."""

    async def header(self, run: str) -> RunHeader:
        """A run's header.

        Raises:
            RunUnknown: there is no such run.
        """
        found = await self.find(run)
        if found is None:
            raise await self.unknown(run)
        return found

    async def runs(
        self,
        *,
        graph: str | None = None,
        status: str | None = None,
        since: float | None = None,
        metadata: Mapping[str, Json] | None = None,
    ) -> list[RunHeader]:
        """The headers of the runs that fit, the newest first; `RunFilter` says what each word means."""
        return await self.list_runs(RunFilter(graph, status, since, metadata))

    async def unknown(self, run: str) -> RunUnknown:
        """The error for a run that is not there; it names near ones."""
        known = [header.id for header in await self.list_runs(RunFilter())]
        near = get_close_matches(run, known, n=3)
        hint = "there is 1 run in it" if len(known) == 1 else f"there are {len(known)} runs in it"
        if near:
            names = ", ".join(map(repr, near))
            hint = f"did you mean {names}?"
        return RunUnknown(f"no run {run!r} is in {self!r}; {hint}")

    def exists(self, run: str) -> RunExists:
        """The error for a run that is there already."""
        return RunExists(f"a run {run!r} is in {self!r} already; resume it, or choose another id")

    def cut_off(self, run: str, position: int, known: int) -> RunDamaged:
        """The error for a run that has fewer rows than its header tells."""
        return RunDamaged(run, position, f"it is missing, though the run has {known} rows")

    def no_room(self) -> StoreFull:
        """The error for what cannot be written any more."""
        return StoreFull(f"{self!r} has no room for more; everything that was acknowledged is kept")

    def too_new(self, found: int, known: int) -> StoreUnreadable:
        """The error for what a newer version has written, as a schema or format of that number."""
        return StoreUnreadable(
            f"{self!r} has schema {found}, written by a newer version of graphflow; "
            f"this one reads up to {known}: update graphflow"
        )

    # -- runs as people know them ------------------------------------------------------------------
    async def load(self, run: str, graph: AnyGraph | None = None) -> Any:
        """A `Run` as it was when it was kept last: its events, usage, steps; with its graph, pictures of it, too.

        Args:
            run: its id.
            graph: what it walks; None: its messages are read as plain data.

        Raises:
            RunUnknown: there is no such run.
            Unreadable: its record does not fit the graph.
        """
        # A run stands far above its store, and shows itself. Its room is loaded when somebody wants to look at one.
        face = import_module("graphflow.run")
        return await face.load_run(self, run, graph)

    async def answer(
        self,
        run: str,
        question: str,
        value: object,
        *,
        arm: str = "",
        by: str = "",
        resume: ResumableGraph | None = None,
    ) -> Any:
        """Answers a question of a run, from whatever process.

        Args:
            run: its id.
            question: the question's id, or the name of the node that asks, if only one question of that node is open.
            value: the answer: JSON data, or what can be made of it.
            arm: of a union, the name of the class that plain data is meant for, where it fits several.
            by: who answers, for the record.
            resume: the run's graph: then the run goes on here and now.

        Returns:
            The run, if it went on here; else None.

        Raises:
            RunUnknown, QuestionUnknown: there is no such run, or no such question is open in it.
            AnswerExists: somebody was faster.
            AnswerInvalid: the answer does not fit.
        """
        # Which reads the record, and so stands above.
        answers = import_module("graphflow.journal.answers")
        await answers.answer_question(self, run, question, value, arm, by)
        return None if resume is None else await resume.resume(run, store=self)

    async def send(
        self,
        run: str,
        node: str,
        message: object,
        *,
        key: str = "",
        arm: str = "",
        by: str = "",
        resume: ResumableGraph | None = None,
    ) -> Any:
        """Sends a message to the `Receive` of that name. One that comes before it is asked for is kept until then.

        Args:
            run: the run's id.
            node: the name of the node.
            message: JSON data, or what can be made of it.
            key: a name of this very message: sent again under the same, it is there once.
            arm: of a union, the name of the class that plain data is meant for, where it fits several.
            by: who sends it, for the record.
            resume: the run's graph: then the run goes on here and now.

        Returns:
            The run, if it went on here; else None.

        Raises:
            RunUnknown: there is no such run.
            QuestionUnknown: it has ended.
            AnswerInvalid: the node waits for something else.
        """
        answers = import_module("graphflow.journal.answers")
        await answers.send_message(self, run, node, message, key, arm, by)
        return None if resume is None else await resume.resume(run, store=self)

    # -- keeping house -----------------------------------------------------------------------------
    async def delete(self, run: str) -> None:
        """Removes a run, its rows, its answers, its key, and the large values that no other run names.

        What was removed is overwritten as far as the store reaches: not in backups, in snapshots of a disk, nor in the log
        that a server archives. Of a run with a key the rows in those stay closed for ever, if the keys are not in them.

        Raises:
            RunUnknown: there is no such run.
            RunOwned: somebody is working on it.
            StoreUnreachable: it is removed, but not overwritten yet, as another process is reading; `compact` does it later.
        """
        await self.remove_run(run)
        await self.erase()

    async def remove_run(self, run: str) -> None:
        """Removes a run as `delete` does, and overwrites nothing: `erase` does it, for many at once.

        Raises:
            RunUnknown: there is no such run.
            RunOwned: somebody is working on it.
        """
        await self._delete(run)

    async def erase(self) -> None:
        """Overwrites what was removed.

        Raises:
            StoreUnreachable: another process is reading; `compact` does it later.
        """
        await self._erase()

    @abstractmethod
    async def _delete(self, run: str) -> None:
        """Removes a run and what is its own.

        Raises:
            RunUnknown: there is no such run.
            RunOwned: somebody is working on it.
        """

    async def _erase(self) -> None:
        """Overwrites what was removed, where it would lie about otherwise."""
        await self.compact()

    async def rotate(self, key: StoreKey | None = None) -> int:
        """Wraps all data keys anew. Rows are not touched: it takes some two seconds for 100,000 runs.

        Args:
            key: the keys from now on; those that the store was opened with still open it until it is closed. None: the active
                key of the ring that it was opened with.

        Returns:
            How many data keys were wrapped anew.

        Raises:
            StoreUnencrypted: the store was begun without a key.
            StoreLocked: a data key is not opened by any key of the ring; nothing was changed.
            KeyInvalid: the new key is not one.
        """
        raise StoreUnencrypted(f"{self!r} has no keys to rotate")

    @abstractmethod
    async def compact(self) -> None:
        """Gives the space of what was removed back to the system."""

    @abstractmethod
    async def stats(self) -> Stats:
        """How much is in it."""

    @abstractmethod
    async def aclose(self) -> None:
        """Waits for what is being written, and lets go of files and connections."""

    async def prune(self, *, older_than: float, keep: int = 0) -> int:
        """Removes runs that have ended, and gives their space back.

        Args:
            older_than: seconds since their last change.
            keep: how many of the newest ended runs stay, however old they are.

        Returns:
            How many were removed.
        """
        headers = await self.list_runs(RunFilter())
        over = [header for header in headers if header.status not in _GOING_ON]
        limit = await self.now() - older_than
        removed = 0
        for header in over[keep:]:  # the newest come first
            if header.changed < limit:
                await self._delete(header.id)
                removed += 1
        await self.drop_accounts(limit)
        if removed:
            await self.compact()
        return removed

    @abstractmethod
    async def now(self) -> float:
        """The store's clock, in seconds since 1970. Leases are counted by it."""


def next_lease(lease: Lease | None, holder: str, until: float) -> Lease:
    """The lease of the next owner."""
    epoch = 1 if lease is None else lease.epoch + 1
    return Lease(holder, epoch, until)


def without_owner(header: RunHeader) -> RunHeader:
    """The same run with nobody owning it: the epoch stays, so that the next one is higher."""
    if header.lease is None:
        return header
    over = replace(header.lease, until=0.0)
    return replace(header, lease=over)


def lease_lost(ownership: Ownership) -> LeaseLost:
    """The error of whoever goes on with a run that is no longer its own."""
    return LeaseLost(
        f"run {ownership.run!r} was taken over by somebody else; nothing more of it is written here"
    )


def refuse_owned(header: RunHeader, now: float) -> None:
    """Refuses what only the owner of a run may do, while it has one.

    Raises:
        RunOwned: it has.
    """
    lease = header.lease
    if lease is not None and lease.until > now:
        raise RunOwned(header.id, lease.holder, lease.until - now)


def _plugged(address: str, key: StoreKey | None, options: Mapping[str, object]) -> Store:
    """The store that a plug-in opens at an address.

    Raises:
        StoreUnreadable: none does.
        DeclarationError: it is a store of ours, and there are options.
    """
    scheme, _, _ = address.partition(":")
    if options and scheme in STORES.built_in:
        names = ", ".join(options)
        raise DeclarationError(f"a store at {scheme}: takes no options but key=; leave out {names}")
    plugged = STORES.find(scheme)
    if plugged is not None:
        # One that knows no keys refuses them: nothing is kept in clear that was to be encrypted.
        keys = {} if key is None else {"key": key}
        given = {**options, **keys}
        return plugged.make(Store, address, options=given, known=keys)  # type: ignore[type-abstract]
    raise StoreUnreadable(address_problem(address, STORES.plugged()))
