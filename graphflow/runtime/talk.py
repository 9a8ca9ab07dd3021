"""The part that one run has in a conversation: it holds it, is shown what was said before, and adds one exchange.

Rules:
1. One run has a conversation at a time. The hold lies in the store, and lasts as long as its run has a lease, or waits for
   answers. A run whose process has died lets go when its lease is over.
2. A run adds its exchange by compare-and-set, with the rows that say that it has completed. If somebody else has held the
   conversation meanwhile, it is not added, and the run fails.
3. A run that goes on later sees what it saw, or does not go on: the last exchange has to be the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

from graphflow.compaction.omission import LeftOut
from graphflow.errors import (
    ConversationBusy,
    ConversationUnreadable,
    RunExists,
    RunUnknown,
    StateInvalid,
    Unreadable,
)
from graphflow.events import ArtifactKept, QuestionAsked, RunEnded, RunStarted
from graphflow.journal.codec.value_codec import codec_of
from graphflow.journal.exchange_codec import (
    Exchange,
    Unit,
    decode_exchange,
    encode_exchange,
    left_out_of,
    names_artifact,
    turns_of,
)
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
    moved,
)
from graphflow.journal.kept_states import StateChanges, state_change, states_after
from graphflow.journal.question import open_questions
from graphflow.journal.record import read_record
from graphflow.journal.store import Store
from graphflow.journal.stored import Json, RunHeader
from graphflow.journal.weight import HEAVY
from graphflow.messages.message import to_text
from graphflow.messages.state import AnyState, StateWrite, StateWrites
from graphflow.messages.types import arms
from graphflow.model.conversation import Remembers
from graphflow.model.turns import Turn
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.authors import ActivationId, outcome_of, talkers
from graphflow.runtime.cutoffs import newest_cutoff
from graphflow.runtime.given_history import turn_of
from graphflow.runtime.recorder import holder

if TYPE_CHECKING:
    from graphflow.runtime.past import Past
    from graphflow.runtime.run_record import RunRecord

Busy: TypeAlias = Literal["wait", "refuse", "cancel"]
"""What to do while somebody else has a conversation."""
BUSY: tuple[Busy, ...] = ("wait", "refuse", "cancel")
FIRST_WAIT_S = 0.01
"""Seconds between the first two looks whether a conversation is free; each wait is half as long again as the one before."""
MAX_WAIT_S = 0.1
ABOUT = "conversation"
"""Under which name the header of a run tells its conversation."""

_WaitingLines = WeakValueDictionary[tuple[int, ConversationName], asyncio.Lock]
_LINES: WeakKeyDictionary[asyncio.AbstractEventLoop, _WaitingLines] = WeakKeyDictionary()
"""The runs of an event loop that wait for a conversation stand in a line: only the first of them looks into the store."""
_UNDER_WAY: WeakValueDictionary[str, RunRecord[Any]] = WeakValueDictionary()
"""The runs of this process that have a conversation, by their ids."""


class RunConversation:
    """One run's part in a conversation.

    Args:
        store: where the conversation is kept.
        graph: whose it is.
        key: what its users call it.
        busy: what to do while somebody else has it.
    """

    def __init__(self, store: Store, graph: AnyGraph, key: str, busy: Busy = "wait") -> None:
        self.store = store
        self.graph = graph
        self.name = ConversationName(graph.name, key)
        self.busy: Busy = busy
        self.header = ConversationHeader(self.name)
        self.exchanges: tuple[Exchange, ...] = ()
        """What was said before, without what cannot be read."""
        self.cutoff = 0
        """Up to which of them somebody has had the conversation compacted; 0: nobody has."""
        self.states: Mapping[str, Json] = {}
        """What those states are that live as long as the conversation, by name, as their types write them."""
        self.unreadable: tuple[ConversationUnreadable, ...] = ()
        """What is wrong with those exchanges that are left out."""
        self.talkers = talkers(graph)
        """The places of those that the message reaches unchanged."""
        self.key: str | None = key
        self.mended: tuple[str, ...] = ()
        """Nothing: what is kept here is whole."""
        self.turns_said: dict[ActivationId, Sequence[Turn]] = {}
        """What agents have said in this sitting."""
        self._line: asyncio.Lock | None = None
        self._change: ConversationChange | None = None

    # -- holding -----------------------------------------------------------------------------------
    async def enter(self, run: RunRecord[Any], lease_s: float) -> None:
        """Holds the conversation for a run, and reads what was said before.

        Raises:
            ConversationBusy: somebody else has it, and the run is not to wait.
        """
        known = await self.store.find_conversation(self.name)
        if self.busy == "wait" and (known is None or known.run != run.id):
            line = self._line_here()
            await line.acquire()
            self._line = line
        try:
            self.header = await self._acquired(run.id, lease_s)
            self.cutoff = newest_cutoff(self.header.about)
            _UNDER_WAY[run.id] = run
            stored = await self.store.exchanges(self.name)
            await self._read(stored)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Lets the next one in line look whether it is free."""
        line, self._line = self._line, None
        if line is not None:
            line.release()

    def _line_here(self) -> asyncio.Lock:
        lines = _LINES.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        return lines.setdefault((id(self.store), self.name), asyncio.Lock())

    async def _acquired(self, run: str, lease_s: float) -> ConversationHeader:
        wait_s = FIRST_WAIT_S
        while True:
            header = await self.store.find_conversation(self.name)
            now = await self.store.now()
            obstacle = None
            if header is not None and header.run not in ("", run):
                obstacle = await obstacle_of(self.store, header, self.graph, now)
            if obstacle is None:
                taken = await self._take(header, run, now, lease_s)
                if taken is not None:
                    return taken
                continue  # somebody was faster
            if self.busy == "refuse":
                raise obstacle
            if self.busy == "cancel" and header is not None:
                await cancel_run(self.store, header.run)
                continue
            await asyncio.sleep(wait_s)
            wait_s = min(MAX_WAIT_S, 1.5 * wait_s)

    async def _take(
        self, header: ConversationHeader | None, run: str, now: float, lease_s: float
    ) -> ConversationHeader | None:
        """Takes a conversation that is free; None: it has changed in between."""
        expected = 0
        if header is None:
            header = ConversationHeader(self.name, began=now)
        else:
            expected = header.version
        mine = header.next(now, run=run, until=now + lease_s)
        change = ConversationChange(self.name, expected, mine)
        return mine if await self.store.change(change) else None

    async def let_go(self) -> None:
        """Gives the conversation back before a run has begun."""
        free = self.header.next(self.header.changed, run="", until=0.0)
        await self.store.change(ConversationChange(self.name, self.header.version, free))

    # -- what was said before ----------------------------------------------------------------------
    async def _read(self, stored: Sequence[StoredExchange]) -> None:
        size = sum(len(each.body) for each in stored)
        if size > HEAVY:
            read = await asyncio.to_thread(read_exchanges, self.name, stored, self.graph)
        else:
            read = read_exchanges(self.name, stored, self.graph)
        self.exchanges, self.unreadable = read
        if self.graph.lasting_states:
            self.states = states_after(exchange.states for exchange in self.exchanges)

    async def look_back(self, head: int, last: str, cutoff: int = 0) -> None:
        """Reads what was said up to an exchange, for a run that is a fork of another one: it adds nothing.

        Args:
            head: the number of that exchange.
            last: its run.
            cutoff: up to which exchange the conversation was compacted for that other run.

        Raises:
            ConversationMoved: that exchange was withdrawn.
        """
        stored = await self.store.exchanges(self.name)
        stored = stored[:head]
        if head and (len(stored) < head or stored[-1].run != last):
            raise moved(self.name)
        self.cutoff = cutoff
        await self._read(stored)

    @property
    def about(self) -> Json:
        """What the header of a run tells of the conversation."""
        about: dict[str, Json] = {
            "key": self.name.key,
            "head": self.header.head,
            "last": self.header.last,
        }
        if self.cutoff:
            about["cutoff"] = self.cutoff
        return about

    def go_on_with(self, header: RunHeader) -> None:
        """Shows a run that goes on what it was shown, or refuses to: it may have seen another conversation.

        Raises:
            ConversationMoved: it has gone on without the run.
        """
        about = _about_of(header)
        if about.get("last") != self.header.last:
            raise moved(self.name)
        self.cutoff = about.get("cutoff", 0)

    async def has_exchange_of(self, run: str) -> bool:
        """Whether a run has added its exchange."""
        return bool(await self.store.exchanges(self.name, run=run))

    async def recall(self, run: RunRecord[Any], message: object) -> bool:
        """Makes a run what is recorded of it in the conversation, if that is all that is left of it; whether it is there.

        Raises:
            RunExists: it was begun with another message.
            ConversationUnreadable: it is not as it was written.
        """
        stored = await self.store.exchanges(self.name, run=run.id)
        if not stored:
            return False
        exchange = decode_exchange(self.name, stored[0], self.graph.input, self.graph.output)
        codec = codec_of(self.graph.input)
        if codec.encode(exchange.message) != codec.encode(message):
            raise RunExists(
                f"run {run.id!r} is exchange {exchange.number} of {self.name}, which was begun with another message; "
                "choose another id"
            )
        run.recorder = None
        run.declared = None  # nothing is known of the way to the answer
        run.tell(RunStarted(0.0, 0, run.graph, message))
        run.status, run._output = "completed", exchange.answer
        run.began_at = exchange.at
        run.ended = run.began
        run.tell(RunEnded(0.0, 0, "completed", exchange.answer))
        run.close()
        return True

    async def recall_foreign(self, header: RunHeader, run: RunRecord[Any], message: object) -> bool:
        """The same for a run that was begun under another key: it may have come here with what was renamed, or copied.

        Raises:
            RunExists: it is of another conversation, or of none, or was begun with another message, or was withdrawn.
            ConversationUnreadable: it is not as it was written.
        """
        about = _about_of(header)
        if about.get("key") == self.name.key:
            if not about.get("apart"):
                await self._check_not_withdrawn(header)
            return False
        if await self.recall(run, message):
            return True
        raise RunExists(
            f"run {header.id!r} is none of {self.name}; choose another id, or leave conversation= out"
        )

    @property
    def last_place(self) -> str:
        """The place of who has given the last answer that can be read; "": nobody has, or several have."""
        return self.exchanges[-1].by if self.exchanges else ""

    async def _check_not_withdrawn(self, header: RunHeader) -> None:
        """Refuses to answer with what was undone.

        Raises:
            RunExists: a run has completed, and its exchange is not here any more.
        """
        if header.status == "completed" and not await self.has_exchange_of(header.id):
            raise RunExists(
                f"run {header.id!r} was an exchange of {self.name} and is none any more (undone, or renamed); "
                "choose another id"
            )

    def shown(self, place: str, way: Remembers | None) -> Sequence[Turn]:
        """What an agent at a place is shown of what was said before, in its way; None: in the usual one."""
        if way is None:
            way = "talk" if place in self.talkers else "nothing"
        return turns_of(self.exchanges, place, way)

    async def artifact(self, digest: str) -> bytes | None:
        """The bytes of an artifact that an earlier run of the conversation has kept; None: that run is gone, or there is none."""
        for exchange in reversed(self.exchanges):
            if not names_artifact(exchange, digest):
                continue
            header = await self.store.find(exchange.run)
            if header is None:
                continue
            record = await read_record(self.store, header, self.graph)
            for entry in record.entries:
                event = entry.event
                if isinstance(event, ArtifactKept) and event.artifact.digest == digest:
                    return entry.detail.content
        return None

    def left_out(self, place: str, way: Remembers | None) -> LeftOut:
        """What is left out of what an agent at a place is shown, in its way; None: in the usual one."""
        if way is None:
            way = "talk" if place in self.talkers else "nothing"
        return left_out_of(self.exchanges, self.cutoff, place, way)

    def beginnings(self) -> StateWrites:
        """What the states of a run begin with that live as long as the conversation, but for those that nobody has written.

        Raises:
            StateInvalid: one was kept that does not fit its type.
        """
        writes: list[StateWrite] = []
        for state in self.graph.lasting_states:
            if state.name in self.states:
                value = self._read_state(state)
                writes.append(StateWrite(state, "set", value))
        return tuple(writes)

    def _read_state(self, state: AnyState) -> object:
        try:
            return codec_of(state.type).decode(self.states[state.name])
        except Unreadable as error:
            raise StateInvalid(
                f"state {state.name!r} of {self.name} was kept as something that is not {state.kind} ({error}); give the state "
                "another name, so that it begins anew, or undo the exchanges that have written it"
            ) from None

    def _state_changes(self, run: RunRecord[Any]) -> StateChanges:
        """What is new in the states that live as long as the conversation."""
        changes: dict[str, Json] = {}
        final = run.state
        for state in self.graph.lasting_states:
            if state not in final:
                continue
            value = codec_of(state.type).encode(final[state])
            change = state_change(self.states, state.name, value)
            if change is not None:
                changes[state.name] = change
        return changes

    # -- what comes of it --------------------------------------------------------------------------
    async def completion(self, run: RunRecord[Any], past: Past | None) -> ConversationChange:
        """The change by which a run that has completed adds its exchange; the same, however often it is asked for."""
        if self._change is None:
            self._change = await asyncio.to_thread(self._completion, run, past)
        return self._change

    def _completion(self, run: RunRecord[Any], past: Past | None) -> ConversationChange:
        graph = self.graph
        outcome = outcome_of(run)
        units: list[Unit] = []
        for activation, place in outcome.speakers.items():
            turns = self._turns_of(activation, past)
            if turns:
                units.append((place, tuple(turns)))
        message = _message_of(run)
        answer = run.output
        number = self.header.head + 1
        now = time.time()
        exchange = Exchange(
            number=number,
            run=run.id,
            at=now,
            message=message,
            answer=answer,
            turn=turn_of(message),
            text=to_text(answer),
            by=outcome.by,
            arm=type(answer).__name__ if len(arms(graph.output)) > 1 else "",
            units=tuple(units),
            left_out=outcome.left_out,
            states=self._state_changes(run) if graph.lasting_states else {},
        )
        kept = encode_exchange(exchange, graph.input, graph.output)
        header = self.header.next(now, head=number, last=run.id, run="", until=0.0)
        return ConversationChange(self.name, self.header.version, header, (kept,))

    def _turns_of(self, activation: ActivationId, past: Past | None) -> Sequence[Turn]:
        """What was said in an activation, in this sitting or an earlier one."""
        known = self.turns_said.get(activation)
        if known is not None or past is None:
            return known or ()
        frame, number = activation
        return past.turns_in(frame).get(number, ())


