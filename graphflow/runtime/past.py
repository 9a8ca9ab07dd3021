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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from graphflow.errors import LimitExceeded
from graphflow.events import (
    AnswerCached,
    AnswerRefused,
    Approved,
    ArtifactKept,
    BackgroundFinished,
    BackgroundStarted,
    BudgetWarning,
    CallFailed,
    CallFinished,
    CallStarted,
    CompactionFinished,
    Emitted,
    Event,
    FrameEntered,
    FrameExited,
    HandedOver,
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
    Stopped,
    TurnsAdded,
    ValueKept,
)
from graphflow.journal.detail import Detail, FrameForm
from graphflow.journal.entries import is_message
from graphflow.limits import Ledger
from graphflow.messages.state import StateWrites
from graphflow.model.reply import Reply
from graphflow.model.turns import Turn
from graphflow.places import UNKNOWN, EffectState
from graphflow.plain import json_size
from graphflow.proofs.state_arrows import written_by_code
from graphflow.runtime.books import Books
from graphflow.runtime.records import BackgroundRecord, CallRecord, Fact, FrameRecord, LeftFrame
from graphflow.runtime.sitting import QuestionRecord
from graphflow.runtime.stops import is_stopped

if TYPE_CHECKING:
    from graphflow.journal.row_reader import RecordEntry

_FACTS = (NodeFinished, NodeFailed, NodeCancelled, NodeRefused)
_COUNTED = (
    BackgroundFinished,
    CallFailed,
    CallFinished,
    CallStarted,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
)
"""What claims count, and what moves the walks in which they count."""


