"""The oracle itself: it reads every recorded request as expected, and every other spelling of it alike."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import corpus
from tests.conformance.corpus import Exchange, exchanges, require_corpus
from tests.conformance.neutral import READERS, read_request
from tests.conformance.neutral_parts import digest

CASES = [exchange for exchange in exchanges() if exchange.expected_input is not None]
CHAT = ("openai-chat", "groq", "mistral")
PNG = base64.b64encode(b"\x89PNG picture").decode()
IMAGE = {
    "type": "image",
    "media_type": "image/png",
    "data_sha256_16": digest(PNG),
    "data_chars": len(PNG),
}
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro"


def said(provider: str, body: dict[str, Any], *, keep: bool = False) -> list[dict[str, Any]]:
    """The messages of a request, read."""
    return list(read_request(provider, body, keep=keep)["messages"])


def parts(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every part, those within results included."""
    for entry in messages:
        for part in entry["content"]:
            yield part
            yield from parts([part] if "content" in part else [])


@pytest.mark.parametrize("exchange", CASES or [None], ids=str)
def test_recorded_request(exchange: Exchange | None) -> None:
    require_corpus()
    assert exchange is not None
    assert exchange.request is not None
    read = read_request(exchange.provider, exchange.request["json"], exchange.request["url"])
    assert read == exchange.expected_input


@pytest.mark.parametrize("exchange", CASES or [None], ids=str)
def test_raw_text_stands_beside_each_hash(exchange: Exchange | None) -> None:
    require_corpus()
    assert exchange is not None
    assert exchange.request is not None
    read = read_request(
        exchange.provider, exchange.request["json"], exchange.request["url"], keep=True
    )
    for part in parts(read["messages"]):
        for raw in ("signature", "data"):
            assert (raw in part) == (f"{raw}_sha256_16" in part)
            if raw in part:
                assert digest(part.pop(raw)) == part[f"{raw}_sha256_16"]
    assert read == exchange.expected_input


def test_every_provider_is_recorded() -> None:
    require_corpus()
    assert {exchange.provider for exchange in CASES} == set(READERS)
    assert exchanges("no such provider") == []


def test_missing_recordings_skip_but_fail_on_ci(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(corpus, "WIRE", tmp_path / "wire")
    monkeypatch.delenv("GRAPHFLOW_NEEDS_WIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no recorded traffic"):
        require_corpus()
    monkeypatch.setenv("GRAPHFLOW_NEEDS_WIRE", "true")
    with pytest.raises(pytest.fail.Exception, match="no recorded traffic"):
        require_corpus()


TOOL = {"name": "f", "description": "d", "parameters": {"type": "object"}}
FUNCTION = {"type": "function", "function": TOOL}


@pytest.mark.parametrize("provider", CHAT)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]},
            {
                "messages": [
                    {"role": "developer", "content": [{"type": "text", "text": "s"}]},
                    {"role": "user", "content": [{"type": "text", "text": "u"}]},
                ]
            },
        ),
        ({"stop": "x", "max_tokens": 5}, {"stop": ["x"], "max_completion_tokens": 5, "seed": None}),
        (
            {"tools": [FUNCTION], "tool_choice": "required"},
            {"tools": [{"function": TOOL}], "tool_choice": "any"},
        ),
        (
            {"functions": [TOOL], "function_call": {"name": "f"}},
            {"tools": [FUNCTION], "tool_choice": FUNCTION},
        ),
        ({"response_format": {"type": "text"}, "stream": False}, {}),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"function": {"name": "f"}}],
                    }
                ]
            },
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": "",
                        "tool_calls": [
                            {"type": "function", "function": {"name": "f", "arguments": "null"}}
                        ],
                    }
                ]
            },
        ),
        (
            {"messages": [{"role": "tool", "tool_call_id": "1", "content": "r"}]},
            {
                "messages": [
                    {
                        "role": "tool",
                        "tool_call_id": "1",
                        "content": [{"type": "text", "text": "r"}],
                    }
                ]
            },
        ),
    ],
)
def test_spellings_of_chat(provider: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert read_request(provider, one) == read_request(provider, other)


def test_spellings_of_responses() -> None:
    block = {"type": "input_text", "text": "u"}
    spellings: list[dict[str, Any]] = [
        {"instructions": "s", "input": "u"},
        {"input": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]},
        {"instructions": "s", "input": [{"type": "message", "role": "user", "content": [block]}]},
        {
            "input": [
                {"type": "message", "role": "developer", "content": [block | {"text": "s"}]},
                {"role": "user", "content": "u"},
            ]
        },
    ]
    first, *others = [read_request("openai-responses", body) for body in spellings]
    assert first["system"] == ["s"]
    assert first["messages"] == [{"role": "user", "content": [{"type": "text", "text": "u"}]}]
    assert all(other == first for other in others)


