"""What `graphflow draw` and `graphflow diff` do."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from graphflow import errors
from graphflow.cli.show import out
from graphflow.graph import Graph
from graphflow.project import load
from graphflow.render import Difference, diff, draw, draw_run, read_records, to_ascii, to_mermaid, walked
from graphflow.render.layout.program import CannotWrite
from graphflow.render.writing import to_text


def levels(given: str | None) -> dict[str, Any]:
    """What `--open` says: a number, "all" or "auto"; nothing where it was not given.

    Raises:
        InputInvalid: it is none of these.
    """
    if given is None:
        return {}
    if given in ("all", "auto"):
        return {"open": given}
    if not given.isdecimal():
        raise errors.InputInvalid(f"--open {given}: give a number of levels, or all")
    return {"open": int(given)}


def draw_graph(
    found: Graph[Any, Any], path: Path | None, events: Path | None, ascii: bool, look: dict[str, Any]
) -> None:
    """Draws a graph, or a recorded walk over it: to a file, or as text."""
    if path is not None:
        _to_file(found, path, events, look)
        return
    look.pop("theme", None)
    width = shutil.get_terminal_size((100, 24)).columns
    if events is not None:
        drawn = walked(events, found, **{"open": "flat", **look})
        out(to_text(drawn, ascii=ascii, width=width, unicode=_unicode()).rstrip("\n"))
    elif ascii:
        out(to_ascii(found, width=width, unicode=_unicode(), **look).rstrip("\n"))
    else:
        out(to_mermaid(found, **look).rstrip())


def _to_file(found: Graph[Any, Any], path: Path, events: Path | None, look: dict[str, Any]) -> None:
    def write(to: Path) -> str:
        if events is not None:
            return draw_run(events, to, graph=found, **look)
        return draw(found, to, **look)

    try:
        out(f"wrote {write(path)}")
    except errors.MissingExtra as error:
        instead = path.with_suffix(".mmd")
        write(instead)
        if isinstance(error, CannotWrite):
            raise CannotWrite(error.program, error.kind, f"wrote Mermaid to {instead} instead") from None
        raise errors.MissingExtra(
            f"drawing {path.suffix[1:].upper()}",
            error.extra,
            f"or install graphviz; wrote Mermaid to {instead} instead",
        ) from None


def _unicode() -> bool:
    """Whether the terminal can show line signs."""
    return "utf" in (sys.stdout.encoding or "").lower()


def compare(a: str, b: str, graph: str | None, look: dict[str, Any]) -> Difference:
    """What differs between two graphs, or two files of events."""
    if _is_record(a) != _is_record(b):
        raise errors.InputInvalid(f"{a} and {b}: compare two graphs, or two files of events, not one of each")
    names = (a, b)
    if not _is_record(a):
        return diff(load(a), load(b), names=names, **look)
    one, other = read_records(a), read_records(b)
    return diff(one, other, graph=_walked_graph([*one, *other], graph), names=names, **look)


def _is_record(text: str) -> bool:
    return Path(text).suffix in (".jsonl", ".ndjson")


def _walked_graph(records: list[dict[str, Any]], named: str | None) -> Graph[Any, Any] | None:
    """The graph that was walked, if it is in reach; a record names it."""
    if named is not None:
        return load(named)
    told = [record.get("graph") for record in records if record["kind"] == "run.start"]
    if not told or not all(name == told[0] and isinstance(name, str) for name in told):
        return None
    try:
        found = load(str(told[0])) if str(told[0]).isidentifier() else None
    except errors.GraphflowError:
        return None
    return found