ActivationKey = tuple[int, int]
"""A frame's number and an activation's."""
Answer: TypeAlias = Reply | BaseException
"""What came of a question to a model."""
TurnsByActivation: TypeAlias = dict[int, Sequence[Turn]]
"""What agents have added to a conversation, by activation."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """Something that has begun or ended.

    Attributes:
        event: what was recorded.
        form: of a frame that was entered, what it walks.
        unbegun: of what has failed, whether it was refused before its node did anything.
        stopped: of what has ended, whether only because somebody has stopped the run.
    """

    event: Event
    form: FrameForm | None
    unbegun: bool
    stopped: bool


class Past:
    """What earlier sittings have left.

    Args:
        run: the run's id.
        entries: the facts of its record, in order.
        forms: its frames, by number.
    """

    def __init__(
        self,
        run: str,
        entries: Sequence[RecordEntry],
        forms: Mapping[int, FrameForm | None] | None = None,
    ) -> None:
        self.run = run
        self._forms = forms or {}
        self._parents: dict[int, int] = {}
        self._turns: dict[int, TurnsByActivation] = {}
        """By frame."""
        self._is_stopping = False
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
        self.budgets_warned: set[tuple[str, str, float | None]] = set()
        self.allowed: set[str] = set()
        """Nodes of which somebody has said that they may always be called in this run."""
        self._calls: dict[str, CallRecord] = {}
        self._by_number: dict[int, CallRecord] = {}
        self._started: dict[str, CallStarted] = {}
        """Calls in the background, by place."""
        self._begun: dict[str, BackgroundRecord] = {}
        """Those of them whose callers have not got the handle yet."""
        self._going_on: set[str] = set()
        """The places of calls in the background that have not ended: what is known of them outlasts their callers."""
        self._effects: dict[str, EffectState] = {}
        self._replies: dict[str, Answer] = {}
        self._values: dict[str, Any] = {}
        self._cached: dict[str, list[AnswerCached]] = {}
        self._statements: set[str] = set()
        """The places of what code has said: it is not told again."""
        self._retries: dict[ActivationKey | str, NodeRetried] = {}
        """The newest retry of each activation, and of each call by its place."""
        self._below: dict[ActivationKey, list[str]] = {}
        """The places of what each activation has asked."""
        self._activations: dict[int, list[int]] = {}
        """The activations of each frame that have asked something."""
        self._books = Books()
        self._outputs: dict[int, list[object]] = {}
        """What calls have answered, by their frames."""
        outermost = FrameRecord(0, 0.0)
        self.frames[""] = outermost
        self._frames_by_number = {0: outermost}
        self.seen: list[PastEvent] = []
        """What has begun and ended, in order: claims count it again."""
        for entry in entries:
            self._take(entry.event, entry.detail)

    # -- what is asked of it -----------------------------------------------------------------------
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

    def reply(self, place: str) -> Answer | None:
        """What came of a question to a model, once."""
        return self._replies.pop(place, None)

    def has_value(self, place: str) -> bool:
        """Whether a value was kept at a place."""
        return place in self._values

    def value(self, place: str) -> Any:
        """The value that was kept at a place, once."""
        return self._values.pop(place)

    def take_cached(self, node: str, path: tuple[str, ...] | None) -> list[AnswerCached]:
        """The answers of a node that were kept for those who ask the same, once.

        Args:
            node: its name.
            path: in which frames; None: in any.
        """
        known = self._cached.pop(node, [])
        if path is None:
            return known
        taken: list[AnswerCached] = []
        left: list[AnswerCached] = []
        for event in known:
            form = self._forms.get(event.frame)
            if form is not None and form.path == path:
                taken.append(event)
            else:
                left.append(event)
        if left:
            self._cached[node] = left
        return taken

    def was_told(self, place: str) -> bool:
        """Whether code has said something at a place, once."""
        if place not in self._statements:
            return False
        self._statements.discard(place)
        return True

    def retry(self, key: ActivationKey | str) -> NodeRetried | None:
        """The newest retry of an activation, or of the call at a place, once."""
        return self._retries.pop(key, None)

    def asked_in(self, frame: int) -> Iterator[tuple[int, str]]:
        """What activations of a frame have asked and may ask again: each activation, with the place of what it has asked."""
        for activation in self._activations.get(frame, ()):
            places = self._below.get((frame, activation), ())
            for place in places:
                yield activation, place

    def turns_in(self, frame: int) -> Mapping[int, Sequence[Turn]]:
        """What agents have added to the conversation of a frame, by activation, in order."""
        return self._turns.get(frame, {})

    def background_at(self, place: str) -> BackgroundRecord | None:
        """The call in the background at a place whose caller has not got its handle."""
        for record in self.backgrounds.values():
            if record.place == place and not record.has_answered:
                return record
        return None

    def left_frame(self, number: int) -> LeftFrame | None:
        """A frame that nobody enters again by what is recorded of it; None if somebody may."""
        form = self._forms.get(number)
        record = self._frames_by_number.get(number)
        if form is None or record is None or number == 0:
            return None
        may_be_entered = self.frames.get(form.place) is record
        if may_be_entered and not record.exited:
            return None
        return self.any_frame(number)

    def any_frame(self, number: int) -> LeftFrame | None:
        """A frame, by its number; None if nobody knows what it walks."""
        form = self._forms.get(number)
        if form is None:
            return None
        parent = self._parents[number]
        return LeftFrame(number, parent, form)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Places of calls that may have been carried out, of which nobody has seen an answer."""
        questions = self.asked.values()
        waiting = {record.place for record in questions if record.answered is None}
        places: list[str] = []
        for call in self._calls.values():
            if not call.lasting or call.end is not None:
                continue
            # One that waits for consent was not carried out.
            if f"{call.place}/approval" not in waiting:
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
        if ledger.limits_output:
            ledger.output_bytes += self._output_bytes(frame)
        if frame == 0:
            ledger.warned = set(self.warned)

    def _output_bytes(self, frame: int) -> int:
        """Bytes of what calls of a frame, and of those within it, have answered."""
        size = 0
        for number in self._books.within(frame):
            size += sum(map(json_size, self._outputs.get(number, ())))
        return size

    def give_up(self, key: ActivationKey, call: str | None) -> None:
        """Forgets what an attempt has got, or would have got: the next one asks the world.

        Args:
            key: the activation.
            call: the place of its call that is tried again; None: it is tried again itself.
        """
        if call is not None:
            self._drop_below(call, key)
            return
        self._drop_activation(key)
        frame, activation = key
        turns = self._turns.get(frame, {})
        turns.pop(activation, None)

    # -- reading -----------------------------------------------------------------------------------
    def _take(self, event: Event, detail: Detail) -> None:
        self.seconds = max(self.seconds, event.at)
        if isinstance(event, _COUNTED):
            form = self._forms.get(event.frame) if isinstance(event, FrameEntered) else None
            seen = PastEvent(event, form, detail.unbegun, self._is_of_a_stop(event))
            self.seen.append(seen)
        take = _TAKES.get(type(event))
        if take is not None:
            take(self, event, detail)

    def _moved(self, event: Fact, detail: Detail) -> None:
        number = event.frame
        frame = self._frames_by_number[number]
        frame.facts.append(event)
        if detail.effect and isinstance(event, NodeFinished):
            self._answered_for_good(detail.effect, event, self._code_writes(event))
        has_failed = isinstance(event, NodeFailed) and not is_stopped(event.error)
        if has_failed or isinstance(event, NodeFinished):
            own = self._books.own(number)
            own.steps += 1
            # What it has asked, it will not ask again.
            self._drop_activation((number, event.activation))

    def _code_writes(self, event: NodeFinished) -> StateWrites:
        """What the code of an activation has written. Its arrows write again wherever the answer is taken over."""
        form = self._forms.get(event.frame)
        if not event.writes or form is None:
            return event.writes
        slots = {slot.name: slot for slot in form.program.slots}
        arrows = slots[event.node].state_arrows
        return written_by_code(event.writes, arrows, event.output)

    def _answered_for_good(
        self, place: str, event: NodeFinished | CallFinished, writes: StateWrites
    ) -> None:
        """Remembers an answer that later attempts take over."""
        state = self._effects.setdefault(place, EffectState(UNKNOWN))
        state.answered = True
        state.answer = event.output
        state.writes = writes

    def _frame_entered(self, event: FrameEntered, detail: Detail) -> None:
        number = event.frame
        parent = event.parent
        place = detail.place
        record = FrameRecord(number, event.at)
        self.frames[place] = record
        self._frames_by_number[number] = record
        self._books.enter(number, parent)
        self._parents[number] = parent
        self._note((parent, event.activation), place)

    def _frame_exited(self, event: FrameExited, detail: Detail) -> None:
        if event.status in ("completed", "failed"):
            record = self._frames_by_number[event.frame]
            record.exited = True

    def _call_started(self, event: CallStarted, detail: Detail) -> None:
        number = event.call
        place = detail.place
        self.calls = max(self.calls, number)
        record = CallRecord(number, place, detail.lasting)
        if detail.node is not None and detail.node.in_background:
            # What it was given, in case that the record alone has to begin it.
            self._started[place] = event
        self._calls[place] = record
        self._by_number[number] = record
        self._note((event.frame, event.activation), place)
        if detail.lasting:
            # Equal calls of an attempt that was cut off are asked again in the order in which they were.
            state = self._effects.setdefault(place, EffectState(UNKNOWN))
            if state.rank is None:
                state.rank = number

    def _call_ended(self, event: CallFinished | CallFailed, detail: Detail) -> None:
        record = self._by_number.pop(event.call, None)
        if record is None:
            return
        number = event.frame
        if isinstance(event, CallFailed) and self._was_stopped(event.error, number):
            return
        own = self._books.own(number)
        own.steps += 1
        if detail.metered == "tool_calls":
            own.tool_calls += 1
        record.end = event
        record.detail = detail
        if isinstance(event, CallFinished):
            self._outputs.setdefault(number, []).append(event.output)
        begun = self._begun.pop(record.place, None)
        if begun is not None:
            begun.has_answered = True
        self._drop_below(record.place, (number, event.activation))
        if record.lasting and isinstance(event, CallFinished):
            self._answered_for_good(record.place, event, event.writes)

    def _is_of_a_stop(self, event: Event) -> bool:
        if isinstance(event, NodeFailed):
            return is_stopped(event.error)
        if isinstance(event, BackgroundFinished):
            return self._is_cut_off(event)
        return isinstance(event, CallFailed) and self._was_stopped(event.error, event.frame)

    def _was_stopped(self, error: BaseException, frame: int) -> bool:
        depth = self._books.depth(frame)
        return comes_of_a_stop(error, frame, depth)

    def _model_started(self, event: ModelStarted, detail: Detail) -> None:
        self.questions = max(self.questions, event.question)

    def _model_finished(self, event: ModelFinished, detail: Detail) -> None:
        number = event.frame
        if event.usd is None:
            self._books.unpriced.add(number)
        own = self._books.own(number)
        priced = replace(event, usd=event.usd or 0.0)
        own.count(priced)
        if detail.reply is not None:
            self._keep_reply((number, event.activation), detail.place, detail.reply)

    def _model_failed(self, event: ModelFailed, detail: Detail) -> None:
        number = event.frame
        if not event.spent:
            own = self._books.own(number)
            own.model_calls += 1
        self._keep_reply((number, event.activation), detail.place, event.error)

    def _keep_reply(self, key: ActivationKey, place: str, reply: Answer) -> None:
        self._replies[place] = reply
        self._note(key, place)

    def _retried(self, event: NodeRetried, detail: Detail) -> None:
        key = (event.frame, event.activation)
        call: CallRecord | None = None
        if event.call is not None:
            call = self._by_number.get(event.call)
        if call is None:
            self.give_up(key, None)
            self._retries[key] = event
        else:
            self.give_up(key, call.place)
            self._retries[call.place] = event

    def _approved(self, event: Approved, detail: Detail) -> None:
        self.consents[event.key] = event

    def _background_started(self, event: BackgroundStarted, detail: Detail) -> None:
        place = detail.place
        started = self._started.get(place)
        record = BackgroundRecord(event, place, started, detail.turns)
        self.backgrounds[event.handle] = record
        self._begun[place] = record
        self._going_on.add(place)

    def _background_finished(self, event: BackgroundFinished, detail: Detail) -> None:
        if self._is_cut_off(event):
            return
        record = self.backgrounds[event.handle]
        record.finished = event
        record.detail = detail
        place = record.place
        self._going_on.discard(place)
        for key in self._forget(place, call=False):
            self._drop_activation(key)

    def _is_cut_off(self, event: BackgroundFinished) -> bool:
        """Whether a call in the background has ended with its run, and is begun again with it."""
        error = event.error
        if error is not None and self._was_stopped(error, event.frame):
            return True
        # Cancelled by its caller, it has ended; with its run, or cut off at the end of that, it has not.
        is_cut_off = self._is_stopping or error is not None
        return is_cut_off and event.status == "cancelled"

    def _told_to_stop(self, event: Stopped, detail: Detail) -> None:
        if event.frame == 0:
            self._is_stopping = True

    def _answer_cached(self, event: AnswerCached, detail: Detail) -> None:
        answers = self._cached.setdefault(event.node, [])
        answers.append(event)

    def _turns_added(self, event: TurnsAdded, detail: Detail) -> None:
        of_frame = self._turns.setdefault(event.frame, {})
        of_frame.pop(event.activation, None)  # said again, it was said last
        of_frame[event.activation] = detail.turns

    def _question_asked(self, event: QuestionAsked, detail: Detail) -> None:
        question = event.question
        place = detail.place
        if question not in self.asked:
            self.asked[question] = QuestionRecord(event, place)
        self._note((event.frame, event.activation), place)

    def _question_answered(self, event: QuestionAnswered, detail: Detail) -> None:
        record = self.asked[event.question]
        record.answered = event
        self.taken.add(event.entry)
        if record.asked.about == "approval" and event.value.get("consent") == "always":
            self.allowed.add(event.node)

    def _answer_refused(self, event: AnswerRefused, detail: Detail) -> None:
        self.taken.add(event.entry)
        if not is_message(event.entry):
            record = self.asked[event.question]
            record.refused += 1

    def _statement(self, event: Emitted | ArtifactKept | HandedOver, detail: Detail) -> None:
        place = detail.place
        self._statements.add(place)
        self._note((event.frame, event.activation), place)

    def _value_kept(self, event: ValueKept, detail: Detail) -> None:
        place = detail.place
        if detail.lasting:
            state = EffectState(UNKNOWN)
            state.answer = event.value
            state.answered = True
            self._effects[place] = state
            return
        self._values[place] = event.value
        self._note((event.frame, event.activation), place)

    def _compacted(self, event: CompactionFinished, detail: Detail) -> None:
        place = detail.place
        self._values[place] = detail.turns or event.left_out
        self._note((event.frame, event.activation), place)

    def _resumed(self, event: Resumed, detail: Detail) -> None:
        self.sittings = event.sitting
        self._is_stopping = False

    def _warned(self, event: LimitWarning, detail: Detail) -> None:
        self.warned.add(event.limit)

    def _warned_of_budget(self, event: BudgetWarning, detail: Detail) -> None:
        self.budgets_warned.add((event.budget, event.limit, event.resets_at))

    # -- what is given up --------------------------------------------------------------------------
    def _note(self, key: ActivationKey, place: str) -> None:
        below = self._below.get(key)
        if below is not None:
            below.append(place)
            return
        self._below[key] = [place]
        frame, activation = key
        activations = self._activations.setdefault(frame, [])
        activations.append(activation)

    def _drop_activation(self, key: ActivationKey) -> None:
        """Forgets what an activation has got: it has ended, or is tried again."""
        todo = [key]
        while todo:
            inner = todo.pop()
            self._retries.pop(inner, None)
            for place in self._below.pop(inner, ()):
                todo += self._forget(place)

    def _drop_below(self, place: str, key: ActivationKey) -> None:
        """Forgets what a call has got: it is tried again."""
        kept: list[str] = []
        inside = f"{place}/"
        for other in self._below.pop(key, ()):
            is_itself = other == place
            is_inside = other.startswith(inside)
            if is_itself or not is_inside:
                kept.append(other)
            if not is_itself and not is_inside:
                continue
            for inner in self._forget(other, call=is_inside):
                self._drop_activation(inner)
        self._below[key] = kept

    def _forget(self, place: str, *, call: bool = True) -> list[ActivationKey]:
        """Forgets what is known at a place; the activations of a frame there."""
        if call:
            self._calls.pop(place, None)
            if place in self._effects:
                self._effects[place].rank = None
        self._replies.pop(place, None)
        self._values.pop(place, None)
        self._statements.discard(place)
        self._retries.pop(place, None)
        if place in self._going_on:
            return []
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
    CompactionFinished: Past._compacted,
    Emitted: Past._statement,
    ArtifactKept: Past._statement,
    HandedOver: Past._statement,
    Resumed: Past._resumed,
    Stopped: Past._told_to_stop,
    TurnsAdded: Past._turns_added,
    AnswerCached: Past._answer_cached,
    LimitWarning: Past._warned,
    BudgetWarning: Past._warned_of_budget,
}


def comes_of_a_stop(error: BaseException, frame: int, depth: int) -> bool:
    """Whether something has failed because it was told to stop, so that nobody knows what it would have answered.

    Args:
        error: what it failed with.
        frame: the number of the frame that it was in.
        depth: frames around that one.
    """
    if not isinstance(error, LimitExceeded):
        return is_stopped(error)
    if error.limit == "depth":
        return False
    # A limit of this frame or of one around it; one of a frame within is an answer.
    return len(error.path) <= depth + 1