def _message_of(run: RunRecord[Any]) -> object:
    """What a run was begun with."""
    for row in run.journal:
        if isinstance(row, RunStarted):
            return row.input
    return None


def apart(about: dict[str, Json]) -> None:
    """Makes what is kept about a run that of a fork: it is shown the conversation, and is not part of it."""
    known = about.get(ABOUT)
    if isinstance(known, Mapping):
        about[ABOUT] = {**known, "apart": True}


def _about_of(header: RunHeader) -> dict[str, Any]:
    """What the header of a run tells of its conversation; nothing, if it is in none."""
    about: Any = header.about.get(ABOUT) or {}
    return dict(about)


async def obstacle_of(
    store: Store, header: ConversationHeader, graph: AnyGraph | None, now: float
) -> ConversationBusy | None:
    """What is in the way of the next run of a conversation that some run has; None: that run has ended, or its process has died."""
    holding = await store.find(header.run)
    name = str(header.name)
    if holding is None:  # it is about to begin
        return ConversationBusy(name, header.run, "somebody") if header.until > now else None
    if holding.status == "waiting":
        questions = await questions_of(store, holding, graph)
        return ConversationBusy(name, holding.id, "", [asked.question for asked in questions])
    lease = holding.lease
    if holding.status != "running" or lease is None or lease.until <= now:
        return None
    return ConversationBusy(name, holding.id, lease.holder)


