"""When the moments of a run were, by the clock on the wall. A run's own clock stands still between its sittings.

    run       0 s ......... 5 s | 5 s ...... 8 s           what its events say
    wall      Monday 10:00      | Tuesday 9:00             each sitting says when it began

Records of earlier versions do not say when a later sitting began: then its time goes on as if there had been no pause.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphflow.events import Event, Resumed


class WallClock:
    """The clock of one run.

    Args:
        began_at: when the run began, in seconds since 1970.
    """

    __slots__ = ("_sittings",)

    def __init__(self, began_at: float) -> None:
        self._sittings = [(0.0, began_at)]
        """Where each sitting begins, by the run's clock and by that on the wall."""

    def note(self, event: Event) -> None:
        """Takes note of a sitting that begins; of other events there is nothing to note."""
        if isinstance(event, Resumed) and event.began_at is not None:
            self._sittings.append((event.at, event.began_at))

    def seconds(self, at: float) -> float:
        """Seconds since 1970 at a moment of the run. Where one sitting ends and the next begins, it is the end."""
        for begins, wall in reversed(self._sittings):
            if at > begins:
                return wall + at - begins
        _, wall = self._sittings[0]
        return wall

    def seconds_now(self, at: float) -> float:
        """The same for what happens in the latest sitting, its very beginning included."""
        begins, wall = self._sittings[-1]
        return wall + at - begins if at >= begins else self.seconds(at)


def clock_of(began_at: float, events: Iterable[object]) -> WallClock:
    """The clock of a run that began then, by the rows of its journal, or by its events."""
    clock = WallClock(began_at)
    for event in events:
        if isinstance(event, Resumed):
            clock.note(event)
    return clock
