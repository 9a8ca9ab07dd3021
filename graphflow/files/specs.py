"""Each kind of node as the mapping that declares it in a file.

Only what differs from the defaults is written, so that a file says what its author said.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from graphflow.agent import Agent
from graphflow.declaration.factories import made_node
from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.options import Retry
from graphflow.declaration.turn_states import shown_states
from graphflow.errors import FileUnreadable
from graphflow.files.addresses import address, model_of, type_text
from graphflow.files.contexts import context_spec
from graphflow.files.factories import call_text, calls_among
from graphflow.files.guards import guard_text
from graphflow.files.hooks import hooks_of
from graphflow.files.memories import declared_memory
from graphflow.files.plugs import written_by_plugin
from graphflow.files.secrets import names_secret, secret_in_command, secret_in_url, without_secrets
from graphflow.kinds.agent import PARALLEL_CALLS, TURNS
from graphflow.kinds.code import Code
from graphflow.kinds.delegation import background
from graphflow.kinds.human import Human
from graphflow.kinds.prompt_function import PromptFunction
from graphflow.kinds.read_result import read_result
from graphflow.kinds.router import AnyRouter, Router
from graphflow.kinds.skills import Skills
from graphflow.kinds.subagent import INHERITED, SubAgent
from graphflow.kinds.tool import OUTPUT_LIMIT
from graphflow.kinds.wait import Receive, Wait
from graphflow.limits import Limits, Quota
from graphflow.mcp.server import MCP, TIMEOUT_S
from graphflow.messages.message import to_json_value
from graphflow.plugins.making import making_of
from graphflow.plugins.seams import KINDS as KIND_SEAM
from graphflow.plugins.seams import POLICIES as POLICY_SEAM
from graphflow.policy import Policy
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.redaction import looks_secret

Spec = dict[str, object]


def specs_of(graph: AnyGraph) -> Spec:
    """The nodes on the arrows, and those behind them that no module holds."""
    declared: Spec = {}
    todo: list[AnyNode] = list(graph.nodes)
    while todo:
        node = todo.pop(0)
        if node.name in declared or declared_memory(node) is not None:
            continue
        spec = _spec(node)
        declared[node.name] = spec
        if isinstance(spec, dict):
            beside = _nodes_beside(node)
            todo += filter(_has_entry, beside)
    return declared


def _nodes_beside(node: AnyNode) -> list[AnyNode]:
    """Nodes that a declaration names: what it calls, hands over to, stands for, or consists of."""
    beside: list[AnyNode | str] = [*node.calls]
    beside += [handoff.target for handoff in node.handoffs]
    # It stands inside the entry of the sub-agent.
    if isinstance(node, SubAgent) and node.target.name == node.name:
        beside += _nodes_beside(node.target)
    elif isinstance(node, SubAgent):
        beside.append(node.target)
    if isinstance(node, Router):
        beside += node.cascade
    # `background` is not a node of the graph: it comes with the sub-agents that run in it.
    nodes: list[AnyNode] = []
    for other in beside:
        if isinstance(other, Node) and other is not background:
            nodes.append(other)
    return nodes


def _entry(node: AnyNode) -> KindEntry | None:
    """How a file declares a node of that kind; None: it cannot."""
    # By the very class, as one of the user's has more to it. A graph's stands above this room.
    if isinstance(node, ProvenGraph) and type(node).__module__ == GRAPH_HOME:
        return GRAPH_ENTRY
    return ENTRIES.get(type(node))


def _has_entry(node: AnyNode) -> bool:
    """Whether a node has an entry of its own: always if no import could bring it as it is."""
    if making_of(node, KIND_SEAM.name) is not None:
        return True
    entry = _entry(node)
    if entry is None or _holds_function(node):
        return False
    if entry.always:
        return True
    try:
        address(node, node.name)
    except FileUnreadable:
        return True
    return False


def _holds_function(node: AnyNode) -> bool:
    """Whether a node is a function that routes, or reaches a person by one: it is named by its address as any function is."""
    if isinstance(node, Human):
        return node.ask is not None
    if isinstance(node, Router):
        return node.rule is not None
    return False


def _name_of(node: AnyNode | str) -> str:
    """What another entry calls a node."""
    if isinstance(node, str):
        return node
    if _has_entry(node) or declared_memory(node) is not None:
        return node.name
    return _address_of(node)


def _address_of(node: AnyNode) -> str:
    """The address of a node, or the call of a factory that makes it and nothing else.

    Raises:
        FileUnreadable: it has neither.
    """
    made = made_node(node)
    if made is None:
        return address(node, node.name)
    try:
        return address(node, node.name)
    except FileUnreadable:
        if made.call.nodes == (node,):
            return call_text(made.call)
        shown = made.call.text or made.call.address
        raise FileUnreadable(
            f"{node.name!r} is one of what {shown} has made, and is not as it was made or stands without the others; "
            "a file names all of them in order, under their own names and options"
        ) from None


def _spec(node: AnyNode) -> Spec | str:
    making = making_of(node, KIND_SEAM.name)
    if making is not None:
        own = {key: _option(node, key, value) for key, value in making.options.items()}
        return {"kind": making.word, **own, **_options(node)}
    entry = _entry(node)
    if entry is None or _holds_function(node):
        return _address_of(node)
    own = entry.write(node)
    options = _options(node)
    return {"kind": entry.kind, **own, **options}


_TYPED = frozenset({"input", "output", "type"})
"""Options that are types."""


def _option(node: AnyNode, key: str, value: object) -> object:
    """An option of a kind that a plug-in brings, as a file has it."""
    if isinstance(value, (list, tuple)):
        return [_option(node, key, each) for each in value]
    if isinstance(value, Mapping):
        return {name: _option(node, key, each) for name, each in value.items()}
    # In code some are objects, which a file reads of names.
    if isinstance(value, Node):
        return _name_of(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    if key in _TYPED:
        return type_text(value)
    if key == "model":
        return model_of(node.name, value)
    raise FileUnreadable(
        f"{node.name!r} has {key} of type {type(value).__name__}, which a file cannot hold"
    )


def _options(node: AnyNode) -> Spec:
    """The options that every kind of node has; of a call edge to a graph, those that are not the graph's own."""
    options = options_of(node)
    if not isinstance(node, SubAgent) or node.target.enters != "always":
        return options
    inherited = options_of(node.target)
    inherited["policy"] = None  # never inherited: it says what the caller of the graph may do
    own: Spec = {}
    for key, value in options.items():
        if value != inherited.get(key):
            own[key] = value
    return own


