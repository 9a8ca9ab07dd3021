"""Notes: what a traceback says beside the error, so that its reader need not look for it in the record."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from graphflow.events import NodeFailed
from graphflow.runtime.run_record import RunRecord

NO_DEPS = "ctx.deps is None: the run was given none; pass run(..., deps=...), and declare Graph(..., deps=Type) to be told at the start"
"""What stands below an error of a node that looked for something in them."""


def note_node(run: RunRecord[Any], error: BaseException) -> None:
    """Says which node raised, and in which graph."""
    for fact in reversed(run.journal):
        if isinstance(fact, NodeFailed) and fact.error is error:
            _, path, _ = run.frames[fact.frame]
            where = " > ".join(path)
            _add_once(error, f"raised by node {fact.node!r} of {where!r}")
            return


def note_deps(error: BaseException, deps: object) -> None:
    """Says that the None in which a node looked for something is what the run was not given."""
    trace = error.__traceback__
    if deps is not None or trace is None or not _is_about_none(error):
        return
    if "deps" in _innermost(trace).tb_frame.f_code.co_names:
        _add_once(error, NO_DEPS)


def _is_about_none(error: BaseException) -> bool:
    if isinstance(error, AttributeError):
        return error.name is not None and error.obj is None
    return isinstance(error, TypeError) and "'NoneType'" in str(error)


def _innermost(trace: TracebackType) -> TracebackType:
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _add_once(error: BaseException, note: str) -> None:
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
