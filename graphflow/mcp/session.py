"""One session with a server, from the first message to the last, and the task that owns it.

Rules:
1. One task opens and closes the SDK's client, as its cancel scopes must be left by the task that entered them. Any task may
   call.
2. The owner is cancelled at most once, and only while it still connects: the SDK ends processes in its own time.

    Connection.open      session.opened()      waits for:      owner: connect, list the tools, then tend
    Connection.close     session.leave()       wakes up:       owner: close the client, and be done
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from graphflow.errors import DeclarationError, ServerFailed
from graphflow.mcp.tail import Tail
from graphflow.mcp.transport import Transport, transport_of
from graphflow.messages.message import error_text
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import Tool

    from graphflow.mcp.elicitation import Ask
    from graphflow.mcp.remote import RemoteServer

MAX_PAGES = 100
"""Pages of a listing at most: a server whose pages never end hangs nobody (the SDK caps its own walks likewise)."""
MAX_LISTED = 20_000
"""Tools that are listed at most; `include` and `exclude` say which of them are offered."""
CLOSED = -32000
"""The SDK's code for a connection that ended (`mcp_types.CONNECTION_CLOSED`)."""

FORGOTTEN = "Session terminated"
"""What the SDK says when a session is answered by 404, and the server does not say why."""
STAND_INS = (FORGOTTEN, "Not Found", "Server returned an error response")
"""What the SDK says for an HTTP status where the server has no message of its own."""

ENDING_S = 8.0
"""Seconds that closing may take: the SDK asks a process that hangs kindly, then less so, which takes it some four."""

TakeTools = Callable[[Sequence["Tool"]], Awaitable[None]]


