"""The past of a run: what its earlier sittings have left in the record, found by place.

    facts      of each frame that was not left yet: pushed through a fresh walk
    answers    of calls, models, people and clocks: given to code that asks for the same again
    accounts   what each frame has used

Rules:
1. What is here was known, and is not asked for again. What an attempt has got that was given up is gone with it, but for
   answers of what may have left something behind in the world.
2. What says that something was told to stop says nothing about what it would have done. It moves no walk: what was
   under way when a run was cancelled, limited or killed is begun again.
3. An answer is taken once: a later attempt in this sitting asks the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from graphflow.declaration.node import AnyNode
from graphflow.errors import Diverged, LimitExceeded
from graphflow.events import (
    AnswerRefused,
    Approved,
    BackgroundFinished,
    BackgroundStarted,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    FrameExited,
    LimitWarning,
    ModelFailed,
    ModelFinished,
    ModelStarted,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    NodeRetried,
    QuestionAnswered,
    QuestionAsked,
    Resumed,
    ValueKept,
)
from graphflow.journal.detail import Detail
from graphflow.journal.entries import is_message
from graphflow.limits import Ledger, Usage
from graphflow.model.reply import Reply
from graphflow.places import UNKNOWN, EffectState, begins_with
from graphflow.runtime.sitting import QuestionRecord
from graphflow.runtime.stops import counts, is_stopped
from graphflow.walk.machine import Walk

if TYPE_CHECKING:
    from graphflow.journal.rows import RecordEntry

Fact = NodeFinished | NodeFailed | NodeCancelled | NodeRefused
"""What moves a walk."""
_FACTS = (NodeFinished, NodeFailed, NodeCancelled, NodeRefused)


@dataclass(slots=True)
class FrameRecord:
    """What is recorded of a frame that was entered and may not have been left.

    Attributes:
        number: its number in the run.
        entered: when it was entered, in seconds since the run began.
        facts: what its walk was told.
        exited: whether it was left.
    """

    number: int
    entered: float
    facts: list[Fact] = field(default_factory=list)
    exited: bool = False


@dataclass(slots=True)
class CallRecord:
    """What is recorded of a call.

    Attributes:
        number: its number in the run.
        place: where it stands.
        lasting: whether it may have left something behind in the world.
        end: how it has ended; None: nobody knows whether it was carried out.
        detail: what is known of its end.
    """

    number: int
    place: str
    lasting: bool
    end: CallFinished | CallFailed | None = None
    detail: Detail | None = None

    def output(self, node: AnyNode) -> Any:
        """The answer, as the node declares it."""
        assert isinstance(self.end, CallFinished)
        detail = self.detail
        if detail is None or detail.raw is None:
            return self.end.output
        # Of a tool of a server nobody knew the type when the record was read.
        return _decoded(node, detail.raw)


@dataclass(slots=True)
class BackgroundRecord:
    """What is recorded of a call in the background.

    Attributes:
        started: that it was begun.
        place: of the call.
        call: what was called, with what; None if the record does not tell.
        finished: how it has ended; None: it was under way.
        detail: what is known of its end.
    """

    started: BackgroundStarted
    place: str
    call: CallStarted | None
    finished: BackgroundFinished | None = None
    detail: Detail | None = None

    def output(self, node: AnyNode) -> Any:
        """The answer, as the node declares it."""
        assert self.finished is not None
        if self.detail is None or self.detail.raw is None:
            return self.finished.output
        return _decoded(node, self.detail.raw)


def _decoded(node: AnyNode, data: Any) -> Any:
    """An answer of a node, of which nobody knew the type when the record was read."""
    from graphflow.journal.codec.value_codec import codec_of  # who never reads a record never loads it

    return codec_of(node.output).decode(data)


ActivationKey = tuple[int, int]
"""A frame's number and an activation's."""


class Past:
    """What earlier sittings have left.

    Args:
        run: the run's id.
        entries: the facts of its record, in order.
    """

    def __init__(self, run: str, entries: Sequence[RecordEntry]) -> None:
        self.run = run
        self.seconds = 0.0
        """How long the run has taken so far."""
        self.sittings = 1
        self.calls = 0
        """The highest number of a call."""
        self.questions = 0
        """The highest number of a question to a model."""
        self.frames: dict[str, FrameRecord] = {}
        """Frames whose way in may be gone again, by place."""
        self.asked: dict[str, QuestionRecord] = {}
        """Questions to the outside, by their name."""
        self.taken: set[str] = set()
        """Entries of the store that were taken as answers, or refused."""
        self.backgrounds: dict[str, BackgroundRecord] = {}
        """By handle."""
        self.consents: dict[str, Approved] = {}
        """By the key of the call."""
        self.warned: set[str] = set()
        self.allowed: set[str] = set()
        """Nodes of which somebody has said that they may always be called in this run."""
        self._calls: dict[str, CallRecord] = {}
        self._by_number: dict[int, CallRecord] = {}
        self._started: dict[str, CallStarted] = {}
        """Calls in the background, by place."""
        self._effects: dict[str, EffectState] = {}
        self._replies: dict[str, Reply | BaseException] = {}
        self._values: dict[str, Any] = {}
        self._retries: dict[ActivationKey | str, NodeRetried] = {}
        """The newest retry of each activation, and of each call by its place."""
        self._below: dict[ActivationKey, list[str]] = {}
        """The places of what each activation has asked."""
        self._activations: dict[int, list[int]] = {}
        """The activations of each frame that have asked something."""
        self._frames_by_number: dict[int, FrameRecord] = {0: FrameRecord(0, 0.0)}
        self._books = _Books()
        self.frames[""] = self._frames_by_number[0]
        for entry in entries:
            self._take(entry.event, entry.detail)

    # -- what is asked of it -------------------------------------------------------------------------------------------
    def frame(self, place: str) -> FrameRecord | None:
        """What is recorded of the frame that is entered at a place, once."""
        return self.frames.pop(place, None)

    def call(self, place: str) -> CallRecord | None:
        """The call at a place that has ended, once."""
        found = self._calls.get(place)
        if found is None or found.end is None:
            return None
        return self._calls.pop(place)

    def effect(self, place: str) -> EffectState | None:
        """What is known of what may have left something behind in the world, of whatever attempt."""
        return self._effects.get(place)

    def reply(self, place: str) -> Reply | BaseException | None:
        """What came of a question to a model, once."""
        return self._replies.pop(place, None)

    def has_value(self, place: str) -> bool:
        """Whether a value was kept at a place."""
        return place in self._values

    def value(self, place: str) -> Any:
        """The value that was kept at a place, once."""
        return self._values.pop(place)

    def retry(self, key: ActivationKey | str) -> NodeRetried | None:
        """The newest retry of an activation, or of the call at a place, once."""
        return self._retries.pop(key, None)

    def asked_in(self, frame: int) -> Iterator[tuple[int, str]]:
        """What activations of a frame have asked and may ask again: each activation, with the place of what it has asked."""
        for activation in self._activations.get(frame, ()):
            for place in self._below.get((frame, activation), ()):
                yield activation, place

    @property
    def unknown(self) -> tuple[str, ...]:
        """Places of calls that may have been carried out, of which nobody has seen an answer."""
        waiting = {record.place for record in self.asked.values() if record.answered is None}
        places: list[str] = []
        for call in self._calls.values():
            is_asked_for = f"{call.place}/approval" in waiting  # it waits for consent: nothing was done
            if call.lasting and call.end is None and not is_asked_for:
                places.append(call.place)
        return tuple(places)

    def charge(self, ledger: Ledger, frame: int) -> None:
        """Charges a frame's own ledger with what it, and all within it, has used. Those around have theirs already."""
        used = self._books.total(frame)
        ledger.steps += used.steps
        ledger.tool_calls += used.tool_calls
        ledger.model_calls += used.model_calls
        ledger.input_tokens += used.input_tokens
        ledger.output_tokens += used.output_tokens
        ledger.tokens += used.tokens
        ledger.cache_read_tokens += used.cache_read_tokens
        ledger.cache_write_tokens += used.cache_write_tokens
        ledger.reasoning_tokens += used.reasoning_tokens
        ledger.usd += used.usd or 0.0
        if self._books.is_unpriced(frame):
            ledger.unpriced = True
        if frame == 0:
            ledger.warned = set(self.warned)

    # -- reading -------------------------------------------------------------------------------------------------------
    def _take(self, event: Event, detail: Detail) -> None:
        self.seconds = max(self.seconds, event.at)
        take = _TAKES.get(type(event))
        if take is not None:
            take(self, event, detail)

    def _moved(self, event: Fact, detail: Detail) -> None:
        frame = self._frames_by_number[event.frame]
        frame.facts.append(event)
        if isinstance(event, NodeFinished) or (isinstance(event, NodeFailed) and not is_stopped(event.error)):
            self._books.own(event.frame).steps += 1
            # What it has asked, it will not ask again.
            self._drop_activation((event.frame, event.activation))

    def _frame_entered(self, event: FrameEntered, detail: Detail) -> None:
        record = FrameRecord(event.frame, event.at)
        self.frames[detail.place] = record
        self._frames_by_number[event.frame] = record
        self._books.enter(event.frame, event.parent)
        self._note((event.parent, event.activation), detail.place)

    def _frame_exited(self, event: FrameExited, detail: Detail) -> None:
        if event.status in ("completed", "failed"):
            self._frames_by_number[event.frame].exited = True

    def _call_started(self, event: CallStarted, detail: Detail) -> None:
        self.calls = max(self.calls, event.call)
        record = CallRecord(event.call, detail.place, detail.lasting)
        if detail.node is not None and detail.node.in_background:
            self._started[detail.place] = event
        self._calls[detail.place] = record
        self._by_number[event.call] = record
        self._note((event.frame, event.activation), detail.place)
        if detail.lasting:
            self._effects.setdefault(detail.place, EffectState(UNKNOWN))

    def _call_ended(self, event: CallFinished | CallFailed, detail: Detail) -> None:
        record = self._by_number.pop(event.call, None)
        if record is None:
            return
        if isinstance(event, CallFailed) and comes_of_a_stop(event.error, event.frame, self._books.depth(event.frame)):
            return
        own = self._books.own(event.frame)
        own.steps += 1
        if detail.metered == "tool_calls":
            own.tool_calls += 1
        record.end = event
        record.detail = detail
        if record.lasting and isinstance(event, CallFinished):
            state = self._effects[record.place]
            state.answered = True
            state.answer = event.output

    def _model_started(self, event: ModelStarted, detail: Detail) -> None:
        self.questions = max(self.questions, event.question)

    def _model_finished(self, event: ModelFinished, detail: Detail) -> None:
        if event.usd is None:
            self._books.unpriced.add(event.frame)
        priced = replace(event, usd=event.usd or 0.0)
        self._books.own(event.frame).count(priced)
        if detail.reply is not None:
            self._keep_reply(event.frame, event.activation, detail.place, detail.reply)

    def _model_failed(self, event: ModelFailed, detail: Detail) -> None:
        if not event.spent:
            self._books.own(event.frame).model_calls += 1
        self._keep_reply(event.frame, event.activation, detail.place, event.error)

    def _keep_reply(self, frame: int, activation: int, place: str, reply: Reply | BaseException) -> None:
        self._replies[place] = reply
        self._note((frame, activation), place)

    def _retried(self, event: NodeRetried, detail: Detail) -> None:
        activation = (event.frame, event.activation)
        if event.call is None:
            self._drop_activation(activation)
            self._retries[activation] = event
            return
        call = self._by_number.get(event.call)
        if call is not None:
            self._drop_below(call.place, activation)
            self._retries[call.place] = event

    def _approved(self, event: Approved, detail: Detail) -> None:
        self.consents[event.key] = event

    def _background_started(self, event: BackgroundStarted, detail: Detail) -> None:
        self.backgrounds[event.handle] = BackgroundRecord(event, detail.place, self._started.get(detail.place))

    def _background_finished(self, event: BackgroundFinished, detail: Detail) -> None:
        if event.status != "cancelled":
            record = self.backgrounds[event.handle]
            record.finished, record.detail = event, detail

    def _question_asked(self, event: QuestionAsked, detail: Detail) -> None:
        if event.question not in self.asked:
            self.asked[event.question] = QuestionRecord(event, detail.place)
        self._note((event.frame, event.activation), detail.place)

    def _question_answered(self, event: QuestionAnswered, detail: Detail) -> None:
        record = self.asked[event.question]
        record.answered = event
        self.taken.add(event.entry)
        if record.asked.about == "approval" and event.value.get("consent") == "always":
            self.allowed.add(event.node)

    def _answer_refused(self, event: AnswerRefused, detail: Detail) -> None:
        self.taken.add(event.entry)
        if not is_message(event.entry):
            self.asked[event.question].refused += 1

    def _value_kept(self, event: ValueKept, detail: Detail) -> None:
        self._values[detail.place] = event.value
        self._note((event.frame, event.activation), detail.place)

    def _resumed(self, event: Resumed, detail: Detail) -> None:
        self.sittings = event.sitting

    def _warned(self, event: LimitWarning, detail: Detail) -> None:
        self.warned.add(event.limit)

    # -- what is given up ----------------------------------------------------------------------------------------------
    def _note(self, key: ActivationKey, place: str) -> None:
        below = self._below.get(key)
        if below is None:
            below = self._below[key] = []
            frame, activation = key
            self._activations.setdefault(frame, []).append(activation)
        below.append(place)

    def _drop_activation(self, key: ActivationKey) -> None:
        """Forgets what an activation has got: it has ended, or is tried again."""
        todo = [key]
        while todo:
            for place in self._below.pop(todo.pop(), ()):
                todo += self._forget(place)

    def _drop_below(self, place: str, key: ActivationKey) -> None:
        """Forgets what a call has got: it is tried again."""
        kept: list[str] = []
        inside = f"{place}/"
        for other in self._below.pop(key, ()):
            if other != place and not other.startswith(inside):
                kept.append(other)
                continue
            if other == place:
                kept.append(other)
            for inner in self._forget(other, call=other != place):
                self._drop_activation(inner)
        self._below[key] = kept

    def _forget(self, place: str, *, call: bool = True) -> list[ActivationKey]:
        """Forgets what is known at a place; the activations of a frame there."""
        if call:
            self._calls.pop(place, None)
        self._replies.pop(place, None)
        self._values.pop(place, None)
        frame = self.frames.pop(place, None)
        if frame is None:
            return []
        activations = self._activations.pop(frame.number, ())
        return [(frame.number, activation) for activation in activations]


