"""One connection to a server, and the task that owns it.

Rules:
1. One task opens and closes the client: the SDK's cancel scopes may not be left by another task than entered them. Any task
   may call.
2. A connection that was lost is opened again by the next call. A call that was under way when it was lost is not sent
   again: nobody knows whether it was carried out.
3. A session that the server has forgotten (HTTP 404) did nothing; such a call is sent again, once.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from graphflow.errors import DeclarationError, ServerFailed, ToolError
from graphflow.mcp.schema import wrong_with
from graphflow.mcp.tail import Tail
from graphflow.mcp.transport import Opened, transport_of
from graphflow.messages import error_text
from graphflow.scrub import scrub
from graphflow.threads import in_thread

if TYPE_CHECKING:
    from mcp import Client
    from mcp.shared.dispatcher import ProgressFnT

    from graphflow.mcp.server import MCP
    from graphflow.mcp.tools import ServerTool

PAGES = 100
"""Pages of a listing at most: a server whose pages never end hangs nobody (the SDK caps its own walks likewise)."""
CLOSED = -32000
"""The SDK's code for a connection that ended (`mcp_types.CONNECTION_CLOSED`)."""
ENDED = ("Connection closed", "SSE stream ended without a response")
"""What the SDK says with that code; servers use it for errors of their own, too."""
FORGOTTEN = "Session terminated"
"""What the SDK says when a session is answered by 404."""


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
        self._client: Client | None = None
        self._owner: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._wake = asyncio.Event()
        self._stale = False
        self._closing = False
        self._opening = asyncio.Lock()
        self._tried = 0
        self._failed = ""

    async def open(self) -> Client:
        """The client, connected.

        Raises:
            ServerFailed: it cannot be reached, or does not speak the protocol.
        """
        tried = self._tried
        async with self._opening:
            if self._client is not None and not self._lost.is_set():
                return self._client
            if self._tried > tried and self._failed:  # while we waited: all who want it now fail at once, not in turn
                raise ServerFailed(self._failed)
            await self._end()
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._lost, self._wake, self._closing = asyncio.Event(), asyncio.Event(), False
            self._owner = asyncio.get_running_loop().create_task(self._own(ready), name=f"mcp:{self.server.name}")
            self._failed = ""
            try:
                return await asyncio.shield(ready)
            except ServerFailed as error:
                self._failed = str(error)
                raise
            except asyncio.CancelledError:
                await self._end()
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
            client = await self.open()
            lost = self._lost
            try:
                result = await client.call_tool(tool, arguments, progress_callback=progress)
                self._check(tool, result)
                return result
            except MCPError as error:
                if error.message == FORGOTTEN and again:
                    lost.set()
                    continue
                if error.code == CLOSED and (lost.is_set() or error.message in ENDED):
                    lost.set()
                    raise ServerFailed(await self._ended("ended while it was working on the call")) from None
                raise ToolError(scrub(f"server {self.server.name!r} refuses the call: {error.message}")) from None
            except ValidationError as error:
                raise ToolError(scrub(f"server {self.server.name!r} answered {_off(error)}")) from None
            except RuntimeError as error:  # how the SDK says what else it cannot make sense of
                raise ToolError(scrub(f"server {self.server.name!r}: {str(error).splitlines()[0]}")) from None
        raise AssertionError("a call is sent at most twice")

    def _check(self, tool: str, result: Any) -> None:
        """Holds an answer against the tool's own output schema."""
        schema = next((each.output_schema for each in self.listed if each.name == tool), None)
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
        """Ends the connection, and the process if there is one; bounded by the SDK (about 4 s for one that hangs)."""
        async with self._opening:
            await self._end()

    # -- the owner -----------------------------------------------------------------------------------------------------
    async def _own(self, ready: asyncio.Future[Client]) -> None:
        opened = Opened(Tail() if self.server.command else None)
        clock = asyncio.timeout(self.server.connect_s)
        try:
            async with clock, self._made(opened) as client:
                if opened.tail is not None:
                    opened.tail.started()
                client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]  # `_check` does, in bounded time
                await self._list(client)
                clock.reschedule(None)
                self._client = client
                if not ready.done():
                    ready.set_result(client)
                await self._tend(client)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if not ready.done():
                ready.set_exception(ServerFailed(await self._why(error, clock.expired(), opened)))
        finally:
            self._client = None
            self._tail = opened.tail
            self._lost.set()
            if not ready.done():
                ready.cancel()
            if opened.tail is not None:
                opened.tail.started()

    def _made(self, opened: Opened) -> AbstractAsyncContextManager[Client]:
        from mcp import Client
        from mcp_types import Implementation

        from graphflow import __version__
        from graphflow.mcp.elicitation import asker

        lost = self._lost

        async def noted(message: Any) -> None:
            if getattr(message, "method", "") == "notifications/tools/list_changed":
                self._changed()

        return Client(
            transport_of(self.server, opened, lost.set),
            client_info=Implementation(name="graphflow", version=__version__),
            message_handler=noted,
            mode="legacy" if self.server.handshake else "auto",
            elicitation_callback=None if self.server.ask is None else asker(self.server),
        )

    def _changed(self) -> None:
        self._stale = True
        self._wake.set()

    async def _tend(self, client: Client) -> None:
        """Lists the tools again whenever the server says that they changed, until the connection is to be closed."""
        listening = asyncio.get_running_loop().create_task(self._listen(client))
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._closing:
                    return
                if self._stale:
                    self._stale = False
                    await self._relist(client)
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _relist(self, client: Client) -> None:
        from mcp import MCPError

        try:
            await self._list(client)
        except (MCPError, ServerFailed, ValidationError, DeclarationError):
            return  # what was listed before still stands; if the connection is gone, the next call tells

    async def _listen(self, client: Client) -> None:
        """Servers of the newer generation tell changes on a stream that is asked for."""
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        tools = client.server_capabilities.tools
        if tools is None or not tools.list_changed:
            return
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._changed()
        except (ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            return

    async def _list(self, client: Client) -> None:
        found: list[Any] = []
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            found += page.tools
            cursor = page.next_cursor
            if cursor is None or cursor in seen:
                break
            seen.add(cursor)
        nodes = await in_thread(self.server.tools_of, self, found)  # refuses what cannot be offered
        self.listed, self.nodes = tuple(found), nodes

    async def _end(self) -> None:
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self._closing = True
        self._wake.set()
        if self._client is None and not owner.done():
            owner.cancel()  # it is still connecting
        await asyncio.wait([owner])
        if not owner.cancelled():
            owner.exception()

    # -- what went wrong -----------------------------------------------------------------------------------------------
    _tail: Tail | None = None

    async def _ended(self, what: str) -> str:
        if self._owner is not None and not self._owner.done():
            self._closing = True
            self._wake.set()
            await asyncio.wait([self._owner], timeout=1.0)
        said = "" if self._tail is None else await self._tail.text()
        return scrub(f"server {self.server.name!r} {what}" + _last(said) + "; the next call opens it again")

    async def _why(self, error: BaseException, expired: bool, opened: Opened) -> str:
        from mcp import MCPError

        where = self.server.where_it_is
        cause = _leaf(error)
        if isinstance(cause, ServerFailed):
            return str(cause)
        if expired:
            what = f"did not answer within {self.server.connect_s:g} s"
        elif isinstance(cause, FileNotFoundError) and self.server.command:
            what = "cannot be started: there is no such program (or its cwd is missing)"
        elif isinstance(cause, MCPError) and cause.code == CLOSED and self.server.command:
            what = "ended before it answered"
        elif opened.status:
            what = f"answered HTTP {opened.status}" + (": it wants a token" if opened.status == 401 else "")
        elif isinstance(cause, MCPError):
            what = f"does not speak the protocol: {cause.message}"
        elif isinstance(cause, ValidationError):
            what = f"does not speak the protocol: it answered {_off(cause)}"
        else:
            what = f"cannot be opened: {type(cause).__name__}: {error_text(cause)}"
        said = "" if opened.tail is None else await opened.tail.text()
        return scrub(f"server {self.server.name!r} ({where}) {what}" + _last(said))


def _last(said: str) -> str:
    """The end of what a process wrote, if it wrote anything."""
    lines = said.splitlines()[-5:]
    return f"; it wrote: {' | '.join(line.strip() for line in lines)[-500:]}" if lines else ""


async def _unchecked(name: str, result: Any) -> None:
    """In place of the SDK's own check of answers, which takes patterns and references as they come."""


def _off(error: ValidationError) -> str:
    """What an answer has that the protocol does not."""
    wrong = error.errors(include_url=False, include_input=False)[0]
    return f"what the protocol does not know: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
