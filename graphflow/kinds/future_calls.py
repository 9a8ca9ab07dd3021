"""Which calls in a piece of code want their answer at once, and which want something to await.

Models write both: `hits = search("x")`, and `await asyncio.gather(search("x"), search("y"))`. Where a call's value goes is
read from the code as it is written; what cannot be told is answered at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator

ROUNDS = 8
"""How many names long a way may be from a call to where its answer is awaited; code has two or three."""


def awaited_calls(code: str, functions: Collection[str]) -> frozenset[int]:
    """Where the calls begin, in bytes, whose value is awaited or gathered: in place, or by a name that it went to."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # code for a newer Python than ours, or none at all
        return _by_sight(code, functions)
    return _Flow(tree, functions).starts(_line_starts(code))


def _by_sight(code: str, functions: Collection[str]) -> frozenset[int]:
    found = re.finditer(rf"\bawait[\s(]+(?=({'|'.join(map(re.escape, functions)) or '(?!)'})\b)", code)
    return frozenset(len(code[: match.end()].encode()) for match in found)


def _line_starts(code: str) -> list[int]:
    starts = [0]
    for line in code.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


class _Flow:
    """Names that hold what is awaited, followed back to the calls that they got it from."""

    def __init__(self, tree: ast.AST, functions: Collection[str]) -> None:
        self.functions = functions
        self.nodes = list(ast.walk(tree))
        self.names: set[str] = set()
        """What holds something to await, or is a plain function that answers with it."""
        self.calls: set[ast.Call] = set()

    def starts(self, lines: list[int]) -> frozenset[int]:
        for node in self.nodes:
            if isinstance(node, ast.Await):
                self._take(node.value)
            elif isinstance(node, ast.Call) and _called(node) in ("gather", "run"):
                for argument in node.args:
                    self._take(argument)
        for _ in range(ROUNDS):
            known = len(self.names)
            for node in self.nodes:
                self._follow(node)
            if known == len(self.names):
                break
        return frozenset(lines[call.lineno - 1] + call.col_offset for call in self.calls)

    def _take(self, value: ast.expr) -> None:
        """Notes what an awaited expression stands for: a call of ours, or a name that something was put into."""
        for leaf in _leaves(value):
            if isinstance(leaf, ast.Name):
                self.names.add(leaf.id)
            elif isinstance(leaf, ast.Call):
                name = _called(leaf)
                if name in self.functions:
                    self.calls.add(leaf)
                elif name != "gather":
                    self.names.add(name)

    def _follow(self, node: ast.AST) -> None:
        """Notes what goes into a name that is awaited."""
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is not None and any(map(self._holds, targets)):
                self._take(node.value)
        elif isinstance(node, (ast.For, ast.comprehension)):
            if self._holds(node.target):
                self._take(node.iter)
        elif isinstance(node, ast.FunctionDef):
            if node.name in self.names:
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Return) and inner.value is not None:
                        self._take(inner.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self._holds(node.func.value):
            for argument in node.args:
                self._take(argument)

    def _holds(self, target: ast.expr) -> bool:
        return any(isinstance(leaf, ast.Name) and leaf.id in self.names for leaf in _leaves(target))


def _called(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


_INSIDE: dict[type[ast.expr], Callable[[ast.expr], list[ast.expr | None]]] = {
    ast.List: lambda e: list(e.elts),  # type: ignore[attr-defined]  # the key says which
    ast.Tuple: lambda e: list(e.elts),  # type: ignore[attr-defined]
    ast.Set: lambda e: list(e.elts),  # type: ignore[attr-defined]
    ast.Dict: lambda e: list(e.values),  # type: ignore[attr-defined]
    ast.ListComp: lambda e: [e.elt],  # type: ignore[attr-defined]
    ast.SetComp: lambda e: [e.elt],  # type: ignore[attr-defined]
    ast.GeneratorExp: lambda e: [e.elt],  # type: ignore[attr-defined]
    ast.DictComp: lambda e: [e.value],  # type: ignore[attr-defined]
    ast.Lambda: lambda e: [e.body],  # type: ignore[attr-defined]
    ast.IfExp: lambda e: [e.body, e.orelse],  # type: ignore[attr-defined]
    ast.Starred: lambda e: [e.value],  # type: ignore[attr-defined]
    ast.Subscript: lambda e: [e.value],  # type: ignore[attr-defined]
    ast.NamedExpr: lambda e: [e.value, e.target],  # type: ignore[attr-defined]
}
"""What an expression is made of that keeps its items as they are."""


def _leaves(value: ast.expr) -> Iterator[ast.expr]:
    """What an expression's value is made of, containers opened; `f(x)[0]` is made of what is in `f(x)`, not of `f(x)`."""
    todo: list[ast.expr | None] = [value]
    while todo:
        part = todo.pop()
        if part is None:
            continue
        inside = _INSIDE.get(type(part))
        if isinstance(part, ast.Subscript) and isinstance(part.value, ast.Call):
            continue
        if isinstance(part, ast.Call) and _called(part) in ("values", "items", "list", "tuple") and not inside:
            todo += [part.func.value] if isinstance(part.func, ast.Attribute) else list(part.args)
        elif inside is None:
            yield part
        else:
            todo += inside(part)
