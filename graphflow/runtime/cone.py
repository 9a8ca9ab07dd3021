"""The cone of a change: what of a record depends on it, and what does not and may be taken over.

    START >> a >> (b, c) >> d >> END       the answer of `b` is changed: `d` is in its cone; `a` and `c` are not
    [1, 2, 3] >> each >> collect           the list is changed to [1, 9, 3]: of the items the second one is, and `collect`

Rules:
1. Nobody has to work out what depends on what. The facts are offered to a fresh walk, in which the change is made: it takes
   one if it has come to the very activation (node, forks and laps) with the very messages. What it does not come to is in
   the cone.
2. An activation in which something is changed has not ended yet. What it had begun before is kept, and found by its place
   when its code asks for the same again; what it began after the change is left out. So are the activations around it,
   out to the outermost walk.
3. Numbers of activations and frames are given anew, as the fresh walk gives them; places stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from graphflow.events import (
    BackgroundStarted,
    BudgetWarning,
    CallStarted,
    Event,
    FrameEntered,
    FrameExited,
    LimitWarning,
    NodeFailed,
    NodeFinished,
    Resumed,
    RunEnded,
    RunStarted,
    RunTraced,
    Stopped,
)
from graphflow.journal.detail import NO_DETAIL, Detail, FrameForm
from graphflow.journal.row_reader import RecordEntry
from graphflow.runtime.fresh_walk import FreshWalk, Position, RecordedEnd
from graphflow.runtime.resumption import OVER
from graphflow.runtime.spans import ActivationKey, Moving, RecordSpan, SpanIndex
from graphflow.runtime.stops import counts, is_stopped
from graphflow.walk.commands import Activation
from graphflow.walk.machine import Walk

Entries: TypeAlias = Sequence[RecordEntry]
"""All entries of a record."""
NumbersByFrame: TypeAlias = dict[int, list[int]]
"""Numbers of entries, or of frames within, for each frame."""
NEVER = float("inf")
"""A number behind that of every entry."""


@dataclass(slots=True)
class RecordChange:
    """What is changed in a record.

    Attributes:
        span: of what: an activation, a call, a question to a model, a kept value, a question to a person.
        entry: how it has ended now; None: it is done again.
    """

    span: RecordSpan
    entry: RecordEntry | None = None


@dataclass(slots=True)
class Taken:
    """An entry that is taken over.

    Attributes:
        number: which of the old ones it is.
        entry: as it stands in the new record.
        position: where.
    """

    number: int
    entry: RecordEntry
    position: Position


@dataclass(slots=True)
class Cone:
    """What was found.

    Attributes:
        taken: what is taken over, in the new order.
        left: the numbers of the entries that are not.
        forms: the frames of the new record, by their new numbers.
        unmet: changes that the walk never came to, as what led there has changed.
    """

    taken: list[RecordEntry]
    left: list[int]
    forms: dict[int, FrameForm]
    unmet: list[RecordChange] = field(default_factory=list)


class ConeFinder:
    """Finds what of a record may be taken over.

    Args:
        index: the spans of the record.
        changes: what is changed.
    """

    def __init__(self, index: SpanIndex, changes: Sequence[RecordChange]) -> None:
        self._index = index
        self._entries = index.record.entries
        self._changes: dict[ActivationKey, RecordChange] = {}
        """Activations that are changed themselves."""
        self._reopened: set[ActivationKey] = set()
        """Activations in which something is changed."""
        self._open_frames: set[int] = {0}
        """Frames in which something is."""
        self._edited: dict[int, RecordEntry] = {}
        """New entries, by the number of the old one; those of what had not ended stand behind all."""
        self._dropped: set[int] = set()
        """Entries that are left out whatever the walks come to."""
        self._dropped_frames: set[int] = set()
        self._met: set[ActivationKey] = set()
        self._taken: dict[int, Taken] = {}
        self._by_parent: NumbersByFrame = {}
        """The frames within each frame."""
        for number, span in index.frames.items():
            parent, _ = span.activation
            within = self._by_parent.setdefault(parent, [])
            within.append(number)
        self._entries_of: NumbersByFrame = {}
        """The entries of each frame."""
        for number, entry in enumerate(self._entries):
            frame = entry.event.frame
            own = self._entries_of.setdefault(frame, [])
            own.append(number)
        self._count = len(self._entries)
        self._all = list(changes)
        for change in changes:
            self._note(change)

    # -- what is changed ---------------------------------------------------------------------------
    def _note(self, change: RecordChange) -> None:
        span = change.span
        if span.kind == "activation":
            self._changes[span.activation] = change
        else:
            boundary = self._boundary(change)
            self._reopen(span.activation, span.place, boundary)
        self._open_around(span.activation[0])

    def _boundary(self, change: RecordChange) -> float:
        """After which entry nothing stays of what the same code has begun: it has seen what is changed."""
        span = change.span
        if change.entry is None:
            self._drop_place(span)
            return NEVER if span.end is None else span.end
        if span.end is None:
            span.end = self._new_number()
        self._edited[span.end] = change.entry
        return span.end

    def _drop_place(self, span: RecordSpan) -> None:
        """Leaves out all that stands at a place, and in it."""
        begun_with = self._index.within(span.activation)
        for other in begun_with:
            is_later = other.begin >= span.begin
            if is_later and span.holds(other.place):
                self._drop(other)

    def _new_number(self) -> int:
        """A number for an entry that the old record does not have: behind all of its own."""
        self._count += 1
        return self._count

    def _open_around(self, frame: int) -> None:
        """Opens a frame and all around it: none of them has ended yet."""
        self._open_frames.add(frame)
        entered = self._index.around(frame)
        if entered is None:
            return
        # What stands on an arrow has an end of its own, and nothing in its activation comes after it.
        boundary = NEVER
        call = self._call_at(entered)
        if call is not None and call.end is not None:
            boundary = call.end
            self._dropped.add(call.end)
            if call.kind == "background":
                self._drop_waiting_for(call)
        self._reopen(entered.activation, entered.place, boundary)
        self._open_around(entered.activation[0])

    def _drop_waiting_for(self, background: RecordSpan) -> None:
        """Leaves out the calls that have waited for a call in the background: they were told its answer."""
        begun = self._entries[background.begin].event
        assert isinstance(begun, BackgroundStarted)
        known = background.end or 0
        beside = self._index.within(background.activation)
        for span in beside:
            ended = span.end or 0
            if ended <= known:
                continue
            event = self._entries[span.begin].event
            if not isinstance(event, CallStarted) or not isinstance(event.input, dict):
                continue
            if event.input.get("handle") == begun.handle:
                self._drop(span)

    def _call_at(self, entered: RecordSpan) -> RecordSpan | None:
        """The call that has entered a frame; None if it stands on an arrow.

        One in the background has ended when that did: its caller got a handle at once, which is the same again.
        """
        found: RecordSpan | None = None
        spans = self._index.within(entered.activation)
        for span in spans:
            if span.begin > entered.begin:
                break
            is_call = span.kind in ("call", "background")
            if is_call and span.place == entered.place:
                found = span
        return found

    def _reopen(self, key: ActivationKey, place: str, boundary: float) -> None:
        """An activation goes on from where something in it has changed: at a place, known with the entry of that number."""
        #     /boss 1                      the activation                             goes on
        #     /boss 1/helper               the call around: its answer is left out    goes on
        #     /boss 1/helper/look          what is changed                            has its new answer
        #     /boss 1/helper/model         asked afterwards                           left out, and asked again
        #     /boss 1/note                 called beside `helper`, before that ended  taken over
        self._reopened.add(key)
        spans = self._index.within(key)
        for scope in _calls_around(place, spans):
            others = [span for span in spans if span is not scope]
            inside = [span for span in others if scope.holds(span.place)]
            self._drop_after(inside, boundary, place)
            if scope.end is None:
                return
            # The answer of this call rests on what has changed, and so does all that was begun after it.
            self._dropped.add(scope.end)
            boundary = scope.end
            place = scope.place
        self._drop_after(spans, boundary, place)

    def _drop_after(self, spans: Sequence[RecordSpan], boundary: float, changed: str) -> None:
        """Leaves out what was begun after an entry, and not by a call that was begun before it and has nothing changed in it."""
        calls: list[RecordSpan] = []
        """Those that were begun before it and have nothing changed in them."""
        for span in spans:
            if span.begin <= boundary:
                if span.kind == "call" and not span.holds(changed):
                    calls.append(span)
                continue
            place = span.place
            if not any(call.holds(place) for call in calls):
                self._drop(span)

    def _drop(self, span: RecordSpan) -> None:
        self._dropped.add(span.begin)
        if span.end is not None:
            self._dropped.add(span.end)
        if span.frame:
            self._drop_frame(span.frame)

    def _drop_frame(self, frame: int) -> None:
        self._dropped_frames.add(frame)
        within = self._by_parent.get(frame, ())
        for inner in within:
            self._drop_frame(inner)

    # -- what is taken over ------------------------------------------------------------------------
    def find(self) -> Cone:
        """What may be taken over, and what may not."""
        for number in self._entries_of[0]:
            entry = self._entries[number]
            if isinstance(entry.event, RunStarted):
                position = (number, 0)
                self._take(number, entry, position)
                self._walk_frame(0, number, position)
            elif isinstance(entry.event, RunTraced):  # the spans of the new run are linked to these
                self._take(number, entry, (number, 0))
        entries, forms = self._ordered()
        count = len(self._entries)
        left = [number for number in range(count) if number not in self._taken]
        unmet: list[RecordChange] = []
        for change in self._all:
            # Another change has led the walk elsewhere.
            if change.span.activation not in self._met:
                unmet.append(change)
        return Cone(entries, left, forms, unmet)

    def _walk_frame(self, frame: int, begun: int, position: Position) -> None:
        """Takes over what a fresh walk of a frame comes to."""
        form = self._index.record.forms[frame]
        assert form is not None
        entries = self._entries
        beginning = entries[begun].event
        facts = list(filter(self._is_end, self._entries_of[frame]))
        # Once as it was, to know which activation each fact is of; and once anew, with the changes.
        former = _roomy_walk(form, frame)
        acts = _activations(former, beginning, entries, facts)
        offers = self._offers(frame, facts, acts)
        walk = _roomy_walk(form, frame)
        fresh = FreshWalk(walk, beginning, position)
        fresh.offer(offers)
        for offer in fresh.taken:
            assert offer.event is not None
            detail = self._detail_of(offer.number)
            entry = RecordEntry(0, offer.event, detail)
            self._take(offer.number, entry, offer.position)
        for old, act in fresh.met.items():
            key = (frame, old)
            self._met.add(key)
            change = self._changes.get(key)
            if change is None or change.entry is not None:
                begun_at = fresh.begun_at[act.id]
                self._take_below(key, act.id, begun_at)

    def _detail_of(self, number: int) -> Detail:
        """What a row keeps beside a fact that moves a walk: nothing. Whoever writes rows tells hops by it."""
        if number >= len(self._entries):
            return Detail()
        known = self._entries[number].detail
        if known is NO_DETAIL:
            return NO_DETAIL
        return Detail()

    def _is_end(self, number: int) -> bool:
        """Whether an entry is the last word on how an activation has ended."""
        event = self._entries[number].event
        if not isinstance(event, Moving):
            return False
        key = (event.frame, event.activation)
        last = self._index.ends[key]
        return number == last

    def _offers(
        self, frame: int, facts: Sequence[int], acts: Mapping[int, Activation]
    ) -> list[RecordedEnd]:
        """What the fresh walk of a frame is offered, in order: how each activation has ended, if it has."""
        offers: dict[int, RecordedEnd] = {}
        for number in facts:
            event = self._entries[number].event
            assert isinstance(event, Moving)
            id = event.activation
            act = acts.get(id)
            if act is None:
                continue
            end = self._end_of((frame, id), event)
            offers[id] = RecordedEnd(number, act, end)
        for id, act in acts.items():
            if id in offers:
                continue
            # It was under way.
            number = self._new_number()
            end = self._end_of((frame, id), None)
            offers[id] = RecordedEnd(number, act, end)
        return list(offers.values())

    def _end_of(self, key: ActivationKey, event: Moving | None) -> Moving | None:
        """How an activation ends now; None: it is to be begun again."""
        change = self._changes.get(key)
        if change is not None:
            if change.entry is None:
                return None
            assert isinstance(change.entry.event, Moving)
            return change.entry.event
        if key in self._reopened:
            return None
        if isinstance(event, NodeFailed) and is_stopped(event.error):
            return None
        return event

    def _take_below(self, key: ActivationKey, id: int, position: Position) -> None:
        """Takes over what an activation has done."""
        spans = self._index.within(key)
        for span in spans:
            for number in span.numbers:
                if number not in self._dropped:
                    entry = self._renumbered(number, span, id)
                    self._take(number, entry, position)
            if span.frame and span.begin not in self._dropped:
                begun_at = max((span.begin, 0), position)
                self._take_frame(span.frame, begun_at)

    def _renumbered(self, number: int, span: RecordSpan, activation: int) -> RecordEntry:
        """An entry of an activation that has another number now, with its new answer if it has one."""
        old = self._edited.get(number) or self._entries[number]
        event = _numbered(old.event, activation)
        detail = NO_DETAIL if span.kind == "other" else old.detail
        return RecordEntry(0, event, detail)

    def _take_frame(self, frame: int, position: Position) -> None:
        if frame in self._dropped_frames:
            return
        if frame in self._open_frames:
            entered = self._index.frames[frame]
            self._walk_frame(frame, entered.begin, position)
            return
        # Nothing in it has changed: all of it is taken over, without a walk.
        stopped = self._stops_in(frame)
        for number in self._entries_of[frame]:
            if number in self._taken or number in stopped:
                continue
            entry = self._entries[number]
            self._take(number, entry, position)
        within = self._by_parent.get(frame, ())
        for inner in within:
            self._take_frame(inner, position)

    def _stops_in(self, frame: int) -> set[int]:
        """What says that a frame was stopped which was taken up again: in the new record no sitting lies between."""
        stops: set[int] = set()
        found: set[int] = set()
        for number in self._entries_of[frame]:
            event = self._entries[number].event
            if isinstance(event, Moving) and not self._is_end(number):
                found.add(number)
            elif _says_stopped(event):
                stops.add(number)
            elif isinstance(event, NodeFinished):  # it has gone on
                found |= stops
        return found

    def _take(self, number: int, entry: RecordEntry, behind: Position) -> None:
        """Takes an entry over: where it was, but behind what it depends on."""
        # Its code may have been begun later than before: when what leads to it was taken.
        before = (number, 0)
        position = max(before, behind)
        self._taken[number] = Taken(number, entry, position)

    # -- the new record ----------------------------------------------------------------------------
    def _ordered(self) -> tuple[list[RecordEntry], dict[int, FrameForm]]:
        """The entries in their new order, with new numbers of frames and times that do not go back."""
        known = self._taken.values()
        numbers = {0: 0}
        forms: dict[int, FrameForm] = {}
        entries: list[RecordEntry] = []
        at = 0.0
        for taken in sorted(known, key=_order):
            event = taken.entry.event
            if isinstance(event, _OF_THE_END):
                continue
            old_frame = event.frame
            if isinstance(event, FrameEntered):
                numbers[old_frame] = len(numbers)
                parent = numbers[event.parent]
                event = replace(event, parent=parent)
            frame = numbers[old_frame]
            form = self._index.record.forms[old_frame]
            assert form is not None
            forms[frame] = form
            later = max(at, event.at)
            # Only what has moved gets another time: of parallel branches the times overlap anyway.
            if taken.position != (taken.number, 0):
                event = replace(event, at=later)
            at = later
            event = replace(event, frame=frame)
            entry = RecordEntry(0, event, taken.entry.detail)
            entries.append(entry)
        return entries, forms


def _calls_around(place: str, spans: Iterable[RecordSpan]) -> list[RecordSpan]:
    """The calls that a place lies in, the innermost first."""
    calls: list[RecordSpan] = []
    for span in spans:
        if span.kind != "call" or span.place == place:
            continue
        if span.holds(place):
            calls.append(span)
    calls.sort(key=_depth, reverse=True)
    return calls


def _depth(span: RecordSpan) -> int:
    return len(span.place)


def _says_stopped(event: Event) -> bool:
    """Whether an event says that a frame was stopped, and not how it ended."""
    if isinstance(event, FrameExited):
        return event.status not in OVER
    return isinstance(event, Stopped)


def _order(taken: Taken) -> tuple[Position, int]:
    return taken.position, taken.number


_OF_THE_END = (RunEnded, Resumed, BudgetWarning, LimitWarning)
"""What says how a sitting began or ended, or that it was near its end: of another run."""


def _activations(
    walk: Walk, begun: Event, entries: Entries, facts: Iterable[int]
) -> dict[int, Activation]:
    """The activations of a walk as it was, by number."""
    acts: dict[int, Activation] = {}

    def apply(event: Event) -> None:
        for command in walk.apply(event):
            if isinstance(command, Activation):
                acts[command.id] = command

    apply(begun)
    for number in facts:
        event = entries[number].event
        assert isinstance(event, Moving)
        if not counts(event, walk):
            continue
        act = walk.running.get(event.activation)
        if act is None or act.slot.name != event.node:
            break  # from here on the graph is another one
        apply(event)
    return acts


def _roomy_walk(form: FrameForm, frame: int) -> Walk:
    """A fresh walk of a frame that holds nothing back: what is done again takes no room from what was done."""
    program = form.program
    limits = replace(form.limits, concurrency=None)
    return Walk(program, limits, frame=frame, path=form.path)


def _numbered(event: Event, activation: int) -> Event:
    """An event of an activation that has another number now."""
    if getattr(event, "activation", activation) == activation:
        return event
    changed: Event = replace(event, activation=activation)  # type: ignore[call-arg]  # it has one
    return changed
