"""`graphflow list`: the graphs that can be run by name."""

from __future__ import annotations

import shutil
import sys
import textwrap

from graphflow.cli.printing import out
from graphflow.errors import GraphflowError
from graphflow.messages.types import type_name
from graphflow.project.graph_files import find_all
from graphflow.project.graphs import load
from graphflow.project.here import project_here


def show_graphs() -> None:
    """One line a graph: its name, what it takes and answers, what it is for."""
    project_here()  # graphs may refer to variables of its `.env`
    every = find_all()
    width = max((len(each.name) for each in every), default=0)
    for each in every:
        # One that cannot be loaded must not hide the others.
        try:
            found = load(each.name)
        except GraphflowError as error:
            lines = [line.strip() for line in str(error).splitlines()]
            reason = " ".join(lines[:2])
            _show(each.name, f"cannot be loaded: {reason}", width)
            continue
        types = f"{type_name(found.input)} -> {type_name(found.output)}"
        _show(each.name, f"{types}  {found.description}".rstrip(), width)


def _show(name: str, text: str, width: int) -> None:
    """One line; on a terminal, what goes over the edge stands below its beginning."""
    line = f"{name:<{width}}  {text}"
    # Through a pipe a line is a graph, for programs.
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        indent = " " * (width + 2)
        line = textwrap.fill(line, columns, subsequent_indent=indent, drop_whitespace=False)
    out(line)
