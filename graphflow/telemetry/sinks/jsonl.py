"""Events in a file, as lines of JSON (`event_lines` has the rules)."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path

from graphflow.errors import DeclarationError
from graphflow.telemetry.event_lines import BACKUPS, MAX_BYTES, EventLines
from graphflow.telemetry.run_event import RunEvent

LOG = logging.getLogger("graphflow.events")
MAX_TEXT = 64 * 1024
"""Characters of one text in a line, unless `max_text` says otherwise."""


class JsonlSink:
    """Writes events to a file.

    Args:
        path: the file; it is gone on with if it is there.
        kinds: patterns of the kinds that are written; none: all facts.
        max_bytes: after so many a new file begins.
        backups: how many older ones stay.
        max_text: characters of one text; a longer one is cut.

    Raises:
        DeclarationError: a number is out of range.
        FileUnreadable: the file cannot be opened. Nothing has run then.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        kinds: tuple[str, ...] = (),
        max_bytes: int = MAX_BYTES,
        backups: int = BACKUPS,
        max_text: int = MAX_TEXT,
    ) -> None:
        self.path = Path(path)
        self.kinds = kinds
        self.max_text = _at_least(1, max_text, "max_text")
        self._lines = EventLines(
            self.path,
            self._say,
            max_bytes=_at_least(1_000, max_bytes, "max_bytes"),
            backups=_at_least(0, backups, "backups"),
        )

    @property
    def lost(self) -> int:
        """How many events could not be written."""
        return self._lines.lost

    def take(self, event: RunEvent) -> None:
        """Writes one event."""
        self._lines.add(partial(event.record, self.max_text))

    def close(self) -> None:
        """Closes the file."""
        self._lines.close()
        if self.lost:
            LOG.error("%d events are not in %s", self.lost, self.path)

    def _say(self, why: str) -> None:
        LOG.error("%s cannot be written: %s; walks go on", self.path, why)


def _at_least(least: int, value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise DeclarationError(f"JsonlSink({name}={value!r}): give a number of at least {least}")
