"""Spans: what a record tells of each activation, call and question as a whole, from its first entry to its last.

entries   0 run.start  1 call.start  2 model.start  3 model.end  4 call.end  5 node.end
spans                  |_____________________________________|               activation 1 ends at 5
|____________|
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graphflow.errors import Diverged
from graphflow.events import (
    BackgroundFinished,
    BackgroundStarted,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    ModelFailed,
    ModelFinished,
    ModelStarted,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    QuestionAnswered,
    QuestionAsked,
    ValueKept,
)
from graphflow.journal.record import StoredRecord

Moving = NodeFinished | NodeFailed | NodeCancelled | NodeRefused
"""How an activation ends."""
ActivationKey = tuple[int, int]
"""A frame's number and an activation's."""
SpanKind = Literal[
    "activation", "call", "model", "question", "value", "frame", "background", "other"
]


@dataclass(slots=True)
class RecordSpan:
    """What a record tells of one thing that was done.

    Attributes:
        kind: what it is.
        node: of the node that did it, or that was asked.
        activation: what it is part of, or is.
        place: where it stands; "" for what has no place.
        begin: the number of its first entry.
        end: the number of the entry that tells how it ended; None: it was under way.
        frame: for what was entered as a frame: the frame's number.
    """

    kind: SpanKind
    node: str
    activation: ActivationKey
    place: str
    begin: int
    end: int | None = None
    frame: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of its first and its last entry; between them lies what it has done itself."""
        if self.end is None or self.end == self.begin:
            return (self.begin,)
        return (self.begin, self.end)

    def holds(self, place: str) -> bool:
        """Whether a place is its own, or lies within."""
        own = self.place
        return place == own or place.startswith(f"{own}/")


class SpanIndex:
    """The spans of a record.

    Args:
        record: of a run.
    """

    def __init__(self, record: StoredRecord) -> None:
        self.record = record
        self.spans: list[RecordSpan] = []
        """In the order in which they began."""
        self.of_entry: dict[int, RecordSpan] = {}
        """The span that each entry is part of; not of those that tell of a frame or of the run itself."""
        self.frames: dict[int, RecordSpan] = {}
        """What was entered, by the number of the frame."""
        self.ends: dict[ActivationKey, int] = {}
        """The entry that tells last how an activation has ended."""
        self._open: dict[object, RecordSpan] = {}
        self._within: dict[ActivationKey, list[RecordSpan]] = {}
        for number, entry in enumerate(record.entries):
            self._take(number, entry.event, entry.detail.place)

    def _take(self, number: int, event: Event, place: str) -> None:
        if isinstance(event, Moving):
            self.ends[event.frame, event.activation] = number
            return
        if isinstance(event, FrameEntered):
            span = RecordSpan(
                "frame",
                event.path[-1],
                (event.parent, event.activation),
                place,
                number,
                None,
                event.frame,
            )
            self.frames[event.frame] = span
            self._add(span, number)
            return
        activation = getattr(event, "activation", None)
        if activation is None:
            return
        known = _KINDS.get(type(event))
        key = (event.frame, activation)
        node: str = getattr(event, "node", "")
        if known is None:
            self._add(RecordSpan("other", node, key, "", number, number), number)
            return
        kind, begins, name = known
        if begins:
            span = RecordSpan(kind, node, key, place, number, number if kind == "value" else None)
            self._open[kind, getattr(event, name)] = span
            self._add(span, number)
            return
        begun = self._open.get((kind, getattr(event, name)))
        if begun is not None:
            begun.end = number
            self.of_entry[number] = begun

    def _add(self, span: RecordSpan, number: int) -> None:
        self.spans.append(span)
        self._within.setdefault(span.activation, []).append(span)
        self.of_entry[number] = span

    def around(self, frame: int) -> RecordSpan | None:
        """What has entered a frame; None for the outermost."""
        return self.frames.get(frame)

    def within(self, key: ActivationKey) -> Sequence[RecordSpan]:
        """What an activation has done, in the order in which it was begun."""
        return self._within.get(key, ())

    def node_of(self, key: ActivationKey) -> str:
        """The node of an activation that has ended, or done something in a frame; "" if nobody knows."""
        end = self.ends.get(key)
        if end is None:
            return ""
        event = self.record.entries[end].event
        assert isinstance(event, Moving)
        return event.node

    def path_of(self, frame: int) -> tuple[str, ...]:
        """Names of the frames from the outermost to one.

        Raises:
            Diverged: the graph has no such frame any more.
        """
        form = self.record.forms.get(frame)
        if form is None:
            raise Diverged(
                (self.record.header.graph,), f"frame {frame}", "nothing that could be entered there"
            )
        return form.path


_KINDS: dict[type[Event], tuple[SpanKind, bool, str]] = {
    CallStarted: ("call", True, "call"),
    CallFinished: ("call", False, "call"),
    CallFailed: ("call", False, "call"),
    ModelStarted: ("model", True, "question"),
    ModelFinished: ("model", False, "question"),
    ModelFailed: ("model", False, "question"),
    QuestionAsked: ("question", True, "question"),
    QuestionAnswered: ("question", False, "question"),
    BackgroundStarted: ("background", True, "handle"),
    BackgroundFinished: ("background", False, "handle"),
    ValueKept: ("value", True, "at"),
}
"""Events that begin a span or end one, and the field by which the two find each other."""
