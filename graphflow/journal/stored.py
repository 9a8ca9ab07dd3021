"""What a store keeps of a run: a header, and rows of text.

    header   id, graph, status, when it began, what it was given       one, the status changes
    rows     0  1  2  3 ...                                             only ever added at the end

A row is plain text with a checksum, so that every store keeps the same, and whoever reads one needs nothing but JSON:

    number    its position in the run, from 0
    kind      what it tells: "run.start", "node.end", ...
    place     where in the run it belongs
    body      JSON
    checksum  CRC-32 of the four above

Beside the rows lie answers to what a run asks: whoever answers does not own the run, so it cannot add rows. The owner
finds the answer, and makes a row of it.

What a body means is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from zlib import crc32

from graphflow.errors import RunDamaged

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

FORMAT = 1
"""The version of what headers and rows hold. A store that was written in a newer one is refused."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of a run."""

    number: int
    kind: str
    place: str
    body: str
    checksum: int

    @staticmethod
    def of(number: int, kind: str, place: str, body: str) -> StoredRow:
        """A row with the checksum that fits it."""
        return StoredRow(number, kind, place, body, checksum(number, kind, place, body))

    @property
    def is_sound(self) -> bool:
        """Whether it is as it was written."""
        fitting = checksum(self.number, self.kind, self.place, self.body)
        return self.checksum == fitting


def checksum(number: int, kind: str, place: str, body: str) -> int:
    """CRC-32 of a row. The number is part of it: two rows that have changed places are damaged, too."""
    text = f"{number}\n{kind}\n{place}\n{body}"
    return crc32(text.encode(errors="surrogatepass"))


def check_row(run: str, row: StoredRow, expected: int) -> None:
    """Refuses a row that is not the one that was written at a position.

    Raises:
        RunDamaged: it is another one, or its content has changed.
    """
    if row.number != expected:
        raise RunDamaged(run, expected, f"row {row.number} stands in its place")
    if not row.is_sound:
        raise RunDamaged(run, expected, "its checksum does not fit its content")


@dataclass(frozen=True, slots=True)
class Lease:
    """Who owns a run, and until when.

    Attributes:
        holder: who it is, in words for people: a process and its machine.
        epoch: counts up with every owner. A row is only taken with the newest one.
        until: seconds since 1970, by the store's clock; after it anybody may acquire the run.
    """

    holder: str
    epoch: int
    until: float


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What is known of a run without reading its rows.

    Attributes:
        id: its name, unique in a store.
        graph: the name of its graph.
        status: "running", "waiting", or how it ended.
        began: seconds since 1970.
        changed: when the last row came, in seconds since 1970.
        rows: how many there are.
        about: what it was begun with: the graph's form and digest, models, limits.
        metadata: what its user has noted.
        lease: who owns it; None: nobody.
        format: the version of its rows.
    """

    id: str
    graph: str
    status: str
    began: float
    changed: float
    rows: int = 0
    about: Mapping[str, Json] = field(default_factory=dict)
    metadata: Mapping[str, Json] = field(default_factory=dict)
    lease: Lease | None = None
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer to a question of a run.

    Attributes:
        run: the run's id.
        question: which of its questions.
        value: what was answered, as JSON text.
        by: who answered; "" if nobody said.
        at: when, in seconds since 1970, by the store's clock.
    """

    run: str
    question: str
    value: str
    by: str
    at: float
