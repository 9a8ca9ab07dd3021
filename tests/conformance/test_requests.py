"""Every recorded request is one that our renderer can produce: same meaning, read back in neutral words."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from graphflow.messages.media import Media
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import (
    CACHE,
    AssistantTurn,
    Part,
    TextPart,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
)
from graphflow.providers.wires.wire import render_request
from tests.conformance.corpus import Exchange, exchanges
from tests.conformance.dialects import WIRES
from tests.conformance.neutral import read_request

ALL = [exchange for exchange in exchanges() if exchange.expected_input is not None]
DEFAULTS = {"openai-responses": {"store": None, "include": None}}
"""What we say of our own accord and a recording may not."""


def media_of(part: dict[str, Any]) -> Media:
    source = {name: part[name] for name in ("url", "file_id") if part.get(name)}
    if "data" in part:
        text = part["data"].replace("-", "+").replace("_", "/")
        source["data"] = b64decode(text + "=" * (-len(text) % 4))
    return Media(
        kind="video" if str(part.get("media_type")).startswith("video/") else part["type"],
        mime=part.get("media_type") or "",
        detail=part.get("detail") or "",
        name=part.get("filename") or part.get("title") or "",
        **source,
    )


def user_parts(content: list[dict[str, Any]]) -> tuple[Any, ...]:
    parts: list[Any] = []
    for part in content:
        parts.append(part["text"] if part["type"] == "text" else media_of(part))
        if part.get("cache_control"):
            parts.append(CACHE)
    return tuple(parts)


def assistant_parts(content: list[dict[str, Any]], provider: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for part in content:
        keep: dict[str, Any] = {}
        if part.get("signature"):
            keep["encrypted_content" if provider == "openai-responses" else "signature"] = part[
                "signature"
            ]
        if part.get("id") and part["type"] == "thinking":
            keep["id"] = part["id"]
        if part.get("redacted"):
            keep = {"data": part["signature"]}
        match part["type"]:
            case "text":
                parts.append(TextPart(part["text"], keep))
            case "thinking":
                parts.append(Thinking(part["text"] or "", keep))
            case "tool_call":
                parts.append(
                    ToolCall(part["id"] or "", part["name"], json.dumps(part["arguments"]), keep)
                )
            case kind:
                raise AssertionError(f"no such part in the recordings: {kind}")
    return tuple(parts)


def result_of(part: dict[str, Any]) -> ToolResult:
    if "value" in part:
        content: Any = json.dumps(part["value"])
    else:
        content = user_parts(part.get("content") or [])
        if all(isinstance(piece, str) for piece in content):
            content = "".join(content)
    return ToolResult(part["id"] or "", part["name"] or "", content, not part.get("is_error"))


def turns_of(messages: list[dict[str, Any]], provider: str) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    wire = WIRES[provider][0].name
    wire = provider if provider in ("groq", "mistral") else wire
    for message in messages:
        content = message["content"]
        if message["role"] == "user":
            plain = (
                len(content) == 1
                and content[0]["type"] == "text"
                and not content[0].get("cache_control")
            )
            turns.append(UserTurn(content[0]["text"] if plain else user_parts(content)))
        elif message["role"] == "assistant":
            parts = assistant_parts(content, provider)
            calls = tuple(part for part in parts if isinstance(part, ToolCall))
            turns.append(
                AssistantTurn(
                    "".join(p.text for p in parts if isinstance(p, TextPart)), calls, parts, wire
                )
            )
        else:
            results = tuple(result_of(part) for part in content)
            last = turns[-1]
            if isinstance(last, ToolTurn):
                turns[-1] = ToolTurn(last.results + results)
            else:
                turns.append(ToolTurn(results))
    return tuple(turns)


def thinking_of(thinking: dict[str, Any] | None) -> tuple[Any, dict[str, Any]]:
    """A provider's own words for reasoning as ours, and what ours do not cover."""
    if not thinking:
        return None, {}
    rest = dict(thinking)
    for name in ("think", "reasoning_effort"):
        if name in rest:
            return rest[name], {}
    if rest.get("type") == "enabled":
        budget = rest.pop("budget_tokens")
        del rest["type"]
        return budget, {"thinking": rest}
    if "effort" in rest:
        return rest["effort"], {"reasoning": {"summary": rest.get("summary")}}
    rest = {camel(name): value for name, value in rest.items()}
    level = rest.pop("thinkingLevel", None) or rest.pop("thinkingBudget", True)
    shown = rest.pop("includeThoughts", None)
    assert not rest
    return level, {} if shown else {
        "generationConfig": {"thinkingConfig": {"includeThoughts": None}}
    }


