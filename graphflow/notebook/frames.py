"""Runs as pandas frames. The only place that knows pandas."""

from __future__ import annotations

from typing import Any

from graphflow.errors import MissingExtra
from graphflow.plain import to_json_value
from graphflow.redaction import scrub, scrubbed
from graphflow.render.xml import error_words, was_cancelled
from graphflow.runtime.run_record import RunRecord, Step


def _status(step: Step) -> str:
    if step.error is None:
        return "done"
    return "cancelled" if was_cancelled(step.error) else "failed"


def to_frame(run: RunRecord[Any], *, events: bool = False) -> Any:
    """A frame with a row for each step (or event); times in seconds since the run began.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise MissingExtra("run.to_frame()", "frames", "or pip install pandas") from None
    if events:
        return pandas.DataFrame(run.records())
    columns = ["node", "path", "depth", "caller", "started", "ended", "seconds", "status", "input", "output", "error"]
    rows = [
        (
            step.node,
            " > ".join(step.path),
            len(step.path) - 1,
            step.caller,
            step.started,
            step.ended,
            step.seconds,
            _status(step),
            scrubbed(to_json_value(step.input)),
            scrubbed(to_json_value(step.output)),
            scrub(error_words(step.error)) or None,
        )
        for step in run.steps
    ]
    return pandas.DataFrame(rows, columns=columns)
