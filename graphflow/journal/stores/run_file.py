"""The file of a run: what its lines tell, read once and then only on."""

from __future__ import annotations

import json
from array import array
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from graphflow.errors import RunDamaged, StoreUnreadable
from graphflow.journal.seal import PLAIN, Seal
from graphflow.journal.sealed import open_data, open_row
from graphflow.journal.store import PAGE, PAGE_BYTES
from graphflow.journal.stored import FORMAT, Lease, RunHeader, StoredRow, check_row
from graphflow.journal.vault import key_gone

LineRecord: TypeAlias = dict[str, Any]
"""What a line holds, as JSON reads it."""
SealOf: TypeAlias = Callable[[str, str], "Seal | None"]
"""The seal of a run, by the name of its graph and its id; None if its key is gone."""

_ROW = b'{"row":'
"""How the line of a row begins."""
_FIELDS = ("row", "kind", "place", "body", "checksum")
"""What the line of a row holds, in the order of what a `StoredRow` is made of."""


@dataclass(slots=True)
class RunFile:
    """What a run's file holds. Of its rows only the places are kept: a folder may hold more than memory does.

    Attributes:
        places: where the line of each row begins.
        sound: bytes up to the end of what was read: whole lines, and of rows whole additions.
        problem: what is wrong with the next row; nothing behind it is read.
        seal: what its rows are sealed with; None if its key is gone.
    """

    header: RunHeader
    inode: int
    sound: int = 0
    places: array[int] = field(default_factory=lambda: array("Q"))
    large: set[str] = field(default_factory=set)
    problem: RunDamaged | None = None
    seal: Seal | None = PLAIN

    @staticmethod
    def at(path: Path, inode: int, seal_of: SealOf) -> RunFile | None:
        """A file, read from its beginning; None: its first line was never finished, so nobody was told of a run.

        Raises:
            StoreUnreadable: its first line is not that of a run, or a newer version's.
        """
        with path.open("rb") as lines:
            first = lines.readline()
        if not first.endswith(b"\n"):
            return None
        try:
            fields = json.loads(first)["run"]
            seal = seal_of(fields["graph"], fields["id"])
            header = RunHeader(**_opened(fields, seal))
        except (KeyError, TypeError, ValueError):
            raise StoreUnreadable(
                f'{path} is not a run: its first line should be {{"run": ...}}'
            ) from None
        if header.format > FORMAT:
            raise StoreUnreadable(
                f"{path} has format {header.format}, written by a newer version of graphflow; "
                f"this one reads formats up to {FORMAT}: update graphflow"
            )
        file = RunFile(header, inode, len(first), seal=seal)
        if seal is None:
            file.problem = key_gone(header.id)
        file.read_on(path, path.stat().st_size)
        return file

    def read_on(self, path: Path, size: int) -> None:
        """Reads what has been added, up to the last line that ends something: rows count when the note behind them is there."""
        if size == self.sound:
            return
        added: list[bytes] = []
        with path.open("rb") as lines:
            lines.seek(self.sound)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                added.append(line)
                if line.startswith(_ROW):
                    continue
                for each in added:
                    self._take(each)
                    self.sound += len(each)
                added.clear()
        self.header = replace(self.header, rows=len(self.places))

    def page(self, path: Path, first: int) -> list[StoredRow]:
        """Some of the rows from a number on, read again.

        Raises:
            RunDamaged: the first of them has changed since.
        """
        page: list[StoredRow] = []
        size = 0
        with path.open("rb") as lines:
            for expected in range(first, min(first + PAGE, len(self.places))):
                lines.seek(self.places[expected])
                line = lines.readline()
                size += len(line)
                if page and size > PAGE_BYTES:
                    break
                page.append(self._row(line, expected))
        return page

    def _row(self, line: bytes, expected: int) -> StoredRow:
        try:
            record = json.loads(line)
            row = self._row_in(record)
        except RunDamaged:
            raise
        except (KeyError, TypeError, ValueError):
            raise RunDamaged(
                self.header.id, expected, "a line of its file cannot be read"
            ) from None
        check_row(self.header.id, row, expected)
        return row

    def _row_in(self, record: LineRecord) -> StoredRow:
        """The row in a line.

        Raises:
            RunDamaged: it is sealed, and does not open.
        """
        if self.seal is PLAIN:
            return StoredRow(*[record[name] for name in _FIELDS])
        if self.seal is None:
            raise key_gone(self.header.id)
        return open_row(self.seal, self.header.id, record["row"], b64decode(record["sealed"]))

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if "row" in record:
                self._take_row(record)
            elif "lease" in record:
                self.header = replace(self.header, lease=Lease(**record["lease"]))
            else:
                noted = record["note"]
                self.large.update(noted.pop("large", ()))
                self.header = replace(self.header, **_opened(noted, self.seal))
        except RunDamaged as problem:
            self._note_problem(problem)
        except (AttributeError, KeyError, TypeError, ValueError):
            self._note_problem(
                RunDamaged(self.header.id, len(self.places), "a line of its file cannot be read")
            )

    def _take_row(self, record: LineRecord) -> None:
        """Notes where a row is.

        Raises:
            RunDamaged: it is not as it was written.
        """
        if self.problem is not None:
            return
        check_row(self.header.id, self._row_in(record), len(self.places))
        self.places.append(self.sound)

    def _note_problem(self, problem: RunDamaged) -> None:
        if self.problem is None:
            self.problem = problem


def _opened(fields: LineRecord, seal: Seal | None) -> LineRecord:
    """Fields of a header as they were before they were sealed; without those that nobody can open any more."""
    if seal is PLAIN:
        return fields
    for name in ("about", "metadata"):
        if name not in fields:
            continue
        fields[name] = {} if seal is None else open_data(seal, fields[name], name)
    return fields
