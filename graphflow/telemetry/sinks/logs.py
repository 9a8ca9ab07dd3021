"""Events as lines of Python's `logging`, each kind with its level.

    desk > research: look failed after 0.12 s: ServerFailed: ...

Lines say who, what, numbers and errors, never messages. `record.graphflow` has the same as fields, for those who write
logs as JSON. The library sets up no handler: what is seen, and where, is the program's business.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from fnmatch import fnmatchcase

from graphflow.errors import DeclarationError
from graphflow.events import (
    CallFailed,
    ModelFinished,
    NodeFailed,
    RunEnded,
)
from graphflow.messages.message import error_text
from graphflow.telemetry.bounded import bounded_text
from graphflow.telemetry.kinds import check_patterns
from graphflow.telemetry.run_event import RunEvent

LEVELS: Mapping[str, int] = {
    "*.error": logging.ERROR,
    "run.stop": logging.WARNING,
    "*.refuse*": logging.WARNING,
    "*.reject": logging.WARNING,
    "*.retry": logging.WARNING,
    "*.lost": logging.WARNING,
    "model.switch": logging.WARNING,
    "limit.warning": logging.WARNING,
    "cost.unknown": logging.WARNING,
    "node.abandoned": logging.WARNING,
    "run.*": logging.INFO,
    "question.*": logging.INFO,
    "approval*": logging.INFO,
    "server.*": logging.INFO,
}
"""The level of each kind: the first pattern that fits decides, and of what fits none it is DEBUG."""
MAX_ERROR = 500
"""Characters of an error in a line."""
_SHOWN = "status limit used value model choice reason attempt wait_s why error source target server tools question handle name"
FIELDS = tuple(_SHOWN.split())
"""Fields that a line shows: what they hold is short, and no message."""


class LoggingSink:
    """Hands events to a logger.

    Args:
        logger: the logger, or its name.
        kinds: patterns of the kinds that are logged; none: all facts.
        levels: levels by patterns of kinds, by name or number, before those that are usual.

    Raises:
        DeclarationError: a level is none, or a pattern fits no kind.
    """

    def __init__(
        self,
        logger: str | logging.Logger = "graphflow.runs",
        *,
        kinds: tuple[str, ...] = (),
        levels: Mapping[str, int | str] | None = None,
    ) -> None:
        self.kinds = kinds
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        own = (
            {} if levels is None else {kind: _level(kind, level) for kind, level in levels.items()}
        )
        check_patterns(tuple(own))
        self._patterns = [*own.items(), *LEVELS.items()]
        self._levels: dict[str, int] = {}

    def level_of(self, kind: str) -> int:
        """The level of events of a kind."""
        level = self._levels.get(kind)
        if level is None:
            level = logging.DEBUG
            for pattern, stated in self._patterns:
                if fnmatchcase(kind, pattern):
                    level = stated
                    break
            self._levels[kind] = level
        return level

    def take(self, event: RunEvent) -> None:
        """Logs one event."""
        level = self.level_of(event.kind)
        # What nobody will see is not put into words.
        if not self._logger.isEnabledFor(level):
            return
        fields = fields_of(event)
        line = _line(event, fields)
        self._logger.log(level, "%s", line, extra={"graphflow": fields})

    def close(self) -> None:
        """Nothing is held: the logger belongs to the program."""


def fields_of(event: RunEvent) -> dict[str, object]:
    """What a line is made of."""
    fields: dict[str, object] = {
        "kind": event.kind,
        "run": event.run,
        "number": event.number,
        "time": event.time.isoformat(timespec="microseconds"),
        "path": list(event.path),
    }
    if event.node:
        fields["node"] = event.node
    fact = event.event
    started = getattr(fact, "started", None)
    if isinstance(started, float):
        fields["seconds"] = round(fact.at - started, 6)
    for name in FIELDS:
        value = _shown(getattr(fact, name, None))
        if value is not None:
            fields[name] = value
    if isinstance(fact, ModelFinished):
        fields["input_tokens"] = fact.input_tokens
        fields["output_tokens"] = fact.output_tokens
        fields["usd"] = fact.usd
    return fields


def _shown(value: object) -> str | float | None:
    """What a field holds, if a line can show it."""
    if isinstance(value, BaseException):
        value = f"{type(value).__name__}: {error_text(value)}"
    if isinstance(value, str):
        return bounded_text(value, MAX_ERROR) or None
    return value if isinstance(value, (int, float)) else None


def _line(event: RunEvent, fields: Mapping[str, object]) -> str:
    where = " > ".join(event.path)
    who = f" {event.node}" if event.node else ""
    what = _KNOWN.get(type(event.event), event.kind)
    rest: list[str] = []
    for name, value in fields.items():
        if value is None or name in _NOT_IN_LINES:
            continue
        shown = f"{value:g}" if isinstance(value, float) else value
        rest.append(f"{name}={shown}")
    return f"{where}:{who} {what} {' '.join(rest)}".replace("\n", "\\n")


_NOT_IN_LINES = frozenset({"kind", "number", "time", "path", "node"})
"""Fields that a line has in other words, or not at all."""
_KNOWN = {NodeFailed: "failed", CallFailed: "failed when called", RunEnded: "ended"}


def _level(kind: str, level: object) -> int:
    """A level by its name or number.

    Raises:
        DeclarationError: it is none.
    """
    if isinstance(level, int) and not isinstance(level, bool):
        return level
    known = logging.getLevelNamesMapping()
    if isinstance(level, str) and level.upper() in known:
        return known[level.upper()]
    raise DeclarationError(
        f"LoggingSink(levels={{{kind!r}: {level!r}}}): give a level of logging, such as 'info'"
    )
