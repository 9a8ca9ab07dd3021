"""Lines drawn with signs: a stroke in a cell joins what the cell has already."""

from __future__ import annotations

UP = 1
DOWN = 2
LEFT = 4
RIGHT = 8
"""Bits of a cell: towards which of its sides it has a stroke."""
THROUGH = UP | DOWN

STROKES = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"
"""The sign of a cell, by its bits: the first is an empty cell, the last one with strokes towards all sides."""
ASCII_STROKES = " |||-+++-+++-+++"


class Canvas:
    """Rows of cells."""

    def __init__(self, rows: list[str], width: int, strokes: str) -> None:
        self.strokes = strokes
        self.cells: list[list[str]] = []
        for row in rows:
            full_row = row.ljust(width)
            cells = list(full_row)
            self.cells.append(cells)

    def add(self, row: int, column: int, bits: int) -> None:
        """Adds strokes to a cell; over a sign that is not a stroke they are drawn."""
        cells = self.cells[row]
        # In ASCII one sign stands for several strokes: the first of them joins others in the same way.
        present = self.strokes.find(cells[column])
        if present < 0:
            present = 0
        joined = present | bits
        cells[column] = self.strokes[joined]

    def go_down(self, column: int, first: int, last: int) -> None:
        """An upright line through the rows from `first` to the one before `last`."""
        for row in range(first, last):
            self.add(row, column, THROUGH)

    def go_across(self, row: int, one: int, other: int) -> None:
        """A level line from the middle of one cell to that of another, whichever is the left one."""
        first, last = sorted((one, other))
        for column in range(first, last):
            right = column + 1
            self.add(row, column, RIGHT)
            self.add(row, right, LEFT)

    def put(self, row: int, column: int, sign: str) -> None:
        """Puts a sign over what a cell has."""
        cells = self.cells[row]
        cells[column] = sign

    def rows(self) -> list[str]:
        """The rows as text."""
        return ["".join(row) for row in self.cells]
