"""Every recorded reply, however its bytes are cut, gives the expected reader."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import pytest

from graphflow.errors import ModelError
from graphflow.model.reply import Reply, ReplyBuilder
from graphflow.model.turns import Block, Thinking, ToolCall
from graphflow.providers.reply_reader import ReplyReader
from tests.conformance.corpus import Exchange, exchanges, require_corpus
from tests.conformance.dialects import WIRES

ALL = exchanges()


def test_the_corpus_is_there() -> None:
    require_corpus()
    assert len(ALL) >= 117


def read(exchange: Exchange, pieces: list[bytes]) -> tuple[Reply, ModelError | None]:
    wire, dialect = WIRES[exchange.provider]
    response = exchange.response
    headers = {name.lower(): value for name, value in (response.get("headers") or {}).items()}
    reader = ReplyReader(wire, dialect, exchange.provider, response["status"], headers)
    builder = ReplyBuilder()
    error: ModelError | None = None
    try:
        for piece in pieces:
            for event in reader.feed(piece):
                builder.add(event)
        for event in reader.end():
            builder.add(event)
    except ModelError as failure:
        error = failure
    return builder.whole(), error


def cuts(body: bytes) -> list[list[bytes]]:
    dice = random.Random(len(body))
    ways = [[body]]
    if len(body) < 60_000:
        ways.append([body[i : i + 1] for i in range(len(body))])
    for most in (3, 17, 400, 5000):
        pieces, at = [], 0
        while at < len(body):
            size = dice.randint(1, most)
            pieces.append(body[at : at + size])
            at += size
        ways.append(pieces)
    return ways


def reading_of(reply: Reply, error: ModelError | None) -> dict[str, Any]:
    calls = []
    for call in reply.calls:
        try:
            arguments = json.loads(call.arguments or "{}") or {}
            raw = {}
        except ValueError:
            arguments, raw = None, {"arguments_raw": call.arguments}
        id = None if call.keep.get("made_id") else call.id
        calls.append({"id": id, "name": call.name, "arguments": arguments, **raw})
    finish: str | None = reply.finish if reply.finish_raw else None
    if error is not None:
        finish = "error" if error.status == 200 else None
    return {
        "text": reply.text,
        "thinking": reply.thinking or None,
        "refusal": reply.refusal or None,
        "tool_calls": calls,
        "hosted_tools": [
            part.name for part in reply.parts if isinstance(part, Block) and part.name
        ],
        "finish_reason": finish,
        "usage": {
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "cache_read_tokens": reply.cache_read_tokens,
            "cache_write_tokens": reply.cache_write_tokens,
            "reasoning_tokens": reply.reasoning_tokens,
        },
        "signatures": signatures(reply),
        "error": None
        if error is None
        else {
            "kind": "permission"
            if "permission" in (error.provider_code + error.type).lower()
            else error.kind,
            "status": error.status,
            "type": error.type,
            "code": error.provider_code,
            "message": error.provider_message,
            "retry_after": error.retry_after,
        },
        "model": reply.model or None,
        "response_id": reply.response_id or None,
    }


def signatures(reply: Reply) -> list[str]:
    blobs = []
    for part in reply.parts:
        keep = part.keep["item"] if isinstance(part, Block) else part.keep
        for key in ("signature", "thoughtSignature", "encrypted_content", "data"):
            if (
                keep.get(key)
                and isinstance(keep[key], str)
                and (key != "data" or isinstance(part, Thinking))
            ):
                blobs.append(hashlib.sha256(keep[key].encode()).hexdigest()[:16])
    return blobs


def expected(exchange: Exchange) -> dict[str, Any]:
    result = dict(exchange.expected_result)
    result.pop("finish_reason_raw")
    usage = result["usage"] or {}
    result["usage"] = {
        name: usage.get(name)
        if name not in ("input_tokens", "output_tokens")
        else usage.get(name) or 0
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
        )
    }
    if result["error"]:
        error = {k: v for k, v in result["error"].items() if k != "mid_stream"}
        error["type"], error["code"] = (
            error["type"] or "",
            "" if error["code"] is None else str(error["code"]),
        )
        result["error"] = error
    return result


@pytest.mark.parametrize("exchange", ALL, ids=lambda e: f"{e.provider}/{e.name[:40]}[{e.position}]")
def test_reply(exchange: Exchange) -> None:
    want = expected(exchange)
    for pieces in cuts(exchange.response["body_text"].encode()):
        got = reading_of(*read(exchange, pieces))
        assert got == want
    raw = exchange.expected_result["finish_reason_raw"]
    reply, error = read(exchange, [exchange.response["body_text"].encode()])
    if error is None and raw is not None:
        assert reply.finish_raw == raw


def test_calls_are_one_turn() -> None:
    for exchange in ALL:
        if "parallel-tools" in exchange.features:
            reply, _ = read(exchange, [exchange.response["body_text"].encode()])
            if len(reply.calls) > 1:
                assert len({call.id for call in reply.calls}) == len(reply.calls)
                assert all(isinstance(call, ToolCall) for call in reply.turn.calls)
