"""Durable runs: a run that a store keeps begins, is taken up again, and ends.

A run that is opened

- of an id that nobody knows yet begins,
- that has ended is what it was,
- that somebody else is at is refused, with the time until which,
- else goes on where it was.

When it finishes, all of it is kept, its status is noted, and the run is given back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from graphflow.budgets import Budget, Spender, budget_from, check_spender
from graphflow.errors import QuestionUnknown, RunDamaged, RunExists, StoreError
from graphflow.events import RunStarted
from graphflow.journal.codec.replies import decode_turns, encode_turns
from graphflow.journal.detail import Detail, KeptForm
from graphflow.journal.entries import Given
from graphflow.journal.record import (
    entered_form,
    large_of,
    outermost_form,
    read_as,
    read_record,
)
from graphflow.journal.row_reader import RowReader
from graphflow.journal.store import LEASE_S, Ownership, Store
from graphflow.journal.stored import Json, RunHeader
from graphflow.limits import Limits
from graphflow.messages.state import StateWrite
from graphflow.model.seam import Model
from graphflow.proofs.form import form_bytes, form_digest
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.budget import check_budgets
from graphflow.runtime.budget_keeper import BudgetKeeper
from graphflow.runtime.frame import Frame
from graphflow.runtime.given_history import GivenHistory
from graphflow.runtime.late_answers import check_by_id, check_of_ended
from graphflow.runtime.options import Sync
from graphflow.runtime.past import Past
from graphflow.runtime.recorder import RunRecorder, acquired, holder
from graphflow.runtime.resumption import OVER, fill, take_up
from graphflow.runtime.run_record import RunRecord
from graphflow.runtime.run_scope import RunScope
from graphflow.runtime.sitting import Sitting
from graphflow.runtime.talk import ABOUT, Busy, RunConversation

if TYPE_CHECKING:
    from graphflow.runtime.run_mask import RunMask

HISTORY = "history"
"""Under which name the header of a run tells what it was given as a history."""
LOOK_S = 1.0
"""Seconds between two looks for answers from elsewhere."""


class Durability:
    """How one run is kept.

    Args:
        store: where.
        sync: when the run waits until what it did is kept.
        metadata: what its user has noted of it.
        lease_s: seconds after which somebody else may take it over, if this process is gone.
        best_effort: whether it goes on where its record cannot be kept.
        resumes: whether the run must be there already.
        owned: whether nobody else uses the store, so that it is closed with the sitting.
        talk: its part in a conversation, if it has one.
        busy: what a run that goes on does while another one has its conversation.
        budgets: what it may spend together with others; None: what it was begun with.
        user: whom it serves; None: whom it was begun for.
    """

    def __init__(
        self,
        store: Store,
        *,
        sync: Sync = "effects",
        metadata: Mapping[str, Json] | None = None,
        lease_s: float = LEASE_S,
        best_effort: bool = False,
        resumes: bool = False,
        owned: bool = False,
        talk: RunConversation | None = None,
        busy: Busy = "wait",
        budgets: tuple[Budget, ...] | None = None,
        user: str | None = None,
    ) -> None:
        self.store = store
        self.budgets = budgets
        self.user = user
        self.talk = talk
        self.busy: Busy = busy
        self.owned = owned
        self.sync = sync
        self.metadata = metadata or {}
        self.lease_s = lease_s
        self.best_effort = best_effort
        self.resumes = resumes
        self.recorder: RunRecorder | None = None
        self._ending: asyncio.Task[None] | None = None
        self._keeper: BudgetKeeper | None = None
        """What keeps the run within its budgets."""
        self._watching: asyncio.Task[None] | None = None
        """Looks for answers from elsewhere, while somebody waits for one and others go on."""

    async def close(self) -> None:
        """Lets go of the store, if nobody else uses it, and lets the next one have the conversation."""
        if self.talk is not None:
            self.talk.leave()
        if self._keeper is not None:
            await self._keeper.settled()
        if self.owned:
            await self.store.aclose()

    def prepare(self, shared: RunScope, answers: Mapping[str, Any] | None) -> None:
        """Gives a run what will keep its record, from the moment that it is opened, and what lets it wait.

        Args:
            shared: the run's own.
            answers: to questions that it has asked in earlier sittings; None: there are none.
        """
        run = shared.run
        recorder = RunRecorder(run, self.store, self.sync, best_effort=self.best_effort)
        self.recorder = recorder
        run.recorder = shared.recorder = recorder
        run.store = self.store

        def end() -> None:
            loop = asyncio.get_running_loop()
            self._ending = loop.create_task(self._end_sitting(shared))

        def watch() -> None:
            if self._watching is not None and not self._watching.done():
                return
            loop = asyncio.get_running_loop()
            self._watching = loop.create_task(self._watch(run.id, sitting))

        sitting = Sitting(end, watch)
        given = answers or {}
        sitting.answers = {name: Given(value) for name, value in given.items()}
        shared.sitting = run.sitting = sitting

    async def _watch(self, run: str, sitting: Sitting) -> None:
        """Looks again and again for answers from elsewhere."""
        while sitting.open and not sitting.is_over:
            await asyncio.sleep(LOOK_S)
            with suppress(StoreError):  # the next look may reach it
                answers = await self.store.answers(run)
                sitting.look_into(answers)

    def look_no_more(self) -> None:
        """Nothing more is looked for."""
        if self._watching is not None:
            self._watching.cancel()

    async def _end_sitting(self, shared: RunScope) -> None:
        """Ends a sitting in which nothing moves, unless somebody has answered meanwhile."""
        run, sitting = shared.run, shared.sitting
        assert sitting is not None
        with suppress(StoreError):  # it ends all the same, and the next sitting looks again
            answers = await self.store.answers(run.id)
            sitting.look_into(answers)
        task = run._task
        if sitting.moving > 0 or not sitting.open or task is None:
            return
        sitting.is_over = True
        run.waits_for = list(sitting.open.values())
        assert self.recorder is not None
        self.recorder.muted = True
        task.cancel()

    async def open(
        self, run: RunRecord[Any], frame: Frame, message: object, limits: Limits | None
    ) -> bool:
        """Acquires the run, and takes up what is recorded of it.

        Args:
            run: the run.
            frame: its outermost frame.
            message: what the graph is given.
            limits: those of the run, beside the graph's own.

        Returns:
            Whether it has ended already: then `run` is what it was.

        Raises:
            RunExists: a run of that id was given another message.
            RunOwned: somebody else is working on it.
            Diverged, Unreadable: its record does not fit the graph.
            AnswerExists, QuestionUnknown: it was given an answer that comes too late, or that nobody has asked for.
        """
        recorder, sitting = self.recorder, frame.shared.sitting
        assert recorder is not None
        assert sitting is not None
        header = await self.store.find(run.id)
        self._take_budgets(frame, header)
        if header is not None:
            self._take_history(frame, header)
        talk = self.talk
        if talk is not None and header is not None:
            if await talk.recall_foreign(header, run, message):
                return True
        elif talk is not None and not self.resumes:
            if await talk.recall(run, message):
                return True
            await self._converse(frame, talk)
            header = await self.store.find(run.id)  # somebody may have begun it meanwhile
        if header is None and not self.resumes:
            has_begun = await self._begin(recorder, run, frame, message, limits)
            if has_begun:
                return False
        if header is None:
            header = await self.store.header(run.id)
        if await self._has_ended(run, frame, message, header):
            return True
        await self._go_on_conversing(frame, header)
        return await self._take_over(recorder, run, frame, message, limits)

    async def _take_over(
        self,
        recorder: RunRecorder,
        run: RunRecord[Any],
        frame: Frame,
        message: object,
        limits: Limits | None,
    ) -> bool:
        """Owns a run that is there already, and goes on with it; whether it has ended already."""
        asked = time.monotonic()
        ownership = await acquired(self.store, self.store.acquire(run.id, holder(), self.lease_s))
        recorder.own(ownership, asked)  # a long record takes a while to read
        try:
            return await self._go_on(run, frame, message, limits, ownership)
        except BaseException:
            await recorder.close()
            raise

    def _take_budgets(self, frame: Frame, header: RunHeader | None) -> None:
        """Has the run keep to its budgets: those that it is given now, else those that it was begun with.

        Raises:
            DeclarationError: one is per user, and nobody has said whom the run serves.
            PriceUnknown: one counts dollars, and a model is known to have no price.
        """
        about: Any = {} if header is None else header.about
        if self.budgets is None:
            self.budgets = tuple(map(budget_from, about.get("budgets", ())))
        if self.user is None:
            self.user = about.get("user")
        if not self.budgets:
            return
        shared, graph = frame.shared, frame.shared.run.declared
        assert graph is not None
        check_spender(self.budgets, self.user, f"the run of {graph.name!r}")
        check_budgets(graph, self.budgets, shared.model, shared.model_of)
        run = shared.run
        conversation = about.get(ABOUT, {}).get("key", run.id)
        if self.talk is not None:
            conversation = self.talk.key
        spender = Spender(graph.name, conversation, self.user)
        self._keeper = shared.budgets = BudgetKeeper(self.store, self.budgets, spender)

    def _take_history(self, frame: Frame, header: RunHeader) -> None:
        """Gives a run that goes on the history that it was begun with."""
        kept: Any = header.about.get(HISTORY)
        graph = frame.shared.run.declared
        if kept is not None and graph is not None:
            history = GivenHistory(graph, decode_turns(kept))
            frame.shared.talk = frame.shared.run.turns_before = history

    async def _has_ended(
        self, run: RunRecord[Any], frame: Frame, message: object, header: RunHeader
    ) -> bool:
        """Whether a run has ended for good; then it is what it was."""
        if header.status not in OVER:
            return False
        record = await read_record(self.store, header, run.declared)
        if not fill(run, frame, record, message):
            return False
        sitting = frame.shared.sitting
        assert sitting is not None
        check_of_ended(record, sitting.answers)
        return True

    async def _converse(self, frame: Frame, talk: RunConversation) -> None:
        """Holds the conversation of a run, and has its exchange kept when it completes."""
        shared, recorder = frame.shared, self.recorder
        assert recorder is not None
        await talk.enter(shared.run, self.lease_s)
        shared.talk = shared.run.turns_before = talk
        shared.session = talk.name.key
        recorder.completing = lambda: talk.completion(shared.run, shared.past)

    async def _go_on_conversing(self, frame: Frame, header: RunHeader) -> None:
        """Takes up the conversation of a run that is there already.

        Raises:
            ConversationMoved: the conversation has gone on without it.
        """
        about: Any = header.about.get(ABOUT)
        graph = frame.shared.run.declared
        assert graph is not None
        if about is not None and about.get("apart"):
            talk = RunConversation(self.store, graph, about["key"])
            await talk.look_back(about["head"], about["last"], about.get("cutoff", 0))
            frame.shared.talk = talk
            frame.shared.session = talk.name.key
            return
        if self.talk is None:
            if about is None:
                return
            self.talk = RunConversation(self.store, graph, about["key"], self.busy)
        # Its process may have died when its exchange was kept, and before that was noted of the run.
        if await self.talk.has_exchange_of(header.id):
            return
        if frame.shared.talk is None:
            await self._converse(frame, self.talk)
        self.talk.go_on_with(header)

    async def _begin(
        self,
        recorder: RunRecorder,
        run: RunRecord[Any],
        frame: Frame,
        message: object,
        limits: Limits | None,
    ) -> bool:
        """Begins a run that nobody knows yet; False: somebody else has begun it meanwhile."""
        assert run.declared is not None
        header = self._new_header(run, limits, frame.shared.model)
        form = form_to_keep(run.declared)
        detail = Detail(form=form)
        try:
            self._begin_states(recorder, frame)
            started = RunStarted(0.0, 0, run.graph, message, recorder.beginnings)
            await recorder.begin(header, self.lease_s, started, detail)
        except RunExists:
            return False
        except BaseException:
            if self.talk is not None:
                with suppress(StoreError):  # the hold ends by itself
                    await self.talk.let_go()
            raise
        return True

    def _begin_states(self, recorder: RunRecorder, frame: Frame) -> None:
        """Has those states of a run that live as long as its conversation begin with what was left there.

        Raises:
            StateInvalid: one was kept that does not fit its type.
        """
        if self.talk is None or frame.states is None:
            return
        writes = self.talk.beginnings()
        mask = frame.shared.mask
        if mask is not None:
            writes = tuple([_without_secrets(write, mask) for write in writes])
        recorder.beginnings = writes
        frame.states.begin_with(writes)

    async def _go_on(
        self,
        run: RunRecord[Any],
        frame: Frame,
        message: object,
        limits: Limits | None,
        ownership: Ownership,
    ) -> bool:
        """Takes up what is recorded of a run that this process owns; whether it has ended already."""
        recorder, sitting = self.recorder, frame.shared.sitting
        assert recorder is not None
        assert sitting is not None
        # Anew: until it was acquired, somebody else may have written into it.
        header = await self.store.header(run.id)
        record = await read_record(self.store, header, run.declared)
        if record.damage is not None:
            raise record.damage
        if fill(run, frame, record, message):
            await self.store.note(ownership, run.status)  # its process has died before it could
            await recorder.close()
            check_of_ended(record, sitting.answers)
            return True
        check_by_id(record, sitting.answers)
        # What earlier sittings have done is not removed because this one fails.
        recorder.best_effort = False
        if header.status != "running":
            recorder.former = header.status
            await self.store.note(ownership, "running")
        if not record.entries:  # its process died before it had told anything
            self._begin_states(recorder, frame)
        take_up(run, frame, record, recorder)
        check_answers(frame)
        await self._note_limits(ownership, header, limits)
        sitting.stored = await self.store.answers(run.id)
        return False

    async def _note_limits(
        self, ownership: Ownership, header: RunHeader, limits: Limits | None
    ) -> None:
        """Notes under which limits a run goes on, if these are others: whoever replays it has to know."""
        about = {name: value for name, value in header.about.items() if name != "limits"}
        if limits is not None:
            about["limits"] = limits_data(limits)
        # Limits that limit nothing are the same as none.
        is_limited = about.get("limits") or header.about.get("limits")
        if is_limited and about != header.about:
            await self.store.note(ownership, "running", about=about)

    def _new_header(
        self, run: RunRecord[Any], limits: Limits | None, model: Model | str | None
    ) -> RunHeader:
        graph = run.declared
        assert graph is not None
        about: dict[str, Json] = {"digest": form_digest(graph)}
        models = _models_of(graph, model)
        if models:
            about["models"] = models
        if limits is not None:
            about["limits"] = limits_data(limits)
        if self.budgets:
            about["budgets"] = [each.data() for each in self.budgets]
        if self.user is not None:
            about["user"] = self.user
        if self.talk is not None:
            about[ABOUT] = self.talk.about
        elif isinstance(run.turns_before, GivenHistory):
            about[HISTORY] = encode_turns(run.turns_before.turns)
        now = time.time()
        return RunHeader(
            run.id, graph.name, "running", now, now, about=about, metadata=self.metadata
        )


def _without_secrets(write: StateWrite, mask: RunMask) -> StateWrite:
    """What a state begins with, without secrets: it may have been written when nobody knew of them."""
    value = mask.early_value(write.value, f"state {write.state.name}")
    return StateWrite(write.state, write.kind, value)


def check_answers(frame: Frame) -> None:
    """Refuses answers that are given by the name of a node of which several questions are open: nobody knows which is meant.

    Raises:
        QuestionUnknown: there is one; the text names the questions.
    """
    past, sitting = frame.shared.past, frame.shared.sitting
    if past is None or sitting is None:
        return
    for name in sitting.answers:
        ids = _open_questions(name, past)
        if len(ids) > 1 and name not in ids:
            listed = ", ".join(map(repr, ids))
            raise QuestionUnknown(
                f"answers={{{name!r}: ...}}: {name!r} has asked {len(ids)} questions; say which: {listed}"
            )


def _open_questions(node: str, past: Past) -> list[str]:
    """The ids of the questions that a node has asked and nobody has answered."""
    ids: list[str] = []
    for id, record in past.asked.items():
        is_open = record.answered is None
        if is_open and record.asked.node == node:
            ids.append(id)
    return ids


def form_to_keep(graph: AnyGraph) -> KeptForm:
    """The form of a graph, for the first row of a run."""
    digest = form_digest(graph)
    content = form_bytes(graph)
    return KeptForm(digest, content)


def _models_of(graph: AnyGraph, default: Model | str | None) -> dict[str, Json]:
    """The model that each node asks; those that are objects by the names they give themselves."""
    models: dict[str, Json] = {}
    if not graph.needs_models:
        return models
    for node, named in graph.models_needed(default):
        if isinstance(named, str):
            models[node] = named
        elif named is not None:
            models[node] = named.name
    return models


def limits_data(limits: Limits) -> dict[str, Json]:
    """Limits as a header keeps them."""
    stated: dict[str, Json] = {}
    for field in fields(limits):
        value = getattr(limits, field.name)
        if value is not None and value != field.default:
            stated[field.name] = value
    return stated


def limits_from(data: Any) -> Limits | None:
    """The limits that a header keeps."""
    if not data:
        return None
    return Limits(**data)


async def begun_with(store: Store, id: str, graph: AnyGraph) -> tuple[Any, Limits | None]:
    """What a run was given: its message and its limits.

    Raises:
        RunUnknown: there is no such run.
        Unreadable: the graph takes something else.
    """
    header = await store.header(id)
    about: Any = header.about
    limits = limits_from(about.get("limits"))
    reader = RowReader(id, outermost_form(graph), entered_form)
    async for row in store.rows(id):
        large = await large_of(store, id, row)
        with read_as(header, graph):
            (entry,) = reader.entries(row, large)
        started = entry.event
        if isinstance(started, RunStarted):
            return started.input, limits
        break
    raise RunDamaged(id, 0, "it does not tell what the graph was given")
