"""Which calls in a piece of code want their answer at once, and which want something to await.

Models write both: `hits = search("x")`, and `await asyncio.gather(search("x"), search("y"))`. Where a call's value goes is
read from the code as it is written; what cannot be told is answered at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

ROUNDS = 8
"""How many names long a way may be from a call to where its answer is awaited; code has two or three."""


def awaited_calls(code: str, functions: Collection[str]) -> frozenset[int]:
    """Where the calls begin, in bytes, whose value is awaited or gathered: in place, or by a name that it went to."""
    try:
        tree = ast.parse(code)
    # Code for a newer Python than ours, or none at all.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _by_sight(code, functions)
    return _Flow(tree, functions).starts(_line_starts(code))


def _by_sight(code: str, functions: Collection[str]) -> frozenset[int]:
    if not functions:
        return frozenset()
    names = "|".join(map(re.escape, functions))
    awaited = re.compile(rf"\bawait[\s(]+(?=({names})\b)")
    starts = [len(code[: match.end()].encode()) for match in awaited.finditer(code)]
    return frozenset(starts)


def _line_starts(code: str) -> list[int]:
    starts = [0]
    for line in code.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


class _Flow:
    """Names that hold what is awaited, followed back to the calls that they got it from.

    a = search("x")         third: what goes into `a` is a call of ours, so it wants something to await
    both = [a, b]           second: what goes into `both` are `a` and `b`
    await gather(*both)     first: `both` is awaited
    """

    def __init__(self, tree: ast.AST, functions: Collection[str]) -> None:
        self.functions = functions
        self.nodes = list(ast.walk(tree))
        self.names: set[str] = set()
        """What holds something to await, or is a plain function that answers with it."""
        self.calls: set[ast.Call] = set()

    def starts(self, lines: list[int]) -> frozenset[int]:
        """Where the calls begin; `lines` are the beginnings of lines."""
        for node in self.nodes:
            if isinstance(node, ast.Await):
                self._take(node.value)
            elif isinstance(node, ast.Call) and _called(node) in ("gather", "run"):
                self._take(*node.args)
        for _ in range(ROUNDS):
            known = len(self.names)
            for node in self.nodes:
                self._follow(node)
            if known == len(self.names):
                break
        starts: set[int] = set()
        for call in self.calls:
            line = lines[call.lineno - 1]
            starts.add(line + call.col_offset)
        return frozenset(starts)

    def _take(self, *values: ast.expr) -> None:
        """Notes what awaited expressions stand for: a call of ours, or a name that something was put into."""
        for leaf in _leaves(*values):
            if isinstance(leaf, ast.Name):
                self.names.add(leaf.id)
            if not isinstance(leaf, ast.Call):
                continue
            name = _called(leaf)
            if name in self.functions:
                self.calls.add(leaf)
            elif name != "gather":
                self.names.add(name)

    def _follow(self, node: ast.AST) -> None:
        """Notes what goes into a name that is awaited."""
        match node:
            case ast.Assign(targets=targets, value=value):
                if any(map(self._holds, targets)):
                    self._take(value)
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.AugAssign(target=target, value=value)
                | ast.NamedExpr(target=target, value=value)
                | ast.For(target=target, iter=value)
                | ast.comprehension(target=target, iter=value)
            ):
                if self._holds(target):
                    self._take(value)
            case ast.FunctionDef(name=name):
                if name in self.names:
                    self._take(*_returned(node))
            # tasks.append(search("x"))
            case ast.Call(func=ast.Attribute(value=owner), args=arguments):
                if self._holds(owner):
                    self._take(*arguments)

    def _holds(self, target: ast.expr) -> bool:
        for leaf in _leaves(target):
            if isinstance(leaf, ast.Name) and leaf.id in self.names:
                return True
        return False


def _called(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _returned(function: ast.FunctionDef) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value


def _leaves(*values: ast.expr) -> Iterator[ast.expr]:
    """What the values of expressions are made of, containers opened."""
    todo = list(values)
    while todo:
        part = todo.pop()
        inside = _inside(part)
        if inside is None:
            yield part
        else:
            todo += inside


_OPENING = ("values", "items", "list", "tuple")
"""Calls that hand on what is in a container."""


def _inside(value: ast.expr) -> Sequence[ast.expr] | None:
    """What an expression is made of that keeps its items as they are; None if it is made of nothing."""
    match value:
        case (
            ast.List(elts=items)
            | ast.Tuple(elts=items)
            | ast.Set(elts=items)
            | ast.Dict(values=items)
        ):
            return items
        case (
            ast.ListComp(elt=item)
            | ast.SetComp(elt=item)
            | ast.GeneratorExp(elt=item)
            | ast.Lambda(body=item)
        ):
            return [item]
        # `f(x)[0]` is made of what is in `f(x)`, not of `f(x)`
        case ast.Subscript(value=ast.Call()):
            return []
        case ast.DictComp(value=item) | ast.Starred(value=item) | ast.Subscript(value=item):
            return [item]
        case ast.IfExp(body=one, orelse=other) | ast.NamedExpr(value=one, target=other):
            return [one, other]
        case ast.Call(func=ast.Attribute(value=container)) if _called(value) in _OPENING:
            return [container]
        case ast.Call(args=arguments) if _called(value) in _OPENING:
            return arguments
    return None
