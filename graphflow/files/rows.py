"""The line of a file that a problem is about, as it is shown below the problem: without what may be a secret."""

from __future__ import annotations

import re

from graphflow.errors import FileProblem, FileUnreadable
from graphflow.files.secrets import names_secret
from graphflow.redaction import scrub

MAX_SHOWN_ROW = 100
"""Characters of a line that are shown around a problem."""
MAX_ROW = 2_000
"""Characters of a line of which something is shown: what names a value in a longer one may be far from it."""
_NAME = re.compile(r"""([\w-]+)["']?\s*[:=]\s*(?!["']?\$)""")
"""What names a value. One that is a variable, $NAME, is not a secret itself."""


def shown_row(row: str, column: int) -> tuple[str, int]:
    """The part of a line that a problem is about.

    Args:
        row: the line.
        column: where in it the problem is, counted from one.

    Returns:
        What is shown, and how many characters of it come before the problem; -1 where nothing can be pointed at.
    """
    if len(row) > MAX_ROW:
        return "", -1
    masked = scrub(_masked(row))
    before = column - 1
    # What is masked in front of the problem moves it.
    is_moved = masked[:before] != row[:before]
    start = 0
    if len(masked) > MAX_SHOWN_ROW:
        start = max(0, before - MAX_SHOWN_ROW // 2)
    end = start + MAX_SHOWN_ROW
    part = masked[start:end]
    part = part.replace("\t", " ")  # one column each, for what points at it
    shown = part.strip()
    if is_moved:
        return shown, -1
    # Without what indents it, which says nothing here.
    stripped = part.lstrip()
    blank = len(part) - len(stripped)
    return shown, before - start - blank


def _masked(row: str) -> str:
    """The row up to the first value that goes by the name of a secret: where such a value ends, nobody can tell."""
    for found in _NAME.finditer(row):
        name = found[1]
        singular = name.removesuffix("s")  # keys: [...]
        if not names_secret(name) and not names_secret(singular):
            continue
        end = found.end()
        return f"{row[:end]}[secret]"
    return row


def problem_text(problem: FileProblem) -> str:
    """A problem in one line: its place, and what is wrong."""
    file = problem.file
    line = problem.line
    column = problem.column
    # Given as data, it stands in no line.
    if line == 0:
        return f"{file}: {problem.text}"
    return f"{file}:{line}:{column}: {problem.text}"


def problem_lines(problem: FileProblem) -> list[str]:
    """The same with the line of the file below it, for a terminal."""
    text = problem_text(problem)
    row = problem.row
    indent = problem.indent
    if not row:
        return [text]
    lines = [text, f"    {row}"]
    # Not where something in front of it is not shown.
    if indent >= 0:
        space = " " * indent
        lines.append(f"    {space}^")
    return lines


def file_error(problem: FileProblem) -> FileUnreadable:
    """The error for one problem."""
    lines = problem_lines(problem)
    error = FileUnreadable("\n".join(lines))
    error.problems = (problem,)
    return error
