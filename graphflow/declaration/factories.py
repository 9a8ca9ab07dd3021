"""Functions that make nodes, and what they have made: each node remembers the call that it came of.

    @factory
    def stock(item: str, *, most: int = 1) -> Tool[Any, Any]: ...

    Agent("clerk", tools=[stock("tea", most=3)])          in files: tools: ['shop:stock("tea", most=3)']

Rules:
1. Two nodes that came of equal calls, at the same place of what these have made, are equal: their functions are not looked at.
2. A path counts as where it leads to, so the same words in two folders are two calls.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from graphflow.declaration.node import FACTORY_CALL, AnyNode, Node

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FactoryCall:
    """One call of a function that makes nodes.

    Attributes:
        address: of the function, `module:name`.
        arguments: what it was given, by the names of its parameters; paths as where they lead to.
        text: the call as a file has it; "": as it follows from the arguments.
        nodes: what it has made.
    """

    address: str
    arguments: Mapping[str, object]
    text: str = field(default="", compare=False)
    nodes: tuple[AnyNode, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class MadeNode:
    """Which of the nodes that a call has made one is."""

    call: FactoryCall
    number: int


def factory(function: Callable[P, R]) -> Callable[P, R]:
    """Lets the nodes that a function makes remember how it was called, so that `to_yaml` can write the call. A decorator.

    The function returns a node, or a tuple or list of nodes, of values that a file can hold: texts, numbers, true and false,
    lists and mappings of these, paths.
    """

    @wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> R:
        made = function(*args, **kwargs)
        remember(made, function, args, kwargs)
        return made

    return make


def remember(
    made: object,
    function: Callable[..., object],
    values: tuple[object, ...],
    options: Mapping[str, object],
    text: str = "",
) -> None:
    """Says to each node that a function has made which call it came of.

    Args:
        made: a node, or several.
        function: the function.
        values: what it was given by position.
        options: what it was given by name.
        text: the call as a file has it.
    """
    several = made if isinstance(made, (tuple, list)) else (made,)
    nodes = tuple(each for each in several if isinstance(each, Node))
    arguments = _arguments(function, values, options)
    if not nodes or arguments is None:
        return
    address = f"{function.__module__}:{function.__qualname__}"
    call = FactoryCall(address, arguments, text, nodes)
    module = sys.modules.get(function.__module__)
    for number, node in enumerate(nodes):
        # What its module holds for everybody is not made by this call alone.
        if getattr(module, node.name, None) is not node:
            # Beside its value: nothing that a walk looks at.
            node.__dict__[FACTORY_CALL] = MadeNode(call, number)


def made_node(node: object) -> MadeNode | None:
    """Which node of which call it is, if it was made by a factory that remembers."""
    made = getattr(node, FACTORY_CALL, None)
    return made if isinstance(made, MadeNode) else None


def _arguments(
    function: Callable[..., object], values: tuple[object, ...], options: Mapping[str, object]
) -> dict[str, object] | None:
    """What a function was given, by name; None: that cannot be told."""
    try:
        signature = inspect.signature(function)
        bound = signature.bind(*values, **options)
    except (TypeError, ValueError):
        return None
    arguments: dict[str, object] = {}
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= value
            continue
        wanted = str(parameter.annotation)
        if "Path" in wanted and isinstance(value, (str, Path)):
            value = str(Path(value).resolve())
        arguments[name] = value
    return arguments
