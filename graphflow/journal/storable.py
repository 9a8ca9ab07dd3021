"""Storable: whether the runs of a graph can be kept at all, from the types that it declares."""

from __future__ import annotations

from collections.abc import Iterator

from graphflow.errors import GraphUnstorable
from graphflow.journal.codec.value_codec import unstorable
from graphflow.messages.types import Type, type_name
from graphflow.proofs.proven import AnyGraph, ProvenGraph


def storage_problems(graph: AnyGraph) -> tuple[str, ...]:
    """Why runs of a graph cannot be kept: a text for each node whose messages would not come back. Made once."""
    known: tuple[str, ...] | None = graph.__dict__.get(_KNOWN)
    if known is None:
        problems = _problems(graph)
        known = tuple(dict.fromkeys(problems))  # each once, in the order of the graph
        graph.__dict__[_KNOWN] = known
    return known


_KNOWN = "_storage_problems"
"""Under which name a graph keeps them."""


def _problems(graph: AnyGraph) -> Iterator[str]:
    who = f"graph {graph.name!r} takes"
    yield from _problem(who, graph.input)
    for node in graph.reach():
        # A graph within is asked itself: it knows its own by now, or will.
        if isinstance(node, ProvenGraph):
            yield from storage_problems(node)
            continue
        who = f"{node.kind} {node.name!r} sends"
        yield from _problem(who, node.output)


def _problem(who: str, kind: Type) -> Iterator[str]:
    why = unstorable(kind)
    if why is not None:
        name = type_name(kind)
        yield f"{who} {name}, which cannot be kept in a store: {why}"


def check_storable(graph: AnyGraph) -> None:
    """Refuses a graph whose runs cannot be kept, before anything is done.

    Raises:
        GraphUnstorable: there is a message that would not come back; the text names each.
    """
    problems = storage_problems(graph)
    if problems:
        listed = "; ".join(problems)
        raise GraphUnstorable(f"runs of graph {graph.name!r} cannot be kept: {listed}")
