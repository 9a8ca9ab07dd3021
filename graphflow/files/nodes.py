"""The nodes that a file declares, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graphflow.agent import Agent
from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.options import Retry
from graphflow.errors import FileUnreadable
from graphflow.files.claims import read_claims_of
from graphflow.files.contexts import read_context
from graphflow.files.document import PlainMapping
from graphflow.files.expressions import names_on_arrows
from graphflow.files.factories import FactoryReader, is_factory
from graphflow.files.guards import GuardReader
from graphflow.files.hidden import read_secrets
from graphflow.files.hooks import put_hooks
from graphflow.files.loader import read_text
from graphflow.files.models import ModelReader, is_spelled_out
from graphflow.files.names import Names
from graphflow.files.plugs import made_by_plugin, read_policy
from graphflow.files.problems import AlreadyReported
from graphflow.files.sources import KeyPath
from graphflow.files.states import StateReader
from graphflow.files.types import Types
from graphflow.files.values import nearest, shown
from graphflow.files.words import CALLEE_KEYS, SHARED_WORDS
from graphflow.kinds.code import Code
from graphflow.kinds.human import Human
from graphflow.kinds.router import Router
from graphflow.kinds.skills import Skills
from graphflow.kinds.subagent import SubAgent
from graphflow.kinds.wait import Moment, Receive, Wait
from graphflow.limits import Limits, Quota
from graphflow.mcp.server import MCP
from graphflow.messages.types import Type, adapter_of, type_name
from graphflow.plugins.seams import KINDS as KIND_SEAM
from graphflow.security.guarded_node import checked

Options = dict[str, Any]


class OptionReader:
    """Makes objects of the options that stand in a file as mappings and texts."""

    def __init__(self, types: Types, models: ModelReader, states: StateReader) -> None:
        self.problems = types.problems
        self.guards = GuardReader(types)
        self._readers: dict[str, Callable[[Any], object]] = {
            "retry": lambda given: Retry(**given) if isinstance(given, Mapping) else given,
            "policy": partial(read_policy, problems=types.problems),
            "limits": lambda given: Limits(**given),
            "quota": lambda given: Quota(**given),
            "model": models.read,
            "input": types.read,
            "output": types.read,
            "type": types.read,
            "deps": types.read,
            "claims": read_claims_of,
            "secrets": read_secrets,
            "context": partial(read_context, read_model=models.read, problems=types.problems),
            **dict.fromkeys(("state", "uses", "reads", "adds", "sets"), states.named),
        }

    @property
    def words(self) -> Collection[str]:
        """The options that are read here: they mean the same wherever they stand."""
        return self._readers.keys()

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

    Args:
        inner: makes the graph that stands in the place of a node.

    Attributes:
        nodes: those made so far, by name.
    """

    def __init__(
        self,
        names: Names,
        options: OptionReader,
        declared: PlainMapping,
        inner: Callable[[str, PlainMapping], AnyNode],
        is_incomplete: bool = False,
    ) -> None:
        self.names = names
        self._inner = inner
        self._factories = FactoryReader(names)
        self.options = options
        self.problems = names.problems
        self.entries: PlainMapping = {}
        self.nodes: dict[str, AnyNode] = {}
        self._is_unreadable = is_incomplete
        nodes = declared.get("nodes")
        if isinstance(nodes, Mapping):
            self.entries = nodes
        elif nodes:
            self._is_unreadable = True
        arrows = declared.get("edges")
        self._on_arrows = names_on_arrows(arrows)
        self._named: list[tuple[KeyPath, str]] = []
        """The names of nodes that somebody calls, which may be those of nodes behind others, and where they stand."""
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
            "graph": self._graph,
        }

    def give_up(self, name: str) -> None:
        """Makes no node of that name: what is wrong with its entry is reported already."""
        self._failed.add(name)

    def provide(self, nodes: Iterable[AnyNode]) -> None:
        """Takes nodes that other parts of the file bring, under their own names."""
        for node in nodes:
            # An entry of that name is meant where somebody names it.
            if node.name not in self.entries:
                self.nodes[node.name] = node

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
        node = self.nodes.get(name)
        if node is None and (name in self._failed or self._is_unreadable):
            raise AlreadyReported(name)
        return node

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
        # A graph reads its own, and may name messages and states of its own there.
        if kind != "graph":
            self.options.read(options)
        before = options.pop("before", ())
        after = options.pop("after", ())
        hooks = options.pop("hooks", {})
        is_checked = options.pop("checked", False)
        make = self._kinds.get(kind)
        node = self._plugged(name, entry, options) if make is None else make(name, options)
        node = put_hooks(node, hooks, self.names)
        node = self.options.guards.put_around(node, before, after)
        if is_checked:
            node = checked(node)
        # Errors about the node name its line in the file, not the line here that makes it.
        node.__dict__["where"] = self.problems.written_at()
        return node

    def _imported(self, name: str, text: str) -> AnyNode:
        if is_factory(text):
            node = self._made(text)
            return node if node.name == name else node.named(name)
        if ":" not in text:
            problem = (
                f"node {name!r} is {text!r}; it must be 'module:name' or a mapping with a kind"
            )
            raise self.problems.error(problem)
        node = self.names.node(text)
        if node.name == name:
            return node
        return node.named(name)

    def _made(self, text: str) -> AnyNode:
        """The one node that a factory makes."""
        made = self._factories.nodes(text)
        if len(made) == 1:
            return made[0]
        listed = [node.name for node in made]
        names = ", ".join(listed) or "none"
        raise self.problems.error(
            f"{text} makes {len(made)} nodes ({names}), and here stands one; name it among the tools of an agent"
        )

    def _callee(self, given: object) -> AnyNode | str:
        """What an agent may call.

        A node on an arrow is named and looked up by the graph. One that stands on no arrow is known to its callers alone,
        so it has to be made for them. An agent that calls itself, or is called by what it calls, can only be named.
        """
        text = str(given)
        if ":" in text:
            return self.names.node(text)
        if text not in self.entries:
            return self._provided(text)
        if text in self._on_arrows or text in self._in_progress:
            return text
        return self.make(text)

    def _provided(self, text: str) -> AnyNode | str:
        """A node that another part brings; or the name, where the graph itself has it or nobody does."""
        node = self.nodes.get(text)
        if node is None or text in self._on_arrows:
            self._named.append((self.problems.path, text))
            return text
        return node

    def _callees(self, key: str, given: list[object]) -> list[AnyNode | str]:
        callees: list[AnyNode | str] = []
        for number, each in enumerate(given):
            with self.problems.within(key, number):
                if is_factory(str(each)):
                    callees += self._factories.nodes(str(each))
                    continue
                callee = self._callee(each)
            callees.append(callee)
        return callees

    def check_named(self) -> None:
        """Reports names that nodes call and nobody has: the graph would say so, too, but without the place."""
        if self._is_unreadable:
            return
        known = {*self.entries, *self.nodes, *_names_behind(self.nodes.values())}
        words = [name for name in known if isinstance(name, str)]
        for path, text in self._named:
            if text not in known:
                hint = nearest(text, sorted(words))
                problem = f"{shown(text)} is called, and there is no such node; {hint}"
                self.problems.report_at(path, problem)

    def _other(self, text: str) -> AnyNode:
        """Another node, by import or by its name in this file."""
        if ":" in text:
            return self.names.node(text)
        is_in_progress = text in self._in_progress
        if text in self.entries and not is_in_progress:
            return self.make(text)
        node = self.nodes.get(text)
        if node is None:
            known = [each for each in self.entries if isinstance(each, str)]
            hint = nearest(text, known)
            raise self.problems.error(f"{shown(text)} is not a node; {hint}")
        return node

    def _plugged(self, name: str, entry: Options, options: Options) -> AnyNode:
        """A node of a kind that a plug-in brings."""
        factory = KIND_SEAM.get(entry["kind"])
        known = {*self.options.words, *SHARED_WORDS}
        for key in CALLEE_KEYS:
            if key in options and key in factory.table.options:
                options[key] = self._callees(key, options[key])
                known.add(key)
        # As it stands in the file, for a file to say it again; what all kinds have is known by the node.
        own: Options = {}
        for key, value in entry.items():
            if key != "kind" and key not in SHARED_WORDS:
                own[key] = value
        node: AnyNode = made_by_plugin(
            self.problems, factory, Node, name, options=options, known=known, written=own
        )
        return node if node.name == name else node.named(name)

    # -- the kinds ---------------------------------------------------------------------------------
    def _agent(self, name: str, options: Options) -> AnyNode:
        for key in ("tools", "sub_agents", "mcp", "recalls"):
            callees = options.get(key, [])
            options[key] = self._callees(key, callees)
        handoffs = options.get("handoffs", ())
        options["handoffs"] = []
        for number, each in enumerate(handoffs):
            with self.problems.within("handoffs", number):
                handoff = self._handoff(name, each)
            options["handoffs"].append(handoff)
        if "examples" in options:
            options["examples"] = self._examples(options)
        if isinstance(options.get("context"), str):
            options["context"] = self.names.function(options["context"], "the context policy")
        if "prompt_file" in options:
            with self.problems.within("prompt_file"):
                file = self._beside(options["prompt_file"])
                # Here, so that a missing file or a pipe is reported with the line that names it.
                read_text(file)
            options["prompt_file"] = str(file)
        self._read_prompt(options, "system")
        if "system_function" in options:
            options["system"] = self._system_function(options)
        agent: AnyNode = Agent(name, **options)
        return agent

    def _examples(self, options: Options) -> list[tuple[object, object]]:
        """The examples of an agent, as values of what it takes and answers."""
        takes = options.get("input")
        answers = options.get("output", str)
        pairs: list[tuple[object, object]] = []
        for number, (message, answer) in enumerate(options["examples"]):
            with self.problems.within("examples", number):
                taken = self._value(message, takes, "the message of an example")
                answered = self._value(answer, answers, "the answer of an example")
            pairs.append((taken, answered))
        return pairs

    def _value(self, given: object, kind: Type, what: str) -> object:
        """A value of a type that the file names."""
        if kind is None:  # whatever the edges bring
            return given
        try:
            return adapter_of(kind).validate_python(given)
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            raise self.problems.error(
                f"{what} is not of the type {type_name(kind)}: {why}"
            ) from None

    def _beside(self, name: str) -> Path:
        """A file that is named by its path from the file that is read."""
        place = self.problems.source().folder / name
        return place.resolve()

    def _read_prompt(self, options: Options, key: str) -> None:
        """Takes the text of an option from the file that is named instead of it: `system_file` for `system`."""
        name = options.pop(f"{key}_file", None)
        if name is None:
            return
        with self.problems.within(f"{key}_file"):
            if key in options:
                raise self.problems.error(f"{key} is given, too; leave one of them out")
            file = self._beside(name)
            options[key] = read_text(file).removesuffix("\n")

    def _system_function(self, options: Options) -> object:
        """The function that writes the standing instructions."""
        written = options.pop("system_function")
        with self.problems.within("system_function"):
            if "system" in options:
                raise self.problems.error("system is given, too; leave one of them out")
            return self.names.function(written, "what writes the instructions")

    def _handoff(self, name: str, given: object) -> Handoff:
        """A name, or a mapping with `target`, `conversation`, `description` and `laps`."""
        entry: Options = {"target": given}
        if isinstance(given, Mapping):
            entry = dict(given)
        if "target" not in entry:
            problem = f"a hand-over of {name!r} has no target"
            raise self.problems.error(problem)
        target = entry["target"]
        entry["target"] = self._callee(target)
        return Handoff(**entry)

    def _router(self, name: str, options: Options) -> AnyNode:
        if "guards" in options:
            guards = options["guards"]
            with self.problems.within("guards"):
                options["guards"] = self._guards(guards)
        self._read_prompt(options, "prompt")
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

    def _graph(self, name: str, options: Options) -> AnyNode:
        return self._inner(name, options)

    def _code(self, name: str, options: Options) -> AnyNode:
        callees = options.get("calls", [])
        options["calls"] = self._callees("calls", callees)
        return Code(name, **options)

    def _skills(self, name: str, options: Options) -> AnyNode:
        folders = options.pop("folders", [])
        if isinstance(folders, str):
            folders = [folders]
        if "runner" in options:
            runner = options["runner"]
            with self.problems.within("runner"):
                options["runner"] = self._runner(str(runner))
        paths: list[str] = []
        for folder in folders:
            # Relative to the file, not to the folder that the program runs in.
            path = self._beside(folder)
            paths.append(str(path))
        return Skills(*paths, name=name, **options)

    def _runner(self, text: str) -> AnyNode | str:
        if is_factory(text):
            return self._made(text)
        return self._callee(text)

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
            if text[:1].isdigit():
                raise self.problems.error(
                    f"{shown(text)} is not a time; write it as 2030-01-31T12:00:00Z"
                ) from None
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


def _names_behind(nodes: Iterable[AnyNode]) -> set[str]:
    """The names of all that nodes call or hand over to, and so on: whoever is in reach can be called by name."""
    names: set[str] = set()
    todo = list(nodes)
    while todo:
        node = todo.pop()
        behind: list[AnyNode | str] = [*node.calls]
        behind += [handoff.target for handoff in node.handoffs]
        # A name among them is looked up by the graph, as ours are.
        for each in behind:
            if isinstance(each, Node) and each.name not in names:
                names.add(each.name)
                todo.append(each)
    return names