def options_of(node: AnyNode) -> Spec:
    """The options that every kind of node has, a graph too."""
    spec: Spec = {}
    default_s = TIMEOUT_S if isinstance(node, MCP) else None
    if node.retry is not None:
        spec["retry"] = _retry(node.name, node.retry)
    if node.timeout_s != default_s:
        spec["timeout_s"] = node.timeout_s
    if node.cache:
        spec["cache"] = node.cache
    if callable(node.approval):
        raise FileUnreadable(
            f"{node.name!r} has approval={node.approval!r}, which a file cannot hold"
        )
    if node.approval:
        spec["approval"] = True
    if node.approval_timeout_s is not None:
        spec["approval_timeout_s"] = node.approval_timeout_s
    if node.quota is not None:
        spec["quota"] = _quota(node.quota)
    if node.policy is not None:
        spec["policy"] = _policy(node.name, node.policy)
    return spec | _touches(node) | _guards_of(node)


def _quota(quota: Quota) -> Spec:
    """What is stated of a quota."""
    spec: Spec = {}
    for name in Quota.__dataclass_fields__:
        value = getattr(quota, name)
        if value is not None:
            spec[name] = value
    return spec


def _guards_of(node: AnyNode) -> Spec:
    """The guards around it, and whether it is declared to check."""
    spec: Spec = {}
    if node.before:
        spec["before"] = [guard_text(guard) for guard in node.before]
    if node.after:
        spec["after"] = [guard_text(guard) for guard in node.after]
    hooks = hooks_of(node)
    if hooks:
        spec["hooks"] = hooks
    if node.checks and not type(node).checks:
        spec["checked"] = True
    return spec


def _touches(node: AnyNode) -> Spec:
    """The states that it reads, adds to and sets, by name."""
    touches = {"reads": node.reads, "adds": node.adds, "sets": node.sets}
    named: Spec = {}
    for key, states in touches.items():
        names = [state.name for state in shown_states(states)]
        if names:
            named[key] = names
    return named


