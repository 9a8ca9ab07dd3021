"""The same graph in YAML: the same words, the same arrow strings; both forms build the same object.

    graph: desk
    model: local:smollm2
    limits: {depth: 3}
    nodes:
      planner:    {kind: agent, output: "list[messages:Question]", prompt: "Split: {{ text }}"}
      researcher: {kind: agent, input: messages:Question, output: messages:Finding, tools: [tools.search:search]}
      merge:      steps.merge:merge
    edges:
      - START >> planner
      - planner.each >> researcher >> merge >> END

Rules:
1. A value `module:name` is imported; nothing else in a file is code. Arrows are parsed, never evaluated.
2. An unknown key, a duplicate key, a name that cannot be found are errors with file and line.
3. YAML is read as version 1.2: `no` is a word, not False.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from graphflow.arrows import END, START, connect
from graphflow.errors import FileUnreadable, GraphflowError
from graphflow.graph import Graph
from graphflow.kinds.agent import Agent
from graphflow.kinds.asking import SETTINGS
from graphflow.kinds.code import Code
from graphflow.kinds.router import Router
from graphflow.kinds.skills import Skills
from graphflow.kinds.subagent import SubAgent
from graphflow.limits import Limits
from graphflow.messages import Failure, LimitReached, Type, arms, type_name
from graphflow.nodes import Node, Retry
from graphflow.opening import open_model
from graphflow.providers.failover import Failover
from graphflow.providers.http import Timeouts
from graphflow.providers.lazy import Declared
from graphflow.providers.retry import RetryPolicy

GRAPH_KEYS = ("graph", "model", "limits", "input", "ends", "description", "nodes", "edges")
AGENT_KEYS: tuple[str, ...] = (
    "model",
    "input",
    "output",
    "prompt",
    "prompt_file",
    "system",
    "tools",
    "sub_agents",
    "examples",
    "description",
)
AGENT_KEYS += ("turns", "repairs", "retry", "timeout_s", *SETTINGS)
ROUTER_KEYS = (
    "rule",
    "labels",
    "examples",
    "model",
    "embedder",
    "threshold",
    "otherwise",
    "input",
    "prompt",
    "description",
    "retry",
    "timeout_s",
)
CODE_KEYS = (
    *("calls", "memory_mib", "seconds", "printed_limit", "most_calls", "recursion"),
    *("description", "output_limit", "retry", "timeout_s"),
)
SKILLS_KEYS = ("folders", "runner", "description", "output_limit", "retry", "timeout_s")
PLAIN_TYPES: dict[str, Type] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "None": None,
    "Any": Any,
    "dict": dict,
    "list": list,
}
PLAIN_TYPES |= {"tuple": tuple, "set": set}


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core types, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here twice", key_node.start_mark
                )
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load_graph(path: str | Path) -> Graph[Any, Any]:
    """The graph that a YAML file declares; modules are looked for beside it first.

    Raises:
        FileUnreadable: the file is missing, is no YAML, or names what is not there; the text gives file and line.
        GraphError: the graph is unsound.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileUnreadable(f"there is no file {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{file} cannot be read: {error}") from None
    try:
        declared = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileUnreadable(f"{file}:{line} is no YAML: {error.problem}") from None
    for folder in (file.resolve().parent, file.resolve().parent.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return read_graph(declared, where=str(file), lines=text.splitlines())


def read_graph(declared: Any, *, where: str = "graph", lines: list[str] | None = None) -> Graph[Any, Any]:
    """The graph that plain data declares (what a YAML file holds)."""
    return _Reader(declared, where, lines or []).graph()


class _Reader:
    """One file under way."""

    def __init__(self, declared: Any, where: str, lines: list[str]) -> None:
        if not isinstance(declared, Mapping):
            raise FileUnreadable(f"{where} holds no graph; it needs the keys graph, nodes and edges")
        self.declared = declared
        self.where = where
        self.lines = lines
        self.nodes: dict[str, Node[Any, Any]] = {}
        self.on_arrows = _names_in(declared.get("edges"))
        self.making: list[str] = []

    def graph(self) -> Graph[Any, Any]:
        self._only(self.declared, GRAPH_KEYS, "a graph")
        for needed in ("graph", "edges"):
            if needed not in self.declared:
                raise self._wrong(f"the key {needed!r} is missing")
        for name in self.declared.get("nodes") or {}:
            self._made(name)
        paths = [self._path(str(text)) for text in self.declared["edges"] or ()]
        options: dict[str, Any] = {
            key: self.declared[key] for key in ("model", "ends", "description") if key in self.declared
        }
        if "model" in options:
            options["model"] = self._model(options["model"])
        if "limits" in self.declared:
            self._only(self.declared["limits"], tuple(Limits.__dataclass_fields__), "limits")
            options["limits"] = Limits(**self.declared["limits"])
        if "input" in self.declared:
            options["input"] = self._type(self.declared["input"])
        return Graph(str(self.declared["graph"]), *paths, **options)

    # -- nodes ---------------------------------------------------------------------------------------------------------
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
        options = {key: value for key, value in entry.items() if key != "kind"}
        if isinstance(options.get("retry"), Mapping):
            options["retry"] = Retry(**options["retry"])
        match entry.get("kind"):
            case "agent":
                return self._agent(name, options)
            case "router":
                return self._router(name, options)
            case "sub-agent":
                self._only(options, ("target", "limits", "description"), "a sub-agent")
                target = self._reachable(str(options.get("target", "")))
                limits = Limits(**options["limits"]) if "limits" in options else None
                return SubAgent(target, limits=limits, name=name, description=options.get("description", ""))
            case "code":
                self._only(options, CODE_KEYS, f"code {name!r}")
                return Code(name, **options | {"calls": [self._callee(each) for each in options.get("calls", ())]})
            case "skills":
                return self._skills(name, options)
            case other:
                raise self._wrong(
                    f"node {name!r} is of kind {other!r}; in a file it is agent, router, sub-agent, code, skills, "
                    "or 'module:name'",
                    name,
                )

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
        return self._declared(given, given["name"], lambda: open_model(given["name"], **_made(options)))

    def _declared(self, spec: dict[str, Any], name: str, make: Callable[[], Any]) -> Declared:
        try:
            return Declared(spec, name, make)
        except (TypeError, ValueError, AttributeError, GraphflowError) as error:
            raise self._wrong(str(error), "model") from None

    def _agent(self, name: str, options: dict[str, Any]) -> Agent[Any, Any]:
        self._only(options, AGENT_KEYS, f"agent {name!r}")
        if "model" in options:
            options["model"] = self._model(options["model"])
        for key in ("input", "output"):
            if key in options:
                options[key] = self._type(options[key])
        for key in ("tools", "sub_agents"):
            options[key] = [self._callee(each) for each in options.get(key, ())]
        if "examples" in options:
            options["examples"] = [(each[0], each[1]) for each in options["examples"]]
        if "prompt_file" in options:
            base = Path(self.where).parent
            options["prompt_file"] = str((base / options["prompt_file"]).resolve())
        made: Agent[Any, Any] = Agent(name, **options)
        return made

    def _router(self, name: str, options: dict[str, Any]) -> Router[Any, Any]:
        self._only(options, ROUTER_KEYS, f"router {name!r}")
        if "input" in options:
            options["input"] = self._type(options["input"])
        if "model" in options:
            options["model"] = self._model(options["model"])
        rule = self._imported(options.pop("rule")) if "rule" in options else None
        return Router(name, rule, **options)

    def _skills(self, name: str, options: dict[str, Any]) -> Skills:
        self._only(options, SKILLS_KEYS, f"skills {name!r}")
        folders = options.pop("folders", ())
        base = Path(self.where).parent
        given = [str((base / folder).resolve()) for folder in ([folders] if isinstance(folders, str) else folders)]
        if "runner" in options:
            options["runner"] = self._callee(options["runner"])
        return Skills(*given, name=name, **options)

    def _reachable(self, text: str) -> Node[Any, Any]:
        found = self._imported(text) if ":" in text else self.nodes.get(text)
        if not isinstance(found, Node):
            raise self._wrong(f"{text!r} is no node", text)
        return found

    # -- arrows --------------------------------------------------------------------------------------------------------
    def _path(self, text: str) -> Any:
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise self._wrong(f"the arrow {text!r} cannot be read: {error.msg}", text) from None
        return self._arrow(tree, text)

    def _arrow(self, tree: ast.expr, text: str) -> Any:
        place = (self.where, self._line(text))
        match tree:
            case ast.BinOp(left=left, op=ast.RShift(), right=right):
                return connect(self._arrow(left, text), self._arrow(right, text), place)
            case ast.Tuple(elts=members) | ast.List(elts=members):
                return tuple(self._arrow(member, text) for member in members)
            case ast.Name(id=name):
                return self._named(name, text)
            case ast.Attribute(value=base, attr="each" | "otherwise" as attribute):
                return getattr(self._arrow(base, text), attribute)
            case ast.Subscript(value=base, slice=arm):
                return self._arm(self._arrow(base, text), arm, text)
            case ast.Call(
                func=ast.Attribute(value=base, attr="limit" | "into" | "fork" as method),
                args=[ast.Constant(value=value)],
                keywords=[],
            ):
                return getattr(self._arrow(base, text), method)(value)
            case ast.Call(
                func=ast.Attribute(value=base, attr="when"), args=[ast.Constant(value=str(test))], keywords=[]
            ):
                return self._arrow(base, text).when(self._imported(test))
        raise self._wrong(
            f"in the arrow {text!r}, {ast.unparse(tree)} is none of: node, node.each, node['label'], node[Type], "
            "node.when('module:function'), node.otherwise, .limit(n), .into('port'), .fork('policy')",
            text,
        )

    def _named(self, name: str, text: str) -> Any:
        if name in ("START", "END"):
            return START if name == "START" else END
        if name in self.nodes:
            return self.nodes[name]
        near = difflib.get_close_matches(name, self.nodes, n=1)
        raise self._wrong(
            f"the arrow {text!r} names {name!r}, and there is no such node"
            + (f"; did you mean {near[0]!r}?" if near else ""),
            text,
        )

    def _arm(self, base: Any, arm: ast.expr, text: str) -> Any:
        if isinstance(arm, ast.Constant):
            return base[arm.value]
        wanted = ast.unparse(arm)
        if wanted in ("Failure", "LimitReached"):
            return base[Failure if wanted == "Failure" else LimitReached]
        for kind in arms(base.output) if isinstance(base, Node) else ():
            if type_name(kind) == wanted:
                return base[kind]
        return base[self._type(wanted)]

    # -- names and types -----------------------------------------------------------------------------------------------
    def _imported(self, text: str) -> Any:
        module, _, name = text.partition(":")
        try:
            found: Any = importlib.import_module(module)
        except GraphflowError:
            raise
        except ImportError as error:
            raise self._wrong(f"{text}: the module {module!r} cannot be imported: {error}", text) from None
        for part in name.split("."):
            if not hasattr(found, part):
                near = difflib.get_close_matches(part, dir(found), n=1)
                raise self._wrong(
                    f"{text}: {module!r} has no {part!r}" + (f"; did you mean {near[0]!r}?" if near else ""), text
                )
            found = getattr(found, part)
        return found

    def _type(self, text: Any) -> Type:
        """A type as it is written in a file: `str`, `list[messages:Question]`, `a:B | None`."""
        named: dict[str, Type] = {}

        def hold(match: re.Match[str]) -> str:
            key = f"T{len(named)}_"
            named[key] = self._imported(match[0])
            return key

        shown = re.sub(r"[\w.]+:\w+(?:\.\w+)*", hold, str(text))
        try:
            tree = ast.parse(shown, mode="eval").body
        except SyntaxError:
            raise self._wrong(f"the type {text!r} cannot be read", str(text)) from None
        return self._built(tree, named, str(text))

    def _built(self, tree: ast.expr, named: Mapping[str, Type], text: str) -> Type:
        match tree:
            case ast.Name(id=name) if name in named:
                return named[name]
            case ast.Name(id=name) if name in PLAIN_TYPES:
                return PLAIN_TYPES[name]
            case ast.Constant(value=None):
                return None
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._built(left, named, text) | self._built(right, named, text)
            case ast.Subscript(value=base, slice=ast.Tuple(elts=members)):
                return self._built(base, named, text)[tuple(self._built(m, named, text) for m in members)]
            case ast.Subscript(value=base, slice=inner):
                return self._built(base, named, text)[self._built(inner, named, text)]
        raise self._wrong(
            f"the type {text!r} names {ast.unparse(tree)!r}; write module:Name, or one of {', '.join(PLAIN_TYPES)}",
            text,
        )

    # -- errors --------------------------------------------------------------------------------------------------------
    def _only(self, given: Any, allowed: tuple[str, ...], what: str) -> None:
        if not isinstance(given, Mapping):
            raise self._wrong(f"{what} is declared by a mapping, not by {type(given).__name__}")
        for key in given:
            if key not in allowed:
                near = difflib.get_close_matches(str(key), allowed, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(allowed)}"
                raise self._wrong(f"{what} has no {key!r}; {hint}", str(key))

    def _line(self, text: str) -> int:
        return next((number for number, line in enumerate(self.lines, 1) if text and text in line), 1)

    def _wrong(self, problem: str, text: str = "") -> FileUnreadable:
        return FileUnreadable(f"{self.where}:{self._line(text)}: {problem}")


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


def is_graph_file(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a YAML file."""
    return Path(path).suffix.lower() in (".yaml", ".yml")


def _made(options: dict[str, Any]) -> dict[str, Any]:
    """Options of `connect` with those that are objects made of their mappings."""
    made = dict(options)
    for name, kind in (("timeouts", Timeouts), ("retry", RetryPolicy)):
        if isinstance(made.get(name), dict):
            made[name] = kind(**made[name])
    return made
