"""The same graph in YAML: the same words, the same arrow strings; both forms build the same object.

    graph: desk
    model: local:smollm2
    limits: {depth: 3}
    nodes:
      planner:    {kind: agent, output: "list[messages:Question]", prompt: "Split: {{ text }}"}
      researcher: {kind: agent, input: messages:Question, output: messages:Finding, tools: [tools.search:search]}
      merge:      steps.merge:merge
    edges:
      - START >> planner
      - planner.each >> researcher >> merge >> END

Rules:
1. **A file is code**: `module:name` is imported, servers and commands are started. Read one before you run it as you would
   read a script. What it can import is bounded: modules of its own project, by their place (`project_modules.py`); what it can call
   are nodes, and functions that such a module defines itself. Arrows are parsed, never evaluated.
2. An unknown key, a duplicate key, a value of the wrong kind, a name that cannot be found: all are reported at once, with
   file and line and what is allowed there (`problems.py`).
3. YAML is read as version 1.2: `no` is a word, not False (`loader.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from graphflow.errors import FileUnreadable, GraphError, GraphflowError, MissingExtra
from graphflow.files.arrows import ArrowReader
from graphflow.files.loader import Marks, parse, read_text
from graphflow.files.models import ModelReader
from graphflow.files.names import Names
from graphflow.files.nodes import NodeReader, OptionReader, Options
from graphflow.files.problems import FileProblems
from graphflow.files.project_modules import ProjectModules
from graphflow.files.states import PARTS as STATE_PARTS
from graphflow.files.states import StateReader
from graphflow.files.types import Types
from graphflow.files.values import Checker
from graphflow.files.words import check_graph, graph_shape
from graphflow.messages.message import error_text
from graphflow.proofs.proven import AnyGraph

G = TypeVar("G", bound=AnyGraph)

_PARTS = ("graph", "nodes", "edges")
"""The keys that are not options."""


def load_graph(path: str | Path, make: Callable[..., G], root: str | Path | None = None) -> G:
    """The graph that a YAML file declares. Its modules are those of its project, or stand beside it.

    Args:
        path: the file.
        make: what makes the graph of a name, arrows and options: `Graph`, which stands above this room.
        root: the folder of its project instead, for a program that keeps its files elsewhere.

    Raises:
        FileUnreadable: the file is missing, is not YAML, or names what is not there; the text gives file and line.
        GraphError: the graph is unsound.
    """
    file = Path(path)
    where = str(file)
    text = read_text(file)
    declared, marks = parse(text, where)
    project = None if root is None else Path(root)
    modules = ProjectModules.of(file, project)
    reader = GraphReader(declared, where, marks, modules)
    return reader.graph(make)


def read_graph(declared: object, make: Callable[..., G], *, where: str = "graph") -> G:
    """The graph that plain data declares (what a YAML file holds), in the project of the working directory."""
    modules = ProjectModules.of(None)
    no_lines = Marks()
    reader = GraphReader(declared, where, no_lines, modules)
    return reader.graph(make)


class GraphReader:
    """Reads one file.

    Args:
        declared: what the file holds.
        where: its name.
        marks: the lines of what it holds.
        modules: those that it may name.
    """

    def __init__(self, declared: object, where: str, marks: Marks, modules: ProjectModules) -> None:
        if not isinstance(declared, Mapping):
            raise FileUnreadable(
                f"{where} does not hold a graph; it needs the keys graph, nodes and edges"
            )
        self.declared: Mapping[Any, Any] = declared
        self.problems = FileProblems(where, marks)
        names = Names(self.problems, modules)
        types = Types(names)
        models = ModelReader(self.problems)
        self.states = StateReader(types, declared)
        self.options = OptionReader(types, models, self.states)
        self.nodes = NodeReader(names, self.options, declared)
        self.arrows = ArrowReader(types, self.nodes, self.states)

    def graph(self, make: Callable[..., G]) -> G:
        """The graph, if nothing is wrong.

        Raises:
            FileUnreadable: everything that is wrong.
        """
        # Everything is tried, whatever went wrong before it, so that all problems are found in one go.
        self._check()
        self.states.make_all()
        self.nodes.make_all()
        arrows = self.declared.get("edges")
        paths = self.arrows.read_all(arrows)
        options = self._options()
        if not self.problems.texts:  # else an option may be one that is reported already
            read_options = partial(self.options.read, options)
            self.problems.attempt(read_options)
        self.problems.raise_all()
        return self._made(make, paths, options)

    def _options(self) -> Options:
        """The options of the graph itself."""
        shape = graph_shape("")
        options: Options = {}
        for key, value in self.declared.items():
            if key in _PARTS or key not in shape.keys:
                continue
            if value is not None:
                options[key] = value
        return options

    def _made(self, make: Callable[..., G], paths: list[Any], options: Options) -> G:
        name = self.declared.get("graph", "")
        try:
            return make(name, *paths, **options)
        except GraphError as error:
            line = self.problems.marks.line(("graph",))
            place = f"{self.problems.where}:{line or 1}"
            raise GraphError(name, error.problems, place) from None
        except MissingExtra:
            raise
        except GraphflowError as error:
            text = error_text(error)
            raise self.problems.error(text) from error
        except Exception as error:  # of the options' own classes, or of a type that a file names
            kind = type(error).__name__
            raise self.problems.error(f"{kind}: {error}") from error

    def _check(self) -> None:
        """Reports keys and values that cannot be, and gives up the nodes that have them."""
        checker = Checker()
        check_graph(self.declared, checker)
        for path, problem in checker.problems:
            self.problems.report_at(path, problem)
            if len(path) < 2:
                continue
            part, name, *_ = map(str, path)
            if part == "nodes":
                self.nodes.give_up(name)
            elif part in STATE_PARTS:
                self.states.give_up(name)


def is_graph_file(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a YAML file."""
    ending = Path(path).suffix
    return ending.lower() in (".yaml", ".yml")
