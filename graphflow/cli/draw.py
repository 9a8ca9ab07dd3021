"""What `graphflow draw` and `graphflow diff` do."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from graphflow import errors
from graphflow.cli.show import out
from graphflow.project.graphs import load
from graphflow.proofs.proven import AnyGraph
from graphflow.render import Difference, diff, draw, draw_run, read_records, to_ascii, to_mermaid, walked
from graphflow.render.forms.output import to_text
from graphflow.render.layout.program import CannotWrite


def levels(given: str | None) -> dict[str, Any]:
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


def draw_graph(graph: AnyGraph, path: Path | None, events: Path | None, ascii: bool, look: dict[str, Any]) -> None:
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


def _to_file(graph: AnyGraph, path: Path, events: Path | None, look: dict[str, Any]) -> None:
    """Draws to a file; to Mermaid beside it if what this kind of file takes is not installed."""
    try:
        out(f"wrote {_write(graph, path, events, look)}")
    except errors.MissingExtra as error:
        instead = path.with_suffix(".mmd")
        _write(graph, instead, events, look)
        note = f"wrote Mermaid to {instead} instead"
        if isinstance(error, CannotWrite):
            raise CannotWrite(error.program, error.kind, note) from None
        drawing = f"drawing {path.suffix[1:].upper()}"
        raise errors.MissingExtra(drawing, error.extra, f"or install graphviz; {note}") from None


def _write(graph: AnyGraph, path: Path, events: Path | None, look: dict[str, Any]) -> str:
    if events is not None:
        return draw_run(events, path, graph=graph, **look)
    return draw(graph, path, **look)


def _unicode() -> bool:
    """Whether the terminal can show the characters that boxes are drawn with."""
    return "utf" in (sys.stdout.encoding or "").lower()


def compare(a: str, b: str, graph: str | None, look: dict[str, Any]) -> Difference:
    """What differs between two graphs, or two files of events."""
    # Told apart by their endings, as a graph may be named like any file.
    if _is_record(a) != _is_record(b):
        raise errors.InputInvalid(f"{a} and {b}: compare two graphs, or two files of events, not one of each")
    names = (a, b)
    if not _is_record(a):
        return diff(load(a), load(b), names=names, **look)
    one, other = read_records(a), read_records(b)
    graph_of_both = _graph_of([*one, *other], graph)
    return diff(one, other, graph=graph_of_both, names=names, **look)


def _is_record(text: str) -> bool:
    return Path(text).suffix in (".jsonl", ".ndjson")


def _graph_of(records: list[dict[str, Any]], name: str | None) -> AnyGraph | None:
    """The graph that was walked, if it is in reach: the one that is named, else the one that the records name."""
    if name is not None:
        return load(name)
    names = [record.get("graph") for record in records if record["kind"] == "run.start"]
    first = names[0] if names else None
    # A word only: a record comes from anywhere, and must not have a file of its choice imported.
    if not isinstance(first, str) or not first.isidentifier():
        return None
    if any(name != first for name in names):
        return None
    try:
        return load(first)
    except errors.GraphflowError:
        return None
