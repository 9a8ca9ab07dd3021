"""What `graphflow draw` and `graphflow diff` do."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, TypeAlias

from graphflow import errors
from graphflow.cli.show import out
from graphflow.project.graphs import load
from graphflow.proofs.proven import AnyGraph
from graphflow.render import Difference, diff, draw, draw_run, read_records, to_ascii, to_mermaid, walked
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


def draw_graph(graph: AnyGraph, path: Path | None, events: Path | None, ascii: bool, look: DrawArguments) -> None:
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


def compare(a: str, b: str, graph: str | None, look: DrawArguments) -> Difference:
    """What differs between two graphs, or two files of events."""
    # Told apart by their endings, as a graph may be named like any file.
    are_records = _is_record(a)
    if _is_record(b) != are_records:
        raise errors.InputInvalid(f"{a} and {b}: compare two graphs, or two files of events, not one of each")
    names = (a, b)
    if not are_records:
        before = load(a)
        after = load(b)
        return diff(before, after, names=names, **look)
    one = read_records(a)
    other = read_records(b)
    graph_of_both = _graph_of([*one, *other], graph)
    return diff(one, other, graph=graph_of_both, names=names, **look)


def _is_record(text: str) -> bool:
    return Path(text).suffix in (".jsonl", ".ndjson")


def _graph_of(records: list[dict[str, Any]], name: str | None) -> AnyGraph | None:
    """The graph that was walked, if it is in reach: the one that is named, else the one that the records name."""
    if name is not None:
        return load(name)
    starts = [record for record in records if record["kind"] == "run.start"]
    names = [start.get("graph") for start in starts]
    if not names or names.count(names[0]) < len(names):
        return None
    only = names[0]
    # A word only: a record comes from anywhere, and must not have a file of its choice imported.
    if not isinstance(only, str) or not only.isidentifier():
        return None
    try:
        return load(only)
    except errors.GraphflowError:
        return None
