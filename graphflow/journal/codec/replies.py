"""What a model answered, and what a conversation is made of, as JSON data and back.

    Reply(text="Hi", calls=(add,), parts=(TextPart("Hi"), add), finish="tool_calls")
    {"parts": [{"kind": "text", "text": "Hi"}, {"kind": "call", "id": "c7", "name": "add"}], "finish": "tool_calls"}

Rules:
1. What is at its default is left out, and so is what the parts say already (the text, the calls).
2. What a provider wants back (`keep`) comes back so that the same bytes are sent: in the order of its keys, so whoever writes
   the data as text may not sort them.
3. Encodings that a wire format keeps beside a turn (`encoded`) are not recorded: it makes them again.
4. What is not known here (a field that a newer version writes) is passed over.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias, cast

from graphflow.errors import Unreadable, Unstorable
from graphflow.journal.codec.packing import is_json, pack, unpack
from graphflow.journal.stored import Json
from graphflow.messages.media import Media
from graphflow.model.reply import Reply
from graphflow.model.seam import Likely
from graphflow.model.sources import Source
from graphflow.model.turns import (
    CACHE,
    NOTHING,
    AssistantTurn,
    Block,
    CacheMark,
    Part,
    TextPart,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
)

Record: TypeAlias = "dict[str, Json]"
Content: TypeAlias = "str | tuple[str | Media | CacheMark, ...]"

REPLY = "Reply"
TURN = "Turn"
"""What errors call the whole of what is written or read."""
LISTS = frozenset({"parts", "calls", "logprobs", "sources"})
IN_PARTS = frozenset({"text", "thinking", "calls"})
_BARE = Reply()
_SIMPLE = tuple(
    (each.name, getattr(_BARE, each.name))
    for each in fields(Reply)
    if each.name not in LISTS | IN_PARTS
)
"""The fields of a reply that are texts and numbers, with their defaults."""
_NO_SOURCE = Source()


# -- replies ---------------------------------------------------------------------------------------
def encode_reply(reply: Reply) -> Json:
    """A reply as JSON data.

    Raises:
        Unstorable: a model that is not a provider's keeps something in it (`keep`) that is not data.
    """
    return _sealed(_reply_out(reply))


def _reply_out(reply: Reply) -> Json:
    data = _scalars_out(reply)
    summary = _Summary.of(reply.parts)
    if reply.text != summary.text:
        data["text"] = reply.text
    if reply.thinking != summary.thinking:
        data["thinking"] = reply.thinking
    if not _are_same(reply.calls, summary.calls):
        data["calls"] = _parts_out(reply.calls)
    if reply.parts:
        data["parts"] = _parts_out(reply.parts)
    # Most replies have neither: few models are asked for the first, and few answers rest on the second.
    if reply.logprobs:
        data["logprobs"] = [_likely_out(likely) for likely in reply.logprobs]
    if reply.sources:
        data["sources"] = [_source_out(source) for source in reply.sources]
    return data


def _scalars_out(reply: Reply) -> Record:
    data: Record = {}
    for name, default in _SIMPLE:
        value = getattr(reply, name)
        if value != default:
            data[name] = _scalar_out(value)
    return data


def decode_reply(data: Json) -> Reply:
    """The reply that was encoded.

    Raises:
        Unreadable: this is none.
    """
    record = _record(_opened(data))
    parts = _parts_in(record.get("parts"))
    summary = _Summary.of(parts)  # what the record leaves out
    reply = Reply(parts=parts, text=summary.text, thinking=summary.thinking, calls=summary.calls)
    for name, _ in _SIMPLE:
        if name in record:
            setattr(reply, name, _scalar_in(record[name]))
    if "text" in record:
        reply.text = _text(record, "text")
    if "thinking" in record:
        reply.thinking = _text(record, "thinking")
    if "calls" in record:
        reply.calls = _calls_in(record["calls"])
    reply.logprobs = tuple(_likely_in(each) for each in _list(record.get("logprobs")))
    reply.sources = tuple(_source_in(each) for each in _list(record.get("sources")))
    return reply


@dataclass(frozen=True, slots=True)
class _Summary:
    """What a builder of replies makes of their parts."""

    text: str
    thinking: str
    calls: tuple[ToolCall, ...]

    @staticmethod
    def of(parts: Iterable[Part]) -> _Summary:
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[ToolCall] = []
        for part in parts:
            match part:
                case TextPart():
                    texts.append(part.text)
                case Thinking() if part.text:
                    thoughts.append(part.text)
                case ToolCall():
                    calls.append(part)
        return _Summary("".join(texts), "\n\n".join(thoughts), tuple(calls))


def _are_same(calls: Sequence[ToolCall], others: Sequence[ToolCall]) -> bool:
    """Whether these are the same calls, not equal ones: what they keep may be equal and still be written otherwise."""
    if len(calls) != len(others):
        return False
    pairs = zip(calls, others, strict=True)
    return all(one is other for one, other in pairs)


def _likely_out(likely: Likely) -> Json:
    rivals: list[Json] = [[token, _scalar_out(log)] for token, log in likely.top]
    return [likely.token, rivals]


def _likely_in(data: Json) -> Likely:
    match data:
        case [str(token), [*top]]:
            return Likely(token, tuple(_rival_in(each) for each in top))
    raise Unreadable(REPLY, ".logprobs", "a token and what is as likely", "something else")


def _rival_in(data: Json) -> tuple[str, float]:
    match data:
        case [str(token), log]:
            return token, cast("float", _scalar_in(log))
    raise Unreadable(REPLY, ".logprobs", "a token and what is as likely", "something else")


def _source_out(source: Source) -> Json:
    data: Record = {}
    for each in fields(Source):
        value = getattr(source, each.name)
        if value != getattr(_NO_SOURCE, each.name):
            data[each.name] = value
    return data


def _source_in(data: Json) -> Source:
    record = _record(data)
    start = record.get("start")
    end = record.get("end")
    return Source(
        url=_text(record, "url"),
        title=_text(record, "title"),
        start=start if isinstance(start, int) else None,
        end=end if isinstance(end, int) else None,
        quote=_text(record, "quote"),
    )


# -- parts -----------------------------------------------------------------------------------------
def _parts_out(parts: Iterable[Part]) -> list[Json]:
    return [_part_out(part) for part in parts]


def _part_out(part: Part) -> Json:
    data: Record
    match part:
        case TextPart():
            data = {"kind": "text", "text": part.text}
        case Thinking():
            data = {"kind": "thinking", "text": part.text}
        case ToolCall():
            data = {"kind": "call", "id": part.id, "name": part.name, "arguments": part.arguments}
            if part.cache is not None:
                data["cache"] = _mark_out(part.cache)
        case Block():
            data = {"kind": "block"}
        case _:
            raise Unstorable(REPLY, ".parts", "a part of an answer", type(part).__name__)
    if part.keep:
        data["keep"] = cast("Json", part.keep)
    return data


def _parts_in(data: Json) -> tuple[Part, ...]:
    return tuple(_part_in(each) for each in _list(data))


def _part_in(data: Json) -> Part:
    record = _record(data)
    keep = _keep_in(record)
    match record.get("kind"):
        case "text":
            return TextPart(_text(record, "text"), keep)
        case "thinking":
            return Thinking(_text(record, "text"), keep)
        case "call":
            return _call_in(record, keep)
        case "block":
            return Block(keep)
    raise Unreadable(REPLY, ".parts", "a part of an answer", "another kind of part")


def _call_in(record: Mapping[str, Json], keep: Mapping[str, object]) -> ToolCall:
    id, name, arguments = (_text(record, key) for key in ("id", "name", "arguments"))
    return ToolCall(id, name, arguments, keep, _mark_in(record.get("cache")))


def _calls_in(data: Json) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for part in _parts_in(data):
        if not isinstance(part, ToolCall):
            raise Unreadable(REPLY, ".calls", "a call", type(part).__name__)
        calls.append(part)
    return tuple(calls)


def _keep_in(record: Mapping[str, Json]) -> Mapping[str, object]:
    return _record(record["keep"]) if "keep" in record else NOTHING


# -- turns -----------------------------------------------------------------------------------------
def encode_turns(turns: Sequence[Turn]) -> Json:
    """The turns of a conversation as JSON data, one object each.

    Raises:
        Unstorable: something is not a turn, or keeps something that is not data.
    """
    return _sealed([_turn_out(turn) for turn in turns])


def decode_turns(data: Json) -> tuple[Turn, ...]:
    """The turns that were encoded.

    Raises:
        Unreadable: these are none.
    """
    return tuple(_turn_in(each) for each in _list(_opened(data)))


def _turn_out(turn: Turn) -> Json:
    match turn:
        case UserTurn():
            return {"turn": "user", "content": _content_out(turn.content)}
        case AssistantTurn():
            return _answer_out(turn)
        case ToolTurn():
            return {"turn": "tool", "results": [_result_out(result) for result in turn.results]}
    raise Unstorable(TURN, "", "a turn", type(turn).__name__)


def _turn_in(data: Json) -> Turn:
    record = _record(data)
    match record.get("turn"):
        case "user":
            return UserTurn(_content_in(record.get("content")))
        case "assistant":
            return _answer_in(record)
        case "tool":
            return ToolTurn(tuple(_result_in(each) for each in _list(record.get("results"))))
    raise Unreadable(TURN, "", "a turn", "another kind of turn")


def _answer_out(turn: AssistantTurn) -> Json:
    data: Record = {"turn": "assistant"}
    summary = _Summary.of(turn.parts)
    if turn.text != summary.text:
        data["text"] = turn.text
    if not _are_same(turn.calls, summary.calls):
        data["calls"] = _parts_out(turn.calls)
    if turn.parts:
        data["parts"] = _parts_out(turn.parts)
    if turn.wire:
        data["wire"] = turn.wire
    if turn.model:
        data["model"] = turn.model
    return data


def _answer_in(record: Mapping[str, Json]) -> AssistantTurn:
    parts = _parts_in(record.get("parts"))
    summary = _Summary.of(parts)
    text = _text(record, "text") if "text" in record else summary.text
    calls = _calls_in(record["calls"]) if "calls" in record else summary.calls
    return AssistantTurn(text, calls, parts, _text(record, "wire"), _text(record, "model"))


def _result_out(result: ToolResult) -> Json:
    data: Record = {"id": result.id, "name": result.name, "content": _content_out(result.content)}
    if not result.ok:
        data["ok"] = False
    if result.cache is not None:
        data["cache"] = _mark_out(result.cache)
    return data


def _result_in(data: Json) -> ToolResult:
    record = _record(data)
    return ToolResult(
        id=_text(record, "id"),
        name=_text(record, "name"),
        content=cast("str | tuple[str | Media, ...]", _content_in(record.get("content"))),
        ok=record.get("ok") is not False,
        cache=_mark_in(record.get("cache")),
    )


def _content_out(content: str | tuple[object, ...]) -> Json:
    """A text, or several things in order: texts, media, marks."""
    if isinstance(content, str):
        return content
    return [_piece_out(piece) for piece in content]


def _piece_out(piece: object) -> Json:
    match piece:
        case str():
            return piece
        case CacheMark():
            return {"cache": _mark_out(piece)}
        case Media():
            return {"media": _media_out(piece)}
    raise Unstorable(TURN, ".content", "a text, Media or a CacheMark", type(piece).__name__)


def _content_in(data: Json) -> Content:
    if isinstance(data, str):
        return data
    return tuple(_piece_in(each) for each in _list(data))


def _piece_in(data: Json) -> str | Media | CacheMark:
    if isinstance(data, str):
        return data
    record = _record(data)
    if "media" in record:
        return _media_in(record["media"])
    mark = _mark_in(record.get("cache"))
    if mark is None:
        raise Unreadable(TURN, ".content", "a text, Media or a CacheMark", "something else")
    return mark


def _media_out(media: Media) -> Json:
    data: Record = {}
    for name in Media.model_fields:
        value = getattr(media, name)
        if value:
            data[name] = b64encode(value).decode() if isinstance(value, bytes) else value
    return data


def _media_in(data: Json) -> Media:
    record = _record(data)
    values: dict[str, object] = {}
    for name in Media.model_fields:
        if name in record:
            text = _text(record, name)
            values[name] = b64decode(text) if name == "data" else text
    return Media.model_construct(**values)  # type: ignore[arg-type]  # it was validated when it was made


def _mark_out(mark: CacheMark) -> Json:
    return mark.ttl or "default"


def _mark_in(data: Json) -> CacheMark | None:
    match data:
        case "5m" | "1h" as ttl:
            return CacheMark(ttl)
        case "default":
            return CACHE
    return None


# -- all of it -------------------------------------------------------------------------------------
def _sealed(data: Json) -> Json:
    """The data as it is, if JSON can carry it.

    It cannot where a model of somebody's own keeps tuples or bytes, and where a text has half a character in it.
    """
    return data if is_json(data) else {"packed": pack(data)}


def _opened(data: Json) -> Json:
    match data:
        case {"packed": packed}:
            return cast("Json", unpack(packed))
    return data


# -- small things ----------------------------------------------------------------------------------
def _record(data: Json) -> Mapping[str, Json]:
    if not isinstance(data, dict):
        raise Unreadable(REPLY, "", "an object", type(data).__name__)
    return data


def _list(data: Json) -> Sequence[Json]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise Unreadable(REPLY, "", "a list", type(data).__name__)
    return data


def _text(record: Mapping[str, Json], name: str) -> str:
    """A text of a record; one that is not there is empty."""
    text = record.get(name, "")
    if not isinstance(text, str):
        raise Unreadable(REPLY, f".{name}", "a text", type(text).__name__)
    return text


def _scalar_out(value: object) -> Json:
    """A text, a number or nothing as JSON has it; a number that is not finite as an object."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise Unstorable(REPLY, "", "a text or number", type(value).__name__)


def _scalar_in(data: Json) -> str | float | None:
    match data:
        case None | str() | int() | float():
            return data
        case {"float": "inf" | "-inf" | "nan" as text}:
            return float(text)
    raise Unreadable(REPLY, "", "a text or number", type(data).__name__)
