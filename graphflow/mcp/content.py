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
from typing import TYPE_CHECKING, Any, TypeAlias

from graphflow.declaration.context import Context
from graphflow.errors import ResultInvalid, ToolError
from graphflow.messages.fences import fenced_text
from graphflow.messages.media import Media
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from mcp_types import BlobResourceContents, CallToolResult, ContentBlock, TextResourceContents

MEDIA_OF_MODELS = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/",
    "application/pdf",
)
"""Media types that some models take; anything else is only named to them."""
MAX_PIECES = 2_000
"""Pieces of content of one answer; for more there is structured content."""
TEXT_TYPES = ("text/", "application/json", "application/xml")

Json: TypeAlias = Any
"""A value of JSON."""
AnswerPart = Json | Media
"""A piece of an answer: structured content, a text, or what one can look at or listen to."""


def answer_of(result: CallToolResult, ctx: Context) -> AnswerPart | list[AnswerPart]:
    """The answer: the structured content or the text alone where there is nothing else, else the list of all of it.

    Args:
        result: what the SDK has read.
        ctx: of the tool's activation; media are kept through it.

    Raises:
        ToolError: the server says that it failed.
    """
    count = len(result.content)
    name = ctx.node.name
    if count > MAX_PIECES:
        raise ResultInvalid(
            f"{name!r} answered with {count} pieces of content, and {MAX_PIECES} are read at most; ask for less"
        )
    parts = [_part(block, number, ctx) for number, block in enumerate(result.content)]
    if result.is_error:
        complaint = scrub(_complaint(result, parts))  # a server may repeat the token it was sent
        own = f"{name!r} failed, and its server does not say why"
        # Its words are content as its answers are: what it says of itself may be meant for the model.
        raise ToolError(fenced_text(complaint) or own)
    structured = _unwrapped(result.structured_content)
    if structured is not None:
        parts = [structured, *_new(parts, structured)]
    texts = _texts_in(parts)
    if len(texts) == len(parts):
        return "\n".join(texts)
    return parts[0] if len(parts) == 1 else parts


def _texts_in(parts: list[AnswerPart]) -> list[str]:
    return [part for part in parts if isinstance(part, str)]


def _new(parts: list[AnswerPart], structured: Json) -> list[AnswerPart]:
    """The parts that do not only repeat structured content."""
    known = _Contents(structured)
    new: list[AnswerPart] = []
    for part in parts:
        is_repeated = isinstance(part, str) and known.has(part)
        if not is_repeated:
            new.append(part)
    return new


def _complaint(result: CallToolResult, parts: list[AnswerPart]) -> str:
    """What a server says of a failure: its texts, and its data where they do not say the same."""
    texts = [text for text in _texts_in(parts) if text]
    structured = _unwrapped(result.structured_content)
    if structured in (None, {}, [], ""):
        return "\n".join(texts)
    known = _Contents(structured)
    if not any(map(known.has, texts)):
        data = (
            structured
            if isinstance(structured, str)
            else json.dumps(structured, ensure_ascii=False)
        )
        texts.append(data)
    return "\n".join(texts)


def _unwrapped(structured: Json) -> Json:
    """Servers wrap an answer that is not an object as `{"result": ...}`: the protocol carries objects only."""
    if isinstance(structured, dict) and set(structured) == {"result"}:
        return structured["result"]
    return structured


class _Contents:
    """What structured content holds, to find texts that only repeat it: all of it, or one of its items.

    Each item is written down once, and not compared with every text: servers send thousands of both.
    """

    def __init__(self, structured: Json) -> None:
        parts = [structured]
        if isinstance(structured, dict):
            parts += structured.values()
        elif isinstance(structured, list):
            parts += structured
        self._texts = set(_texts_in(parts))
        self._values = set(map(_canonical, parts))
        wrapped = {"result": structured}
        self._values.add(_canonical(wrapped))

    def has(self, text: str) -> bool:
        """Whether a text, or the JSON in it, is one of these."""
        if text in self._texts:
            return True
        try:
            value = json.loads(text)
            return _canonical(value) in self._values
        except (ValueError, RecursionError):
            return False


def _canonical(value: Json) -> str:
    """One text for all that are equal: `{"a": 1, "b": 2}` and `{"b": 2.0, "a": 1}`."""
    plain = _with_whole_numbers(value)
    return json.dumps(plain, sort_keys=True, default=str)


def _with_whole_numbers(value: Json) -> Json:
    """A value with 1 for 1.0: JSON has one number for both."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
    return value


def _part(block: ContentBlock, number: int, ctx: Context) -> AnswerPart:
    """One block of content as text or media."""
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            name = f"{ctx.node.name}-{number}"  # the protocol gives it none
            return _media(block.data, block.mime_type, name, ctx)
        case "resource_link":
            return f"[{block.name}: {block.uri}]"
        case "resource":
            return _resource(block.resource, ctx)
    return f"[{block.type}]"


def _resource(resource: TextResourceContents | BlobResourceContents, ctx: Context) -> AnswerPart:
    """A file that a server has put into its answer."""
    text = getattr(resource, "text", None)
    if text is not None:
        return f"[{resource.uri}]\n{text}"
    blob: str = resource.blob  # type: ignore[union-attr]  # one of the two has a text
    mime = resource.mime_type or "application/octet-stream"
    text = _text_in(blob) if mime.startswith(TEXT_TYPES) else None
    if text is not None:
        return f"[{resource.uri}]\n{text}"
    return _media(blob, mime, str(resource.uri), ctx)


def _text_in(encoded: str) -> str | None:
    try:
        return b64decode(encoded, validate=True).decode()
    except ValueError:
        return None


def _media(encoded: str, mime: str, name: str, ctx: Context) -> Media | str:
    """Media for models that take them; for others, where they are kept."""
    try:
        data = b64decode(encoded, validate=True)
        media = Media(mime=mime, data=data, name=name)
    except (NotBase64, ValueError) as error:
        raise ResultInvalid(
            f"{ctx.node.name!r} answered with {mime} content that cannot be read: {error}"
        ) from None
    ctx.keep(name, data, kind=media.kind, mime=mime)
    if mime.startswith(MEDIA_OF_MODELS):
        return media
    return f"[{name}: {mime}, {len(data)} bytes, kept as an artifact]"