async def cancel_run(store: Store, id: str) -> None:
    """Stops a run, whoever is at it, so that it adds nothing to its conversation. It can be resumed while that has not gone on."""
    run = _UNDER_WAY.get(id)
    if run is not None and run.status == "running" and run.has_task_here:
        run.cancel()
        await run.settled()
        return
    with suppress(RunUnknown):  # it is about to begin, or was removed
        ownership = await store.acquire(id, holder(), by_force=True)
        await store.note(ownership, "cancelled")
        await store.release(ownership)
        return
    await asyncio.sleep(FIRST_WAIT_S)


def conversation_of(header: RunHeader) -> str | None:
    """The key of the conversation that a run is in; None: it is in none."""
    key = _about_of(header).get("key")
    return None if key is None else str(key)


async def questions_of(
    store: Store, header: RunHeader, graph: AnyGraph | None
) -> list[QuestionAsked]:
    """What a run waits for."""
    record = await read_record(store, header, graph)
    return list(open_questions(record.events))


def read_exchanges(
    name: ConversationName, stored: Sequence[StoredExchange], graph: AnyGraph
) -> tuple[tuple[Exchange, ...], tuple[ConversationUnreadable, ...]]:
    """The exchanges that can be read, and what is wrong with the others."""
    found: list[Exchange] = []
    problems: list[ConversationUnreadable] = []
    for each in stored:
        try:
            found.append(decode_exchange(name, each, graph.input, graph.output))
        except ConversationUnreadable as problem:
            problems.append(problem)
    return tuple(found), tuple(problems)
