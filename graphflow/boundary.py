"""Where messages are checked: at a graph's door and at a node's answer. On an edge nothing is validated again.

`type(message) is expected` decides the common case; only what is not that very class is looked at.
"""

from __future__ import annotations

import inspect
from typing import Any

from graphflow.errors import InputInvalid, OutputInvalid
from graphflow.graph import Graph
from graphflow.messages import adapter_of, arms, output_check, type_name
from graphflow.nodes import Node


def check_input(graph: Graph[Any, Any], message: Any) -> Any:
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
        raise InputInvalid(
            f"graph {graph.name!r} takes {type_name(kind)}, and was given {type(message).__name__}: {'; '.join(details)}"
        ) from None


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
    shown = repr(output)
    if len(shown) > 120:
        shown = shown[:117] + "..."
    return OutputInvalid(
        f"node {node.name!r} says it returns {type_name(node.output)} and returned {type(output).__name__}: {shown}; "
        "return that type, or change the annotation"
    )
