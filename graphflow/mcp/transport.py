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
    from graphflow.mcp.server import MCP

CONNECT_S = 30.0
READ_S = 300.0
"""Seconds between two bytes of a stream, as the SDK's own client allows."""
BYE_S = 3.0
"""Seconds that a server has to answer when a session is ended: nobody waits for what it would say."""


class Opened:
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
        """Ends a process that answers no more: asked kindly it would take seconds, and hang a loop that ends meanwhile."""
        process = None if self.process is None else self.process.f_locals.get("process")
        if process is not None:
            with suppress(OSError, AttributeError):
                process.kill()


class Watched:
    """A stream of messages that tells when it ends: what is sent after that reaches nobody."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> Watched:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        self._ended()
        return await self._stream.__aexit__(*error)

    def __aiter__(self) -> Watched:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise


def _brief(record: logging.LogRecord) -> bool:
    """What the SDK logs of a line that is no message, without the line: it may hold anything."""
    record.exc_info = record.exc_text = None
    record.msg, record.args = scrub(record.getMessage())[:200], ()
    return True


@asynccontextmanager
async def transport_of(server: MCP, opened: Opened, ended: Callable[[], None]) -> AsyncIterator[Any]:
    """The two streams of a server."""
    if server.command:
        from mcp import StdioServerParameters, stdio_client

        logging.getLogger("mcp.client.stdio").addFilter(_brief)  # the same one again is not added
        program, *arguments = server.command
        parameters = StdioServerParameters(command=program, args=arguments, env=server.environment(), cwd=server.cwd)
        assert opened.tail is not None
        streams = stdio_client(parameters, errlog=opened.tail.file)
        async with streams as (reading, writing):
            opened.tail.started()
            opened.process = getattr(
                getattr(streams, "gen", None), "ag_frame", None
            )  # the SDK tells nobody its process
            yield Watched(reading, ended), writing
        return
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async def note(response: httpx2.Response) -> None:
        if response.status_code >= 400 and response.status_code != 405:  # 405: it has no stream of its own to open
            opened.status = response.status_code

    clock = httpx2.Timeout(CONNECT_S, read=READ_S)

    async def hurry(request: httpx2.Request) -> None:
        request.extensions["trace"] = keep_alive
        if request.method == "DELETE":  # the end of a session
            request.extensions["timeout"] = httpx2.Timeout(BYE_S).as_dict()

    hooks: dict[str, list[Any]] = {"request": [hurry], "response": [note]}
    async with (
        httpx2.AsyncClient(headers=server.own_headers(), timeout=clock, event_hooks=hooks) as client,
        streamable_http_client(server.url, http_client=client) as (reading, writing),
    ):
        yield Watched(reading, ended), writing
