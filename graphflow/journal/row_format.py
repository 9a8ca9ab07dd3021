"""The format of rows: what a run tells, as the text that a store keeps.

    fact    NodeFinished(at=0.25, frame=0, activation=3, node="merge", output=Draft(...))
    row     kind   node.end
            place  #3
            body   {"at": 0.25, "frame": 0, "activation": 3, "node": "merge", "output": {...}}

Rules:
1. A message is written by the type that the graph declares for its place, and read by it again (`message_types.py`). What is
   only shown (what a call was given, what a node has emitted) is written as the JSON that a record of events has.
2. Fields that have their usual value are left out. Times are in seconds since the run began, to the microsecond.
3. A field whose text is longer than `LARGE` is kept once, by the digest of its content; `large` in the body says which.
4. A secret that is registered stands in no row: `codec/secrets.py` puts a reference to its name there.

`row_writer.py` writes rows, `row_reader.py` reads them. Rows that were kept are read and written again byte for byte, so
what one of the two does the other has to mirror.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from graphflow.events import Event

LARGE = 64 * 1024
"""Characters of a field from which on it is kept by its digest."""
HOPS = "hops"
"""The kind of a row that holds many `node.end` of a straight walk, in columns."""
HANDOVER = "handover"
"""What stands in a row in place of `output`, if a node has handed over to another one."""
WRITES = "writes"
"""The field that tells what was written to states."""
DIGITS = 6
"""Decimals of a time: microseconds."""
RowBody = dict[str, Any]
"""The fields of a row, as JSON has them."""
TIMES = frozenset({"at", "first_at", "started", "wait_s"})
"""Fields that hold seconds."""
MESSAGES = frozenset({"input", "output", "value", "message", "piece"})
"""Fields that hold what nodes have made."""


EventField = Field[Any]
_known_fields: dict[type[Event], tuple[EventField, ...]] = {}


def event_fields(kind: type[Event]) -> tuple[EventField, ...]:
    """The fields of the events of a class, in the order in which a row has them."""
    known = _known_fields.get(kind)
    if known is None:
        known = _known_fields[kind] = fields(kind)
    return known


def is_usual(field: EventField, value: object) -> bool:
    """Whether a row may leave out a field."""
    usual = field.default
    if usual is MISSING:
        return field.default_factory is not MISSING and not value
    if value is usual:
        return True
    # To compare messages would be to run the user's code.
    if field.name in MESSAGES:
        return False
    # `1 == True`, and a row would come back with the wrong one of them.
    return type(value) is type(usual) and value == usual


def usual_value(field: EventField) -> Any:
    """The value of a field that a row leaves out."""
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None


def hop_nodes(body: RowBody) -> Sequence[int]:
    """Of each hop in a row, which of the row's nodes has answered."""
    order: Sequence[int] | None = body.get("order")
    return order or range(len(body["at"]))


def node_columns(body: RowBody) -> Sequence[int]:
    """Of each node in a row of hops, which column holds its answers."""
    columns: Sequence[int] | None = body.get("columns")
    return columns or [0] * len(body["nodes"])
