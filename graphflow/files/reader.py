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
1. A value `module:name` is imported; nothing else in a file is code. Arrows are parsed, never evaluated.
2. An unknown key, a duplicate key, a name that cannot be found are errors with file and line.
3. YAML is read as version 1.2: `no` is a word, not False.
"""

from __future__ import annotations

import ast
import difflib
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from graphflow.arrows import END, START, connect
from graphflow.errors import FileUnreadable
from graphflow.files.kinds import OPTIONS, Kinds
from graphflow.files.loader import Loader
from graphflow.graph import Graph
from graphflow.limits import Limits
from graphflow.messages import Failure, LimitReached, arms, type_name
from graphflow.nodes import Node

GRAPH_KEYS = ("graph", "model", "limits", "input", "ends", "description", "deps", *OPTIONS, "nodes", "edges")


def load_graph(path: str | Path) -> Graph[Any, Any]:
    """The graph that a YAML file declares; modules are looked for beside it first.

    Raises:
        FileUnreadable: the file is missing, is no YAML, or names what is not there; the text gives file and line.
        GraphError: the graph is unsound.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileUnreadable(f"there is no file {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{file} cannot be read: {error}") from None
    try:
        declared = yaml.load(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileUnreadable(f"{file}:{line} is no YAML: {error.problem}") from None
    for folder in (file.resolve().parent, file.resolve().parent.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return read_graph(declared, where=str(file), lines=text.splitlines())


def read_graph(declared: Any, *, where: str = "graph", lines: list[str] | None = None) -> Graph[Any, Any]:
    """The graph that plain data declares (what a YAML file holds)."""
    return _Reader(declared, where, lines or []).graph()


class _Reader(Kinds):
    """One file under way."""

    def graph(self) -> Graph[Any, Any]:
        self._only(self.declared, GRAPH_KEYS, "a graph")
        for needed in ("graph", "edges"):
            if needed not in self.declared:
                raise self._wrong(f"the key {needed!r} is missing")
        for name in self.declared.get("nodes") or {}:
            self._made(name)
        paths = [self._path(str(text)) for text in self.declared["edges"] or ()]
        options: dict[str, Any] = {
            key: self.declared[key]
            for key in GRAPH_KEYS
            if key in self.declared and key not in ("graph", "nodes", "edges")
        }
        if "limits" in options:
            self._only(options["limits"], tuple(Limits.__dataclass_fields__), "limits")
        self._read_options(str(self.declared["graph"]), options)
        if "deps" in options:
            options["deps"] = self._type(options["deps"])
        return Graph(str(self.declared["graph"]), *paths, **options)

    # -- arrows --------------------------------------------------------------------------------------------------------
    def _path(self, text: str) -> Any:
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise self._wrong(f"the arrow {text!r} cannot be read: {error.msg}", text) from None
        return self._arrow(tree, text)

    def _arrow(self, tree: ast.expr, text: str) -> Any:
        place = (self.where, self._line(text))
        match tree:
            case ast.BinOp(left=left, op=ast.RShift(), right=right):
                return connect(self._arrow(left, text), self._arrow(right, text), place)
            case ast.Tuple(elts=members) | ast.List(elts=members):
                return tuple(self._arrow(member, text) for member in members)
            case ast.Name(id=name):
                return self._named(name, text)
            case ast.Attribute(value=base, attr="each" | "otherwise" as attribute):
                return getattr(self._arrow(base, text), attribute)
            case ast.Subscript(value=base, slice=arm):
                return self._arm(self._arrow(base, text), arm, text)
            case ast.Call(
                func=ast.Attribute(value=base, attr="limit" | "into" | "fork" as method),
                args=[ast.Constant(value=value)],
                keywords=[],
            ):
                return getattr(self._arrow(base, text), method)(value)
            case ast.Call(
                func=ast.Attribute(value=base, attr="when"), args=[ast.Constant(value=str(test))], keywords=[]
            ):
                return self._arrow(base, text).when(self._imported(test))
        raise self._wrong(
            f"in the arrow {text!r}, {ast.unparse(tree)} is none of: node, node.each, node['label'], node[Type], "
            "node.when('module:function'), node.otherwise, .limit(n), .into('port'), .fork('policy')",
            text,
        )

    def _named(self, name: str, text: str) -> Any:
        if name in ("START", "END"):
            return START if name == "START" else END
        if name in self.nodes:
            return self.nodes[name]
        near = difflib.get_close_matches(name, self.nodes, n=1)
        raise self._wrong(
            f"the arrow {text!r} names {name!r}, and there is no such node"
            + (f"; did you mean {near[0]!r}?" if near else ""),
            text,
        )

    def _arm(self, base: Any, arm: ast.expr, text: str) -> Any:
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
