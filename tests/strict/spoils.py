"""What is refused, by dialect: the rule, the status, and how to spoil a good request for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.strict.base import signature
from tests.strict.good import CITY, PLAIN
from tests.strict.responses_check import seal
from tests.strict.script import Json

Spoil = Callable[[Json], Any]
Row = tuple[str, int, Spoil]
"""Rule, status, what to do to the body."""

LONG = "x" * 65
DEEP = {
    "type": "object",
    "properties": {"a": PLAIN},
    "required": ["a"],
    "additionalProperties": False,
}


def put(*path: Any) -> Spoil:
    """Sets what the last element says at the path before it."""
    *steps, last, value = path

    def spoil(body: Json) -> None:
        at: Any = body
        for step in steps:
            at = at[step]
        at[last] = value

    return spoil


def drop(*path: Any) -> Spoil:
    *steps, last = path

    def spoil(body: Json) -> None:
        at: Any = body
        for step in steps:
            at = at[step]
        del at[last]

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(body: Json) -> None:
        for one in spoils:
            one(body)

    return spoil


def insert(field: str, at: int, value: Any) -> Spoil:
    return lambda body: body[field].insert(at, value)


def add(field: str, value: Any) -> Spoil:
    return lambda body: body[field].append(value)


def twice(body: Json) -> None:
    """The second tool takes the name of the first."""
    tools = body["tools"]
    if "functionDeclarations" in tools[0]:
        tools = tools[0]["functionDeclarations"]
    for one in (tools[1], tools[1].get("function", {})):
        if "name" in one:
            one["name"] = "weather"


M = "messages"
CALL = (M, 2, "tool_calls", 0)
USER: Json = {"role": "user", "content": "And?"}
LOOSE: Json = {"role": "tool", "tool_call_id": "call_9", "content": "x"}


def chat(missing: int = 400) -> list[Row]:
    """What all chat-completions dialects refuse."""
    return [
        ("unknown-parameter", 400, put("foo", 1)),
        ("unknown-model", missing, put("model", "gpt-nope")),
        ("role", 400, put(M, 0, "role", "wizard")),
        ("unknown-message-key", 400, put(M, 1, "mood", "good")),
        ("unknown-message-key", 400, put(*CALL, "extra", 1)),
        ("orphan-result", 400, insert(M, 2, LOOSE)),
        ("orphan-result", 400, put(M, 3, "tool_call_id", "abcDEF999")),
        (
            "orphan-result",
            400,
            insert(M, 4, {"role": "tool", "tool_call_id": "call_1", "content": "x"}),
        ),
        ("missing-result", 400, drop(M, 4)),
        ("missing-result", 400, insert(M, 3, USER)),
        ("missing-call-id", 400, drop(M, 3, "tool_call_id")),
        ("empty-message", 400, put(M, 1, "content", None)),
        ("empty-message", 400, insert(M, 2, {"role": "assistant", "content": None})),
        ("arguments", 400, put(*CALL, "function", "arguments", "[1]")),
        ("arguments", 400, put(*CALL, "function", "arguments", '{"city": "Ro')),
        ("arguments-type", 400, put(*CALL, "function", "arguments", {"city": "Rome"})),
        ("tool-name", 400, put(*CALL, "function", "name", "a.b")),
        ("tool-name", 400, put("tools", 0, "function", "name", LONG)),
        ("tool-name", 400, put("tools", 0, "function", "name", "what is it")),
        ("duplicate-tool", 400, twice),
        ("unknown-tool-key", 400, put("tools", 0, "function", "input_schema", {})),
        ("content-part", 400, put(M, 1, "content", [{"type": "input_text", "text": "x"}])),
        ("content-part", 400, put(M, 1, "content", [{"type": "text"}])),
        ("content-type-of", 400, put(M, 1, "content", {"text": "x"})),
        ("empty-message", 400, put(M, 1, "content", [])),
        ("message-type", 400, put(M, 1, "Hello")),
        ("calls-type", 400, put(M, 2, "tool_calls", {"id": "x"})),
        ("calls-type", 400, put(M, 2, "tool_calls", ["x"])),
        ("call-kind", 400, put(*CALL, "type", "tool")),
        ("tool-type", 400, put("tools", 0, {"name": "weather", "parameters": {}})),
        ("tool-type", 400, put("tools", 0, "type", "tool")),
        ("unknown-tool-key", 400, put("tools", 0, "strict", True)),
        ("key-in-body", 400, put(M, 1, "content", "my key is sk-test")),
        ("range", 400, put("temperature", 3)),
        ("range", 400, put("temperature", "0.5")),
        ("range", 400, put("top_p", 1.5)),
        ("range", 400, put("max_tokens", -1)),
        ("range", 400, put("max_tokens", 1.5)),
        (
            "tool-choice",
            400,
            put("tool_choice", {"type": "function", "function": {"name": "other"}}),
        ),
    ]


PARAMETERS = ("tools", 0, "function", "parameters")
DECLARED = ("tools", 0, "functionDeclarations", 0, "parameters")


def strict(spoil: Spoil) -> Spoil:
    return both(put("tools", 0, "function", "strict", True), spoil)


def config(**fields: Any) -> Spoil:
    """Gemini's generation config, in a request without tools."""
    return both(drop("tools"), put("generationConfig", fields))


