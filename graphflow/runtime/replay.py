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
from graphflow.journal.row_writer import RowDraft, RowWriter
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader, StoredRow
from graphflow.limits import Ledger
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.keeping import opened
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
    limits = limits_of(header, graph)
    ledger = Ledger((header.graph,), limits)
    run = made_run(store, record, graph, ledger, make)
    if run.status == "completed" and trace.walks:
        # As the fresh walks have worked it out, not as the record has it.
        finish = trace.walks[0].finish
        if finish is not None:
            run._output = finish.output
    return run


async def _read(
    store: Store, header: RunHeader, graph: AnyGraph
) -> tuple[StoredRecord, list[ReadRow]]:
    limits = limits_of(header, graph)
    outermost = outermost_form(graph, limits)
    reader = RowReader(header.id, outermost, entered_form)
    rows: list[ReadRow] = []
    entries: list[RecordEntry] = []
    async for row in store.rows(header.id):
        if not row.number % GIVE_WAY:
            await asyncio.sleep(0)
        large = await large_of(store, header.id, row)
        with migrations_used() as used:
            facts = reader.entries(row, large)
        read = ReadRow(row, facts, migrated=bool(used))
        rows.append(read)
        entries += facts
    record = StoredRecord(header, entries, reader.forms)
    return record, rows


def _check_same(run: str, read: ReadRow, writer: RowWriter) -> None:
    """Refuses a row that would be written in another way now.

    Raises:
        RowDiffers: it would.
    """
    row = read.row
    first = read.entries[0]
    kind = row.kind
    place = row.place
    if kind == HOPS:
        draft = _hops_row(read.entries, writer)
    else:
        draft = writer.row(first.event, first.detail)
    if draft.place == place:
        if draft.body == row.body:
            return
        # Of what a server's tool has answered nobody knows the type, so only what it says is compared.
        is_untyped = first.detail.raw is not None
        if is_untyped and json.loads(draft.body) == json.loads(row.body):
            return
    recorded = f"{kind} at {place!r}: {row.body}"
    found = f"{draft.kind} at {draft.place!r}: {draft.body}"
    raise RowDiffers(run, row.number, recorded, found)


def _hops_row(entries: Sequence[RecordEntry], writer: RowWriter) -> RowDraft:
    """The row of hops that follow each other, as a straight walk notes them."""
    first = entries[0].event
    slots = writer.forms[first.frame].program.slots
    numbers = {slot.name: slot.index for slot in slots}
    hops: list[object] = []
    for entry in entries:
        event = entry.event
        assert isinstance(event, NodeFinished)
        slot = numbers[event.node]
        hops += (slot, event.started, event.at, event.output)
    assert isinstance(first, NodeFinished)
    # The time of the row itself is not compared.
    return writer.hops(first.frame, first.activation, hops, 0.0)
