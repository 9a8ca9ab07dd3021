"""What is wrong with a graph: one text for each thing, with file and line where it was written.

Rules:
1. Problems are collected and reported together, each once; nothing is raised before the last proof is done.
2. A problem says both ends, both types, and what to change.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from graphflow.declaration.arrows import Where


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    text: str
    where: Where | None = None

    def __str__(self) -> str:
        if self.where is None:
            return self.text
        return f"{self.text} [{place_text(self.where)}]"


class Problems:
    """All that was found to be wrong with one graph, in the order in which it was found."""

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def add(self, text: str, where: Where | None = None) -> None:
        """Adds a problem, unless the same was found before."""
        problem = Problem(text, where)
        self._texts[str(problem)] = None

    def __bool__(self) -> bool:
        return bool(self._texts)

    @property
    def texts(self) -> tuple[str, ...]:
        """The problems as people read them."""
        return tuple(self._texts)


def place_text(where: Where) -> str:
    """File and line, the file as seen from the working directory where that is shorter; in a notebook the cell: In[4]:2.

    A place that has a `column`, as those in graph files have, is told with it.
    """
    file, line = where
    column = getattr(where, "column", None)
    cell = _cell_name(file)
    if cell:
        return f"{cell}:{line}"
    try:
        short = os.path.relpath(file)
    except ValueError:  # another drive
        short = file
    if short.startswith(".."):
        short = file
    if column is not None:
        return f"{short}:{line}:{column}"
    return f"{short}:{line}"


def _cell_name(file: str) -> str:
    """What IPython calls the cell that it has compiled from this file: a temporary one that nobody has seen."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    if get_shell is None:
        return ""
    compiler = getattr(get_shell(), "compile", None)
    name_of = getattr(compiler, "format_code_name", None)
    if name_of is None:
        return ""
    name = name_of(file)  # ("Cell", "In[4]"), or None for a file that is none of its own
    return "" if name is None else str(name[1])
