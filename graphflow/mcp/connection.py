"""A server, opened as often as it is lost, and calls to it.

Rules:
1. A connection that was lost is opened again by the next call. A call that was under way when it was lost is not sent
   again: nobody knows whether it was carried out.
2. After a call that was given up without an answer, the server is asked for a sign of life; if it gives none, it is lost.
3. A session that the server has forgotten (HTTP 404) did nothing; such a call is sent again, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from graphflow.concurrency import in_thread
from graphflow.declaration.node import AnyNode
from graphflow.errors import ServerFailed, ToolError
from graphflow.events import Event, ServerChanged, ServerLost, ServerOpened
from graphflow.mcp.schema import problems_of
from graphflow.mcp.session import CLOSED, FORGOTTEN, STAND_INS, Session, protocol_problem
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from mcp import Client
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, RequestParamsMeta, Tool

    from graphflow.mcp.elicitation import Ask, Elicitation
    from graphflow.mcp.remote import RemoteServer

ENDED = ("Connection closed", "SSE stream ended without a response")
"""What the SDK says with that code; servers use it for errors of their own, too."""
NO_SESSION = -32001
"""The code of servers that say so themselves when they have forgotten a session (the SDKs use it with 404)."""
MAX_PARTS = 500
"""Parts of an answer that are checked on the loop; an answer with more is checked in a thread."""
CHARACTERS_A_PART = 1_000
"""Characters of a text that count as a part."""
MAX_PROBLEMS = 2_000
"""Characters of what is wrong with an answer that an error shows."""
SIGN_OF_LIFE_S = 5.0
"""Seconds that a server has to list its tools after it has left a call without an answer."""


NewsMaker = Callable[[float], Event]
"""Makes an event, once it is known when that is by the clock of a run."""
Hear = Callable[[NewsMaker], None]
_ASK: ContextVar[Ask | None] = ContextVar("graphflow_ask", default=None)
"""How the call asks that is under way here."""


class Connection:
    """A server, opened when it is needed and as often as it is lost.

    Attributes:
        server: what it connects to.
        listed: the server's tools as it last listed them.
        nodes: these as nodes.
    """

    def __init__(self, server: RemoteServer, *, can_wait: bool = False) -> None:
        self.server = server
        self.can_wait = can_wait and server.ask is None
        """Whether what it asks people becomes a question of the run."""
        self._asks: list[Ask] = []
        """How each call under way asks, the latest last."""
        self.hearers: list[Hear] = []
        """Who hears that it was lost, opened again, or offers something else: the runs that use it."""
        self._is_lost = False
        """Whether that was told."""
        self.listed: tuple[Tool, ...] = ()
        self.nodes: tuple[AnyNode, ...] = ()
        self._output_schemas: dict[str, Any] = {}
        self._session: Session | None = None
        self._closing: set[Session] = set()
        self._opening = asyncio.Lock()
        self._attempts = 0
        self._failure = ""
        self._is_doubtful = False

    async def open(self) -> Client:
        """The client, connected.

        Raises:
            ServerFailed: it cannot be reached, or does not speak the protocol.
        """
        attempts = self._attempts
        async with self._opening:
            client = self._client_here()
            if client is not None:
                return client
            # Somebody else has tried while we waited: all who wait for it fail at once, and not one after the other.
            if self._attempts > attempts and self._failure:
                raise ServerFailed(self._failure)
            is_again = self._session is not None
            if is_again:
                self._tell_lost("its connection has ended")
            self._leave()
            session = self._session = Session(
                self.server, self._take, self.ask, can_wait=self.can_wait
            )
            self._failure = ""
            try:
                client = await session.opened()
            except ServerFailed as error:
                self._failure = str(error)
                raise
            except asyncio.CancelledError:
                self._leave()
                raise
            finally:
                self._attempts += 1
            if is_again:
                self._tell_back()
            return client

    def _client_here(self) -> Client | None:
        """The client, as long as somebody listens at the other end."""
        session = self._session
        if session is None or session.lost.is_set():
            return None
        return session.client

    def _tell_back(self) -> None:
        """Tells that the server is there again."""
        self._is_lost = False
        name, count = self.server.name, len(self.nodes)
        self._tell(lambda at: ServerOpened(at, 0, name, count, again=True))

    def _tell(self, make: NewsMaker) -> None:
        for hear in tuple(self.hearers):
            hear(make)

    def _tell_lost(self, why: str) -> None:
        """Tells that the server is gone, once until it is back."""
        if self._is_lost:
            return
        self._is_lost = True
        name = self.server.name
        self._tell(lambda at: ServerLost(at, 0, name, why))

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        progress: ProgressFnT | None = None,
        ask: Ask | None = None,
        meta: Mapping[str, str] | None = None,
    ) -> CallToolResult:
        """What the server answers to one call.

        Args:
            tool: the tool's name at the server.
            arguments: what it is given.
            progress: who hears how far it is.
            ask: how a person is asked what the server wants to know meanwhile.
            meta: what stands in `_meta` of the call: the span that it belongs to.

        Raises:
            ServerFailed: the connection was lost meanwhile, or cannot be opened again.
            ToolError: the server refuses the call, or its answer does not keep to its own schema.
        """
        if ask is None:
            return await self._called(tool, arguments, progress, meta)
        self._asks.append(ask)
        token = _ASK.set(ask)
        try:
            return await self._called(tool, arguments, progress, meta)
        finally:
            _ASK.reset(token)
            self._asks.remove(ask)

    async def _called(
        self,
        tool: str,
        arguments: dict[str, Any],
        progress: ProgressFnT | None,
        meta: Mapping[str, str] | None,
    ) -> CallToolResult:
        for is_last in (False, True):
            client = await self._living_client()
            session = self._session
            assert session is not None
            try:
                result = await client.call_tool(
                    tool,
                    arguments,
                    progress_callback=progress,
                    meta=cast("RequestParamsMeta", dict(meta)) if meta else None,
                )
                await self._check_answer(tool, result)
                return result
            except asyncio.CancelledError:
                # A time limit, perhaps: the next call makes sure that somebody is there.
                self._is_doubtful = True
                raise
            except Exception as error:
                if _has_forgotten(error, session) and not is_last:
                    session.lost.set()
                    continue
                raise await self._failure_of(error, session) from None
        raise AssertionError("a call is sent at most twice")

    async def _failure_of(self, error: Exception, session: Session) -> Exception:
        """What a call raises for an error of the SDK's."""
        from mcp import MCPError

        name = f"server {self.server.name!r}"
        match error:
            case MCPError() if error.code == CLOSED and (
                session.lost.is_set() or error.message in ENDED
            ):
                # Whoever listens hears of it now, and not when the next call opens it again.
                end = await self._end_of(session)
                self._tell_lost(end)
                return ServerFailed(end)
            case MCPError():
                refusal = _refusal(error.message, session)
                return ToolError(scrub(f"{name} {refusal}"))
            case ValidationError():
                return ToolError(scrub(f"{name} answered {protocol_problem(error)}"))
            case RuntimeError():  # how the SDK says what else it cannot make sense of
                first_line = str(error).splitlines()[0]
                return ToolError(scrub(f"{name}: {first_line}"))
        return error

    async def ask(self, name: str, question: Elicitation) -> dict[str, Any] | bool | None:
        """Asks a person what the server wants to know."""
        ask = self.server.ask or _ASK.get()
        if ask is None:
            # Servers before 2026-07-28 ask beside their calls, and do not say for which.
            if not self._asks:
                raise LookupError("it asks, and no call of it is under way")
            ask = self._asks[-1]
        return await ask(name, question)

    def give_up(self) -> None:
        """Ends the process of a server that did not close in time."""
        for session in self._closing:
            session.give_up()
        if self._session is not None:
            self._session.give_up()

    async def _living_client(self) -> Client:
        """The client of a server that answers."""
        client = await self.open()
        if not self._is_doubtful:
            return client
        from mcp import MCPError

        self._is_doubtful = False
        session = self._session
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_S):
                await client.list_tools(cache_mode="bypass")
        except (TimeoutError, MCPError):
            if session is not None:
                session.give_up()
        return await self.open()

    async def _check_answer(self, tool: str, result: CallToolResult) -> None:
        """Checks an answer; a large one takes seconds, and the loop has others to serve."""
        schema = self._output_schemas.get(tool)
        if schema is None or result.is_error:
            return
        if _is_large(result.structured_content):
            await in_thread(self._check, tool, schema, result)
        else:
            self._check(tool, schema, result)

    def _check(self, tool: str, schema: dict[str, Any], result: CallToolResult) -> None:
        """Checks an answer against the tool's own output schema."""
        if (
            result.structured_content is None
            and "structured_content" not in result.model_fields_set
        ):
            problems = ["there is none, and its schema promises it"]
        else:
            try:
                problems = problems_of(schema, result.structured_content)
            except ValueError as error:
                problems = [f"the schema that it should keep to: {error}"]
        if problems:
            text = "; ".join(problems)[:MAX_PROBLEMS]
            problem = (
                f"server {self.server.name!r}: Invalid structured content from {tool!r}: {text}"
            )
            raise ToolError(scrub(problem))

    async def close(self) -> None:
        """Ends the connection, and the process if there is one, within seconds."""
        async with self._opening:
            self._leave()
        for session in tuple(self._closing):
            await session.ended()
            self._closing.discard(session)

    def _leave(self) -> None:
        """Lets go of what was open; it ends in its own time."""
        session, self._session = self._session, None
        if session is not None:
            session.leave()
            self._closing.add(session)

    async def _take(self, tools: Sequence[Tool]) -> None:
        nodes = await in_thread(self.server.tools_of, self, tools)  # refuses what cannot be offered
        before = {node.name for node in self.nodes}
        self.listed, self.nodes = tuple(tools), nodes
        now = {node.name for node in nodes}
        # What it offers first is not a change.
        if before and before != now:
            self._tell_changed(now - before, before - now)
        self._output_schemas = {tool.name: tool.output_schema for tool in tools}

    def _tell_changed(self, added: set[str], removed: set[str]) -> None:
        name = self.server.name
        news, gone = tuple(sorted(added)), tuple(sorted(removed))
        self._tell(lambda at: ServerChanged(at, 0, name, news, gone))

    async def _end_of(self, session: Session) -> str:
        """How a server ended during a call, with what its process wrote last."""
        session.leave()
        await session.gone(within_s=1.0)
        last_words = await session.last_words()
        return scrub(
            f"server {self.server.name!r} ended while it was working on the call{last_words}; the next call opens it again"
        )


def _has_forgotten(error: Exception, session: Session) -> bool:
    """Whether a server no longer knows the session, and so has not done anything."""
    from mcp import MCPError

    if not isinstance(error, MCPError):
        return False
    if error.message == FORGOTTEN:
        return True
    return bool(error.code == NO_SESSION and session.status == 404)


def _refusal(message: str, session: Session) -> str:
    """How a server refuses a call: in its own words, or by an HTTP status alone."""
    if message in STAND_INS and session.status:
        return f"refuses the call: it answered HTTP {session.status}"
    return f"refuses the call: {message}"


def _is_large(value: object) -> bool:
    """Whether a value has so many parts that checking it takes long."""
    todo, parts = [value], 0
    while todo and parts < MAX_PARTS:
        part = todo.pop()
        parts += 1
        if isinstance(part, dict):
            todo += part.values()
        elif isinstance(part, list):
            todo += part
        elif isinstance(part, str):
            parts += len(part) // CHARACTERS_A_PART
    return parts >= MAX_PARTS
