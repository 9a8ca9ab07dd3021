"""The form of a graph: what it is made of, as plain data. Two graphs of one form walk alike.

A record of a run says by it which graph it is of. Prompts, models and the bodies of functions are no part of it: they
decide what nodes answer, and a record has their answers.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, TypeAlias

from graphflow.declaration.node import AnyNode
from graphflow.messages.types import type_name
from graphflow.proofs.proven import AnyGraph, ProvenGraph

Form: TypeAlias = dict[str, Any]
"""JSON data."""


def form_of(graph: AnyGraph) -> Form:
    """The canonical form of a graph, those in it included."""
    return {
        "graph": graph.name,
        "ends": graph.ends,
        "nodes": [_node_form(node) for node in graph.nodes],
        "edges": [str(typed.edge) for typed in graph.edges],
        "calls": _calls(graph),
    }


def _node_form(node: AnyNode) -> Form:
    form: Form = {
        "name": node.name,
        "kind": node.kind,
        "ports": {port.name: type_name(port.type) for port in node.ports},
        "output": type_name(node.output),
    }
    target, _ = node.entry()
    if isinstance(target, ProvenGraph):
        form["form"] = form_of(target)
    return form


def _calls(graph: AnyGraph) -> dict[str, list[str]]:
    calls: dict[str, list[str]] = {}
    for caller, callees in graph.program.callees.items():
        if callees:
            calls[caller] = [f"{node.name}: {type_name(node.output)}" for node in callees]
    return calls


def digest_of_form(form: Form) -> str:
    """SHA-256 of a form, hexadecimal."""
    text = json.dumps(form, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()
