"""Reads the shop's tables: UTF-8 CSV files with a header row."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from graphflow import ToolError


def read_table(path: Path, *needed: str) -> list[dict[str, str]]:
    """The rows of a table, cells stripped; rows whose first needed cell is empty are left out.

    Raises:
        ToolError: the file is missing, is not a text, or lacks a column; the text says which it has.
    """
    try:
        columns, rows = _read(path)
    except FileNotFoundError:
        listed = ", ".join(needed)
        raise ToolError(f"there is no table {path}; it needs the columns {listed}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ToolError(f"{path} cannot be read as a UTF-8 CSV table: {error}") from None
    # A hint for the most common mistake is in `_listed`: semicolons make one column of them all.
    for name in needed:
        if name not in columns:
            raise ToolError(f"{path} has no column {name!r}; its columns are: {_listed(columns)}")
    return [row for row in rows if row.get(needed[0])]


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    # With the mark that spreadsheets put before UTF-8, and newlines as `csv` wants to see them.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        names = reader.fieldnames or ()
        columns = [_stripped_text(name) for name in names]
        rows = [_stripped(row) for row in reader]
    return columns, rows


def _stripped(row: Mapping[str | None, str | list[str] | None]) -> dict[str, str]:
    """A row with its cells stripped. Cells beyond the last column, which come as a list, are left out."""
    cells: dict[str, str] = {}
    for name, cell in row.items():
        if isinstance(cell, list):
            continue
        column = _stripped_text(name)
        cells[column] = _stripped_text(cell)
    return cells


def _stripped_text(text: str | None) -> str:
    return "" if text is None else text.strip()


def _listed(columns: list[str]) -> str:
    names = ", ".join(columns) or "none"
    if any(";" in name for name in columns):
        return f"{names}; separate columns by commas"
    return names
