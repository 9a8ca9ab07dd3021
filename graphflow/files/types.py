"""Types as they are written in a file: `str`, `list[messages:Question]`, `Answer | None`, `Literal['yes', 'no']`."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import GenericAlias, UnionType
from typing import Any, Literal, get_origin
from uuid import UUID

from graphflow.errors import GraphflowError
from graphflow.files.expressions import read_expression
from graphflow.files.messages import MessageReader
from graphflow.files.names import Names, describe
from graphflow.files.values import MAX_SHOWN, shown
from graphflow.messages.types import Type

PLAIN_TYPES: dict[str, Type] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "None": None,
    "Any": Any,
    "dict": dict,
    "list": list,
    "tuple": tuple,
    "set": set,
}
KNOWN_TYPES: dict[str, Type] = {
    "datetime:date": date,
    "datetime:datetime": datetime,
    "datetime:time": time,
    "datetime:timedelta": timedelta,
    "decimal:Decimal": Decimal,
    "uuid:UUID": UUID,
    "pathlib:Path": Path,
}
"""Types of Python's own that a file may name; nothing else of Python is reached from one."""

_ADDRESS = re.compile(r"[\w.]+:\w+(?:\.\w+)*")


class Types:
    """The types that one file names."""

    def __init__(self, names: Names, messages: MessageReader) -> None:
        self.names = names
        self.messages = messages
        self.problems = names.problems

    def read(self, given: object) -> Type:
        """The type that a text means."""
        text = str(given)
        types: dict[str, Type] = {}

        # `module:Name` is no Python, so each is replaced by a word that is: list[a:B] is read as list[T0_].
        def replace(match: re.Match[str]) -> str:
            word = f"T{len(types)}_"
            types[word] = self._at_address(match[0])
            return word

        # Parsed, never evaluated: of Python's grammar, names, `|`, `[...]` and None are left.
        words = _ADDRESS.sub(replace, text)
        tree = read_expression(words)
        which = shown(given)
        if tree is None:
            raise self.problems.error(f"the type {which} cannot be read")
        try:
            return self._type(tree, types, text)
        except (TypeError, RecursionError) as error:
            raise self.problems.error(f"the type {which} cannot be made: {error}") from None

    def _at_address(self, text: str) -> Type:
        if text in KNOWN_TYPES:
            return KNOWN_TYPES[text]
        value = self.names.value(text)
        if not _is_type(value):
            raise self.problems.error(f"{text} is {describe(value)}, not a type")
        return value

    def _type(self, tree: ast.expr, types: Mapping[str, Type], text: str) -> Type:
        match tree:
            case ast.Name(id=name) if name in types:
                return types[name]
            case ast.Name(id=name):
                return self._named(name, text)
            case ast.Constant(value=value) if value in (None, ...):  # tuple[str, ...]
                return value
            case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
                return self._literal(choices, text)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                one = self._type(left, types, text)
                other = self._type(right, types, text)
                return one | other
            case ast.Subscript(value=base, slice=ast.Tuple(elts=members)):
                generic = self._type(base, types, text)
                arguments = tuple(self._type(member, types, text) for member in members)
                return generic[arguments]
            case ast.Subscript(value=base, slice=inner):
                generic = self._type(base, types, text)
                argument = self._type(inner, types, text)
                return generic[argument]
        raise self._unknown(ast.unparse(tree), text)

    def _named(self, name: str, text: str) -> Type:
        """A type of Python's, or a message that the file declares."""
        if name in PLAIN_TYPES:
            return PLAIN_TYPES[name]
        message = self.messages.find(name, self.read)
        if message is None:
            raise self._unknown(name, text)
        return message

    def _literal(self, choices: ast.expr, text: str) -> Type:
        """One of some words or whole numbers."""
        members = choices.elts if isinstance(choices, ast.Tuple) else [choices]
        values: list[str | int] = []
        for member in members:
            if not isinstance(member, ast.Constant) or not isinstance(member.value, str | int):
                raise self.problems.error(
                    f"the type {shown(text)} has {ast.unparse(member)}; in Literal[...] stand texts in quotes, and numbers"
                )
            values.append(member.value)
        return Literal[tuple(values)]

    def _unknown(self, name: str, text: str) -> GraphflowError:
        problem = f"the type {shown(text)} names {shown(name)}; write module:Name, "
        known = [*self.messages.entries, *PLAIN_TYPES]
        near = difflib.get_close_matches(name[:MAX_SHOWN], filter(_is_text, known), n=1)
        if near:
            return self.problems.error(f"{problem}or did you mean {near[0]!r}?")
        allowed = ", ".join([*PLAIN_TYPES, "Literal['a', 'b']"])
        return self.problems.error(f"{problem}a message of the file, or one of {allowed}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_type(value: object) -> bool:
    if isinstance(value, (type, UnionType, GenericAlias)) or get_origin(value) is not None:
        return True
    # By name, as Python 3.11 has no TypeAliasType (`type A = ...`).
    return type(value).__name__ in ("TypeAliasType", "NewType")
