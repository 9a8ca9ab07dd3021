"""Runs as pandas frames. The only place that knows pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.errors import MissingExtra
from graphflow.plain import to_json_value
from graphflow.redaction import scrub, scrubbed
from graphflow.render.xml import error_words, was_cancelled
from graphflow.runtime.run_record import RunRecord
from graphflow.runtime.steps import Step

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    "node",
    "path",
    "depth",
    "caller",
    "started",
    "ended",
    "seconds",
    "status",
    "input",
    "output",
    "error",
)


def to_frame(run: RunRecord[object], *, events: bool = False) -> DataFrame:
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
    rows = [_row(step) for step in run.steps]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def _row(step: Step) -> dict[str, object]:
    return {
        "node": step.node,
        "path": " > ".join(step.path),
        "depth": len(step.path) - 1,
        "caller": step.caller,
        "started": step.started,
        "ended": step.ended,
        "seconds": step.seconds,
        "status": _status(step),
        "input": scrubbed(to_json_value(step.input)),
        "output": scrubbed(to_json_value(step.output)),
        "error": scrub(error_words(step.error)) or None,
    }


def _status(step: Step) -> str:
    if step.error is None:
        return "done"
    return "cancelled" if was_cancelled(step.error) else "failed"
