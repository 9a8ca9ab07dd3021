"""The graph that a Python file declares.

A file holds a `Graph` in a variable that is called like the file, or exactly one. It is run as `python FILE` would run it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from graphflow.errors import FileUnreadable, GraphflowError, UnknownGraph
from graphflow.files.project_modules import fresh_spec, widen
from graphflow.graph import Graph, RunnableGraph


def graph_in(file: Path, root: Path, variable: str = "") -> RunnableGraph:
    """The graph that a file declares: that of a variable, else the one that is called like the file, else the only one."""
    graphs = graphs_in(file, root)
    if not variable:
        return _main_graph(file, graphs)
    if variable not in graphs:
        have = ", ".join(graphs) or "none"
        raise UnknownGraph(f"{file} has no graph {variable!r}; it has: {have}")
    return graphs[variable]


def graphs_in(file: Path, root: Path) -> dict[str, RunnableGraph]:
    """The graphs that a file declares, by variable."""
    module = _imported(file, root)
    graphs: dict[str, RunnableGraph] = {}
    for name, value in vars(module).items():
        if isinstance(value, Graph):
            graphs[name] = value
    return graphs


def _main_graph(file: Path, graphs: Mapping[str, RunnableGraph]) -> RunnableGraph:
    name = file.stem
    if name in graphs:
        return graphs[name]
    if not graphs:
        example = f"{name} = Graph({name!r}, START >> ... >> END)"
        raise UnknownGraph(f"{file} declares no graph; write {example}")
    every = list(graphs.values())
    same_name = [graph for graph in every if graph.name == name]
    choice = same_name or every
    if len(choice) == 1:
        return choice[0]
    variables = list(graphs)
    listed = ", ".join(variables)
    first = variables[0]
    example = f"{file}:{first}"
    raise UnknownGraph(f"{file} declares several graphs ({listed}); say which: {example}")


def _imported(file: Path, root: Path) -> ModuleType:
    # A file is run as `python FILE` would run it.
    folder = str(root)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    widen(root)
    path = file.resolve()
    name = _module_name(file, root)
    # Another project may have a file of that name.
    known = sys.modules.get(name)
    known_file = getattr(known, "__file__", None)
    if known is not None and known_file == str(path):
        return known
    spec = fresh_spec(name, path)
    if spec is None or spec.loader is None:
        raise FileUnreadable(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs, as pydantic looks up annotations there
    try:
        spec.loader.exec_module(module)
    except GraphflowError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        line = _line_in(error, path)
        place = f"{file}{line}"
        reason = f"{type(error).__name__}: {error}"
        raise FileUnreadable(f"{place} cannot be run: {reason}") from error
    return module


def _module_name(file: Path, root: Path) -> str:
    """The name that other modules import a file by, if there is one: under another its graphs would exist twice."""
    folder = file.resolve().parent
    graphs = root / "graphs"
    if folder == graphs.resolve():
        return f"graphs.{file.stem}"
    return f"graphflow_user_{file.stem}"


def _line_in(error: BaseException, file: Path) -> str:
    """The line of a file where an error was raised, the innermost one: ":12"."""
    line = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if Path(code.co_filename) == file:
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line
