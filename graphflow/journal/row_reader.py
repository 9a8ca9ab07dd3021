"""The reader of rows: a row becomes the fact that it was, by the rules of `row_format.py`."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graphflow.declaration.handoffs import Handover
from graphflow.declaration.node import AnyNode
from graphflow.errors import RecordInvalid, Unreadable
from graphflow.events import (
    ArtifactKept,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    ModelFinished,
    NodeFinished,
    event_classes,
)
from graphflow.journal.codec.errors import decode_error
from graphflow.journal.codec.replies import decode_reply, decode_turns
from graphflow.journal.codec.secrets import reveal
from graphflow.journal.codec.value_codec import ValueCodec, codec_of
from graphflow.journal.detail import NO_DETAIL, Detail, FrameForm, KeptForm
from graphflow.journal.message_types import codec_in, handover_type, message_type
from graphflow.journal.row_format import (
    HANDOVER,
    HOPS,
    MESSAGES,
    WRITES,
    RowBody,
    event_fields,
    hop_nodes,
    node_columns,
    usual_value,
)
from graphflow.journal.stored import Json, StoredRow
from graphflow.messages.artifacts import Artifact
from graphflow.messages.state import StateWrite, StateWrites
from graphflow.model.sources import Source

Large = Mapping[str, bytes]
"""Large values, by their digests."""
_NodeCodecs = list[ValueCodec | None]
"""What reads the answers of each node; None where nobody knows the node."""
_FieldReader = Callable[[Any], object]


class Enter(Protocol):
    """Finds the form of a frame that a row enters."""

    def __call__(
        self,
        place: str,
        parent: FrameForm | None,
        name: str,
        call: int | None,
        called: AnyNode | None,
    ) -> FrameForm | None:
        """The form; None if nobody knows it.

        Args:
            place: where the frame is entered.
            parent: the form of the frame around.
            name: of the node that is entered.
            call: the number of the call that enters it, if one does.
            called: what that call has called.
        """


@dataclass(slots=True)
class RecordEntry:
    """A fact of a record, with what is known of it beside.

    Attributes:
        row: the number of the row that it stands in.
        event: the fact.
        detail: what is not told of it.
    """

    row: int
    event: Event
    detail: Detail


def digests_in(row: StoredRow) -> list[str]:
    """The large values that a row names."""
    # Almost no row names one, and only those that may are parsed. Within a text the quotes would be escaped.
    if '"large"' not in row.body:
        return []
    named = json.loads(row.body).get("large", {})
    return list(named.values())


class RowReader:
    """Reads the rows of one run, in order.

    Args:
        run: the run's id, for errors.
        outermost: the form of its outermost frame; None: the graph is not known, and messages are read as plain data.
        enter: finds the form of a frame, by its parent's and what the row tells.
    """

    __slots__ = ("_calls", "_enter", "_run", "forms")

    def __init__(self, run: str, outermost: FrameForm | None, enter: Enter) -> None:
        self._run = run
        self._enter = enter
        self._calls: dict[int, Detail] = {}
        """What is known of the beginning of each call, by its number."""
        self.forms: dict[int, FrameForm | None] = {}
        self.forms[0] = outermost

    def entries(self, row: StoredRow, large: Large) -> list[RecordEntry]:
        """The facts that a row tells.

        Raises:
            Unreadable: something in it does not fit the graph any more.
            RecordInvalid: it is not a row of a run.
        """
        try:
            body = _body(row, large)
            if row.kind == HOPS:
                return self._hops(row, body)
            return [self._entry(row, body)]
        except (Unreadable, RecordInvalid) as error:
            where = row.place or "the outermost frame"
            error.add_note(f"in row {row.number} ({row.kind} at {where}) of run {self._run!r}")
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = f"{type(error).__name__}: {error}"
            raise RecordInvalid(
                f"row {row.number} ({row.kind}) of run {self._run!r} cannot be read: {why}"
            ) from error

    def _entry(self, row: StoredRow, body: RowBody) -> RecordEntry:
        kind = _event_class(row.kind)
        detail = _take_detail(row.place, body)
        if kind is FrameEntered:
            self._enter_frame(row.place, body)
        elif kind is CallStarted:
            self._begin_call(body, detail)
        elif kind in _CALL_ENDS:
            begun = self._calls[body["call"]]
            detail.place = begun.place
            detail.node = begun.node
        event = self._event(kind, body, detail)
        return RecordEntry(row.number, event, detail)

    def _enter_frame(self, place: str, body: RowBody) -> None:
        """From here on rows may be of another frame."""
        node = body.pop("node")  # which the event has not
        call = body.get("call")
        frame = body["frame"]
        parent = self.forms.get(body["parent"])
        called = None
        if call is not None:
            called = self._calls[call].node
        self.forms[frame] = self._enter(place, parent, node, call, called)

    def _begin_call(self, body: RowBody, detail: Detail) -> None:
        """Looks up what is called, for this row and for the one in which the call ends."""
        form = self.forms.get(body["frame"])
        if form is not None:
            detail.node = _callee(form, body["caller"], body["node"])
        number = body["call"]
        self._calls[number] = detail

    def _event(self, kind: type[Event], body: RowBody, detail: Detail) -> Event:
        values: RowBody = {}
        for field in event_fields(kind):
            name = field.name
            if name in body:
                values[name] = body[name]
            else:
                values[name] = usual_value(field)
        # Of which type its messages are depends on the event. So it is made twice, of plain data first.
        plain = kind(**values)
        form = self.forms.get(plain.frame)
        for name in values.keys() & body.keys():
            values[name] = self._value(plain, name, body[name], form, detail)
        if HANDOVER in body:
            values["output"] = _handover(body[HANDOVER], form)
        return kind(**values)

    def _value(
        self, event: Event, name: str, data: Any, form: FrameForm | None, detail: Detail
    ) -> object:
        """The value of one field."""
        if name == "error" and isinstance(data, dict):
            return decode_error(data)
        if name in MESSAGES:
            return _message(event, data, form, detail)
        if name == WRITES:
            return _writes(data, form)
        field = (type(event), name)
        read = _FIELD_READERS.get(field)
        if read is None:
            return data
        return read(data)

    def _hops(self, row: StoredRow, body: RowBody) -> list[RecordEntry]:
        """The hops of a straight walk: what `RowWriter.hops` has written."""
        frame = body["frame"]
        names = body["nodes"]
        ended = body["at"]
        started = body["started"]
        if not isinstance(started, list):
            started = [started, *ended[:-1]]
        order = hop_nodes(body)
        codecs = _node_codecs(self.forms.get(frame), names)
        outputs = _outputs(body, order, codecs)
        hops = zip(order, started, ended, outputs, strict=True)

        entries: list[RecordEntry] = []
        for activation, (node, begun, at, output) in enumerate(hops, body["first"]):
            event = NodeFinished(at, frame, activation, names[node], output, begun)
            entry = RecordEntry(row.number, event, NO_DETAIL)
            entries.append(entry)
        return entries


def _body(row: StoredRow, large: Large) -> RowBody:
    """The fields of a row, the large ones among them."""
    body: RowBody = json.loads(reveal(row.body))
    digests = body.pop("large", {})
    for name, digest in digests.items():
        text = large[digest].decode()
        body[name] = json.loads(reveal(text))
    return body


def _take_detail(place: str, body: RowBody) -> Detail:
    """What a row holds beside its event. It mirrors `_detail_data` of `row_writer.py`; what is left is the event."""
    detail = Detail(place)
    if "reply" in body:
        detail.reply = decode_reply(body.pop("reply"))
    if "turns" in body:
        detail.turns = decode_turns(body.pop("turns"))
    detail.lasting = body.pop("lasting", False)
    detail.effect = body.pop("effect", "")
    detail.metered = body.pop("metered", "")
    detail.unbegun = body.pop("unbegun", False)
    if "form" in body:
        # Who wants to know what the graph was looks it up.
        detail.form = KeptForm(body.pop("form"), b"")
    if "cause" in body:
        detail.error = decode_error(body.pop("cause"))
    if "content" in body:
        detail.content = _content(body.pop("content"))
    return detail


def _content(data: Mapping[str, str]) -> bytes:
    """The bytes of an artifact."""
    if "text" in data:
        return data["text"].encode()
    return b64decode(data["base64"])


def _message(event: Event, data: Any, form: FrameForm | None, detail: Detail) -> object:
    """A message by its type; as plain data, and noted as such, if nobody can say of which it is."""
    kind = message_type(event, form, detail.node)
    if kind is None:
        detail.raw = data
        return data
    codec = codec_in(form, kind)
    return codec.decode(data)


def _writes(data: Sequence[Any], form: FrameForm | None) -> StateWrites:
    """What was written to states; nothing, where nobody knows the graph."""
    if form is None:
        return ()
    writes: list[StateWrite] = []
    for name, kind, value in data:
        state = form.states.get(name)
        if state is None:
            raise Unreadable(
                "the states of the graph",
                f".{name}",
                "a state that the graph has",
                "one that is gone",
            )
        decoded = codec_of(state.type).decode(value)
        writes.append(StateWrite(state, kind, decoded))
    return tuple(writes)


def _handover(data: Mapping[str, Json], form: FrameForm | None) -> object:
    """A hand-over; as plain data, if nobody knows who takes it."""
    if form is None:
        return {HANDOVER: data}
    target = str(data["target"])
    kind = handover_type(form.program, target)
    message = codec_of(kind).decode(data["message"])
    turns = tuple(decode_turns(data["turns"]))
    return Handover(target, message, turns)


def _sources(data: Sequence[RowBody]) -> tuple[Source, ...]:
    return tuple(Source(**fields) for fields in data)


_CALL_ENDS = (CallFinished, CallFailed)
_FIELD_READERS: Mapping[tuple[type[Event], str], _FieldReader] = {
    (FrameEntered, "path"): tuple,
    (ModelFinished, "sources"): _sources,
    (ArtifactKept, "artifact"): Artifact.model_validate,
}
"""What reads the fields that are no messages, and no plain data either."""


def _callee(form: FrameForm, caller: str, name: str) -> AnyNode | None:
    for node in form.callees.get(caller, ()):
        if node.name == name:
            return node
    return None


def _node_codecs(form: FrameForm | None, names: Sequence[str]) -> _NodeCodecs:
    if form is None:
        return [None] * len(names)
    codecs: _NodeCodecs = []
    for name in names:
        node = form.program.nodes_by_name.get(name)
        if node is None:  # the graph has lost it since
            codecs.append(None)
        else:
            codecs.append(codec_in(form, node.output))
    return codecs


def _outputs(body: RowBody, order: Iterable[int], codecs: _NodeCodecs) -> Iterator[object]:
    """What hops have answered, in their order; `order` says of which node each is."""
    column_of = node_columns(body)
    column_codecs = _column_codecs(column_of, codecs)
    # Each column is read as one where it can be: that is many times as fast.
    columns: list[Iterator[Any]] = []
    for column, data in enumerate(body["outputs"]):
        column_codec = column_codecs[column]
        values = data
        if column_codec is not None:
            values = column_codec.decode_column(json.dumps(data))
        columns.append(iter(values))
    for node in order:
        column = column_of[node]
        output = next(columns[column])
        codec = codecs[node]
        if column_codecs[column] is None and codec is not None:
            output = codec.decode(output)
        yield output


def _column_codecs(
    column_of: Sequence[int], codecs: _NodeCodecs
) -> Mapping[int, ValueCodec | None]:
    """What reads each column as one; None: each value in it has to be read by itself.

    Nodes that had one type have one column. By now they may have several.
    """
    found: dict[int, ValueCodec | None] = {}
    for column, codec in zip(column_of, codecs, strict=True):
        if found.setdefault(column, codec) is not codec:
            found[column] = None
    return found


def _event_class(kind: str) -> type[Event]:
    """The class of the events of a kind.

    Raises:
        RecordInvalid: this version knows no such kind.
    """
    found = event_classes().get(kind)
    if found is None:
        raise RecordInvalid(
            f"a row of the kind {kind!r} is not known here; a newer version of graphflow has written it"
        )
    return found
