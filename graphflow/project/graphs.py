"""The graphs of a project, by name: the user's own, then those that come with graphflow.

Rules:
1. The nearest folder upwards that has `graphs/` is the project (never one above that everybody may write to); what it
   lacks is looked for in the one that comes with graphflow.
2. A graph is named by its file; the file holds a `Graph` of that name, or exactly one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
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
    own = project_above(start or Path.cwd())
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
    graphs = {each.name: each for each in find_all(start)}
    found = graphs.get(text)
    if found is None:
        raise _unknown(text, variable, graphs)
    if is_graph_file(found.file):
        return load_graph(found.file, Graph)
    return graph_in(found.file, found.root, variable)


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


def _unknown(text: str, variable: str, graphs: Mapping[str, Found]) -> UnknownGraph:
    """Why there is no graph of that name, and what was probably meant."""
    problem = f"no graph is named {text!r}"
    stem = Path(text)
    like = _file_called(stem)
    if like is not None:
        whole = str(like)
        if variable:
            whole += f":{variable}"
        return UnknownGraph(f"{problem}, but there is a file {like}; name the file: {whole}")
    near = difflib.get_close_matches(text, graphs, n=3)
    if near:
        guesses = " or ".join(near)
        return UnknownGraph(f"{problem}; did you mean {guesses}?")
    names = ", ".join(graphs) or "none"
    advice = f"give a .py or .yaml file, or one of these names: {names}"
    if stem.is_file():
        problem = f"{text} cannot hold a graph; {advice}"
    elif stem.is_dir():
        problem = f"{text} is a folder; {advice}"
    else:
        problem += f"; there is: {names}"
    return UnknownGraph(problem)


def _file_called(stem: Path) -> Path | None:
    """A file that could hold a graph and is called like that, but for its ending."""
    for ending in ENDINGS:
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
    return folder / near[0] if near else None
