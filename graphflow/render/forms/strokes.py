"""Lines drawn with signs: a stroke in a cell joins what the cell has already."""

from __future__ import annotations

UP = 1
DOWN = 2
LEFT = 4
RIGHT = 8
"""Bits of a cell: towards which of its sides it has a stroke."""
STROKES = dict(enumerate(" ╵╷│╴┘┐┤╶└┌├─┴┬┼"))
"""The sign of a cell by its bits."""
ASCII_STROKES = dict(enumerate(" |||-+++-+++-+++"))
THROUGH = UP | DOWN


class Canvas:
    """Rows of cells."""

    def __init__(self, rows: list[str], width: int, strokes: dict[int, str]) -> None:
        self.strokes = strokes
        self.cells = [list(row.ljust(width)) for row in rows]
        self.bits: dict[str, int] = {}
        """The bits of a sign. In ASCII one sign stands for several: any of them joins others in the same way."""
        for bits, sign in strokes.items():
            self.bits.setdefault(sign, bits)

    def add(self, row: int, column: int, bits: int) -> None:
        """Adds strokes to a cell; over a sign that is not a stroke they are drawn."""
        cells = self.cells[row]
        sign = cells[column]
        joined = self.bits.get(sign, 0) | bits
        cells[column] = self.strokes[joined]

    def go_down(self, column: int, first: int, last: int) -> None:
        """An upright line through the rows from `first` to the one before `last`."""
        for row in range(first, last):
            self.add(row, column, THROUGH)

    def go_across(self, row: int, one: int, other: int) -> None:
        """A level line from the middle of one cell to that of another, whichever is the left one."""
        first, last = sorted((one, other))
        for column in range(first, last):
            self.add(row, column, RIGHT)
            self.add(row, column + 1, LEFT)

    def put(self, row: int, column: int, sign: str) -> None:
        """Puts a sign over what a cell has."""
        self.cells[row][column] = sign

    def rows(self) -> list[str]:
        """The rows as text."""
        return ["".join(row) for row in self.cells]
