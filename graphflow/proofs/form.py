"""The form of a graph: what it is made of, as plain data. Two graphs of one form walk alike.

A record of a run says by it which graph it is of. Prompts, models and the bodies of functions are no part of it: they
decide what nodes answer, and a record has their answers. What its types hold is a part: a record is read by them.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, TypeAlias

from graphflow.declaration.node import AnyNode
from graphflow.messages.state import AnyState
from graphflow.messages.types import Type, schema_of, type_name
from graphflow.proofs.proven import AnyGraph, ProvenGraph

DIGEST_LENGTH = 16
"""Characters of a type's digest."""
Form: TypeAlias = dict[str, Any]
"""JSON data."""


def form_of(graph: AnyGraph) -> Form:
    """The canonical form of a graph, those in it included."""
    form: Form = {
        "graph": graph.name,
        "ends": graph.ends,
        "nodes": [_node_form(node) for node in graph.nodes],
        "edges": [str(typed.edge) for typed in graph.edges],
        "calls": _calls(graph),
        "types": _types(graph),
    }
    if graph.state or graph.uses:
        form["state"] = {state.name: _state_form(state) for state in graph.state}
        form["uses"] = {state.name: _state_form(state) for state in graph.uses}
    return form


def _state_form(state: AnyState) -> str:
    """A state's type and its merge, by their names: a record holds what was written, and merges it again."""
    merge = state.merge
    how = "" if merge is None else getattr(merge, "__qualname__", repr(merge))
    scope = "" if state.scope == "frame" else state.scope
    parts = [type_name(state.type), how, scope]
    return " ".join(filter(None, parts))


def _types(graph: AnyGraph) -> dict[str, str]:
    """What the types of a graph hold, as digests: of one type two versions have the same name."""
    kinds = [graph.input, graph.output]
    for node in graph.reach():
        kinds.append(node.output)
        kinds += [port.type for port in node.ports]
        kinds += [state.type for state in node.touched]
    digests: dict[str, str] = {}
    for kind in kinds:
        name = type_name(kind)
        if name not in digests:
            digests[name] = _type_digest(kind)
    return digests


def _type_digest(kind: Type) -> str:
    schema = schema_of(kind)
    text = json.dumps(schema, sort_keys=True, default=repr)
    data = text.encode(errors="surrogatepass")
    digest = sha256(data).hexdigest()
    return digest[:DIGEST_LENGTH]


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
        if not callees:
            continue
        signatures: list[str] = []
        for node in callees:
            answer = type_name(node.output)
            signatures.append(f"{node.name}: {answer}")
        calls[caller] = signatures
    return calls


def form_bytes(graph: AnyGraph) -> bytes:
    """The canonical form of a graph as JSON in UTF-8, made once and kept with the graph."""
    known: bytes | None = graph.__dict__.get("_form")
    if known is not None:
        return known
    form = form_of(graph)
    text = json.dumps(form, sort_keys=True, separators=(",", ":"))
    # A name may hold a lone surrogate, which plain UTF-8 has no bytes for.
    data = text.encode(errors="surrogatepass")
    graph.__dict__["_form"] = data
    return data


def form_digest(graph: AnyGraph) -> str:
    """SHA-256 of a graph's form, hexadecimal."""
    known: str | None = graph.__dict__.get("_form_digest")
    if known is not None:
        return known
    data = form_bytes(graph)
    digest = sha256(data).hexdigest()
    graph.__dict__["_form_digest"] = digest
    return digest