def openai_like() -> list[Row]:
    return [
        *chat(404),
        ("empty-calls", 400, insert(M, 2, {"role": "assistant", "content": "x", "tool_calls": []})),
        ("strict-schema", 400, strict(drop(*PARAMETERS, "additionalProperties"))),
        ("strict-schema", 400, strict(put(*PARAMETERS, "required", []))),
        ("strict-schema", 400, strict(put(*PARAMETERS, DEEP))),
        ("tool-schema", 400, put("tools", 0, "function", "parameters", {"type": "string"})),
        ("stream-options", 400, put("stream_options", {"include_usage": True})),
        ("range", 400, put("stop", list("abcde"))),
        ("choice-without-tools", 400, both(drop("tools"), put("tool_choice", "required"))),
    ]  # fmt: skip


def _format(schema: Json, *, strict: bool = True) -> Json:
    return {
        "type": "json_schema",
        "json_schema": {"name": "out", "schema": schema, "strict": strict},
    }


THOUGHT = {"type": "thinking", "thinking": "x", "signature": signature("x")}
SHAPES = {
    "unknown-parameter", "role", "unknown-message-key", "unknown-tool-key", "content-part", "range", "arguments-type",
    "missing-call-id", "content-type-of", "message-type", "calls-type", "call-kind", "tool-type",
}  # fmt: skip
"""What Mistral answers with 422."""

