"""What a command prints: tables for lists of flat messages, text for text, JSON for the rest."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

from pydantic import BaseModel

from graphflow.cli.visible import visible, visible_json
from graphflow.errors import DepsInvalid, GraphflowError, ModelUnset
from graphflow.messages.message import error_text, to_json_value
from graphflow.proofs.report import counted
from graphflow.redaction import scrub
from graphflow.run import Run

AnyRun: TypeAlias = Run[Any]

MAX_CELL = 5_000
"""Characters of a cell of a table. Wrapping takes time that grows with the square of a text."""
MIN_COLUMN = 12
"""A column is made no narrower to fit the terminal."""


def out(text: str) -> None:
    """A line on standard output. Control characters, which a terminal would obey, are shown; `--json` has them as they are."""
    _print(visible(text))


def out_json(value: object) -> None:
    """A value as JSON on standard output."""
    _print(visible_json(json.dumps(to_json_value(value), ensure_ascii=False, indent=2)))


def note(text: str) -> None:
    """A line of graphflow's own on standard error: standard output has nothing but the answer, for pipes."""
    print(visible(f"graphflow: {text}"), file=sys.stderr, flush=True)


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except UnicodeEncodeError:  # half a character, or a terminal that is not UTF-8
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def show_output(run: AnyRun) -> None:
    """The output on standard output, one line about the run on standard error."""
    output = run.output
    if isinstance(output, str):
        out(output)
    elif isinstance(output, list) and _is_table(output):
        out(table(output))
    else:
        out_json(output)
    print(visible(summary(run)), file=sys.stderr, flush=True)


def summary(run: AnyRun) -> str:
    """One line about what a run took."""
    usage = run.usage
    parts = [f"{run.graph}: {run.status}", counted(usage.steps, "step")]
    if usage.model_calls:
        parts += [counted(usage.model_calls, "model call"), f"{usage.tokens} tokens"]
    if usage.usd:
        parts.append(f"{usage.usd:.4f} USD")
    if run.failures:
        parts.append(f"{len(run.failures)} failed")
    parts.append(f"{usage.seconds:.1f} s")
    return ", ".join(parts)


def show_error(error: BaseException) -> None:
    """What went wrong, and what was done before it."""
    text = _in_words_of_a_command(error)
    if not isinstance(error, GraphflowError):
        text = f"{type(error).__name__}: {text}"
    line = scrub(text)
    hints = [hint for hint in getattr(error, "__notes__", ()) if hint.startswith(_HINTS)]
    if hints:
        last = "; ".join(hints[-2:])
        line += f" ({last})"
    note(line)
    run = getattr(error, "run", None)
    if isinstance(run, Run) and run.steps:
        done = [step.node for step in run.steps if step.error is None]
        names = ", ".join(dict.fromkeys(done)) or "nothing"
        note(f"{summary(run)}; finished before that: {names}")


_HINTS = ("raised by node", "ctx.deps is None")
"""How those notes of an error begin that help at a command line, too; others are for whoever reads a traceback."""


def _in_words_of_a_command(error: BaseException) -> str:
    """The error's text; where it names a keyword of `run`, what to do on a command line."""
    if isinstance(error, ModelUnset):
        return (
            f"{error.agent!r} names no model, and graph {error.graph!r} has no default; give one: --model provider:model "
            "(`graphflow models` lists providers)"
        )
    text = error_text(error) or type(error).__name__
    if isinstance(error, DepsInvalid):
        return f"{text}; a command line cannot give them: run the graph in a program of yours"
    return text


# -- tables ----------------------------------------------------------------------------------------------------------------
def _is_table(rows: list[object]) -> bool:
    """Whether rows are messages of one kind whose fields are single values."""
    if not rows:
        return False
    kind = type(rows[0])
    if not issubclass(kind, BaseModel):
        return False
    return all(type(row) is kind and _is_flat(row) for row in rows)


def _is_flat(row: object) -> bool:
    return isinstance(row, BaseModel) and all(isinstance(value, _SINGLE) for value in _values(row))


_SINGLE = (str, int, float, bool, type(None))
"""Values that fit into a cell of a table."""


def _values(row: BaseModel) -> list[object]:
    return [getattr(row, name) for name in type(row).model_fields]


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = visible(str(to_json_value(value)))
    more = len(text) - MAX_CELL
    if more <= 0:
        return text
    return f"{text[:MAX_CELL]} [and {more} more characters; --json has all]"


def table(rows: list[Any], width: int | None = None) -> str:
    """Rows of one flat model as a table that fits the terminal; long texts are wrapped, empty columns left out."""
    cells = [[_cell(value) for value in _values(row)] for row in rows]
    columns = []
    for position, name in enumerate(type(rows[0]).model_fields):
        column = [row[position] for row in cells]
        if any(column):
            columns.append([name, *column])
    if not columns:
        return ""
    widths = _widths(columns, width or _terminal_width())
    names, *lines = zip(*columns, strict=True)
    rule = ["-" * width for width in widths]
    text = [_line(names, widths), _line(rule, widths)]
    for line in lines:
        text += _wrapped(line, widths)
    return "\n".join(text)


def _terminal_width() -> int:
    columns = shutil.get_terminal_size((140, 24)).columns
    return max(60, min(columns, 160))


def _widths(columns: list[list[str]], total: int) -> list[int]:
    """The width of each column: as wide as its longest cell, the widest made narrower until all fit."""
    widths = [max(len(cell) for cell in column) for column in columns]
    room = total - 2 * (len(columns) - 1)
    # The widest first, so that numbers and names stay whole and long texts are wrapped.
    while sum(widths) > room:
        widest = widths.index(max(widths))
        if widths[widest] <= MIN_COLUMN:
            break
        widths[widest] -= 1
    return widths


def _wrapped(cells: Sequence[str], widths: list[int]) -> list[str]:
    """A row as lines, as many as its longest cell takes."""
    columns = zip(cells, widths, strict=True)
    parts = [textwrap.wrap(cell, width) for cell, width in columns]
    lines = zip_longest(*parts, fillvalue="")
    return [_line(line, widths) for line in lines] or [""]


def _line(cells: Sequence[str], widths: list[int]) -> str:
    columns = zip(cells, widths, strict=True)
    padded = [cell.ljust(width) for cell, width in columns]
    return "  ".join(padded).rstrip()
