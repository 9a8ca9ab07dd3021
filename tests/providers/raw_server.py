"""A server that sends exactly the bytes it is told to, and then does what it is told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Literal

Step = bytes | float | Literal["close", "abort", "hang"]
"""Bytes to send, seconds to wait, or how to go away: in order, by a reset, or not at all."""


def head(
    status: int = 200, type: str = "text/event-stream", length: int | None = None, **headers: str
) -> bytes:
    """A status line and headers; without a length the body ends where the connection does."""
    lines = [f"HTTP/1.1 {status} X", f"content-type: {type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append("connection: close" if length is None else f"content-length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reply(
    body: bytes, status: int = 200, type: str = "application/json", **headers: str
) -> list[Step]:
    """A whole reply."""
    return [head(status, type, len(body), **headers) + body]


class RawServer:
    """`with RawServer(steps, steps, ...)`: one list of steps a request; the last one is used again and again.

    Attributes:
        url: where it listens.
        requests: the requests' raw bytes.
        gone: set when a client has closed its connection while the server was still waiting.
    """

    def __init__(self, *replies: Sequence[Step]) -> None:
        self.replies = list(replies)
        self.requests: list[bytes] = []
        self.gone = threading.Event()
        self.url = ""

    def __enter__(self) -> RawServer:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
            started.set()

        def work() -> None:
            self._loop.create_task(serve())
            self._loop.run_forever()
            self._server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0.01))
            self._loop.close()

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        started.wait(5)
        return self

    def __exit__(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                header = await reader.readuntil(b"\r\n\r\n")
                sizes = [
                    int(line.split(b":")[1])
                    for line in header.lower().split(b"\r\n")
                    if b"content-length" in line
                ]
                size = sizes[0] if sizes else 0
                self.requests.append(header + await reader.readexactly(size))
                steps = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                for step in steps:
                    await self._step(step, reader, writer)
                if b"connection: close" in steps[0] if isinstance(steps[0], bytes) else True:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _step(
        self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
            if reader.at_eof():
                self.gone.set()
                raise ConnectionError
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif step == "abort":
            writer.transport.abort()
            raise ConnectionError
        elif step == "close":
            raise ConnectionError
        else:
            if not await reader.read(1):
                self.gone.set()
            raise ConnectionError
