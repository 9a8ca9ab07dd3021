"""Runs in memory: for tests, and for whoever wants to resume within one process."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from threading import Lock

from graphflow.errors import ConversationMoved, LeaseLost
from graphflow.journal.accounts import (
    AccountBalance,
    AccountCharge,
    ChargeOutcome,
    outcome_of,
)
from graphflow.journal.commit import Commit
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
    moved,
)
from graphflow.journal.key_ring import StoreKey, key_ring
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
    without_owner,
)
from graphflow.journal.stored import Json, Lease, RunHeader, StoredAnswer, StoredRow


class _StoredRun:
    """One run."""

    def __init__(self, header: RunHeader) -> None:
        self.header = header
        self.rows: list[StoredRow] = []
        self.large: set[str] = set()
        self.answers: dict[str, StoredAnswer] = {}


class MemoryStore(Store):
    """Keeps runs for as long as it lives itself."""

    def __init__(self, *, key: StoreKey | None = None) -> None:
        if key is not None:
            key_ring(key)  # what is not a key is refused here, too
        self._runs: dict[str, _StoredRun] = {}
        self._large: dict[str, bytes] = {}
        self._conversations: dict[ConversationName, ConversationHeader] = {}
        self._exchanges: dict[ConversationName, list[StoredExchange]] = {}
        self._accounts: dict[str, AccountBalance] = {}
        self._charging = Lock()

    def __repr__(self) -> str:
        return "<store in memory>"

    async def create(
        self,
        header: RunHeader,
        holder: str,
        lease_s: float = LEASE_S,
        rows: Sequence[StoredRow] = (),
        large: Large | None = None,
    ) -> Ownership:
        if header.id in self._runs:
            raise self.exists(header.id)
        lease = next_lease(None, holder, time.time() + lease_s)
        acquired = replace(header, rows=0, lease=lease)
        self._runs[header.id] = _StoredRun(acquired)
        ownership = Ownership(header.id, lease.epoch, len(rows), lease_s)
        if rows:
            self._add(ownership, 0, rows, large or {})
        return ownership

    async def acquire(
        self, run: str, holder: str, lease_s: float = LEASE_S, *, by_force: bool = False
    ) -> Ownership:
        kept = await self._kept(run)
        now = time.time()
        if not by_force:
            refuse_owned(kept.header, now)
        lease = next_lease(kept.header.lease, holder, now + lease_s)
        kept.header = replace(kept.header, lease=lease)
        return Ownership(run, lease.epoch, len(kept.rows), lease_s)

    def _append(
        self,
        ownership: Ownership,
        first: int,
        rows: Sequence[StoredRow],
        large: Large,
        change: ConversationChange | None = None,
    ) -> Commit:
        done = Commit()
        try:
            self._check(ownership, first)
            if change is not None and not self._changed(change):
                raise moved(change.name)
            self._add(ownership, first, rows, large)
        except (ConversationMoved, LeaseLost) as lost:
            done.set_exception(lost)
        else:
            done.set_result(None)
        return done

    def _add(
        self, ownership: Ownership, first: int, rows: Sequence[StoredRow], large: Large
    ) -> None:
        kept = self._check(ownership, first)
        self._large.update(large)
        kept.large.update(large)
        kept.rows += rows
        kept.header = replace(kept.header, rows=len(kept.rows), changed=time.time())

    def _check(self, ownership: Ownership, first: int) -> _StoredRun:
        """The run, if it has so many rows.

        Raises:
            LeaseLost: it has not, or somebody else owns it.
        """
        kept, _ = self._owned(ownership)
        if len(kept.rows) != first:
            raise lease_lost(ownership)
        return kept

    async def note(
        self,
        ownership: Ownership,
        status: str,
        metadata: Mapping[str, Json] | None = None,
        about: Mapping[str, Json] | None = None,
    ) -> None:
        kept, _ = self._owned(ownership)
        noted = kept.header.metadata if metadata is None else dict(metadata)
        known = kept.header.about if about is None else dict(about)
        kept.header = replace(
            kept.header, status=status, metadata=noted, about=known, changed=time.time()
        )

    async def renew(self, ownership: Ownership) -> None:
        kept, lease = self._owned(ownership)
        longer = replace(lease, until=time.time() + ownership.lease_s)
        kept.header = replace(kept.header, lease=longer)

    async def release(self, ownership: Ownership) -> None:
        kept = self._runs.get(ownership.run)
        if kept is None or kept.header.lease is None:
            return
        if kept.header.lease.epoch == ownership.epoch:
            kept.header = without_owner(kept.header)

    async def _put_answer(self, run: str, question: str, value: str, by: str) -> bool:
        kept = await self._kept(run)
        if question in kept.answers:
            return False
        kept.answers[question] = StoredAnswer(run, question, value, by, time.time())
        return True

    async def find(self, run: str) -> RunHeader | None:
        kept = self._runs.get(run)
        return None if kept is None else kept.header

    async def rows(self, run: str, first: int = 0) -> AsyncIterator[StoredRow]:
        kept = await self._kept(run)
        for row in kept.rows[first:]:
            yield row

    async def large(self, run: str, digest: str) -> bytes | None:
        return self._large.get(digest)

    async def answers(self, run: str) -> dict[str, StoredAnswer]:
        kept = await self._kept(run)
        return dict(kept.answers)

    async def find_conversation(self, name: ConversationName) -> ConversationHeader | None:
        return self._conversations.get(name)

    async def conversations(self, graph: str | None = None) -> list[ConversationHeader]:
        headers = [
            each for each in self._conversations.values() if graph in (None, each.name.graph)
        ]
        return sorted(headers, key=lambda header: header.changed, reverse=True)

    async def exchanges(
        self, name: ConversationName, first: int = 1, run: str | None = None
    ) -> list[StoredExchange]:
        kept = self._exchanges.get(name, [])
        return [each for each in kept if each.number >= first and run in (None, each.run)]

    async def change(self, change: ConversationChange) -> bool:
        return self._changed(change)

    def _changed(self, change: ConversationChange) -> bool:
        """Changes a conversation; False: it is not what it is to be changed from."""
        name, header = change.name, change.header
        known = self._conversations.get(name)
        if change.expected != (0 if known is None else known.version):
            return False
        if header is None:
            self._conversations.pop(name, None)
            self._exchanges.pop(name, None)
            return True
        kept = self._exchanges.get(name, [])
        left = [each for each in kept if each.number <= header.head]
        self._conversations[name] = header
        self._exchanges[name] = [*left, *change.added]
        return True

    async def charge(self, charges: Sequence[AccountCharge]) -> ChargeOutcome:
        # Runs of several threads may share the store.
        with self._charging:
            outcome = outcome_of(charges, self._accounts)
            if outcome.is_done:
                self._accounts.update({balance.account: balance for balance in outcome.balances})
        return outcome

    async def accounts(self) -> list[AccountBalance]:
        return [self._accounts[name] for name in sorted(self._accounts)]

    async def drop_accounts(self, over_since: float) -> int:
        with self._charging:
            over = [
                balance for balance in self._accounts.values() if 0 < balance.until < over_since
            ]
            for balance in over:
                del self._accounts[balance.account]
        return len(over)

    async def list_runs(self, wanted: RunFilter) -> list[RunHeader]:
        headers = [kept.header for kept in self._runs.values()]
        found = [header for header in headers if wanted.takes(header)]
        return sorted(found, key=lambda header: header.changed, reverse=True)

    async def _delete(self, run: str) -> None:
        kept = await self._kept(run)
        refuse_owned(kept.header, time.time())
        del self._runs[run]
        used: set[str] = set()  # equal values are kept once, whichever runs name them
        for other in self._runs.values():
            used |= other.large
        for digest in kept.large - used:
            del self._large[digest]

    async def compact(self) -> None:
        pass

    async def stats(self) -> Stats:
        rows = 0
        size = 0
        for kept in self._runs.values():
            rows += len(kept.rows)
            for row in kept.rows:
                size += len(row.body)
            for answer in kept.answers.values():
                size += len(answer.value)
        for value in self._large.values():
            size += len(value)
        return Stats(len(self._runs), rows, len(self._large), size)

    async def aclose(self) -> None:
        pass

    async def now(self) -> float:
        return time.time()

    async def _kept(self, run: str) -> _StoredRun:
        kept = self._runs.get(run)
        if kept is None:
            raise await self.unknown(run)
        return kept

    def _owned(self, ownership: Ownership) -> tuple[_StoredRun, Lease]:
        """A run, for its owner.

        Raises:
            LeaseLost: somebody else owns the run now, or it is gone.
        """
        kept = self._runs.get(ownership.run)
        if kept is None:
            raise lease_lost(ownership)
        lease = kept.header.lease
        if lease is None or lease.epoch != ownership.epoch:
            raise lease_lost(ownership)
        return kept, lease