def _retry(name: str, retry: Retry) -> Spec:
    if retry.on != (Exception,):
        raise FileUnreadable(
            f"{name!r} retries on certain exceptions only, which a file cannot name"
        )
    # All of them, also where they are the defaults: a reader wants to see when it gives up.
    keys = ["attempts", "wait_s", "factor", "max_wait_s"]
    default = Retry()
    if retry.jitter != default.jitter:
        keys.append("jitter")
    return {key: getattr(retry, key) for key in keys}


def _policy(name: str, policy: Policy) -> Spec | str:
    plugged = written_by_plugin(policy, POLICY_SEAM, "policy")
    if plugged is not None:
        return plugged
    if policy.check is not None:
        raise FileUnreadable(f"{name!r} has a policy with a check, which a file cannot hold")
    spec: Spec = {}
    if policy.allow is not None:
        spec["allow"] = list(policy.allow)
    if policy.deny:
        spec["deny"] = list(policy.deny)
    for option in ("effects", "paths", "write_paths", "hosts"):
        given = getattr(policy, option)
        if given is not None:
            spec[option] = list(given)
    return spec or {"deny": []}  # a policy that takes nothing away is not the same as none


def limits_of(limits: Limits) -> Spec:
    """The limits that are set."""
    spec: Spec = {}
    for key in Limits.__dataclass_fields__:
        value = getattr(limits, key)
        if value is not None:
            spec[key] = value
    return spec


def _changed(node: AnyNode, *defaults: tuple[str, object]) -> Spec:
    """The options of a node that differ from their defaults."""
    changed: Spec = {}
    for key, default in defaults:
        value = getattr(node, key)
        if value != default:
            changed[key] = value
    return changed


def _names_of(callees: Iterable[AnyNode | str]) -> list[str]:
    """What an entry calls; `background` comes with those that run in it."""
    nodes = [callee for callee in callees if callee is not background]
    calls = calls_among(nodes)
    names: list[str] = []
    position = 0
    while position < len(nodes):
        node = nodes[position]
        call = calls.get(position)
        if call is None or _has_address(node):
            name = _name_of(node)
            position += 1
        else:
            # All that it makes belong together.
            name = call_text(call)
            position += len(call.nodes)
        names.append(name)
    return names


def _has_address(node: AnyNode | str) -> bool:
    if isinstance(node, str):
        return True
    try:
        address(node, node.name)
    except FileUnreadable:
        return False
    return True


# -- the kinds -------------------------------------------------------------------------------------
def _agent(agent: Agent[Any, Any]) -> Spec:
    spec: Spec = {}
    if agent.model is not None:
        spec["model"] = model_of(agent.name, agent.model)
    takes = agent.ports[0].type
    if takes is not Any:
        spec["input"] = type_text(takes)
    if agent.output is not str:
        spec["output"] = type_text(agent.output)
    spec |= _prompts(agent)
    spec |= _tools(agent)
    if agent.handoffs:
        spec["handoffs"] = list(map(_handoff, agent.handoffs))
    if agent.examples:
        spec["examples"] = [_example(*pair) for pair in agent.examples]
    spec |= _changed(agent, *_AGENT_DEFAULTS)
    if agent.context is not None:
        spec["context"] = context_spec(agent.name, agent.context)
    for key, value in agent.settings.stated.items():
        if isinstance(value, tuple):  # YAML has none
            value = list(value)
        spec[key] = value
    return spec


_AGENT_DEFAULTS = (
    ("description", ""),
    ("repairs", 2),
    ("remembers", None),
    ("max_turns", TURNS),
    ("max_parallel_calls", PARALLEL_CALLS),
)


def _example(message: object, answer: object) -> list[object]:
    taken = to_json_value(message)
    answered = to_json_value(answer)
    return [taken, answered]


def _prompts(agent: Agent[Any, Any]) -> Spec:
    spec: Spec = {}
    if isinstance(agent.system, tuple):
        raise FileUnreadable(
            f"agent {agent.name!r} has cache marks in its system prompt, which a file cannot hold"
        )
    if agent.prompt is not None:
        spec["prompt"] = agent.prompt.source
    if isinstance(agent.system, PromptFunction):
        spec["system_function"] = address(agent.system.function)
    elif agent.system is not None:
        spec["system"] = agent.system.source
    return spec


def _offered(callees: Iterable[AnyNode | str], unoffered: Container[str]) -> list[AnyNode | str]:
    """What the model of an agent may call."""
    offered: list[AnyNode | str] = []
    for callee in callees:
        name = callee if isinstance(callee, str) else callee.name
        if name not in unoffered:
            offered.append(callee)
    return offered


