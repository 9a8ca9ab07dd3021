"""A server as a node: it stands for the tools that it will list when a run begins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack
from urllib.parse import urlsplit

from graphflow.concurrency import in_thread
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, GraphError, MissingExtra, ServerFailed
from graphflow.events import ServerOpened
from graphflow.mcp.connection import Connection, Hear
from graphflow.mcp.elicitation import Ask
from graphflow.mcp.shared import SharedConnection, shared
from graphflow.mcp.tools import ServerTool, chosen, effects_of, node_name, wants_a_task
from graphflow.policy import Effect, check_effects
from graphflow.redaction import is_secret, remember

if TYPE_CHECKING:
    from mcp_types import Tool

ServerScope = Literal["run", "conversation", "process"]
IDLE_S = 600.0
"""Seconds that the server of a conversation stays open unused, unless `idle_s` says otherwise."""
MAX_OPEN = 32
"""Conversations that have one server open, unless `max_open` says otherwise."""
MAX_TOOLS = 2_000
"""Tools of one server: each schema takes milliseconds to be checked, and no model chooses among more."""
TIMEOUT_S = 120.0
"""Seconds one call may take, unless `timeout_s` says otherwise."""


class MCP(Node[Any, Any]):
    """A server of the Model Context Protocol, whose tools become nodes when a run begins.

    `MCP("time", ["mcp-server-time"])` starts a process and talks to its standard streams; `MCP("docs",
    "https://host/mcp", token="$DOCS_TOKEN")` speaks streamable HTTP. Give it to an agent as `mcp=[...]`, or to a step among
    its `calls`.

    Args:
        name: its name in the graph.
        at: the command (a list) or the address (a text that begins with http:// or https://).
        env: variables of the process, beside the few that are safe to pass on; a value "$NAME" is read from the
            environment when the server is opened.
        cwd: the folder it is started in.
        token: sent as `Authorization: Bearer ...`; "$NAME" is read from the environment.
        headers: further headers; "$NAME" as above.
        include: patterns of the tools that are offered (`*` and `?`); default: all.
        exclude: patterns of the tools that are not.
        prefix: put before the name of each, as two servers may use the same names.
        scope: "run" opens it for each run; "conversation" keeps it open for the following runs of the same conversation, which
            has it for itself; "process" keeps it open for all following ones, on whatever event loops they are.
        idle_s: seconds after which one that is kept open and used by no run is closed; the next run opens it again. Default:
            600 for a conversation's, never for the process's.
        max_open: how many conversations have it open; of those that no run uses the one that is idle longest is closed for
            the next. 32 by default.
        effects: what its tools may do; default: everything, as nobody knows.
        trust_hints: whether what the server says about its tools' effects is believed.
        ask: how a person is asked what the server wants to know (`Elicitation`); without it, it
            puts down a question in a run that can wait (and has the server for itself), and cannot ask in any other.
        connect_s: seconds until it has to answer for the first time.
        handshake: whether to speak to it as servers before 2026-07-28 expect, without asking first which generation it is.
        retry, timeout_s, cache, policy, approval: for each of its tools (`NodeOptions`); `timeout_s` is 120 by default.
    """

    kind: ClassVar[str] = "server"
    source: ClassVar[bool] = True
    command: tuple[str, ...]
    url: str
    cwd: str | None
    include: tuple[str, ...] | None
    exclude: tuple[str, ...]
    prefix: str
    scope: ServerScope
    idle_s: float | None
    max_open: int
    trust_hints: bool
    ask: Ask | None
    connect_s: float
    handshake: bool
    _env: tuple[tuple[str, str], ...]
    _headers: tuple[tuple[str, str], ...]
    _given: NodeOptions
    """What each of its tools is declared with."""

    def __init__(
        self,
        name: str,
        at: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        prefix: str = "",
        scope: ServerScope = "run",
        idle_s: float | None = None,
        max_open: int = MAX_OPEN,
        effects: Sequence[Effect] | None = None,
        trust_hints: bool = False,
        ask: Ask | None = None,
        connect_s: float = 30.0,
        handshake: bool = False,
        **options: Unpack[NodeOptions],
    ) -> None:
        command, url = _place(name, at)
        has_process_options = bool(env or cwd)
        has_http_options = bool(token or headers)
        _check_options(name, url, for_process=has_process_options, for_http=has_http_options)
        _check_scope(name, scope, idle_s, max_open)
        if idle_s is None and scope == "conversation":
            idle_s = IDLE_S
        options.setdefault("timeout_s", TIMEOUT_S)
        self._declare(name, ports=(Port("arguments", Any),), output=Any, **options)
        self._set(
            command=command,
            url=url,
            cwd=cwd,
            prefix=prefix,
            scope=scope,
            idle_s=idle_s,
            max_open=max_open,
            trust_hints=trust_hints,
            ask=ask,
        )
        self._set(
            _env=tuple(sorted((env or {}).items())),
            _headers=tuple(sorted(_all_headers(headers, token).items())),
            include=None if include is None else tuple(include),
            exclude=tuple(exclude),
            connect_s=connect_s,
            handshake=handshake,
            declared=None if effects is None else tuple(effects),
        )
        if effects is not None:
            check_effects(f"server {name!r}", effects)
        self._set(_given=options)
        _remember_secrets(name, (*self._env, *self._headers))

    untrusted: bool = True
    declared: tuple[Effect, ...] | None
    """The effects that the declaration gives its tools."""

    def _value(self) -> tuple[Any, ...]:
        # With what is kept out of reprs: two servers with different tokens are not the same.
        return (*super()._value(), self._env, self._headers)

    @property
    def where_it_is(self) -> str:
        """The command or the address, without anything that could be secret."""
        if self.command:
            return self.command[0]
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"

    @property
    def side_effects(self) -> frozenset[Effect]:
        """What its tools are declared to do, beside reading: which tools there are is only known when a run begins."""
        return frozenset(self.declared or ()) - {"reads"}

    def environment(self) -> dict[str, str]:
        """The variables of the process beside those that are always passed on."""
        return {key: self._resolved(value) for key, value in self._env}

    def own_headers(self) -> dict[str, str]:
        """The headers of each request."""
        headers = {}
        for key, value in self._headers:
            value = self._resolved(value)
            # A token alone, without the word for its scheme in front.
            if key == "Authorization" and " " not in value:
                value = f"Bearer {value}"
            headers[key] = value
        return headers

    def _resolved(self, value: str) -> str:
        if not value.startswith("$"):
            return value
        found = os.environ.get(value[1:])
        if found is None:
            raise ServerFailed(
                f"server {self.name!r} needs the variable {value}, and it is not set"
            )
        remember(found, value)
        return found

    def tools_of(self, connection: Connection, listed: Sequence[Tool]) -> tuple[ServerTool, ...]:
        """The nodes of what the server lists.

        Raises:
            ServerFailed: one of them cannot be offered, or two get the same name.
        """
        nodes: dict[str, ServerTool] = {}
        for tool in self._offered(listed):
            name = node_name(self.prefix, tool.name)
            if name in nodes:
                raise ServerFailed(
                    f"server {self.name!r}: its tools {nodes[name].tool!r} and {tool.name!r} would both be named {name!r}; "
                    f"leave one out: exclude=[{tool.name!r}]"
                )
            effects = (
                self.declared if self.declared is not None else effects_of(tool, self.trust_hints)
            )
            nodes[name] = ServerTool(name, tool, connection, effects, **self._given)
        return tuple(nodes.values())

    def _offered(self, listed: Sequence[Tool]) -> list[Tool]:
        wanted = [tool for tool in listed if chosen(tool.name, self.include, self.exclude)]
        offered = [tool for tool in wanted if not wants_a_task(tool)]
        if len(offered) > MAX_TOOLS:
            raise ServerFailed(
                f"server {self.name!r} lists {len(offered)} tools, and {MAX_TOOLS} can be offered at most; name those that are "
                f"needed: include=[{offered[0].name!r}, ...]"
            )
        return offered

    async def open(
        self,
        run_id: str,
        *,
        can_wait: bool = False,
        hear: Hear | None = None,
        conversation: str = "",
    ) -> Tools:
        """Its tools for one run.

        Args:
            run_id: the run.
            can_wait: whether what it asks people may be answered later.
            hear: who hears how it fares.
            conversation: the one that the run is part of, with its graph; "": none.

        Raises:
            ServerFailed: it cannot be opened.
            MissingExtra: the extra `mcp` is not installed.
        """
        try:
            await in_thread(_load)  # most of a second, which the loop need not wait for
        except ImportError as error:
            raise MissingExtra(f"server {self.name!r}", "mcp", str(error)) from None
        tools = Tools(self, self._connection(conversation, can_wait), hear)
        try:
            await tools.connection.open()
            self._check(tools)
            tools.tell_opened()
        except BaseException:
            await tools.close()
            raise
        return tools

    def _connection(self, conversation: str, can_wait: bool) -> Connection:
        """The connection of a run: its own, or one that stays open for others."""
        if self.scope == "process":
            return shared(self)
        # A run that is in no conversation has nobody to leave it to.
        if self.scope == "conversation" and conversation:
            return shared(self, conversation)
        return Connection(self, can_wait=can_wait)

    def _check(self, tools: Tools) -> None:
        """Refuses names in `include` that the server does not have."""
        listed = tools.connection.listed
        # Only names that were asked for: a tool that nobody has named may come and go.
        for pattern in self.include or ():
            found = [tool for tool in listed if chosen(tool.name, (pattern,), ())]
            if not found:
                have = ", ".join(sorted(tool.name for tool in listed)) or "nothing"
                problem = f"server {self.name!r} has no tool {pattern!r}, which include=[...] asks for; it has: {have}"
                raise GraphError(self.name, [problem])
            if all(wants_a_task(tool) for tool in found):
                problem = (
                    f"server {self.name!r} runs {pattern!r} as a task only, and that is not supported; "
                    "leave it out of include=[...]"
                )
                raise GraphError(self.name, [problem])


class Tools:
    """What a server offers to one run."""

    def __init__(self, server: MCP, connection: Connection, hear: Hear | None = None) -> None:
        self.server = server
        self.connection = connection
        self._hear = hear

    def tell_opened(self) -> None:
        """Tells its run that it is there, and from now on how it fares."""
        hear = self._hear
        if hear is None:
            return
        name, count = self.server.name, len(self.nodes)
        hear(lambda at: ServerOpened(at, 0, name, count))
        self.connection.hearers.append(hear)

    @property
    def nodes(self) -> tuple[AnyNode, ...]:
        """Its tools as it last listed them."""
        return self.connection.nodes

    async def close(self) -> None:
        """Ends what belongs to the run only."""
        connection = self.connection
        if self._hear in connection.hearers:
            connection.hearers.remove(self._hear)
        if isinstance(connection, SharedConnection):
            connection.give_back()
        else:
            await connection.close()


def _all_headers(headers: Mapping[str, str] | None, token: str | None) -> dict[str, str]:
    every = dict(headers or {})
    if token is not None:
        every["Authorization"] = token
    return every


def _remember_secrets(name: str, values: Iterable[tuple[str, str]]) -> None:
    """Has secrets taken out of all that leaves a run; what only names a variable is remembered once it is resolved."""
    for key, value in values:
        if not value.startswith("$") and (is_secret(key) or key == "Authorization"):
            remember(value, f"{key} of {name}")


def _load() -> None:
    """The SDK and what it brings along."""
    for module in ("mcp", "httpx2", "jsonschema"):
        import_module(module)


def _check_scope(name: str, scope: object, idle_s: object, max_open: object) -> None:
    """Refuses a scope that there is not, and what does not go with it.

    Raises:
        DeclarationError: one of them cannot be.
    """
    if scope not in ("run", "conversation", "process"):
        raise DeclarationError(
            f"server {name!r}: scope={scope!r}; it is 'run', 'conversation' or 'process'"
        )
    if idle_s is not None:
        if scope == "run":
            raise DeclarationError(
                f"server {name!r}: idle_s= is for scope='conversation' or 'process'; each run closes its own at its end"
            )
        if not _is_number(idle_s) or not idle_s > 0:  # type: ignore[operator]  # a number
            raise DeclarationError(f"server {name!r}: idle_s={idle_s!r}; give seconds, more than 0")
    if not isinstance(max_open, int) or isinstance(max_open, bool) or max_open < 1:
        raise DeclarationError(f"server {name!r}: max_open={max_open!r}; give a number from 1")


def _is_number(value: object) -> bool:
    """Whether a value is a number. True is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _place(name: str, at: str | Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The command, or the address."""
    if isinstance(at, str):
        _check_address(name, at)
        return (), at
    command = tuple(at)
    if not command or not all(_is_argument(part) for part in command):
        raise DeclarationError(f"server {name!r}: its command is {at!r}; give a list of texts")
    return command, ""


def _check_options(name: str, url: str, *, for_process: bool, for_http: bool) -> None:
    """Refuses options of the other kind of server."""
    if (for_process and url) or (for_http and not url):
        place = "an address" if url else "a command"
        raise DeclarationError(
            f"server {name!r}: env and cwd are for a command, token and headers for an address; it has {place}"
        )


def _check_address(name: str, address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        first = (address.split() or ["program"])[0]
        raise DeclarationError(
            f"server {name!r}: {address!r} is not an address; a command is a list of texts: [{first!r}, ...]"
        )
    if parts.username or parts.password:
        raise DeclarationError(
            f"server {name!r}: its address holds a password; give token=... or headers=..."
        )


def _is_argument(part: object) -> bool:
    return isinstance(part, str) and part != "" and "\0" not in part
