"""A server as often as it is opened, and calls to it.

Rules:
1. A connection that was lost is opened again by the next call. A call that was under way when it was lost is not sent
   again: nobody knows whether it was carried out.
2. After a call that was given up without an answer the server is asked for a sign of life; one that gives none is lost.
3. A session that the server has forgotten (HTTP 404) did nothing; such a call is sent again, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from graphflow.concurrency import in_thread
from graphflow.errors import ServerFailed, ToolError
from graphflow.mcp.link import CLOSED, FORGOTTEN, STAND_INS, Link, off
from graphflow.mcp.schema import wrong_with
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from mcp import Client
    from mcp.shared.dispatcher import ProgressFnT

    from graphflow.mcp.elicitation import Elicitation
    from graphflow.mcp.server import MCP
    from graphflow.mcp.tools import ServerTool

ENDED = ("Connection closed", "SSE stream ended without a response")
"""What the SDK says with that code; servers use it for errors of their own, too."""
NO_SESSION = -32001
"""The code of servers that say so themselves when they have forgotten a session (the SDKs use it with 404)."""
LARGE = 500
"""Parts of an answer that are checked at once; more are checked beside the loop."""
CHARACTERS = 1_000
"""Characters of a text that count as a part."""
SIGN_OF_LIFE_S = 5.0
"""Seconds that a server has to list its tools after it has left a call without an answer."""


class Connection:
    """A server, opened when it is needed and as often as it is lost.

    Attributes:
        server: what it connects to.
        listed: the server's tools as it last listed them.
        nodes: these as nodes.
    """

    def __init__(self, server: MCP) -> None:
        self.server = server
        self.listed: tuple[Any, ...] = ()
        self.nodes: tuple[ServerTool, ...] = ()
        self._promised: dict[str, Any] = {}
        self._link: Link | None = None
        self._left: set[Link] = set()
        self._opening = asyncio.Lock()
        self._tried = 0
        self._failed = ""
        self._doubted = False

    async def open(self) -> Client:
        """The client, connected.

        Raises:
            ServerFailed: it cannot be reached, or does not speak the protocol.
        """
        tried = self._tried
        async with self._opening:
            link = self._link
            if link is not None and link.client is not None and not link.lost.is_set():
                return link.client
            if self._tried > tried and self._failed:  # while we waited: all who want it now fail at once, not in turn
                raise ServerFailed(self._failed)
            self._leave()
            link = self._link = Link(self.server, self._take, self.ask)
            self._failed = ""
            try:
                return await link.opened()
            except ServerFailed as error:
                self._failed = str(error)
                raise
            except asyncio.CancelledError:
                self._leave()
                raise
            finally:
                self._tried += 1

    async def call(self, tool: str, arguments: dict[str, Any], progress: ProgressFnT | None = None) -> Any:
        """What the server answers to one call, the SDK's `CallToolResult`.

        Raises:
            ServerFailed: the connection was lost meanwhile, or cannot be opened again.
            ToolError: the server refuses the call, or its answer does not keep to its own schema.
        """
        from mcp import MCPError

        for again in (True, False):
            client = await self._alive()
            link = self._link
            assert link is not None
            try:
                result = await client.call_tool(tool, arguments, progress_callback=progress)
                await self._checked(tool, result)
                return result
            except asyncio.CancelledError:
                self._doubted = True  # a time limit, perhaps: the next call makes sure that somebody is there
                raise
            except MCPError as error:
                forgotten = error.message == FORGOTTEN or (error.code == NO_SESSION and link.status == 404)
                if forgotten and again:
                    link.lost.set()
                    continue
                if error.code == CLOSED and (link.lost.is_set() or error.message in ENDED):
                    raise ServerFailed(await self._ended(link)) from None
                raise ToolError(scrub(f"server {self.server.name!r} {_refusal(error.message, link)}")) from None
            except ValidationError as error:
                raise ToolError(scrub(f"server {self.server.name!r} answered {off(error)}")) from None
            except RuntimeError as error:  # how the SDK says what else it cannot make sense of
                raise ToolError(scrub(f"server {self.server.name!r}: {str(error).splitlines()[0]}")) from None
        raise AssertionError("a call is sent at most twice")

    async def ask(self, name: str, question: Elicitation) -> dict[str, Any] | bool | None:
        """Asks a person what the server wants to know."""
        assert self.server.ask is not None
        return await self.server.ask(name, question)

    def give_up(self) -> None:
        """Ends the process of a server that did not close in time."""
        for link in (*self._left, *([self._link] if self._link is not None else [])):
            link.give_up()

    async def _alive(self) -> Client:
        """The client of a server that answers."""
        client = await self.open()
        if not self._doubted:
            return client
        from mcp import MCPError

        self._doubted = False
        link = self._link
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_S):
                await client.list_tools(cache_mode="bypass")
        except (TimeoutError, MCPError):
            if link is not None:
                link.give_up()
        return await self.open()

    async def _checked(self, tool: str, result: Any) -> None:
        """Checks an answer; a large one takes seconds, and the loop has others to serve."""
        if self._promised.get(tool) is not None and _is_large(result.structured_content):
            await in_thread(self._check, tool, result)
        else:
            self._check(tool, result)

    def _check(self, tool: str, result: Any) -> None:
        """Holds an answer against the tool's own output schema."""
        schema = self._promised.get(tool)
        if schema is None or result.is_error:
            return
        if result.structured_content is None and "structured_content" not in result.model_fields_set:
            wrong = ["there is none, and its schema promises it"]
        else:
            try:
                wrong = wrong_with(schema, result.structured_content)
            except ValueError as error:
                wrong = [f"the schema that it should keep to: {error}"]
        if wrong:
            told = "; ".join(wrong)[:2000]
            raise ToolError(scrub(f"server {self.server.name!r}: Invalid structured content from {tool!r}: {told}"))

    async def close(self) -> None:
        """Ends the connection, and the process if there is one, within seconds."""
        async with self._opening:
            self._leave()
        for link in tuple(self._left):
            await link.ended()
            self._left.discard(link)

    def _leave(self) -> None:
        """Lets go of what was open; it ends in its own time."""
        link, self._link = self._link, None
        if link is not None:
            link.leave()
            self._left.add(link)

    async def _take(self, found: Sequence[Any]) -> None:
        nodes = await in_thread(self.server.tools_of, self, found)  # refuses what cannot be offered
        self.listed, self.nodes = tuple(found), nodes
        self._promised = {each.name: each.output_schema for each in found}

    async def _ended(self, link: Link) -> str:
        link.leave()
        await link.gone(within_s=1.0)
        what = "ended while it was working on the call"
        return scrub(f"server {self.server.name!r} {what}{await link.last_words()}; the next call opens it again")


def _refusal(message: str, link: Link) -> str:
    """How a server refuses a call: in its own words, or by an HTTP status alone."""
    if message in STAND_INS and link.status:
        return f"refuses the call: it answered HTTP {link.status}"
    return f"refuses the call: {message}"


def _is_large(value: Any) -> bool:
    """Whether a value has more than some parts."""
    todo, parts = [value], 0
    while todo and parts < LARGE:
        part = todo.pop()
        parts += 1
        if isinstance(part, dict):
            todo += part.values()
        elif isinstance(part, list):
            todo += part
        elif isinstance(part, str):
            parts += len(part) // CHARACTERS
    return parts >= LARGE
