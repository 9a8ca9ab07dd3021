"""The writer of rows: a fact of a run becomes a row, by the rules of `row_format.py`."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from graphflow.declaration.handoffs import Handover
from graphflow.events import Event, FrameEntered, NodeFinished
from graphflow.journal.codec.errors import encode_error
from graphflow.journal.codec.replies import encode_reply, encode_turns
from graphflow.journal.codec.secrets import hide
from graphflow.journal.codec.value_codec import ValueCodec, codec_of
from graphflow.journal.detail import NO_DETAIL, Detail, FrameForm
from graphflow.journal.message_types import codec_in, handover_type, message_type
from graphflow.journal.row_format import (
    DIGITS,
    HANDOVER,
    HOPS,
    LARGE,
    MESSAGES,
    TIMES,
    WRITES,
    event_fields,
    is_usual,
)
from graphflow.journal.stored import Json, StoredRow
from graphflow.journal.stretch import VALUES_A_HOP
from graphflow.messages.message import to_json_value
from graphflow.messages.state import StateWrite
from graphflow.messages.types import Type

NO_LARGE: Mapping[str, bytes] = {}
"""What most rows name of large values. Nobody writes into it."""
_Texts = dict[str, str]
"""The fields of a row, each as JSON."""
_NodeCodecs = tuple[list[str], list[ValueCodec]]
"""By the number of a slot: the name of its node, and what writes the answers of that."""


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
        texts = self._event_texts(event, detail)
        if isinstance(event, FrameEntered):
            # By these two the frame's form is found again; whoever listens to events knows it by its path.
            form = self.forms[event.frame]
            texts.pop("call", None)  # behind the node, as in the first records
            texts["node"] = json.dumps(form.node)
            if form.call is not None:
                texts["call"] = str(form.call)
        if detail is not NO_DETAIL:
            beside = _detail_data(detail)
            for name, data in beside.items():
                texts[name] = json.dumps(data)
        place = detail.place or self._place(event)
        draft = _draft(event.kind, place, texts)
        graph = detail.form
        if graph is not None:
            draft.large = {**draft.large, graph.digest: graph.content}
        return draft

    def _event_texts(self, event: Event, detail: Detail) -> _Texts:
        """The fields of a fact as JSON."""
        texts: _Texts = {}
        for field in event_fields(type(event)):
            name = field.name
            value = getattr(event, name)
            # What is handed over is of the type that the next node takes, and not of one that this node declares.
            if type(value) is Handover and isinstance(event, NodeFinished):
                handover = self._handover_data(event, value)
                texts[HANDOVER] = json.dumps(handover)
            elif not is_usual(field, value):
                texts[name] = self._text(event, name, value, detail)
        return texts

    def _text(self, event: Event, name: str, value: Any, detail: Detail) -> str:
        """One field as JSON."""
        if name in TIMES:
            return repr(round(value, DIGITS))
        if isinstance(value, BaseException):
            error = encode_error(value)
            return json.dumps(error)
        if name in MESSAGES:
            return self._message_text(event, value, detail)
        if name == WRITES:
            return json.dumps([_write_data(write) for write in value])
        if isinstance(value, (str, int, float)):
            return json.dumps(value)
        plain = to_json_value(value)
        return json.dumps(plain)

    def _message_text(self, event: Event, value: Any, detail: Detail) -> str:
        form = self.forms.get(event.frame)
        kind = message_type(event, form, detail.node)
        if kind is None:
            plain = to_json_value(value)
            return json.dumps(plain)
        codec = codec_in(form, kind)
        column = codec.encode_column([value])
        return column[1:-1]  # the only value of a list, without its brackets

    def _handover_data(self, event: NodeFinished, handover: Handover) -> Json:
        program = self.forms[event.frame].program
        kind = handover_type(program, handover.target)
        codec = codec_of(kind)
        return {
            "target": handover.target,
            "message": codec.encode(handover.message),
            "turns": encode_turns(handover.turns),
        }

    def _place(self, event: Event) -> str:
        """Where in the run a fact belongs: at its activation, or at its frame as a whole."""
        form = self.forms.get(event.frame)
        place = ""
        if form is not None:
            place = form.place
        activation = getattr(event, "activation", None)
        # The activation that enters a frame is one of the frame around it.
        if activation is None or isinstance(event, FrameEntered):
            return place
        return f"{place}#{activation}"

    def hops(self, frame: int, first: int, hops: Sequence[Any], began: float) -> RowDraft:
        """Hops of a straight walk as one row.

        Args:
            frame: the frame's number.
            first: the number of the first activation.
            hops: slot, started, ended, output; and again for each hop.
            began: when the run began, by the clock of these times.
        """
        form = self.forms[frame]
        if len(hops) == VALUES_A_HOP:
            return _hop(form, frame, first, hops, began)
        slots = hops[0::VALUES_A_HOP]
        started = _seconds(hops[1::VALUES_A_HOP], began)
        ended = _seconds(hops[2::VALUES_A_HOP], began)
        outputs = hops[3::VALUES_A_HOP]
        texts = {
            "frame": str(frame),
            "first": str(first),
            "at": _numbers(ended),
        }
        _add_outputs(texts, form, slots, outputs)
        texts["started"] = _starts(started, ended)
        place = f"{form.place}#{first}"
        return _draft(HOPS, place, texts)


def _hop(
    form: FrameForm, frame: int, activation: int, hop: Sequence[Any], began: float
) -> RowDraft:
    """The row of one hop. Where each step is kept before the next one, this is done for each."""
    slot, started, ended, output = hop
    names, codecs = _node_codecs(form)
    name = json.dumps(names[slot])
    codec = codecs[slot]
    outputs = codec.encode_column((output,))
    at = round(ended - began, DIGITS)
    begun = round(started - began, DIGITS)
    place = f"{form.place}#{activation}"
    if len(outputs) <= LARGE:
        # Spelled out: to go by way of a dict of fields takes three times as long.
        body = (
            f'{{"frame":{frame},"first":{activation},"at":[{at}],'
            f'"nodes":[{name}],"outputs":[{outputs}],"started":{begun}}}'
        )
        return RowDraft(HOPS, place, hide(body), NO_LARGE)
    texts = {
        "frame": str(frame),
        "first": str(activation),
        "at": f"[{at}]",
        "nodes": f"[{name}]",
        "outputs": f"[{outputs}]",
        "started": repr(begun),
    }
    return _draft(HOPS, place, texts)


def _add_outputs(
    texts: _Texts, form: FrameForm, slots: Sequence[int], outputs: Sequence[Any]
) -> None:
    """What hops have answered, those of one type together; and of which node each hop is.

    nodes      ["plan", "write"]      each node once
    order      [0, 1, 0, 1]           of each hop, which node; left out if no node comes twice
    columns    [0, 1]                 of each node, which column; left out if there is but one
    outputs    [[...], [...]]         the columns
    """
    names, codecs = _node_codecs(form)
    nodes = list(dict.fromkeys(slots))  # each once, in the order of the walk
    node_names = [names[slot] for slot in nodes]
    texts["nodes"] = json.dumps(node_names)
    if len(nodes) < len(slots):
        texts["order"] = _positions(slots, nodes)

    node_codecs = [codecs[slot] for slot in nodes]
    column_codecs = list(dict.fromkeys(node_codecs))
    if len(column_codecs) == 1:
        [codec] = column_codecs
        column = codec.encode_column(outputs)
        texts["outputs"] = f"[{column}]"
        return
    texts["columns"] = _positions(node_codecs, column_codecs)
    columns: dict[ValueCodec, list[Any]] = {codec: [] for codec in column_codecs}
    for slot, output in zip(slots, outputs, strict=True):
        codec = codecs[slot]
        columns[codec].append(output)
    written = [codec.encode_column(column) for codec, column in columns.items()]
    texts["outputs"] = _json_list(written)


def _starts(started: list[float], ended: list[float]) -> str:
    """When hops have begun. As a rule each does when the one before it has ended, and only the first is told."""
    first, *later = started
    if later == ended[:-1]:
        return repr(first)
    return _numbers(started)


def _positions(values: Sequence[Hashable], among: Sequence[Hashable]) -> str:
    """Where each value stands among others."""
    position_of = {value: position for position, value in enumerate(among)}
    positions = [position_of[value] for value in values]
    return _numbers(positions)


def _node_codecs(form: FrameForm) -> _NodeCodecs:
    """The names of a frame's nodes, and what writes their answers: made once, and kept with what the frame walks."""
    program = form.program
    known: _NodeCodecs | None = program.columns or form.columns
    if known is not None:
        return known
    names: list[str] = []
    codecs: list[ValueCodec] = []
    is_for_all = True
    for slot in program.slots:
        kind: Type = Any
        if slot.node is not None:
            kind = slot.node.output
        codec = codec_in(form, kind)
        if codec is not codec_of(kind):
            is_for_all = False
        names.append(slot.name)
        codecs.append(codec)
    known = (names, codecs)
    # A codec that depends on the frames around is of this frame only, and not of each that walks the same.
    if is_for_all:
        program.columns = known
    else:
        form.columns = known
    return known


