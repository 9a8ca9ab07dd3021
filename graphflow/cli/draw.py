"""What `graphflow draw` does."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, TypeAlias

from graphflow import errors
from graphflow.cli.printing import out
from graphflow.proofs.proven import AnyGraph
from graphflow.render import draw, draw_run, to_ascii, to_mermaid, walked
from graphflow.render.forms.output import to_text
from graphflow.render.layout.program import CannotWrite

DrawArguments: TypeAlias = dict[str, Any]
"""The options of `Graph.draw` that were given."""


def levels(given: str | None) -> DrawArguments:
    """The option `--open`: a number, "all" or "auto"; nothing where it was not given.

    Raises:
        InputInvalid: it is something else.
    """
    if given is None:
        return {}
    if given in ("all", "auto"):
        return {"open": given}
    if not given.isdecimal():
        raise errors.InputInvalid(f"--open {given}: give a number of levels, or all")
    return {"open": int(given)}


def draw_graph(
    graph: AnyGraph, path: Path | None, events: Path | None, ascii: bool, look: DrawArguments
) -> None:
    """Draws a graph, or a recorded run of it: to a file, or as text."""
    if path is not None:
        _to_file(graph, path, events, look)
        return
    look.pop("theme", None)  # text has no colours
    width = shutil.get_terminal_size((100, 24)).columns
    if events is not None:
        drawn = walked(events, graph, **{"open": "flat", **look})
        text = to_text(drawn, ascii=ascii, width=width, unicode=_unicode())
    elif ascii:
        text = to_ascii(graph, width=width, unicode=_unicode(), **look)
    else:
        text = to_mermaid(graph, **look)
    out(text.rstrip("\n"))


def _to_file(graph: AnyGraph, path: Path, events: Path | None, look: DrawArguments) -> None:
    """Draws to a file; to Mermaid beside it if what this kind of file takes is not installed."""
    try:
        written = _write(graph, path, events, look)
    except errors.MissingExtra as error:
        instead = path.with_suffix(".mmd")
        _write(graph, instead, events, look)
        note = f"wrote Mermaid to {instead} instead"
        if isinstance(error, CannotWrite):
            raise CannotWrite(error.program, error.kind, note) from None
        kind = path.suffix[1:].upper()
        advice = f"or install graphviz; {note}"
        raise errors.MissingExtra(f"drawing {kind}", error.extra, advice) from None
    out(f"wrote {written}")


def _write(graph: AnyGraph, path: Path, events: Path | None, look: DrawArguments) -> str:
    if events is not None:
        return draw_run(events, path, graph=graph, **look)
    return draw(graph, path, **look)


def _unicode() -> bool:
    """Whether the terminal can show the characters that boxes are drawn with."""
    encoding = sys.stdout.encoding or ""
    return "utf" in encoding.lower()
