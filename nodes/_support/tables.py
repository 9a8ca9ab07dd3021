"""Reads the shop's tables: UTF-8 CSV files with a header row."""

from __future__ import annotations

import csv
from pathlib import Path

from graphflow import ToolError


def read_table(path: Path, *needed: str) -> list[dict[str, str]]:
    """The rows of a table, cells stripped; rows whose first needed cell is empty are left out.

    Raises:
        ToolError: the file is missing, is no text, or lacks a column; the text says which it has.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [(name or "").strip() for name in reader.fieldnames or ()]
            rows = [
                {(k or "").strip(): (v or "").strip() for k, v in row.items() if isinstance(v, str | None)}
                for row in reader
            ]
    except FileNotFoundError:
        raise ToolError(f"there is no table {path}; it needs the columns {', '.join(needed)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ToolError(f"{path} cannot be read as a UTF-8 CSV table: {error}") from None
    missing = [name for name in needed if name not in columns]
    if missing:
        hint = "; separate columns by commas" if any(";" in name for name in columns) else ""
        raise ToolError(f"{path} has no column {missing[0]!r}; its columns are: {', '.join(columns) or 'none'}{hint}")
    return [row for row in rows if row.get(needed[0])]