TABLE: dict[str, list[Row]] = {
    "openai-chat": [
        *openai_like(),
        ("unknown-parameter", 400, put("functions", [])),
        ("messages", 400, put(M, [])),
        ("empty-tools", 400, put("tools", [])),
        ("strict-schema", 400, put("response_format", _format(PLAIN))),
        ("response-format", 400, put("response_format", {"type": "json"})),
        ("json-word", 400, put("response_format", {"type": "json_object"})),
        ("tool-choice", 400, put("tool_choice", "any")),
        ("model", 400, drop("model")),
        ("messages", 400, drop(M)),
        ("type", 400, put("stream", "yes")),
        ("type", 400, put("stop", [1])),
        ("type", 400, put("seed", "1")),
        ("unknown-parameter", 400, both(put("stream", True), put("stream_options", {"usage": True}))),
        ("response-format", 400, put("response_format", {"type": "json_schema", "schema": CITY})),
        ("response-format", 400, put("response_format", {"type": "json_schema", "json_schema": {"name": "a b", "schema": CITY}})),
        ("unknown-parameter", 400, put("response_format", {"type": "json_schema", "json_schema": {"name": "a", "type": "object"}})),
        ("reasoning-max-tokens", 400, put("model", "o3-mini")),
        ("reasoning-max-tokens", 400, put("model", "gpt-5-mini")),
        ("reasoning-stop", 400, both(put("model", "o1"), drop("max_tokens"), drop("temperature"))),
        ("reasoning-temperature", 400, both(put("model", "gpt-5"), drop("max_tokens"), drop("stop"))),
        ("reasoning-temperature", 400, both(put("model", "o4-mini"), drop("max_tokens"), drop("stop"))),
        ("reasoning-effort", 400, put("reasoning_effort", "low")),
        ("max-tokens-twice", 400, put("max_completion_tokens", 5)),
    ],
    "groq": [
        *openai_like(),
        ("unknown-parameter", 400, put("logprobs", True)),
        ("tool-choice", 400, put("tool_choice", "any")),
        ("unknown-message-key", 400, put(M, 1, "name", "Ann")),
        ("schema-with-tools", 400, put("response_format", _format(CITY))),
        ("reasoning-format", 400, put("reasoning_format", "raw")),
        ("reasoning-format", 400, both(put("reasoning_format", "parsed"), put("include_reasoning", True))),
        ("reasoning-format", 400, put("reasoning_format", "long")),
        ("model", 400, put("model", "")),
        ("messages", 400, put(M, [])),
        ("tool-type", 400, put("tools", {})),
        ("json-word", 400, both(drop("tools"), put("response_format", {"type": "json_object"}))),
        ("response-format", 400, both(drop("tools"), put("response_format", {"type": "json_schema"}))),
        ("strict-schema", 400, both(drop("tools"), put("response_format", _format(PLAIN)))),
        ("range", 400, put("n", 2)),
    ],
    "mistral": [
        *[(rule, 422 if rule in SHAPES else status, spoil) for rule, status, spoil in chat()],
        ("user-after-tool", 400, add(M, USER)),
        ("last-role", 400, add(M, {"role": "assistant", "content": "Fine."})),
        ("empty-message", 400, insert(M, 2, {"role": "assistant", "content": ""})),
        ("call-id", 400, put(*CALL, "id", "call_1")),
        ("call-id", 400, put(*CALL, "id", "abcDEF1234")),
        ("unknown-parameter", 422, put("seed", 1)),
        ("unknown-parameter", 422, put("stream_options", {})),
        ("tool-choice", 422, put("tool_choice", "function")),
        ("tool-schema", 422, drop("tools", 0, "function", "parameters")),
        ("greedy", 400, both(put("temperature", 0), put("top_p", 0.5))),
        ("model", 422, drop("model")),
        ("messages", 422, put(M, [])),
        ("type", 422, put("stream", "yes")),
        ("choice-without-tools", 400, both(drop("tools"), put("tool_choice", "any"))),
        ("response-format", 422, put("response_format", {"type": "schema"})),
        ("response-format", 422, put("response_format", {"type": "json_schema", "json_schema": {"name": "x"}})),
        ("thinking-order", 400, put(M, 2, "content", [{"type": "text", "text": "x"}, {"type": "thinking", "thinking": []}])),
    ],
    "openai-responses": [
        ("unknown-parameter", 400, put("foo", 1)),
        ("unknown-parameter", 400, put("max_tokens", 100)),
        ("unknown-parameter", 400, put("seed", 1)),
        ("unknown-parameter", 400, put("stop", ["x"])),
        ("unknown-model", 400, put("model", "gpt-nope")),
        ("messages", 400, drop("input")),
        ("role", 400, put("input", 0, "role", "tool")),
        ("content-part", 400, put("input", 0, "content", [{"type": "text", "text": "x"}])),
        ("content-part", 400, insert("input", 0, {"type": "tool_result", "x": 1})),
        ("unknown-message-key", 400, put("input", 1, "index", 0)),
        ("empty-message", 400, put("input", 0, "content", None)),
        ("orphan-result", 400, put("input", 3, "call_id", "call_9")),
        ("missing-result", 400, drop("input", 4)),
        ("missing-result", 400, insert("input", 3, USER)),
        ("call-id", 400, put("input", 2, "call_id", "call_0")),
        ("item-id", 400, put("input", 1, "id", "call_0")),
        ("arguments", 400, put("input", 1, "arguments", "null")),
        ("arguments-type", 400, put("input", 1, "arguments", {})),
        ("reasoning-item", 404, insert("input", 1, {"type": "reasoning", "id": "rs_1", "summary": []})),
        ("reasoning-seal", 400, insert("input", 1, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"})),
        ("tool-type", 400, put("tools", 0, {"type": "function", "function": {"name": "x"}})),
        ("tool-name", 400, put("tools", 0, "name", "a b")),
        ("duplicate-tool", 400, twice),
        ("unknown-tool-key", 400, put("tools", 0, "input_schema", {})),
        ("strict-schema", 400, put("tools", 0, "parameters", PLAIN)),
        ("strict-schema", 400, put("text", {"format": {"type": "json_schema", "name": "x", "schema": PLAIN, "strict": True}})),
        ("response-format", 400, put("text", {"format": {"type": "json_schema", "json_schema": {}}})),
        ("range", 400, put("temperature", 2.5)),
        ("range", 400, put("max_output_tokens", 10)),
        ("reasoning-temperature", 400, put("model", "gpt-5-mini")),
        ("reasoning-effort", 400, put("reasoning", {"effort": "low"})),
        ("include", 400, put("include", ["reasoning.encrypted_content"])),
        ("include", 400, put("include", ["everything"])),
        ("model", 400, drop("model")),
        ("messages", 400, put("input", {"role": "user"})),
        ("message-type", 400, put("input", 0, "Hello")),
        ("type", 400, put("instructions", ["x"])),
        ("type", 400, put("store", "no")),
        ("unknown-parameter", 400, both(put("stream", True), put("stream_options", {"include_usage": True}))),
        ("unknown-parameter", 400, put("reasoning", {"budget": 5})),
        ("unknown-parameter", 400, put("text", {"schema": {}})),
        ("unknown-parameter", 400, put("text", {"format": {"type": "json_schema", "name": "x", "schema": {}, "json": 1}})),
        ("response-format", 400, put("text", {"format": {"type": "json_schema", "name": "a b", "schema": {}}})),
        ("response-format", 400, put("text", {"format": {"type": "schema"}})),
        ("tool-type", 400, put("tools", 0, "type", "tool")),
        ("tool-type", 400, drop("tools", 0, "name")),
        ("tool-schema", 400, put("tools", 0, "parameters", {"properties": {}})),
        ("tool-choice", 400, put("tool_choice", {"type": "function", "name": "other"})),
        ("choice-without-tools", 400, both(drop("tools"), put("tool_choice", "required"))),
        ("tool-name", 400, put("input", 1, "name", "a b")),
        ("missing-call-id", 400, drop("input", 3, "call_id")),
        ("content-type-of", 400, put("input", 3, "output", {"ok": True})),
        ("reasoning-item", 400, insert("input", 1, {"type": "reasoning", "summary": []})),
        ("reasoning-alone", 400, add("input", {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal("rs_1")})),
        ("reasoning-alone", 400, insert("input", 0, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal("rs_1")})),
        ("previous-response", 400, put("previous_response_id", "resp_1")),
        ("stream-options", 400, put("stream_options", {})),
        ("tool-choice", 400, put("tool_choice", "any")),
    ],
    "anthropic": [
        ("unknown-parameter", 400, put("foo", 1)),
        ("unknown-parameter", 400, put("stop", ["x"])),
        ("unknown-parameter", 400, put("seed", 1)),
        ("unknown-parameter", 400, put("context_management", {})),
        ("unknown-model", 404, put("model", "claude-nope")),
        ("max-tokens", 400, drop("max_tokens")),
        ("messages", 400, put(M, [])),
        ("system-role", 400, insert(M, 0, {"role": "system", "content": "x"})),
        ("role", 400, put(M, 0, "role", "tool")),
        ("first-role", 400, insert(M, 0, {"role": "assistant", "content": "Hello"})),
        ("unknown-message-key", 400, put(M, 0, "name", "Ann")),
        ("unknown-message-key", 400, put(M, 1, "content", 1, "index", 0)),
        ("empty-message", 400, put(M, 0, "content", "")),
        ("empty-message", 400, put(M, 0, "content", [])),
        ("empty-message", 400, put(M, 1, "content", "")),
        ("empty-text", 400, put(M, 0, "content", [{"type": "text", "text": ""}])),
        ("empty-text", 400, put(M, 0, "content", " \n")),
        ("empty-text", 400, put(M, 1, "content", 0, "text", "")),
        ("empty-text", 400, put("system", [{"type": "text", "text": ""}])),
        ("content-part", 400, put(M, 0, "content", [{"type": "input_text", "text": "x"}])),
        ("block-role", 400, put(M, 0, "content", [{"type": "tool_use", "id": "t", "name": "x", "input": {}}])),
        ("orphan-result", 400, lambda body: body[M][2]["content"].append({"type": "tool_result", "tool_use_id": "toolu_9"})),
        ("orphan-result", 400, insert(M, 1, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_0"}]})),
        ("missing-result", 400, drop(M, 2, "content", 1)),
        ("missing-result", 400, drop(M, 2)),
        ("missing-result", 400, insert(M, 2, USER)),
        ("missing-result", 400, lambda body: body[M].append({"role": "user", "content": [body[M][2]["content"].pop()]})),
        ("results-first", 400, lambda body: body[M][2]["content"].insert(0, {"type": "text", "text": "x"})),
        ("duplicate-result", 400, lambda body: body[M][2]["content"].append(body[M][2]["content"][0])),
        ("call-id", 400, put(M, 1, "content", 1, "id", "a.b")),
        ("arguments-type", 400, put(M, 1, "content", 1, "input", "{}")),
        ("trailing-space", 400, add(M, {"role": "assistant", "content": "Well, "})),
        ("tool-name", 400, put("tools", 0, "name", "a.b")),
        ("duplicate-tool", 400, twice),
        ("unknown-tool-key", 400, put("tools", 0, "parameters", {})),
        ("tool-schema", 400, put("tools", 0, "input_schema", {"properties": {}})),
        ("tool-schema", 400, put("tools", 0, "input_schema", {"type": "object", "anyOf": []})),
        ("strict-schema", 400, both(put("tools", 0, "strict", True), put("tools", 0, "input_schema", PLAIN))),
        ("strict-schema", 400, put("output_config", {"format": {"type": "json_schema", "schema": PLAIN}})),
        ("choice-without-tools", 400, both(drop("tools"), put("tool_choice", {"type": "auto"}))),
        ("tool-choice", 400, put("tool_choice", {"type": "required"})),
        ("tool-choice", 400, put("tool_choice", {"type": "tool", "name": "other"})),
        ("range", 400, put("temperature", 1.5)),
        ("range", 400, put("top_p", -0.1)),
        ("stop", 400, put("stop_sequences", ["\n"])),
        ("temperature-and-top-p", 400, both(put("temperature", 0.5), put("top_p", 0.5))),
        ("sampling-model", 400, both(put("model", "claude-opus-4-7"), put("temperature", 1))),
        ("last-role", 400, both(put("model", "claude-opus-4-7"), add(M, {"role": "assistant", "content": "Well"}))),
        ("effort", 400, put("output_config", {"effort": "high"})),
        ("effort", 400, both(put("model", "claude-opus-4-6"), put("output_config", {"effort": "xhigh"}))),
        ("unknown-parameter", 400, put("output_config", {"schema": {}})),
        ("unknown-parameter", 400, put("output_config", {"format": {"type": "json_schema", "schema": CITY, "name": "x"}})),
        ("response-format", 400, put("output_config", {"format": {"type": "json_schema"}})),
        ("model", 400, put("model", "")),
        ("max-tokens", 400, put("max_tokens", "100")),
        ("max-tokens", 400, put("max_tokens", -1)),
        ("range", 400, put("temperature", "0.5")),
        ("sampling-model", 400, both(put("model", "claude-sonnet-5"), put("top_k", 5))),
        ("stop", 400, put("stop_sequences", "END")),
        ("type", 400, put("stream", "yes")),
        ("unknown-parameter", 400, put("metadata", {"run": "x"})),
        ("unknown-parameter", 400, put("thinking", {"type": "adaptive", "budget_tokens": 1024})),
        ("thinking-budget", 400, put("thinking", {"type": "enabled"})),
        ("system", 400, put("system", {"type": "text", "text": "x"})),
        ("system", 400, put("system", [{"type": "image"}])),
        ("unknown-parameter", 400, put("system", [{"type": "text", "text": "x", "role": "system"}])),
        ("tool-type", 400, put("tools", 0, "description", None)),
        ("tool-schema", 400, drop("tools", 0, "input_schema")),
        ("unknown-parameter", 400, put("tool_choice", {"type": "none", "disable_parallel_tool_use": True})),
        ("message-type", 400, put(M, 0, "Hello")),
        ("empty-message", 400, drop(M, 0, "content")),
        ("content-type-of", 400, put(M, 0, "content", {"type": "text", "text": "x"})),
        ("content-type-of", 400, put(M, 2, "content", 0, "content", {"ok": True})),
        ("content-part", 400, put(M, 0, "content", [{"type": "text"}])),
        ("content-part", 400, put(M, 2, "content", 0, "content", [{"type": "json"}])),
        ("empty-text", 400, put(M, 2, "content", 0, "content", [{"type": "text", "text": ""}])),
        ("block-role", 400, put(M, 1, "content", 0, {"type": "tool_result", "tool_use_id": "x"})),
        ("tool-name", 400, put(M, 1, "content", 1, "name", "a.b")),
        ("missing-call-id", 400, drop(M, 2, "content", 0, "tool_use_id")),
        ("type", 400, put(M, 2, "content", 0, "is_error", "no")),
        ("call-id", 400, put(M, 1, "content", 1, "id", "toolu_1")),
        ("thinking-missing", 400, add(M, {"role": "assistant", "content": [THOUGHT]})),
    ],
    "gemini": [
        ("unknown-parameter", 400, put("foo", 1)),
        ("unknown-parameter", 400, put("generationConfig", "max_tokens", 5)),
        ("messages", 400, put("contents", [])),
        ("role", 400, put("contents", 0, "role", "assistant")),
        ("empty-message", 400, put("contents", 0, "parts", [])),
        ("empty-message", 400, put("contents", 0, "parts", [{}])),
        ("unknown-message-key", 400, put("contents", 0, "parts", 0, "type", "text")),
        ("content-part", 400, put("contents", 0, "parts", 0, {"text": "x", "functionCall": {"name": "x"}})),
        ("arguments-type", 400, put("contents", 1, "parts", 0, "functionCall", "args", '{"city": "Rome"}')),
        ("result-type", 400, put("contents", 2, "parts", 0, "functionResponse", "response", "fine")),
        ("result-name", 400, put("contents", 2, "parts", 0, "functionResponse", "name", "other")),
        ("result-name", 400, drop("contents", 2, "parts", 0, "functionResponse", "name")),
        ("missing-result", 400, drop("contents", 2, "parts", 1)),
        ("missing-result", 400, drop("contents", 2)),
        ("missing-result", 400, insert("contents", 2, {"role": "user", "parts": [{"text": "x"}]})),
        ("orphan-result", 400, drop("contents", 1)),
        ("orphan-result", 400, lambda body: body["contents"][2]["parts"].append(body["contents"][2]["parts"][0])),
        ("call-order", 400, drop("contents", 0)),
        ("call-id", 400, put("contents", 2, "parts", 0, "functionResponse", "id", "x")),
        ("thought-signature", 400, put("contents", 1, "parts", 0, "thoughtSignature", "AAAA")),
        ("tool-name", 400, put("tools", 0, "functionDeclarations", 0, "name", "9lives")),
        ("tool-name", 400, put("tools", 0, "functionDeclarations", 0, "name", LONG)),
        ("duplicate-tool", 400, twice),
        ("unknown-tool-key", 400, put("tools", 0, "functionDeclarations", 0, "strict", True)),
        *[
            ("schema-keyword", 400, put(*DECLARED, {**PLAIN, key: {}}))
            for key in ("$ref", "$defs", "additionalProperties", "$schema", "oneOf", "const")
        ],
        ("schema-keyword", 400, put(*DECLARED, "properties", "city", {"type": ["string", "null"]})),
        ("schema", 400, put(*DECLARED, "properties", "city", {"type": "array"})),
        ("schema", 400, put(*DECLARED, "required", ["town"])),
        ("tool-schema", 400, put("tools", 0, "functionDeclarations", 0, "parametersJsonSchema", CITY)),
        ("schema-keyword", 400, config(responseMimeType="application/json", responseSchema=CITY)),
        ("response-format", 400, config(responseSchema=PLAIN)),
        ("schema-with-tools", 400, put("generationConfig", {"responseMimeType": "application/json"})),
        ("range", 400, put("generationConfig", "temperature", 2.5)),
        ("range", 400, put("generationConfig", "topP", 1.1)),
        ("range", 400, put("generationConfig", "stopSequences", list("abcdef"))),
        ("thinking-model", 400, put("generationConfig", "thinkingConfig", {"thinkingLevel": "LOW"})),
        ("thinking-budget", 400, put("generationConfig", "thinkingConfig", {"thinkingLevel": "LOW", "thinkingBudget": 5})),
        ("tool-choice", 400, put("toolConfig", {"functionCallingConfig": {"mode": "REQUIRED"}})),
        ("type", 400, put("contents", 0, "Hello")),
        ("type", 400, put("generationConfig", "max_output_tokens", 5)),
        ("range", 400, put("generationConfig", "maxOutputTokens", 0)),
        ("range", 400, put("generationConfig", "seed", 2**31)),
        ("response-format", 400, config(responseMimeType="application/xml")),
        ("response-format", 400, config(responseMimeType="application/json", responseSchema=PLAIN, responseJsonSchema=CITY)),
        ("thinking-budget", 400, config(thinkingConfig={"thinkingBudget": 5, "thinking_level": "LOW"})),
        ("tool-schema", 400, put(*DECLARED, {"type": "STRING"})),
        ("tool-schema", 400, put("tools", 0, "functionDeclarations", 1, "parametersJsonSchema", True)),
        ("tool-choice", 400, put("toolConfig", {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["time"]}})),
        ("tool-choice", 400, put("toolConfig", {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["other"]}})),
        ("content-part", 400, put("contents", 0, "parts", 0, "text", 5)),
        ("tool-name", 400, put("contents", 1, "parts", 0, "functionCall", "name", "")),
        ("block-role", 400, put("contents", 1, "role", "user")),
        ("block-role", 400, put("contents", 2, "role", "model")),
        ("key-in-body", 400, put("contents", 0, "parts", 0, "text", "my key is sk-test")),
        ("choice-without-tools", 400, both(drop("tools"), put("toolConfig", {"functionCallingConfig": {"mode": "ANY"}}))),
    ],
    "ollama": [
        ("unknown-parameter", 400, put("foo", 1)),
        ("unknown-parameter", 400, put("tool_choice", "auto")),
        ("unknown-parameter", 400, put("temperature", 0)),
        ("unknown-option", 400, put("options", "max_tokens", 5)),
        ("unknown-model", 404, put("model", "nope:latest")),
        ("role", 400, put(M, 0, "role", "developer")),
        ("messages", 400, put(M, [])),
        ("unknown-message-key", 400, put(M, 0, "name", "Ann")),
        ("unknown-message-key", 400, put(M, 2, "tool_calls", 0, "index", 0)),
        ("type", 400, put(M, 1, "content", [{"type": "text", "text": "x"}])),
        ("type", 400, put("stream", "yes")),
        ("arguments-type", 400, put(M, 2, "tool_calls", 0, "function", "arguments", "{}")),
        ("orphan-result", 400, put(M, 3, "tool_name", "other")),
        ("orphan-result", 400, insert(M, 2, {"role": "tool", "tool_name": "weather", "content": "x"})),
        ("missing-result", 400, drop(M, 4)),
        ("missing-result", 400, insert(M, 3, USER)),
        ("missing-call-id", 400, drop(M, 3, "tool_name")),
        ("empty-message", 400, insert(M, 2, {"role": "assistant", "content": ""})),
        ("empty-message", 400, put(M, 1, "content", None)),
        ("tool-name", 400, put("tools", 0, "function", "name", "a b")),
        ("duplicate-tool", 400, twice),
        ("unknown-tool-key", 400, put("tools", 0, "function", "strict", True)),
        ("tool-schema", 400, drop("tools", 0, "function", "parameters")),
        ("range", 400, put("options", "top_p", 2)),
        ("range", 400, put("options", "temperature", -1)),
        ("range", 400, put("options", "num_predict", "5")),
        ("model", 400, drop("model")),
        ("range", 400, put("options", "stop", "END")),
        ("type", 400, put("tools", 0, "type", "tool")),
        ("type", 400, put(M, 0, "Hello")),
        ("type", 400, put(M, 2, "tool_calls", 0, {"name": "weather"})),
        ("type", 400, put(M, 3, "content", None)),
        ("format", 400, put("format", "xml")),
        ("think", 400, put("think", "deeply")),
    ],
}  # fmt: skip
