"""What servers that speak a vendor's format do their own way: pieces of calls, signs of life, counts at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, tool
from graphflow.model.reply import Reply, ReplyBuilder
from graphflow.providers.reply_reader import ReplyReader
from graphflow.providers.wires.call_pieces import CallPieces
from tests.conformance.dialects import WIRES
from tests.conftest import walk
from tests.providers.raw_server import RawServer, head
from tests.providers.spelled import Json, asked_at, lines, says, sse, streamed

Piece = tuple[int | None, str, str, str]
"""The number, id, name and arguments of a piece of a call."""
added: list[tuple[int, int]] = []


@tool
async def add(a: int = 0, b: int = 0) -> int:
    """Add two numbers."""
    added.append((a, b))
    return a + b


def chunk(*pieces: Piece) -> Json:
    calls = []
    for number, id, name, arguments in pieces:
        call: Json = {"type": "function", "function": {"arguments": arguments}}
        call |= {"index": number} if number is not None else {}
        call |= {"id": id} if id else {}
        call["function"] |= {"name": name} if name else {}
        calls.append(call)
    return {"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}


FIRST, SECOND = '{"a":1,"b":2}', '{"a":3,"b":4}'
TURNS: dict[str, list[list[Piece]]] = {
    "pieces of two calls in turn": [
        [(0, "A", "add", ""), (1, "B", "add", "")],
        [(0, "", "", '{"a":1,')],
        [(1, "", "", '{"a":3,')],
        [(0, "", "", '"b":2}')],
        [(1, "", "", '"b":4}')],
    ],
    "without numbers, by id": [
        [(None, "A", "add", "")],
        [(None, "B", "add", "")],
        [(None, "A", "", FIRST)],
        [(None, "B", "", SECOND)],
    ],
    "without numbers, one after the other": [
        [(None, "A", "add", "")],
        [(None, "", "", FIRST)],
        [(None, "B", "add", "")],
        [(None, "", "", SECOND)],
    ],
    "all numbered 0": [
        [(0, "A", "add", ""), (0, "B", "add", "")],
        [(0, "A", "", FIRST)],
        [(0, "B", "", SECOND)],
    ],
    "begun as 0, gone on as 1": [
        [(0, "A", "add", FIRST)],
        [(0, "B", "add", '{"a":3,')],
        [(1, "", "", '"b":4}')],
    ],
    "numbered anew in every piece": [
        [(0, "A", "add", ""), (1, "B", "add", "")],
        [(5, "A", "", FIRST)],
        [(6, "B", "", SECOND)],
    ],
    "id and name in every piece": [
        [(0, "A", "add", '{"a":1,')],
        [(0, "A", "add", '"b":2}')],
        [(1, "B", "add", '{"a":3,')],
        [(1, "B", "add", '"b":4}'), (1, "B", "add", "")],
    ],
    "an id made up for every piece": [
        [(0, "A", "add", '{"a":1,')],
        [(0, "A2", "", '"b":2}')],
        [(1, "B", "add", '{"a":3,')],
        [(1, "B2", "", '"b":4}')],
    ],
    "names that come late": [
        [(0, "A", "", ""), (1, "B", "", '{"a":3,')],
        [(0, "", "add", FIRST), (1, "", "add", '"b":4}')],
    ],
    "whole calls without ids": [[(None, "", "add", FIRST)], [(None, "", "add", SECOND)]],
    "whole calls without ids, all numbered 0": [[(0, "", "add", FIRST)], [(0, "", "add", SECOND)]],
    "whole calls without ids, in one piece": [[(0, "", "add", FIRST), (0, "", "add", SECOND)]],
    "whole calls of one id": [[(0, "A", "add", FIRST)], [(1, "A", "add", SECOND)]],
    "whole calls told twice": [
        [(0, "A", "add", FIRST), (1, "B", "add", SECOND)],
        [(0, "A", "add", FIRST), (1, "B", "add", SECOND)],
    ],
}


@pytest.mark.parametrize("turn", TURNS)
def test_two_calls_are_two_calls_however_their_pieces_come(turn: str) -> None:
    added.clear()
    told = [
        *(chunk(*pieces) for pieces in TURNS[turn]),
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    ]
    with RawServer(streamed("openai", *told), says("openai", "done")) as raw:
        run = walk(
            Graph("g", START >> Agent("a", tools=[add]) >> END), "x", model=asked_at("openai", raw)
        )
        sent = json.loads(raw.requests[1].partition(b"\r\n\r\n")[2])["messages"]
    assert run.output == "done"
    assert sorted(added) == [(1, 2), (3, 4)]
    ids = [call["id"] for message in sent for call in message.get("tool_calls") or ()]
    assert len(set(ids)) == 2
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == ids
    assert {call["function"]["name"] for m in sent for call in m.get("tool_calls") or ()} == {"add"}


def read(pieces: Iterable[Piece]) -> list[tuple[str, str]]:
    calls, builder = CallPieces(), ReplyBuilder()
    for number, id, name, arguments in pieces:
        for event in calls.take(number or 0, id, name, arguments):
            builder.add(event)
    return sorted((call.name, call.arguments) for call in builder.whole().calls)


def test_pieces_of_three_numbered_calls_may_interleave_in_any_way() -> None:
    whole = {0: '{"a":[1,"}"]}', 1: "{}", 2: '{"s":"{\\"x\\":1}"}'}
    for order in set(permutations([0, 0, 1, 1, 2, 2])):
        seen: dict[int, int] = {}
        pieces: list[Piece] = []
        for number in order:
            seen[number] = seen.get(number, 0) + 1
            half = len(whole[number]) // 2
            if seen[number] == 1:
                pieces.append((number, f"id{number}", f"f{number}", whole[number][:half]))
            else:
                pieces.append((number, "", "", whole[number][half:]))
        assert read(pieces) == sorted((f"f{n}", text) for n, text in whole.items()), order


# -- signs of life and counts ----------------------------------------------------------------------
def heard(dialect: str, body: bytes) -> Reply:
    reader, builder = ReplyReader(*WIRES[dialect], dialect), ReplyBuilder()
    for event in [*reader.feed(body), *reader.end()]:
        builder.add(event)
    assert reader.failure is None, reader.failure
    return builder.whole()


@pytest.mark.parametrize("sign", ["ping", "[PING]", '"ping"', "keep-alive", "[]"])
def test_a_sign_of_life_is_no_event(sign: str) -> None:
    words: Sequence[Any] = ({"choices": [{"delta": {"content": "Hello"}}]}, sign)
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    with RawServer([head() + sse(sign, *words, sign, end, "[DONE]")]) as raw:
        run = walk(
            Graph("g", START >> Agent("a") >> END), "x", model=asked_at("openai", raw, retry=1)
        )
    assert run.output == "Hello"


def test_a_count_of_nothing_at_the_end_takes_none_away() -> None:
    said = {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}
    counted, none = (
        {"choices": [], "usage": {"prompt_tokens": n, "completion_tokens": n}} for n in (7, 0)
    )
    assert heard("openai-chat", sse(said, counted, none, "[DONE]")).input_tokens == 7
    groq = {"choices": [], "x_groq": {"usage": {"prompt_tokens": 7}}}
    assert heard("groq", sse(said, groq, none, "[DONE]")).input_tokens == 7
    assert heard("openai-chat", sse(said, none, "[DONE]")).input_tokens == 0
    part = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]}
    usages = ({"promptTokenCount": n, "candidatesTokenCount": n} for n in (7, 0))
    chunks = ({**part, "usageMetadata": usage} for usage in usages)
    assert heard("gemini", sse(*chunks)).output_tokens == 7
    events = (
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": 0, "output_tokens": 5},
        },
        {"type": "message_stop"},
    )
    reply = heard("anthropic", sse(*events))
    assert (reply.input_tokens, reply.output_tokens) == (7, 5)
    ollama = {"message": {"content": "x"}, "done": True, "done_reason": "stop", "eval_count": 3}
    assert heard("ollama", lines(ollama)).output_tokens == 3


def test_thinking_of_mistrals_models_may_be_a_text() -> None:
    for thinking in ("Hm.", [{"type": "text", "text": "Hm."}], ["Hm."]):
        content = [{"type": "thinking", "thinking": thinking}, {"type": "text", "text": "Yes."}]
        reply = heard(
            "mistral",
            sse({"choices": [{"delta": {"content": content}, "finish_reason": "stop"}]}, "[DONE]"),
        )
        assert (reply.thinking, reply.text) == ("Hm.", "Yes.")