def _tools(agent: Agent[Any, Any]) -> Spec:
    tools: list[AnyNode | str] = []
    servers: list[AnyNode | str] = []
    # Those by which it writes states come with them.
    own = [tool for state in (*agent.adds, *agent.sets) for tool in state.tools.values()]
    # So does the one that reads results again.
    own.append(read_result)
    for callee in _offered(agent.calls, agent.unoffered):
        if isinstance(callee, Node) and callee.source:
            servers.append(callee)
        elif callee not in own:
            tools.append(callee)
    spec: Spec = {}
    lists = {
        "tools": _names_of(tools),
        "mcp": _names_of(servers),
        "recalls": _names_of(agent.recalls),
    }
    for key, names in lists.items():
        if names:
            spec[key] = names
    return spec


def _handoff(handoff: Handoff) -> Spec | str:
    # By name, whatever brought the target: it is a node of the graph.
    changed: Spec = {}
    for key in ("conversation", "description", "laps"):
        value = getattr(handoff, key)
        if value:
            changed[key] = value
    if not changed:
        return handoff.name
    return {"target": handoff.name, **changed}


def _sub_agent(node: SubAgent[Any, Any]) -> Spec:
    if node.deps is not INHERITED:
        raise FileUnreadable(
            f"sub-agent {node.name!r} has dependencies of its own, which a file cannot hold"
        )
    target = node.target
    spec: Spec = {}
    # Two nodes of one name cannot both have an entry, so the target stands in that of its sub-agent.
    if target.name == node.name and _has_entry(target):
        spec["target"] = _spec(target)
    else:
        spec["target"] = _name_of(target)
    spec |= _changed(node, ("isolation", "isolated"))
    if node.in_background:
        spec["background"] = True
    if node.limits is not None:
        spec["limits"] = limits_of(node.limits)
    if node.description != target.description:
        spec["description"] = node.description
    return spec


_TOOL_DEFAULTS = (("description", ""), ("output_limit", OUTPUT_LIMIT))
_CODE_LIMITS = ("memory_mib", "seconds", "printed_limit", "max_calls", "recursion", "listed")


def _code(node: Code) -> Spec:
    spec: Spec = {}
    calls = _names_of(node.calls)
    if calls:
        spec["calls"] = calls
    defaults = [(key, _default(Code, key)) for key in _CODE_LIMITS]
    return spec | _changed(node, *defaults, *_TOOL_DEFAULTS)


@cache
def _default(kind: type[AnyNode], option: str) -> object:
    signature = inspect.signature(kind.__init__)
    return signature.parameters[option].default


def _skills(node: Skills) -> Spec:
    spec: Spec = {"folders": list(node.folders)}
    if node.calls:
        [runner] = node.calls
        spec["runner"] = _name_of(runner)
    return spec | _changed(node, *_TOOL_DEFAULTS)


_ASKED_DEFAULTS = (("timeout", None), ("description", ""))


def _human(node: Human[object, object]) -> Spec:
    # One who is reached by a function is named by an address, so here nobody has `ask`.
    spec = _input_of(node)
    if node.answer is not str:
        spec["output"] = type_text(node.answer)
    return spec | _changed(node, *_ASKED_DEFAULTS)


def _input_of(node: AnyNode) -> Spec:
    takes = node.ports[0].type
    if takes is Any:
        return {}
    return {"input": type_text(takes)}


def _wait(node: Wait[object]) -> Spec:
    spec: Spec = {}
    if node.seconds is not None:
        spec["seconds"] = node.seconds
    elif isinstance(node.until, datetime):  # as text, which is all that a file has for it
        spec["until"] = node.until.isoformat()
    else:
        spec["until"] = address(node.until)
    spec |= _input_of(node)
    return spec | _changed(node, ("description", ""))


def _receive(node: Receive[object, object]) -> Spec:
    spec: Spec = {"type": type_text(node.type)}
    spec |= _input_of(node)
    return spec | _changed(node, *_ASKED_DEFAULTS)


_MCP_DEFAULTS = (
    ("cwd", None),
    ("prefix", ""),
    ("scope", "run"),
    ("idle_s", None),
    ("max_open", 32),
    ("trust_hints", False),
    ("connect_s", 30.0),
    ("handshake", False),
)


