"""The trace of a run: its recorded facts, pushed through fresh walks, frame by frame and strictly.

    record   run.start   node.end a   frame.enter   node.end x   frame.exit   node.end inner   run.end
    walks    begins      goes on      begins        goes on      has ended    goes on          has ended

Rules:
1. Nobody is asked, and no node runs. Each fact has to be of an activation under way, each frame of a node that is at work,
   each call of an edge that there is; else `Diverged`.
2. Of several sittings, how all but the last were stopped says nothing: what was under way then was begun again. So a stop
   moves the walk of a frame that nobody took up again, and of what one activation has ended in the last word counts.
3. A frame that was left as completed has to have that very answer; a run, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphflow.errors import Diverged
from graphflow.events import (
    CallStarted,
    Event,
    FrameEntered,
    FrameExited,
    NodeAbandoned,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    Resumed,
    RunEnded,
    RunStarted,
    Stopped,
)
from graphflow.journal.detail import FrameForm
from graphflow.journal.record import StoredRecord
from graphflow.journal.row_reader import RecordEntry
from graphflow.journal.row_writer import RowWriter
from graphflow.runtime.fit import check_fits
from graphflow.runtime.records import Fact
from graphflow.walk.machine import Walk

_MOVES = (NodeFinished, NodeFailed, NodeCancelled, NodeRefused)


class WalkTrace:
    """The walks of a run, as far as its facts have been pushed.

    Args:
        record: of the run, read by the graph that it is pushed through.
        writer: writes its facts; it knows the frames.
    """

    def __init__(self, record: StoredRecord, writer: RowWriter) -> None:
        self.walks: dict[int, Walk] = {}
        """By the number of the frame."""
        self._forms = record.forms
        self._writer = writer
        self._sitting = 1
        self._place = 0
        self._last_sittings: dict[int, int] = {}
        """In which sitting each frame has told something last."""
        self._last_words: dict[tuple[int, int], int] = {}
        """Which entry tells last how each activation has ended."""
        self._abandoned: set[tuple[int, int]] = set()
        self._look_ahead(record.entries)

    def _look_ahead(self, entries: Sequence[RecordEntry]) -> None:
        sitting = 1
        # What a sitting says of its end is known to be its last word only when the next one has been seen.
        for place, entry in enumerate(entries):
            event = entry.event
            if isinstance(event, Resumed):
                sitting += 1
            self._last_sittings[event.frame] = sitting
            if isinstance(event, _MOVES):
                self._last_words[event.frame, event.activation] = place

    def push(self, entry: RecordEntry) -> None:
        """Pushes the next fact.

        Raises:
            Diverged: it does not fit the graph.
        """
        event = entry.event
        if isinstance(event, _MOVES):
            self._move(event)
        elif isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, FrameEntered):
            self._enter(event)
        elif isinstance(event, Stopped):
            self._stop(event)
        elif isinstance(event, FrameExited):
            self._exit(event, entry)
        elif isinstance(event, CallStarted):
            self._check_edge(event, entry)
        elif isinstance(event, RunEnded):
            self._check_end(event, entry)
        elif isinstance(event, Resumed):
            self._sitting += 1
        elif isinstance(event, NodeAbandoned):
            self._abandoned.add((event.frame, event.activation))
        self._place += 1

    # -- what begins -------------------------------------------------------------------------------
    def _begin(self, event: RunStarted | FrameEntered) -> None:
        form = self._forms[event.frame]
        assert form is not None
        walk = walk_of(form, event.frame)
        walk.apply(event)
        self.walks[event.frame] = walk

    def _enter(self, event: FrameEntered) -> None:
        form = self._forms.get(event.frame)
        around = self.walks[event.parent]
        node = event.path[-1]
        if form is None:
            raise Diverged(
                around.path, f"that {node!r} was entered", "nothing of that name to enter", node
            )
        act = around.running.get(event.activation) or around.waiting.get(event.activation)
        if form.call is None and (act is None or act.slot.name != form.node):
            recorded = f"that {node!r} was entered as activation {event.activation}"
            raise Diverged(around.path, recorded, running_in(around), node)
        self._begin(event)

    def _check_edge(self, event: CallStarted, entry: RecordEntry) -> None:
        form = self._forms.get(event.frame)
        if entry.detail.node is not None or form is None:
            return
        callees = form.callees.get(event.caller, ())
        # Nobody knows what a server has, before it is asked.
        if any(callee.source for callee in callees):
            return
        raise Diverged(
            form.path, f"a call of {event.node!r} by {event.caller!r}", "no such edge", event.caller
        )

    # -- what moves --------------------------------------------------------------------------------
    def _move(self, fact: Fact) -> None:
        walk = self.walks[fact.frame]
        if (
            isinstance(fact, (NodeCancelled, NodeRefused))
            and fact.activation not in walk.cancelling
        ):
            return
        if self._last_words[fact.frame, fact.activation] != self._place:
            return  # it was stopped with its run, and begun again
        check_fits(fact, walk)
        walk.apply(fact)

    def _stop(self, event: Stopped) -> None:
        if self._last_sittings[event.frame] == self._sitting:
            self.walks[event.frame].apply(event)

    # -- what ends ---------------------------------------------------------------------------------
    def _exit(self, event: FrameExited, entry: RecordEntry) -> None:
        walk = self.walks[event.frame]
        if event.status == "failed":
            self._check_failed(walk)
        elif event.status == "completed":
            found = replace(event, output=self._output(walk))
            self._check_same(walk, entry, found)

    def _check_end(self, event: RunEnded, entry: RecordEntry) -> None:
        walk = self.walks[0]
        if event.status == "failed":
            # Else it has failed before anything could begin.
            if walk.count > 1 or walk.finish is not None:
                self._check_failed(walk)
        elif event.status == "completed":
            found = replace(event, output=self._output(walk))
            self._check_same(walk, entry, found)
        elif event.status == "waiting" and walk.finish is not None:
            raise Diverged(walk.path, "that it waited", f"it {walk.finish.status}")

    def _output(self, walk: Walk) -> object:
        """What a walk has answered."""
        finish = walk.finish
        if finish is None:
            raise Diverged(walk.path, "that it was over", running_in(walk))
        if finish.status != "completed":
            raise Diverged(walk.path, "that it completed", f"that it {finish.status}")
        return finish.output

    def _check_failed(self, walk: Walk) -> None:
        if walk.finish is None:
            raise Diverged(walk.path, "that it failed", running_in(walk))

    def _check_same(self, walk: Walk, entry: RecordEntry, found: Event) -> None:
        """Refuses another answer than the recorded one."""
        recorded = self._writer.row(entry.event, entry.detail)
        answered = self._writer.row(found, entry.detail)
        if (recorded.body, recorded.large) != (answered.body, answered.large):
            raise Diverged(walk.path, "another answer", "this one: " + answered.body[:200])


def walk_of(form: FrameForm, frame: int) -> Walk:
    """A fresh walk of a frame."""
    return Walk(form.program, form.limits, frame=frame, path=form.path)


def running_in(walk: Walk) -> str:
    """What is under way in a walk, in words."""
    shown = [f"{act.slot.name!r} as {act.id}" for act in walk.running.values()]
    if walk.finish is not None:
        return f"an end ({walk.finish.status})"
    return f"{', '.join(shown) or 'nothing'} under way"
