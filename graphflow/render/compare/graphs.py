"""Compares two graphs: node by node, edge by edge, as far as both are drawn open."""

from __future__ import annotations

from dataclasses import fields

from graphflow.declaration.node import AnyNode
from graphflow.limits import Limits
from graphflow.messages.types import type_name
from graphflow.proofs.proven import AnyGraph
from graphflow.render.builder import picture
from graphflow.render.compare.declared import facts_of, text_of
from graphflow.render.compare.difference import (
    ADDED,
    CHANGED,
    REMOVED,
    Change,
    Difference,
    NamePair,
    headline,
)
from graphflow.render.compare.merge import DrawnKey, DrawnPlaces, Merge, places_of
from graphflow.render.labels import printable
from graphflow.render.members import graph_within, members_of
from graphflow.render.picture import Drawn, Open, Shape
from graphflow.render.xml import clip


def compare_graphs(a: AnyGraph, b: AnyGraph, open: Open, names: NamePair) -> Difference:
    """What differs between two graphs; the picture is that of the second, with what only the first has put into it."""
    old = picture(a, open=open, fold=False)
    new = picture(b, open=open, fold=False)
    new.overlay = "difference"
    new.headline = headline(names)
    before = places_of(old)
    after = places_of(new)
    changes = _whole_changes(a, b)
    changes += _mark_second(a, b, before, after)
    changes += _mark_first(before, after)
    merge = Merge(old, new, before, after)
    changes += merge.changes()
    return Difference(names, tuple(changes), new)


def _mark_second(a: AnyGraph, b: AnyGraph, before: DrawnPlaces, after: DrawnPlaces) -> list[Change]:
    """Marks what the first graph does not have, and what it has otherwise."""
    changes: list[Change] = []
    for key, place in after.items():
        words = _place_words(key, place)
        if key not in before:
            place.mark = "added"
            changes.append((ADDED, words))
            continue
        # Start and end declare nothing that could differ.
        if isinstance(place, Shape) and place.is_end:
            continue
        one = _node(a, key)
        other = _node(b, key)
        differences = _differences(one, other)
        if differences:
            place.mark = "changed"
            what = ", ".join(differences)
            changes.append((CHANGED, f"{words}: {what}"))
    return changes


def _mark_first(before: DrawnPlaces, after: DrawnPlaces) -> list[Change]:
    """Marks what the second graph does not have."""
    changes: list[Change] = []
    for key, place in before.items():
        if key in after:
            continue
        place.mark = "removed"
        words = _place_words(key, place)
        changes.append((REMOVED, words))
    return changes


def _place_words(key: DrawnKey, place: Drawn) -> str:
    way, name = key
    where = " > ".join((*way, name))
    return f"{place.kind} {where}"


def _node(graph: AnyGraph, key: DrawnKey) -> AnyNode:
    way, name = key
    for step in way:
        node = members_of(graph)[step]
        inner = graph_within(node)
        assert inner is not None
        graph = inner
    return members_of(graph)[name]


def _whole_changes(a: AnyGraph, b: AnyGraph) -> list[Change]:
    """What differs in the graphs as wholes."""
    first = _whole_facts(a)
    second = _whole_facts(b)
    changes: list[Change] = []
    for what, before in first.items():
        after = second[what]
        if before == after:
            continue
        old = clip(printable(before), 80)
        new = clip(printable(after), 80)
        changes.append((CHANGED, f"graph {what}: {old} -> {new}"))
    return changes


def _whole_facts(graph: AnyGraph) -> dict[str, str]:
    facts = {
        "input": type_name(graph.input),
        "output": type_name(graph.output),
        "model": text_of(graph.model),
    }
    limits = graph.limits or Limits()
    for limit in fields(Limits):
        value = getattr(limits, limit.name)
        facts[f"limit {limit.name}"] = str(value)
    facts["description"] = graph.description
    facts["ends"] = graph.ends
    return facts


def _differences(one: AnyNode, other: AnyNode) -> list[str]:
    """The words for what two nodes of one name do not share."""
    if one.kind != other.kind:
        return [f"{one.kind} -> {other.kind}"]
    first = facts_of(one)
    second = facts_of(other)
    found: list[str] = []
    for name in {**first, **second}:
        if first.get(name) != second.get(name):
            found.append(name)
    return found