class Session:
    """A server while it is open.

    Attributes:
        client: the SDK's client; None before it is connected and after it is closed.
        lost: set when nobody listens any more at the other end.
    """

    def __init__(
        self, server: RemoteServer, take_tools: TakeTools, ask: Ask, *, can_wait: bool = False
    ) -> None:
        loop = asyncio.get_running_loop()
        self.server = server
        self.client: Client | None = None
        self.lost = asyncio.Event()
        self._take_tools = take_tools
        self._ask = ask
        self._can_ask = server.ask is not None or can_wait
        self._transport = Transport(Tail() if server.command else None)
        self._ready: asyncio.Future[Client] = loop.create_future()
        self._wake = asyncio.Event()
        self._is_stale = False
        self._is_leaving = False
        self._owner = loop.create_task(self._own(), name=f"mcp:{server.name}")

    async def opened(self) -> Client:
        """The client, connected.

        Raises:
            ServerFailed: it cannot be reached, or does not speak the protocol.
        """
        return await asyncio.shield(self._ready)

    def leave(self) -> None:
        """Asks the owner to close; `gone` waits for it."""
        if not self._is_leaving:
            self._is_leaving = True
            self.lost.set()
            self._wake.set()
            if not self._ready.done():
                self._owner.cancel()

    def give_up(self) -> None:
        """Takes the server for dead: kills its process, if there is one."""
        self.lost.set()
        self._transport.kill()

    async def gone(self, within_s: float | None = None) -> None:
        """Waits until it is closed (bounded by the SDK: about 4 s for a process that hangs)."""
        await asyncio.wait([self._owner], timeout=within_s)
        if self._owner.done() and not self._owner.cancelled():
            self._owner.exception()

    async def ended(self) -> None:
        """Waits until it is closed, and no longer than a server may take that is asked to end."""
        await self.gone(ENDING_S)
        if not self._owner.done():  # it waits for an answer that does not come
            self.give_up()
            self._owner.cancel()
            await self.gone(ENDING_S)

    async def last_words(self) -> str:
        """What the server's process wrote last."""
        if self._transport.tail is None:
            return ""
        lines = (await self._transport.tail.text()).splitlines()
        if not lines:
            return ""
        last = [line.strip() for line in lines[-5:]]
        end = " | ".join(last)
        return f"; it wrote: {end[-500:]}"

    # -- the owner ---------------------------------------------------------------------------------
    async def _own(self) -> None:
        clock = asyncio.timeout(self.server.connect_s)
        try:
            async with clock, self._new_client() as client:
                await self._connected(client)
                clock.reschedule(None)
                self.client = client
                if not self._ready.done():
                    self._ready.set_result(client)
                await self._tend(client)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if not self._ready.done():
                problem = await self._problem(error, clock.expired())
                self._ready.set_exception(ServerFailed(problem))
                # Looked at, or asyncio would report an error that nobody may wait for.
                self._ready.exception()
        finally:
            self.client = None
            self.lost.set()
            if not self._ready.done():
                self._ready.cancel()
            if self._transport.tail is not None:
                self._transport.tail.close()

    async def _connected(self, client: Client) -> None:
        if self._transport.tail is not None:
            self._transport.tail.started()
        # Answers are checked by the connection, in bounded time; the SDK takes patterns and references as they come.
        client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]
        await self._list(client)

    def _new_client(self) -> AbstractAsyncContextManager[Client]:
        from mcp import Client
        from mcp_types import Implementation

        from graphflow._version import __version__
        from graphflow.mcp.elicitation import asker

        async def note(message: object) -> None:
            if getattr(message, "method", "") == "notifications/tools/list_changed":
                self._changed()

        return Client(
            transport_of(self.server, self._transport, self.lost.set),
            client_info=Implementation(name="graphflow", version=__version__),
            message_handler=note,
            mode="legacy" if self.server.handshake else "auto",
            elicitation_callback=asker(self.server.name, self._ask) if self._can_ask else None,
        )

    def _changed(self) -> None:
        """The server says that it has other tools now."""
        self._is_stale = True
        self._wake.set()

    async def _tend(self, client: Client) -> None:
        """Lists the tools again whenever the server says that they changed, until the connection is to be closed."""
        # Servers of both generations end up in `_changed`: by a message, or by the stream that is listened to.
        listening = asyncio.get_running_loop().create_task(self._listen(client))
        try:
            while not self._is_leaving:
                await self._wake.wait()
                self._wake.clear()
                if self._is_stale and not self._is_leaving:
                    self._is_stale = False
                    await self._relist(client)
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _relist(self, client: Client) -> None:
        from mcp import MCPError

        try:
            await self._list(client)
        except (MCPError, ServerFailed, ValidationError, DeclarationError):
            # What was listed before still stands; if the connection is gone, the next call finds out.
            return

    async def _listen(self, client: Client) -> None:
        """Servers of the newer generation announce changes on a stream that one has to ask for."""
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
        found: list[Tool] = []
        cursor: str | None = None
        seen: set[str] = set()  # a server that hands out a cursor again would be asked for ever
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            found += page.tools
            if len(found) > MAX_LISTED:
                raise ServerFailed(
                    f"server {self.server.name!r} lists more than {MAX_LISTED} tools; none of them is offered"
                )
            cursor = page.next_cursor
            if cursor is None or cursor in seen:
                break
            seen.add(cursor)
        await self._take_tools(found)

    @property
    def status(self) -> int:
        """The HTTP status of the last answer that was an error, else 0."""
        return self._transport.status

    async def _problem(self, error: BaseException, expired: bool) -> str:
        """Why a server could not be opened."""
        cause = _leaf(error)
        if isinstance(cause, ServerFailed):
            return str(cause)
        server = self.server
        if expired:
            what = f"did not answer within {server.connect_s:g} s"
        else:
            what = self._failure(cause)
        last_words = await self.last_words()
        return scrub(f"server {server.name!r} ({server.where_it_is}) {what}{last_words}")

    def _failure(self, cause: BaseException) -> str:
        from mcp import MCPError

        is_process = bool(self.server.command)
        match cause:
            case FileNotFoundError() if is_process:
                return "cannot be started: there is no such program (or its cwd is missing)"
            case MCPError() if cause.code == CLOSED and is_process:
                return "ended before it answered"
        if self.status:
            return self._refusal(cause)
        match cause:
            case MCPError():
                return f"does not speak the protocol: {cause.message}"
            case ValidationError():
                return f"does not speak the protocol: it answered {protocol_problem(cause)}"
        return f"cannot be opened: {type(cause).__name__}: {error_text(cause)}"

    def _refusal(self, cause: BaseException) -> str:
        """An HTTP status, and what the server itself has said with it."""
        from mcp import MCPError

        if isinstance(cause, MCPError) and cause.message not in STAND_INS:
            return f"answered HTTP {self.status}: {cause.message}"
        if self.status == 401:
            return "answered HTTP 401: it wants a token"
        return f"answered HTTP {self.status}"


async def _unchecked(name: str, result: object) -> None:
    """In place of the SDK's own check of answers."""


def protocol_problem(error: ValidationError) -> str:
    """What an answer has that the protocol does not."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"what the protocol does not know: {place}: {first['msg']}"


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
