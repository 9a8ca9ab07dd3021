"""One opening of a server, from the first message to the last, and the task that owns it.

One task opens and closes the SDK's client: its cancel scopes may not be left by another task than entered them. Any task may
call. The owner is cancelled at most once, and only while it still connects: the SDK ends processes in its own time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from graphflow.errors import DeclarationError, ServerFailed
from graphflow.mcp.tail import Tail
from graphflow.mcp.transport import Opened, transport_of
from graphflow.messages.message import error_text
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from mcp import Client

    from graphflow.mcp.elicitation import Ask
    from graphflow.mcp.server import MCP

PAGES = 100
"""Pages of a listing at most: a server whose pages never end hangs nobody (the SDK caps its own walks likewise)."""
LISTED = 20_000
"""Tools that are listed at most; which of them are offered `include` and `exclude` say."""
CLOSED = -32000
"""The SDK's code for a connection that ended (`mcp_types.CONNECTION_CLOSED`)."""

FORGOTTEN = "Session terminated"
"""What the SDK says when a session is answered by 404, and the server does not say why."""
STAND_INS = (FORGOTTEN, "Not Found", "Server returned an error response")
"""What the SDK says for an HTTP status where the server has no message of its own."""

ENDING_S = 8.0
"""Seconds that closing may take: the SDK asks a process that hangs kindly, then less so, which takes it some four."""

Listed = Callable[[Sequence[Any]], Awaitable[None]]


class Link:
    """A server while it is open.

    Attributes:
        client: the SDK's client; None before it is connected and after it is closed.
        lost: set when nobody listens any more at the other end.
    """

    def __init__(self, server: MCP, listed: Listed, ask: Ask) -> None:
        loop = asyncio.get_running_loop()
        self.server = server
        self.client: Client | None = None
        self.lost = asyncio.Event()
        self._listed = listed
        self._ask = ask
        self._opened = Opened(Tail() if server.command else None)
        self._ready: asyncio.Future[Client] = loop.create_future()
        self._wake = asyncio.Event()
        self._stale = False
        self._leaving = False
        self._owner = loop.create_task(self._own(), name=f"mcp:{server.name}")

    async def opened(self) -> Client:
        """The client, connected.

        Raises:
            ServerFailed: it cannot be reached, or does not speak the protocol.
        """
        return await asyncio.shield(self._ready)

    def leave(self) -> None:
        """Asks the owner to close; `gone` waits for it."""
        if not self._leaving:
            self._leaving = True
            self.lost.set()
            self._wake.set()
            if not self._ready.done():
                self._owner.cancel()

    def give_up(self) -> None:
        """It answers no more."""
        self.lost.set()
        self._opened.kill()

    async def gone(self, within_s: float | None = None) -> None:
        """Waits until it is closed (bounded by the SDK: about 4 s for a process that hangs)."""
        await asyncio.wait([self._owner], timeout=within_s)
        if self._owner.done() and not self._owner.cancelled():
            self._owner.exception()

    async def ended(self) -> None:
        """Waits until it is closed, and no longer than a server may take that is asked to end."""
        await self.gone(ENDING_S)
        if (
            not self._owner.done()
        ):  # it waits for an answer that does not come; its process, if there is one, was given up
            self.give_up()
            self._owner.cancel()
            await self.gone(ENDING_S)

    async def last_words(self) -> str:
        """What the server's process wrote last."""
        return "" if self._opened.tail is None else _last(await self._opened.tail.text())

    # -- the owner -----------------------------------------------------------------------------------------------------
    async def _own(self) -> None:
        opened = self._opened
        clock = asyncio.timeout(self.server.connect_s)
        try:
            async with clock, self._made() as client:
                if opened.tail is not None:
                    opened.tail.started()
                client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]  # answers are checked in bounded time
                await self._list(client)
                clock.reschedule(None)
                self.client = client
                if not self._ready.done():
                    self._ready.set_result(client)
                await self._tend(client)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(ServerFailed(await self._why(error, clock.expired())))
                self._ready.exception()  # whoever waits is told; nobody need
        finally:
            self.client = None
            self.lost.set()
            if not self._ready.done():
                self._ready.cancel()
            if opened.tail is not None:
                opened.tail.close()

    def _made(self) -> AbstractAsyncContextManager[Client]:
        from mcp import Client
        from mcp_types import Implementation

        from graphflow._version import __version__
        from graphflow.mcp.elicitation import asker

        async def noted(message: Any) -> None:
            if getattr(message, "method", "") == "notifications/tools/list_changed":
                self._changed()

        return Client(
            transport_of(self.server, self._opened, self.lost.set),
            client_info=Implementation(name="graphflow", version=__version__),
            message_handler=noted,
            mode="legacy" if self.server.handshake else "auto",
            elicitation_callback=None if self.server.ask is None else asker(self.server, self._ask),
        )

    def _changed(self) -> None:
        self._stale = True
        self._wake.set()

    async def _tend(self, client: Client) -> None:
        """Lists the tools again whenever the server says that they changed, until the connection is to be closed."""
        listening = asyncio.get_running_loop().create_task(self._listen(client))
        try:
            while not self._leaving:
                await self._wake.wait()
                self._wake.clear()
                if self._stale and not self._leaving:
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
            if len(found) > LISTED:
                raise ServerFailed(
                    f"server {self.server.name!r} lists more than {LISTED} tools, and goes on; nothing is offered"
                )
            cursor = page.next_cursor
            if cursor is None or cursor in seen:
                break
            seen.add(cursor)
        await self._listed(found)

    @property
    def status(self) -> int:
        """The HTTP status of the last answer that was an error, else 0."""
        return self._opened.status

    def _refused(self, cause: BaseException) -> str:
        """An HTTP status, and what the server itself has said with it."""
        from mcp import MCPError

        status = self._opened.status
        if isinstance(cause, MCPError) and cause.message not in STAND_INS:
            return f"answered HTTP {status}: {cause.message}"
        return f"answered HTTP {status}" + (": it wants a token" if status == 401 else "")

    async def _why(self, error: BaseException, expired: bool) -> str:
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
        elif self._opened.status:
            what = self._refused(cause)
        elif isinstance(cause, MCPError):
            what = f"does not speak the protocol: {cause.message}"
        elif isinstance(cause, ValidationError):
            what = f"does not speak the protocol: it answered {off(cause)}"
        else:
            what = f"cannot be opened: {type(cause).__name__}: {error_text(cause)}"
        return scrub(f"server {self.server.name!r} ({where}) {what}" + await self.last_words())


def _last(said: str) -> str:
    """The end of what a process wrote, if it wrote anything."""
    lines = said.splitlines()[-5:]
    return f"; it wrote: {' | '.join(line.strip() for line in lines)[-500:]}" if lines else ""


async def _unchecked(name: str, result: Any) -> None:
    """In place of the SDK's own check of answers, which takes patterns and references as they come."""


def off(error: ValidationError) -> str:
    """What an answer has that the protocol does not."""
    wrong = error.errors(include_url=False, include_input=False)[0]
    return f"what the protocol does not know: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
