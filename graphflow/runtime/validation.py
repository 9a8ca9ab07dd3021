"""Where messages are checked: at a graph's door and at a node's answer. On an edge nothing is validated again.

`type(message) is expected` decides the common case; only what is not that very class is looked at.
"""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import ValidationError

from graphflow.declaration.node import AnyNode
from graphflow.errors import DepsInvalid, InputInvalid, OutputInvalid, StateUndeclared
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
    given = type(message)
    if kind is Any or given is kind:
        return message
    for arm in arms(kind):
        if given is arm:
            return message
    try:
        return adapter_of(kind).validate_python(message)
    except ValueError as error:
        raise _invalid_input(graph, message, error) from None


def _invalid_input(graph: AnyGraph, message: object, error: ValueError) -> InputInvalid:
    given = type(message)
    apart = Namesakes(graph.input, given)
    wanted = apart.name(graph.input)
    why = _why_invalid(error)
    return InputInvalid(
        f"graph {graph.name!r} takes {wanted}, and was given {apart.name(given)}: {why}{apart.hint}"
    )


def _why_invalid(error: ValueError) -> str:
    """What is wrong with each field, where the error tells: pydantic's does."""
    if not isinstance(error, ValidationError):
        return str(error)
    details: list[str] = []
    for problem in error.errors():
        field = ".".join(map(str, problem["loc"]))
        why = problem["msg"]
        # Without a field it is the message as a whole that does not fit.
        if not field:
            field = "message"
        details.append(f"{field}: {why}")
    return "; ".join(details)


def check_deps(graph: str, kind: Type | None, deps: object) -> None:
    """Refuses dependencies that are not what a graph declares, before a prompt or a tool misses something in them.

    Raises:
        DepsInvalid: they are of another type, or there are none.
    """
    if kind is not None and not _is_of(kind, deps):
        raise _other_deps(f"graph {graph!r} declares deps={{}}", kind, deps)


def check_all_deps(graph: AnyGraph, deps: object) -> None:
    """Refuses dependencies that are not what a graph, one in it, or their code declares. Raises what `check_deps` raises."""
    for name, kind in graph.deps_wanted:
        check_deps(name, kind, deps)
    for name, kind in graph.deps_of_code:
        check_deps_of_code(name, kind, deps)


def check_deps_of_code(node: str, kind: Type, deps: object) -> None:
    """Refuses dependencies that are not what the code of a node says it gets.

    Raises:
        DepsInvalid: they are of another type, or there are none.
    """
    if not _is_of(kind, deps):
        raise _other_deps(f"node {node!r} takes Context[{{}}]", kind, deps)


def _other_deps(who: str, kind: Type, deps: object) -> DepsInvalid:
    other = type(deps)
    apart = Namesakes(kind, other)
    wanted = apart.name(kind)
    # A run without deps has been given None, which nobody calls a type.
    given = "none were given"
    if deps is not None:
        given = f"{apart.name(other)} was given"
    declares = who.format(wanted)
    return DepsInvalid(
        f"{declares}, and {given}; pass run(..., deps=...) with a {wanted}{apart.hint}"
    )


def _is_of(kind: Type, deps: object) -> bool:
    """Whether an object is of a type; of a protocol that cannot be tested otherwise it has the members."""
    try:
        _, fits = output_check(kind)
        return fits is None or fits(deps)
    except TypeError:
        return _has_members(kind, deps)


def _has_members(protocol: Type, deps: object) -> bool:
    """Whether an object has what a protocol names, its attributes without a value included."""
    annotated = getattr(protocol, "__annotations__", ())
    for name in (*vars(protocol), *annotated):
        if not name.startswith("_") and not hasattr(deps, name):
            return False
    return True


def check_output(node: AnyNode, output: object) -> None:
    """Refuses an output that the node's declared type does not allow."""
    if node.enters != "never":
        return
    expected, fits = output_check(node.output)
    if type(output) is not expected and fits is not None and not fits(output):
        raise wrong_output(node, output)


def wrong_output(node: AnyNode | None, output: object) -> OutputInvalid:
    """The error that names node, expected and got."""
    assert node is not None
    if inspect.iscoroutine(output):
        output.close()
        expected = type_name(node.output)
        return OutputInvalid(
            f"node {node.name!r} returned a coroutine instead of {expected}; write `return await ...`"
        )
    returned = type(output)
    apart = Namesakes(node.output, returned)
    expected = apart.name(node.output)
    got = apart.name(returned)
    shown = shortened(output)
    hint = apart.hint or "; return that type, or change the annotation"
    return OutputInvalid(
        f"node {node.name!r} says it returns {expected} and returned {got}: {shown}{hint}"
    )


def check_owners(graph: AnyGraph) -> None:
    """Refuses to run a graph alone that is lent states by those around it.

    Raises:
        StateUndeclared: it is.
    """
    for state in graph.uses:
        raise StateUndeclared(
            f"graph {graph.name!r} uses state {state.name!r}, and no graph around it owns that; "
            f"run the graph that does, or give it state=[{state.name}]"
        )
