"""What a run is given on a command line: behind the graph's name, from standard input, from a file, field by field."""

from __future__ import annotations

import sys
from pathlib import Path

from graphflow.cli.project_options import message_meant
from graphflow.errors import InputInvalid
from graphflow.graph import RunnableGraph
from graphflow.project.message import read_message
from graphflow.regular import read_regular

STANDARD_INPUT = "-"


def stated_text(text: str | None, file: Path | None) -> str | None:
    """The text that is given; None: there is none.

    Raises:
        InputInvalid: it is given twice.
        FileUnreadable: the file cannot be read, or is not text.
    """
    if file is not None and text is not None:
        raise InputInvalid(
            f"--input-file {file}: the input is given behind the graph's name, too; leave one of them out"
        )
    if text == STANDARD_INPUT or str(file) == STANDARD_INPUT:
        return sys.stdin.read()
    if file is None:
        return text
    return read_regular(file)


def message_of(
    graph: RunnableGraph, text: str | None, fields: dict[str, str], *, is_main: bool
) -> object:
    """The message that a run is given.

    Args:
        graph: who takes it.
        text: what was given as a whole.
        fields: what was given one by one.
        is_main: whether it is the project's own graph, for which the project may have a message.

    Raises:
        InputInvalid: it cannot be read as what the graph takes.
    """
    # What the project file says is meant for its own graph alone.
    if is_main:
        text = message_meant(text, bool(fields))
    return read_message(graph, text, fields)