def camel(name: str) -> str:
    first, *more = name.split("_")
    return first + "".join(word.capitalize() for word in more)


def request_of(neutral: dict[str, Any], provider: str, body: dict[str, Any]) -> Request:
    extra = {**DEFAULTS.get(provider, {}), **neutral["extra"]}
    marks = extra.pop("system_cache_control", [None] * len(neutral["system"]))
    system: list[Any] = []
    for text, mark in zip(neutral["system"], marks, strict=True):
        system += [text, CACHE] if mark else [text]
    thinking, more = thinking_of(neutral["thinking"])
    extra |= more
    config = extra.pop("output_config", None)
    if config and "effort" in config:
        extra["output_config"] = {"effort": config["effort"]}
    if neutral["hosted_tools"]:
        extra["tools"] = [
            t for t in body["tools"] if "function" not in t and "functionDeclarations" not in t
        ]
    seed = (extra.get("options") or {}).get("seed")
    return Request(
        turns_of(neutral["messages"], provider),
        system=system[0] if len(system) == 1 else tuple(system),
        tools=tuple(
            ToolSpec(t["name"], t.get("description") or "", t["parameters"], t.get("strict"))
            for t in neutral["tools"]
        ),
        output_schema=(neutral["output_schema"] or {}).get("schema"),
        output_name=(neutral["output_schema"] or {}).get("name") or "answer",
        json_mode=neutral["json_mode"],
        max_tokens=neutral["max_output_tokens"],
        temperature=neutral["temperature"],
        top_p=neutral["top_p"],
        stop=tuple(neutral["stop"]),
        tool_choice=tool_choice(neutral["tool_choice"]),
        thinking=thinking,
        seed=seed,
        extra=extra,
    )


def tool_choice(choice: Any) -> str | None:
    return choice["name"] if isinstance(choice, dict) else choice


def plain(neutral: dict[str, Any]) -> dict[str, Any]:
    """Without what is the same said otherwise: how usage is asked for, the case of Gemini's names, an
    empty description, `strict: false`."""
    extra = {k: v for k, v in neutral["extra"].items() if k != "stream_options"}
    thinking = (
        {camel(k): v for k, v in neutral["thinking"].items()} if neutral["thinking"] else None
    )
    tools = [{k: v for k, v in tool.items() if v not in ("", False)} for tool in neutral["tools"]]
    messages = [
        {
            **m,
            "content": [
                {k: v for k, v in part.items() if (k, v) != ("is_error", False)}
                for part in m["content"]
            ],
        }
        for m in neutral["messages"]
    ]
    return {**neutral, "extra": extra, "thinking": thinking, "tools": tools, "messages": messages}


def same_bytes(expected: dict[str, Any], rich: dict[str, Any]) -> dict[str, Any]:
    """The expectation with hashes over standard base64 where the recording used the alphabet for addresses."""
    text = json.dumps(expected)
    for message in rich["messages"]:
        for part in message["content"]:
            if set(part.get("data", "")) & set("-_"):
                standard = part["data"].replace("-", "+").replace("_", "/")
                text = text.replace(
                    part["data_sha256_16"], sha256(standard.encode()).hexdigest()[:16]
                )
    return json.loads(text)  # type: ignore[no-any-return]  # what went in


@pytest.mark.parametrize("exchange", ALL, ids=lambda e: f"{e.provider}/{e.name[:40]}[{e.position}]")
def test_request(exchange: Exchange) -> None:
    assert exchange.request is not None
    assert exchange.expected_input is not None
    body, url = exchange.request["json"], exchange.request["url"]
    rich = read_request(exchange.provider, body, url, keep=True)
    wire, dialect = WIRES[exchange.provider]
    request = request_of(rich, exchange.provider, body)
    if rich["output_schema"] and not rich["output_schema"]["strict"]:
        dialect = replace(dialect, strict=False)
    rendered = render_request(wire, request, rich["model"], stream=rich["stream"], dialect=dialect)
    path = wire.path(rich["model"], rich["stream"])
    assert plain(read_request(exchange.provider, rendered, path)) == plain(
        same_bytes(exchange.expected_input, rich)
    )
