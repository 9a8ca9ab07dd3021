"""A graph as YAML text, in the words that `files.py` reads: what `graph.to_yaml()` writes.

Whatever a file cannot name (a lambda, a function inside a function) is refused, never left out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, get_args

import yaml

from graphflow.errors import FileUnreadable
from graphflow.files import PLAIN_TYPES
from graphflow.graph import Graph
from graphflow.kinds.agent import TURNS, Agent
from graphflow.kinds.code import Code
from graphflow.kinds.delegation import background
from graphflow.kinds.router import Router
from graphflow.kinds.skills import Skills
from graphflow.kinds.tool import OUTPUT_LIMIT
from graphflow.limits import Limits
from graphflow.messages import Type, arms, origin_of, to_json_value, type_name
from graphflow.nodes import Node
from graphflow.providers.lazy import Declared


def dump_graph(graph: Graph[Any, Any]) -> str:
    """A graph as YAML that `load_graph` makes the same graph of.

    Raises:
        FileUnreadable: something in it has no name that could be imported (a lambda, a function inside a function).
    """
    declared: dict[str, Any] = {"graph": graph.name}
    if graph.model is not None:
        declared["model"] = _model(graph.name, graph.model)
    for key, value, default in (("ends", graph._proof.ends, "one"), ("description", graph.description, "")):
        if value != default:
            declared[key] = value
    if graph.limits is not None:
        declared["limits"] = {
            k: getattr(graph.limits, k) for k in Limits.__dataclass_fields__ if getattr(graph.limits, k) is not None
        }
    if graph._proof.declared_input is not None:
        declared["input"] = _spelled(graph.input)
    declared["nodes"] = _nodes(graph.nodes)
    declared["edges"] = [_edge(d.edge) for d in graph._proof.edges if d.edge not in graph._proof.implied]
    return yaml.safe_dump(declared, sort_keys=False, allow_unicode=True, width=10_000)


def _edge(edge: Any) -> str:
    shown = edge.origin.node.name
    origin = edge.origin
    if origin.arm is not None:
        shown += f"[{origin.arm!r}]" if isinstance(origin.arm, str) else f"[{type_name(origin.arm)}]"
    if origin.guard is not None:
        shown += ".otherwise" if origin.guard == "otherwise" else f".when({_address(origin.guard)!r})"
    if origin.each:
        shown += ".each"
    if origin.fork is not None:
        shown += f".fork({origin.fork!r})"
    if origin.laps is not None:
        shown += f".limit({origin.laps})"
    target = edge.target.name + (f".into({edge.port!r})" if edge.port else "")
    return f"{shown} >> {target}"


def _nodes(nodes: Sequence[Node[Any, Any]]) -> dict[str, Any]:
    """The nodes on the arrows, and those that only these call and that a file can spell out."""
    declared: dict[str, Any] = {}
    todo = list(nodes)
    while todo:
        node = todo.pop(0)
        if node.name not in declared:
            spec = declared[node.name] = _spec(node)
            if isinstance(spec, dict):
                todo += [callee for callee in node.calls if isinstance(callee, (Code, Skills))]
    return declared


def _spec(node: Node[Any, Any]) -> Any:
    if isinstance(node, Agent):
        return _agent_spec(node)
    if isinstance(node, (Code, Skills)):
        return _tool_spec(node)
    if isinstance(node, Router) and node.rule is None:
        return _router_spec(node)
    return _address(node, node.name)


def _agent_spec(agent: Agent[Any, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": "agent"}
    for option in ("handoffs", "policy", "approval", "cache"):
        if getattr(agent, option):
            raise FileUnreadable(
                f"agent {agent.name!r} has {option}, which a file cannot hold; keep the graph in Python"
            )
    if agent.model is not None:
        spec["model"] = _model(agent.name, agent.model)
    if agent.retry is not None:
        spec["retry"] = _retry(agent)
    if agent.ports[0].type is not Any:
        spec["input"] = _spelled(agent.ports[0].type)
    if agent.output is not str:
        spec["output"] = _spelled(agent.output)
    spec |= _prompts(agent)
    if agent.calls:
        spec["tools"] = [_callee(callee) for callee in agent.calls]
    if agent.examples:
        spec["examples"] = [[to_json_value(message), to_json_value(answer)] for message, answer in agent.examples]
    for key, value, default in (
        ("description", agent.description, ""),
        ("turns", agent.turns, TURNS),
        ("repairs", agent.repairs, 2),
        ("timeout_s", agent.timeout_s, None),
    ):
        if value != default:
            spec[key] = value
    for key, value in agent.settings.stated.items():
        spec[key] = list(value) if isinstance(value, tuple) else value
    return spec


def _callee(callee: Node[Any, Any] | str) -> str:
    if isinstance(callee, str):
        return callee
    return callee.name if isinstance(callee, (Code, Skills)) else _address(callee, callee.name)


def _tool_spec(node: Code | Skills) -> dict[str, Any]:
    """A code or skills node: whatever differs from what it is without being told."""
    for option in ("cache", "policy", "approval"):
        if getattr(node, option):
            raise FileUnreadable(f"{node.name!r} has {option}={getattr(node, option)!r}, which a file cannot hold")
    spec: dict[str, Any] = {"kind": node.kind}
    calls = [_callee(callee) for callee in node.calls if callee is not background]
    if isinstance(node, Skills):
        spec["folders"] = list(node.folders)
        if calls:
            spec["runner"] = calls[0]
    elif calls:
        spec["calls"] = calls
    plain = Code("plain") if isinstance(node, Code) else None
    limits = ("memory_mib", "seconds", "printed_limit", "most_calls", "recursion") if plain else ()
    for key, default in (
        *((limit, getattr(plain, limit)) for limit in limits),
        ("description", ""),
        ("output_limit", OUTPUT_LIMIT),
        ("timeout_s", None),
    ):
        if getattr(node, key) != default:
            spec[key] = getattr(node, key)
    if node.retry is not None:
        spec["retry"] = _retry(node)
    return spec


def _prompts(agent: Agent[Any, Any]) -> dict[str, str]:
    if isinstance(agent.system, tuple):
        raise FileUnreadable(f"agent {agent.name!r} has cache marks in its system prompt, which a file cannot hold")
    given = (("prompt", agent.prompt), ("system", agent.system))
    return {key: prompt.source for key, prompt in given if prompt is not None}


def _model(name: str, model: Any) -> Any:
    if isinstance(model, str):
        return model
    if isinstance(model, Declared):
        return model.spec
    raise FileUnreadable(
        f"{name!r} has a model object, {model!r}, which a file cannot name; give it as 'provider:model'"
    )


def _retry(node: Node[Any, Any]) -> dict[str, Any]:
    retry = node.retry
    assert retry is not None
    if retry.on != (Exception,):
        raise FileUnreadable(f"{node.name!r} retries on certain exceptions only, which a file cannot name")
    return {"attempts": retry.attempts, "wait_s": retry.wait_s, "factor": retry.factor, "most_s": retry.most_s}


def _router_spec(router: Router[Any, Any]) -> dict[str, Any]:
    if not isinstance(router.embedder, str):
        raise FileUnreadable(
            f"{router.name!r} has an embedder object, which a file cannot name; give it as 'provider:model'"
        )
    spec: dict[str, Any] = {"kind": "router", "labels": dict(router.labels)}
    if router.examples:
        spec["examples"] = {label: list(texts) for label, texts in router.examples.items()}
    if router.ports[0].type is not Any:
        spec["input"] = _spelled(router.ports[0].type)
    for key, value in (
        ("threshold", router.threshold),
        ("otherwise", router.otherwise_label),
        ("description", router.description),
    ):
        if value is not None and value != "":
            spec[key] = value
    if router.model is not None:
        spec["model"] = _model(router.name, router.model)
    if router.retry is not None:
        spec["retry"] = _retry(router)
    if router.timeout_s is not None:
        spec["timeout_s"] = router.timeout_s
    if router.prompt is not None:
        spec["prompt"] = router.prompt.source
    if router.embedder != "local:use":
        spec["embedder"] = router.embedder
    return spec


def _address(thing: Any, name: str = "") -> str:
    """`module:name` of something that a module holds under its own name."""
    for module_name, module in list(sys.modules.items()):
        if module_name == "__main__" or module is None:
            continue
        for candidate in {
            name,
            getattr(thing, "__name__", ""),
            getattr(getattr(thing, "function", None), "__name__", ""),
        } - {""}:
            found = getattr(module, "__dict__", {}).get(candidate)
            if found is thing or (
                isinstance(found, Node) and isinstance(thing, Node) and found.named(thing.name) == thing
            ):
                return f"{module_name}:{candidate}"
    raise FileUnreadable(
        f"{thing!r} stands in no module under its own name, so a file cannot name it; move it to a module"
    )


def _spelled(kind: Type) -> str:
    kinds = arms(kind)
    if len(kinds) > 1:
        return " | ".join(_spelled(member) for member in kinds)
    if kind is type(None):
        return "None"
    origin, inner = origin_of(kind), get_args(kind)
    if origin is not None and inner:
        return f"{origin.__name__}[{', '.join(_spelled(member) for member in inner)}]"
    if getattr(kind, "__name__", None) in PLAIN_TYPES:
        return str(kind.__name__)
    return f"{kind.__module__}:{kind.__qualname__}"
