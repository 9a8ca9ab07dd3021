"""Replay: a run that is kept, made again from its record alone. It has to be the same, bit for bit.

    rows  >  facts  >  fresh walks  >  the same rows, the same answer

A run that was cancelled or limited, or that waits, is replayed up to there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from graphflow.errors import RowDiffers
from graphflow.events import NodeFinished
from graphflow.journal.codec.known_migrations import migrations_used
from graphflow.journal.record import StoredRecord, entered_form, large_of, outermost_form
from graphflow.journal.row_format import HOPS
from graphflow.journal.row_reader import RecordEntry, RowReader
from graphflow.journal.row_writer import RowWriter
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader, StoredRow
from graphflow.limits import Ledger
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.durability import opened
from graphflow.runtime.loading import Make, R, limits_of, made_run
from graphflow.runtime.walk_trace import WalkTrace

GIVE_WAY = 256
"""Rows between turns for others: a record may be long."""


class ReadRow:
    """A row with the facts that it tells.

    Attributes:
        row: as it is kept.
        entries: its facts.
        migrated: whether something in it is of an older type, so that it would be written in another way now.
    """

    __slots__ = ("entries", "migrated", "row")

    def __init__(self, row: StoredRow, entries: list[RecordEntry], migrated: bool) -> None:
        self.row = row
        self.entries = entries
        self.migrated = migrated


async def replay(store: Store | str, id: str, graph: AnyGraph, make: Make[R]) -> R:
    """A run, made again from its record.

    Raises:
        RunUnknown: there is no such run.
        RunDamaged: its record is not as it was written.
        Diverged, Unreadable: its record does not fit the graph.
        RowDiffers: a row would be written in another way now.
    """
    store = opened(store, f"the replay of {id!r}")
    header = await store.header(id)
    record, rows = await _read(store, header, graph)
    writer = RowWriter()
    for frame, form in record.forms.items():
        if form is not None:
            writer.forms[frame] = form
    trace = WalkTrace(record, writer)
    for count, each in enumerate(rows):
        if not count % GIVE_WAY:
            await asyncio.sleep(0)
        for entry in each.entries:
            trace.push(entry)
        if not each.migrated:
            _check_same(id, each, writer)
    ledger = Ledger((header.graph,), limits_of(header, graph))
    run = made_run(store, record, graph, ledger, make)
    finish = trace.walks[0].finish if trace.walks else None
    if run.status == "completed" and finish is not None:
        run._output = finish.output
    return run


async def _read(
    store: Store, header: RunHeader, graph: AnyGraph
) -> tuple[StoredRecord, list[ReadRow]]:
    reader = RowReader(header.id, outermost_form(graph, limits_of(header, graph)), entered_form)
    rows: list[ReadRow] = []
    entries: list[RecordEntry] = []
    async for row in store.rows(header.id):
        if not row.number % GIVE_WAY:
            await asyncio.sleep(0)
        large = await large_of(store, header.id, row)
        with migrations_used() as used:
            read = reader.entries(row, large)
        rows.append(ReadRow(row, read, bool(used)))
        entries += read
    return StoredRecord(header, entries, reader.forms), rows


def _check_same(run: str, read: ReadRow, writer: RowWriter) -> None:
    """Refuses a row that would be written in another way now.

    Raises:
        RowDiffers: it would.
    """
    row, entries = read.row, read.entries
    [first, *_] = entries
    if row.kind == HOPS:
        frame = first.event.frame
        activation, hops = _hops(entries, writer)
        draft = writer.hops(frame, activation, hops, 0.0)
    else:
        draft = writer.row(first.event, first.detail)
    is_same_place = draft.place == row.place
    if is_same_place and draft.body == row.body:
        return
    is_plain = first.detail.raw is not None
    if is_same_place and is_plain and json.loads(draft.body) == json.loads(row.body):
        # Of what a server's tool has answered nobody knows the type, so only what it says is compared.
        return
    recorded = f"{row.kind} at {row.place!r}: {row.body}"
    found = f"{draft.kind} at {draft.place!r}: {draft.body}"
    raise RowDiffers(run, row.number, recorded, found)


def _hops(entries: Sequence[RecordEntry], writer: RowWriter) -> tuple[int, list[object]]:
    """The number of the first activation, and the hops as a straight walk notes them."""
    first = entries[0].event
    slots = writer.forms[first.frame].program.slots
    numbers = {slot.name: slot.index for slot in slots}
    hops: list[object] = []
    for entry in entries:
        event = entry.event
        assert isinstance(event, NodeFinished)
        hops += (numbers[event.node], event.started, event.at, event.output)
    assert isinstance(first, NodeFinished)
    return first.activation, hops
