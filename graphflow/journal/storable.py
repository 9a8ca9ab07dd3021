"""Storable: whether the runs of a graph can be kept at all, from the types that it declares."""

from __future__ import annotations

from collections.abc import Iterator

from graphflow.errors import GraphUnstorable
from graphflow.journal.codec.value_codec import unstorable
from graphflow.messages.types import Type, type_name
from graphflow.proofs.proven import AnyGraph, ProvenGraph


def storage_problems(graph: AnyGraph) -> tuple[str, ...]:
    """Why runs of a graph cannot be kept: a text for each node whose messages would not come back. Made once."""
    known: tuple[str, ...] | None = graph.__dict__.get("_storage_problems")
    if known is None:
        known = tuple(dict.fromkeys(_problems(graph)))
        graph.__dict__["_storage_problems"] = known
    return known


def _problems(graph: AnyGraph) -> Iterator[str]:
    yield from _problem(f"graph {graph.name!r} takes", graph.input)
    for node in graph.reach():
        if isinstance(node, ProvenGraph):
            yield from storage_problems(node)
        else:
            yield from _problem(f"{node.kind} {node.name!r} sends", node.output)


def _problem(what: str, kind: Type) -> Iterator[str]:
    why = unstorable(kind)
    if why is not None:
        yield f"{what} {type_name(kind)}, which cannot be kept in a store: {why}"


def check_storable(graph: AnyGraph) -> None:
    """Refuses a graph whose runs cannot be kept, before anything is done.

    Raises:
        GraphUnstorable: there is a message that would not come back; the text names each.
    """
    problems = storage_problems(graph)
    if problems:
        listed = "; ".join(problems)
        raise GraphUnstorable(f"runs of graph {graph.name!r} cannot be kept: {listed}")
