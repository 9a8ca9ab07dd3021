"""The nodes that a file declares, kind by kind."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import Node, Retry
from graphflow.errors import FileUnreadable, GraphflowError
from graphflow.files.loader import Marks, read_text
from graphflow.files.names import Names, Unmade, parsed
from graphflow.files.places import Places
from graphflow.files.values import shown
from graphflow.kinds.agent import Agent
from graphflow.kinds.code import Code
from graphflow.kinds.router import Router
from graphflow.kinds.skills import Skills
from graphflow.kinds.subagent import SubAgent
from graphflow.limits import Limits
from graphflow.mcp.server import MCP
from graphflow.model.resolve import open_model
from graphflow.policy import Policy
from graphflow.providers.declared_model import DeclaredModel
from graphflow.providers.failover import Failover
from graphflow.providers.http import Timeouts
from graphflow.providers.retry import RetryPolicy
from graphflow.redaction import is_secret


class Kinds(Names):
    """The nodes of one file."""

    def __init__(self, declared: Any, where: str, marks: Marks, places: Places) -> None:
        super().__init__(declared, where, marks, places)
        nodes = self.declared.get("nodes")
        self.entries: Mapping[Any, Any] = nodes if isinstance(nodes, Mapping) else {}
        self.on_arrows = _names_in(self.declared.get("edges"))
        self.making: list[str] = []
        self.problems: dict[str, None] = {}
        """What is wrong so far, each once."""
        self.failed: set[str] = set()
        """Nodes that could not be made, for reasons that are among the problems."""

    def _made(self, name: str) -> Node[Any, Any]:
        """The declared node of that name.

        Raises:
            Unmade: it could not be made; why is among the problems.
        """
        if name in self.failed:
            raise Unmade(name)
        if name not in self.nodes:
            before, self.at = self.at, ()  # a node that another one names stands elsewhere in the file
            self.making.append(name)
            try:
                with self._within("nodes", name):
                    self.nodes[name] = self._node(name, self.entries[name])
            except (FileUnreadable, Unmade) as error:
                self.failed.add(name)
                if isinstance(error, FileUnreadable):
                    self.problems[str(error)] = None
                raise Unmade(name) from error
            finally:
                self.at = before
                self.making.remove(name)
        return self.nodes[name]

    def _callee(self, given: Any) -> Node[Any, Any] | str:
        """What can be called: by import, or by a name; what stands on no arrow is known to its callers alone."""
        text = str(given)
        if ":" in text:
            return self._imported_node(text)
        if text not in self.entries or text in self.on_arrows or text in self.making:
            return text
        return self._made(text)

    def _node(self, name: str, entry: Any) -> Node[Any, Any]:
        """The node that an entry declares. Its keys and the kinds of its values were checked before."""
        if isinstance(entry, str):
            if ":" not in entry:
                raise self._wrong(f"node {name!r} is {entry!r}; it must be 'module:name' or a mapping with a kind")
            node = self._imported_node(entry)
            return node if node.name == name else node.named(name)
        options = {key: value for key, value in entry.items() if key != "kind" and value is not None}
        self._read_options(options)
        make: dict[str, Callable[[str, dict[str, Any]], Node[Any, Any]]] = {
            "agent": self._agent,
            "router": self._router,
            "sub-agent": self._sub_agent,
            "code": self._code,
            "skills": self._skills,
            "mcp": self._mcp,
        }
        made = make[entry["kind"]](name, options)
        line = self.marks.line(self.at)
        made.__dict__["where"] = None if line is None else (self.where, line)
        return made

    def _read_options(self, options: dict[str, Any]) -> None:
        """Turns what is spelled as a mapping into the object that it is."""
        readers: dict[str, Callable[[Any], Any]] = {
            "retry": lambda given: Retry(**given) if isinstance(given, Mapping) else given,
            "policy": lambda given: Policy(**given),
            "limits": lambda given: Limits(**given),
            "model": self._model,
            "input": self._type,
            "output": self._type,
            "deps": self._type,
        }
        for key, read in readers.items():
            if key in options:
                with self._within(key):
                    options[key] = read(options[key])

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
                f"{shown(given)} is no model; write provider:model, {{name: provider:model, base_url: ..., rpm: ...}}, "
                "or {failover: [...]}"
            )
        options = {key: value for key, value in given.items() if key != "name"}
        keys = options.get("keys")
        secrets = [options.get("key"), *(keys if isinstance(keys, list) else [keys])]
        if any(secret is not None and not str(secret).startswith("$") for secret in secrets):
            raise self._wrong("a key does not stand in a file; write key: $NAME_OF_A_VARIABLE", "key")
        headers = options.get("headers")
        for name in headers if isinstance(headers, Mapping) else ():
            if is_secret(str(name)):
                raise self._wrong(
                    f"the header {name} does not stand in a file; write key: $NAME_OF_A_VARIABLE", "headers"
                )
        return self._declared(given, given["name"], lambda: open_model(given["name"], **_with_objects(options)))

    def _declared(self, spec: dict[str, Any], name: str, make: Callable[[], Any]) -> DeclaredModel:
        try:
            return DeclaredModel(spec, name, make)
        except (TypeError, ValueError, AttributeError, GraphflowError) as error:
            raise self._wrong(str(error), "model") from None

    def _agent(self, name: str, options: dict[str, Any]) -> Agent[Any, Any]:
        for key in ("tools", "sub_agents", "mcp"):
            options[key] = [self._callee(each) for each in options.get(key, ())]
        options["handoffs"] = [self._handoff(name, each) for each in options.get("handoffs", ())]
        if "examples" in options:
            options["examples"] = [(each[0], each[1]) for each in options["examples"]]
        if "prompt_file" in options:
            file = (Path(self.where).parent / options["prompt_file"]).resolve()
            read_text(file)  # a regular file of reasonable size
            options["prompt_file"] = str(file)
        made: Agent[Any, Any] = Agent(name, **options)
        return made

    def _handoff(self, name: str, given: Any) -> Handoff:
        """A name, or a mapping with `target`, `conversation`, `description` and `laps`."""
        entry = given if isinstance(given, Mapping) else {"target": given}
        if "target" not in entry:
            raise self._wrong(f"a hand-over of {name!r} has no target", "handoffs")
        return Handoff(**{**entry, "target": self._callee(entry["target"])})

    def _router(self, name: str, options: dict[str, Any]) -> Router[Any, Any]:
        if "guards" in options:
            with self._within("guards"):
                options["guards"] = {
                    label: self._function(test, f"the guard of {label!r}") for label, test in options["guards"].items()
                }
        options["cascade"] = [self._stage(name, each) for each in options.get("cascade", ())]
        rule = self._function(options.pop("rule"), "the rule") if "rule" in options else None
        return Router(name, rule, **options)

    def _stage(self, name: str, given: Any) -> Router[Any, Any]:
        stage = self._declared_node(str(given))
        if not isinstance(stage, Router):
            raise self._wrong(f"{given!r} in the cascade of {name!r} is no router", "cascade")
        return stage

    def _declared_node(self, text: str) -> Node[Any, Any]:
        """A node by import or by its name in this file, made now if it is not yet."""
        if ":" not in text and text in self.entries and text not in self.making:
            return self._made(text)
        if ":" in text:
            return self._imported_node(text)
        if (found := self.nodes.get(text)) is None:
            raise self._wrong(f"{text!r} is no node")
        return found

    def _sub_agent(self, name: str, options: dict[str, Any]) -> SubAgent[Any, Any]:
        given = options.pop("target", "")
        with self._within("target"):
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
            raise self._wrong(f"mcp {name!r} needs a command (a list) or a url, one of them")
        secrets = [options.get("token"), *(options.get("headers") or {}).values()]
        if any(secret is not None and not str(secret).startswith("$") for secret in secrets):
            raise self._wrong("a token does not stand in a file; write token: $NAME_OF_A_VARIABLE")
        return MCP(name, url if command is None else command, **options)


def _names_in(edges: Any) -> set[str]:
    """The nodes on the arrows of a file; an arrow that cannot be read is told later."""
    found: set[str] = set()
    todo = [parsed(text) for text in edges if isinstance(text, str)] if isinstance(edges, list) else []
    while todo:
        match todo.pop():
            case ast.Name(id=name) | ast.Constant(value=str(name)):
                found.add(name)
            case ast.BinOp(left=left, right=right):
                todo += [left, right]
            case ast.Tuple(elts=members) | ast.List(elts=members):
                todo += members
            case ast.Attribute(value=base) | ast.Subscript(value=base) | ast.Call(func=base):
                todo.append(base)
    return found


def _with_objects(options: dict[str, Any]) -> dict[str, Any]:
    """Options of `connect` with those that are objects made of their mappings."""
    made = dict(options)
    for name, kind in (("timeouts", Timeouts), ("retry", RetryPolicy)):
        if isinstance(made.get(name), dict):
            made[name] = kind(**made[name])
    return made
