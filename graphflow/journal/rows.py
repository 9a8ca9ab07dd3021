"""Rows: what a run tells, as the text that a store keeps, and back.

    fact    NodeFinished(at=0.25, frame=0, activation=3, node="merge", output=Draft(...))
    row     kind   node.end
            place  #3
            body   {"at": 0.25, "frame": 0, "activation": 3, "node": "merge", "output": {...}}

Rules:
1. A message is written by the type that the graph declares for its place, and read by it again. What is only shown (what a
   call was given, what a node has emitted) is written as the JSON that a record of events has.
2. Fields that have their usual value are left out. Times are in seconds since the run began, to the microsecond.
3. A field whose text is longer than `LARGE` is kept once, by the digest of its content; `large` in the body says which.
4. A secret that is registered stands in no row: `codec/secrets.py` puts a reference to its name there.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from hashlib import sha256
from typing import Any

from graphflow.declaration.background import Background
from graphflow.declaration.handoffs import Handover
from graphflow.declaration.node import AnyNode
from graphflow.errors import RecordInvalid, Unreadable
from graphflow.events import (
    ArtifactKept,
    BackgroundFinished,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    FrameExited,
    ModelFinished,
    NodeFinished,
    RunEnded,
    RunStarted,
    ValueKept,
)
from graphflow.journal.codec.errors import decode_error, encode_error
from graphflow.journal.codec.replies import decode_reply, decode_turns, encode_reply, encode_turns
from graphflow.journal.codec.secrets import hide, reveal
from graphflow.journal.codec.value_codec import ValueCodec, codec_of
from graphflow.journal.detail import NO_DETAIL, Detail, FrameForm, KeptForm
from graphflow.journal.stored import Json, StoredRow
from graphflow.messages.artifacts import Artifact
from graphflow.messages.message import Failure, LimitReached, TimedOut, to_json_value
from graphflow.messages.types import Type, arms, item_type
from graphflow.model.sources import Source
from graphflow.proofs.program import Program

LARGE = 64 * 1024
"""Characters of a field from which on it is kept by its digest."""
HOPS = "hops"
"""The kind of a row that holds many `node.end` of a straight walk, in columns."""
HANDOVER = "handover"
"""What stands in a row in place of `output`, if a node has handed over to another one."""
DIGITS = 6
"""Decimals of a time: microseconds."""
NO_LARGE: Mapping[str, bytes] = {}
"""What most rows name of large values. Nobody writes into it."""


@dataclass(slots=True)
class RowDraft:
    """A row without its number, and the large values that it names."""

    kind: str
    place: str
    body: str
    large: Mapping[str, bytes]

    def numbered(self, number: int) -> StoredRow:
        """The row at its position in the run."""
        return StoredRow.of(number, self.kind, self.place, self.body)


# -- writing ---------------------------------------------------------------------------------------
class RowWriter:
    """Writes the facts of one run.

    Attributes:
        forms: its frames, by number.
    """

    __slots__ = ("forms",)

    def __init__(self) -> None:
        self.forms: dict[int, FrameForm] = {}

    def row(self, event: Event, detail: Detail) -> RowDraft:
        """A fact as a row.

        Raises:
            Unstorable: a message in it would not come back as it is.
        """
        texts = self._texts(event, detail)
        if isinstance(event, FrameEntered):
            form = self.forms[event.frame]
            texts["node"] = json.dumps(form.node)
            if form.call is not None:
                texts["call"] = str(form.call)
        texts |= _detail_texts(detail)
        place = detail.place or self._place(event)
        draft = _draft(event.kind, place, texts)
        graph = detail.form
        if graph is not None:
            draft.large = {**draft.large, graph.digest: graph.content}
        return draft

    def _texts(self, event: Event, detail: Detail) -> dict[str, str]:
        """The fields of a fact as JSON."""
        texts: dict[str, str] = {}
        for field in _fields(type(event)):
            value = getattr(event, field.name)
            if type(value) is Handover and isinstance(event, NodeFinished):
                texts[HANDOVER] = json.dumps(self._handover(event, value))
            elif not _is_usual(field, value):
                texts[field.name] = self._text(event, field.name, value, detail)
        return texts

    def hops(self, frame: int, first: int, hops: Sequence[Any], began: float) -> RowDraft:
        """Hops of a straight walk as one row.

        Args:
            frame: the frame's number.
            first: the number of the first activation.
            hops: node, started, ended, output; and again for each hop.
            began: when the run began, by the clock of these times.
        """
        form = self.forms[frame]
        if len(hops) == 4:
            return self._hop(form, frame, first, hops, began)
        numbers = hops[0::4]
        ended = [round(at - began, DIGITS) for at in hops[2::4]]
        started = [round(at - began, DIGITS) for at in hops[1::4]]
        texts = {
            "frame": str(frame),
            "first": str(first),
            "at": _numbers(ended),
            **self._outputs(form, numbers, hops[3::4]),
        }
        # A hop begins as a rule when the one before it has ended.
        if started[1:] == ended[:-1]:
            texts["started"] = repr(started[0])
        else:
            texts["started"] = _numbers(started)
        return _draft(HOPS, f"{form.place}#{first}", texts)

    def _hop(
        self, form: FrameForm, frame: int, number: int, hop: Sequence[Any], began: float
    ) -> RowDraft:
        """The same for one hop: where each step is kept before the next one, this is done for each."""
        slot, started, ended, output = hop
        names, codecs = _known_columns(form)
        written = codecs[slot].encode_column((output,))
        name = json.dumps(names[slot])
        at, begun = round(ended - began, DIGITS), round(started - began, DIGITS)
        place = f"{form.place}#{number}"
        if len(written) <= LARGE:
            body = f'{{"frame":{frame},"first":{number},"at":[{at}],"nodes":[{name}],"outputs":[{written}],"started":{begun}}}'
            return RowDraft(HOPS, place, hide(body), NO_LARGE)
        texts = {
            "frame": str(frame),
            "first": str(number),
            "at": f"[{at}]",
            "nodes": f"[{name}]",
            "outputs": f"[{written}]",
            "started": repr(begun),
        }
        return _draft(HOPS, place, texts)

    def _outputs(
        self, form: FrameForm, numbers: Sequence[int], outputs: Sequence[Any]
    ) -> dict[str, str]:
        """What hops have answered, those of one type together; and of which node each hop is."""
        names, codecs = _known_columns(form)
        nodes = list(dict.fromkeys(numbers))
        texts = {"nodes": json.dumps([names[number] for number in nodes])}
        if len(nodes) < len(numbers):
            places = {number: place for place, number in enumerate(nodes)}
            texts["order"] = _numbers([places[number] for number in numbers])
        kinds = list(dict.fromkeys([codecs[number] for number in nodes]))
        if len(kinds) == 1:
            texts["outputs"] = f"[{kinds[0].encode_column(outputs)}]"
            return texts
        columns: dict[ValueCodec, list[Any]] = {codec: [] for codec in kinds}
        for number, output in zip(numbers, outputs, strict=True):
            columns[codecs[number]].append(output)
        written = [codec.encode_column(column) for codec, column in columns.items()]
        texts["columns"] = _numbers([kinds.index(codecs[number]) for number in nodes])
        texts["outputs"] = f"[{','.join(written)}]"
        return texts

    def _place(self, event: Event) -> str:
        form = self.forms.get(event.frame)
        place = "" if form is None else form.place
        activation = getattr(event, "activation", None)
        if activation is None or isinstance(event, FrameEntered):
            return place
        return f"{place}#{activation}"

    def _text(self, event: Event, name: str, value: Any, detail: Detail) -> str:
        if name in _TIMES:
            return repr(round(value, DIGITS))
        if isinstance(value, BaseException):
            return json.dumps(encode_error(value))
        if name in _MESSAGES:
            return self._message_text(event, name, value, detail)
        if isinstance(value, (str, int, float)):
            return json.dumps(value)
        return json.dumps(to_json_value(value))

    def _message_text(self, event: Event, name: str, value: Any, detail: Detail) -> str:
        kind = message_type(event, name, self.forms.get(event.frame), detail.node)
        if kind is None:
            return json.dumps(to_json_value(value))
        return _codec_in(self.forms.get(event.frame), kind).encode_column([value])[1:-1]

    def _handover(self, event: NodeFinished, handover: Handover) -> Json:
        kind = _taken_by(self.forms[event.frame].program, handover.target)
        return {
            "target": handover.target,
            "message": codec_of(kind).encode(handover.message),
            "turns": encode_turns(handover.turns),
        }


def _detail_texts(detail: Detail) -> dict[str, str]:
    """What a row holds beside its event, as JSON."""
    texts: dict[str, str] = {}
    if detail.reply is not None:
        texts["reply"] = json.dumps(encode_reply(detail.reply))
    if detail.turns:
        texts["turns"] = json.dumps(encode_turns(detail.turns))
    if detail.lasting:
        texts["lasting"] = "true"
    if detail.metered:
        texts["metered"] = json.dumps(detail.metered)
    if detail.form is not None:
        texts["form"] = json.dumps(detail.form.digest)
    if detail.error is not None:
        texts["cause"] = json.dumps(encode_error(detail.error))
    if detail.content is not None:
        texts["content"] = json.dumps(_content_data(detail.content))
    return texts


def _known_columns(form: FrameForm) -> tuple[list[str], list[ValueCodec]]:
    """The names of a frame's nodes, and what writes their answers; made once, and kept with what the frame walks."""
    program = form.program
    known: tuple[list[str], list[ValueCodec]] | None = program.columns or form.columns
    if known is not None:
        return known
    names: list[str] = []
    codecs: list[ValueCodec] = []
    depends = False
    for slot in program.slots:
        kind = Any if slot.node is None else slot.node.output
        codec = _codec_in(form, kind)
        depends = depends or codec is not codec_of(kind)
        names.append(slot.name)
        codecs.append(codec)
    known = (names, codecs)
    if depends:  # on the frames around
        form.columns = known
    else:
        program.columns = known
    return known


