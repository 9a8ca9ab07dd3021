"""The nodes of a graph as a picture has them: those on arrows, what is called along call edges, and what lies within what.

A sub-agent that is one agent is drawn as an area, with what only it calls inside:

    desk --> boss --calls--> helper --calls--> look        boss > helper > look
                   `-------------------calls--> look       look is called by both: it lies within the boss alone
"""

from __future__ import annotations

from graphflow.declaration.node import AnyNode
from graphflow.proofs.proven import AnyGraph, ProvenGraph

NodeWay = tuple[str, ...]
"""The sub-agents around a node, the outer ones first."""
UNKNOWN: NodeWay = ("\0",)
"""The way to a node that no known way of calls leads to yet."""


def members_of(graph: AnyGraph) -> dict[str, AnyNode]:
    """The nodes that a picture of a graph has on one level, by name: those on arrows, then what is called."""
    nodes: dict[str, AnyNode] = {node.name: node for node in graph.nodes}
    todo = list(nodes.values())
    while todo:
        node = todo.pop(0)
        for callee in callees_of(graph, node):
            if callee.name not in nodes:
                nodes[callee.name] = callee
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
    return target if isinstance(target, ProvenGraph) else None


def graph_at(graph: AnyGraph | None, level: NodeWay) -> AnyGraph | None:
    """The graph on a level below this one; None where a step of the way is not a graph."""
    for step in level[1:]:
        if graph is None:
            return None
        node = members_of(graph).get(step)
        graph = None if node is None else graph_within(node)
    return graph


def ways_of(graph: AnyGraph, nodes: dict[str, AnyNode]) -> dict[str, NodeWay]:
    """For each node the sub-agents around it: those that every way of calls to it goes through."""
    on_arrows = {node.name for node in graph.nodes}
    if len(on_arrows) == len(nodes):
        return dict.fromkeys(nodes, ())
    callers = _callers(graph, nodes)
    called = [name for name in nodes if name not in on_arrows]
    areas = _areas(nodes, on_arrows)
    ways = dict.fromkeys(nodes, UNKNOWN)
    for name in on_arrows:
        ways[name] = ()

    # Each round makes ways that are known at one end known one call further, until nothing changes: after as many rounds
    # as there are nodes everything is known that can be, whatever circles there are.
    for _ in range(len(nodes) + 2):
        before = dict(ways)
        for name in called:
            ways[name] = _common_way(name, callers[name], ways, areas)
        if ways == before:
            break
    return ways


def _areas(nodes: dict[str, AnyNode], on_arrows: set[str]) -> set[str]:
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


def _callers(graph: AnyGraph, nodes: dict[str, AnyNode]) -> dict[str, list[str]]:
    callers: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for callee in callees_of(graph, node):
            if callee.name != name:
                callers[callee.name].append(name)
    return callers


def _common_way(
    name: str, callers: list[str], ways: dict[str, NodeWay], areas: set[str]
) -> NodeWay:
    """The beginning that all known ways to a node share."""
    found: list[NodeWay] = []
    for caller in callers:
        way = ways[caller]
        if way is UNKNOWN:
            continue
        if caller in areas:
            way = (*way, caller)
        if name in way:  # a circle of calls: a node does not lie within itself
            way = way[: way.index(name)]
        found.append(way)
    if not found:
        return UNKNOWN
    shared: list[str] = []
    for names in zip(*found, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return tuple(shared)


def way_to(graph: AnyGraph, name: str) -> NodeWay:
    """The sub-agents around a node of that graph, the outer ones first."""
    ways = ways_of(graph, members_of(graph))
    return ways.get(name, ())
