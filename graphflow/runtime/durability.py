"""Durable runs: a run that a store keeps begins, is taken up again, and ends.

open     nobody knows the id yet    > it begins
it has ended               > it is what it was
somebody else is at it     > refused, with the time until which
else                       > it goes on where it was
finish   all is kept, the status is noted, the run is given back
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from math import inf
from typing import Any, cast

from graphflow.declaration.background import backgrounds
from graphflow.errors import DeclarationError, QuestionUnknown, RunDamaged, RunExists, StoreError
from graphflow.events import ArtifactKept, Event, RunEnded, RunStarted
from graphflow.journal.codec.value_codec import codec_of
from graphflow.journal.detail import Detail, KeptForm
from graphflow.journal.entries import Given
from graphflow.journal.record import (
    StoredRecord,
    entered_form,
    large_of,
    outermost_form,
    read_as,
    read_record,
)
from graphflow.journal.row_reader import RowReader
from graphflow.journal.storable import check_storable
from graphflow.journal.store import LEASE_S, Ownership, Store
from graphflow.journal.stored import Json, RunHeader
from graphflow.limits import Limits
from graphflow.model.seam import Model
from graphflow.proofs.form import form_bytes, form_digest
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub, scrubbed
from graphflow.runtime.derivation import derived
from graphflow.runtime.frame import Frame
from graphflow.runtime.late_answers import check_by_id, check_of_ended
from graphflow.runtime.options import KEEPING, Sync
from graphflow.runtime.past import Past
from graphflow.runtime.recorder import RunRecorder, acquired, holder
from graphflow.runtime.run_record import RunRecord
from graphflow.runtime.run_scope import RunScope
from graphflow.runtime.sitting import Sitting

OVER: frozenset[str] = frozenset({"completed", "failed"})
"""How a run has ended for good: what was cancelled or limited can be resumed."""

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
    ) -> None:
        self.store = store
        self.owned = owned
        self.sync = sync
        self.metadata = metadata or {}
        self.lease_s = lease_s
        self.best_effort = best_effort
        self.resumes = resumes
        self.recorder: RunRecorder | None = None
        self._ending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        """Looks for answers from elsewhere, while somebody waits for one and others go on."""

    async def close(self) -> None:
        """Lets go of the store, if nobody else uses it."""
        if self.owned:
            await self.store.aclose()

    def prepare(self, shared: RunScope, answers: Mapping[str, Any]) -> None:
        """Gives a run what will keep its record, from the moment that it is opened, and what lets it wait.

        Args:
            shared: the run's own.
            answers: to questions that it has asked in earlier sittings.
        """
        run = shared.run
        recorder = RunRecorder(run, self.store, self.sync, best_effort=self.best_effort)
        self.recorder = recorder
        run.recorder = shared.recorder = recorder
        run.store = self.store

        def end() -> None:
            self._ending = asyncio.get_running_loop().create_task(self._end_sitting(shared))

        def watch() -> None:
            if self._watching is None or self._watching.done():
                self._watching = asyncio.get_running_loop().create_task(
                    self._watch(run.id, sitting)
                )

        sitting = shared.sitting = run.sitting = Sitting(end, watch)
        sitting.answers = {name: Given(value) for name, value in answers.items()}

    async def _watch(self, run: str, sitting: Sitting) -> None:
        """Looks again and again for answers from elsewhere."""
        while sitting.open and not sitting.is_over:
            await asyncio.sleep(LOOK_S)
            with suppress(StoreError):  # the next look may reach it
                sitting.look_into(await self.store.answers(run))

    def look_no_more(self) -> None:
        """Nothing more is looked for."""
        if self._watching is not None:
            self._watching.cancel()

    async def _end_sitting(self, shared: RunScope) -> None:
        """Ends a sitting in which nothing moves, unless somebody has answered meanwhile."""
        run, sitting = shared.run, shared.sitting
        assert sitting is not None
        with suppress(StoreError):  # it ends all the same, and the next sitting looks again
            sitting.look_into(await self.store.answers(run.id))
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
        if header is None and not self.resumes:
            try:
                await self._begin(recorder, run, frame, message, limits)
            except RunExists:
                header = await self.store.header(run.id)
            else:
                return False
        if header is None:
            raise await self.store.unknown(run.id)
        if header.status in OVER:
            record = await read_record(self.store, header, run.declared)
            if fill(run, frame, record, message):
                check_of_ended(record, sitting.answers)
                return True
        asked = time.monotonic()
        ownership = await acquired(self.store, self.store.acquire(run.id, holder(), self.lease_s))
        recorder.own(ownership, asked)  # a long record takes a while to read
        try:
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
            take_up(run, frame, record, recorder)
            check_answers(frame)
            await self._note_limits(ownership, header, limits)
            sitting.stored = await self.store.answers(run.id)
        except BaseException:
            await recorder.close()
            raise
        return False

    async def _begin(
        self,
        recorder: RunRecorder,
        run: RunRecord[Any],
        frame: Frame,
        message: object,
        limits: Limits | None,
    ) -> None:
        """Begins a run that nobody knows yet.

        Raises:
            RunExists: somebody has begun it meanwhile.
        """
        assert run.declared is not None
        header = self._new_header(run, limits, frame.shared.model)
        started = RunStarted(0.0, 0, run.graph, message)
        detail = Detail(form=form_to_keep(run.declared))
        await recorder.begin(header, self.lease_s, started, detail)

    async def _note_limits(
        self, ownership: Ownership, header: RunHeader, limits: Limits | None
    ) -> None:
        """Notes under which limits a run goes on, if these are others: whoever replays it has to know."""
        about = {name: value for name, value in header.about.items() if name != "limits"}
        if limits is not None:
            about["limits"] = limits_data(limits)
        if about != header.about and (about.get("limits") or header.about.get("limits")):
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
        now = time.time()
        return RunHeader(
            run.id, graph.name, "running", now, now, about=about, metadata=self.metadata
        )


def check_answers(frame: Frame) -> None:
    """Refuses answers that are given by the name of a node of which several questions are open: nobody knows which is meant.

    Raises:
        QuestionUnknown: there is one; the text names the questions.
    """
    past, sitting = frame.shared.past, frame.shared.sitting
    if past is None or sitting is None:
        return
    for name in sitting.answers:
        ids = [
            id
            for id, record in past.asked.items()
            if record.answered is None and record.asked.node == name
        ]
        if len(ids) > 1 and name not in ids:
            listed = ", ".join(map(repr, ids))
            raise QuestionUnknown(
                f"answers={{{name!r}: ...}}: {name!r} has asked {len(ids)} questions; say which: {listed}"
            )


def form_to_keep(graph: AnyGraph) -> KeptForm:
    """The form of a graph, for the first row of a run."""
    return KeptForm(form_digest(graph), form_bytes(graph))


def _models_of(graph: AnyGraph, default: Model | str | None) -> dict[str, Json]:
    """The model that each node asks; those that are objects by the names they give themselves."""
    models: dict[str, Json] = {}
    if not graph.needs_models:
        return models
    for node, named in graph.models_needed(default):
        if named is not None:
            models[node] = named if isinstance(named, str) else named.name
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
    return Limits(**data) if data else None


def check_message(record: StoredRecord, graph: AnyGraph, message: object) -> None:
    """Refuses another message under the same id.

    Raises:
        RunExists: it is another one; the text says in what.
    """
    started = _started(record)
    codec = codec_of(graph.program.input)
    given, known = codec.encode(message), codec.encode(started.input)
    if given != known:
        where = _difference(known, given, "message")
        raise RunExists(
            f"run {record.header.id!r} was begun with another message ({where}); choose another id, or give the same"
        )


def _started(record: StoredRecord) -> RunStarted:
    for entry in record.entries:
        if isinstance(entry.event, RunStarted):
            return entry.event
    raise RunDamaged(record.header.id, 0, "it does not tell what the graph was given")


def _difference(known: Any, given: Any, path: str) -> str:
    """Where two messages differ first, and how."""
    if isinstance(known, dict) and isinstance(given, dict):
        for name in [*known, *given]:
            if known.get(name) != given.get(name):
                return _difference(known.get(name), given.get(name), f"{path}.{name}")
    if isinstance(known, list) and isinstance(given, list) and len(known) == len(given):
        for number, (one, other) in enumerate(zip(known, given, strict=True)):
            if one != other:
                return _difference(one, other, f"{path}[{number}]")
    return f"{path} was {_shown(known)} and is {_shown(given)}"


def _shown(value: object) -> str:
    shown = scrub(repr(value))
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def fill(run: RunRecord[Any], frame: Frame, record: StoredRecord, message: object) -> bool:
    """Makes a run what it was, if it has ended for good.

    Raises:
        RunExists: it was begun with another message.
    """
    graph = run.declared
    assert graph is not None
    if not record.entries:
        return False
    check_message(record, graph, message)
    ended = record.events[-1]
    if not isinstance(ended, RunEnded) or ended.status not in OVER:
        return False
    take_events(run, record)
    past = Past(run.id, record.entries)
    past.charge(frame.ledger, 0)
    run.recorder = None
    run.status = ended.status
    run._output = ended.output
    run.error = record.entries[-1].detail.error
    run.began = time.perf_counter() - ended.at
    run.ended = run.began + ended.at
    run.began_at = record.header.began
    run.close()
    return True


def take_up(run: RunRecord[Any], frame: Frame, record: StoredRecord, recorder: RunRecorder) -> None:
    """Lets a run go on where its record ends."""
    if not record.entries:  # its process died before it had told anything
        return
    past = Past(run.id, record.entries, record.forms)
    shared = frame.shared
    shared.past = past
    shared.calls = past.calls
    shared.questions = past.questions
    sitting = shared.sitting
    if sitting is not None:
        sitting.asked = past.asked
        sitting.taken = past.taken
    shared.allowed |= past.allowed
    backgrounds.set(shared.backgrounds)
    take_events(run, record)
    frame._within = None  # from now on it knows what was answered there
    frame.keep_form(recorder)
    run.began_at = record.header.began


def take_events(run: RunRecord[Any], record: StoredRecord) -> None:
    """Gives a run what has happened in its earlier sittings. How these ended is no end of the run."""
    frames = run.frames[:1]
    for number, form in sorted(record.forms.items()):
        if number and form is not None:
            frames.append((form.program, form.path, form.limits))
    run.frames[:] = frames
    facts: list[Event] = []
    last = len(record.entries) - 1
    for place, entry in enumerate(record.entries):
        if not isinstance(entry.event, RunEnded) or (place == last and entry.event.status in OVER):
            facts.append(entry.event)
    _take_artifacts(run, record)
    run.journal.extend(derived(facts, run.frames, {}) if run.observed else facts)


def _take_artifacts(run: RunRecord[Any], record: StoredRecord) -> None:
    """Gives a run the bytes of what its nodes have kept."""
    for entry in record.entries:
        content = entry.detail.content
        if content is not None and isinstance(entry.event, ArtifactKept):
            run.kept[entry.event.artifact.digest] = content


# -- what is asked for -----------------------------------------------------------------------------
_SYNCS = ("effects", "each", "end")


def take_durability(
    graph: AnyGraph, options: dict[str, Any], *, resumes: bool = False
) -> Durability | None:
    """Takes what says how a run is kept out of its options; None if it is not.

    A graph that may have to wait for an answer is kept in memory at least: when it goes on, it goes on from its record.

    Raises:
        DeclarationError: it cannot be kept like that.
    """
    given = {name: options.pop(name) for name in KEEPING if name in options}
    store = given.pop("store", None)
    whose = f"the run of {graph.name!r}"
    if store is None:
        if graph.may_wait and not resumes:
            return Durability(Store.open("memory:"))
        if resumes:
            raise DeclarationError(f"{whose}: resume needs store=..., where the run is kept")
        if given:
            named = ", ".join(f"{name}=" for name in given)
            raise DeclarationError(
                f"{whose}: {named} says how a run is kept, and there is no store; give store=..."
            )
        return None
    owned = isinstance(store, str)
    store = opened(store, whose)
    sync = given.get("sync", "effects")
    if sync not in _SYNCS:
        raise DeclarationError(f"{whose}: sync={sync!r}; it is 'effects', 'each' or 'end'")
    if given.get("metadata") is not None:
        given["metadata"] = _metadata(given["metadata"], whose)
    if not given.get("best_effort"):
        check_storable(graph)
    if "lease_s" in given:
        _check_lease(whose, given["lease_s"])
    return Durability(store, resumes=resumes, owned=owned, **given)


def _metadata(metadata: object, whose: str) -> dict[str, Json]:
    """What a user has noted of a run, as a store keeps it: a copy without secrets.

    Raises:
        DeclarationError: it is not JSON.
    """
    why = f"it is {type(metadata).__name__}"
    if isinstance(metadata, Mapping) and all(isinstance(name, str) for name in metadata):
        try:
            copy: dict[str, Json] = json.loads(json.dumps(dict(metadata), allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            why = str(error)
        else:
            return cast("dict[str, Json]", scrubbed(copy))
    raise DeclarationError(f"{whose}: metadata= must be a dict of JSON values by name; {why}")


def opened(store: object, whose: str) -> Store:
    """A store that is given as it is, or by its address.

    Raises:
        DeclarationError: it is neither.
    """
    if isinstance(store, str):
        return Store.open(store)
    if isinstance(store, Store):
        return store
    raise DeclarationError(f"{whose}: store={store!r}; give a Store, or its address as a text")


def _check_lease(whose: str, seconds: object) -> None:
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds < inf:
        return
    raise DeclarationError(f"{whose}: lease_s={seconds!r}; it must be a positive number of seconds")


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
        if isinstance(entry.event, RunStarted):
            return entry.event.input, limits
        break
    raise RunDamaged(id, 0, "it does not tell what the graph was given")
