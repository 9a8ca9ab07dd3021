"""The table of runs as both databases have it: the columns of a header, and the way there and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graphflow.errors import StoreUnreadable
from graphflow.journal.stored import Json, Lease, RunHeader

COLUMNS = "id, graph, status, began, changed, rows, about, metadata, format, holder, epoch, until"


def header_values(header: RunHeader) -> tuple[str | int | float, ...]:
    """What the first nine columns hold when a run begins; the other three are its lease."""
    about = json_text(header.about)
    metadata = json_text(header.metadata)
    named = (header.id, header.graph, header.status)
    return (*named, header.began, header.changed, 0, about, metadata, header.format)


def header_of(row: Any) -> RunHeader:
    """A header from a row that is read by the names of its columns, as both drivers give it.

    Raises:
        StoreUnreadable: it is not as it was written.
    """
    try:
        about = json.loads(row["about"])
        metadata = json.loads(row["metadata"])
    except ValueError as error:
        raise StoreUnreadable(f"the header of run {row['id']!r} is damaged: {error}") from None
    return RunHeader(
        id=row["id"],
        graph=row["graph"],
        status=row["status"],
        began=row["began"],
        changed=row["changed"],
        rows=row["rows"],
        about=about,
        metadata=metadata,
        lease=Lease(row["holder"], row["epoch"], row["until"]),
        format=row["format"],
    )


def json_text(value: Mapping[str, Json]) -> str:
    """An object as the columns keep it."""
    return json.dumps(value, separators=(",", ":"))