_TAKES: dict[type[Event], Any] = {
    **dict.fromkeys(_FACTS, Past._moved),
    FrameEntered: Past._frame_entered,
    FrameExited: Past._frame_exited,
    CallStarted: Past._call_started,
    CallFinished: Past._call_ended,
    CallFailed: Past._call_ended,
    ModelStarted: Past._model_started,
    ModelFinished: Past._model_finished,
    ModelFailed: Past._model_failed,
    NodeRetried: Past._retried,
    Approved: Past._approved,
    BackgroundStarted: Past._background_started,
    BackgroundFinished: Past._background_finished,
    QuestionAsked: Past._question_asked,
    QuestionAnswered: Past._question_answered,
    AnswerRefused: Past._answer_refused,
    ValueKept: Past._value_kept,
    Resumed: Past._resumed,
    LimitWarning: Past._warned,
}


def comes_of_a_stop(error: BaseException, frame: int, depth: int) -> bool:
    """Whether something has failed because it was told to stop, so that nobody knows what it would have answered.

    Args:
        error: what it failed with.
        frame: the number of the frame that it was in.
        depth: frames around that one.
    """
    if isinstance(error, LimitExceeded):
        # A limit of this frame or of one around it; one of a frame within is an answer.
        return len(error.path) <= depth + 1 and error.limit != "depth"
    return is_stopped(error)


