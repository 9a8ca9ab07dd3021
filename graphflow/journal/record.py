"""A record: all that a store keeps of one run, read by the types of its graph."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from graphflow.declaration.node import AnyNode
from graphflow.errors import RunDamaged, SealBroken, Unreadable
from graphflow.events import Event
from graphflow.journal.detail import FrameForm
from graphflow.journal.row_reader import RecordEntry, RowReader, digests_in
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader, StoredRow
from graphflow.journal.weight import HEAVY
from graphflow.limits import UNLIMITED, Limits, tightest
from graphflow.proofs.proven import AnyGraph, ProvenGraph, solo

GIVE_WAY = 256
"""Rows that are read between turns for others: a store may have them all at hand."""


@dataclass(slots=True)
class StoredRecord:
    """What is kept of a run.

    Attributes:
        header: what is known of it without its rows.
        entries: its facts, in order.
        forms: its frames, by number; None where nobody knows what they walk.
        damage: what is wrong with the first row that cannot be used, if one cannot.
    """

    header: RunHeader
    entries: list[RecordEntry]
    forms: dict[int, FrameForm | None]
    damage: RunDamaged | None = None

    @property
    def events(self) -> list[Event]:
        """The facts."""
        return [entry.event for entry in self.entries]


async def read_record(
    store: Store, header: RunHeader, graph: AnyGraph | None, limits: Limits = UNLIMITED
) -> StoredRecord:
    """The record of a run.

    Args:
        store: where it is kept.
        header: of the run.
        graph: what it walks; None: nobody knows, and its messages are read as plain data.
        limits: of its outermost walk.

    Raises:
        Unreadable: something in it does not fit the graph.
    """
    reader = RowReader(
        header.id, None if graph is None else outermost_form(graph, limits), entered_form
    )
    entries: list[RecordEntry] = []
    damage: RunDamaged | None = None
    try:
        with read_as(header, graph):
            async for row in store.rows(header.id):
                large = await large_of(store, header.id, row)
                if large or len(row.body) > HEAVY:
                    entries += await asyncio.to_thread(reader.entries, row, large)
                else:
                    entries += reader.entries(row, large)
                if row.number % GIVE_WAY == GIVE_WAY - 1:
                    await asyncio.sleep(0)
    except RunDamaged as damaged:
        damage = damaged
    return StoredRecord(header, entries, reader.forms, damage)


@contextmanager
def read_as(header: RunHeader, graph: AnyGraph | None) -> Iterator[None]:
    """While a run is read by the types of a graph: where they do not fit since it is one of another graph, that is said."""
    try:
        yield
    except Unreadable as error:
        if graph is None or graph.name == header.graph:
            raise
        whose = (
            f"run {header.id!r} is one of the graph {header.graph!r}, and not of {graph.name!r}: "
        )
        another = Unreadable(error.type, error.path, error.wanted, error.found, whose)
        for note in getattr(error, "__notes__", ()):
            another.add_note(note)
        raise another from None


async def large_of(store: Store, run: str, row: StoredRow) -> dict[str, bytes]:
    """The large values that a row names, by their digests.

    Raises:
        RunDamaged: one is gone, or is not as it was written.
    """
    found: dict[str, bytes] = {}
    for digest in digests_in(row):
        try:
            content = await store.large(run, digest)
        except SealBroken as broken:
            raise RunDamaged(run, row.number, str(broken)) from None
        if content is None:
            raise RunDamaged(
                run, row.number, f"the large value {digest[:12]} that it names is missing"
            )
        found[digest] = content
    return found


def outermost_form(graph: AnyGraph, limits: Limits = UNLIMITED) -> FrameForm:
    """What has to be known of the outermost frame of a graph's runs."""
    program = graph.program
    return FrameForm("", program, program.callees, (graph.name,), limits)


def entered_form(
    place: str, parent: FrameForm | None, name: str, call: int | None, called: AnyNode | None
) -> FrameForm | None:
    """What has to be known of a frame, by what was entered; None if the graph has no such node."""
    if parent is None:
        return None
    node = called if call is not None else parent.program.nodes_by_name.get(name)
    if node is None:
        return None
    target, edge_limits = node.entry()
    if isinstance(target, ProvenGraph):
        graph, callees = target, target.program.callees
    else:
        graph, callees = solo(target), parent.callees
    limits = tightest(graph.limits, edge_limits)
    return FrameForm(
        place, graph.program, callees, (*parent.path, node.name), limits, name, call, parent
    )


def last_of(events: Sequence[Event], kind: type[Event]) -> Event | None:
    """The last event of a class."""
    for event in reversed(events):
        if type(event) is kind:
            return event
    return None
