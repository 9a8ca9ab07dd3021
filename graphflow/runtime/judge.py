"""The judge: says of runs that are kept whether they can go on with a graph as it is now, before anybody tries.

It does what resuming them would do up to the moment in which something is begun: reads the rows by the types of the graph,
and pushes the facts of what is under way through fresh walks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graphflow.errors import Diverged, RecordInvalid, RunDamaged, Unreadable
from graphflow.events import FrameEntered, RunStarted
from graphflow.journal.codec.known_migrations import Migration, migrations_used
from graphflow.journal.record import StoredRecord, read_record
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader
from graphflow.journal.verdict import Misplacement, Verdict, Verdicts
from graphflow.proofs.form import form_digest, form_of
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.fit import check_places, push_facts
from graphflow.runtime.keeping import opened
from graphflow.runtime.loading import limits_of
from graphflow.runtime.past import Past
from graphflow.runtime.resumption import OVER
from graphflow.runtime.walk_trace import walk_of


async def verdicts(store: Store | str, graph: AnyGraph, runs: Iterable[str] | None) -> Verdicts:
    """The verdicts on runs; None: on all of the graph's that have not ended for good.

    Raises:
        RunUnknown: one of them is not there.
    """
    store = opened(store, f"the verdicts of {graph.name!r}")
    if runs is None:
        headers = await _going_on(store, graph)
    else:
        headers = [await store.header(id) for id in runs]
    digest = form_digest(graph)
    found = Verdicts()
    for header in headers:
        await asyncio.sleep(0)
        verdict = await _verdict(store, header, graph, digest)
        found.append(verdict)
    return found


async def _going_on(store: Store, graph: AnyGraph) -> list[RunHeader]:
    """The runs of a graph that have not ended for good."""
    found: list[RunHeader] = []
    for header in await store.runs(graph=graph.name):
        if header.status not in OVER:
            found.append(header)
    return found


async def _verdict(store: Store, header: RunHeader, graph: AnyGraph, digest: str) -> Verdict:
    id = header.id
    status = header.status
    about: Any = header.about
    known = about.get("digest")
    if known == digest:
        return Verdict(id, status, "same")
    content = await store.large(id, str(known))
    if content is not None:
        before = json.loads(content)
        reordered = _reordered(before, form_of(graph), (graph.name,))
        if reordered:
            return Verdict(id, status, "refused", tuple(reordered))
    # Only now the rows are read: most runs are of the graph as it is.
    with migrations_used() as used:
        problem = await _problem(store, header, graph)
    if problem is not None:
        return Verdict(id, status, "refused", (problem,))
    if used:
        return Verdict(id, status, "migrated", _named(used))
    return Verdict(id, status, "compatible")


def _named(used: Iterable[Migration]) -> tuple[str, ...]:
    """Each migration once."""
    names = map(str, used)
    once = dict.fromkeys(names)
    return tuple(once)


async def _problem(store: Store, header: RunHeader, graph: AnyGraph) -> Misplacement | None:
    """The first place where a record does not fit a graph."""
    limits = limits_of(header, graph)
    try:
        record = await read_record(store, header, graph, limits)
        if record.damage is not None:
            raise record.damage
        _push(header.id, record)
    except Diverged as error:
        return Misplacement(error.path, error.node, error.recorded, error.found)
    except Unreadable as error:
        notes = getattr(error, "__notes__", ())
        recorded = " ".join([error.found, *notes])
        found = error.wanted
        if error.path:
            found += f" at {error.type}{error.path}"
        return Misplacement((), "", recorded, found)
    except (RecordInvalid, RunDamaged) as error:
        return Misplacement((), "", "rows of a run", str(error))
    return None


def _push(id: str, record: StoredRecord) -> None:
    """Pushes the facts of what is under way through fresh walks, as `resume` does.

    Raises:
        Diverged: one does not fit.
    """
    begun: dict[int, RunStarted | FrameEntered] = {}
    for entry in record.entries:
        event = entry.event
        if isinstance(event, (RunStarted, FrameEntered)):
            begun[event.frame] = event
    past = Past(id, record.entries)
    for place, frame in past.frames.items():
        number = frame.number
        beginning = begun.get(number)
        if beginning is None:
            continue  # nothing is recorded yet
        form = record.forms.get(number)
        if form is None:
            raise _gone(beginning)
        walk = walk_of(form, number)
        walk.apply(beginning)
        push_facts(walk, frame.facts)
        check_places(past, frame, place, walk)


def _gone(event: RunStarted | FrameEntered) -> Diverged:
    """The error for a frame of a node that the graph has no more."""
    assert isinstance(event, FrameEntered)
    *around, node = event.path
    return Diverged(around, f"that {node!r} was entered", "nothing of that name to enter", node)


# -- arms ------------------------------------------------------------------------------------------
def _reordered(
    old: Mapping[str, Any], new: Mapping[str, Any], path: tuple[str, ...]
) -> list[Misplacement]:
    """The nodes whose answers are kept by the number of an arm that is another one now."""
    nodes = new.get("nodes", ())
    now = {node["name"]: node for node in nodes}
    found: list[Misplacement] = []
    for node in old.get("nodes", ()):
        name = node["name"]
        other = now.get(name)
        if other is None:
            continue
        before = node["output"]
        after = other["output"]
        if not _keeps_numbers(before, after):
            recorded = f"answers of {before}"
            wanted = f"{after}: add arms at the end"
            place = Misplacement(path, name, recorded, wanted)
            found.append(place)
        inner = node.get("form")
        other_inner = other.get("form")
        if inner is not None and other_inner is not None:
            below = (*path, name)
            found += _reordered(inner, other_inner, below)
    return found


def _keeps_numbers(before: str, after: str) -> bool:
    """Whether each arm of a type has the number that it had; where nothing has numbers, reading tells."""
    old = arms_in(before)
    new = arms_in(after)
    if len(new) < 2 or not _is_numbered(old):
        return True
    count = len(old)
    return new[:count] == old


def _is_numbered(arms: Sequence[str]) -> bool:
    """Whether values are kept with the number of their arm: not labels, nor one type and None."""
    count = 0
    for arm in arms:
        if arm[0] in _LABELS:
            return False
        if arm != "None":
            count += 1
    return count > 1


_LABELS = "'\"-0123456789"
"""What labels begin with, and types do not."""


def arms_in(text: str) -> list[str]:
    """The arms of a union, as its name writes it."""
    arms: list[str] = []
    arm = ""
    depth = 0
    for character in text:
        if character == "|" and not depth:
            arms.append(arm.strip())
            arm = ""
            continue
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
        arm += character
    arms.append(arm.strip())
    return arms
