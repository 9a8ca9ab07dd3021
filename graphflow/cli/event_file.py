"""The file that `--events` writes: a line for each event, and whatever goes wrong with it stops no walk."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from graphflow.errors import FileUnreadable
from graphflow.events import Event
from graphflow.messages.message import error_text
from graphflow.run import EventRecorder


class EventFile:
    """Events as lines of JSON. Each line is whole and on the disk's way before the next event is taken.

    A walk has cost time and money, and its record is not worth more than the walk: when a line cannot be written (the disk
    is full), that is said once, and the walk goes on without the rest of its record.

    Raises:
        FileUnreadable: the file cannot be opened. Nothing has run then, so this is an error.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failed = False
        try:
            # 1: a line at a time.
            self._file: IO[str] = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None

    def write(self, event: Event, records: EventRecorder) -> None:
        """Takes one event. Pieces of an answer that is still being written do not belong in a record."""
        if event.passing or self.failed:
            return
        try:
            record = records.record(event)
            line = json.dumps(record, ensure_ascii=False, allow_nan=False)
            self._file.write(f"{line}\n")
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            self._give_up(error)

    def close(self) -> None:
        """Closes the file; what is still to be written may fail here, too."""
        try:
            self._file.close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        if self.failed:
            return
        self.failed = True
        why = getattr(error, "strerror", None) or error_text(error) or type(error).__name__
        with suppress(OSError):  # standard error may be full or gone as well
            print(
                f"graphflow: {self.path} cannot be written any further: {why}; the walk goes on, and its record ends here",
                file=sys.stderr,
                flush=True,
            )

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
