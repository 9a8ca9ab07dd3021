"""Each kind of node as the mapping that declares it in a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import Node, Retry
from graphflow.errors import FileUnreadable
from graphflow.files.written import (
    address,
    model_of,
    names_secret,
    secret_in_command,
    secret_in_url,
    spelled,
    without_secrets,
)
from graphflow.graph import Graph
from graphflow.kinds.agent import PARALLEL_CALLS, TURNS, Agent
from graphflow.kinds.code import Code
from graphflow.kinds.delegation import background
from graphflow.kinds.router import Router
from graphflow.kinds.skills import Skills
from graphflow.kinds.subagent import INHERITED, SubAgent
from graphflow.kinds.tool import OUTPUT_LIMIT
from graphflow.limits import Limits
from graphflow.mcp.server import MCP, TIMEOUT_S
from graphflow.messages.message import to_json_value
from graphflow.redaction import looks_secret

Spec = dict[str, Any]


def specs_of(graph: Graph[Any, Any]) -> Spec:
    """The nodes on the arrows, and those behind them that no module holds."""
    declared: Spec = {}
    todo = list(graph.nodes)
    while todo:
        node = todo.pop(0)
        if node.name not in declared:
            spec = declared[node.name] = _spec(node)
            if isinstance(spec, dict):
                todo += [other for other in _beside(node) if _spelled_out(other)]
    return declared


def _beside(node: Node[Any, Any]) -> list[Node[Any, Any]]:
    """Nodes that a declaration names: what it calls, hands over to, stands for, or consists of."""
    found = [*node.calls, *(h.target for h in node.handoffs)]
    if isinstance(node, SubAgent):
        same = node.target.name == node.name
        found += _beside(node.target) if same else [node.target]
    if isinstance(node, Router):
        found += node.cascade
    return [other for other in found if isinstance(other, Node) and other is not background]


def _spelled_out(node: Node[Any, Any]) -> bool:
    """Whether a node has an entry of its own: always if no import could bring it as it is."""
    if isinstance(node, (Code, Skills, MCP)):
        return True
    if not isinstance(node, (Agent, Router, SubAgent)) or (isinstance(node, Router) and node.rule is not None):
        return False
    try:
        address(node, node.name)
    except FileUnreadable:
        return True
    return False


def _named(node: Node[Any, Any] | str) -> str:
    """What another entry calls a node."""
    if isinstance(node, str):
        return node
    return node.name if _spelled_out(node) else address(node, node.name)


def _spec(node: Node[Any, Any]) -> Any:
    makers: dict[type[Any], Callable[[Any], Spec]] = {
        Agent: _agent,
        SubAgent: _sub_agent,
        Code: _code,
        Skills: _skills,
        MCP: _mcp,
        Router: _router,
    }
    make = makers.get(type(node))
    if make is None or (isinstance(node, Router) and node.rule is not None):
        return address(node, node.name)
    return {"kind": "mcp" if isinstance(node, MCP) else node.kind, **make(node), **_options(node)}


def _options(node: Node[Any, Any]) -> Spec:
    """What every kind of node may be told; of a call edge to a graph, what is not the graph's own."""
    told = options_of(node)
    if not isinstance(node, SubAgent) or node.target.enters != "always":
        return told
    own = {**options_of(node.target), "policy": None}
    return {key: value for key, value in told.items() if value != own.get(key)}


def options_of(node: Node[Any, Any]) -> Spec:
    """What every kind of node may be told, a graph too."""
    spec: Spec = {}
    plain_s = TIMEOUT_S if isinstance(node, MCP) else None
    if node.retry is not None:
        if node.retry.on != (Exception,):
            raise FileUnreadable(f"{node.name!r} retries on certain exceptions only, which a file cannot name")
        keys = [
            "attempts",
            "wait_s",
            "factor",
            "max_wait_s",
            *(["jitter"] if node.retry.jitter != Retry().jitter else []),
        ]
        spec["retry"] = {key: getattr(node.retry, key) for key in keys}
    if node.timeout_s != plain_s:
        spec["timeout_s"] = node.timeout_s
    if node.cache:
        spec["cache"] = node.cache
    if callable(node.approval):
        raise FileUnreadable(f"{node.name!r} has approval={node.approval!r}, which a file cannot hold")
    if node.approval:
        spec["approval"] = True
    if node.policy is not None:
        if node.policy.check is not None:
            raise FileUnreadable(f"{node.name!r} has a policy with a check, which a file cannot hold")
        rules = {key: getattr(node.policy, key) for key in ("allow", "deny", "effects")}
        said = {key: list(value) for key, value in rules.items() if value is not None and (value or key != "deny")}
        spec["policy"] = said or {"deny": []}
    return spec


def _changed(node: Any, *pairs: tuple[str, Any]) -> Spec:
    """What differs from what it is without being told."""
    return {key: getattr(node, key) for key, default in pairs if getattr(node, key) != default}


