"""The nodes of a graph as a picture has them: those on arrows, what is called along call edges, and what lies within what.

A sub-agent that is one agent is drawn as an area, with what only it calls inside:

    desk --> boss --calls--> helper --calls--> look        boss > helper > look
                   `-------------------calls--> look       look is called by both: it lies within the boss alone
"""

from __future__ import annotations

from collections import defaultdict

from graphflow.declaration.node import AnyNode
from graphflow.proofs.proven import AnyGraph, ProvenGraph

Nodes = dict[str, AnyNode]
"""Nodes by their names."""
NodeWay = tuple[str, ...]
"""The sub-agents around a node, the outer ones first."""
UNKNOWN: NodeWay = ("\0",)
"""The way to a node that no known way of calls leads to yet."""
Ways = dict[str, NodeWay]
"""The way to each node, by its name."""


def members_of(graph: AnyGraph) -> Nodes:
    """The nodes that a picture of a graph has on one level, by name: those on arrows, then what is called."""
    nodes: Nodes = {}
    for node in graph.nodes:
        nodes[node.name] = node
    # What is called may call others, which follow after all that is there already.
    todo = list(nodes.values())
    while todo:
        node = todo.pop(0)
        for callee in callees_of(graph, node):
            name = callee.name
            if name in nodes:
                continue
            nodes[name] = callee
            todo.append(callee)
    return nodes


def callees_of(graph: AnyGraph, node: AnyNode) -> tuple[AnyNode, ...]:
    """What a node calls; a sub-agent calls what its target does."""
    callees = graph.program.callees
    found = callees.get(node.name)
    if found:
        return found
    target, _ = node.entry()
    if target not in node.within():
        return ()
    return callees.get(target.name, ())


def graph_within(node: AnyNode) -> AnyGraph | None:
    """The graph that entering a node walks, if it is one."""
    target, _ = node.entry()
    if isinstance(target, ProvenGraph):
        return target
    return None


def graph_at(graph: AnyGraph | None, level: NodeWay) -> AnyGraph | None:
    """The graph on a level below this one; None where a step of the way is not a graph."""
    for step in level[1:]:
        if graph is None:
            return None
        members = members_of(graph)
        if step not in members:
            return None
        node = members[step]
        graph = graph_within(node)
    return graph


def ways_of(graph: AnyGraph, nodes: Nodes) -> Ways:
    """For each node the sub-agents around it: those that every way of calls to it goes through."""
    on_arrows = {node.name for node in graph.nodes}
    ways: Ways = {}
    called: list[str] = []
    for name in nodes:
        if name in on_arrows:
            ways[name] = ()
        else:
            ways[name] = UNKNOWN
            called.append(name)
    if not called:
        return ways
    areas = _areas(nodes, on_arrows)
    callers = _callers(graph, nodes)
    # Each round makes ways that are known at one end known one call further, until nothing changes: after as many rounds
    # as there are nodes everything is known that can be, whatever circles there are.
    rounds = len(nodes) + 2
    for _ in range(rounds):
        before = dict(ways)
        for name in called:
            own_callers = callers[name]
            ways[name] = _common_way(name, own_callers, ways, areas)
        if ways == before:
            break
    return ways


def _areas(nodes: Nodes, on_arrows: set[str]) -> set[str]:
    """The names of the nodes that are drawn as areas."""
    areas: set[str] = set()
    for name, node in nodes.items():
        is_called = name not in on_arrows
        if _opens_area(node, is_called):
            areas.add(name)
    return areas


def _opens_area(node: AnyNode, called: bool) -> bool:
    if node.enters == "always":
        return True
    return called and node.enters == "called"


def _callers(graph: AnyGraph, nodes: Nodes) -> dict[str, list[str]]:
    """The names of the nodes that call each node, itself left out."""
    callers: dict[str, list[str]] = defaultdict(list)
    for name, node in nodes.items():
        for callee in callees_of(graph, node):
            if callee.name != name:
                callers[callee.name].append(name)
    return callers


def _common_way(name: str, callers: list[str], ways: Ways, areas: set[str]) -> NodeWay:
    """The beginning that all known ways to a node share."""
    found: list[NodeWay] = []
    for caller in callers:
        way = ways[caller]
        if way is UNKNOWN:
            continue
        if caller in areas:
            way = (*way, caller)
        # A circle of calls: a node does not lie within itself.
        if name in way:
            end = way.index(name)
            way = way[:end]
        found.append(way)
    if not found:
        return UNKNOWN
    shared: list[str] = []
    # As far as the shortest way, and only as long as all of them go through the same.
    for step, *others in zip(*found, strict=False):
        if any(other != step for other in others):
            break
        shared.append(step)
    return tuple(shared)


def way_to(graph: AnyGraph, name: str) -> NodeWay:
    """The sub-agents around a node of that graph, the outer ones first."""
    nodes = members_of(graph)
    ways = ways_of(graph, nodes)
    return ways.get(name, ())