def check_fits(fact: Fact, walk: Walk) -> None:
    """Refuses a fact that is not of an activation under way.

    Raises:
        Diverged: the graph has changed, or the record is another graph's.
    """
    act = walk.running.get(fact.activation) or walk.waiting.get(fact.activation)
    if act is None:
        running = ", ".join(f"{act.slot.name!r} as {act.id}" for act in walk.running.values()) or "nothing"
        raise Diverged(walk.path, f"activation {fact.activation} of {fact.node!r}", running, fact.node)
    if act.slot.name != fact.node:
        found = f"{act.slot.name!r} in its place"
        raise Diverged(walk.path, f"activation {fact.activation} of {fact.node!r}", found, fact.node)


def push_facts(walk: Walk, facts: Iterable[Fact]) -> int:
    """Lets recorded facts move a walk; how many activations have ended because the walk itself had stopped them.

    Raises:
        Diverged: one does not fit the graph as it is now.
    """
    cancelled = 0
    context = copy_context()
    for fact in facts:
        if counts(fact, walk):
            check_fits(fact, walk)
            walk.apply(fact, context)
            cancelled += isinstance(fact, NodeCancelled)
    return cancelled


def check_places(past: Past, frame: FrameRecord, within: str, walk: Walk) -> None:
    """Refuses to go on where code that is begun again would not find what it has got: it would do it twice.

    Args:
        past: what is recorded of the run.
        frame: what is recorded of the frame.
        within: the frame's place.
        walk: the frame's walk, with all facts pushed.

    Raises:
        Diverged: an activation under way has another place now.
    """
    #     START >> pay >> END            /pay 1/bank~...
    #     START >> (pay, log) >> END     /pay ((0, 0),)/bank~...     a place tells of the forks on the way to it
    over = {fact.activation for fact in frame.facts}
    for activation, known in past.asked_in(frame.number):
        act = walk.running.get(activation) or walk.waiting.get(activation)
        if act is None:
            if activation in over:
                continue
            raise Diverged(walk.path, f"that activation {activation} has got {known}", "no such activation")
        name = act.slot.name
        way: object = act.scope
        if walk.program.straight:  # `Frame.scope_of`: laps are no forks
            way = () if frame.number else activation
        place = begins_with(within, f"{name} {way}")
        if not known.startswith(place) or known[len(place) : len(place) + 1] not in ("", "/", "~"):
            raise Diverged(walk.path, f"that activation {activation} has got {known}", f"{name!r} at {place}", name)