def _mcp(node: MCP) -> Spec:
    if node.ask is not None:
        raise FileUnreadable(
            f"mcp {node.name!r} has a function that asks a person, which a file cannot hold"
        )
    place = "command" if node.command else "url"
    if secret_in_command(node.command) or secret_in_url(node.url):
        raise FileUnreadable(
            f"mcp {node.name!r} has a key in its {place}, which a file must not hold; give it by env= or token="
        )
    spec: Spec = {}
    if node.command:
        spec["command"] = list(node.command)
    else:
        spec["url"] = node.url
    env = dict(node.__dict__["_env"])
    headers = dict(node.__dict__["_headers"])
    if env:
        spec["env"] = _environment(node.name, env)
    if headers:
        spec["headers"] = without_secrets(node.name, headers)
    if node.include is not None:
        spec["include"] = list(node.include)
    if node.exclude:
        spec["exclude"] = list(node.exclude)
    if node.declared is not None:
        spec["effects"] = list(node.declared)
    return spec | _changed(node, *_MCP_DEFAULTS)


def _environment(name: str, env: dict[str, str]) -> dict[str, str]:
    """The variables of a server. One may be written out (LANG=C); one that is a secret must name another (KEY=$KEY)."""
    secrets: dict[str, str] = {}
    for key, value in env.items():
        if names_secret(key) or looks_secret(value):
            secrets[key] = value
    named = without_secrets(name, secrets)
    return env | named


_ROUTER_DEFAULTS = (
    ("threshold", None),
    ("description", ""),
    ("probabilities", False),
    ("explain", False),
)


def _router(router: AnyRouter) -> Spec:
    if not isinstance(router.embedder, str):
        raise FileUnreadable(
            f"{router.name!r} has an embedder object, which a file cannot name; give it as 'provider:model'"
        )
    spec = _choice(router)
    if router.examples:
        spec["examples"] = {label: list(texts) for label, texts in router.examples.items()}
    spec |= _input_of(router)
    spec |= _changed(router, *_ROUTER_DEFAULTS)
    if router.otherwise_label is not None:
        spec["otherwise"] = router.otherwise_label
    if router.model is not None:
        spec["model"] = model_of(router.name, router.model)
    if router.prompt is not None:
        spec["prompt"] = router.prompt.source
    return spec | _changed(router, ("embedder", "local:use"))


def _choice(router: AnyRouter) -> Spec:
    """What a router chooses by: guards, other routers, or labels."""
    if router.cascade and not router.guards:
        stages = map(_name_of, router.cascade)
        return {"cascade": list(stages)}
    spec: Spec = {}
    if router.guards:
        spec["guards"] = {label: address(test) for label, test in router.guards.items()}
    if router.back_to:
        spec["back_to"] = list(router.back_to)
    if router.cascade:
        return spec
    # The labels of guards are the guards' own names, unless they are described.
    are_described = any(router.labels.values())
    if are_described or not (router.guards or router.back_to):
        spec["labels"] = dict(router.labels)
    return spec


class KindEntry(NamedTuple):
    """How a file declares nodes of one kind."""

    kind: str
    """The word for it."""
    write: Callable[[Any], Spec]
    always: bool
    """Whether each of them has an entry, also one that a module holds: no import could bring it as it is."""


def _graph(graph: AnyGraph) -> Spec:
    # That page writes the nodes of a graph with this one, and a graph may be one of them.
    from graphflow.files.dump import declared_graph

    return declared_graph(graph)


GRAPH_HOME = "graphflow.graph"
GRAPH_ENTRY = KindEntry("graph", _graph, always=False)
"""How a graph is declared that stands in the place of a node: one that no module holds."""
ENTRIES: dict[type[AnyNode], KindEntry] = {
    Agent: KindEntry("agent", _agent, always=False),
    Router: KindEntry("router", _router, always=False),
    SubAgent: KindEntry("sub-agent", _sub_agent, always=False),
    Code: KindEntry("code", _code, always=True),
    Skills: KindEntry("skills", _skills, always=True),
    Human: KindEntry("human", _human, always=False),
    Wait: KindEntry("wait", _wait, always=False),
    Receive: KindEntry("receive", _receive, always=False),
    MCP: KindEntry("mcp", _mcp, always=True),
}
"""The kinds that a file can declare; of any other, it names a node by its address."""