def _agent(agent: Agent[Any, Any]) -> Spec:
    spec: Spec = {}
    if agent.model is not None:
        spec["model"] = model_of(agent.name, agent.model)
    if agent.ports[0].type is not Any:
        spec["input"] = spelled(agent.ports[0].type)
    if agent.output is not str:
        spec["output"] = spelled(agent.output)
    if isinstance(agent.system, tuple):
        raise FileUnreadable(f"agent {agent.name!r} has cache marks in its system prompt, which a file cannot hold")
    for key, prompt in (("prompt", agent.prompt), ("system", agent.system)):
        if prompt is not None:
            spec[key] = prompt.source
    calls = [callee for callee in agent.calls if callee is not background]
    servers = [_named(callee) for callee in calls if isinstance(callee, Node) and callee.source]
    others = [_named(callee) for callee in calls if not (isinstance(callee, Node) and callee.source)]
    spec |= {key: names for key, names in (("tools", others), ("mcp", servers)) if names}
    if agent.handoffs:
        spec["handoffs"] = [_handoff(handoff) for handoff in agent.handoffs]
    if agent.examples:
        spec["examples"] = [[to_json_value(message), to_json_value(answer)] for message, answer in agent.examples]
    spec |= _changed(
        agent, ("description", ""), ("max_turns", TURNS), ("repairs", 2), ("max_parallel_calls", PARALLEL_CALLS)
    )
    for key, value in agent.settings.stated.items():
        spec[key] = list(value) if isinstance(value, tuple) else value
    return spec


def _handoff(handoff: Handoff) -> Any:
    tuned = {key: getattr(handoff, key) for key in ("conversation", "description", "laps") if getattr(handoff, key)}
    target = handoff.name  # a node of the graph, whatever brought it
    return {"target": target, **tuned} if tuned else target


def _sub_agent(node: SubAgent[Any, Any]) -> Spec:
    if node.deps is not INHERITED:
        raise FileUnreadable(f"sub-agent {node.name!r} has dependencies of its own, which a file cannot hold")
    own = node.target.name == node.name and _spelled_out(node.target)  # two nodes of one name: one stands in the other
    spec: Spec = {
        "target": _spec(node.target) if own else _named(node.target),
        **_changed(node, ("isolation", "isolated")),
    }
    if node.in_background:
        spec["background"] = True
    if node.limits is not None:
        limits = {key: getattr(node.limits, key) for key in Limits.__dataclass_fields__}
        spec["limits"] = {key: value for key, value in limits.items() if value is not None}
    if node.description != node.target.description:
        spec["description"] = node.description
    return spec


def _code(node: Code) -> Spec:
    calls = [_named(callee) for callee in node.calls if callee is not background]
    limits = _changed(
        node,
        *((key, _default(Code, key)) for key in ("memory_mib", "seconds", "printed_limit", "max_calls", "recursion")),
    )
    return (
        ({"calls": calls} if calls else {})
        | limits
        | _changed(node, ("description", ""), ("output_limit", OUTPUT_LIMIT))
    )


@cache
def _default(kind: type[Any], option: str) -> Any:
    return inspect.signature(kind.__init__).parameters[option].default


def _skills(node: Skills) -> Spec:
    spec: Spec = {"folders": list(node.folders)}
    if node.calls:
        spec["runner"] = _named(node.calls[0])
    return spec | _changed(node, ("description", ""), ("output_limit", OUTPUT_LIMIT))


def _mcp(node: MCP) -> Spec:
    if node.ask is not None:
        raise FileUnreadable(f"mcp {node.name!r} has a function that asks a person, which a file cannot hold")
    spec: Spec = {"command": list(node.command)} if node.command else {"url": node.url}
    if secret_in_command(node.command) or secret_in_url(node.url):
        raise FileUnreadable(
            f"mcp {node.name!r} has a key in its {next(iter(spec))}, which a file must not hold; give it by env= or token="
        )
    env, headers = dict(node.__dict__["_env"]), dict(node.__dict__["_headers"])
    if env:
        secret = {key: value for key, value in env.items() if names_secret(key) or looks_secret(value)}
        spec["env"] = {**env, **without_secrets(node.name, secret)}
    if headers:
        spec["headers"] = without_secrets(node.name, headers)
    if node.include is not None:
        spec["include"] = list(node.include)
    if node.exclude:
        spec["exclude"] = list(node.exclude)
    if node.declared is not None:
        spec["effects"] = list(node.declared)
    plain = (("cwd", None), ("prefix", ""), ("scope", "run"), ("trust_hints", False), ("connect_s", 30.0))
    return spec | _changed(node, *plain, ("handshake", False))


def _router(router: Router[Any, Any]) -> Spec:
    if not isinstance(router.embedder, str):
        raise FileUnreadable(
            f"{router.name!r} has an embedder object, which a file cannot name; give it as 'provider:model'"
        )
    spec: Spec = {}
    if router.guards:
        spec["guards"] = {label: address(test) for label, test in router.guards.items()}
    elif router.cascade:
        spec["cascade"] = [_named(stage) for stage in router.cascade]
    if not router.cascade and any((not router.guards, *router.labels.values())):
        spec["labels"] = dict(router.labels)
    if router.examples:
        spec["examples"] = {label: list(texts) for label, texts in router.examples.items()}
    if router.ports[0].type is not Any:
        spec["input"] = spelled(router.ports[0].type)
    spec |= _changed(router, ("threshold", None), ("description", ""), ("probabilities", False), ("explain", False))
    if router.otherwise_label is not None:
        spec["otherwise"] = router.otherwise_label
    if router.model is not None:
        spec["model"] = model_of(router.name, router.model)
    if router.prompt is not None:
        spec["prompt"] = router.prompt.source
    return spec | _changed(router, ("embedder", "local:use"))
