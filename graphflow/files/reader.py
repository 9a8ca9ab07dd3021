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
   read a script. What it can import is bounded: modules of its own project, by their place (`places.py`); what it can call
   are nodes, and functions that such a module defines itself. Arrows are parsed, never evaluated.
2. An unknown key, a duplicate key, a value of the wrong kind, a name that cannot be found: all are told at once, with file
   and line and what is allowed there.
3. YAML is read as version 1.2: `no` is a word, not False (`loader.py`).
"""

from __future__ import annotations

import ast
import difflib
import os
from pathlib import Path
from typing import Any

from graphflow.declaration.arrows import END, START, connect
from graphflow.declaration.node import Node
from graphflow.errors import DeclarationError, FileUnreadable, GraphError, GraphflowError, MissingExtra
from graphflow.files.kinds import Kinds
from graphflow.files.loader import Marks, parse, read_text
from graphflow.files.names import Unmade, parsed
from graphflow.files.places import Places
from graphflow.files.values import Checker, shown
from graphflow.files.words import check_graph, graph_shape
from graphflow.graph import Graph
from graphflow.messages.message import Failure, LimitReached, arms, error_text, type_name

MOST_PROBLEMS = 50
"""Problems of one file that are told."""


def load_graph(path: str | Path, root: str | Path | None = None) -> Graph[Any, Any]:
    """The graph that a YAML file declares. Its modules are those of its project, or stand beside it.

    Args:
        path: the file.
        root: the folder of its project instead, for a program that keeps its files elsewhere.

    Raises:
        FileUnreadable: the file is missing, is no YAML, or names what is not there; the text gives file and line.
        GraphError: the graph is unsound.
    """
    file = Path(path)
    declared, marks = parse(read_text(file), str(file))
    return _Reader(declared, str(file), marks, Places.of(file, None if root is None else Path(root))).graph()


def read_graph(declared: Any, *, where: str = "graph") -> Graph[Any, Any]:
    """The graph that plain data declares (what a YAML file holds), in the project of the working directory."""
    return _Reader(declared, where, Marks(), Places.of(None)).graph()


class _Reader(Kinds):
    """One file under way."""

    def graph(self) -> Graph[Any, Any]:
        """The graph, if nothing is wrong.

        Raises:
            FileUnreadable: everything that is wrong.
        """
        self._check()
        for name in self.entries:
            if isinstance(name, str):
                self._try(lambda name=name: self._made(name))
        edges = self.declared.get("edges")
        paths = [self._try(lambda at=at: self._path(at)) for at in range(len(edges) if isinstance(edges, list) else 0)]
        options = {key: self.declared[key] for key in graph_shape("").keys if self.declared.get(key) is not None}
        name = options.pop("graph", "")
        for key in ("nodes", "edges"):
            options.pop(key, None)
        if not self.problems:
            self._try(lambda: self._read_options(options))
        self._raise()
        try:
            return Graph(name, *paths, **options)
        except GraphError as error:
            raise GraphError(name, error.problems, f"{self.where}:{self.marks.line(('graph',)) or 1}") from None
        except MissingExtra:
            raise
        except Exception as error:
            told = error_text(error) if isinstance(error, GraphflowError) else f"{type(error).__name__}: {error}"
            raise self._wrong(told) from error

    def _check(self) -> None:
        """Notes keys and values that cannot be, and which nodes have them."""
        checker = Checker()
        check_graph(self.declared, checker)
        for path, problem in checker.problems:
            self.problems[self._told(path, problem)] = None
            if path[:1] == ("nodes",):
                self.failed.add(path[1]) if len(path) > 1 else None

    def _try(self, make: Any) -> Any:
        """What is made, or None if it cannot be; why is noted."""
        try:
            with self._within():
                return make()
        except Unmade:
            return None
        except FileUnreadable as error:
            self.problems[str(error)] = None
            return None

    def _raise(self) -> None:
        """Raises all problems, if there are any."""
        told = list(self.problems)
        if not told:
            return
        if len(told) == 1:
            raise FileUnreadable(told[0])
        more = [f"... and {len(told) - MOST_PROBLEMS} more"] if len(told) > MOST_PROBLEMS else []
        raise FileUnreadable("\n  ".join([f"{self.where} has {len(told)} problems:", *told[:MOST_PROBLEMS], *more]))

    # -- arrows --------------------------------------------------------------------------------------------------------
    def _path(self, number: int) -> Any:
        text = self.declared["edges"][number]
        if not isinstance(text, str):
            raise Unmade(text)  # told already
        with self._within("edges", number):
            tree = parsed(text)
            if tree is None:
                raise self._wrong(f"the arrow {shown(text)} cannot be read; write START >> a >> END")
            try:
                return self._arrow(tree, text)
            except RecursionError:
                raise self._wrong(f"the arrow {shown(text)} is too long; cut it into several") from None
            except (DeclarationError, TypeError, ValueError, AttributeError) as error:
                raise self._wrong(f"the arrow {shown(text)} cannot be: {error}") from error

    def _arrow(self, tree: ast.expr, text: str) -> Any:
        place = (self.where, self.marks.line(self.at) or 1)
        match tree:
            case ast.BinOp(left=left, op=ast.RShift(), right=right):
                return connect(self._arrow(left, text), self._arrow(right, text), place)
            case ast.Tuple(elts=members) | ast.List(elts=members):
                return tuple(self._arrow(member, text) for member in members)
            case ast.Name(id=name):
                return self._named(name, text)
            case ast.Constant(value=str(name)):  # a node whose name is no word of Python
                return self._named(name, text)
            case ast.Attribute(value=base, attr="each" | "otherwise" as attribute):
                return getattr(self._arrow(base, text), attribute)
            case ast.Subscript(value=base, slice=arm):
                return self._arm(self._arrow(base, text), arm)
            case ast.Call(
                func=ast.Attribute(value=base, attr="limit" | "into" | "fork" as method),
                args=[ast.Constant(value=value)],
                keywords=[],
            ):
                return getattr(self._arrow(base, text), method)(value)
            case ast.Call(
                func=ast.Attribute(value=base, attr="when"), args=[ast.Constant(value=str(test))], keywords=[]
            ):
                return self._arrow(base, text).when(self._function(test, "the guard"))
        raise self._wrong(
            f"in the arrow {shown(text)}, {shown(ast.unparse(tree))} is none of: node, node.each, node['label'], "
            "node[Type], node.when('module:function'), node.otherwise, .limit(n), .into('port'), .fork('policy')"
        )

    def _named(self, name: str, text: str) -> Any:
        if name in ("START", "END"):
            return START if name == "START" else END
        if name in self.failed or not isinstance(self.declared.get("nodes") or {}, dict):
            raise Unmade(name)
        if name in self.nodes:
            return self.nodes[name]
        near = difflib.get_close_matches(name, self.nodes, n=1)
        raise self._wrong(
            f"the arrow {shown(text)} names {shown(name)}, and there is no such node"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )

    def _arm(self, base: Any, arm: ast.expr) -> Any:
        if isinstance(arm, ast.Constant):
            return base[arm.value]
        wanted = ast.unparse(arm)
        if wanted in ("Failure", "LimitReached"):
            return base[Failure if wanted == "Failure" else LimitReached]
        for kind in arms(base.output) if isinstance(base, Node) else ():
            if type_name(kind) == wanted:
                return base[kind]
        return base[self._type(wanted)]


def is_graph_file(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a YAML file."""
    return Path(path).suffix.lower() in (".yaml", ".yml")
