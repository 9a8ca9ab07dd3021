"""What there is to know of a graph before it runs, as JSON: its types, nodes, bounds, claims, models, tools, prompts, problems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from graphflow.agent import Agent
from graphflow.declaration.node import AnyNode
from graphflow.graph import RunnableGraph
from graphflow.messages.types import type_name
from graphflow.model.seam import Model
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.redaction import scrub

Json: TypeAlias = dict[str, object]
"""An object of JSON."""


def info_of(graph: RunnableGraph, model: Model | str | None = None) -> Json:
    """What there is to know of a graph.

    Args:
        graph: which one.
        model: for nodes that name none.
    """
    # With a model that somebody gives, the graph lacks none.
    default = model or graph.model
    report = graph.check()
    warnings = [each for each in report.warnings if "names no model" not in each]
    models: dict[str, None] = {}
    for agent, named in graph.models_needed(default):
        if named is None:
            warnings.append(f"{agent!r} names no model, and nothing gives a default")
        else:
            models[_model_name(named)] = None
    verdicts = [graph.prove(claim) for claim in graph.claims]
    bounds = graph.bounds()
    return {
        "name": graph.name,
        "description": graph.description,
        "input": type_name(graph.input),
        "output": type_name(graph.output),
        "nodes": [_node(node) for node in graph.nodes],
        "edges": list(map(str, graph.edges)),
        "bounds": {
            "steps": bounds.steps,
            "depth": bounds.depth,
            "usd": bounds.usd,
            "activations": dict(bounds.activations),
            "model_calls": dict(bounds.model_calls),
        },
        "claims": [{"claim": repr(each.claim), "status": each.status} for each in verdicts],
        "models": sorted(models),
        "tools": sorted(_tools(graph)),
        "problems": warnings,
    }


def _tools(graph: AnyGraph) -> set[str]:
    """The names of the tools that a graph, or one in it, may call; of a server its own, as it tells them only when it runs."""
    names: set[str] = set()
    for node in nodes_below(graph):
        if node.kind in ("tool", "server"):
            names.add(node.name)
    return names


def nodes_below(graph: AnyGraph) -> Iterator[AnyNode]:
    """All nodes below a graph: on its arrows, behind calls, in graphs within."""
    todo: list[AnyNode] = [graph]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        # A graph may call itself.
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, ProvenGraph):
            todo += node.nodes
            for callees in node.proof.callees.values():
                todo += callees
        elif node.enters != "never":
            target, _ = node.entry()
            todo.append(target)


def _model_name(model: Model | str) -> str:
    if isinstance(model, str):
        return model
    return model.name


def _node(node: AnyNode) -> Json:
    ports = {port.name: type_name(port.type) for port in node.ports}
    found: Json = {
        "name": node.name,
        "kind": node.kind,
        "description": node.description,
        "takes": ports,
        "answers": type_name(node.output),
    }
    if isinstance(node, Agent):
        for key, text in (("system", node.system), ("prompt", node.prompt)):
            if text is not None:
                found[key] = scrub(str(text))
    return found