def _content_data(content: bytes) -> Json:
    """The bytes of an artifact: as text if they are text, so that secrets in it are found."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}


def _content_from(data: Mapping[str, str]) -> bytes:
    return data["text"].encode() if "text" in data else b64decode(data["base64"])


def _draft(kind: str, place: str, texts: dict[str, str]) -> RowDraft:
    large: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    for name, text in texts.items():
        if len(text) <= LARGE:
            continue
        content = hide(text).encode()
        digest = sha256(content).hexdigest()
        large[digest] = content
        digests[name] = digest
    if digests:
        for name in digests:
            del texts[name]
        texts["large"] = json.dumps(digests)
    parts = [f'"{name}":{text}' for name, text in texts.items()]
    body = hide("{" + ",".join(parts) + "}")
    return RowDraft(kind, place, body, large)


def _numbers(values: Iterable[float]) -> str:
    return f"[{','.join(map(repr, values))}]"


# -- what is of which type -------------------------------------------------------------------------
_MESSAGES = frozenset({"input", "output", "value", "message", "piece"})
"""Fields that hold what nodes have made."""
_TIMES = frozenset({"at", "started", "wait_s"})


def message_type(
    event: Event, name: str, form: FrameForm | None, node: AnyNode | None
) -> Type | None:
    """The type by which a message in an event is written; None: it is only shown.

    Args:
        event: the event.
        name: the field.
        form: of the event's frame.
        node: the node that was called, where the event tells of a call.
    """
    if isinstance(event, ValueKept):
        return Any
    if isinstance(event, (CallStarted, CallFinished, BackgroundFinished)):
        return None if node is None else _called_type(event, node)
    if form is None:
        return None
    program = form.program
    if isinstance(event, (RunStarted, FrameEntered)):
        return program.input
    if isinstance(event, (RunEnded, FrameExited)):
        return program.output
    if isinstance(event, NodeFinished):
        found = node_named(program, event.node)
        return None if found is None else found.output
    return None


def _called_type(
    event: CallStarted | CallFinished | BackgroundFinished, node: AnyNode
) -> Type | None:
    """The type of what a call was given, or has answered."""
    if isinstance(event, CallFinished):
        return Background if node.in_background else node.output
    if isinstance(event, BackgroundFinished):
        return node.output if event.status == "completed" else None
    # It may have to be begun again by the record alone.
    return _entry_type(node) if node.in_background else None


def _entry_type(node: AnyNode) -> Type:
    target, _ = node.entry()
    return target.ports[0].type


_CARRIERS = frozenset({Failure, LimitReached, TimedOut})
"""Messages that hold what a node was given, whatever that is."""


def _codec_in(form: FrameForm | None, kind: Type) -> ValueCodec:
    """What writes the messages of a type in a frame. In one that tells of trouble stands another message, of there or around."""
    if form is None or (_CARRIERS.isdisjoint(arms(kind)) and item_type(kind) not in _CARRIERS):
        return codec_of(kind)
    return codec_of(kind, form.message_types)


def node_named(program: Program, name: str) -> AnyNode | None:
    """The node of that name on a graph's arrows."""
    return program.nodes_by_name.get(name)


