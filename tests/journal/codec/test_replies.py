"""Replies and turns through a record: what comes back is equal, and a provider is sent the same bytes."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphflow.errors import ModelError, Unreadable, Unstorable
from graphflow.journal.codec.replies import decode_reply, decode_turns, encode_reply, encode_turns
from graphflow.messages.media import Media
from graphflow.model.reply import Reply, ReplyBuilder
from graphflow.model.seam import Finish, Likely, Request
from graphflow.model.sources import Source
from graphflow.model.turns import (
    CACHE,
    AssistantTurn,
    Block,
    CacheMark,
    TextPart,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
)
from graphflow.providers.body import render_body
from graphflow.providers.reply_reader import ReplyReader
from tests.conformance.corpus import Exchange, exchanges
from tests.conformance.dialects import WIRES

RECORDED = exchanges()


def through_text(data: Any) -> Any:
    text = json.dumps(data, allow_nan=False, ensure_ascii=False)
    return json.loads(text.encode())


def again(reply: Reply) -> Reply:
    return decode_reply(through_text(encode_reply(reply)))


def turns_again(*turns: Turn) -> tuple[Turn, ...]:
    return decode_turns(through_text(encode_turns(turns)))


# -- what providers have answered ------------------------------------------------------------------
def recorded_reply(exchange: Exchange) -> Reply:
    wire, dialect = WIRES[exchange.provider]
    headers = {
        name.lower(): value for name, value in (exchange.response.get("headers") or {}).items()
    }
    reader = ReplyReader(wire, dialect, exchange.provider, exchange.response["status"], headers)
    builder = ReplyBuilder()
    try:
        for event in reader.feed(exchange.response["body_text"].encode()):
            builder.add(event)
        for event in reader.end():
            builder.add(event)
    except ModelError:
        pass  # what had come before is a reply as well
    return builder.whole()


def followed_up(exchange: Exchange, turn: AssistantTurn) -> bytes:
    wire, dialect = WIRES[exchange.provider]
    results = tuple(ToolResult(call.id, call.name, "seen") for call in turn.calls)
    more = ToolTurn(results) if results else UserTurn("And then?")
    request = Request((UserTurn("Hello"), turn, more))
    return render_body(wire, dialect, request, "m", stream=True)


@pytest.mark.parametrize("exchange", RECORDED, ids=str)
def test_a_recorded_reply_comes_back_and_is_sent_back_as_the_same_bytes(exchange: Exchange) -> None:
    reply = recorded_reply(exchange)
    back = again(reply)
    assert back == reply
    assert repr(back) == repr(reply)  # equal is not enough: 1 == True == 1.0
    assert back.turn == reply.turn
    assert followed_up(exchange, back.turn) == followed_up(exchange, reply.turn)
    [turn] = turns_again(reply.turn)
    assert isinstance(turn, AssistantTurn)
    assert followed_up(exchange, turn) == followed_up(exchange, reply.turn)


@pytest.mark.parametrize("dialect", sorted(WIRES))
def test_turns_of_every_kind_are_sent_as_the_same_bytes(dialect: str) -> None:
    wire, spoken = WIRES[dialect]
    call = ToolCall("toolu_12345", "look", '{"a": 1.0}', cache=CACHE)
    picture = Media(mime="image/png", data=bytes(range(256)), detail="low")
    turns = (
        UserTurn("Hello"),
        AssistantTurn("Hm", (call,)),
        ToolTurn((ToolResult("toolu_12345", "look", "no", ok=False, cache=CacheMark("5m")),)),
        UserTurn(("See:", picture, CacheMark("1h"), "And?", CACHE)),
    )
    back = turns_again(*turns)
    assert back == turns
    assert repr(back) == repr(turns)

    def sent(which: tuple[Turn, ...]) -> bytes:
        return render_body(wire, spoken, Request(which), "m", stream=True)

    assert sent(back) == sent(turns)


# -- what any model may answer ---------------------------------------------------------------------
texts = st.text(max_size=12) | st.sampled_from(["", "a\ud800b", "\u2028", '"\\'])
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
leaves = st.none() | st.booleans() | numbers | texts
data = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
odd = st.recursive(
    leaves | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(numbers, inner, max_size=2)
    ),
)
keeps = st.dictionaries(texts, data, max_size=3) | st.dictionaries(texts, odd, max_size=3)
marks = st.sampled_from([None, CACHE, CacheMark("5m"), CacheMark("1h")])
calls = st.builds(ToolCall, texts, texts, texts, keeps, marks)
parts = (
    st.builds(TextPart, texts, keeps)
    | st.builds(Thinking, texts, keeps)
    | calls
    | st.builds(Block, keeps)
)
media = st.sampled_from(
    [
        Media(mime="image/png", data=b"\x00\xff"),
        Media(url="https://example.com/a.png"),
        Media(kind="document", file_id="file_1", name="a.pdf"),
        Media(kind="document", mime="application/pdf", data=b"%PDF"),
    ]
)
counts = st.integers(0, 10**9)
maybe_counts = st.none() | counts
places = st.none() | st.integers(0, 99)
rivals = st.tuples(texts, st.floats(allow_nan=False))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "thinking": texts,
    "calls": st.lists(calls, max_size=2).map(tuple),
    "input_tokens": counts,
    "output_tokens": counts,
    "usd": st.none() | st.floats(allow_nan=False) | counts,
    "finish": st.sampled_from(get_args(Finish)),
    "refusal": texts,
    "parts": st.lists(parts, max_size=4).map(tuple),
    "cache_read_tokens": maybe_counts,
    "cache_write_tokens": maybe_counts,
    "reasoning_tokens": maybe_counts,
    "finish_raw": texts,
    "limited": st.booleans(),
    "model": texts,
    "response_id": texts,
    "wire": texts,
    "asked": texts,
    "logprobs": st.lists(
        st.builds(Likely, texts, st.lists(rivals, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    "sources": st.lists(st.builds(Source, texts, texts, places, places, texts), max_size=2).map(
        tuple
    ),
}
contents = texts | st.lists(texts | media, max_size=3).map(tuple)
user_turns = st.builds(
    UserTurn, texts | st.lists(texts | media | marks.filter(bool), max_size=3).map(tuple)
)
answers = st.builds(
    AssistantTurn,
    texts,
    st.lists(calls, max_size=2).map(tuple),
    st.lists(parts, max_size=3).map(tuple),
    texts,
)
results = st.builds(ToolResult, texts, texts, contents, st.booleans(), marks)
tool_turns = st.builds(ToolTurn, st.lists(results, max_size=2).map(tuple))


def test_every_field_of_a_reply_is_known_here() -> None:
    assert set(FIELDS) == {field.name for field in fields(Reply)}


@given(st.builds(Reply, **FIELDS))
def test_any_reply_comes_back(reply: Reply) -> None:
    back = again(reply)
    assert back == reply
    assert repr(back) == repr(reply)


@given(st.lists(user_turns | answers | tool_turns, max_size=4))
def test_any_turns_come_back(turns: list[Turn]) -> None:
    back = turns_again(*turns)
    assert back == tuple(turns)
    assert repr(back) == repr(tuple(turns))


def test_a_reply_that_was_built_says_nothing_twice() -> None:
    made = ToolCall("1", "a", "{}")
    reply = Reply(text="One", parts=(TextPart("One"), made), calls=(made,))
    record = encode_reply(reply)
    assert isinstance(record, dict)
    assert set(record) == {"parts"}
    back = decode_reply(record)
    assert back.calls[0] is back.parts[1]


def test_the_encodings_of_a_turn_are_not_recorded() -> None:
    turn = UserTurn("Hello")
    turn.encoded["openai"] = b"{}"
    assert encode_turns([turn]) == [{"turn": "user", "content": "Hello"}]


def test_what_is_no_data_is_refused() -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    for keep in ({"a": object()}, {"a": {1, 2}}, circle):
        with pytest.raises(Unstorable):
            encode_reply(Reply(parts=(Block(keep),)))
    with pytest.raises(Unstorable):
        encode_turns(["Hello"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "record",
    [
        7,
        {"parts": {}},
        {"parts": [{"kind": "song"}]},
        {"parts": [{"kind": "text", "text": 7}]},
        {"calls": [{"kind": "text", "text": ""}]},
        {"logprobs": [["a"]]},
        {"packed": ["class", "os.system"]},
        {"packed": ["text", "zz"]},
        {"packed": ["map", [[["list", []], 1]]]},
        {"packed": ["map", [1]]},
        {"parts": [{"kind": "block", "keep": [7]}]},
    ],
)
def test_what_is_no_record_is_refused(record: Any) -> None:
    with pytest.raises(Unreadable):
        decode_reply(record)


def test_what_a_newer_version_adds_is_passed_over() -> None:
    assert decode_reply({"text": "Hi", "mood": "good"}) == Reply(text="Hi")
