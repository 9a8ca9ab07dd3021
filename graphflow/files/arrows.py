"""The arrows of a file: texts that read as they would in Python, and are parsed, never evaluated.

START >> plan
plan.each >> (search, read) >> merge.into("findings")
check["retry"].limit(3) >> write
"""

from __future__ import annotations

import ast
import difflib
from functools import partial
from typing import Any

from graphflow.declaration.arrows import END, START, connect
from graphflow.declaration.node import Node
from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.files.expressions import read_expression
from graphflow.files.nodes import NodeReader
from graphflow.files.problems import AlreadyReported
from graphflow.files.states import StateReader
from graphflow.files.types import Types
from graphflow.files.values import MAX_SHOWN, shown
from graphflow.messages.message import Failure, LimitReached
from graphflow.messages.types import arms, type_name

ArrowPart = Any
"""A piece of an arrow: a node or an end, an arm or a port of a node, several of them, a path."""

_FORMS = (
    "node, node.each, node['label'], node[Type], node.when('module:function'), node.otherwise, "
    ".limit(n), .into('port'), .fork('policy')"
)


class ArrowReader:
    """Reads the arrows of one file."""

    def __init__(self, types: Types, nodes: NodeReader, states: StateReader) -> None:
        self.types = types
        self.states = states
        self.nodes = nodes
        self.problems = nodes.problems

    def read_all(self, arrows: object) -> list[ArrowPart]:
        """The paths that arrows declare, as far as they can be read; what is wrong with the others is reported."""
        if not isinstance(arrows, list):
            return []
        paths = []
        for number, text in enumerate(arrows):
            read = partial(self._path, number, text)
            path = self.problems.attempt(read)
            paths.append(path)
        return paths

    def _path(self, number: int, text: object) -> ArrowPart:
        if not isinstance(text, str):  # the shape of a graph says so
            raise AlreadyReported(text)
        with self.problems.within("edges", number):
            tree = read_expression(text)
            if tree is None:
                raise self.problems.error(
                    f"the arrow {shown(text)} cannot be read; write START >> a >> END"
                )
            try:
                return self._part(tree, text)
            except RecursionError:  # an arrow with thousands of nodes nests as deep as it is long
                raise self.problems.error(
                    f"the arrow {shown(text)} is too long; cut it into several"
                ) from None
            except (DeclarationError, TypeError, ValueError, AttributeError) as error:
                raise self.problems.error(f"the arrow {shown(text)} is wrong: {error}") from error

    def _part(self, tree: ast.expr, text: str) -> ArrowPart:
        match tree:
            case ast.BinOp(left=left, op=ast.RShift(), right=right):
                place = self.problems.written_at() or (self.problems.source().where, 1)
                before = self._part(left, text)
                behind = self._part(right, text)
                return connect(before, behind, place)
            case ast.Tuple(elts=members) | ast.List(elts=members):
                return tuple(self._part(member, text) for member in members)
            case ast.Name(id=name):
                return self._named(name, text)
            # A node whose name is not a word of Python: 'look-up' >> END.
            case ast.Constant(value=str(name)):
                return self._named(name, text)
            case ast.Attribute(value=base, attr="each" | "otherwise" as attribute):
                return getattr(self._part(base, text), attribute)
            case ast.Subscript(value=base, slice=arm):
                return self._arm(self._part(base, text), arm)
            case ast.Call(
                func=ast.Attribute(value=base, attr="limit" | "into" | "fork" as method),
                args=[ast.Constant(value=value)],
                keywords=[],
            ):
                return getattr(self._part(base, text), method)(value)
            case ast.Call(
                func=ast.Attribute(value=base, attr="when"),
                args=[ast.Constant(value=str(test))],
                keywords=[],
            ):
                origin = self._part(base, text)
                guard = self.nodes.names.function(test, "the guard")
                return origin.when(guard)
        raise self._no_part(tree, text)

    def _no_part(self, tree: ast.expr, text: str) -> FileUnreadable:
        arrow = shown(text)
        # The slip that is made most: Python reads it as a comparison.
        if isinstance(tree, ast.Compare) and isinstance(tree.ops[0], ast.Gt):
            return self.problems.error(
                f"the arrow {arrow} has a single >; write >> for each arrow, START >> a >> END"
            )
        unknown = shown(ast.unparse(tree))
        return self.problems.error(f"in the arrow {arrow}, {unknown} is not one of: {_FORMS}")

    def _named(self, name: str, text: str) -> ArrowPart:
        if name == "START":
            return START
        if name == "END":
            return END
        node = self.nodes.find(name)
        state = self.states.find(name)
        if node is not None and state is not None:
            raise self.problems.error(
                f"the arrow {shown(text)} names {shown(name)}, which is a node and a state; rename one of them"
            )
        if node is not None:
            return node
        if state is not None:
            return state
        problem = f"the arrow {shown(text)} names {shown(name)}, and there is no such node"
        known = [*self.nodes.nodes, *self.nodes.entries, *self.states.states]
        # Keys of YAML may be numbers.
        words = [each for each in known if isinstance(each, str)]
        near = difflib.get_close_matches(name[:MAX_SHOWN], words, n=1)
        if near:
            problem += f"; did you mean {near[0]!r}?"
        raise self.problems.error(problem)

    def _arm(self, base: ArrowPart, arm: ast.expr) -> ArrowPart:
        if isinstance(arm, ast.Constant):
            return base[arm.value]
        name = ast.unparse(arm)
        if name == "Failure":
            return base[Failure]
        if name == "LimitReached":
            return base[LimitReached]
        # A type that the node answers may go by its bare name: answer[Refusal] for messages:Refusal.
        answers = arms(base.output) if isinstance(base, Node) else ()
        for kind in answers:
            if type_name(kind) == name:
                return base[kind]
        return base[self.types.read(name)]
