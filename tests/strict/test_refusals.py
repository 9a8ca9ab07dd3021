"""Every rule fires: a good request, spoilt in one way, is refused for that reason, with the vendor's error."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.strict import Answer, StrictServer
from tests.strict.anthropic_check import LATEST
from tests.strict.base import signature
from tests.strict.gemini_check import SKIPPERS, sign_call
from tests.strict.good import CITY, GOODS, PLAIN, Good, gemini
from tests.strict.schema import anthropic_strict, gemini_subset, openai_strict
from tests.strict.script import Json
from tests.strict.spoils import TABLE, M, Spoil, add, both, drop, put

ROWS = [
    pytest.param(dialect, rule, status, spoil, id=f"{dialect}-{at}-{rule}")
    for dialect, rows in TABLE.items()
    for at, (rule, status, spoil) in enumerate(rows)
]


def refused(
    dialect: str, good: Good, rule: str, status: int, *, stream: bool = False
) -> dict[str, Any]:
    """Sends a spoilt request; it has to be refused by that rule. The error's body comes back."""

    async def main() -> dict[str, Any]:
        async with StrictServer(dialect, [Answer(text="never")]) as server:
            response = await good.send(server, stream=stream)
            assert [reason.partition(":")[0] for reason in server.refused] == [rule], server.refused
            assert response.status_code == status, response.text
            assert server.left == 1
            assert server.requests[0].refusal == server.refused[0]
            body = response.json()
            assert isinstance(body, dict)
            return body

    return asyncio.run(main())


def shape(dialect: str, body: dict[str, Any]) -> None:
    """An error has the vendor's shape."""
    if dialect == "anthropic":
        assert body["type"] == "error"
        assert set(body["error"]) == {"type", "message"}
        assert body["request_id"].startswith("req_")
    elif dialect == "ollama":
        assert isinstance(body["error"], str)
    elif dialect == "mistral":
        assert "detail" in body or {"object", "message", "type", "param", "code"} <= set(body)
    elif dialect == "gemini":
        assert {"code", "message", "status"} <= set(body["error"])
    elif dialect == "groq":
        assert {"message", "type"} <= set(body["error"])
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(("dialect", "rule", "status", "spoil"), ROWS)
def test_a_spoilt_request_is_refused(dialect: str, rule: str, status: int, spoil: Spoil) -> None:
    good = GOODS[dialect]()
    spoil(good.body)
    shape(dialect, refused(dialect, good, rule, status))


KEYS = [
    ("openai-chat", {}, "no-key", 401),
    ("openai-chat", {"authorization": "Bearer sk-other"}, "wrong-key", 401),
    ("openai-chat", {"authorization": "sk-test"}, "no-key", 401),
    ("openai-responses", {"authorization": "Bearer sk-other"}, "wrong-key", 401),
    ("anthropic", {"anthropic-version": "2023-06-01"}, "no-key", 401),
    ("anthropic", {"anthropic-version": "2023-06-01", "x-api-key": "sk-other"}, "wrong-key", 401),
    ("anthropic", {"x-api-key": "sk-test"}, "no-version", 400),
    ("anthropic", {"x-api-key": "sk-test", "anthropic-version": "2024-01-01"}, "no-version", 400),
    ("gemini", {}, "no-key", 403),
    ("gemini", {"x-goog-api-key": "sk-other"}, "wrong-key", 400),
    ("gemini", {"authorization": "Bearer sk-test"}, "no-key", 403),
    ("groq", {}, "no-key", 401),
    ("groq", {"authorization": "Bearer sk-other"}, "wrong-key", 401),
    ("mistral", {"authorization": "Bearer sk-other"}, "wrong-key", 401),
    ("mistral", {"x-api-key": "sk-test"}, "no-key", 401),
]


@pytest.mark.parametrize(("dialect", "headers", "rule", "status"), KEYS)
def test_a_key_must_be_right_and_in_its_header(
    dialect: str, headers: dict[str, str], rule: str, status: int
) -> None:
    good = GOODS[dialect]()
    good.headers = headers
    refused(dialect, good, rule, status)