def _taken_by(program: Program, target: str) -> Type:
    node = node_named(program, target)
    return Any if node is None else node.ports[0].type


_known_fields: dict[type[Event], tuple[Field[Any], ...]] = {}


def _fields(kind: type[Event]) -> tuple[Field[Any], ...]:
    known = _known_fields.get(kind)
    if known is None:
        known = _known_fields[kind] = fields(kind)
    return known


# -- reading ---------------------------------------------------------------------------------------
Large = Mapping[str, bytes]


def digests_in(row: StoredRow) -> list[str]:
    """The large values that a row names."""
    # Almost no row names one, and only those that may are parsed. Within a text the quotes would be escaped.
    if '"large"' not in row.body:
        return []
    named = json.loads(row.body).get("large", {})
    return list(named.values())


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
        self._calls: dict[int, tuple[str, AnyNode | None]] = {}
        """The place and node of each call, by number."""
        self.forms: dict[int, FrameForm | None] = {0: outermost}

    def entries(self, row: StoredRow, large: Large) -> list[RecordEntry]:
        """The facts that a row tells.

        Raises:
            Unreadable: something in it does not fit the graph any more.
            RecordInvalid: it is no row of a run.
        """
        try:
            body = json.loads(reveal(row.body))
            for name, digest in body.pop("large", {}).items():
                body[name] = json.loads(reveal(large[digest].decode()))
            if row.kind == HOPS:
                return self._hops(row, body)
            return [self._entry(row, body)]
        except (Unreadable, RecordInvalid) as error:
            error.add_note(
                f"in row {row.number} ({row.kind} at {row.place or 'the outermost frame'}) of run {self._run!r}"
            )
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordInvalid(
                f"row {row.number} ({row.kind}) of run {self._run!r} cannot be read: {type(error).__name__}: {error}"
            ) from error

    def _hops(self, row: StoredRow, body: dict[str, Any]) -> list[RecordEntry]:
        frame, first = body["frame"], body["first"]
        names = body["nodes"]
        column_of = body.get("columns") or [0] * len(names)
        codecs = self._codecs(self.forms.get(frame), names)
        columns, mixed = _read_columns(codecs, column_of, body["outputs"])
        ended = body["at"]
        started = body["started"]
        if not isinstance(started, list):
            started = [started, *ended[:-1]]
        order = body.get("order") or range(len(ended))
        entries: list[RecordEntry] = []
        for number, (place, begun, at) in enumerate(zip(order, started, ended, strict=True), first):
            column, codec = column_of[place], codecs[place]
            output = next(columns[column])
            if column in mixed and codec is not None:
                output = codec.decode(output)
            event = NodeFinished(at, frame, number, names[place], output, begun)
            entries.append(RecordEntry(row.number, event, NO_DETAIL))
        return entries

    def _codecs(self, form: FrameForm | None, names: Sequence[str]) -> list[ValueCodec | None]:
        """What reads the answers of nodes; None where nobody knows the node."""
        codecs: list[ValueCodec | None] = []
        for name in names:
            node = None if form is None else node_named(form.program, name)
            codecs.append(None if node is None else _codec_in(form, node.output))
        return codecs

    def _entry(self, row: StoredRow, body: dict[str, Any]) -> RecordEntry:
        kind = event_class(row.kind)
        detail = Detail(row.place)
        if "reply" in body:
            detail.reply = decode_reply(body.pop("reply"))
        if "turns" in body:
            detail.turns = decode_turns(body.pop("turns"))
        if "form" in body:
            # Who wants to know what the graph was looks it up.
            detail.form = KeptForm(body.pop("form"), b"")
        detail.lasting = body.pop("lasting", False)
        detail.metered = body.pop("metered", "")
        if "cause" in body:
            detail.error = decode_error(body.pop("cause"))
        if "content" in body:
            detail.content = _content_from(body.pop("content"))
        if kind is FrameEntered:
            node, call = body.pop("node"), body.pop("call", None)
            frame = body["frame"]
            parent = self.forms.get(body["parent"])
            called = self._calls[call][1] if call is not None else None
            self.forms[frame] = self._enter(row.place, parent, node, call, called)
        if kind.kind == "call.start":
            form = self.forms.get(body["frame"])
            callee = None if form is None else _callee(form, body["caller"], body["node"])
            self._calls[body["call"]] = (row.place, callee)
            detail.node = callee
        if kind.kind in _OF_CALLS:
            detail.place, detail.node = self._calls[body["call"]]
        values = self._values(kind, body, detail)
        return RecordEntry(row.number, kind(**values), detail)

    def _values(self, kind: type[Event], body: dict[str, Any], detail: Detail) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field in _fields(kind):
            name = field.name
            if name not in body:
                values[name] = _usual(field)
                continue
            values[name] = body[name]
        event = kind(**values)
        form = self.forms.get(values["frame"])
        for name in values.keys() & body.keys():
            values[name] = self._value(event, name, body[name], form, detail)
        if HANDOVER in body:
            values["output"] = _handover_of(body[HANDOVER], form)
        return values

    def _value(
        self, event: Event, name: str, data: Any, form: FrameForm | None, detail: Detail
    ) -> Any:
        if name == "error" and isinstance(data, dict):
            return decode_error(data)
        if name in _MESSAGES:
            return self._message(event, name, data, form, detail)
        special = _SPECIAL.get((type(event), name))
        return data if special is None else special(data)

    def _message(
        self, event: Event, name: str, data: Any, form: FrameForm | None, detail: Detail
    ) -> Any:
        kind = message_type(event, name, form, detail.node)
        if kind is None:
            detail.raw = data
            return data
        return _codec_in(form, kind).decode(data)


