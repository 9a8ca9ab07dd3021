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

from graphflow.errors import ResultInvalid, ToolError
from graphflow.media import Media
from graphflow.nodes import Context
from graphflow.scrub import scrub

LOOKED_AT = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "application/pdf")
"""Media types that models take, somewhere; anything else is named to them."""
WRITTEN = ("text/", "application/json", "application/xml")


def answer_of(result: Any, ctx: Context) -> Any:
    """The answer: the structured content or the text alone where there is nothing else, else the list of all of it.

    Args:
        result: the SDK's `CallToolResult`.
        ctx: of the tool's activation; media are kept through it.

    Raises:
        ToolError: the server says that it failed.
    """
    parts = [_part(block, number, ctx) for number, block in enumerate(result.content)]
    if result.is_error:
        raise ToolError(
            scrub(_complaint(result, parts)) or f"{ctx.node.name!r} failed, and its server does not say why"
        )
    structured = _unwrapped(result.structured_content)
    if structured is not None:
        parts = [structured, *(p for p in parts if not (isinstance(p, str) and _repeats(p, structured)))]
    if all(isinstance(part, str) for part in parts):
        return "\n".join(parts)
    return parts[0] if len(parts) == 1 else parts


def _complaint(result: Any, parts: list[Any]) -> str:
    """What a server says of a failure: its texts, and its data where they do not say the same."""
    said = [part for part in parts if isinstance(part, str) and part]
    structured = _unwrapped(result.structured_content)
    if structured not in (None, {}, [], "") and not any(_repeats(text, structured) for text in said):
        said.append(structured if isinstance(structured, str) else json.dumps(structured, ensure_ascii=False))
    return "\n".join(said)


def _unwrapped(structured: Any) -> Any:
    """Servers wrap an answer that is no object as `{"result": ...}`, as objects are all that the protocol carries."""
    if isinstance(structured, dict) and set(structured) == {"result"}:
        return structured["result"]
    return structured


def _repeats(text: str, structured: Any) -> bool:
    """Whether a text says nothing but the structured content, or one item of it."""
    said = [structured]
    said += structured.values() if isinstance(structured, dict) else structured if isinstance(structured, list) else ()
    if any(isinstance(part, str) and part == text for part in said):
        return True
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return value in said or value == {"result": structured}


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
