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
from graphflow.journal.detail import NO_DETAIL, Detail, FrameForm
from graphflow.journal.fork_report import ForkReport
from graphflow.journal.record import read_record
from graphflow.journal.row_reader import RecordEntry
from graphflow.journal.row_writer import RowDraft, RowWriter
from graphflow.journal.store import Store
from graphflow.journal.stored import Json, RunHeader, StoredRow
from graphflow.limits import Ledger
from graphflow.messages.message import to_json_value, to_text
from graphflow.messages.state import AnyState, StateWrite, StateWrites
from graphflow.messages.types import Type, adapter_of, output_check, type_name
from graphflow.model.reply import Reply
from graphflow.proofs.arms import nearest
from graphflow.proofs.form import form_digest
from graphflow.proofs.program import Program
from graphflow.proofs.proven import AnyGraph
from graphflow.proofs.state_arrows import written_by_arrows, written_by_code
from graphflow.proofs.variant import changed_nodes
from graphflow.runtime.cone import Cone, ConeFinder, RecordChange
from graphflow.runtime.durability import form_to_keep
from graphflow.runtime.keeping import opened
from graphflow.runtime.loading import Make, R, limits_of, made_run
from graphflow.runtime.naming import PlaceNames, callers, shown_activation
from graphflow.runtime.recorder import holder
from graphflow.runtime.spans import Moving, RecordSpan, SpanIndex
from graphflow.runtime.talk import apart

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
    limits = limits_of(header, graph)
    record = await read_record(store, header, graph, limits)
    if record.damage is not None:
        raise record.damage
    index = SpanIndex(record)
    ledger = Ledger((header.graph,), limits)
    parent = made_run(store, record, graph, ledger, make)
    editor = _Editor(index, PlaceNames(index, parent.events))
    if at is not None:
        editor.redo(at)
    editor.edit_all(edit or {})
    is_told = at is not None or bool(edit)
    if not is_told:
        nodes = _nodes_to_redo(graph, options)
        editor.redo_all_of(nodes)
    finder = ConeFinder(index, editor.changes)
    cone = finder.find()
    if is_told:
        _check_met(cone, editor.names)
    names = tuple(editor.names.values())
    if not new_id:
        new_id = f"{id}-fork-{token_hex(3)}"
    own = _header_of(header, new_id, graph, names, metadata)
    await _keep(store, own, cone, graph)
    given = options.pop("answers", None) or {}
    answers = {**editor.answers, **given}
    taken, left = _steps(index, cone)
    report = ForkReport(id, names, taken, left)
    try:
        run = await resume(graph, new_id, store=store, answers=answers, **options)
    except BaseException as error:
        failed = getattr(error, "run", None)
        _attach(failed, report)
        raise
    _attach(run, report)
    return run


def _nodes_to_redo(graph: AnyGraph, options: Mapping[str, Any]) -> frozenset[str]:
    """The nodes that answer in another way, where nobody says where to begin: those of a variant, and of another model."""
    changed = changed_nodes(graph)
    if options.get("model") is None:
        return changed
    needed = graph.models_needed(None)
    unnamed = {node for node, named in needed if named is None}
    return changed | unnamed


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
    apart(about)
    about["parent"] = {"run": header.id, "at": list(at)}
    own = dict(header.metadata) if metadata is None else dict(metadata)
    return replace(header, id=id, status="running", rows=0, about=about, metadata=own, lease=None)


async def _keep(store: Store, header: RunHeader, cone: Cone, graph: AnyGraph) -> None:
    """Keeps a new run, all of what it takes over at once: of a crash in between nothing remains that could go on."""
    writer = RowWriter()
    writer.forms = cone.forms
    rows: list[StoredRow] = []
    large: dict[str, bytes] = {}
    for number, draft in enumerate(_drafts(writer, cone.taken, graph)):
        row = draft.numbered(number)
        rows.append(row)
        large.update(draft.large)
    ownership = await store.create(header, holder())
    try:
        await store.append(ownership, rows, large)
    finally:
        await store.release(ownership)


def _drafts(writer: RowWriter, entries: Sequence[RecordEntry], graph: AnyGraph) -> list[RowDraft]:
    """The rows of entries; hops that follow each other stand in one."""
    drafts: list[RowDraft] = []
    hops: list[NodeFinished] = []

    def write_hops() -> None:
        if not hops:
            return
        draft = _hops_row(writer, hops)
        drafts.append(draft)
        hops.clear()

    for entry in entries:
        hop = _hop_in(entry)
        if hop is not None:
            if hops and not _follows(hop, hops[-1]):
                write_hops()
            hops.append(hop)
            continue
        write_hops()
        event = entry.event
        detail = entry.detail
        if isinstance(event, RunStarted):
            detail = replace(detail, form=form_to_keep(graph))
        draft = writer.row(event, detail)
        drafts.append(draft)
    write_hops()
    return drafts