class _Books:
    """What each frame has used by itself, and who lies in whom."""

    def __init__(self) -> None:
        self._own: dict[int, Usage] = {}
        self._children: dict[int, list[int]] = {}
        self._depths: dict[int, int] = {0: 0}
        self.unpriced: set[int] = set()
        """Frames with an answer of which nobody knows what it cost."""

    def own(self, frame: int) -> Usage:
        """What a frame has used by itself."""
        used = self._own.get(frame)
        if used is None:
            used = self._own[frame] = Usage(usd=0.0)
        return used

    def enter(self, frame: int, parent: int) -> None:
        self._children.setdefault(parent, []).append(frame)
        self._depths[frame] = self._depths[parent] + 1

    def depth(self, frame: int) -> int:
        """Frames around a frame."""
        return self._depths[frame]

    def _within(self, frame: int) -> Iterable[int]:
        todo = [frame]
        while todo:
            number = todo.pop()
            todo += self._children.get(number, ())
            yield number

    def total(self, frame: int) -> Usage:
        """What a frame and all within it have used, of dollars those that are known."""
        total = Usage(usd=0.0)
        for number in self._within(frame):
            used = self.own(number)
            total.steps += used.steps
            total.tool_calls += used.tool_calls
            total.model_calls += used.model_calls
            total.input_tokens += used.input_tokens
            total.output_tokens += used.output_tokens
            total.cache_read_tokens += used.cache_read_tokens
            total.cache_write_tokens += used.cache_write_tokens
            total.reasoning_tokens += used.reasoning_tokens
            total.usd = (total.usd or 0.0) + (used.usd or 0.0)
        return total

    def is_unpriced(self, frame: int) -> bool:
        """Whether nobody knows what an answer in a frame, or in one within it, has cost."""
        return not self.unpriced.isdisjoint(self._within(frame))
