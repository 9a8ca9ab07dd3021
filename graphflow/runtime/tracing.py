"""The trace of a run: which span it was begun in, and what of that is kept for whoever goes on with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from graphflow.events import RunTraced
from graphflow.runtime.run_record import AnyRecord
from graphflow.trace_context import (
    RunTrace,
    current_span,
    current_trace,
    read_traceparent,
    within_trace,
)

R = TypeVar("R")


def take_trace(options: dict[str, Any]) -> RunTrace | None:
    """Takes what says of a run's trace out of its options; None: it has none of its own.

    `traceparent` is the span that it is begun in; `traced` says whether somebody makes spans of it.

    Raises:
        DeclarationError: `traceparent` is none.
    """
    traceparent = options.pop("traceparent", None)
    is_recorded = options.pop("traced", None)
    # What is said outweighs what is found.
    if traceparent is not None:
        return RunTrace(read_traceparent(traceparent), is_recorded=bool(is_recorded))
    if is_recorded is None:
        return None
    # Within another run that is traced, the spans of that one are not this one's.
    if is_recorded or current_trace() is not None:
        return RunTrace(current_span(), is_recorded=is_recorded)
    return None


async def traced(trace: RunTrace, begin: Callable[[], Awaitable[R]]) -> R:
    """Runs something within a trace."""
    with within_trace(trace):
        return await begin()


def tell_trace(run: AnyRecord, at: float) -> None:
    """Tells of a run that is kept which span is its outermost, if it has any."""
    trace = current_trace()
    if trace is not None and trace.is_recorded:
        run.tell(RunTraced(at, 0, trace.root.traceparent, run.id))