def _hop_in(entry: RecordEntry) -> NodeFinished | None:
    """The hop that an entry is, if it is one: an answer of which a straight walk keeps nothing else."""
    if entry.detail is not NO_DETAIL:
        return None
    event = entry.event
    if not isinstance(event, NodeFinished) or type(event.output) is Handover:
        return None
    return event


def _follows(hop: NodeFinished, before: NodeFinished) -> bool:
    """Whether a hop is the next one of its frame. A row holds the number of its first activation alone."""
    if hop.frame != before.frame:
        return False
    return hop.activation == before.activation + 1


def _hops_row(writer: RowWriter, events: Sequence[NodeFinished]) -> RowDraft:
    first = events[0]
    slots = writer.forms[first.frame].program.slots
    numbers = {slot.name: slot.index for slot in slots}
    hops: list[Any] = []
    for event in events:
        slot = numbers[event.node]
        hops += (slot, event.started, event.at, event.output)
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
        """What it is called; "" for an event that is not an end of one."""
        if isinstance(event, CallStarted):
            self._callers[event.call] = event.caller
        path = self._paths[event.frame][1:]
        if isinstance(event, (CallFinished, CallFailed)):
            caller = self._callers[event.call]
            around = callers(path, caller)
            return shown_activation(around, event.node, event.call)
        if not isinstance(event, (NodeFinished, NodeFailed)):
            return ""
        if path and path[-1] == event.node:
            return ""  # it stands alone in its frame: the call is the step
        return shown_activation(path, event.node, event.activation)


