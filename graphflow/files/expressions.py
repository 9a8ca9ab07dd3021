"""Arrows and types as Python would read them: syntax trees, of which nothing is ever evaluated."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def read_expression(text: str) -> ast.expr | None:
    """The syntax tree of an expression, or None if Python could not read it."""
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def names_on_arrows(arrows: object) -> set[str]:
    """The nodes that the arrows of a file name; an arrow that cannot be read has none."""
    names: set[str] = set()
    for arrow in arrows if isinstance(arrows, list) else ():
        tree = read_expression(arrow) if isinstance(arrow, str) else None
        if tree is not None:
            names.update(_names([tree]))
    return names


def _names(trees: Iterable[ast.expr]) -> set[str]:
    # A list of what is still to be looked at, not recursion: an arrow may have thousands of nodes.
    names: set[str] = set()
    todo = list(trees)
    while todo:
        match todo.pop():
            case ast.Name(id=name) | ast.Constant(value=str(name)):
                names.add(name)
            case ast.BinOp(left=left, right=right):
                todo += [left, right]
            case ast.Tuple(elts=members) | ast.List(elts=members):
                todo += members
            case ast.Attribute(value=base) | ast.Subscript(value=base) | ast.Call(func=base):
                todo.append(base)
    return names
