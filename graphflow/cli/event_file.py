"""The file that `--events` writes: a line for each event, and whatever goes wrong with it stops no walk."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from graphflow.events import Event
from graphflow.run import EventRecorder
from graphflow.telemetry.event_lines import EventLines


class EventFile:
    """Events as lines of JSON, in a new file: as `graphflow.telemetry.JsonlSink` writes them, but that no text is cut.

    A walk has cost time and money, and its record is not worth more than the walk: when a line cannot be written (the disk
    is full), that is said once, and the walk goes on.

    Raises:
        FileUnreadable: the file cannot be opened. Nothing has run then, so this is an error.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = EventLines(path, self._say, anew=True)

    def write(self, event: Event, records: EventRecorder) -> None:
        """Takes one event. Pieces of an answer that is still being written do not belong in a record."""
        if not event.passing:
            self._lines.add(partial(records.record, event))

    def close(self) -> None:
        """Closes the file, and says what is not in it."""
        self._lines.close()
        if self._lines.lost:
            self._print(f"{self._lines.lost} events are not in {self.path}")

    def _say(self, why: str) -> None:
        self._print(
            f"{self.path} cannot be written: {why}; the walk goes on, and its record has gaps"
        )

    def _print(self, text: str) -> None:
        with suppress(OSError):  # standard error may be full or gone as well
            print(f"graphflow: {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
