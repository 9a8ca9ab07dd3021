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

from graphflow.errors import RecordInvalid
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

LISTS = frozenset({"parts", "calls", "logprobs", "sources"})
IN_PARTS = frozenset({"text", "thinking", "calls"})
_BARE = Reply()
_SIMPLE = tuple((each.name, getattr(_BARE, each.name)) for each in fields(Reply) if each.name not in LISTS | IN_PARTS)
"""The fields of a reply that are texts and numbers, with their defaults."""
_NO_SOURCE = Source()


# -- replies ---------------------------------------------------------------------------------------------------------------
def encode_reply(reply: Reply) -> Json:
    """A reply as JSON data.

    Raises:
        RecordInvalid: a model that is no provider's keeps something in it (`keep`) that is no data.
    """
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
        RecordInvalid: this is none.
    """
    record = _record(data)
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
    return len(calls) == len(others) and all(one is other for one, other in zip(calls, others, strict=True))


def _likely_out(likely: Likely) -> Json:
    return [likely.token, [[token, _scalar_out(log)] for token, log in likely.top]]


def _likely_in(data: Json) -> Likely:
    match data:
        case [str(token), [*top]]:
            return Likely(token, tuple(_rival_in(each) for each in top))
    raise RecordInvalid("a record of a reply says in an unknown way how likely its tokens were")


def _rival_in(data: Json) -> tuple[str, float]:
    match data:
        case [str(token), log]:
            return token, cast("float", _scalar_in(log))
    raise RecordInvalid("a record of a reply says in an unknown way how likely its tokens were")


def _source_out(source: Source) -> Json:
    data: Record = {}
    for each in fields(Source):
        value = getattr(source, each.name)
        if value != getattr(_NO_SOURCE, each.name):
            data[each.name] = value
    return data


def _source_in(data: Json) -> Source:
    record = _record(data)
    start, end = record.get("start"), record.get("end")
    return Source(
        url=_text(record, "url"),
        title=_text(record, "title"),
        start=start if isinstance(start, int) else None,
        end=end if isinstance(end, int) else None,
        quote=_text(record, "quote"),
    )


# -- parts -----------------------------------------------------------------------------------------------------------------
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
            raise RecordInvalid(f"{type(part).__name__} is no part of what a model says and cannot be recorded")
    if part.keep:
        _keep_out(part.keep, data)
    return data


def _keep_out(keep: Mapping[str, object], data: Record) -> None:
    """Providers keep JSON; a model of somebody's own may keep tuples and bytes as well."""
    if is_json(keep):
        data["keep"] = keep
    else:
        data["packed"] = pack(keep)  # under a name of its own: no JSON that a provider sends can look like it


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
    raise RecordInvalid("a record holds a part of a model's answer of a kind that is not known here")


def _call_in(record: Mapping[str, Json], keep: Mapping[str, object]) -> ToolCall:
    id, name, arguments = (_text(record, key) for key in ("id", "name", "arguments"))
    return ToolCall(id, name, arguments, keep, _mark_in(record.get("cache")))


def _calls_in(data: Json) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for part in _parts_in(data):
        if not isinstance(part, ToolCall):
            raise RecordInvalid("a record holds something else among a model's calls")
        calls.append(part)
    return tuple(calls)


def _keep_in(record: Mapping[str, Json]) -> Mapping[str, object]:
    if "packed" in record:
        kept = unpack(record["packed"])
        return cast("Mapping[str, object]", kept) if isinstance(kept, dict) else NOTHING
    if "keep" in record:
        return _record(record["keep"])
    return NOTHING


# -- turns -----------------------------------------------------------------------------------------------------------------
def encode_turns(turns: Sequence[Turn]) -> Json:
    """The turns of a conversation as JSON data, one object each.

    Raises:
        RecordInvalid: something is no turn, or keeps something that is no data.
    """
    return [_turn_out(turn) for turn in turns]


def decode_turns(data: Json) -> tuple[Turn, ...]:
    """The turns that were encoded.

    Raises:
        RecordInvalid: these are none.
    """
    return tuple(_turn_in(each) for each in _list(data))


def _turn_out(turn: Turn) -> Json:
    match turn:
        case UserTurn():
            return {"turn": "user", "content": _content_out(turn.content)}
        case AssistantTurn():
            return _answer_out(turn)
        case ToolTurn():
            return {"turn": "tool", "results": [_result_out(result) for result in turn.results]}
    raise RecordInvalid(f"{type(turn).__name__} is no turn of a conversation and cannot be recorded")


def _turn_in(data: Json) -> Turn:
    record = _record(data)
    match record.get("turn"):
        case "user":
            return UserTurn(_content_in(record.get("content")))
        case "assistant":
            return _answer_in(record)
        case "tool":
            return ToolTurn(tuple(_result_in(each) for each in _list(record.get("results"))))
    raise RecordInvalid("a record holds a turn of a kind that is not known here")


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
    return data


def _answer_in(record: Mapping[str, Json]) -> AssistantTurn:
    parts = _parts_in(record.get("parts"))
    summary = _Summary.of(parts)
    text = _text(record, "text") if "text" in record else summary.text
    calls = _calls_in(record["calls"]) if "calls" in record else summary.calls
    return AssistantTurn(text, calls, parts, _text(record, "wire"))


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
    raise RecordInvalid(f"{type(piece).__name__} is no part of a turn and cannot be recorded")


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
        raise RecordInvalid("a record holds a part of a turn of a kind that is not known here")
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


# -- small things ----------------------------------------------------------------------------------------------------------
def _record(data: Json) -> Mapping[str, Json]:
    if not isinstance(data, dict):
        raise RecordInvalid(f"a record of a model's answer is an object, and this is {type(data).__name__}")
    return data


def _list(data: Json) -> Sequence[Json]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise RecordInvalid(f"a record of a model's answer has a list here, and this is {type(data).__name__}")
    return data


def _text(record: Mapping[str, Json], name: str) -> str:
    """A text of a record; one that is not there is empty."""
    text = record.get(name, "")
    if not isinstance(text, str):
        raise RecordInvalid(f"{name!r} of a record of a model's answer is a text, and this is {type(text).__name__}")
    return text


def _scalar_out(value: object) -> Json:
    """A text, a number or nothing as JSON has it; a number that is not finite as an object."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise RecordInvalid(f"{type(value).__name__} is no text or number of a model's answer and cannot be recorded")


def _scalar_in(data: Json) -> str | float | None:
    match data:
        case None | str() | int() | float():
            return data
        case {"float": "inf" | "-inf" | "nan" as text}:
            return float(text)
    raise RecordInvalid(f"a record of a model's answer has {type(data).__name__} where a text or number stands")
