"""A graph as YAML text, in the words that are read: what `graph.to_yaml()` writes.

Whatever a file cannot name (a lambda, a function inside a function) is refused, never left out.
"""

from __future__ import annotations

from keyword import iskeyword

import yaml

from graphflow.declaration.arrows import Edge, Origin
from graphflow.files.addresses import address, model_of, type_text
from graphflow.files.hidden import secrets_of
from graphflow.files.memories import specs_of_memories
from graphflow.files.message_types import writing_messages
from graphflow.files.messages import written_messages
from graphflow.files.secrets import refuse_secrets
from graphflow.files.specs import limits_of, options_of, specs_of
from graphflow.files.states import states_of
from graphflow.files.yaml_text import YamlDumper
from graphflow.messages.types import type_name
from graphflow.proofs.proven import AnyGraph
from graphflow.variables import escaped


def dump_graph(graph: AnyGraph) -> str:
    """A graph as YAML that `load_graph` makes the same graph of.

    Raises:
        FileUnreadable: something in it has no name that could be imported (a lambda, a function inside a function).
    """
    declared = plain_graph(graph)
    return yaml.dump(declared, Dumper=YamlDumper, sort_keys=False, allow_unicode=True, width=10_000)


def plain_graph(graph: AnyGraph) -> dict[str, object]:
    """A graph as the plain data that a file of it holds, in YAML, JSON or TOML.

    Raises:
        FileUnreadable: as for `dump_graph`.
    """
    with writing_messages() as found:
        declared = _declared(graph)
        messages = written_messages(found, type_text)
    nodes = declared.pop("nodes")
    edges = declared.pop("edges")
    declared |= messages
    declared |= {"nodes": nodes, "edges": edges}
    # Last, and over everything: a secret may stand in a prompt or a description.
    refuse_secrets(graph.name, declared)
    return {key: escaped(part) for key, part in declared.items()}


def _declared(graph: AnyGraph) -> dict[str, object]:
    return {"graph": graph.name, **declared_graph(graph)}


def declared_graph(graph: AnyGraph) -> dict[str, object]:
    """A graph without its name, as it stands in a file, or in the place of a node."""
    declared: dict[str, object] = {}
    if graph.model is not None:
        declared["model"] = model_of(graph.name, graph.model)
    if graph.ends != "one":
        declared["ends"] = graph.ends
    if graph.on_untrusted != "refuse":
        declared["untrusted"] = graph.on_untrusted
    if graph.description:
        declared["description"] = graph.description
    if graph.limits is not None:
        declared["limits"] = limits_of(graph.limits)
    if graph.declared_input is not None:
        declared["input"] = type_text(graph.input)
    if graph.deps is not None:
        declared["deps"] = type_text(graph.deps)
    declared |= states_of(graph)
    declared |= specs_of_memories(graph)
    declared |= _claims_of(graph)
    declared |= secrets_of(graph)
    declared |= options_of(graph)
    declared["nodes"] = specs_of(graph)
    # The edges that a call or a hand-over implies come back by themselves.
    arrows: list[str] = []
    for typed in graph.edges:
        if not graph.is_implied(typed):
            arrow = _arrow(typed.edge)
            arrows.append(arrow)
    arrows += map(_arrow, graph.state_edges)
    declared["edges"] = arrows
    return declared


def _claims_of(graph: AnyGraph) -> dict[str, list[str]]:
    """The claims, as they are written in code."""
    texts = [repr(claim) for claim in graph.claims]
    return {"claims": texts} if texts else {}


def _quoted(name: str) -> str:
    """A node's name on an arrow: as it is if it is a word of Python, else in quotes."""
    is_word = name.isascii() and name.isidentifier()
    if is_word and not iskeyword(name):
        return name
    return repr(name)


def _arrow(edge: Edge) -> str:
    target = _quoted(edge.target.name)
    if edge.port:
        target += f".into({edge.port!r})"
    origin = _origin(edge.origin)
    return f"{origin} >> {target}"


def _origin(origin: Origin) -> str:
    text = _quoted(origin.node.name)
    arm = origin.arm
    if isinstance(arm, str):
        text += f"[{arm!r}]"
    elif arm is not None:
        text += f"[{type_name(arm)}]"
    guard = origin.guard
    if guard == "otherwise":
        text += ".otherwise"
    elif guard is not None:
        text += f".when({address(guard)!r})"
    if origin.each:
        text += ".each"
    if origin.fork is not None:
        text += f".fork({origin.fork!r})"
    if origin.laps is not None:
        text += f".limit({origin.laps})"
    return text
