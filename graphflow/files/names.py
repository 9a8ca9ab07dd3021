"""What a file names: modules, types, and where something stands in it."""

from __future__ import annotations

import ast
import difflib
import importlib
import re
from collections.abc import Mapping
from typing import Any

from graphflow.errors import FileUnreadable, GraphflowError
from graphflow.messages import Type
from graphflow.nodes import Node

PLAIN_TYPES: dict[str, Type] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "None": None,
    "Any": Any,
    "dict": dict,
    "list": list,
}
PLAIN_TYPES |= {"tuple": tuple, "set": set}


class Names:
    """The names of one file.

    Attributes:
        declared: what the file holds.
        where: its name.
        lines: its lines, for errors.
        nodes: the nodes made so far, by name.
    """

    def __init__(self, declared: Any, where: str, lines: list[str]) -> None:
        if not isinstance(declared, Mapping):
            raise FileUnreadable(f"{where} holds no graph; it needs the keys graph, nodes and edges")
        self.declared = declared
        self.where = where
        self.lines = lines
        self.nodes: dict[str, Node[Any, Any]] = {}

    def _reachable(self, text: str) -> Node[Any, Any]:
        found = self._imported(text) if ":" in text else self.nodes.get(text)
        if not isinstance(found, Node):
            raise self._wrong(f"{text!r} is no node", text)
        return found

    def _imported(self, text: str) -> Any:
        module, _, name = text.partition(":")
        try:
            found: Any = importlib.import_module(module)
        except GraphflowError:
            raise
        except ImportError as error:
            raise self._wrong(f"{text}: the module {module!r} cannot be imported: {error}", text) from None
        for part in name.split("."):
            if not hasattr(found, part):
                near = difflib.get_close_matches(part, dir(found), n=1)
                raise self._wrong(
                    f"{text}: {module!r} has no {part!r}" + (f"; did you mean {near[0]!r}?" if near else ""), text
                )
            found = getattr(found, part)
        return found

    def _type(self, text: Any) -> Type:
        """A type as it is written in a file: `str`, `list[messages:Question]`, `a:B | None`."""
        named: dict[str, Type] = {}

        def hold(match: re.Match[str]) -> str:
            key = f"T{len(named)}_"
            named[key] = self._imported(match[0])
            return key

        shown = re.sub(r"[\w.]+:\w+(?:\.\w+)*", hold, str(text))
        try:
            tree = ast.parse(shown, mode="eval").body
        except SyntaxError:
            raise self._wrong(f"the type {text!r} cannot be read", str(text)) from None
        return self._built(tree, named, str(text))

    def _built(self, tree: ast.expr, named: Mapping[str, Type], text: str) -> Type:
        match tree:
            case ast.Name(id=name) if name in named:
                return named[name]
            case ast.Name(id=name) if name in PLAIN_TYPES:
                return PLAIN_TYPES[name]
            case ast.Constant(value=None):
                return None
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._built(left, named, text) | self._built(right, named, text)
            case ast.Subscript(value=base, slice=ast.Tuple(elts=members)):
                return self._built(base, named, text)[tuple(self._built(m, named, text) for m in members)]
            case ast.Subscript(value=base, slice=inner):
                return self._built(base, named, text)[self._built(inner, named, text)]
        raise self._wrong(
            f"the type {text!r} names {ast.unparse(tree)!r}; write module:Name, or one of {', '.join(PLAIN_TYPES)}",
            text,
        )

    # -- errors --------------------------------------------------------------------------------------------------------
    def _only(self, given: Any, allowed: tuple[str, ...], what: str) -> None:
        if not isinstance(given, Mapping):
            raise self._wrong(f"{what} is declared by a mapping, not by {type(given).__name__}")
        for key in given:
            if key not in allowed:
                near = difflib.get_close_matches(str(key), allowed, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(allowed)}"
                raise self._wrong(f"{what} has no {key!r}; {hint}", str(key))

    def _line(self, text: str) -> int:
        return next((number for number, line in enumerate(self.lines, 1) if text and text in line), 1)

    def _wrong(self, problem: str, text: str = "") -> FileUnreadable:
        return FileUnreadable(f"{self.where}:{self._line(text)}: {problem}")
