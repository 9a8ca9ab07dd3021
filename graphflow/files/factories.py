"""Tools that a function makes, in files: `files("docs")`, `shell(["git"])`, `nodes.tools.shop:stock("tea", most=5)`.

    tools: ['files("docs", write=True)', search]

Rules:
1. What stands between the parentheses are values: texts, numbers, true and false, lists, mappings. Nothing is evaluated.
2. A function is one that its module defines itself, under a public name: of the project, or of the ready nodes.
3. A path is meant from the folder of the file that names it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import TypeAlias

from graphflow.declaration.factories import FactoryCall, made_node, remember
from graphflow.declaration.node import AnyNode, Node
from graphflow.errors import FileUnreadable
from graphflow.files.names import Names, describe
from graphflow.files.secrets import names_secret

Factory: TypeAlias = Callable[..., object]

OURS = "graphflow."
LIBRARY = "graphflow.library."
READY = {
    "files": "graphflow.library.tools.files:files",
    "shell": "graphflow.library.tools.shell:shell",
    "sql": "graphflow.library.tools.sql:sql",
    "fetch": "graphflow.library.tools.fetch:fetch",
    "post": "graphflow.library.tools.fetch:post",
    "page": "graphflow.library.tools.page:page",
    "dates": "graphflow.library.tools.dates:dates",
    "environment": "graphflow.library.tools.environment:environment",
}
"""Words for the factories that come with graphflow."""


def is_factory(text: str) -> bool:
    """Whether a name of a node is that of a function which makes some."""
    # A name alone has neither.
    return text.endswith(")") and "(" in text


class FactoryReader:
    """Makes the nodes that a file has made by functions."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.problems = names.problems

    def nodes(self, text: str) -> list[AnyNode]:
        """The nodes that such a text stands for.

        Raises:
            FileUnreadable: it is not a call of a factory; or what the factory raises, with its place.
        """
        address, _, _ = text.partition("(")
        name = address.strip()
        factory = self._function(name)
        values, options = self._arguments(text, factory)
        made = factory(*values, **options)
        # One, or several that belong together, as those of a folder.
        several = made if isinstance(made, (list, tuple)) else (made,)
        found: list[AnyNode] = []
        for each in several:
            if not isinstance(each, Node):
                kind = describe(each)
                raise self.problems.error(f"{text} makes {kind}, not a node")
            found.append(each)
        # Also of a function that does not remember by itself; and as the file has it, paths included.
        remember(made, inspect.unwrap(factory), tuple(values), options, text)
        return found

    def _function(self, name: str) -> Factory:
        address = READY.get(name, name)
        if ":" not in address:
            listed = ", ".join(READY)
            raise self.problems.error(
                f"{name}(...) names no factory; write module:name(...), or one of: {listed}"
            )
        module, _, last = address.partition(":")
        value = self.names.value(address)
        if isinstance(value, FunctionType) and value.__module__ == module:
            # Of graphflow itself nothing else was ever meant to be called by a file.
            is_ours = module.startswith(OURS)
            is_ready = module.startswith(LIBRARY)
            is_public = not last.startswith("_")
            if is_public and (is_ready or not is_ours):
                return value
        kind = describe(value)
        raise self.problems.error(
            f"{address} is {kind}, not a factory; name a function that a module of nodes defines itself"
        )

    def _arguments(self, text: str, factory: Factory) -> tuple[list[object], dict[str, object]]:
        """The values between the parentheses."""
        _, opening, rest = text.partition("(")
        try:
            tree = ast.parse(f"f{opening}{rest}", mode="eval")
            values, options = _literals(tree.body)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise self.problems.error(
                f"{text}: between the parentheses stand values, as in files('docs', write=True)"
            ) from None
        parameters = inspect.signature(factory).parameters
        # What is too much is refused by the factory itself.
        for position, parameter in enumerate(parameters.values()):
            if position < len(values):
                value = values[position]
                values[position] = self._placed(parameter, value)
            elif parameter.name in options:
                value = options[parameter.name]
                options[parameter.name] = self._placed(parameter, value)
        return values, options

    def _placed(self, parameter: inspect.Parameter, value: object) -> object:
        """A value; where a path is wanted, from the folder of the file."""
        wanted = str(parameter.annotation)
        if "Path" not in wanted or not isinstance(value, str):
            return value
        place: Path = self.problems.source().folder / value
        return str(place.resolve())


# -- what is written -------------------------------------------------------------------------------
def call_text(call: FactoryCall) -> str:
    """A call as a file has it: as the file that it comes from had it, else with its paths in full.

    Raises:
        FileUnreadable: something that the function was given is not a value that a file could hold.
    """
    if call.text:
        return call.text
    name = call.address
    for word, address in READY.items():
        if address == name:
            name = word
    parts: list[str] = []
    for key, value in call.arguments.items():
        if _names_secrets(key, value):
            raise FileUnreadable(
                f"{name}({key}=...) was given what may be a secret, which a file must not hold"
            )
        if not _is_value(value):
            kind = type(value).__name__
            raise FileUnreadable(
                f"{name}({key}=...) was given something of type {kind}, which a file cannot hold"
            )
        parts.append(f"{key}={value!r}")
    # A function may have `**limits`: they are its arguments, too.
    inside = ", ".join(parts)
    return f"{name}({inside})"


def _names_secrets(key: str, value: object) -> bool:
    """Whether something is called like a secret, in mappings too."""
    if names_secret(key):
        return True
    if not isinstance(value, Mapping):
        return False
    return any(_names_secrets(str(inner), each) for inner, each in value.items())


def _is_value(value: object) -> bool:
    text = repr(value)
    try:
        again: object = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False
    return again == value


def calls_among(nodes: Sequence[AnyNode | str]) -> dict[int, FactoryCall]:
    """The calls of factories whose nodes stand among some nodes, all of each and in order, by where they begin."""
    found: dict[int, FactoryCall] = {}
    for position, node in enumerate(nodes):
        made = made_node(node)
        if made is None:
            continue
        call = made.call
        start = position - made.number
        end = start + len(call.nodes)
        if start >= 0 and tuple(nodes[start:end]) == call.nodes:
            found[start] = call
    return found


def _literals(call: ast.expr) -> tuple[list[object], dict[str, object]]:
    """The values of a call.

    Raises:
        ValueError: it is none, or something in it is not a value.
    """
    if not isinstance(call, ast.Call):
        raise ValueError("this is not a call")
    values = list(map(ast.literal_eval, call.args))
    options: dict[str, object] = {}
    for keyword in call.keywords:
        # Of `**more` nobody knows the names.
        if keyword.arg is None:
            raise ValueError("** cannot stand here")
        options[keyword.arg] = ast.literal_eval(keyword.value)
    return values, options
