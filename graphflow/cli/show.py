"""What a command prints: tables for lists of flat messages, text for text, JSON for the rest."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import Any

from pydantic import BaseModel

from graphflow.cli.visible import visible, visible_json
from graphflow.errors import DepsInvalid, GraphflowError, ModelUnset
from graphflow.messages.message import error_text, to_json_value
from graphflow.proofs.report import counted
from graphflow.redaction import scrub
from graphflow.run import Run

LONGEST = 5_000
"""Characters of a cell of a table."""


def out(text: str) -> None:
    """A line on standard output. Control characters, which a terminal would obey, are shown; `--json` has them as they are."""
    _print(visible(text))


def out_json(value: Any) -> None:
    """A value as JSON on standard output."""
    _print(visible_json(json.dumps(to_json_value(value), ensure_ascii=False, indent=2)))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except UnicodeEncodeError:  # half a character, or a terminal that is not UTF-8
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def show_output(run: Run[Any]) -> None:
    """The output on standard output, one line about the run on standard error."""
    output = run.output
    if isinstance(output, str):
        out(output)
    elif isinstance(output, list) and output and all(isinstance(row, BaseModel) for row in output) and _is_flat(output):
        out(table(output))
    else:
        out_json(output)
    print(visible(summary(run)), file=sys.stderr, flush=True)


def summary(run: Run[Any]) -> str:
    """One line about what a run took."""
    used = run.usage
    parts = [f"{run.graph}: {run.status}", counted(used.steps, "step")]
    if used.model_calls:
        parts += [counted(used.model_calls, "model call"), f"{used.tokens} tokens"]
    if used.usd:
        parts.append(f"{used.usd:.4f} USD")
    if run.failures:
        parts.append(f"{len(run.failures)} failed")
    return ", ".join([*parts, f"{used.seconds:.1f} s"])


def show_error(error: BaseException) -> None:
    """What went wrong, and what was done before it."""
    text = _in_words_of_a_command(error)
    notes = [
        note for note in getattr(error, "__notes__", ()) if note.startswith(("raised by node", "ctx.deps is None"))
    ]
    if not isinstance(error, GraphflowError):
        text = f"{type(error).__name__}: {text}"
    print(visible(scrub(f"graphflow: {text}") + (f" ({'; '.join(notes[-2:])})" if notes else "")), file=sys.stderr)
    run = getattr(error, "run", None)
    if isinstance(run, Run) and run.steps:
        done = [step for step in run.steps if step.error is None]
        names = ", ".join(dict.fromkeys(step.node for step in done)) or "nothing"
        print(visible(f"graphflow: {summary(run)}; finished before that: {names}"), file=sys.stderr)


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


def _is_flat(rows: list[Any]) -> bool:
    scalars = (str, int, float, bool, type(None))
    return all(type(row) is type(rows[0]) and all(isinstance(v, scalars) for v in _values(row)) for row in rows)


def _values(row: BaseModel) -> list[Any]:
    return [getattr(row, name) for name in type(row).model_fields]


def _cell(value: Any) -> str:
    """A value in a table; wrapping a text takes time that grows with its square, and nobody reads a column of megabytes."""
    if value is None:
        return ""
    text = visible(str(to_json_value(value)))
    return (
        text
        if len(text) <= LONGEST
        else f"{text[:LONGEST]} [and {len(text) - LONGEST} more characters; --json has all]"
    )


def table(rows: list[Any], width: int | None = None) -> str:
    """Rows of one flat model as a table that fits the terminal; long texts are wrapped."""
    names = list(type(rows[0]).model_fields)
    cells = [[_cell(value) for value in _values(row)] for row in rows]
    keep = [i for i in range(len(names)) if any(row[i] for row in cells)]
    names, cells = [names[i] for i in keep], [[row[i] for i in keep] for row in cells]
    widths = _widths(names, cells, width or max(60, min(shutil.get_terminal_size((140, 24)).columns, 160)))
    lines = [_line(names, widths), _line(["-" * w for w in widths], widths)]
    for row in cells:
        wrapped = [textwrap.wrap(cell, w) or [""] for cell, w in zip(row, widths, strict=True)]
        for part in range(max(map(len, wrapped))):
            lines.append(_line([w[part] if part < len(w) else "" for w in wrapped], widths))
    return "\n".join(lines)


def _widths(names: list[str], cells: list[list[str]], total: int) -> list[int]:
    wanted = [max(len(names[i]), *(len(row[i]) for row in cells)) for i in range(len(names))]
    room = total - 2 * (len(names) - 1)
    while sum(wanted) > room:
        longest = max(range(len(wanted)), key=wanted.__getitem__)
        if wanted[longest] <= 12:
            break
        wanted[longest] -= 1
    return wanted


def _line(cells: list[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
