"""The nodes that a file declares, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import AnyNode
from graphflow.declaration.options import Retry
from graphflow.errors import FileUnreadable
from graphflow.files.claims import read_claims_of
from graphflow.files.expressions import names_on_arrows
from graphflow.files.loader import read_text
from graphflow.files.models import ModelReader, is_spelled_out
from graphflow.files.names import Names
from graphflow.files.problems import AlreadyReported
from graphflow.files.states import StateReader
from graphflow.files.types import Types
from graphflow.kinds.agent import Agent
from graphflow.kinds.code import Code
from graphflow.kinds.human import Human
from graphflow.kinds.router import Router
from graphflow.kinds.skills import Skills
from graphflow.kinds.subagent import SubAgent
from graphflow.kinds.wait import Moment, Receive, Wait
from graphflow.limits import Limits
from graphflow.mcp.server import MCP
from graphflow.policy import Policy

Options = dict[str, Any]


class OptionReader:
    """Makes objects of the options that stand in a file as mappings and texts."""

    def __init__(self, types: Types, models: ModelReader, states: StateReader) -> None:
        self.problems = types.problems
        self._readers: dict[str, Callable[[Any], object]] = {
            "retry": lambda given: Retry(**given) if isinstance(given, Mapping) else given,
            "policy": lambda given: Policy(**given),
            "limits": lambda given: Limits(**given),
            "model": models.read,
            "input": types.read,
            "output": types.read,
            "type": types.read,
            "deps": types.read,
            "claims": read_claims_of,
            **dict.fromkeys(("state", "uses", "reads", "adds", "sets"), states.named),
        }

    def read(self, options: Options) -> None:
        """Replaces each option by what it declares."""
        for key, read in self._readers.items():
            if key not in options:
                continue
            given = options[key]
            with self.problems.within(key):
                options[key] = read(given)


class NodeReader:
    """Makes the nodes of one file, each when it is first needed.

    Attributes:
        nodes: those made so far, by name.
    """

    def __init__(self, names: Names, options: OptionReader, declared: Mapping[Any, Any]) -> None:
        self.names = names
        self.options = options
        self.problems = names.problems
        self.folder = Path(self.problems.where).parent
        self.entries: Mapping[Any, Any] = {}
        self.nodes: dict[str, AnyNode] = {}
        self._is_unreadable = False
        nodes = declared.get("nodes")
        if isinstance(nodes, Mapping):
            self.entries = nodes
        elif nodes:
            self._is_unreadable = True
        arrows = declared.get("edges")
        self._on_arrows = names_on_arrows(arrows)
        self._failed: set[str] = set()
        self._in_progress: list[str] = []
        self._kinds: dict[str, Callable[[str, Options], AnyNode]] = {
            "agent": self._agent,
            "router": self._router,
            "sub-agent": self._sub_agent,
            "code": self._code,
            "skills": self._skills,
            "human": self._human,
            "wait": self._wait,
            "receive": self._receive,
            "mcp": self._mcp,
        }

    def give_up(self, name: str) -> None:
        """Makes no node of that name: what is wrong with its entry is reported already."""
        self._failed.add(name)

    def make_all(self) -> None:
        """Makes every node that can be made, and reports why the others cannot."""
        for name in self.entries:
            if isinstance(name, str):
                make = partial(self.make, name)
                self.problems.attempt(make)

    def find(self, name: str) -> AnyNode | None:
        """The node of that name, if there is one.

        Raises:
            AlreadyReported: there would be, if its entry were right.
        """
        if name in self._failed or self._is_unreadable:
            raise AlreadyReported(name)
        return self.nodes.get(name)

    def make(self, name: str) -> AnyNode:
        """The node that the entry of that name declares.

        Raises:
            AlreadyReported: it cannot be made.
        """
        if name in self._failed:
            raise AlreadyReported(name)
        if name in self.nodes:
            return self.nodes[name]
        entry = self.entries[name]
        self._in_progress.append(name)
        try:
            # A node that another one names stands elsewhere in the file.
            with self.problems.at("nodes", name):
                node = self._node(name, entry)
        except (FileUnreadable, AlreadyReported) as error:
            self._failed.add(name)
            if isinstance(error, FileUnreadable):
                self.problems.report(error)
            raise AlreadyReported(name) from error
        finally:
            self._in_progress.remove(name)
        self.nodes[name] = node
        return node

    def _node(self, name: str, entry: Any) -> AnyNode:
        """The node that an entry declares. Its keys and the kinds of its values were checked before."""
        if isinstance(entry, str):
            return self._imported(name, entry)
        options = {key: value for key, value in entry.items() if value is not None}
        kind = options.pop("kind")
        self.options.read(options)
        make = self._kinds[kind]
        node = make(name, options)
        # Errors about the node name its line in the file, not the line here that makes it.
        line = self.problems.line()
        where = None if line is None else (self.problems.where, line)
        node.__dict__["where"] = where
        return node

    def _imported(self, name: str, text: str) -> AnyNode:
        if ":" not in text:
            problem = (
                f"node {name!r} is {text!r}; it must be 'module:name' or a mapping with a kind"
            )
            raise self.problems.error(problem)
        node = self.names.node(text)
        if node.name == name:
            return node
        return node.named(name)

    def _callee(self, given: object) -> AnyNode | str:
        """What an agent may call.

        A node on an arrow is named and looked up by the graph. One that stands on no arrow is known to its callers alone,
        so it has to be made for them. An agent that calls itself, or is called by what it calls, can only be named.
        """
        text = str(given)
        if ":" in text:
            return self.names.node(text)
        if text not in self.entries:
            return text
        if text in self._on_arrows or text in self._in_progress:
            return text
        return self.make(text)

    def _callees(self, given: list[object]) -> list[AnyNode | str]:
        return [self._callee(each) for each in given]

    def _other(self, text: str) -> AnyNode:
        """Another node, by import or by its name in this file."""
        if ":" in text:
            return self.names.node(text)
        is_in_progress = text in self._in_progress
        if text in self.entries and not is_in_progress:
            return self.make(text)
        node = self.nodes.get(text)
        if node is None:
            raise self.problems.error(f"{text!r} is not a node")
        return node

    # -- the kinds ---------------------------------------------------------------------------------
    def _agent(self, name: str, options: Options) -> AnyNode:
        for key in ("tools", "sub_agents", "mcp", "recalls"):
            callees = options.get(key, [])
            options[key] = self._callees(callees)
        handoffs = options.get("handoffs", ())
        options["handoffs"] = [self._handoff(name, each) for each in handoffs]
        if "examples" in options:
            pairs = options["examples"]
            options["examples"] = list(map(tuple, pairs))
        if "prompt_file" in options:
            place = self.folder / options["prompt_file"]
            file = place.resolve()
            # Here, so that a missing file or a pipe is reported with the line that names it.
            read_text(file)
            options["prompt_file"] = str(file)
        agent: AnyNode = Agent(name, **options)
        return agent

    def _handoff(self, name: str, given: object) -> Handoff:
        """A name, or a mapping with `target`, `conversation`, `description` and `laps`."""
        entry: Options = {"target": given}
        if isinstance(given, Mapping):
            entry = dict(given)
        if "target" not in entry:
            problem = f"a hand-over of {name!r} has no target"
            raise self.problems.error(problem, "handoffs")
        target = entry["target"]
        entry["target"] = self._callee(target)
        return Handoff(**entry)

    def _router(self, name: str, options: Options) -> AnyNode:
        if "guards" in options:
            guards = options["guards"]
            with self.problems.within("guards"):
                options["guards"] = self._guards(guards)
        # Stages stand on no arrow, so nobody else makes them.
        stages = options.get("cascade", ())
        options["cascade"] = [self._stage(name, each) for each in stages]
        rule = None
        if "rule" in options:
            text = options.pop("rule")
            rule = self.names.function(text, "the rule")
        router: AnyNode = Router(name, rule, **options)
        return router

    def _guards(self, given: Mapping[str, str]) -> dict[str, Callable[..., Any]]:
        guards: dict[str, Callable[..., Any]] = {}
        for label, text in given.items():
            role = f"the guard of {label!r}"
            guards[label] = self.names.function(text, role)
        return guards

    def _stage(self, name: str, given: object) -> AnyNode:
        stage = self._other(str(given))
        if not isinstance(stage, Router):
            raise self.problems.error(
                f"{given!r} in the cascade of {name!r} is not a router", "cascade"
            )
        return stage

    def _sub_agent(self, name: str, options: Options) -> AnyNode:
        given = options.pop("target", "")
        with self.problems.within("target"):
            if isinstance(given, Mapping):
                target = self._node(name, given)
            else:
                target = self._other(str(given))
        node: AnyNode = SubAgent(target, name=name, **options)
        return node

    def _code(self, name: str, options: Options) -> AnyNode:
        callees = options.get("calls", [])
        options["calls"] = self._callees(callees)
        return Code(name, **options)

    def _skills(self, name: str, options: Options) -> AnyNode:
        folders = options.pop("folders", [])
        if isinstance(folders, str):
            folders = [folders]
        if "runner" in options:
            runner = options["runner"]
            options["runner"] = self._callee(runner)
        paths: list[str] = []
        for folder in folders:
            # Relative to the file, not to the folder that the program runs in.
            place = self.folder / folder
            path = place.resolve()
            paths.append(str(path))
        return Skills(*paths, name=name, **options)

    def _human(self, name: str, options: Options) -> AnyNode:
        node: AnyNode = Human(name, **options)
        return node

    def _wait(self, name: str, options: Options) -> AnyNode:
        until = options.get("until")
        if until is not None:
            with self.problems.within("until"):
                options["until"] = self._moment(name, until)
        node: AnyNode = Wait(name, **options)
        return node

    def _moment(self, name: str, text: str) -> Moment:
        """A time as it is written, or a function that tells it."""
        try:
            return datetime.fromisoformat(text)
        except ValueError:  # 'steps:due'
            return self.names.function(text, f"until of {name!r}")

    def _receive(self, name: str, options: Options) -> AnyNode:
        if "type" not in options:
            raise self.problems.error(
                f"receive {name!r} has no type; write type: str, or the type that it takes"
            )
        node: AnyNode = Receive(name, **options)
        return node

    def _mcp(self, name: str, options: Options) -> AnyNode:
        command = options.pop("command", None)
        url = options.pop("url", None)
        if (command is None) == (url is None):  # both, or neither
            raise self.problems.error(f"mcp {name!r} needs either a command (a list) or a url")
        token = options.get("token")
        headers = options.get("headers") or {}
        secrets = [token, *headers.values()]
        if any(map(is_spelled_out, secrets)):
            problem = "a file must not hold a token; write token: $NAME_OF_A_VARIABLE"
            raise self.problems.error(problem)
        server = url if command is None else command
        return MCP(name, server, **options)