def test_items_of_one_turn_are_one_message() -> None:
    items: list[dict[str, Any]] = [
        {"role": "user", "content": "u"},
        {
            "type": "reasoning",
            "id": "rs",
            "summary": [{"type": "summary_text", "text": t} for t in "ab"],
        },
        {"type": "web_search_call", "id": "ws"},
        {"type": "function_call", "call_id": "1", "id": "fc_1", "name": "f", "arguments": ""},
        {"type": "function_call", "call_id": "2", "id": "fc_2", "name": "f", "arguments": '{"a'},
        {"type": "function_call_output", "call_id": "1", "output": "r"},
        {
            "type": "function_call_output",
            "call_id": "2",
            "output": [{"type": "input_image", "image_url": "https://i"}],
        },
    ]
    assert said("openai-responses", {"input": items})[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "text": "a\n\nb", "id": "rs"},
                {
                    "type": "other",
                    "kind": "web_search_call",
                    "value": {"type": "web_search_call", "id": "ws"},
                },
                {"type": "tool_call", "id": "1", "name": "f", "arguments": {}},
                {
                    "type": "tool_call",
                    "id": "2",
                    "name": "f",
                    "arguments": None,
                    "arguments_raw": '{"a',
                },
            ],
        },
        {
            "role": "tool",
            "content": [
                {
                    "type": "tool_result",
                    "id": "1",
                    "name": None,
                    "content": [{"type": "text", "text": "r"}],
                },
                {
                    "type": "tool_result",
                    "id": "2",
                    "name": None,
                    "content": [{"type": "image", "url": "https://i"}],
                },
            ],
        },
    ]


def test_spellings_of_anthropic() -> None:
    block = {"type": "text", "text": "s"}
    schema = {"type": "json_schema", "schema": {"type": "object"}}
    one = {
        "system": "s",
        "messages": [{"role": "user", "content": "s"}],
        "output_format": schema,
        "tool_choice": {"type": "any"},
    }
    other = {
        "system": [block],
        "messages": [{"role": "user", "content": [block]}],
        "output_config": {"format": schema},
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }
    first, second = read_request("anthropic", one), read_request("anthropic", other)
    assert second["extra"].pop("tool_choice") == {"disable_parallel_tool_use": True}
    assert first == second
    assert first["tool_choice"] == "required"


def test_anthropic_blocks_without_a_recording() -> None:
    result = {"type": "tool_result", "tool_use_id": "1", "is_error": True, "content": "no"}
    redacted = {"type": "redacted_thinking", "data": "opaque"}
    source = {"type": "text", "media_type": "text/plain", "data": "plain"}
    plain = base64.b64encode(b"plain").decode()
    user, assistant = said(
        "anthropic",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [result, {"type": "document", "source": source, "title": "t"}],
                },
                {
                    "role": "assistant",
                    "content": [redacted, {"type": "server_tool_use", "id": "s"}],
                },
            ]
        },
        keep=True,
    )
    assert user["role"] == "user"
    assert user["content"][0]["is_error"] is True
    assert user["content"][1] == {
        **{"type": "document", "media_type": "text/plain", "title": "t"},
        **{"data": plain, "data_chars": len(plain), "data_sha256_16": digest(plain)},
    }
    assert assistant["content"] == [
        {
            **{"type": "thinking", "text": None, "redacted": True},
            **{"signature": "opaque", "signature_sha256_16": digest("opaque")},
        },
        {
            "type": "other",
            "kind": "server_tool_use",
            "value": {"type": "server_tool_use", "id": "s"},
        },
    ]


