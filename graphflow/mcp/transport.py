"""How a server is reached: a process's standard streams, or streamable HTTP.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports; both generations of the protocol use
these two, and the SDK finds out which one a server speaks.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from graphflow.keepalive import keep_alive
from graphflow.mcp.tail import Tail
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from graphflow.mcp.remote import RemoteServer

Streams = tuple[Any, Any]
"""What a server says, and what is said to it; the SDK's streams, whose types depend on its version."""

CONNECT_S = 30.0
READ_S = 300.0
"""Seconds between two bytes of a stream, as the SDK's own client allows."""
GOODBYE_S = 3.0
"""Seconds that a server has to answer when a session is ended: nobody waits for what it would say."""


class Transport:
    """What is known about a transport beside its streams.

    Attributes:
        tail: the last words of the process, if it is one.
        status: the HTTP status of the last answer that was an error, else 0.
        process: the frame of the SDK's that holds the process.
    """

    def __init__(self, tail: Tail | None) -> None:
        self.tail = tail
        self.status = 0
        self.process: FrameType | None = None

    def kill(self) -> None:
        """Kills a process that does not answer: to ask it first would take seconds, and hang a loop that ends meanwhile."""
        if self.process is None:
            return
        process = self.process.f_locals.get("process")
        if process is not None:
            with suppress(OSError, AttributeError):
                process.kill()


class WatchedStream:
    """A stream of messages that calls `ended` at its end: what is sent after that reaches nobody."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> WatchedStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        self._ended()
        return await self._stream.__aexit__(*error)

    def __aiter__(self) -> WatchedStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise


def _brief(record: logging.LogRecord) -> bool:
    """What the SDK logs of a line that is not a message, without the line: it may hold anything."""
    text = scrub(record.getMessage())
    record.exc_info = record.exc_text = None
    record.msg, record.args = text[:200], ()
    return True


@asynccontextmanager
async def transport_of(
    server: RemoteServer, transport: Transport, ended: Callable[[], None]
) -> AsyncIterator[Streams]:
    """The two streams of a server."""
    streams = _process(server, transport) if server.command else _http(server, transport)
    async with streams as (reading, writing):
        yield WatchedStream(reading, ended), writing


@asynccontextmanager
async def _process(server: RemoteServer, transport: Transport) -> AsyncIterator[Streams]:
    from mcp import StdioServerParameters, stdio_client

    logging.getLogger("mcp.client.stdio").addFilter(_brief)  # the same one again is not added
    program, *arguments = server.command
    parameters = StdioServerParameters(
        command=program, args=arguments, env=server.environment(), cwd=server.cwd
    )
    assert transport.tail is not None
    client = stdio_client(parameters, errlog=transport.tail.file)
    async with client as streams:
        transport.tail.started()
        # The SDK gives its process to nobody, and it has to be killed if it hangs: it is found in the generator's frame.
        generator = getattr(client, "gen", None)
        transport.process = getattr(generator, "ag_frame", None)
        yield streams


@asynccontextmanager
async def _http(server: RemoteServer, transport: Transport) -> AsyncIterator[Streams]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async def note(response: httpx2.Response) -> None:
        # 405: it has no stream of its own to open.
        if response.status_code >= 400 and response.status_code != 405:
            transport.status = response.status_code

    async def tune(request: httpx2.Request) -> None:
        request.extensions["trace"] = keep_alive
        if request.method == "DELETE":  # the end of a session
            request.extensions["timeout"] = httpx2.Timeout(GOODBYE_S).as_dict()

    timeout = httpx2.Timeout(CONNECT_S, read=READ_S)
    hooks: dict[str, list[Any]] = {"request": [tune], "response": [note]}
    async with (
        httpx2.AsyncClient(
            headers=server.own_headers(), timeout=timeout, event_hooks=hooks
        ) as client,
        streamable_http_client(server.url, http_client=client) as streams,
    ):
        yield streams
