"""Where messages are checked: at a graph's door and at a node's answer. On an edge nothing is validated again.

`type(message) is expected` decides the common case; only what is not that very class is looked at.
"""

from __future__ import annotations

import inspect
from typing import Any

from graphflow.declaration.node import Node
from graphflow.errors import DepsInvalid, InputInvalid, OutputInvalid
from graphflow.messages.message import shortened
from graphflow.messages.namesakes import Namesakes
from graphflow.messages.types import Type, adapter_of, arms, output_check, type_name
from graphflow.proofs.proven import AnyGraph


def check_input(graph: AnyGraph, message: Any) -> Any:
    """The message as the graph's input type wants it; plain data is validated into a model, models are taken as they are.

    Raises:
        InputInvalid: it does not fit; the text names each field.
    """
    kind = graph.input
    if kind is Any or type(message) is kind:
        return message
    for arm in arms(kind):
        if isinstance(arm, type) and type(message) is arm:
            return message
    try:
        return adapter_of(kind).validate_python(message)
    except ValueError as error:
        errors = getattr(error, "errors", None)
        details = (
            [f"{'.'.join(map(str, e['loc'])) or 'message'}: {e['msg']}" for e in errors()] if errors else [str(error)]
        )
        apart = Namesakes(kind, type(message))
        raise InputInvalid(
            f"graph {graph.name!r} takes {apart.name(kind)}, and was given {apart.name(type(message))}: "
            f"{'; '.join(details)}{apart.hint}"
        ) from None


def check_deps(graph: str, kind: Type | None, deps: Any) -> None:
    """Refuses dependencies that are not what a graph declares, before a prompt or a tool misses something in them.

    Raises:
        DepsInvalid: they are of another type, or there are none.
    """
    if kind is None or _is_of(kind, deps):
        return
    apart = Namesakes(kind, type(deps))
    wanted = apart.name(kind)
    given = "none were given" if deps is None else f"{apart.name(type(deps))} was given"
    raise DepsInvalid(
        f"graph {graph!r} declares deps={wanted}, and {given}; pass run(..., deps=...) with a {wanted}{apart.hint}"
    )


def _is_of(kind: Type, deps: Any) -> bool:
    """Whether an object is of a type; of a protocol that cannot be tested otherwise it has the members."""
    try:
        _, fits = output_check(kind)
        return fits is None or fits(deps)
    except TypeError:
        members = [name for name in (*vars(kind), *getattr(kind, "__annotations__", ())) if not name.startswith("_")]
        return all(hasattr(deps, name) for name in members)


def check_output(node: Node[Any, Any], output: Any) -> None:
    """Refuses an output that the node's declared type does not allow."""
    if node.enters != "never":
        return
    expected, fits = output_check(node.output)
    if type(output) is not expected and fits is not None and not fits(output):
        raise wrong_output(node, output)


def wrong_output(node: Node[Any, Any] | None, output: Any) -> OutputInvalid:
    """The error that names node, expected and got."""
    assert node is not None
    if inspect.iscoroutine(output):
        output.close()
        return OutputInvalid(
            f"node {node.name!r} returned a coroutine instead of {type_name(node.output)}; write `return await ...`"
        )
    apart = Namesakes(node.output, type(output))
    return OutputInvalid(
        f"node {node.name!r} says it returns {apart.name(node.output)} and returned {apart.name(type(output))}: "
        f"{shortened(output)}{apart.hint or '; return that type, or change the annotation'}"
    )
