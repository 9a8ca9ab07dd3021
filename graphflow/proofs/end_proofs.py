"""At most one message reaches END, unless the graph says what else is meant."""

from __future__ import annotations

from typing import Any

from graphflow.messages.types import item_type, type_name
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.exclusion import Exclusion
from graphflow.proofs.problems import Problems
from graphflow.proofs.tokens import double_end
from graphflow.proofs.topology import GraphEdge, Join, Topology
from graphflow.proofs.wiring import Wiring

JOIN_HINT = "; join them before END"
"""What to do where nothing more is known of what was meant."""


def check_end(wiring: Wiring, top: Topology, exclusive: Exclusion, problems: Problems) -> None:
    """Adds the edges by which two messages may reach END, and what was probably meant."""
    pair = double_end(top, exclusive)
    if pair is None:
        return
    one, other = pair
    first = wiring.edges[one.index].edge
    second = wiring.edges[other.index].edge
    if first is second:
        shown = f"{first!r} may bring several messages"
    else:
        shown = f"{first!r} and {second!r} may both bring a message"
    hint = _hint(wiring, top, one, other)
    problems.add(
        f"{shown} to END in one run{hint}; or say what is meant: Graph(..., ends='first') or ends='all'",
        first.where,
    )


def _hint(wiring: Wiring, top: Topology, one: GraphEdge, other: GraphEdge) -> str:
    """Where two messages to END were probably meant to become one, and how."""
    ways = _behind(wiring, one.target)
    others = _behind(wiring, other.target)
    both = ways & others
    untyped = _untyped_edge(wiring, both)
    if untyped is not None:
        return _untyped_hint(wiring, untyped)
    if one is other:
        # One edge that brings several is a map, so a join behind it may run once per item.
        forks = {one.source, *ways}
        last = _last_join(top, forks, ways)
        if last is None:
            return JOIN_HINT
        mapped = wiring.name(one.source)
        return _collect_hint(wiring, last, mapped)
    # The first node that both come to, one by one, is where a join was forgotten.
    either = ways | others
    meeting = both - {wiring.end, *top.joins}
    rank = top.order.__getitem__
    for number in sorted(meeting, key=rank):
        arriving = wiring.by_target[number]
        coming = [edge for edge in arriving if edge.source in either]
        if len(coming) > 1:
            name = wiring.name(number)
            edges = " and ".join(map(repr, coming))
            return f": {name!r} runs once for each of {edges}; join them before it, with a port for each or a list"
    return JOIN_HINT


def _untyped_edge(wiring: Wiring, nodes: set[int]) -> TypedEdge | None:
    """The first edge to one of these nodes that brings `Any` to a port which would collect, if it knew of what type it is."""
    for edge in wiring.edges:
        node = wiring.node(edge.target)
        if node is None or edge.target not in nodes:
            continue
        if edge.collects or Any not in edge.carries:
            continue
        port = node.ports[edge.port]
        if item_type(port.type) is not None:
            return edge
    return None


def _untyped_hint(wiring: Wiring, edge: TypedEdge) -> str:
    """Why nothing is collected behind a node that sends `Any`, and what would be."""
    source = wiring.name(edge.source)
    node = wiring.nodes[edge.target]
    port = node.ports[edge.port]
    kind = item_type(port.type)
    item = type_name(kind)
    return (
        f": {source!r} sends Any, so {node.name!r} takes each message as it is and collects nothing; "
        f"declare that {source!r} sends {item}"
    )


def _last_join(top: Topology, forks: set[int], nodes: set[int]) -> Join | None:
    """The last join among the nodes whose fork is one of these."""
    found = [number for number in top.joins if number in nodes]
    inner = [number for number in found if top.joins[number].fork in forks]
    if not inner:
        return None
    rank = top.order.__getitem__
    last = max(inner, key=rank)
    return top.joins[last]


def _collect_hint(wiring: Wiring, join: Join, mapped: str) -> str:
    """What to write where a join within a map answers once per item."""
    node = wiring.nodes[join.node]
    verb = "pairs what comes of"
    pairing = ""
    if join.collect:
        verb = "collects"
        pairing = "; to pair what comes of one item, give it a port for each instead of a list"
    fork = wiring.name(join.fork)
    answer = type_name(node.output)
    return (
        f": {node.name!r} {verb} the fork at {fork!r}, so it runs once per item of {mapped}.each; "
        f"collect its answers behind it, {node.name} >> a node with list[{answer}] >> END{pairing}"
    )


def _behind(wiring: Wiring, number: int) -> set[int]:
    """A node and all that its messages may come to."""
    found = {number}
    todo = [number]
    while todo:
        leaving = wiring.by_source[todo.pop()]
        targets = {edge.target for edge in leaving}
        new = targets - found
        found |= new
        todo += new
    return found