def _steps(index: SpanIndex, cone: Cone) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The steps that are taken over, and those that are left out."""
    taken: list[str] = []
    steps = StepNames(_paths_of(cone.forms))
    for entry in cone.taken:
        shown = steps.shown(entry.event)
        if shown:
            taken.append(shown)
    left: list[str] = []
    numbers_left = frozenset(cone.left)
    steps = StepNames(_paths_of(index.record.forms))
    for number, entry in enumerate(index.record.entries):
        # Every entry is looked at: the end of a call is named after what began it.
        shown = steps.shown(entry.event)
        if shown and number in numbers_left:
            left.append(shown)
    return tuple(taken), tuple(left)


def _paths_of(forms: Mapping[int, FrameForm | None]) -> list[Sequence[str]]:
    """The paths of frames, by number; of a frame that nobody knows, one without names."""
    count = max(forms) + 1
    paths: list[Sequence[str]] = []
    for number in range(count):
        form = forms.get(number)
        paths.append(("", "") if form is None else form.path)
    return paths


def _check_met(cone: Cone, names: Mapping[int, str]) -> None:
    if not cone.unmet:
        return
    span = cone.unmet[0].span
    name = names.get(id(span), "")
    raise DeclarationError(
        f"fork: {span.node!r} at {name!r} depends on another change, so that it is not come to any more; "
        "make one fork of the other"
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
        self._entries = index.record.entries
        self._places = places
        self.changes: list[RecordChange] = []
        self.answers: dict[str, Any] = {}
        self.names: dict[int, str] = {}

    def redo(self, name: str) -> None:
        """Has something done again."""
        span = self._places.span(name)
        self._add(name, span, None)

    def redo_all_of(self, nodes: Collection[str]) -> None:
        """Has all done again that nodes of these names have done."""
        for name, span in self._places.all_of(nodes):
            self._add(name, span, None)

    def edit_all(self, edits: Mapping[str, Any]) -> None:
        """Gives all of these another answer, and states another value: "planner.notes" is what `notes` is behind `planner`."""
        states: list[tuple[str, RecordSpan, AnyState, Any]] = []
        for name, value in edits.items():
            found = self._state_behind(name)
            if found is None:
                self.edit(name, value)
            else:
                states.append((name, *found, value))
        # Behind the answers: an arrow writes the new answer, and this is said of what was written in the end.
        for name, span, state, value in states:
            self._edit_state(name, span, state, value)

    def _state_behind(self, name: str) -> tuple[RecordSpan, AnyState] | None:
        """What a name means that ends with that of a state; None if it is the name of a place itself."""
        place, _, last = name.rpartition(".")
        if not place or self._places.knows(name):
            return None
        if not self._places.knows(place):
            return None
        span = self._places.span(place)
        form = self._index.record.forms[span.activation[0]]
        assert form is not None
        state = form.states.get(last)
        if state is None:
            near = nearest(last, form.states)
            raise PlaceUnknown(f"fork: {place!r} can see no state {last!r}{near}")
        return span, state

    def _edit_state(self, name: str, span: RecordSpan, state: AnyState, value: Any) -> None:
        ended = self._ended(span)
        if not isinstance(ended, (NodeFinished, CallFinished)):
            raise PlaceUnknown(
                f"fork: {name!r} cannot be set: what stands there has not answered, and so has written nothing"
            )
        fitted = fitting(name, state.type, value)
        kept = [write for write in ended.writes if write.state != state]
        event = replace(ended, writes=(*kept, StateWrite(state, "set", fitted)))
        detail = NO_DETAIL
        if isinstance(ended, CallFinished) and span.end is not None:
            detail = replace(self._entries[span.end].detail, raw=None)
        self._add(name, span, RecordEntry(0, event, detail))

    def edit(self, name: str, value: Any) -> None:
        """Gives something another answer.

        Raises:
            PlaceUnknown: nothing of that name is recorded.
            OutputInvalid: the answer does not fit.
        """
        span = self._places.span(name)
        if span.kind == "question":
            asked = self._entries[span.begin].event
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
        entry = edit(name, span, value)
        self._add(name, span, entry)

    def _add(self, name: str, span: RecordSpan, entry: RecordEntry | None) -> None:
        self.names[id(span)] = name
        # Of an answer and a state behind it, the second has taken over the first.
        self.changes = [change for change in self.changes if not _is_same(change.span, span)]
        change = RecordChange(span, entry)
        self.changes.append(change)

    def _ended(self, span: RecordSpan) -> Event | None:
        for change in self.changes:
            if change.entry is not None and _is_same(change.span, span):
                return change.entry.event
        if span.end is None:
            return None
        return self._entries[span.end].event

    def _now(self) -> float:
        last = self._entries[-1]
        return last.event.at

    def _edited_activation(self, name: str, span: RecordSpan, value: Any) -> RecordEntry:
        frame, activation = span.activation
        form = self._index.record.forms[frame]
        assert form is not None
        node = form.program.nodes_by_name.get(span.node)
        assert node is not None
        at = started = self._now()
        ended = self._ended(span)
        if isinstance(ended, Moving):
            at = ended.at
            started = getattr(ended, "started", at)
        if isinstance(value, BaseException):
            failed = NodeFailed(at, frame, activation, node.name, value, started)
            return RecordEntry(0, failed, NO_DETAIL)
        output = fitting(name, node.output, value)
        writes = _writes_of(form.program, ended, node.name, output)
        finished = NodeFinished(at, frame, activation, node.name, output, started, writes)
        return RecordEntry(0, finished, NO_DETAIL)

    def _edited_call(self, name: str, span: RecordSpan, value: Any) -> RecordEntry:
        entry = self._entries[span.begin]
        event = entry.event
        assert isinstance(event, CallStarted)
        node: AnyNode | None = entry.detail.node
        if node is not None and node.in_background:
            raise PlaceUnknown(
                f"fork: {name!r} is a call in the background, whose answer comes later; change what it calls"
            )
        at = self._now()
        detail = Detail(span.place, node)
        if span.end is not None:
            ended = self._entries[span.end]
            at = ended.event.at
            detail = replace(ended.detail, turns=(), raw=None)
        head = (at, event.frame, event.activation, event.call, event.node)
        if isinstance(value, BaseException):
            failed = CallFailed(*head, value, event.at)
            return RecordEntry(0, failed, detail)
        output = value
        if node is not None:
            output = fitting(name, node.output, value)
        ended_event = self._ended(span)
        writes: StateWrites = ()
        if isinstance(ended_event, CallFinished):
            writes = ended_event.writes
        finished = CallFinished(*head, output, event.at, writes)
        return RecordEntry(0, finished, detail)

    def _edited_model(self, name: str, span: RecordSpan, value: Any) -> RecordEntry:
        asked = self._entries[span.begin].event
        assert isinstance(asked, ModelStarted)
        ended = self._ended(span)
        at = self._now() if ended is None else ended.at
        head = (at, asked.frame, asked.activation, asked.node, asked.model)
        if isinstance(value, BaseException):
            failed = ModelFailed(*head, value, asked.at, asked.question)
            return RecordEntry(0, failed, Detail(span.place))
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
        entry = self._entries[span.begin]
        assert isinstance(entry.event, ValueKept)
        plain = to_json_value(value)
        event = replace(entry.event, value=plain)
        return RecordEntry(0, event, entry.detail)


def _is_same(one: RecordSpan, other: RecordSpan) -> bool:
    """Whether two spans are one and the same thing: they are made anew each time somebody asks for one."""
    return (one.kind, one.activation, one.place) == (other.kind, other.activation, other.place)


def _writes_of(program: Program, ended: Event | None, node: str, output: object) -> StateWrites:
    """What a node writes that answers something else: its code the same, its arrows the new answer."""
    slots = {slot.name: slot for slot in program.slots}
    arrows = slots[node].state_arrows
    written: StateWrites = ()
    if isinstance(ended, NodeFinished):
        written = written_by_code(ended.writes, arrows, ended.output)
    return (*written, *written_by_arrows(arrows, output))


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
        wanted = type_name(kind)
        problem = f"fork: what {name!r} is to answer must be {wanted}: {error}"
        raise OutputInvalid(problem) from None
