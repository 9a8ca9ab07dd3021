"""Loading: a run that is kept, to be looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from graphflow.events import RunEnded
from graphflow.journal.entries import Given
from graphflow.journal.question import Question, open_questions
from graphflow.journal.record import StoredRecord, read_record
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader
from graphflow.limits import Ledger, Limits, tightest
from graphflow.messages.message import to_json_value
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.durability import limits_from
from graphflow.runtime.past import Past
from graphflow.runtime.resumption import OVER, take_events
from graphflow.runtime.run_record import RunRecord
from graphflow.runtime.sitting import OpenQuestion

R = TypeVar("R", bound=RunRecord[Any])
Make = Callable[[str, Ledger], R]
"""Makes the record of a run: the class that users know, which stands above."""


async def load(store: Store, id: str, graph: AnyGraph | None, make: Make[R]) -> R:
    """A run as it was when it was kept last.

    Raises:
        RunUnknown: there is no such run.
        RunDamaged: nothing of it can be used.
        Unreadable: its record does not fit the graph.
    """
    header = await store.header(id)
    limits = limits_of(header, graph)
    record = await read_record(store, header, graph, limits)
    if record.damage is not None and not record.entries:
        raise record.damage
    ledger = Ledger((header.graph,), limits)
    return made_run(store, record, graph, ledger, make)


def limits_of(header: RunHeader, graph: AnyGraph | None) -> Limits:
    """The limits of a run's outermost walk: its own, and those of its graph."""
    about: Any = header.about
    kept = limits_from(about.get("limits"))
    if graph is None:
        return tightest(None, kept)
    return tightest(graph.limits, kept)


def made_run(
    store: Store, record: StoredRecord, graph: AnyGraph | None, ledger: Ledger, make: Make[R]
) -> R:
    """A run of what is recorded of it."""
    header = record.header
    run = make(header.graph, ledger)
    run._id = header.id
    run.declared = graph
    run.store = store
    run.began_at = header.began
    run.damage = record.damage
    if graph is not None:
        outermost = (graph.program, (graph.name,), ledger.limits)
        run.frames.append(outermost)
    take_events(run, record)
    past = Past(header.id, record.entries)
    past.charge(ledger, 0)
    # As if it had ended just now: how long it took is the difference of the two.
    run.began = time.perf_counter() - past.seconds
    run.ended = run.began + past.seconds
    _take_end(run, record, header.status)
    run.waits_for = _open_questions(run, past)
    return run


def plain_answer(given: Given) -> Any:
    """An answer as JSON data: of a run that is only looked at, nobody knows the types here."""
    return to_json_value(given.value)


def _open_questions(run: RunRecord[Any], past: Past) -> list[OpenQuestion]:
    """What it waits for."""
    found: list[OpenQuestion] = []
    for asked in open_questions(run.facts):
        path = run.path_of(asked.frame)
        question = Question.of(asked, path, run.seconds_at(asked.at))
        record = past.asked[asked.question]
        waiting = OpenQuestion(question, plain_answer, record)
        found.append(waiting)
    return found


def _take_end(run: RunRecord[Any], record: StoredRecord, status: Any) -> None:
    """How the run has ended, or stands."""
    run.status = status
    if not record.entries:
        return
    last = record.entries[-1]
    end = last.event
    if not isinstance(end, RunEnded):
        return
    run.error = last.detail.error
    if end.status in OVER:
        run.status = end.status
        run._output = end.output