CAMEL: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "s"}]},
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "u"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
        },
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "f", "args": {"a_b": 1}}, "thoughtSignature": "sig"}
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a_b": 2}}}]},
    ],
    "tools": [
        {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]},
        {"urlContext": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "maxOutputTokens": 3,
        "topP": 0.5,
        "topK": 4,
        "stopSequences": ["x"],
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    },
}
SNAKE: dict[str, Any] = {
    "system_instruction": {"parts": {"text": "s"}},
    "contents": [
        {"parts": [{"text": "u"}, {"inline_data": {"mime_type": "image/png", "data": PNG}}]},
        {
            "role": "model",
            "parts": [
                {"function_call": {"name": "f", "args": {"a_b": 1}}, "thought_signature": "sig"}
            ],
        },
        {
            "role": "function",
            "parts": [{"function_response": {"name": "f", "response": {"a_b": 2}}}, {"text": ""}],
        },
    ],
    "tools": [
        {
            "function_declarations": [{"name": "f", "parameters": {"type": "object"}}],
            "url_context": {},
        }
    ],
    "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
    "generation_config": {
        "max_output_tokens": 3,
        "top_p": 0.5,
        "top_k": 4,
        "stop_sequences": "x",
        "response_mime_type": "application/json",
        "response_schema": {"type": "object"},
    },
}


def test_spellings_of_gemini() -> None:
    read = read_request("gemini", CAMEL, f"{GEMINI}:streamGenerateContent?alt=sse")
    assert read == read_request("gemini", SNAKE, f"{GEMINI}:streamGenerateContent")
    assert (read["model"], read["stream"], read["tool_choice"]) == (
        "gemini-2.5-pro",
        True,
        {"name": "f"},
    )
    assert read["extra"] == {"generationConfig": {"topK": 4}}
    assert read["messages"][0]["content"][1] == IMAGE
    assert read["messages"][1]["content"][0]["arguments"] == {"a_b": 1}
    assert read["messages"][2]["role"] == "tool"


def test_gemini_signature_without_text_is_a_part() -> None:
    body = {
        "contents": [
            {"role": "model", "parts": [{"text": ""}, {"text": "", "thoughtSignature": "sig"}]}
        ]
    }
    (turn,) = said("gemini", body)
    assert turn["content"] == [{"type": "text", "text": "", "signature_sha256_16": digest("sig")}]


def test_ollama_streams_unless_told_otherwise() -> None:
    assert read_request("ollama", {"options": {"stop": "x"}})["stream"] is True
    assert read_request("ollama", {"stream": False, "format": "json"})["json_mode"] is True


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        (
            "anthropic",
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        ("openai-responses", {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}),
        ("mistral", {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"}),
        *(
            (name, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})
            for name in CHAT
        ),
    ],
)
def test_one_picture_in_every_dialect(provider: str, body: dict[str, Any]) -> None:
    key = "input" if provider == "openai-responses" else "messages"
    (user,) = said(provider, {key: [{"role": "user", "content": [body]}]}, keep=True)
    assert user["content"] == [{**IMAGE, "data": PNG}]


def test_picture_of_ollama_has_no_media_type() -> None:
    (user,) = said(
        "ollama", {"messages": [{"role": "user", "content": "u", "images": [PNG]}]}, keep=True
    )
    expected = {key: value for key, value in IMAGE.items() if key != "media_type"}
    assert user["content"] == [{"type": "text", "text": "u"}, {**expected, "data": PNG}]
