"""Asks a SQLite file, read-only unless it is opened for writing.

Rules:
1. Reading is fenced three times: the file is opened with mode=ro, `query_only` is on, and an authorizer allows nothing but
   reading. Other files are out of reach either way: ATTACH (which VACUUM INTO needs, too), PRAGMA, virtual tables and
   load_extension are refused.
2. One statement a call, in a process of its own that is killed when the time is up: `instr` and `LIKE` may take hours
   within a single step of SQLite's, where it does not ask whether to go on. A change that is killed is undone.
3. Each call opens the file and closes it, so that nothing is locked between calls.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from graphflow import Message, Tool, ToolError, factory, tool
from graphflow.errors import DeclarationError

from .._support.worker import ask_worker

MAX_ROWS = 200
MAX_SECONDS = 5.0
WORKER = Path(__file__).parents[1] / "_support" / "sql_worker.py"
Cell = str | int | float | None
Statement = Annotated[str, Field(min_length=1, max_length=20_000)]
Values = Annotated[list[Cell] | dict[str, Cell], Field(max_length=500)]


class Rows(Message):
    """Rows of a table, under the names of their columns. `cut` tells that there are more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    cut: bool = False


class Table(Message):
    """A table or view: how it was declared, and how many rows it has (None for a view, or if counting takes long)."""

    name: str
    kind: str
    rows: int | None
    sql: str


@factory
def sql(
    path: str | Path, *, write: bool = False, rows: int = MAX_ROWS, seconds: float = MAX_SECONDS
) -> tuple[Tool[Any, Any], ...]:
    """Tools for one SQLite file: list_tables, query_sql, and with `write` change_sql.

    Args:
        path: the file; it must exist.
        write: whether it may be changed.
        rows: how many rows an answer has at most.
        seconds: how long a statement may take.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise DeclarationError(f"sql({str(path)!r}): there is no such file; make it first")
    base = Database(file, rows, seconds)

    def reached(_: object) -> list[Path]:
        return [file]

    @tool(effects=["reads"], paths=reached, timeout_s=seconds + 5)
    def list_tables() -> list[Table]:
        """List the tables and views of the database, with the SQL that declares their columns."""
        return base.tables()

    @tool(effects=["reads"], paths=reached, timeout_s=seconds + 5)
    def query_sql(statement: Statement, values: Values = []) -> Rows:  # noqa: B006  # pydantic copies it
        """Ask the database one SELECT (or WITH, VALUES) in SQLite's SQL.

        Args:
            statement: the SQL, with ? or :name for values.
            values: the values, in order or by name.
        """
        rows, _ = base.ask(statement, values, write=False)
        return rows

    @tool(
        effects=["reads", "writes"],
        paths=reached,
        concurrency_safe=False,
        timeout_s=seconds + 5,
    )
    def change_sql(statement: Statement, values: Values = []) -> str:  # noqa: B006  # pydantic copies it
        """Change the database by one statement: INSERT, UPDATE, DELETE, CREATE, ALTER or DROP. All of it is done, or nothing.

        Args:
            statement: the SQL, with ? or :name for values.
            values: the values, in order or by name.
        """
        _, changed = base.ask(statement, values, write=True)
        return f"done, {max(0, changed)} rows changed"

    if write:
        return list_tables, query_sql, change_sql
    return list_tables, query_sql


class Database:
    """One file, asked within bounds."""

    def __init__(self, file: Path, rows: int, seconds: float) -> None:
        self.file = file
        self.rows = rows
        self.seconds = seconds

    def tables(self) -> list[Table]:
        """The tables and views, by name."""
        found, _ = self.ask(
            "SELECT name, type, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' "
            "ESCAPE '~' ORDER BY name",
            [],
            write=False,
        )
        return [self._table(str(name), str(kind), str(sql)) for name, kind, sql in found.rows]

    def _table(self, name: str, kind: str, sql: str) -> Table:
        return Table(name=name, kind=kind, rows=self._count(name, kind), sql=sql)

    def _count(self, name: str, kind: str) -> int | None:
        if kind == "view":  # counting one may take as long as any query
            return None
        quoted = name.replace('"', '""')
        with contextlib.suppress(ToolError):
            found, _ = self.ask(f'SELECT count(*) FROM "{quoted}"', [], write=False)
            return int(found.rows[0][0] or 0)
        return None

    def ask(self, statement: str, values: Values, *, write: bool) -> tuple[Rows, int]:
        """The rows of one statement, and how many it changed.

        Raises:
            ToolError: it is wrong, not allowed, or takes too long.
        """
        task = {
            "file": self.file.as_uri(),
            "statement": statement,
            "values": values,
            "write": write,
            "rows": self.rows,
            "seconds": self.seconds,
        }
        try:
            answer = ask_worker(WORKER, task, self.seconds + 0.5)
        except TimeoutError:
            answer = {"error": "", "refused": [], "late": True}
        if answer is None:
            raise ToolError("the statement needs too much memory; ask for less")
        if "error" in answer:
            raise ToolError(self._problem(answer, write))
        rows = Rows(columns=answer["columns"], rows=answer["rows"], cut=answer["cut"])
        return rows, answer["changed"]

    def _problem(self, answer: dict[str, Any], write: bool) -> str:
        if answer["refused"]:
            may = "read and changed" if write else "only read"
            return (
                f"{answer['refused'][0]} is not allowed: this one file may be {may}; ask without it"
            )
        if answer["late"]:
            return (
                f"the statement took longer than {self.seconds:g} s; ask for less, or use an index"
            )
        if "one statement" in answer["error"]:
            return "that is more than one statement; send them one by one"
        return f"SQLite: {answer['error']}; mend the statement or its values (list_tables shows the tables)"
