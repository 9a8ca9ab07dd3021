"""Where the events of a command's runs go: to the sinks that `[telemetry]` of the project file asks for.

Rules:
1. What is wrong in the settings is said before anything runs. A port that another command serves at ends nothing: its numbers
   are left out, and that is said.
2. A command that has done its work waits `CLOSING_S` at most for what is still to be sent; a collector that is down costs no
   more than that, and its loss is said.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from graphflow.cli.printing import note
from graphflow.errors import PortUnavailable
from graphflow.project.here import project_here

if TYPE_CHECKING:
    from graphflow.telemetry import Sink, Subscription

CLOSING_S = 3.0
"""Seconds that all sinks together get at the end."""
SHARE = 0.8
"""Of these, what is told gets so much to be handed on; the rest is for sending it."""


@contextmanager
def sinks_of_project() -> Iterator[None]:
    """Leads what runs tell to the sinks of the project here, if it asks for any.

    Raises:
        DeclarationError: something in its table of sinks cannot be.
        MissingExtra: what a sink needs is not installed.
        FileUnreadable: its file cannot be opened.
    """
    project = project_here()
    stated = {} if project is None else project.telemetry
    if not stated:
        yield
        return
    # Loaded by whoever listens.
    from graphflow.telemetry import subscribe

    _hush_exporters()
    with _seen_logs(stated):
        subscriptions = [subscribe(to=sink) for sink in _opened(stated)]
        try:
            yield
        finally:
            _close(subscriptions)


def _opened(stated: Mapping[str, object]) -> list[Sink]:
    from graphflow.telemetry import sinks_of

    with ExitStack() as opened:
        sinks: list[Sink] = []
        for name, table in stated.items():
            try:
                made = sinks_of({name: table})
            except PortUnavailable as error:
                note(f"no numbers of this command are served: {error}")
                continue
            for sink in made:
                opened.callback(sink.close)
            sinks += made
        opened.pop_all()
    return sinks


def _close(subscriptions: Sequence[Subscription]) -> None:
    """Has all that was told handed on and sent, as far as time allows."""

    def work() -> None:
        for each in subscriptions:
            each.close(CLOSING_S * SHARE)

    # In a thread: nobody can say how long a program of others takes to give up.
    closing = threading.Thread(target=work, name="graphflow:closing", daemon=True)
    closing.start()
    closing.join(CLOSING_S)
    if closing.is_alive():
        note(f"telemetry was not all sent within {CLOSING_S:g} s, and the rest is lost")


# -- logs ------------------------------------------------------------------------------------------
def _hush_exporters() -> None:
    """Leaves out what OpenTelemetry says of each of its tries: what is lost is said by us, once."""
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


class _StandardError(logging.Handler):
    """Prints lines on standard error, as it is when they come: a live picture puts another one in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except OSError:  # it is full, or gone
            self.handleError(record)


@contextmanager
def _seen_logs(stated: Mapping[str, object]) -> Iterator[None]:
    """Shows what is logged of runs, if that is wanted: a command has nobody else who would."""
    if not stated.get("logging"):
        yield
        return
    logger = logging.getLogger(_logger_of(stated["logging"]))
    handler = _StandardError()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if stated["logging"] == "debug" else logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _logger_of(setting: object) -> str:
    name = setting.get("logger") if isinstance(setting, Mapping) else None
    return name if isinstance(name, str) else "graphflow.runs"
