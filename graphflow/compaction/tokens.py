"""About how many tokens turns are, where nobody has counted them.

Rules:
1. A turn is counted once, and the count is kept beside it: a long conversation costs no more at its hundredth question.
2. Bytes tell more than characters: a character of Chinese is about a token and three bytes, one of English a quarter and
   one. Numbers in JSON are dearer than both say, so `MARGIN` is added, and what a provider reports goes before all this.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from pydantic_core import to_json

from graphflow.messages.media import Media
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import (
    AssistantTurn,
    CacheMark,
    Part,
    TextPart,
    Thinking,
    ToolCall,
    ToolTurn,
    Turn,
    UserTurn,
)

BYTES_PER_TOKEN = 3
"""Bytes of UTF-8 for a token: measured, the count of a provider plus this for what is new errs by 11 % at most."""
MARGIN = 1.12
"""What estimates are multiplied with, for that error."""
LEAST = 0.5
"""The share of an estimate that a text has at least: English prose has 0.7 of it, its longest words 0.5."""
TURN_TOKENS = 4
"""Tokens around each turn: its role, its beginning and end (OpenAI's cookbook, "How to count tokens": 3 to 4)."""
PICTURE_TOKENS = 1600
"""Tokens of a picture at most, whatever its bytes (Anthropic, "Vision": up to about 1,600)."""
FILE_BYTES_PER_TOKEN = 50
"""Bytes for a token of a document, sound or film: a page of a PDF is about 2,000 tokens (Anthropic, "PDF support")."""
_KEPT = "tokens"
"""Where a turn keeps its count, beside its encodings."""


def tokens_of_turn(turn: Turn) -> int:
    """About how many tokens a turn is."""
    known = turn.encoded.get(_KEPT)
    if known is not None:
        return int(known)
    tokens = TURN_TOKENS + _content_tokens(turn)
    turn.encoded[_KEPT] = b"%d" % tokens
    return tokens


def tokens_of_text(text: str) -> int:
    """About how many tokens a text is."""
    return ceil(_size(text) / BYTES_PER_TOKEN)


def tokens_around(request: Request) -> int:
    """About how many tokens of a request are no turns: its instructions, its tools, its schema."""
    tokens = tokens_of_text(request.system_text)
    for tool in request.tools:
        tokens += tokens_of_tool(tool)
    if request.output_schema is not None:
        tokens += _data_tokens(request.output_schema)
    return tokens


def least_tokens(request: Request) -> int:
    """So many tokens a request has at least: of its text alone, by what the longest words come to."""
    tokens = tokens_of_text(request.system_text)
    for turn in request.turns:
        match turn:
            case ToolTurn():
                tokens += sum(tokens_of_text(result.text) for result in turn.results)
            case _:
                tokens += tokens_of_text(turn.text)
    return int(LEAST * tokens)


def tokens_of_tool(tool: ToolSpec) -> int:
    """About how many tokens a tool is in each request that offers it."""
    words = tokens_of_text(tool.name) + tokens_of_text(tool.description)
    return TURN_TOKENS + words + _data_tokens(tool.parameters)


def _content_tokens(turn: Turn) -> int:
    match turn:
        case UserTurn():
            return sum(map(_tokens_of_piece, turn.parts))
        case AssistantTurn():
            return sum(map(_tokens_of_part, turn.in_order))
        case ToolTurn():
            tokens = 0
            for result in turn.results:
                tokens += TURN_TOKENS + tokens_of_text(result.text)
                tokens += sum(map(_tokens_of_piece, result.media))
            return tokens


def _tokens_of_piece(piece: str | Media | CacheMark) -> int:
    if isinstance(piece, str):
        return tokens_of_text(piece)
    if isinstance(piece, CacheMark):
        return 0
    if piece.kind == "image" or not piece.data:
        return PICTURE_TOKENS
    return PICTURE_TOKENS + len(piece.data) // FILE_BYTES_PER_TOKEN


def _tokens_of_part(part: Part) -> int:
    tokens = _data_tokens(part.keep) if part.keep else 0
    match part:
        case TextPart() | Thinking():
            tokens += tokens_of_text(part.text)
        case ToolCall():
            tokens += TURN_TOKENS + tokens_of_text(part.name) + tokens_of_text(part.arguments)
        case _:
            pass
    return tokens


def _data_tokens(data: Mapping[str, object]) -> int:
    # What a model of somebody's own keeps may be anything.
    size = len(to_json(data, fallback=repr))
    return ceil(size / BYTES_PER_TOKEN)


def _size(text: str) -> int:
    """Bytes of a text in UTF-8. Half a character counts as one."""
    if text.isascii():
        return len(text)
    return len(text.encode(errors="surrogatepass"))
