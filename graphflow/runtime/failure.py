"""What went wrong, for people and for machines: an error in a form that can be sent, and the report of a run that failed.

Secrets are taken out of both, and both are bounded, whatever an error or a message holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from graphflow.errors import GraphflowError
from graphflow.events import Event, NodeFailed
from graphflow.journal.codec.errors import encode_error
from graphflow.messages.message import error_text
from graphflow.plain import short_repr
from graphflow.redaction import scrub
from graphflow.runtime.run_record import RunRecord

LAST_EVENTS = 10
"""Events before the end that a report tells of."""
MOST_CAUSES = 10
LONGEST_TEXT = 2_000
"""Characters of an error's text, and of a cause's."""


@dataclass(frozen=True, slots=True)
class Cause:
    """An error behind another one.

    Attributes:
        kind: the name of its class.
        text: what it says.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """An error as plain data.

    Attributes:
        kind: the name of its class.
        code: its name for machines, which stays the same; empty for errors of others.
        text: what it says.
        hint: what to do about it; empty for errors of others.
        url: its part of the documentation; empty for errors of others.
        retryable: whether the same may well succeed a little later; None where nobody can know.
        context: what else it holds, as JSON data: the limit, the status, the place.
        causes: the errors behind it, the nearest first.
    """

    kind: str
    code: str
    text: str
    hint: str
    url: str
    retryable: bool | None
    context: Mapping[str, object]
    causes: tuple[Cause, ...]

    @staticmethod
    def of(error: BaseException) -> ErrorReport:
        """The report of any error, of graphflow's or of somebody else's."""
        ours = error if isinstance(error, GraphflowError) else None
        return ErrorReport(
            kind=type(error).__name__,
            # That of its class: somebody's own error may have an attribute of that name.
            code="" if ours is None else type(ours).code,
            text=_text_of(error),
            hint="" if ours is None else ours.hint,
            url="" if ours is None else ours.url,
            retryable=getattr(error, "retryable", None),
            context=_context_of(error),
            causes=tuple(_causes_of(error)),
        )

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FailureReport:
    """Why a run has not completed, and how to go on.

    Attributes:
        run: its id.
        graph: the graph's name.
        status: failed, cancelled, limited.
        error: what ended it.
        path: the frames around the node that failed, the outermost first; of the graph alone if no node did.
        node: the node that failed first; empty if none did.
        message: what that node was given, shortened.
        events: the last ones before the end, one line each.
        resume: how to go on with what is done already.
    """

    run: str
    graph: str
    status: str
    error: ErrorReport
    path: tuple[str, ...]
    node: str
    message: str
    events: tuple[str, ...]
    resume: str

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON data."""
        return asdict(self)

    def __str__(self) -> str:
        place = " > ".join(self.path)
        if self.node:
            place += f" > {self.node}"
        lines = [
            f"run {self.run} {self.status} in {place}",
            f"{self.error.kind} [{self.error.code or 'not of graphflow'}]: {self.error.text}",
        ]
        lines += [f"caused by {cause.kind}: {cause.text}" for cause in self.error.causes]
        if self.error.hint:
            lines += [f"hint: {self.error.hint}", f"see: {self.error.url}"]
        if self.message:
            lines.append(f"it was given: {self.message}")
        lines += ["before the end:", *(f"  {event}" for event in self.events)]
        lines.append(f"go on: {self.resume}")
        return "\n".join(lines)


def failure_of(run: RunRecord[Any]) -> FailureReport | None:
    """Why a run has not completed; None if it has, or goes on, or waits."""
    if run.error is None:
        return None
    events = run.events
    failed = _first_failure(events, run.error)
    path: tuple[str, ...] = (run.graph,)
    node = message = ""
    if failed is not None:
        path, node = run.path_of(failed.frame), failed.node
        message = _message_of(run, failed)
    return FailureReport(
        run=run.id,
        graph=run.graph,
        status=run.status,
        error=ErrorReport.of(run.error),
        path=path,
        node=node,
        message=message,
        events=tuple(_line_of(event) for event in events[-LAST_EVENTS:]),
        resume=_way_on(run),
    )


# -- of errors -------------------------------------------------------------------------------------
def _text_of(error: BaseException) -> str:
    return scrub(error_text(error))[:LONGEST_TEXT]


def _context_of(error: BaseException) -> Mapping[str, object]:
    """What an error holds, as the journal would write it: bounded, and without secrets."""
    record = encode_error(error)
    if not isinstance(record, dict):
        return {}
    context: dict[str, object] = {}
    for part in ("fields", "tuples"):
        attributes = record.get(part)
        if isinstance(attributes, dict):
            context |= attributes
    return context


def _causes_of(error: BaseException) -> list[Cause]:
    causes: list[Cause] = []
    seen = {id(error)}
    behind = _behind(error)
    while behind is not None and id(behind) not in seen and len(causes) < MOST_CAUSES:
        seen.add(id(behind))
        causes.append(Cause(type(behind).__name__, _text_of(behind)))
        behind = _behind(behind)
    return causes


def _behind(error: BaseException) -> BaseException | None:
    """What Python shows as the reason of an error."""
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__


# -- of runs ---------------------------------------------------------------------------------------
def _first_failure(events: Sequence[Event], error: BaseException) -> NodeFailed | None:
    """The innermost failure with the error that ended the run: where it was raised, not where it passed through."""
    for event in events:
        if isinstance(event, NodeFailed) and event.error is error:
            return event
    failures = (event for event in reversed(events) if isinstance(event, NodeFailed))
    return next(failures, None) if not isinstance(error, GraphflowError) else None


def _message_of(run: RunRecord[Any], failed: NodeFailed) -> str:
    path = run.path_of(failed.frame)
    for step in islice(reversed(run.steps), 1_000):
        if step.node == failed.node and step.path == path and step.error is not None:
            return scrub(short_repr(step.input))
    return ""


def _line_of(event: Event) -> str:
    names = [event.kind]
    for part in ("node", "callee", "model", "status"):
        value = getattr(event, part, None)
        if isinstance(value, str) and value:
            names.append(value)
    error = getattr(event, "error", None)
    shown = " ".join(names)
    if isinstance(error, BaseException):
        shown += f": {_text_of(error)[:200]}"
    return scrub(f"{event.at:9.3f} s  {shown}")


def _way_on(run: RunRecord[Any]) -> str:
    if run.store is not None:
        return f"graphflow resume {run.id}, or graph.resume(run) in code: what is done is not done again"
    return "run it again; with `store=` it could be resumed, and nothing would be done twice"
