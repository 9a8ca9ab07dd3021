"""The tap of one run: rows wait here, as the walk tells them, for the hub's thread to make events of them.

    walk     append(row)       a row waits; hops of a straight walk are not even looked at
    hub      events()          each row an event, each hop a `node.end`, in the order in which they became known

A straight walk writes its hops into a stretch that it goes on with. So each row that comes later says how many hops there
were by then, and what is in a stretch at the end of a look is taken, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from graphflow.events import Event, FrameEntered, FrameExited, NodeFinished, Resumed, RunEnded
from graphflow.journal.stretch import VALUES_A_HOP, Row, Stretch
from graphflow.runtime.run_record import AnyRecord
from graphflow.telemetry.run_event import RunEvent, RunSource

MAX_BEHIND = 100_000
"""Rows of one run that wait for the hub at most: where a process is busier than its hub can be, the oldest go."""
HopMark = tuple[Stretch, int]
"""A stretch, and how many hops it had by then."""


class RunTap:
    """What one run tells.

    Args:
        run: the run.
        source: what its events say of it.
        wake: tells the hub that there is something.
    """

    def __init__(self, run: AnyRecord, source: RunSource, wake: Callable[[], None]) -> None:
        self.run = run
        self.source = source
        self.wake = wake
        self.rows: deque[Row | HopMark] = deque()
        self.number = 0
        """The number of the next event."""
        self.is_over = False
        """Whether the run's end was handed out."""
        self._open: dict[int, Stretch] = {}
        """The stretch that each straight walk writes at, as the walk sees it."""
        self._read: dict[int, tuple[Stretch, int]] = {}
        """The same as the hub sees it, with how many hops were handed out."""
        self._has_begun = False

    # -- in the walk's thread ----------------------------------------------------------------------
    def take(self, row: Row) -> None:
        """Has a row wait."""
        rows = self.rows
        if self._open:
            for stretch in tuple(self._open.values()):
                rows.append((stretch, len(stretch)))
        if isinstance(row, Stretch):
            self._open[row.frame] = row
        elif isinstance(row, (FrameExited, RunEnded)):
            self._open.pop(row.frame, None)
        rows.append(row)
        self.wake()

    def recall(self, rows: Sequence[Row]) -> None:
        """Takes what an earlier sitting has told: nobody is told again, but numbers go on, and frames are known."""
        for row in rows:
            self.number += 1
            if isinstance(row, Event):
                self.source.recall(row)

    # -- in the hub's thread -----------------------------------------------------------------------
    @property
    def has_open_stretch(self) -> bool:
        """Whether a straight walk may go on without a word."""
        return bool(self._open)

    def events(self) -> Iterator[RunEvent]:
        """What has happened since the last look."""
        # What the stretches hold now may be later than rows that come meanwhile, so it is noted before these are read.
        now = [(stretch, len(stretch)) for stretch in tuple(self._open.values())]
        rows = self.rows
        while rows:
            row = rows.popleft()
            if isinstance(row, tuple):
                yield from self._hops(*row)
            elif isinstance(row, Stretch):
                self._read[row.frame] = (row, 0)
            elif isinstance(row, Event):
                yield self._event(row)
        for stretch, count in now:
            yield from self._hops(stretch, count)

    def skip(self) -> int:
        """Skips rows that are too many; how many."""
        over = max(0, len(self.rows) - MAX_BEHIND)
        for _ in range(over):
            row = self.rows.popleft()
            if isinstance(row, Stretch):
                self._read[row.frame] = (row, 0)
            self.number += 1
        return over

    def _event(self, event: Event) -> RunEvent:
        source = self.source
        if not self._has_begun:
            self._has_begun = True
            source.begin()
        if isinstance(event, Resumed):
            source.clock.note(event)
        elif isinstance(event, FrameEntered):
            source.entered[event.frame] = event
        elif isinstance(event, RunEnded):
            self.is_over = True
        number = self.number
        self.number += 1
        return RunEvent(event, number, source.path_of(event.frame), source)

    def _hops(self, stretch: Stretch, count: int) -> Iterator[RunEvent]:
        """Each hop of a stretch up to that many which was not handed out yet."""
        known, done = self._read.get(stretch.frame, (None, 0))
        # A later one has taken its place, and said how long it was; or its own row is yet to come.
        if known is not stretch or count <= done:
            return
        self._read[stretch.frame] = (stretch, count)
        run = self.run
        program, _, _ = run.frames[stretch.frame]
        slots, began = program.slots, run.began
        hops = iter(stretch.hops[done * VALUES_A_HOP : count * VALUES_A_HOP])
        number = stretch.first + done
        for slot, started, ended, output in zip(hops, hops, hops, hops, strict=True):
            yield self._event(
                NodeFinished(
                    ended - began,
                    stretch.frame,
                    number,
                    slots[slot].name,
                    output,
                    started - began,
                )
            )
            number += 1