def test_ollama_asks_for_a_key_only_when_it_has_one() -> None:
    async def main() -> None:
        async with StrictServer("ollama", [Answer(text="hi")], key="sk-test") as server:
            good = GOODS["ollama"]()
            assert (await good.send(server)).status_code == 401
            good.headers = {"authorization": "Bearer sk-test"}
            assert (await good.send(server)).status_code == 200

    asyncio.run(main())


@pytest.mark.parametrize("dialect", list(GOODS))
@pytest.mark.parametrize(
    ("rule", "query", "path", "kind"),
    [
        ("key-in-url", "?key=sk-test", None, "application/json"),
        ("key-in-url", "?api_key=x", None, "application/json"),
        ("path", "", "/v2/other", "application/json"),
        ("content-type", "", None, "text/plain"),
    ],
)
def test_what_is_wrong_outside_the_body(
    dialect: str, rule: str, query: str, path: str | None, kind: str
) -> None:
    good = GOODS[dialect]()
    good.path = (path or good.path) + query
    good.headers = {**good.headers, "content-type": kind}
    status = {"path": 404, "content-type": 400}.get(rule, 400 if dialect == "gemini" else 401)
    refused(dialect, good, rule, status)


def test_an_unknown_gemini_model_is_in_the_path() -> None:
    good = gemini("gemini-nope")
    body = refused("gemini", good, "unknown-model", 404)
    assert body["error"]["status"] == "NOT_FOUND"
    refused("gemini", good, "unknown-model", 404, stream=True)


@pytest.mark.parametrize(
    "raw", [b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[]", b"{", b'{"a": "\\ud83d"}', b'{"a": "\xff"}']
)
def test_json_is_read_strictly(raw: bytes) -> None:
    async def main() -> None:
        async with StrictServer("openai-chat") as server, httpx.AsyncClient(verify=False) as client:
            headers = {"authorization": "Bearer sk-test", "content-type": "application/json"}
            response = await client.post(
                f"{server.url}/v1/chat/completions", content=raw, headers=headers
            )
            assert response.status_code == 400
            assert server.refused[0].startswith("bad-json")

    asyncio.run(main())


def thinking(body: Json) -> None:
    """A history in which the model thought before it called."""
    body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    block = {"type": "thinking", "thinking": "Hm.", "signature": signature("Hm.")}
    body["messages"][1]["content"].insert(0, block)


BLOCK = (M, 1, "content", 0)


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("thinking-missing", drop(*BLOCK)),
        (
            "thinking-missing",
            lambda body: body[M][1]["content"].insert(1, body[M][1]["content"].pop(0)),
        ),
        ("thinking-signature", put(*BLOCK, "thinking", "Hm!")),
        ("thinking-signature", put(*BLOCK, "signature", "AAAA")),
        ("thinking-signature", drop(*BLOCK, "signature")),
        ("thinking-budget", put("max_tokens", 1024)),
        ("thinking-budget", put("thinking", "budget_tokens", 100)),
        ("thinking-temperature", put("temperature", 0.5)),
        ("thinking-temperature", put("top_k", 5)),
        ("thinking-tool-choice", put("tool_choice", {"type": "any"})),
        ("thinking-model", put("model", "claude-opus-4-8")),
        ("thinking", put("thinking", {"type": "on"})),
    ],
)
def test_thoughts_come_back_to_anthropic_as_they_were(rule: str, spoil: Spoil) -> None:
    good = GOODS["anthropic"]()
    both(thinking, spoil)(good.body)
    refused("anthropic", good, rule, 400)


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_latest_version_of_anthropic_has_no_sampling(name: str) -> None:
    good = GOODS["anthropic"]()
    good.body[name] = 1
    good.headers["anthropic-version"] = LATEST
    body = refused("anthropic", good, "unknown-parameter", 400)
    assert body["error"]["message"] == f"{name}: Extra inputs are not permitted"


CALLS = ("contents", 1, "parts")


@pytest.mark.parametrize(
    "spoil",
    [
        drop(*CALLS, 0, "thoughtSignature"),
        put(*CALLS, 0, "thoughtSignature", sign_call("time", {"city": "Rome"})),
        lambda body: body["contents"][1]["parts"][1].update(
            body["contents"][1]["parts"][0], functionCall={"name": "time"}
        ),
    ],
)
def test_the_third_gemini_wants_the_signature_of_the_first_call(spoil: Spoil) -> None:
    good = gemini("gemini-3.5-flash")
    put(*CALLS, 0, "thoughtSignature", sign_call("weather", {"city": "Rome"}))(good.body)
    spoil(good.body)
    refused("gemini", good, "thought-signature", 400)


