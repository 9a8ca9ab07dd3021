"""The table of runs as both databases have it: the columns of a header, and the way there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphflow.errors import StoreUnreadable
from graphflow.journal.key_ring import WrappedKey
from graphflow.journal.seal import PLAIN, Seal, run_owner
from graphflow.journal.sealed import open_data, seal_data
from graphflow.journal.stored import Json, Lease, RunHeader
from graphflow.journal.vault import Vault

COLUMNS = "id, graph, status, began, changed, rows, about, metadata, format, holder, epoch, until"


def header_values(header: RunHeader, seal: Seal) -> tuple[str | int | float, ...]:
    """What the first nine columns hold when a run begins; the other three are its lease."""
    about = seal_data(seal, header.about, "about")
    metadata = seal_data(seal, header.metadata, "metadata")
    named = (header.id, header.graph, header.status)
    return (*named, header.began, header.changed, 0, about, metadata, header.format)


def header_of(row: Any, seal: Seal | None) -> RunHeader:
    """A header from a row that is read by the names of its columns, as both drivers give it.

    Args:
        row: the columns.
        seal: of the run; None: its key is gone, and only what is in clear can be told.

    Raises:
        StoreUnreadable: it is not as it was written.
    """
    about: Mapping[str, Json] = {}
    metadata: Mapping[str, Json] = {}
    try:
        if seal is not None:
            about = open_data(seal, row["about"], "about")
            metadata = open_data(seal, row["metadata"], "metadata")
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


def header_and_seal(row: Any, vault: Vault) -> tuple[RunHeader, Seal | None]:
    """A header, and the seal of its run if its key is there. With a vault that is not clear the row has the key, too.

    Raises:
        StoreUnreadable: the header is not as it was written.
        StoreLocked: no key that was given opens the one of the run.
    """
    seal: Seal | None = PLAIN
    if not vault.is_clear:
        content = row["wrapped"]
        wrapped = None if content is None else WrappedKey(row["wrapped_by"], content)
        seal = vault.seal(run_owner(row["graph"], row["id"]), wrapped)
    return header_of(row, seal), seal
