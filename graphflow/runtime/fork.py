"""Forks: a new run that shares what another one has done, up to a cut or a change, and goes on by itself.

    store      run r    rows  . . . . . . .            never touched
               run r2   rows  . . . *     > > >         copied, changed, walked anew

Rules:
1. The new run has an id of its own, so what it does to the world it does under keys of its own.
2. What does not depend on the change is taken over, and is not done again (`cone.py`).
3. A changed answer of a person is asked for again, and given at once: so it is read by the type that the question wants.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any

from graphflow.declaration.handoffs import Handover
from graphflow.declaration.node import AnyNode
from graphflow.errors import DeclarationError, OutputInvalid, PlaceUnknown
from graphflow.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    ModelFailed,
    ModelFinished,
    ModelStarted,
    NodeFailed,
    NodeFinished,
    QuestionAsked,
    Resumed,
    RunStarted,
    ValueKept,
)
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.journal.fork_report import ForkReport
from graphflow.journal.record import read_record
from graphflow.journal.row_reader import RecordEntry
from graphflow.journal.row_writer import RowDraft, RowWriter
from graphflow.journal.store import Store
from graphflow.journal.stored import Json, RunHeader
from graphflow.limits import Ledger
from graphflow.messages.message import to_json_value, to_text
from graphflow.messages.types import Type, adapter_of, output_check, type_name
from graphflow.model.reply import Reply
from graphflow.proofs.form import form_digest
from graphflow.proofs.proven import AnyGraph
from graphflow.proofs.variant import changed_nodes
from graphflow.runtime.cone import Cone, ConeFinder, RecordChange
from graphflow.runtime.durability import form_to_keep, opened
from graphflow.runtime.loading import Make, R, limits_of, made_run
from graphflow.runtime.naming import PlaceNames, callers, shown_activation
from graphflow.runtime.recorder import holder
from graphflow.runtime.spans import Moving, RecordSpan, SpanIndex

Resume = Callable[..., Awaitable[R]]
"""`Executor.resume`."""


async def fork(
    graph: AnyGraph,
    id: str,
    /,
    *,
    make: Make[R],
    resume: Resume[R],
    store: Store | str,
    at: str | None = None,
    edit: Mapping[str, Any] | None = None,
    new_id: str | None = None,
    metadata: Mapping[str, Json] | None = None,
    **options: Any,
) -> R:
    """`Graph.fork`."""
    store = opened(store, f"the fork of {id!r}")
    # Only read: whoever owns that run goes on undisturbed.
    header = await store.header(id)
    record = await read_record(store, header, graph, limits_of(header, graph))
    if record.damage is not None:
        raise record.damage
    index = SpanIndex(record)
    parent = made_run(store, record, graph, Ledger((header.graph,), limits_of(header, graph)), make)
    editor = _Editor(index, PlaceNames(index, parent.events))
    if at is not None:
        editor.redo(at)
    for name, value in (edit or {}).items():
        editor.edit(name, value)
    is_told = at is not None or bool(edit)
    if not is_told:
        editor.redo_all_of(_nodes_to_redo(graph, options))
    finder = ConeFinder(index, editor.changes)
    cone = finder.find()
    if is_told:
        _check_met(cone, editor.names)
    names = tuple(editor.names.values())
    new_id = new_id or f"{id}-fork-{token_hex(3)}"
    own = _header_of(header, new_id, graph, names, metadata)
    await _keep(store, own, cone, graph)
    answers = {**editor.answers, **(options.pop("answers", None) or {})}
    taken, left = _steps(index, cone)
    report = ForkReport(id, names, tuple(taken), tuple(left))
    try:
        run = await resume(graph, new_id, store=store, answers=answers, **options)
    except BaseException as error:
        _attach(getattr(error, "run", None), report)
        raise
    _attach(run, report)
    return run


def _nodes_to_redo(graph: AnyGraph, options: Mapping[str, Any]) -> frozenset[str]:
    """The nodes that answer in another way, where nobody says where to begin: those of a variant, and of another model."""
    changed = changed_nodes(graph)
    if options.get("model") is None:
        return changed
    return changed | {node for node, named in graph.models_needed(None) if named is None}


def _attach(run: Any, report: ForkReport) -> None:
    """Says of a run what it has taken over, and what it did itself."""
    if run is None:
        return
    paths = [path for _, path, _ in run.frames]
    steps = StepNames(paths)
    ran: list[str] = []
    for event in run.facts:
        shown = steps.shown(event)
        # What was taken over came before its first sitting.
        if isinstance(event, Resumed):
            ran.clear()
        elif shown:
            ran.append(shown)
    run._fork_report = replace(report, ran=tuple(ran))


# -- what is kept of the fork ----------------------------------------------------------------------
def _header_of(
    header: RunHeader,
    id: str,
    graph: AnyGraph,
    at: Sequence[str],
    metadata: Mapping[str, Json] | None,
) -> RunHeader:
    about: dict[str, Json] = dict(header.about)
    about["digest"] = form_digest(graph)
    about["parent"] = {"run": header.id, "at": list(at)}
    own = dict(header.metadata) if metadata is None else dict(metadata)
    return replace(header, id=id, status="running", rows=0, about=about, metadata=own, lease=None)


async def _keep(store: Store, header: RunHeader, cone: Cone, graph: AnyGraph) -> None:
    """Keeps a new run, all of what it takes over at once: of a crash in between nothing remains that could go on."""
    writer = RowWriter()
    writer.forms = cone.forms
    drafts = list(_drafts(writer, cone.taken, graph))
    large: dict[str, bytes] = {}
    for draft in drafts:
        large.update(draft.large)
    ownership = await store.create(header, holder())
    try:
        await store.append(
            ownership, [draft.numbered(number) for number, draft in enumerate(drafts)], large
        )
    finally:
        await store.release(ownership)


def _drafts(writer: RowWriter, entries: Sequence[RecordEntry], graph: AnyGraph) -> list[RowDraft]:
    """The rows of entries; hops that follow each other stand in one."""
    drafts: list[RowDraft] = []
    hops: list[NodeFinished] = []

    def write_hops() -> None:
        if hops:
            drafts.append(_hops_row(writer, hops))
            hops.clear()

    for entry in entries:
        event = entry.event
        if (
            entry.detail is NO_DETAIL
            and isinstance(event, NodeFinished)
            and type(event.output) is not Handover
        ):
            if hops and (event.frame, event.activation) != (
                hops[-1].frame,
                hops[-1].activation + 1,
            ):
                write_hops()
            hops.append(event)
            continue
        write_hops()
        detail = entry.detail
        if isinstance(event, RunStarted):
            detail = replace(detail, form=form_to_keep(graph))
        drafts.append(writer.row(event, detail))
    write_hops()
    return drafts


def _hops_row(writer: RowWriter, events: Sequence[NodeFinished]) -> RowDraft:
    first = events[0]
    numbers = {slot.name: slot.index for slot in writer.forms[first.frame].program.slots}
    hops: list[Any] = []
    for event in events:
        hops += (numbers[event.node], event.started, event.at, event.output)
    return writer.hops(first.frame, first.activation, hops, 0.0)


# -- what is told of it ----------------------------------------------------------------------------
class StepNames:
    """What the activations and calls of a run are called that have ended.

    Args:
        paths: of its frames, by number.
    """

    def __init__(self, paths: Sequence[Sequence[str]]) -> None:
        self._paths = paths
        self._callers: dict[int, str] = {}

    def shown(self, event: Event) -> str:
        """What it is called; "" for an event that is no end of one."""
        if isinstance(event, CallStarted):
            self._callers[event.call] = event.caller
        path = self._paths[event.frame][1:]
        if isinstance(event, (CallFinished, CallFailed)):
            around = callers(path, self._callers[event.call])
            return shown_activation(around, event.node, event.call)
        if not isinstance(event, (NodeFinished, NodeFailed)):
            return ""
        if path and path[-1] == event.node:
            return ""  # it stands alone in its frame: the call is the step
        return shown_activation(path, event.node, event.activation)


def _steps(index: SpanIndex, cone: Cone) -> tuple[Sequence[str], Sequence[str]]:
    """The steps that are taken over, and those that are left out."""
    forms = [cone.forms[frame] for frame in sorted(cone.forms)]
    steps = StepNames([form.path for form in forms])
    taken = [steps.shown(entry.event) for entry in cone.taken]
    forms_before = index.record.forms
    paths: list[Sequence[str]] = []
    for frame in range(max(forms_before) + 1):
        form = forms_before.get(frame)
        paths.append(("", "") if form is None else form.path)
    steps = StepNames(paths)
    left: list[str] = []
    is_left = frozenset(cone.left)
    for number, entry in enumerate(index.record.entries):
        shown = steps.shown(entry.event)
        if number in is_left:
            left.append(shown)
    return list(filter(None, taken)), list(filter(None, left))


def _check_met(cone: Cone, names: Mapping[int, str]) -> None:
    if cone.unmet:
        change = cone.unmet[0]
        raise DeclarationError(
            f"fork: {change.span.node!r} at {names.get(id(change.span), '')!r} depends on another change, so that it is "
            "not come to any more; make one fork of the other"
        )


# -- edits -----------------------------------------------------------------------------------------
class _Editor:
    """Makes changes of what somebody names.

    Attributes:
        changes: what is changed.
        answers: new answers to questions, by their ids.
        names: what each change was called, by the identity of its span.
    """

    def __init__(self, index: SpanIndex, places: PlaceNames) -> None:
        self._index = index
        self._places = places
        self.changes: list[RecordChange] = []
        self.answers: dict[str, Any] = {}
        self.names: dict[int, str] = {}

    def redo(self, name: str) -> None:
        """Has something done again."""
        self._add(name, self._places.span(name), None)

    def redo_all_of(self, nodes: Collection[str]) -> None:
        """Has all done again that nodes of these names have done."""
        for name, span in self._places.all_of(nodes):
            self._add(name, span, None)

    def edit(self, name: str, value: Any) -> None:
        """Gives something another answer.

        Raises:
            PlaceUnknown: nothing of that name is recorded.
            OutputInvalid: the answer does not fit.
        """
        span = self._places.span(name)
        if span.kind == "question":
            asked = self._index.record.entries[span.begin].event
            assert isinstance(asked, QuestionAsked)
            self.answers[asked.question] = value
            # One that is open is answered as soon as the fork has begun.
            if span.end is not None:
                self._add(name, span, None)
            return
        edit = getattr(self, f"_edited_{span.kind}", None)
        if edit is None:
            raise PlaceUnknown(
                f"fork: what stands at {name!r} has no answer that could be another one"
            )
        self._add(name, span, edit(name, span, value))

    def _add(self, name: str, span: RecordSpan, entry: RecordEntry | None) -> None:
        self.names[id(span)] = name
        self.changes.append(RecordChange(span, entry))

    def _ended(self, span: RecordSpan) -> Event | None:
        return None if span.end is None else self._index.record.entries[span.end].event

    def _now(self) -> float:
        return self._index.record.entries[-1].event.at

    def _edited_activation(self, name: str, span: RecordSpan, value: Any) -> RecordEntry:
        frame, activation = span.activation
        form = self._index.record.forms[frame]
        assert form is not None
        node = form.program.nodes_by_name.get(span.node)
        assert node is not None
        ended = self._ended(span)
        at, started = self._now(), self._now()
        if isinstance(ended, Moving):
            at = ended.at
            started = getattr(ended, "started", at)
        if isinstance(value, BaseException):
            return RecordEntry(
                0, NodeFailed(at, frame, activation, node.name, value, started), NO_DETAIL
            )
        output = fitting(name, node.output, value)
        return RecordEntry(
            0, NodeFinished(at, frame, activation, node.name, output, started), NO_DETAIL
        )

    def _edited_call(self, name: str, span: RecordSpan, value: Any) -> RecordEntry:
        entry = self._index.record.entries[span.begin]
        event = entry.event
        assert isinstance(event, CallStarted)
        node: AnyNode | None = entry.detail.node
        if node is not None and node.in_background:
            raise PlaceUnknown(
                f"fork: {name!r} is a call in the background, whose answer comes later; change what it calls"
            )
        detail = Detail(span.place, node)
        ended = self._ended(span)
        if span.end is not None:
            known = self._index.record.entries[span.end].detail
            detail = replace(known, turns=(), raw=None)
        at = self._now() if ended is None else ended.at
        head = (at, event.frame, event.activation, event.call, event.node)
        if isinstance(value, BaseException):
            return RecordEntry(0, CallFailed(*head, value, event.at), detail)
        output = value if node is None else fitting(name, node.output, value)
        return RecordEntry(0, CallFinished(*head, output, event.at), detail)

    def _edited_model(self, name: str, span: RecordSpan, value: Any) -> RecordEntry:
        asked = self._index.record.entries[span.begin].event
        assert isinstance(asked, ModelStarted)
        ended = self._ended(span)
        at = self._now() if ended is None else ended.at
        head = (at, asked.frame, asked.activation, asked.node, asked.model)
        if isinstance(value, BaseException):
            return RecordEntry(
                0, ModelFailed(*head, value, asked.at, asked.question), Detail(span.place)
            )
        reply = value
        if not isinstance(value, Reply):
            text = value if isinstance(value, str) else to_text(value)
            reply = Reply(text=text, finish="stop", usd=0.0)
        finished = ModelFinished(
            *head,
            text=reply.text,
            calls=len(reply.calls),
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            usd=reply.usd,
            finish=reply.finish,
            started=asked.at,
            thinking=reply.thinking,
            question=asked.question,
        )
        return RecordEntry(0, finished, Detail(span.place, reply=reply))

    def _edited_value(self, name: str, span: RecordSpan, value: Any) -> RecordEntry:
        entry = self._index.record.entries[span.begin]
        assert isinstance(entry.event, ValueKept)
        return RecordEntry(0, replace(entry.event, value=to_json_value(value)), entry.detail)


def fitting(name: str, kind: Type, value: Any) -> Any:
    """A value as a declared type wants it.

    Raises:
        OutputInvalid: it does not fit.
    """
    expected, fits = output_check(kind)
    if type(value) is expected or fits is None or fits(value):
        return value
    try:
        return adapter_of(kind).validate_python(value)
    except ValueError as error:
        raise OutputInvalid(
            f"fork: what {name!r} is to answer must be {type_name(kind)}: {error}"
        ) from None