def _read_columns(
    codecs: Sequence[ValueCodec | None], column_of: Sequence[int], written: Sequence[list[Any]]
) -> tuple[list[Iterator[Any]], set[int]]:
    """What hops have answered, by column; and the columns that could not be read as one.

    Nodes that had one type have one column. By now they may have several: then each value has to be read by itself.
    """
    kinds: dict[int, set[ValueCodec | None]] = {}
    for codec, column in zip(codecs, column_of, strict=True):
        kinds.setdefault(column, set()).add(codec)
    columns: list[Iterator[Any]] = []
    mixed: set[int] = set()
    for column, data in enumerate(written):
        [codec, *others] = kinds[column]
        if others or codec is None:
            mixed.add(column)
            columns.append(iter(data))
        else:
            values = codec.decode_column(json.dumps(data))
            columns.append(iter(values))
    return columns, mixed


Enter = Callable[[str, "FrameForm | None", str, "int | None", "AnyNode | None"], "FrameForm | None"]
"""Finds the form of a frame: by its place, its parent's form, the name of what is entered, and the call that enters it."""
_OF_CALLS = frozenset({"call.end", "call.error"})
_SPECIAL: Mapping[tuple[type[Event], str], Callable[[Any], Any]] = {
    (FrameEntered, "path"): tuple,
    (ModelFinished, "sources"): lambda found: tuple(Source(**each) for each in found),
    (ArtifactKept, "artifact"): Artifact.model_validate,
}