@pytest.mark.parametrize("sign", [sign_call("weather", {"city": "Rome"}), *SKIPPERS])
def test_the_third_gemini_takes_signatures_in_both_alphabets_and_the_stand_ins(sign: str) -> None:
    async def main() -> None:
        good = gemini("gemini-3.5-flash")
        async with StrictServer("gemini", [Answer(text="hi")] * 2) as server:
            for text in (
                sign,
                sign if sign in SKIPPERS else sign.replace("+", "-").replace("/", "_"),
            ):
                put(*CALLS, 0, "thoughtSignature", text)(good.body)
                assert (await good.send(server)).status_code == 200, server.refused

    asyncio.run(main())


def _reasoned(body: Json, *, keep: bool, ids: bool) -> Json:
    """The second request of a loop, built from the reply to the first."""
    out = [item for item in body["output"] if keep or item["type"] != "reasoning"]
    items = [{"role": "user", "content": "Rome?"}]
    items += [
        item if ids else {key: value for key, value in item.items() if key != "id"} for item in out
    ]
    calls = [item for item in body["output"] if item["type"] == "function_call"]
    items += [
        {"type": "function_call_output", "call_id": call["call_id"], "output": "x"}
        for call in calls
    ]
    return {"input": items}


@pytest.mark.parametrize(
    ("asks", "store", "keep", "ids", "rule"),
    [
        (True, False, True, True, None),
        (True, False, False, True, "reasoning-missing"),
        (True, False, False, False, "reasoning-missing"),
        (False, False, True, True, "reasoning-item"),
        (False, False, False, True, "reasoning-missing"),
        (False, False, False, False, None),
        (False, True, True, True, None),
        (False, True, False, True, "reasoning-missing"),
        (False, True, False, False, None),
    ],
)
def test_reasoning_comes_back_before_its_calls(
    asks: bool, store: bool, keep: bool, ids: bool, rule: str | None
) -> None:
    async def main() -> None:
        good = GOODS["openai-responses"]()
        script = [
            Answer(thinking="Hm.", calls=(("weather", {"city": "Rome"}),)),
            Answer(text="Fine."),
        ]
        async with StrictServer("openai-responses", script) as server:
            good.body |= {"model": "gpt-5-mini", "input": "Rome?", "store": store}
            del good.body["temperature"]
            if asks:
                good.body["include"] = ["reasoning.encrypted_content"]
            first = (await good.send(server)).json()
            assert ("encrypted_content" in first["output"][0]) is asks
            good.body |= _reasoned(first, keep=keep, ids=ids)
            response = await good.send(server)
            assert [reason.partition(":")[0] for reason in server.refused] == (
                [rule] if rule else []
            ), response.text

    asyncio.run(main())


def test_a_script_that_is_over_is_no_passing_fault() -> None:
    async def main() -> None:
        good = GOODS["openai-chat"]()
        async with StrictServer("openai-chat") as server:
            assert (await good.send(server)).status_code == 400
            assert server.refused[0].startswith("script-over")

    asyncio.run(main())


def test_a_script_that_breaks_is_seen() -> None:
    def script(body: Json) -> Answer:
        raise ValueError("the script is wrong")

    async def main() -> None:
        good = GOODS["openai-chat"]()
        async with StrictServer("openai-chat", script) as server:
            assert (await good.send(server)).status_code == 400
            assert "the script is wrong" in server.refused[0]

    asyncio.run(main())


