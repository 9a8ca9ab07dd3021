"""The nodes that a file declares, kind by kind."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphflow.errors import GraphflowError
from graphflow.files.names import Names
from graphflow.handoffs import Handoff
from graphflow.kinds.agent import Agent
from graphflow.kinds.asking import SETTINGS
from graphflow.kinds.code import Code
from graphflow.kinds.router import Router
from graphflow.kinds.skills import Skills
from graphflow.kinds.subagent import SubAgent
from graphflow.limits import Limits
from graphflow.mcp.server import MCP
from graphflow.nodes import Node, Retry
from graphflow.opening import open_model
from graphflow.policy import Policy
from graphflow.providers.failover import Failover
from graphflow.providers.http import Timeouts
from graphflow.providers.lazy import Declared
from graphflow.providers.retry import RetryPolicy

OPTIONS = ("retry", "timeout_s", "cache", "approval", "policy")
"""What every kind of node takes."""
KEYS: dict[str, tuple[str, ...]] = {
    "agent": (
        *("model", "input", "output", "prompt", "prompt_file", "system", "examples", "description"),
        *("tools", "sub_agents", "handoffs", "mcp", "turns", "repairs", "at_once", *SETTINGS),
    ),
    "router": (
        *("rule", "labels", "guards", "examples", "cascade", "model", "probabilities", "explain", "embedder"),
        *("threshold", "otherwise", "input", "prompt", "description"),
    ),
    "sub-agent": ("target", "isolation", "background", "limits", "description"),
    "code": (
        *("calls", "memory_mib", "seconds", "printed_limit", "most_calls", "recursion"),
        *("description", "output_limit"),
    ),
    "skills": ("folders", "runner", "description", "output_limit"),
    "mcp": (
        *("command", "url", "env", "cwd", "token", "headers", "include", "exclude", "prefix", "scope", "effects"),
        *("trust_hints", "connect_s", "handshake"),
    ),
}
"""The words of each kind."""


class Kinds(Names):
    """The nodes of one file."""

    def __init__(self, declared: Any, where: str, lines: list[str]) -> None:
        super().__init__(declared, where, lines)
        self.on_arrows = _names_in(self.declared.get("edges"))
        self.making: list[str] = []

    def _made(self, name: Any) -> Node[Any, Any]:
        """The declared node of that name."""
        if name not in self.nodes:
            self.making.append(name)
            self.nodes[name] = self._node(str(name), self.declared["nodes"][name])
            self.making.remove(name)
        return self.nodes[name]

    def _callee(self, given: Any) -> Node[Any, Any] | str:
        """What can be called: by import, or by a name; what stands on no arrow is known to its callers alone."""
        text = str(given)
        if ":" in text:
            return self._reachable(text)
        declared = self.declared.get("nodes") or {}
        if text not in declared or text in self.on_arrows or text in self.making:
            return text
        return self._made(text)

    def _node(self, name: str, entry: Any) -> Node[Any, Any]:
        if isinstance(entry, str):
            node = self._imported(entry)
            if not isinstance(node, Node):
                raise self._wrong(
                    f"{entry} is {type(node).__name__}, not a node; decorate it with @node or @tool", entry
                )
            return node if node.name == name else node.named(name)
        if not isinstance(entry, Mapping):
            raise self._wrong(f"node {name!r} is neither 'module:name' nor a mapping with a kind", name)
        kind = entry.get("kind")
        if kind not in KEYS:
            raise self._wrong(
                f"node {name!r} is of kind {kind!r}; in a file it is {', '.join(KEYS)}, or 'module:name'", name
            )
        options = {key: value for key, value in entry.items() if key != "kind"}
        self._only(options, (*KEYS[kind], *OPTIONS), f"{kind} {name!r}")
        self._read_options(name, options)
        make: dict[str, Callable[[str, dict[str, Any]], Node[Any, Any]]] = {
            "agent": self._agent,
            "router": self._router,
            "sub-agent": self._sub_agent,
            "code": self._code,
            "skills": self._skills,
            "mcp": self._mcp,
        }
        return make[kind](name, options)

    def _read_options(self, name: str, options: dict[str, Any]) -> None:
        """Turns what is spelled as a mapping into the object that it is."""
        if isinstance(options.get("retry"), Mapping):
            options["retry"] = Retry(**options["retry"])
        if "policy" in options:
            self._only(options["policy"], ("allow", "deny", "effects"), f"the policy of {name!r}")
            options["policy"] = Policy(**options["policy"])
        if "limits" in options:
            self._only(options["limits"], tuple(Limits.__dataclass_fields__), f"the limits of {name!r}")
            options["limits"] = Limits(**options["limits"])
        if "model" in options:
            options["model"] = self._model(options["model"])
        for key in ("input", "output"):
            if key in options:
                options[key] = self._type(options[key])

    def _model(self, given: Any) -> Any:
        """A model: a string, a mapping of a name and options of `connect`, or `failover:` with a list of such."""
        if given is None or isinstance(given, str):
            return given
        listed = given.get("failover") if isinstance(given, dict) else None
        if isinstance(listed, list) and all(listed) and set(given) <= {"failover", "restart", "cooldown_s"}:
            members = [self._model(each) for each in listed]
            more = {key: value for key, value in given.items() if key != "failover"}
            return self._declared(given, f"failover of {len(members)}", lambda: Failover(*members, **more))
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            raise self._wrong(
                f"{given!r} is no model; write provider:model, {{name: provider:model, base_url: ..., rpm: ...}}, "
                "or {failover: [...]}",
                "model",
            )
        options = {key: value for key, value in given.items() if key != "name"}
        secrets = [options.get("key"), *(options.get("keys") or ())]
        if any(secret is not None and not str(secret).startswith("$") for secret in secrets):
            raise self._wrong("a key does not stand in a file; write key: $NAME_OF_A_VARIABLE", "key")
        return self._declared(given, given["name"], lambda: open_model(given["name"], **_with_objects(options)))

    def _declared(self, spec: dict[str, Any], name: str, make: Callable[[], Any]) -> Declared:
        try:
            return Declared(spec, name, make)
        except (TypeError, ValueError, AttributeError, GraphflowError) as error:
            raise self._wrong(str(error), "model") from None

    def _agent(self, name: str, options: dict[str, Any]) -> Agent[Any, Any]:
        for key in ("tools", "sub_agents", "mcp"):
            options[key] = [self._callee(each) for each in options.get(key, ())]
        options["handoffs"] = [self._handoff(name, each) for each in options.get("handoffs", ())]
        if "examples" in options:
            options["examples"] = [(each[0], each[1]) for each in options["examples"]]
        if "prompt_file" in options:
            base = Path(self.where).parent
            options["prompt_file"] = str((base / options["prompt_file"]).resolve())
        made: Agent[Any, Any] = Agent(name, **options)
        return made

    def _handoff(self, name: str, given: Any) -> Handoff:
        """A name, or a mapping with `target`, `conversation`, `description` and `laps`."""
        entry = given if isinstance(given, Mapping) else {"target": given}
        self._only(entry, tuple(Handoff.__dataclass_fields__), f"a hand-over of {name!r}")
        if "target" not in entry:
            raise self._wrong(f"a hand-over of {name!r} has no target", name)
        return Handoff(**{**entry, "target": self._callee(entry["target"])})

    def _router(self, name: str, options: dict[str, Any]) -> Router[Any, Any]:
        if "guards" in options:
            self._only(options["guards"], tuple(options["guards"]), f"the guards of {name!r}")
            options["guards"] = {label: self._imported(str(test)) for label, test in options["guards"].items()}
        options["cascade"] = [self._stage(name, each) for each in options.get("cascade", ())]
        rule = self._imported(options.pop("rule")) if "rule" in options else None
        return Router(name, rule, **options)

    def _stage(self, name: str, given: Any) -> Router[Any, Any]:
        stage = self._declared_node(str(given))
        if not isinstance(stage, Router):
            raise self._wrong(f"{given!r} in the cascade of {name!r} is no router", str(given))
        return stage

    def _declared_node(self, text: str) -> Node[Any, Any]:
        """A node by import or by its name in this file, made now if it is not yet."""
        if ":" not in text and text in (self.declared.get("nodes") or {}) and text not in self.making:
            return self._made(text)
        return self._reachable(text)

    def _sub_agent(self, name: str, options: dict[str, Any]) -> SubAgent[Any, Any]:
        given = options.pop("target", "")
        target = self._node(name, given) if isinstance(given, Mapping) else self._declared_node(str(given))
        made: SubAgent[Any, Any] = SubAgent(target, name=name, **options)
        return made

    def _code(self, name: str, options: dict[str, Any]) -> Code:
        return Code(name, **options | {"calls": [self._callee(each) for each in options.get("calls", ())]})

    def _skills(self, name: str, options: dict[str, Any]) -> Skills:
        folders = options.pop("folders", ())
        base = Path(self.where).parent
        given = [str((base / folder).resolve()) for folder in ([folders] if isinstance(folders, str) else folders)]
        if "runner" in options:
            options["runner"] = self._callee(options["runner"])
        return Skills(*given, name=name, **options)

    def _mcp(self, name: str, options: dict[str, Any]) -> MCP:
        command, url = options.pop("command", None), options.pop("url", None)
        if (command is None) == (url is None):
            raise self._wrong(f"mcp {name!r} needs a command (a list) or a url, one of them", name)
        secrets = [options.get("token"), *(options.get("headers") or {}).values()]
        if any(secret is not None and not str(secret).startswith("$") for secret in secrets):
            raise self._wrong("a token does not stand in a file; write token: $NAME_OF_A_VARIABLE", name)
        return MCP(name, url if command is None else command, **options)


def _names_in(edges: Any) -> set[str]:
    """The names on the arrows of a file; an arrow that cannot be read is told later."""
    found: set[str] = set()
    for text in edges if isinstance(edges, list) else ():
        try:
            tree = ast.parse(str(text), mode="eval")
        except SyntaxError:
            continue
        found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found


def _with_objects(options: dict[str, Any]) -> dict[str, Any]:
    """Options of `connect` with those that are objects made of their mappings."""
    made = dict(options)
    for name, kind in (("timeouts", Timeouts), ("retry", RetryPolicy)):
        if isinstance(made.get(name), dict):
            made[name] = kind(**made[name])
    return made
