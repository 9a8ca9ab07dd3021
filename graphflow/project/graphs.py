"""The graphs of a project, by name: the user's own, then those that come with graphflow.

Rules:
1. The nearest folder upwards that has `graphs/` is the project (never one above that everybody may write to); what it
   lacks is looked for in the one that comes with graphflow.
2. A graph is named by its file; the file holds a `Graph` of that name, or exactly one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphflow.errors import FileUnreadable, UnknownGraph
from graphflow.files import is_graph_file, load_graph
from graphflow.files.project_modules import project_above, shipped_root
from graphflow.graph import Graph, RunnableGraph
from graphflow.project.python_file import graph_in

ENDINGS = (".py", ".yaml", ".yml")
"""How files end that can hold a graph."""


@dataclass(frozen=True, slots=True)
class Found:
    """A graph that can be run by name."""

    name: str
    file: Path
    root: Path


def roots(start: Path | None = None) -> list[Path]:
    """The user's project, if there is one, then the one that comes with graphflow."""
    here = start or Path.cwd()
    own = project_above(here)
    shipped = shipped_root()
    if own is None or own == shipped:
        return [shipped]
    return [own, shipped]


def find_all(start: Path | None = None) -> list[Found]:
    """Every graph in reach, by name; the user's own hides a shipped one of the same name."""
    found: dict[str, Found] = {}
    for root in roots(start):
        for graph in _graphs_of(root):
            # The user's own root comes first, and the first of a name stays.
            found.setdefault(graph.name, graph)
    names = sorted(found)
    return [found[name] for name in names]


def _graphs_of(root: Path) -> Iterator[Found]:
    """The graphs that one project declares."""
    folder = root / "graphs"
    for file in sorted(folder.iterdir()):
        is_private = file.name.startswith("_")
        if file.suffix in ENDINGS and not is_private:
            yield Found(file.stem, file, root)


def load(name_or_file: str, start: Path | None = None) -> RunnableGraph:
    """The graph of that name, in that file, or `FILE:VARIABLE`.

    Raises:
        UnknownGraph: there is none; the text lists near names.
        FileUnreadable: the file is missing, or is not Python that can be run.
    """
    text, variable = _split(name_or_file)
    file = Path(text)
    is_path = "\0" not in text and file.suffix in ENDINGS
    if is_path and not file.exists():
        raise _missing(file)
    if is_graph_file(text):
        return load_graph(text, Graph)
    if is_path:
        folder = file.resolve().parent
        root = project_above(folder) or folder
        return graph_in(file, root, variable)
    found = _find(text, variable, start)
    if is_graph_file(found.file):
        return load_graph(found.file, Graph)
    return graph_in(found.file, found.root, variable)


def _find(name: str, variable: str, start: Path | None) -> Found:
    graphs = find_all(start)
    for graph in graphs:
        if graph.name == name:
            return graph
    names = [graph.name for graph in graphs]
    problem = _problem_of(name, variable, names)
    raise UnknownGraph(problem)


def _split(name_or_file: str) -> tuple[str, str]:
    """A name or file, and the variable behind its colon; a file may have a colon in its name."""
    if Path(name_or_file).is_file():
        return name_or_file, ""
    text, _, variable = name_or_file.partition(":")
    return text, variable


def _missing(file: Path) -> FileUnreadable:
    problem = f"there is no file {file}"
    stem = file.with_suffix("")
    like = _file_called(stem) or _file_near(file)
    if like is not None:
        problem += f"; did you mean {like}?"
    return FileUnreadable(problem)


def _problem_of(text: str, variable: str, names: Sequence[str]) -> str:
    """Why there is no graph of that name, and what was probably meant."""
    problem = f"no graph is named {text!r}"
    stem = Path(text)
    like = _file_called(stem)
    if like is not None:
        whole = str(like)
        if variable:
            whole += f":{variable}"
        return f"{problem}, but there is a file {like}; name the file: {whole}"
    near = difflib.get_close_matches(text, names, n=3)
    if near:
        guesses = " or ".join(near)
        return f"{problem}; did you mean {guesses}?"
    listed = ", ".join(names) or "none"
    advice = f"give a .py or .yaml file, or one of these names: {listed}"
    if stem.is_file():
        return f"{text} cannot hold a graph; {advice}"
    if stem.is_dir():
        return f"{text} is a folder; {advice}"
    return f"{problem}; there is: {listed}"


def _file_called(stem: Path) -> Path | None:
    """A file that could hold a graph and is called like that, but for its ending."""
    for ending in ENDINGS:
        # Not with_suffix: a graph called v1.2 would lose the end of its name.
        file = stem.parent / f"{stem.name}{ending}"
        if file.is_file():
            return file
    return None


def _file_near(file: Path) -> Path | None:
    """A file that could hold a graph, beside one that is not there, with nearly its name."""
    folder = file.parent
    if not folder.is_dir():
        return None
    beside = sorted(folder.iterdir())
    names = [each.name for each in beside if each.suffix in ENDINGS]
    near = difflib.get_close_matches(file.name, names, n=1)
    if not near:
        return None
    return folder / near[0]
