"""The graphs of a project, by name or by file: the user's own, then those that come with graphflow.

A graph is named by its file (`graph_files`); the file holds a `Graph` of that name, or exactly one.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from graphflow.errors import FileUnreadable, UnknownGraph
from graphflow.files.loader import is_graph_file
from graphflow.files.project_modules import project_above
from graphflow.files.reader import load_graph
from graphflow.graph import Graph, RunnableGraph
from graphflow.project.graph_files import ENDINGS, Found, find_all
from graphflow.project.python_file import graph_in


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


def find_file(name_or_file: str, start: Path | None = None) -> Path:
    """The file of the graph of that name, or that file.

    Raises:
        UnknownGraph: there is none; the text lists near names.
        FileUnreadable: the file is missing.
    """
    text, variable = _split(name_or_file)
    file = Path(text)
    is_path = "\0" not in text and file.suffix in ENDINGS
    if is_path and not file.exists():
        raise _missing(file)
    if is_path:
        return file.resolve()
    return _find(text, variable, start).file


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
    advice = f"give a .py, .yaml, .json or .toml file, or one of these names: {listed}"
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