def _handover_of(data: Mapping[str, Json], form: FrameForm | None) -> object:
    """A hand-over; as plain data, if nobody knows who takes it."""
    if form is None:
        return {HANDOVER: data}
    target = str(data["target"])
    message = codec_of(_taken_by(form.program, target)).decode(data["message"])
    return Handover(target, message, tuple(decode_turns(data["turns"])))


def _callee(form: FrameForm, caller: str, name: str) -> AnyNode | None:
    for node in form.callees.get(caller, ()):
        if node.name == name:
            return node
    return None


def _is_usual(field: Field[Any], value: object) -> bool:
    """Whether a field may be left out. Messages are not compared: that would be the user's code."""
    usual = field.default
    if usual is MISSING:
        return field.default_factory is not MISSING and not value
    return value is usual or (
        type(value) is type(usual) and field.name not in _MESSAGES and value == usual
    )


def _usual(field: Field[Any]) -> Any:
    """The value of a field that was left out."""
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None


@cache
def _event_classes() -> Mapping[str, type[Event]]:
    return {kind.kind: kind for kind in Event.__subclasses__()}


def event_class(kind: str) -> type[Event]:
    """The class of the events of a kind.

    Raises:
        RecordInvalid: this version knows no such kind.
    """
    found = _event_classes().get(kind)
    if found is None:
        raise RecordInvalid(
            f"a row of the kind {kind!r} is not known here; a newer version of graphflow has written it"
        )
    return found
