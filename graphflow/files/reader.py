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
4. `${NAME}` and `${NAME:-default}` in a value are a variable's, put in after the file was read (`graphflow.variables`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from graphflow.errors import GraphError, GraphflowError, MissingExtra
from graphflow.files.arrows import ArrowReader
from graphflow.files.document import Marks, PlainMapping
from graphflow.files.includes import INCLUDE, Includer
from graphflow.files.loader import parse, read_text
from graphflow.files.memories import PART as MEMORY_PART
from graphflow.files.memories import MemoryReader
from graphflow.files.messages import MESSAGES, MessageReader
from graphflow.files.models import ModelReader
from graphflow.files.names import Names
from graphflow.files.nodes import NodeReader, OptionReader, Options
from graphflow.files.problems import AlreadyReported, FileProblems
from graphflow.files.project_modules import ProjectModules
from graphflow.files.sources import GraphSource, GraphSources
from graphflow.files.states import PARTS as STATE_PARTS
from graphflow.files.states import StateReader
from graphflow.files.types import Types
from graphflow.files.values import Checker, shown
from graphflow.files.words import check_graph, graph_shape
from graphflow.messages.message import error_text
from graphflow.proofs.problems import place_text
from graphflow.proofs.proven import AnyGraph
from graphflow.variables import Expansion

G = TypeVar("G", bound=AnyGraph)

_PARTS = ("graph", "nodes", "edges", MEMORY_PART, MESSAGES, INCLUDE, "$schema", "kind")
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
    document = parse(text, where)
    project = None if root is None else Path(root)
    modules = ProjectModules.of(file, project)
    sources = GraphSources(GraphSource(where, document.marks))
    return _read(document.data, sources, modules, make)


def read_graph(declared: object, make: Callable[..., G], *, where: str = "graph") -> G:
    """The graph that plain data declares (what a YAML file holds), in the project of the working directory."""
    modules = ProjectModules.of(None)
    sources = GraphSources(GraphSource(where, Marks()))
    return _read(declared, sources, modules, make)


def _read(
    declared: object, sources: GraphSources, modules: ProjectModules, make: Callable[..., G]
) -> G:
    """The graph of a file, with all that the file includes, and the values of variables in it."""
    problems = FileProblems(sources)
    if not isinstance(declared, Mapping):
        raise problems.error(
            f"{shown(declared)} is not a graph; it needs the keys graph, nodes and edges"
        )
    includer = Includer(problems, modules.folders)
    whole = _with_variables(includer.whole(declared), problems)
    messages = MessageReader(problems, whole, includer.is_incomplete)
    reader = GraphReader(whole, problems, modules, messages, make, includer.is_incomplete)
    return reader.graph()


def _with_variables(declared: PlainMapping, problems: FileProblems) -> PlainMapping:
    """What the file holds, with the values of variables in the places of `${NAME}`."""
    expansion = Expansion(os.environ)
    expanded = {key: expansion.expanded(each, (key,)) for key, each in declared.items()}
    for path, problem in expansion.problems:
        problems.report_at(path, problem)
    # From here on they are looked for in all that leaves this process.
    expansion.remember()
    return expanded


class GraphReader(Generic[G]):
    """Reads one graph: that of a file, or one that stands in its place in another.

    Args:
        declared: what is said of it.
        problems: where it stands, and what is wrong with it.
        modules: those that it may name.
        messages: those that its file declares.
        make: what makes the graph.
        is_incomplete: whether something that the file includes could not be taken.
    """

    def __init__(
        self,
        declared: PlainMapping,
        problems: FileProblems,
        modules: ProjectModules,
        messages: MessageReader,
        make: Callable[..., G],
        is_incomplete: bool = False,
    ) -> None:
        self.problems = problems
        self.declared = declared
        self.messages = messages
        self._modules = modules
        self._make = make
        self._is_refused = False
        """Whether its keys or values have been found wrong before it is read."""
        names = Names(problems, modules)
        types = Types(names, messages)
        self.types = types
        models = ModelReader(problems, names)
        self.states = StateReader(types, declared)
        self.memories = MemoryReader(problems, declared)
        self.options = OptionReader(types, models, self.states)
        self.nodes = NodeReader(names, self.options, declared, self._inner, is_incomplete)
        self.arrows = ArrowReader(types, self.nodes, self.states)

    def _inner(self, name: str, declared: PlainMapping) -> G:
        """The graph that stands in the place of a node, with what its file declares for all."""
        problems = self.problems.inside()
        whole = {**declared, "graph": name}
        reader = GraphReader(whole, problems, self._modules, self.messages, self._make)
        before = len(problems.found)
        parts = reader.read()
        # What is wrong with it is told with everything else.
        if len(problems.found) > before:
            raise AlreadyReported(name)
        return reader.made(*parts)

    def graph(self) -> G:
        """The graph, if nothing is wrong.

        Raises:
            FileUnreadable: everything that is wrong.
        """
        # Everything is tried, whatever went wrong before it, so that all problems are found in one go.
        self._check()
        self.messages.make_all(self.types.read)
        self._is_refused = bool(self.problems.found)
        parts = self.read()
        self.problems.raise_all()
        return self.made(*parts)

    def read(self) -> tuple[list[Any], Options]:
        """The arrows and options; what is wrong with any part is among the problems."""
        before = len(self.problems.found)
        self.states.make_all()
        self.nodes.provide(self.memories.nodes())
        self.nodes.make_all()
        arrows = self.declared.get("edges")
        paths = self.arrows.read_all(arrows)
        self.nodes.check_named()
        options = self._options()
        if (
            len(self.problems.found) == before and not self._is_refused
        ):  # else an option may be one that is reported already
            read_options = partial(self.options.read, options)
            self.problems.attempt(read_options)
        return paths, options

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

    def made(self, paths: list[Any], options: Options) -> G:
        """The graph of its arrows and options."""
        name = self.declared.get("graph", "")
        try:
            return self._make(name, *paths, **options)
        except GraphError as error:
            main = self.problems.sources.main
            path = self.problems.base or ("graph",)
            place = self.problems.sources.written_at(path) or (main.where, 1)
            raise GraphError(name, error.problems, place_text(place)) from None
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
            elif part == MESSAGES:
                self.messages.give_up(name)
            elif part == MEMORY_PART:
                self.memories.give_up(name)