STRICT: list[tuple[Json, str]] = [
    (CITY, ""),
    ({**CITY, "anyOf": []}, "top level"),
    (PLAIN, "additionalProperties"),
    ({**CITY, "required": []}, "Missing 'city'"),
    ({**CITY, "required": ["city", "town"]}, "Extra required key 'town'"),
    (
        {**CITY, "properties": {"city": {"$ref": "#/$defs/x", "title": "x"}}},
        "$ref cannot have keywords",
    ),
    (
        {**CITY, "properties": {"city": {"type": "string", "default": "x"}}},
        "'default' is not permitted",
    ),
    ({**CITY, "properties": {"city": {"type": "array"}}}, "missing items"),
    (
        {**CITY, "properties": {"city": {"anyOf": [{"type": "null"}, PLAIN]}}},
        "additionalProperties",
    ),
    ({**CITY, "$defs": {"x": PLAIN}}, "additionalProperties"),
    (
        {**CITY, "properties": {"city": {"type": "array", "items": {"oneOf": []}}}},
        "'oneOf' is not permitted",
    ),
]


@pytest.mark.parametrize(("schema", "words"), STRICT)
def test_strict_schemas_of_openai(schema: Json, words: str) -> None:
    fault = openai_strict(schema)
    assert (fault is None) == (not words)
    assert fault is None or words in fault[1]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (CITY, None),
        (PLAIN, "additionalProperties"),
        (
            {"type": "integer", "minimum": 1, "maximum": 5},
            "For 'integer' type, properties maximum, minimum are not supported",
        ),
        ({"type": "array", "minItems": 2, "items": CITY}, "minItems"),
        ({"type": "array", "minItems": 1, "items": CITY}, None),
        ({"oneOf": [CITY]}, "oneOf"),
    ],
)
def test_strict_schemas_of_anthropic(schema: Json, words: str | None) -> None:
    fault = anthropic_strict(schema)
    assert (fault is None) == (words is None)
    assert fault is None or (words or "") in fault


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (PLAIN, None),
        (
            {
                "type": "OBJECT",
                "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            },
            None,
        ),
        (
            {
                "type": "object",
                "property_ordering": ["a"],
                "properties": {"a": {"type": "string", "nullable": True}},
            },
            None,
        ),
        ({"type": "array", "items": {"type": "array"}}, "s.items.items: missing field"),
        ({"type": "string", "format": "email"}, "only 'enum' and 'date-time'"),
        ({"type": "integer", "enum": ["1"]}, "only allowed for STRING"),
        ({"type": "string", "enum": [1]}, "(TYPE_STRING), 1"),
        ({"type": "string", "properties": {"a": {"type": "string"}}}, "only allowed for OBJECT"),
        ({"type": "date"}, "s.type"),
        ({"description": "x"}, "must be specified"),
        ({"anyOf": [{"const": 1}]}, 'Unknown name "const"'),
        ("string", "Invalid value at 's'"),
    ],
)
def test_the_schema_subset_of_gemini(schema: Any, words: str | None) -> None:
    faults = [text for _, _, text in gemini_subset(schema, "s")]
    assert (not faults) == (words is None)
    assert words is None or words in faults[0]


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
STRICT_OUT = {"type": "json_schema", "json_schema": {"name": "out", "schema": CITY, "strict": True}}
FINE: list[tuple[str, Spoil]] = [
    ("openai-chat", put(M, 1, "content", [{"type": "text", "text": "x"}, IMAGE])),
    ("openai-chat", both(put("tool_choice", "required"), put("parallel_tool_calls", False))),
    ("openai-chat", both(put("tool_choice", "none"), put("response_format", STRICT_OUT))),
    ("openai-chat", both(put(M, 0, "role", "developer"), put(M, 2, "content", None))),
    ("openai-chat", add(M, {"role": "user", "content": "And?"})),
    ("openai-chat", both(put("model", "gpt-5.1"), put("reasoning_effort", "none"), drop("max_tokens"), drop("stop"))),
    ("openai-chat", both(put("model", "gpt-5"), put("temperature", 1), drop("max_tokens"), drop("stop"))),
    ("openai-responses", put("tools", 0, {"type": "web_search"})),
    ("openai-responses", put("input", "Hello")),
    ("openai-responses", put("input", 3, "output", [{"type": "input_text", "text": "x"}])),
    ("openai-responses", lambda body: body["input"].__setitem__(slice(1, 5), [body["input"][at] for at in (1, 3, 2, 4)])),
    ("openai-responses", put("text", {"format": {"type": "json_schema", "name": "out", "schema": CITY, "strict": True}})),
    ("anthropic", add(M, {"role": "user", "content": "And?"})),
    ("anthropic", add(M, {"role": "assistant", "content": "Well,"})),
    ("anthropic", lambda body: body[M][2]["content"].append({"type": "text", "text": "And?"})),
    ("anthropic", put(M, 2, "content", 0, "content", [{"type": "text", "text": "x"}])),
    ("anthropic", put("system", [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}])),
    ("anthropic", both(put("model", "claude-opus-4-8"), put("thinking", {"type": "adaptive"}), put("output_config", {"effort": "max"}))),
    ("anthropic", put("tools", 0, {"type": "web_search_20250305", "name": "web_search"})),
    ("anthropic", both(put("temperature", 1), put("stop_sequences", ["END"]), put("tool_choice", {"type": "any"}))),
    ("gemini", put("contents", 0, {"parts": {"text": "x"}})),
    ("gemini", add("contents", {"role": "user", "parts": [{"text": "And?"}]})),
    ("gemini", put("contents", 2, "role", "function")),
    ("gemini", put("tool_config", {"function_calling_config": {"mode": "any", "allowed_function_names": ["time"]}})),
    ("gemini", both(drop("tools"), put("generationConfig", {"responseMimeType": "application/json", "responseJsonSchema": CITY}))),
    ("ollama", both(put("format", CITY), put("think", "high"), put("keep_alive", "5m"))),
    ("ollama", put(M, 1, "images", ["AAAA"])),
    ("ollama", both(put(M, 3, "tool_name", "time"), put(M, 4, "tool_name", "weather"))),
    ("groq", both(put("stream", True), put("stream_options", {"include_usage": True}), put("reasoning_effort", "low"))),
    ("groq", both(drop("tools"), put("response_format", STRICT_OUT))),
    ("mistral", both(add(M, {"role": "assistant", "content": "OK"}), add(M, {"role": "user", "content": "And?"}))),
    ("mistral", both(put("response_format", STRICT_OUT), put("parallel_tool_calls", False), put("safe_prompt", True))),
    ("mistral", put(M, 2, "content", [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}])),
]  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "change"), FINE, ids=[f"{dialect}-{at}" for at, (dialect, _) in enumerate(FINE)]
)
def test_what_the_vendors_take_is_taken(dialect: str, change: Spoil) -> None:
    async def main() -> None:
        good = GOODS[dialect]()
        change(good.body)
        async with StrictServer(dialect, [Answer(text="hi")]) as server:
            response = await good.send(server)
            assert response.status_code == 200, (response.text, server.refused)
            assert server.refused == []

    asyncio.run(main())


