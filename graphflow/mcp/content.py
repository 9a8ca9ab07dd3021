"""What a server's tool answers, as a node's answer.

Rules:
1. Structured content is the answer. Text that only says the same again is left out; pictures, sounds and further text
   stand beside it.
2. A result that is marked as an error is raised as one, in the server's words and with its data: how long to wait, which
   field was wrong.
3. What a model cannot look at is kept as an artifact of the run, and named in the answer.

Source: https://modelcontextprotocol.io/specification/2025-11-25/server/tools (Tool Result, Structured Content).
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any

from graphflow.declaration.node import Context
from graphflow.errors import ResultInvalid, ToolError
from graphflow.messages.media import Media
from graphflow.redaction import scrub

LOOKED_AT = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "application/pdf")
"""Media types that models take, somewhere; anything else is named to them."""
MOST = 2_000
"""Pieces of content of one answer: who has more to say has structured content for it."""
WRITTEN = ("text/", "application/json", "application/xml")


def answer_of(result: Any, ctx: Context) -> Any:
    """The answer: the structured content or the text alone where there is nothing else, else the list of all of it.

    Args:
        result: the SDK's `CallToolResult`.
        ctx: of the tool's activation; media are kept through it.

    Raises:
        ToolError: the server says that it failed.
    """
    if len(result.content) > MOST:
        raise ResultInvalid(
            f"{ctx.node.name!r} answered with {len(result.content)} pieces of content, and {MOST} are read at most; ask for less"
        )
    parts = [_part(block, number, ctx) for number, block in enumerate(result.content)]
    if result.is_error:
        raise ToolError(
            scrub(_complaint(result, parts)) or f"{ctx.node.name!r} failed, and its server does not say why"
        )
    structured = _unwrapped(result.structured_content)
    if structured is not None:
        said = _Said(structured)
        parts = [structured, *(part for part in parts if not (isinstance(part, str) and said.has(part)))]
    if all(isinstance(part, str) for part in parts):
        return "\n".join(parts)
    return parts[0] if len(parts) == 1 else parts


def _complaint(result: Any, parts: list[Any]) -> str:
    """What a server says of a failure: its texts, and its data where they do not say the same."""
    said = [part for part in parts if isinstance(part, str) and part]
    structured = _unwrapped(result.structured_content)
    if structured not in (None, {}, [], "") and not any(map(_Said(structured).has, said)):
        said.append(structured if isinstance(structured, str) else json.dumps(structured, ensure_ascii=False))
    return "\n".join(said)


def _unwrapped(structured: Any) -> Any:
    """Servers wrap an answer that is no object as `{"result": ...}`, as objects are all that the protocol carries."""
    if isinstance(structured, dict) and set(structured) == {"result"}:
        return structured["result"]
    return structured


class _Said:
    """What structured content says, to tell whether a text says nothing else: all of it, or one item of it.

    Each item is written once, and not compared with every text: servers send thousands of both.
    """

    def __init__(self, structured: Any) -> None:
        items = list(structured.values()) if isinstance(structured, dict) else structured
        parts = [structured, *items] if isinstance(items, list) else [structured]
        self._texts = {part for part in parts if isinstance(part, str)}
        self._values = {_written(part) for part in [*parts, {"result": structured}]}

    def has(self, text: str) -> bool:
        """Whether a text, or the JSON in it, is one of these."""
        if text in self._texts:
            return True
        try:
            return _written(json.loads(text)) in self._values
        except (ValueError, RecursionError):
            return False


def _written(value: Any) -> str:
    """The one text for equal values."""
    return json.dumps(_even(value), sort_keys=True, default=str)


def _even(value: Any) -> Any:
    """A value with 1 for 1.0, as JSON has one number for both."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_even(item) for item in value]
    if isinstance(value, dict):
        return {key: _even(item) for key, item in value.items()}
    return value


def _part(block: Any, number: int, ctx: Context) -> Any:
    """One block of content as text or media."""
    if block.type == "text":
        return str(block.text)
    if block.type in ("image", "audio"):
        return _looked_at(block.data, block.mime_type, f"{ctx.node.name}-{number}", ctx)
    if block.type == "resource_link":
        return f"[{block.name}: {block.uri}]"
    if block.type == "resource":
        held = block.resource
        if (text := getattr(held, "text", None)) is not None:
            return f"[{held.uri}]\n{text}"
        mime = held.mime_type or "application/octet-stream"
        if mime.startswith(WRITTEN) and (text := _text_in(held.blob)) is not None:
            return f"[{held.uri}]\n{text}"
        return _looked_at(held.blob, mime, str(held.uri), ctx)
    return f"[{block.type}]"


def _text_in(encoded: str) -> str | None:
    try:
        return b64decode(encoded, validate=True).decode()
    except ValueError:
        return None


def _looked_at(encoded: str, mime: str, name: str, ctx: Context) -> Media | str:
    try:
        data = b64decode(encoded, validate=True)
        media = Media(mime=mime, data=data, name=name)
    except (NotBase64, ValueError) as error:
        raise ResultInvalid(f"{ctx.node.name!r} answered with {mime} content that cannot be read: {error}") from None
    ctx.keep(name, data, kind=media.kind, mime=mime)
    if mime.startswith(LOOKED_AT):
        return media
    return f"[{name}: {mime}, {len(data)} bytes, kept as an artifact]"
