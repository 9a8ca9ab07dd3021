"""A graph as YAML text, in the words that are read: what `graph.to_yaml()` writes.

Whatever a file cannot name (a lambda, a function inside a function) is refused, never left out.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import Any

import yaml

from graphflow.files.specs import options_of, specs_of
from graphflow.files.written import address, model_of, refuse_secrets, spelled
from graphflow.graph import Graph
from graphflow.limits import Limits
from graphflow.messages.message import type_name


def dump_graph(graph: Graph[Any, Any]) -> str:
    """A graph as YAML that `load_graph` makes the same graph of.

    Raises:
        FileUnreadable: something in it has no name that could be imported (a lambda, a function inside a function).
    """
    declared: dict[str, Any] = {"graph": graph.name}
    if graph.model is not None:
        declared["model"] = model_of(graph.name, graph.model)
    for key, value, default in (("ends", graph._proof.ends, "one"), ("description", graph.description, "")):
        if value != default:
            declared[key] = value
    if graph.limits is not None:
        declared["limits"] = {
            k: getattr(graph.limits, k) for k in Limits.__dataclass_fields__ if getattr(graph.limits, k) is not None
        }
    if graph._proof.declared_input is not None:
        declared["input"] = spelled(graph.input)
    if graph._proof.deps is not None:
        declared["deps"] = spelled(graph._proof.deps)
    declared |= options_of(graph)
    declared["nodes"] = specs_of(graph)
    declared["edges"] = [_edge(d.edge) for d in graph._proof.edges if d.edge not in graph._proof.implied]
    refuse_secrets(graph.name, declared)
    return yaml.safe_dump(declared, sort_keys=False, allow_unicode=True, width=10_000)


def _quoted(name: str) -> str:
    """A node's name on an arrow: as it is if it is a word of Python, else in quotes."""
    plain = name.isascii() and name.isidentifier() and not iskeyword(name)
    return name if plain else repr(name)


def _edge(edge: Any) -> str:
    shown = _quoted(edge.origin.node.name)
    origin = edge.origin
    if origin.arm is not None:
        shown += f"[{origin.arm!r}]" if isinstance(origin.arm, str) else f"[{type_name(origin.arm)}]"
    if origin.guard is not None:
        shown += ".otherwise" if origin.guard == "otherwise" else f".when({address(origin.guard)!r})"
    if origin.each:
        shown += ".each"
    if origin.fork is not None:
        shown += f".fork({origin.fork!r})"
    if origin.laps is not None:
        shown += f".limit({origin.laps})"
    target = _quoted(edge.target.name) + (f".into({edge.port!r})" if edge.port else "")
    return f"{shown} >> {target}"
