"""Replies spelled by hand, the same one in each wire format: what a model said, how it ended, as bytes of a body."""

from __future__ import annotations

import json
from typing import Any

from graphflow.model.seam import Model
from graphflow.providers import RetryPolicy, connect
from tests.providers.raw_server import RawServer, Step, head, reply
from tests.providers.reach import TARGETS

Json = dict[str, Any]
CHATS = ("openai", "groq", "mistral")
ENDS = {
    # in our word: chat completions, anthropic, gemini, ollama, responses
    "length": ("length", "max_tokens", "MAX_TOKENS", "length", ("incomplete", "max_output_tokens")),
    "content_filter": (
        "content_filter",
        "refusal",
        "SAFETY",
        "stop",
        ("incomplete", "content_filter"),
    ),
    "tool_calls": ("tool_calls", "tool_use", "STOP", "stop", ("completed", "")),
    "stop": ("stop", "end_turn", "STOP", "stop", ("completed", "")),
}


def sse(*payloads: Json | str) -> bytes:
    """Payloads as server-sent events."""
    lines = [payload if isinstance(payload, str) else json.dumps(payload) for payload in payloads]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def lines(*payloads: Json) -> bytes:
    """Payloads as lines of JSON."""
    return "".join(json.dumps(payload) + "\n" for payload in payloads).encode()


def streamed(provider: str, *payloads: Json) -> list[Step]:
    """A stream of exactly these payloads."""
    if provider == "ollama":
        return [head(type="application/x-ndjson") + lines(*payloads)]
    done = ("[DONE]",) if provider in CHATS or TARGETS[provider][0] == "openai-chat" else ()
    return [head() + sse(*payloads, *done)]


def whole(payload: Any) -> list[Step]:
    """A reply that is not streamed."""
    return reply(json.dumps(payload).encode())


def asked_at(provider: str, raw: RawServer, **options: Any) -> Model:
    """The model of a provider, at this server."""
    _, name, path = TARGETS[provider]
    options.setdefault("retry", RetryPolicy(attempts=3, wait_s=0.001))
    return connect(
        f"{provider}:{options.pop('named', name)}",
        key="sk-test-1234",
        base_url=raw.url + path,
        **options,
    )


def says(provider: str, text: str) -> list[Step]:
    """A stream that says a text and stops."""
    return streamed(provider, *_said(provider, text))


def _said(provider: str, text: str) -> list[Json]:
    match TARGETS[provider][0]:
        case "anthropic":
            return [
                *_message_start(),
                {
                    "type": "content_block_start",
                    "index": 0,
                    "content_block": {"type": "text", "text": text},
                },
                {"type": "content_block_stop", "index": 0},
                *_message_end("end_turn"),
            ]
        case "gemini":
            return [
                {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}
            ]
        case "ollama":
            return [{"message": {"content": text}, "done": True, "done_reason": "stop"}]
        case "openai-responses":
            item = {
                "type": "message",
                "id": "msg_1",
                "content": [{"type": "output_text", "text": text}],
            }
            return [
                {
                    "type": "response.completed",
                    "response": {"status": "completed", "output": [item]},
                }
            ]
        case _:
            return [{"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}]


def _message_start() -> list[Json]:
    return [
        {
            "type": "message_start",
            "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 1}},
        }
    ]


def _message_end(reason: str) -> list[Json]:
    return [
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


def calls(
    provider: str, made: list[tuple[str, str]], finish: str, *, stream: bool = True
) -> list[Step]:
    """A turn of calls, (name, arguments as far as they came) each; where arguments are objects, "" is an empty one."""
    chat, anthropic, gemini, ollama, (status, why) = ENDS[finish]
    numbered = list(enumerate(made))
    match TARGETS[provider][0]:
        case "anthropic":
            return _anthropic(numbered, anthropic, stream)
        case "gemini":
            parts = [{"functionCall": {"name": name, "args": _object(text)}} for name, text in made]
            answer = {"candidates": [{"content": {"parts": parts}, "finishReason": gemini}]}
            return streamed(provider, answer) if stream else whole(answer)
        case "ollama":
            called = [
                {"function": {"name": name, "arguments": _object(text)}} for name, text in made
            ]
            answer = {
                "message": {"content": "", "tool_calls": called},
                "done": True,
                "done_reason": ollama,
            }
            return streamed(provider, answer) if stream else whole(answer)
        case "openai-responses":
            return _responses(numbered, status, why, stream)
        case _:
            called = [
                {
                    "index": n,
                    "id": f"call0000{n}",
                    "type": "function",
                    "function": {"name": name, "arguments": text},
                }
                for n, (name, text) in numbered
            ]
            key = "delta" if stream else "message"
            answer = {"choices": [{"index": 0, key: {"tool_calls": called}, "finish_reason": chat}]}
            return streamed(provider, answer) if stream else whole(answer)


def _object(text: str) -> Json:
    try:
        return json.loads(text)  # type: ignore[no-any-return]  # the tests give objects
    except ValueError:
        return {}


def _anthropic(
    numbered: list[tuple[int, tuple[str, str]]], reason: str, stream: bool
) -> list[Step]:
    blocks = [
        {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": {}}
        for n, (name, _) in numbered
    ]
    if not stream:
        content = [{**block, "input": _object(numbered[n][1][1])} for n, block in enumerate(blocks)]
        return whole(
            {"type": "message", "id": "m", "content": content, "stop_reason": reason, "usage": {}}
        )
    events = _message_start()
    for n, (_, text) in numbered:
        events.append({"type": "content_block_start", "index": n, "content_block": blocks[n]})
        if text:
            delta = {"type": "input_json_delta", "partial_json": text}
            events.append({"type": "content_block_delta", "index": n, "delta": delta})
        events.append({"type": "content_block_stop", "index": n})
    return streamed("anthropic", *events, *_message_end(reason))


def _responses(
    numbered: list[tuple[int, tuple[str, str]]], status: str, why: str, stream: bool
) -> list[Step]:
    items = [
        {
            "type": "function_call",
            "id": f"fc_{n}",
            "call_id": f"call_{n}",
            "name": name,
            "arguments": text,
        }
        for n, (name, text) in numbered
    ]
    response = {"id": "r", "status": status, "output": items}
    if why:
        response["incomplete_details"] = {"reason": why}
    if not stream:
        return whole(response)
    events: list[Json] = []
    for n, item in enumerate(items):
        begun = {**item, "arguments": ""}
        events.append({"type": "response.output_item.added", "output_index": n, "item": begun})
        if item["arguments"]:
            delta = {"output_index": n, "item_id": item["id"], "delta": item["arguments"]}
            events.append({"type": "response.function_call_arguments.delta", **delta})
    return streamed(
        "openai-responses", *events, {"type": f"response.{status}", "response": response}
    )
