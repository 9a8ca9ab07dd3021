"""Just enough HTTP/1.1: requests with a length or in chunks, replies likewise, connections that stay open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tests.strict.base import Reply, Request

REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 413: "Payload Too Large", 422: "Unprocessable Entity", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 529: "Overloaded",
}  # fmt: skip


class Malformed(Exception):
    """Not HTTP."""


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request, or None when the client has gone."""
    try:
        line = await reader.readline()
        if not line.strip():
            return None
        method, target, version = line.decode("ascii").split()
        headers = await _headers(reader)
        body = await _body(reader, headers)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except ValueError as error:
        raise Malformed(str(error)) from error
    keep = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1"
    return Request(method, target, headers, body, keep_alive=keep)


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").rstrip("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed(f"header without a colon: {line!r}")
        headers[name.lower()] = value.strip()
    return headers


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _slices(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of one size; 0 leaves them as they are."""
    if not size:
        yield from parts
        return
    rest = b""
    for part in parts:
        rest += part
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if rest:
        yield rest


async def send(
    writer: asyncio.StreamWriter,
    reply: Reply,
    *,
    delay_s: float,
    cut_at: int | None,
    slices: int,
    keep: bool,
) -> bool:
    """Writes a reply; False when the connection has to be closed after it."""
    body = b"" if reply.stream else b"".join(reply.parts)
    headers = {
        "date": "Fri, 02 Jan 2026 03:04:05 GMT",
        "content-type": reply.content_type,
        **reply.headers,
    }
    headers |= (
        {"transfer-encoding": "chunked"} if reply.stream else {"content-length": str(len(body))}
    )
    headers["connection"] = "keep-alive" if keep else "close"
    lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    sent = 0
    for part in _slices(iter(reply.parts), slices) if reply.stream else iter([body]):
        if delay_s:
            await writer.drain()
            await asyncio.sleep(delay_s)
        if cut_at is not None and sent + len(part) >= cut_at:
            part, keep = part[: cut_at - sent], False
        if part:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part) if reply.stream else part)
        sent += len(part)
        await writer.drain()
        if cut_at is not None and sent >= cut_at:
            return False
    if reply.stream:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    return keep
