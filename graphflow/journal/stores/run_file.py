"""The file of a run: what its lines tell, read once and then only on."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass, field, replace
from pathlib import Path

from graphflow.errors import RunDamaged, StoreUnreadable
from graphflow.journal.store import PAGE, PAGE_BYTES
from graphflow.journal.stored import FORMAT, Lease, RunHeader, StoredRow, check_row

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
    """

    header: RunHeader
    inode: int
    sound: int = 0
    places: array[int] = field(default_factory=lambda: array("Q"))
    large: set[str] = field(default_factory=set)
    problem: RunDamaged | None = None

    @staticmethod
    def at(path: Path, inode: int) -> RunFile | None:
        """A file, read from its beginning; None: its first line was never finished, so nobody was told of a run.

        Raises:
            StoreUnreadable: its first line is not that of a run, or a newer version's.
        """
        with path.open("rb") as lines:
            first = lines.readline()
        if not first.endswith(b"\n"):
            return None
        try:
            header = RunHeader(**json.loads(first)["run"])
        except (KeyError, TypeError, ValueError):
            raise StoreUnreadable(
                f'{path} is not a run: its first line should be {{"run": ...}}'
            ) from None
        if header.format > FORMAT:
            raise StoreUnreadable(
                f"{path} has format {header.format}, written by a newer version of graphflow; "
                f"this one reads formats up to {FORMAT}: update graphflow"
            )
        file = RunFile(header, inode, len(first))
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
            row = StoredRow(*[record[name] for name in _FIELDS])
        except (KeyError, TypeError, ValueError):
            raise RunDamaged(
                self.header.id, expected, "a line of its file cannot be read"
            ) from None
        check_row(self.header.id, row, expected)
        return row

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if "row" in record:
                self._take_row(StoredRow(*[record[name] for name in _FIELDS]))
            elif "lease" in record:
                self.header = replace(self.header, lease=Lease(**record["lease"]))
            else:
                noted = record["note"]
                self.large.update(noted.pop("large", ()))
                self.header = replace(self.header, **noted)
        except (AttributeError, KeyError, TypeError, ValueError):
            self._note_problem(
                RunDamaged(self.header.id, len(self.places), "a line of its file cannot be read")
            )

    def _take_row(self, row: StoredRow) -> None:
        if self.problem is not None:
            return
        try:
            check_row(self.header.id, row, len(self.places))
        except RunDamaged as problem:
            self._note_problem(problem)
        else:
            self.places.append(self.sound)

    def _note_problem(self, problem: RunDamaged) -> None:
        if self.problem is None:
            self.problem = problem