def test_a_loop_that_began_without_thoughts_goes_on_without_them() -> None:
    async def main() -> None:
        good = GOODS["anthropic"]()
        good.body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        good.body[M] = good.body[M][:1]
        script = [Answer(calls=(("weather", {"city": "Rome"}),)), Answer(text="hi")]
        async with StrictServer("anthropic", script) as server:
            use = (await good.send(server)).json()["content"][0]
            result = {"type": "tool_result", "tool_use_id": use["id"], "content": "fine"}
            good.body[M] += [
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [result]},
            ]
            assert (await good.send(server)).status_code == 200, server.refused

    asyncio.run(main())


def test_the_latest_version_of_anthropic_takes_a_bearer_and_is_stricter_about_blocks() -> None:
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    }
    good = GOODS["anthropic"]()
    good.headers = {"authorization": "Bearer sk-test", "anthropic-version": LATEST}
    good.body[M][1]["content"].insert(0, document)
    refused("anthropic", good, "block-role", 400)
    good = GOODS["anthropic"]()
    good.headers = {"authorization": "Bearer sk-test", "anthropic-version": LATEST}
    cited = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
    good.body[M][0]["content"] = [cited]
    refused("anthropic", good, "content-part", 400)


def test_what_is_not_http_is_noted() -> None:
    async def main() -> None:
        async with StrictServer("ollama") as server:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", int(server.url.rpartition(":")[2])
            )
            writer.write(b"hello there general nobody\r\n\r\n")
            assert await reader.read() == b""
            writer.close()
            assert server.refused[0].startswith("http: ")

    asyncio.run(main())
