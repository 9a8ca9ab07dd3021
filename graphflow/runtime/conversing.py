"""What is done with a conversation as a whole: it is read, undone, forked, renamed, forgotten; none of it while a run has it.

Rules:
1. Each change is a compare-and-set. If somebody was faster, it is made of what they have made. What takes several steps holds
   the conversation meanwhile, as a run does, so that none begins in between.
2. Copies are copies: a conversation that was forked or renamed shares no row with the one that it came of.
3. What is forgotten is removed with the journals of its runs, and overwritten as far as the store reaches. A conversation
   knows which keys it had before, and until when: the runs that it had under those are its runs.
4. What is derived from an exchange goes before it does: whoever dies in between can do the same again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

from graphflow.errors import (
    ConversationBusy,
    ConversationExists,
    ConversationUnknown,
    ConversationUnreadable,
    DeclarationError,
    MemoryUnavailable,
    RunUnknown,
)
from graphflow.events import QuestionAsked
from graphflow.journal.exchange_codec import Exchange
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
)
from graphflow.journal.store import Store
from graphflow.journal.stored import Json, RunHeader
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.cutoffs import newest_cutoff, with_cutoff, with_cutoffs_up_to
from graphflow.runtime.talk import (
    cancel_run,
    conversation_of,
    obstacle_of,
    questions_of,
    read_exchanges,
)

FORMER = "former"
"""Under which name a header tells the keys that its conversation had before, each with the time until which it had it."""
ForgottenRun: TypeAlias = tuple[str, str]
"""The key that a conversation had in a run, and the id of the run."""
ForgetNotes: TypeAlias = Callable[[Sequence[ForgottenRun]], Awaitable[None]]
"""Forgets what memories have of some runs."""
HOLD_S = 60.0
"""Seconds that a conversation is held for what takes several steps; whoever dies in between holds it no longer."""


class Compaction(NamedTuple):
    """A conversation that was compacted.

    Attributes:
        exchanges: those of it that can be read.
        before: the number of the last one that was not shown as it is; 0: all were.
        cutoff: the same from now on.
    """

    exchanges: tuple[Exchange, ...]
    before: int
    cutoff: int


class Conversing:
    """One conversation of a graph, from the outside.

    Args:
        store: where it is kept.
        graph: whose it is.
        key: what its users call it.
    """

    def __init__(self, store: Store, graph: AnyGraph, key: str) -> None:
        self.store = store
        self.graph = graph
        self.name = ConversationName(graph.name, key)

    # -- reading -----------------------------------------------------------------------------------
    async def exchanges(self) -> list[Exchange]:
        """What was said so far, without what cannot be read."""
        stored = await self.store.exchanges(self.name)
        return self.readable(stored)

    def readable(self, stored: Sequence[StoredExchange]) -> list[Exchange]:
        """Those of some exchanges that can be read."""
        found, _ = read_exchanges(self.name, stored, self.graph)
        return list(found)

    async def problems(self) -> list[ConversationUnreadable]:
        """What is wrong with those exchanges that cannot be read."""
        stored = await self.store.exchanges(self.name)
        _, problems = read_exchanges(self.name, stored, self.graph)
        return list(problems)

    async def header(self) -> ConversationHeader:
        """What is known of it.

        Raises:
            ConversationUnknown: nothing was ever said in it.
        """
        found = await self.store.find_conversation(self.name)
        if found is None:
            raise ConversationUnknown(f"nothing was ever said in {self.name}, in {self.store!r}")
        return found

    async def waiting_run(self) -> tuple[RunHeader, list[QuestionAsked]] | None:
        """The run of it that waits for answers, and for which; None: none does."""
        header = await self.store.find_conversation(self.name)
        if header is None or not header.run:
            return None
        holding = await self.store.find(header.run)
        if holding is None or holding.status != "waiting":
            return None
        return holding, await questions_of(self.store, holding, self.graph)

    # -- changing ----------------------------------------------------------------------------------
    async def drop(self) -> bool:
        """Stops the run that has it, which adds nothing to it; whether one had."""
        header = await self.store.find_conversation(self.name)
        if header is None or not header.run:
            return False
        if await self._obstacle(header) is None:
            return False
        await cancel_run(self.store, header.run)
        return True

    async def undo(self, count: int, forget_notes: ForgetNotes) -> Sequence[StoredExchange]:
        """Withdraws the last exchanges; those that were, whether or not they can be read.

        Raises:
            ConversationBusy: a run has it.
            ConversationUnknown: nothing was ever said in it.
            DeclarationError: so many were not said.
            MemoryUnavailable: they are withdrawn, and a memory could not be asked to forget.
        """
        while True:
            async with self._hold() as header:
                if not 1 <= count <= header.head:
                    raise DeclarationError(
                        f"undo({count!r}): {self.name} has {header.head} exchanges; give a number from 1 to that"
                    )
                stored = await self.store.exchanges(self.name)
                head = header.head - count
                withdrawn = stored[head:]
                runs = [(self.name.key, exchange.run) for exchange in withdrawn]
                problem = await _problem_of(forget_notes(runs))
                last = stored[head - 1].run if head else ""
                now = await self.store.now()
                about = with_cutoffs_up_to(header.about, head)
                earlier = header.next(now, head=head, last=last, run="", until=0.0, about=about)
                change = ConversationChange(self.name, header.version, earlier)
                if not await self.store.change(change):
                    continue
            if problem is not None:
                raise problem
            return withdrawn

    async def compact(self, keep: int) -> Compaction:
        """Has agents shown no more than its last exchanges.

        Raises:
            ConversationBusy: a run has it.
            ConversationUnknown: nothing was ever said in it.
        """
        while True:
            header = await self._free()
            before = newest_cutoff(header.about)
            cutoff = header.head - keep
            stored = await self.store.exchanges(self.name)
            exchanges = tuple(self.readable(stored))
            if cutoff <= before:
                return Compaction(exchanges, before, before)
            now = await self.store.now()
            about = with_cutoff(header.about, cutoff)
            later = header.next(now, run="", until=0.0, about=about)
            if await self.store.change(ConversationChange(self.name, header.version, later)):
                return Compaction(exchanges, before, cutoff)

    async def copy_to(self, key: str, at: int | None) -> None:
        """Copies it under another key, up to an exchange.

        Raises:
            ConversationExists: there is one of that key.
            ConversationUnknown: nothing was ever said in it.
            DeclarationError: no exchange has that number.
        """
        header = await self.header()
        # The runs that it had under former keys are not those of the copy.
        about = {name: value for name, value in header.about.items() if name != FORMER}
        await self._copied(header, key, at, about)

    async def rename(self, key: str) -> None:
        """Gives it another key.

        Raises:
            ConversationBusy: a run has it, or began to have it meanwhile.
            ConversationExists: there is one of that key.
            ConversationUnknown: nothing was ever said in it.
        """
        while True:
            header = await self._free()
            now = await self.store.now()
            former = _former_keys(header)
            former[self.name.key] = now
            copy = await self._copied(header, key, None, {**header.about, FORMER: former})
            removed = ConversationChange(self.name, header.version, None)
            if await self.store.change(removed):
                return
            # Somebody has said something meanwhile: what they have said would be lost.
            undone = ConversationChange(copy.name, copy.version, None)
            await self.store.change(undone)

    async def _copied(
        self, header: ConversationHeader, key: str, at: int | None, about: Mapping[str, Json]
    ) -> ConversationHeader:
        """A copy of it as it is in a header, up to an exchange.

        Raises:
            ConversationExists: there is one of that key.
            ConversationUnknown: nothing was ever said in it.
            DeclarationError: no exchange has that number.
        """
        stored = await self.store.exchanges(self.name)
        head = header.head if at is None else at
        if not 0 <= head <= len(stored):
            raise DeclarationError(
                f"at={at!r}: {self.name} has {len(stored)} exchanges; give a number up to that"
            )
        name = ConversationName(self.name.graph, key)
        last = stored[head - 1].run if head else ""
        now = await self.store.now()
        kept = with_cutoffs_up_to(about, head)
        copy = ConversationHeader(
            name, head=head, version=1, last=last, began=now, changed=now, about=kept
        )
        if not await self.store.change(ConversationChange(name, 0, copy, stored[:head])):
            raise ConversationExists(f"{name} is in {self.store!r} already; choose another key")
        return copy

    async def forget(self, forget_notes: ForgetNotes) -> list[ForgottenRun]:
        """Removes it, and the journals of all its runs, and has both overwritten; the runs.

        Raises:
            ConversationBusy: a run has it.
            ConversationUnknown: nothing was ever said in it.
            MemoryUnavailable: it is erased, and a memory could not be asked to forget.
        """
        try:
            runs, problem = await self._removed(forget_notes)
        except ConversationUnknown:
            # Somebody may have died between its removal and this.
            await self.store.erase()
            raise
        await self.store.erase()
        if problem is not None:
            raise problem
        return runs

    async def _removed(
        self, forget_notes: ForgetNotes
    ) -> tuple[list[ForgottenRun], MemoryUnavailable | None]:
        """Removes its notes, the journals of its runs, and its rows, in this order; the runs, and what went wrong with notes."""
        while True:
            async with self._hold() as header:
                runs = await self._runs(header)
                problem = await _problem_of(forget_notes(runs))
                for _, run in runs:
                    with suppress(RunUnknown):
                        await self.store.remove_run(run)
                removed = ConversationChange(self.name, header.version, None)
                if await self.store.change(removed):
                    return runs, problem

    async def _runs(self, header: ConversationHeader) -> list[ForgottenRun]:
        """Its runs, with the keys that it had then."""
        former = _former_keys(header)
        found: list[ForgottenRun] = []
        for run in await self.store.runs(graph=self.name.graph):
            key = conversation_of(run)
            if key is None:
                continue
            until = former.get(key, -inf)
            if key == self.name.key or run.began <= until:
                found.append((key, run.id))
        return found

    async def _free(self) -> ConversationHeader:
        """Its header, if no run has it.

        Raises:
            ConversationBusy: one has.
        """
        header = await self.header()
        obstacle = await self._obstacle(header)
        if obstacle is not None:
            raise obstacle
        return header

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator[ConversationHeader]:
        """Its header, while no run can begin to have it; given back, unless it was changed.

        Raises:
            ConversationBusy: a run has it.
            ConversationUnknown: nothing was ever said in it.
        """
        while True:
            header = await self._free()
            now = await self.store.now()
            mine = header.next(now, run=uuid4().hex, until=now + HOLD_S)
            if await self.store.change(ConversationChange(self.name, header.version, mine)):
                break
        try:
            yield mine
        finally:
            free = mine.next(header.changed, run="", until=0.0)
            # Of another version by now, if it was changed.
            await self.store.change(ConversationChange(self.name, mine.version, free))

    async def _obstacle(self, header: ConversationHeader) -> ConversationBusy | None:
        if not header.run:
            return None
        return await obstacle_of(self.store, header, self.graph, await self.store.now())


async def _problem_of(forgetting: Awaitable[None]) -> MemoryUnavailable | None:
    """What went wrong where notes are forgotten: what they were derived from goes all the same."""
    try:
        await forgetting
    except MemoryUnavailable as error:
        return error
    return None


def _former_keys(header: ConversationHeader) -> dict[str, float]:
    """The keys that a conversation had before, and until when, in seconds since 1970 by the store's clock."""
    former: Any = header.about.get(FORMER) or {}
    return dict(former)
