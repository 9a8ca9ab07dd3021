"""The body of a request: its bytes, and about how many tokens they are.

A conversation grows with each question, and all of it is sent anew. So the bytes of a turn are kept beside it
(`turn.encoded`, by dialect), and a body is joined from them: what is encoded is only what is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_core import to_json

from graphflow.messages.media import Media
from graphflow.model.prices import estimate_tokens
from graphflow.model.reply import join_surrogates
from graphflow.model.seam import Request
from graphflow.model.turns import ToolTurn, Turn, UserTurn
from graphflow.providers.wires.json_object import Json, merge
from graphflow.providers.wires.wire import Dialect, Wire, render_request

PICTURE_TOKENS = 1500
"""Tokens of a picture, for pacing: the vendors count between some hundred and a few thousand, whatever its bytes."""


def render_body(wire: Wire, dialect: Dialect, request: Request, model: str, stream: bool) -> bytes:
    """The body of a request. Turns that were sent before are not encoded again."""
    extra = request.settings.extra
    if wire.turns in extra:  # turns that the caller adds are merged before anything is encoded
        whole = render_request(wire, request, model, stream=stream, dialect=dialect)
        return encode(whole)
    head = wire.render_head(request, model, stream, dialect)
    head = merge(head, extra)
    messages = [encode(message) for message in wire.render_system(request, dialect)]
    before: Turn | None = None
    for turn in request.turns:
        encoded = _bytes_of(wire, dialect, turn, before)
        # A turn of which nothing is sent does not stand between its neighbours.
        if encoded:
            messages.append(encoded)
            before = turn
    # The turns come last, so that they can be put in as bytes:
    # {"model":"m","stream":true} + "messages" + [...]  ->  {"model":"m","stream":true,"messages":[...]}
    opening = encode(head).removesuffix(b"}")
    if head:
        opening += b","
    name = wire.turns.encode()
    turns = b",".join(messages)
    return b'%b"%b":[%b]}' % (opening, name, turns)


def _bytes_of(wire: Wire, dialect: Dialect, turn: Turn, before: Turn | None) -> bytes:
    """The messages of a turn, with commas between them; kept beside it from the first time on."""
    key = dialect.name
    if dialect.bridge and isinstance(turn, UserTurn) and isinstance(before, ToolTurn):
        # The one place where what stands before a turn changes how it is written.
        key += " after tools"
    encoded = turn.encoded.get(key)
    if encoded is None:
        messages = wire.render_turn(turn, before, dialect)
        encoded = b",".join(encode(message) for message in messages)
        turn.encoded[key] = encoded
    return encoded


def encode(value: Json) -> bytes:
    """JSON for the wire, as every API takes it.

    Half a character, which file names and models may hold, is replaced. NaN and infinity, for which JSON has no word, are
    sent as texts: an API answers the bare words with an error, to this request and to all that repeat the conversation.
    """
    try:
        return to_json(value, inf_nan_mode="strings")
    except ValueError:
        return to_json(_with_whole_characters(value), inf_nan_mode="strings")


def _with_whole_characters(value: object) -> object:
    if isinstance(value, str):
        return join_surrogates(value)
    if isinstance(value, Mapping):
        names = [join_surrogates(str(key)) for key in value]
        inner = [_with_whole_characters(item) for item in value.values()]
        return dict(zip(names, inner, strict=True))
    if isinstance(value, (list, tuple)):
        return [_with_whole_characters(inner) for inner in value]
    return value


def estimated_tokens(body: bytes, request: Request) -> int:
    """About how many tokens a request may take, its answer included; a picture counts as one, not by its bytes."""
    pictures = [_base64_size(media) for media in _sent_media(request)]
    text_size = len(body) - sum(pictures)
    text = estimate_tokens(text_size)
    answer = request.settings.max_tokens or 0
    return text + PICTURE_TOKENS * len(pictures) + answer


def _base64_size(media: Media) -> int:
    return len(media.data) * 4 // 3


def _sent_media(request: Request) -> Iterator[Media]:
    for turn in request.turns:
        if isinstance(turn, UserTurn):
            for part in turn.parts:
                if isinstance(part, Media):
                    yield part
        elif isinstance(turn, ToolTurn):
            for result in turn.results:
                yield from result.media