def _write_data(write: StateWrite) -> Json:
    """What was written to a state: which one, how, and the value by the state's type."""
    codec = codec_of(write.state.type)
    return [write.state.name, write.kind, codec.encode(write.value)]


def _detail_data(detail: Detail) -> dict[str, Json]:
    """What a row holds beside its event. `_take_detail` of `row_reader.py` mirrors it."""
    data: dict[str, Json] = {}
    if detail.reply is not None:
        data["reply"] = encode_reply(detail.reply)
    if detail.turns:
        data["turns"] = encode_turns(detail.turns)
    if detail.lasting:
        data["lasting"] = True
    if detail.effect:
        data["effect"] = detail.effect
    if detail.metered:
        data["metered"] = detail.metered
    if detail.unbegun:
        data["unbegun"] = True
    if detail.form is not None:
        data["form"] = detail.form.digest
    if detail.error is not None:
        data["cause"] = encode_error(detail.error)
    if detail.content is not None:
        data["content"] = _content_data(detail.content)
    return data


def _content_data(content: bytes) -> Json:
    """The bytes of an artifact: as text if they are text, so that secrets in it are found."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        encoded = b64encode(content)
        return {"base64": encoded.decode()}


def _draft(kind: str, place: str, texts: _Texts) -> RowDraft:
    """The row of some fields."""
    large = NO_LARGE
    # One look at the longest: almost no row has a large field.
    if max(map(len, texts.values())) > LARGE:
        large = _take_large(texts)
    fields = [f'"{name}":{text}' for name, text in texts.items()]
    listed = ",".join(fields)
    body = f"{{{listed}}}"
    return RowDraft(kind, place, hide(body), large)


def _take_large(texts: _Texts) -> Mapping[str, bytes]:
    """The large values among some fields, by their digests. The field `large` stands for them from now on."""
    contents: dict[str, bytes] = {}
    digests: _Texts = {}
    for name, text in texts.items():
        if len(text) <= LARGE:
            continue
        # A secret stands in no large value either.
        content = hide(text).encode()
        digest = sha256(content).hexdigest()
        contents[digest] = content
        digests[name] = digest
    for name in digests:
        del texts[name]
    texts["large"] = json.dumps(digests)
    return contents


def _seconds(times: Sequence[float], began: float) -> list[float]:
    """Times by the process clock as those of a row."""
    return [round(at - began, DIGITS) for at in times]


def _numbers(values: Iterable[float]) -> str:
    texts = map(repr, values)
    return _json_list(texts)


def _json_list(texts: Iterable[str]) -> str:
    """A list without blanks, of what is JSON already."""
    items = ",".join(texts)
    return f"[{items}]"
