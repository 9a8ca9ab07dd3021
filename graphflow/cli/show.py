"""What a command prints: tables for lists of flat messages, text for text, JSON for the rest."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

from pydantic import BaseModel

from graphflow.cli.printing import note, out, out_json, say
from graphflow.cli.visible import visible
from graphflow.errors import DepsInvalid, GraphflowError, LimitExceeded, ModelUnset
from graphflow.messages.message import error_text, to_json_value
from graphflow.proofs.report import counted
from graphflow.redaction import scrub
from graphflow.run import Run

AnyRun: TypeAlias = Run[Any]

MAX_CELL = 5_000
"""Characters of a cell of a table. Wrapping takes time that grows with the square of a text."""
MAX_HINTS = 2
"""Hints behind an error, the newest: those before came from further inside."""
MAX_NAMES = 6
"""Nodes that are named in a line."""
MIN_COLUMN = 12
"""A column is made no narrower to fit the terminal."""


def show_output(run: AnyRun) -> None:
    """The output on standard output, one line about the run on standard error."""
    show_value(run.output)
    say(summary(run))


def show_value(output: object) -> None:
    """An output on standard output: a text as it is, messages of one kind as a table, all else as JSON."""
    if isinstance(output, str):
        out(output)
    elif isinstance(output, list) and _is_table(output):
        out(table(output))
    else:
        out_json(output)


def summary(run: AnyRun) -> str:
    """One line about what a run took."""
    usage = run.usage
    outcome = f"{run.graph}: {run.status}"
    steps = counted(usage.steps, "step")
    parts = [outcome, steps]
    if usage.model_calls:
        calls = counted(usage.model_calls, "model call")
        parts += [calls, f"{usage.tokens} tokens"]
    if usage.usd:
        parts.append(f"{usage.usd:.4f} USD")
    if run.failures:
        count = len(run.failures)
        parts.append(f"{count} failed")
    parts.append(f"{usage.seconds:.1f} s")
    return ", ".join(parts)


def is_expected(error: Exception) -> bool:
    """Whether an error needs no traceback: graphflow's own, the system's, and whatever a node of a walk has raised."""
    if isinstance(error, (GraphflowError, OSError)):
        return True
    return getattr(error, "run", None) is not None


def show_error(error: BaseException) -> None:
    """What went wrong, and what was done before it."""
    text = _in_words_of_a_command(error)
    if not isinstance(error, GraphflowError):
        kind = type(error).__name__
        text = f"{kind}: {text}"
    line = scrub(text)
    notes: list[str] = getattr(error, "__notes__", [])
    hints = [each for each in notes if each.startswith(_HINTS)]
    newest = hints[-MAX_HINTS:]
    if newest:
        listed = "; ".join(newest)
        line += f" ({listed})"
    note(line)
    _show_run_of(error)
    for advice in notes:
        if advice.startswith(ADVICE):
            note(advice)


def _show_run_of(error: BaseException) -> None:
    """What was done before an error, if it has ended a walk."""
    run = getattr(error, "run", None)
    if not isinstance(run, Run) or not run.steps:
        return
    done = [step.node for step in run.steps if step.error is None]
    names = list(dict.fromkeys(done))  # each once, in the order of the walk
    finished = ", ".join(names[:MAX_NAMES]) or "nothing"
    more = len(names) - MAX_NAMES
    if more > 0:
        finished += f" and {more} more"
    took = summary(run)
    note(f"{took}; finished before that: {finished}")


ADVICE = "`graphflow "
"""How a note of an error begins that says how to go on."""
_HINTS = ("raised by node", "ctx.deps is None")
"""How those notes of an error begin that help at a command line, too; others are for whoever reads a traceback."""


def _in_words_of_a_command(error: BaseException) -> str:
    """The error's text; where it names a keyword of `run`, what to do on a command line."""
    if isinstance(error, ModelUnset):
        return (
            f"{error.agent!r} names no model, and graph {error.graph!r} has no default; give one: --model provider:model "
            "(`graphflow models` lists providers)"
        )
    text = error_text(error)
    if not text:
        text = type(error).__name__
    if isinstance(error, LimitExceeded):
        return _LIMIT.sub(_as_option, text)
    if isinstance(error, DepsInvalid):
        return f"{text}; a command line cannot give them: run the graph in a program of yours"
    return text


_LIMIT = re.compile(r"Limits\((\w+)=([^()]*)\)")
"""A limit as code states it."""


def _as_option(found: re.Match[str]) -> str:
    """The same as a command line states it."""
    name, value = found.groups()
    number = "N" if value == "..." else value
    return f"--limit {name}={number}"


# -- tables ----------------------------------------------------------------------------------------
def _is_table(rows: list[object]) -> bool:
    """Whether rows are messages of one kind whose fields are single values."""
    if not rows:
        return False
    kind = type(rows[0])
    for row in rows:
        if type(row) is not kind or not isinstance(row, BaseModel):
            return False
        if not _is_flat(row):
            return False
    return True


def _is_flat(row: BaseModel) -> bool:
    for name in type(row).model_fields:
        value = getattr(row, name)
        if value is not None and not isinstance(value, _SINGLE):
            return False
    return True


_SINGLE = (str, int, float, bool)
"""Values that fit into a cell of a table."""


def _cell(value: object) -> str:
    if value is None:
        return ""
    plain = to_json_value(value)
    text = visible(str(plain))
    more = len(text) - MAX_CELL
    if more <= 0:
        return text
    beginning = text[:MAX_CELL]
    return f"{beginning} [and {more} more characters; --json has all]"


def table(rows: list[Any], width: int | None = None) -> str:
    """Rows of one flat model as a table that fits the terminal; long texts are wrapped, empty columns left out."""
    columns: list[list[str]] = []
    fields = type(rows[0]).model_fields
    for name in fields:
        column = [_cell(getattr(row, name)) for row in rows]
        if any(column):
            columns.append([name, *column])
    if not columns:
        return ""
    room = width or _terminal_width()
    widths = _widths(columns, room)
    names, *rows_shown = zip(*columns, strict=True)
    rule = ["-" * width for width in widths]
    lines = [_line(names, widths), _line(rule, widths)]
    for cells in rows_shown:
        lines += _wrapped(cells, widths)
    return "\n".join(lines)


def _terminal_width() -> int:
    terminal = shutil.get_terminal_size((140, 24))
    return max(60, min(terminal.columns, 160))


def _widths(columns: list[list[str]], total: int) -> list[int]:
    """The width of each column: as wide as its longest cell, the widest made narrower until all fit."""
    widths = [max(map(len, column)) for column in columns]
    gaps = len(columns) - 1
    room = total - 2 * gaps
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
    text = [_line(line, widths) for line in lines]
    return text or [""]  # a row without a word is a line, too


def _line(cells: Sequence[str], widths: list[int]) -> str:
    columns = zip(cells, widths, strict=True)
    padded = [cell.ljust(width) for cell, width in columns]
    return "  ".join(padded).rstrip()
