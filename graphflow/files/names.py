"""What a file names: modules of its project, types, and where something stands in it."""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from types import FunctionType, GenericAlias, ModuleType, UnionType
from typing import Any, get_origin
from uuid import UUID

from graphflow.declaration.node import Node
from graphflow.errors import FileUnreadable, GraphflowError, MissingExtra
from graphflow.files.loader import Marks
from graphflow.files.places import NotOfTheProject, Places
from graphflow.files.values import shown
from graphflow.messages.message import Type, error_text
from graphflow.redaction import scrub

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
KNOWN_TYPES: dict[str, Type] = {
    f"{module}:{kind.__name__}": kind
    for module, kinds in {
        "datetime": (date, datetime, time, timedelta),
        "decimal": (Decimal,),
        "uuid": (UUID,),
        "pathlib": (Path,),
    }.items()
    for kind in kinds
}
"""Types of Python's own that a file may name; nothing else of Python is reached from one."""
MISSING: Any = object()
LONGEST = 1_000
"""Characters of a problem that are told: what a file holds may be long."""


class Misplaced(FileUnreadable):
    """A problem of a file that says where it is."""


class Unmade(Exception):
    """A node could not be made; why is among the problems already."""


class Names:
    """The names of one file.

    Attributes:
        declared: what the file holds.
        where: its name.
        marks: where things stand in it.
        places: where its modules may be.
        at: the way to what is being read.
        nodes: the nodes made so far, by name.
    """

    def __init__(self, declared: Any, where: str, marks: Marks, places: Places) -> None:
        if not isinstance(declared, Mapping):
            raise FileUnreadable(f"{where} holds no graph; it needs the keys graph, nodes and edges")
        self.declared = declared
        self.where = where
        self.marks = marks
        self.places = places
        self.at: tuple[Any, ...] = ()
        self.nodes: dict[str, Node[Any, Any]] = {}

    # -- what a name means ---------------------------------------------------------------------------------------------
    def _imported_node(self, text: str) -> Node[Any, Any]:
        """A node that a module holds."""
        found = self._imported(text)
        if not isinstance(found, Node):
            raise self._wrong(f"{text} is {_kind(found)}, not a node; decorate it with @node or @tool")
        return found

    def _function(self, text: str, what: str) -> Any:
        """A function that decides something: a plain `def` of the very module that the file names.

        A module holds much that it has only imported, and that was never meant to be called by a file; what it defines
        itself, and under a public name, is what it offers.
        """
        found = self._imported(text)
        module, _, name = text.partition(":")
        if found.__class__ is FunctionType and module.partition(".")[0] == "graphflow":
            raise self._wrong(f"{what} is {text}; name a function of the project, def {name}(message)")
        if not isinstance(found, FunctionType) or name.startswith("_"):
            raise self._wrong(f"{what} is {text}, {_kind(found)}; write a function, def {name.strip('_')}(message)")
        if found.__module__ != module:
            raise self._wrong(
                f"{what} is {text}, which {module} has from {found.__module__}; name a function that a module of the "
                "project defines itself"
            )
        return found

    def _imported(self, text: str) -> Any:
        """What a module of the project holds under a name."""
        place, _, name = text.partition(":")
        module = self._module(place, text)
        found: Any = module
        for part in name.split("."):
            inside = found is module or inspect.isclass(found)
            held = getattr(found, part, MISSING) if inside and part.isidentifier() and part[:2] != "__" else MISSING
            if held is MISSING:
                near = difflib.get_close_matches(part, vars(module), n=1)
                raise self._wrong(
                    f"{text}: {module.__name__!r} has no {part!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
            found = held
        return found

    def _module(self, module: str, text: str) -> ModuleType:
        try:
            if module.partition(".")[0] == "graphflow" and module != "graphflow.__main__":
                return import_module(module)
            return self.places.load(module)
        except GraphflowError:
            raise
        except NotOfTheProject as error:
            raise self._wrong(f"{text}: {error}") from None
        except (ImportError, ValueError) as error:
            raise self._wrong(f"{text}: the module {module!r} cannot be imported: {error}") from None
        except (Exception, SystemExit) as error:
            told = f"{type(error).__name__}: {error_text(error)}"
            raise self._wrong(f"{text}: the module {module!r}{self._line_in(error)} cannot be run: {told}") from error

    def _line_in(self, error: BaseException) -> str:
        """Where in a module of the project an error was raised while it was imported."""
        place = ""
        trace = error.__traceback__
        while trace is not None:
            file = Path(trace.tb_frame.f_code.co_filename)
            if "site-packages" not in file.parts and any(file.is_relative_to(base) for base in self.places.folders):
                place = f" ({file}:{trace.tb_lineno})"
            trace = trace.tb_next
        return place

    # -- types ---------------------------------------------------------------------------------------------------------
    def _type(self, text: Any) -> Type:
        """A type as it is written in a file: `str`, `list[messages:Question]`, `a:B | None`."""
        named: dict[str, Type] = {}

        def hold(match: re.Match[str]) -> str:
            key = f"T{len(named)}_"
            named[key] = self._named_type(match[0])
            return key

        tree = parsed(re.sub(r"[\w.]+:\w+(?:\.\w+)*", hold, str(text)))
        if tree is None:
            raise self._wrong(f"the type {shown(text)} cannot be read")
        try:
            return self._built(tree, named, str(text))
        except (TypeError, RecursionError) as error:
            raise self._wrong(f"the type {shown(text)} cannot be made: {error}") from None

    def _named_type(self, text: str) -> Type:
        if text in KNOWN_TYPES:
            return KNOWN_TYPES[text]
        found = self._imported(text)
        if isinstance(found, (type, UnionType, GenericAlias)) or get_origin(found) is not None:
            return found
        if type(found).__name__ in ("TypeAliasType", "NewType"):
            return found
        raise self._wrong(f"{text} is {_kind(found)}, not a type")

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
            f"the type {shown(text)} names {shown(ast.unparse(tree))}; write module:Name, or one of {', '.join(PLAIN_TYPES)}"
        )

    # -- errors --------------------------------------------------------------------------------------------------------
    @contextmanager
    def _within(self, *steps: Any) -> Iterator[None]:
        """While something below is read, so that its problems name their line."""
        before = self.at
        self.at = (*before, *steps)
        try:
            yield
        except (Misplaced, MissingExtra, Unmade):
            raise
        except GraphflowError as error:
            raise self._wrong(error_text(error)) from error
        except Exception as error:  # what a kind of node says of a value that it cannot take
            raise self._wrong(f"{type(error).__name__}: {error_text(error)}") from error
        finally:
            self.at = before

    def _wrong(self, problem: str, *steps: Any) -> FileUnreadable:
        """The error of what is being read, or of what stands so far below it."""
        return Misplaced(self._told((*self.at, *steps), problem))

    def _told(self, path: tuple[Any, ...], problem: str) -> str:
        """A problem with its place. What a file or a module says may hold a secret, and may be long."""
        told = scrub(problem)
        if len(told) > LONGEST:
            told = f"{told[:LONGEST]}..."
        line = self.marks.line(path)
        return f"{self.where}: {told}" if line is None else f"{self.where}:{line}: {told}"


def parsed(text: str) -> ast.expr | None:
    """An expression as Python would read it, or None if it could not. Nothing in it is evaluated."""
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _kind(found: Any) -> str:
    """What was found, without its value: that may be anything, the environment too."""
    if isinstance(found, ModuleType):
        return "a module"
    if isinstance(found, Node):
        return f"a node, {found.kind}"
    if inspect.isclass(found):
        return "a class"
    return "a function" if callable(found) else f"of type {type(found).__name__}"
