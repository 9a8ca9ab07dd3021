"""Resumption: what a record tells of a run is given to the run, which then goes on where it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from graphflow.declaration.background import backgrounds
from graphflow.errors import RunDamaged, RunExists
from graphflow.events import ArtifactKept, Event, RunEnded, RunStarted
from graphflow.journal.codec.value_codec import codec_of
from graphflow.journal.record import StoredRecord
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub
from graphflow.runtime.derivation import derived
from graphflow.runtime.frame import Frame
from graphflow.runtime.past import Past
from graphflow.runtime.recorder import RunRecorder
from graphflow.runtime.run_record import RunRecord

OVER: frozenset[str] = frozenset({"completed", "failed"})
"""How a run has ended for good: what was cancelled or limited can be resumed."""


def fill(run: RunRecord[Any], frame: Frame, record: StoredRecord, message: object) -> bool:
    """Makes a run what it was, if it has ended for good.

    Raises:
        RunExists: it was begun with another message.
    """
    graph = run.declared
    assert graph is not None
    if not record.entries:
        return False
    check_message(record, graph, message)
    last = record.entries[-1]
    ended = last.event
    if not isinstance(ended, RunEnded) or ended.status not in OVER:
        return False
    take_events(run, record)
    past = Past(run.id, record.entries)
    past.charge(frame.ledger, 0)
    run.recorder = None
    run.status = ended.status
    run._output = ended.output
    run.error = last.detail.error
    # As if its clock had run without a pause until now: a run tells times as seconds since it began.
    run.began = time.perf_counter() - ended.at
    run.ended = run.began + ended.at
    run.began_at = record.header.began
    run.close()
    return True


def take_up(run: RunRecord[Any], frame: Frame, record: StoredRecord, recorder: RunRecorder) -> None:
    """Lets a run go on where its record ends."""
    if not record.entries:  # its process died before it had told anything
        return
    past = Past(run.id, record.entries, record.forms)
    writes = _started(record).writes
    if writes and frame.states is not None:
        frame.states.begin_with(writes)
    shared = frame.shared
    shared.past = past
    shared.calls = past.calls
    shared.questions = past.questions
    sitting = shared.sitting
    if sitting is not None:
        sitting.asked = past.asked
        sitting.taken = past.taken
    shared.allowed |= past.allowed
    if shared.budgets is not None:
        shared.budgets.warned |= past.budgets_warned
    backgrounds.set(shared.backgrounds)
    take_events(run, record)
    frame._within = None  # from now on it knows what was answered there
    frame.keep_form(recorder)
    run.began_at = record.header.began


def take_events(run: RunRecord[Any], record: StoredRecord) -> None:
    """Gives a run what has happened in its earlier sittings. How these ended is not an end of the run."""
    frames = run.frames[:1]
    for number, form in sorted(record.forms.items()):
        if number and form is not None:
            row = (form.program, form.path, form.limits)
            frames.append(row)
    run.frames[:] = frames
    facts: list[Event] = []
    last = len(record.entries) - 1
    for place, entry in enumerate(record.entries):
        event = entry.event
        if isinstance(event, RunEnded):
            is_end = place == last and event.status in OVER
            if not is_end:
                continue
        facts.append(event)
    _take_artifacts(run, record)
    if run.observed:
        facts = derived(facts, run.frames, {})
    run.journal.extend(facts)


def _take_artifacts(run: RunRecord[Any], record: StoredRecord) -> None:
    """Gives a run the bytes of what its nodes have kept."""
    for entry in record.entries:
        event = entry.event
        content = entry.detail.content
        if content is not None and isinstance(event, ArtifactKept):
            run.kept[event.artifact.digest] = content


# -- one id, one message ---------------------------------------------------------------------------
def check_message(record: StoredRecord, graph: AnyGraph, message: object) -> None:
    """Refuses another message under the same id.

    Raises:
        RunExists: it is another one; the text says in what.
    """
    started = _started(record)
    # Compared as they are kept: what comes back from a store need not be equal to what went in.
    codec = codec_of(graph.program.input)
    given = codec.encode(message)
    known = codec.encode(started.input)
    if given == known:
        return
    id = record.header.id
    where = _difference(known, given, "message")
    raise RunExists(
        f"run {id!r} was begun with another message ({where}); choose another id, or give the same"
    )


def _started(record: StoredRecord) -> RunStarted:
    for entry in record.entries:
        event = entry.event
        if isinstance(event, RunStarted):
            return event
    raise RunDamaged(record.header.id, 0, "it does not tell what the graph was given")


def _difference(known: Any, given: Any, path: str) -> str:
    """Where two messages differ first, and how."""
    for step, one, other in _counterparts(known, given):
        if one != other:
            return _difference(one, other, path + step)
    was = _shown(known)
    now = _shown(given)
    return f"{path} was {was} and is {now}"


def _counterparts(known: Any, given: Any) -> Iterator[tuple[str, Any, Any]]:
    """What two messages hold in the same places, with the way to it."""
    if isinstance(known, dict) and isinstance(given, dict):
        for name in [*known, *given]:
            one = known.get(name)
            other = given.get(name)
            yield f".{name}", one, other
    # Where one list is longer, what is behind the difference has moved, too.
    if isinstance(known, list) and isinstance(given, list) and len(known) == len(given):
        pairs = zip(known, given, strict=True)
        for number, (one, other) in enumerate(pairs):
            yield f"[{number}]", one, other


def _shown(value: object) -> str:
    shown = scrub(repr(value))
    if len(shown) <= 60:
        return shown
    start = shown[:57]
    return f"{start}..."
