"""What the servers say: whole and streamed answers of every dialect, failures, and how connections are treated."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from tests.strict import Answer, StrictServer
from tests.strict.good import GOODS, Good, gemini
from tests.strict.script import Call, Json, Kind

TEXT = 'It is 5 °C \u2028 in "Zürich" <now> 😀.'
THOUGHT = "Let me think it over. Twice."
CALLS: tuple[Call, ...] = (("weather", {"city": "Zürich 😀"}), ("time", {}))
FULL = Answer(text=TEXT, thinking=THOUGHT, calls=CALLS, usage=(100, 50, 20))


def run(
    dialect: str,
    script: Any,
    use: Callable[[StrictServer, Good], Awaitable[Any]],
    good: Good | None = None,
) -> Any:
    """Runs a client against a server; nothing may be refused and nothing left over."""

    async def main() -> Any:
        async with StrictServer(dialect, script) as server:
            value = await use(server, good or GOODS[dialect]())
            assert server.refused == []
            assert server.left == 0
            return value

    return asyncio.run(main())


@dataclass(slots=True)
class Heard:
    """What a naive reader makes of an answer."""

    text: str = ""
    thinking: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict)
    finish: str = ""
    usage: tuple[int, int, int] = (0, 0, 0)

    def call(self, at: int, name: str, arguments: Any) -> None:
        got = self.calls.setdefault(at, ["", ""])
        got[0] += name or ""
        got[1] += arguments if isinstance(arguments, str) else json.dumps(arguments)

    @property
    def parsed(self) -> tuple[tuple[str, Any], ...]:
        return tuple(
            (name, json.loads(arguments or "{}")) for name, arguments in self.calls.values()
        )


def payloads(body: str, end: str = "\n\n") -> list[Any]:
    """Data of all events of a stream; the framing has to be exact."""
    assert body.endswith(end)
    out = []
    for frame in body.removesuffix(end).split(end):
        kind, _, data = (
            frame.rpartition("data: ")
            if frame.startswith("data: ")
            else frame.partition("\ndata: ")
        )
        value = "[DONE]" if data == "[DONE]" else json.loads(data)
        if kind and isinstance(value, dict):
            assert value.get("type", "error") == kind.removeprefix("event: ")
        out.append(value)
    return out


def _chat(choice: Json, heard: Heard) -> None:
    message: Json = choice["delta"] if "delta" in choice else choice["message"]
    content = message.get("content") or ""
    parts: list[Json] = (
        content if isinstance(content, list) else [{"type": "text", "text": content}]
    )
    for part in parts:
        if part["type"] == "thinking":
            heard.thinking += "".join(inner["text"] for inner in part["thinking"])
        else:
            heard.text += part["text"]
    heard.thinking += message.get("reasoning") or ""
    for at, call in enumerate(message.get("tool_calls") or []):
        function = call["function"]
        heard.call(call.get("index", at), function.get("name", ""), function["arguments"])
    heard.finish = choice["finish_reason"] or heard.finish


def chat(body: str, stream: bool) -> Heard:
    heard = Heard()
    chunks = payloads(body) if stream else [json.loads(body)]
    if stream:
        assert chunks.pop() == "[DONE]"
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    for chunk in chunks:
        for choice in chunk["choices"]:
            _chat(choice, heard)
        usage = chunk.get("usage") or chunk.get("x_groq", {}).get("usage")
        if usage:
            cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
            heard.usage = (usage["prompt_tokens"], usage["completion_tokens"], cached)
    return heard


def responses(body: str, stream: bool) -> Heard:
    heard, final = Heard(), json.loads(body) if not stream else {}
    events = payloads(body) if stream else []
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    text = arguments = thinking = ""
    for event in events:
        final = event.get("response", final)
        if event["type"] == "response.output_text.delta":
            text += event["delta"]
        elif event["type"] == "response.function_call_arguments.delta":
            arguments += event["delta"]
        elif event["type"] == "response.reasoning_summary_text.delta":
            thinking += event["delta"]
    for item in final["output"]:
        if item["type"] == "message":
            heard.text += item["content"][0].get("text", "")
        elif item["type"] == "reasoning":
            heard.thinking += "".join(part["text"] for part in item["summary"])
        else:
            heard.call(len(heard.calls), item["name"], item["arguments"])
    if stream:
        assert (text, thinking) == (heard.text, heard.thinking)
        assert arguments == "".join(arguments for _, arguments in heard.calls.values())
    usage = final["usage"]
    heard.usage = (
        usage["input_tokens"],
        usage["output_tokens"],
        usage["input_tokens_details"]["cached_tokens"],
    )
    heard.finish = final["status"]
    return heard


def anthropic(body: str, stream: bool) -> Heard:
    heard = Heard()
    blocks: list[Json] = []
    message: Json = {} if stream else json.loads(body)
    for event in payloads(body) if stream else []:
        if event["type"] == "message_start":
            message = event["message"]
        elif event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            for key, value in event["delta"].items():
                if key != "type":
                    name = "json" if key == "partial_json" else key
                    blocks[event["index"]][name] += value
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    for block in message["content"] or blocks:
        if block["type"] == "text":
            heard.text += block["text"]
        elif block["type"] == "thinking":
            assert block["signature"]
            heard.thinking += block["thinking"]
        else:
            heard.call(len(heard.calls), block["name"], block.get("json", block["input"]))
    usage = message["usage"]
    cached = usage["cache_read_input_tokens"]
    heard.usage = (usage["input_tokens"] + cached, usage["output_tokens"], cached)
    heard.finish = message["stop_reason"]
    return heard


def google(body: str, stream: bool) -> Heard:
    heard = Heard()
    chunks = payloads(body, "\r\n\r\n") if stream else [json.loads(body)]
    signed = []
    for chunk in chunks:
        usage = chunk["usageMetadata"]
        out = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
        heard.usage = (usage["promptTokenCount"], out, usage.get("cachedContentTokenCount", 0))
        for part in chunk["candidates"][0]["content"].get("parts", []):
            if "functionCall" in part:
                heard.call(
                    len(heard.calls), part["functionCall"]["name"], part["functionCall"]["args"]
                )
                signed.append("thoughtSignature" in part)
            elif part.get("thought"):
                heard.thinking += part["text"]
            else:
                heard.text += part["text"]
        heard.finish = chunk["candidates"][0].get("finishReason", heard.finish)
    assert signed == [at == 0 for at in range(len(signed))]
    return heard


def ollama(body: str, stream: bool) -> Heard:
    heard = Heard()
    lines = [json.loads(line) for line in body.removesuffix("\n").split("\n")]
    assert [line["done"] for line in lines] == [*[False] * (len(lines) - 1), True]
    for line in lines:
        heard.text += line["message"]["content"]
        heard.thinking += line["message"].get("thinking", "")
        calls = line["message"].get("tool_calls", [])
        assert not stream or len(calls) < 2
        for call in calls:
            heard.call(
                call["function"]["index"], call["function"]["name"], call["function"]["arguments"]
            )
    heard.usage = (lines[-1]["prompt_eval_count"], lines[-1]["eval_count"], 20)
    heard.finish = lines[-1]["done_reason"]
    return heard


READERS: dict[str, Callable[[str, bool], Heard]] = {
    "openai-chat": chat,
    "openai-responses": responses,
    "anthropic": anthropic,
    "gemini": google,
    "ollama": ollama,
    "groq": chat,
    "mistral": chat,
}
KINDS = {"ollama": "application/x-ndjson"}


def asking(dialect: str) -> Good:
    """A good request that asks for everything there is to see."""
    good = GOODS[dialect]()
    if dialect == "openai-responses":
        good.body |= {"model": "gpt-5-mini", "reasoning": {"summary": "auto"}}
        good.body |= {"include": ["reasoning.encrypted_content"]}
        del good.body["temperature"]
    elif dialect == "anthropic":
        good.body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        good.body["messages"] = good.body["messages"][:1]
    elif dialect == "gemini":
        good.body["generationConfig"]["thinkingConfig"] = {"includeThoughts": True}
    return good


FINISH = {
    "openai-chat": ("tool_calls", "length"),
    "openai-responses": ("completed", "incomplete"),
    "anthropic": ("tool_use", "max_tokens"),
    "gemini": ("STOP", "MAX_TOKENS"),
    "ollama": ("stop", "length"),
    "groq": ("tool_calls", "length"),
    "mistral": ("tool_calls", "length"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", list(GOODS))
@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_an_answer_is_the_same_whole_and_streamed(dialect: str, stream: bool, pieces: int) -> None:
    answer = Answer(text=TEXT, thinking=THOUGHT, calls=CALLS, usage=(100, 50, 20), pieces=pieces)
    good = asking(dialect)
    if dialect == "openai-chat" and stream:
        good.body["stream_options"] = {"include_usage": True}

    async def use(server: StrictServer, good: Good) -> httpx.Response:
        return await good.send(server, stream=stream)

    response: httpx.Response = run(dialect, [answer], use, good)
    assert response.status_code == 200
    kind = response.headers["content-type"].partition(";")[0]
    assert kind == (KINDS.get(dialect, "text/event-stream") if stream else "application/json")
    assert ("transfer-encoding" in response.headers) is stream
    heard = READERS[dialect](response.content.decode(), stream)
    assert heard.text == TEXT
    assert heard.parsed == CALLS
    assert heard.thinking == ("" if dialect == "openai-chat" else THOUGHT)
    assert heard.usage == (100, 50, 20)
    assert heard.finish == FINISH[dialect][0]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", list(GOODS))
def test_plain_text_ends_plainly(dialect: str, stream: bool) -> None:
    response = run(
        dialect, [Answer(text="hi")], lambda server, good: good.send(server, stream=stream)
    )
    heard = READERS[dialect](response.content.decode(), stream)
    assert (heard.text, heard.calls) == ("hi", {})
    assert heard.finish in ("stop", "end_turn", "STOP", "completed")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", list(GOODS))
def test_the_length_limit_cuts_the_last_call(dialect: str, stream: bool) -> None:
    answer = Answer(calls=(("time", {}), ("weather", {"city": "Rome"})), finish="length")
    response = run(dialect, [answer], lambda server, good: good.send(server, stream=stream))
    heard = READERS[dialect](response.content.decode(), stream)
    assert heard.finish == FINISH[dialect][1]
    assert heard.calls[0] == ["time", "{}"] or (
        dialect == "anthropic" and heard.calls[0] == ["time", ""]
    )
    if dialect in ("gemini", "ollama"):
        assert len(heard.calls) == 1
    elif dialect == "anthropic" and not stream:
        assert heard.calls[1] == ["weather", "{}"]
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(heard.calls[1][1])


def test_a_refusal_is_spelt_as_each_vendor_does() -> None:
    def ask(dialect: str, finish: Any, stream: bool = False) -> str:
        answer = Answer(text="I can't help with that.", finish=finish)
        response = run(dialect, [answer], lambda server, good: good.send(server, stream=stream))
        text = response.content.decode()
        assert isinstance(text, str)
        return text

    message = json.loads(ask("openai-chat", "refusal"))["choices"][0]
    assert (message["message"]["content"], message["finish_reason"]) == (None, "stop")
    assert message["message"]["refusal"] == "I can't help with that."
    assert '"delta":{"refusal":"I can\'t"}' in ask("openai-chat", "refusal", stream=True)
    assert (
        json.loads(ask("openai-chat", "content_filter"))["choices"][0]["finish_reason"]
        == "content_filter"
    )
    assert (
        json.loads(ask("openai-responses", "refusal"))["output"][0]["content"][0]["type"]
        == "refusal"
    )
    assert "event: response.refusal.delta" in ask("openai-responses", "refusal", stream=True)
    assert json.loads(ask("openai-responses", "content_filter"))["incomplete_details"] == {
        "reason": "content_filter"
    }
    assert json.loads(ask("anthropic", "refusal"))["stop_reason"] == "refusal"
    assert json.loads(ask("gemini", "content_filter"))["candidates"][0]["finishReason"] == "SAFETY"
    blocked = json.loads(ask("gemini", "refusal"))
    assert "candidates" not in blocked
    assert blocked["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}


@pytest.mark.parametrize(
    ("dialect", "hide"),
    [
        ("anthropic", {"thinking": {"type": "disabled"}}),
        ("openai-responses", {"reasoning": {}, "include": []}),
        ("gemini", {"generationConfig": {}}),
        ("ollama", {"think": False}),
        ("groq", {"reasoning_format": "hidden"}),
        ("mistral", {"reasoning_effort": "none"}),
    ],
)
def test_thoughts_are_shown_to_those_who_ask(dialect: str, hide: Json) -> None:
    good = asking(dialect)
    good.body |= hide

    async def use(server: StrictServer, good: Good) -> str:
        replies = [await good.send(server, stream=stream) for stream in (False, True)]
        return "".join(reply.text for reply in replies)

    answer = replace(FULL, pieces=1000)
    shown = run(dialect, [answer] * 2, use, asking(dialect))
    hidden = run(dialect, [answer] * 2, use, good)
    assert (shown.count(THOUGHT) >= 2, hidden.count(THOUGHT)) == (True, 0)
    assert "encrypted_content" not in hidden


STATUS: dict[Kind, tuple[int, int, int, int, int, int, int]] = {
    "auth": (401, 401, 401, 400, 401, 401, 401),
    "rate_limit": (429, 429, 429, 429, 429, 429, 429),
    "quota": (429, 429, 429, 429, 429, 429, 402),
    "overloaded": (503, 503, 529, 503, 503, 503, 503),
    "server": (500, 500, 500, 500, 500, 500, 500),
    "context_length": (400, 400, 400, 400, 400, 400, 400),
    "invalid_request": (400, 400, 400, 400, 400, 400, 400),
    "not_found": (404, 400, 404, 404, 404, 404, 400),
}


@pytest.mark.parametrize("kind", list(STATUS))
@pytest.mark.parametrize("dialect", list(GOODS))
@pytest.mark.parametrize("stream", [False, True])
def test_failures_have_the_vendors_status_and_shape(dialect: str, kind: Kind, stream: bool) -> None:
    script = [Answer(error=kind), Answer(error=kind, status=418)]

    async def use(server: StrictServer, good: Good) -> list[httpx.Response]:
        return [await good.send(server, stream=stream) for _ in script]

    usual, other = run(dialect, script, use)
    assert usual.status_code == STATUS[kind][list(GOODS).index(dialect)]
    assert other.status_code == 418
    body = usual.json()
    words = json.dumps(body)
    assert (
        usual.headers["content-type"] == "text/event-stream"
        if dialect == "gemini" and stream
        else True
    )
    if kind == "quota":
        marks = (
            "insufficient_quota",
            "enforced_spend_limit_reached",
            "PerDay",
            "usage limit",
            "TPD",
        )
        assert any(mark in words for mark in marks)
    if kind == "context_length":
        marks = (
            "context_length_exceeded",
            "prompt is too long",
            "input token count",
            "context length",
            "too large",
        )
        assert any(mark in words for mark in marks)


@pytest.mark.parametrize("dialect", list(GOODS))
def test_a_wait_is_said_where_the_vendor_says_it(dialect: str) -> None:
    script = [Answer(error="rate_limit", retry_after=1.5)]
    response = run(dialect, script, lambda server, good: good.send(server))
    if dialect == "gemini":
        assert response.json()["error"]["details"][-1]["retryDelay"] == "1.5s"
        return
    assert response.headers["retry-after"] == "2"
    if dialect.startswith("openai"):
        assert response.headers["retry-after-ms"] == "1500"


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "auth"), (429, "rate_limit"), (502, "server"), (503, "overloaded")]
)
def test_a_status_alone_picks_the_failure(status: int, kind: str) -> None:
    assert Answer(status=status).failure == kind
    response = run("anthropic", [Answer(status=status)], lambda server, good: good.send(server))
    assert response.status_code == status


@pytest.mark.parametrize("dialect", list(GOODS))
def test_a_stream_breaks_in_the_middle_without_its_end(dialect: str) -> None:
    answer = Answer(text=TEXT * 3, mid_stream_error=True)
    response = run(dialect, [answer], lambda server, good: good.send(server, stream=True))
    assert response.status_code == 200
    text = response.content.decode()
    assert "error" in text.rstrip().rsplit("\n", 1)[-1].lower()
    for end in ("[DONE]", "message_stop", "response.completed", '"STOP"', '"done":true'):
        assert end not in text
    assert "It is" in text.replace('","', "")
    whole = run(dialect, [answer], lambda server, good: good.send(server))
    assert whole.status_code >= 500


def test_usage_chunks_and_padding_are_sent_to_those_who_ask() -> None:
    async def use(server: StrictServer, good: Good) -> list[list[Any]]:
        out = []
        for options in ({}, {"include_usage": True}, {"include_obfuscation": False}):
            good.body["stream_options"] = options
            out.append(payloads((await good.send(server, stream=True)).content.decode()))
        return out

    bare, counted, unpadded = run("openai-chat", [Answer(text="hi")] * 3, use)
    assert all("usage" not in chunk for chunk in bare[:-1])
    assert counted[-2]["choices"] == []
    assert all(chunk["usage"] is None for chunk in counted[:-2])
    assert all("obfuscation" in chunk for chunk in bare[:-1])
    assert not any("obfuscation" in chunk for chunk in unpadded[:-1])


def test_groq_counts_for_all_and_again_for_those_who_ask() -> None:
    async def use(server: StrictServer, good: Good) -> list[list[Any]]:
        bare = payloads((await good.send(server, stream=True)).content.decode())
        good.body["stream_options"] = {"include_usage": True}
        return [bare, payloads((await good.send(server, stream=True)).content.decode())]

    bare, counted = run("groq", [Answer(text="hi", usage=(3, 2, 1))] * 2, use)
    assert bare[-2]["x_groq"]["usage"]["prompt_tokens_details"] == {"cached_tokens": 1}
    assert "usage" not in bare[-2]
    assert counted[-2]["choices"] == []
    assert counted[-2]["usage"]["total_tokens"] == 5


def test_groq_puts_raw_thoughts_into_the_text() -> None:
    good = GOODS["groq"]()
    good.body |= {"reasoning_format": "raw", "tools": None, "messages": good.body["messages"][:2]}
    response = run(
        "groq", [Answer(text="hi", thinking="Hm.")], lambda server, good: good.send(server), good
    )
    assert response.json()["choices"][0]["message"]["content"] == "<think>\nHm.\n</think>\n\nhi"


@pytest.mark.parametrize("stream", [False, True])
def test_gemini_signs_its_last_text_when_it_thought_and_called_nothing(stream: bool) -> None:
    answer = Answer(text=TEXT, thinking=THOUGHT)
    response = run(
        "gemini", [answer], lambda server, good: good.send(server, stream=stream), asking("gemini")
    )
    chunks = payloads(response.content.decode(), "\r\n\r\n") if stream else [response.json()]
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert [("thoughtSignature" in part) for part in parts] == [*[False] * (len(parts) - 1), True]
    assert google(response.content.decode(), stream).text == TEXT


def test_later_openai_models_say_what_a_text_is_for() -> None:
    good = asking("openai-responses")
    good.body["model"] = "gpt-5.5"
    script = [FULL, Answer(text="hi")]

    async def use(server: StrictServer, good: Good) -> list[Any]:
        return [(await good.send(server)).json()["output"] for _ in script]

    commentary, final = run("openai-responses", script, use, good)
    assert [item["type"] for item in commentary] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert (commentary[1]["phase"], final[0]["phase"]) == ("commentary", "final_answer")


@pytest.mark.parametrize(
    ("model", "shown"), [("claude-sonnet-4-5", True), ("claude-opus-4-8", False)]
)
def test_later_claudes_show_thoughts_only_to_those_who_ask(model: str, shown: bool) -> None:
    good = asking("anthropic")
    good.body |= {"model": model, "thinking": {"type": "adaptive"}}
    for stream in (False, True):
        answer = Answer(text="hi", thinking=THOUGHT, pieces=1000)

        async def use(server: StrictServer, good: Good, stream: bool = stream) -> httpx.Response:
            return await good.send(server, stream=stream)

        response = run("anthropic", [answer], use, good)
        assert (THOUGHT in response.text) is shown
        assert "signature" in response.text


def test_gemini_without_sse_streams_a_json_array() -> None:
    good = gemini()
    good.streamed = good.streamed.partition("?")[0]
    response = run("gemini", [FULL], lambda server, good: good.send(server, stream=True), good)
    assert response.text.startswith("[{\n")
    assert "\n}\n,\r\n{\n" in response.text
    chunks = json.loads(response.text)
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize(
    ("model", "ids"), [("gemini-2.5-flash", False), ("gemini-3.5-flash", True)]
)
def test_gemini_has_call_ids_from_the_third_generation_on(model: str, ids: bool) -> None:
    good = gemini(model)
    good.body["contents"] = good.body["contents"][:1]
    response = run("gemini", [FULL], lambda server, good: good.send(server), good)
    parts = response.json()["candidates"][0]["content"]["parts"]
    assert [("id" in part["functionCall"]) for part in parts if "functionCall" in part] == [
        ids,
        ids,
    ]


def test_ids_look_as_the_vendors_ids_do() -> None:
    def first(dialect: str) -> Any:
        return run(dialect, [FULL], lambda server, good: good.send(server)).json()

    assert first("openai-chat")["choices"][0]["message"]["tool_calls"][0]["id"].startswith("call_")
    assert len(first("mistral")["choices"][0]["message"]["tool_calls"][0]["id"]) == 9
    assert first("groq")["choices"][0]["message"]["tool_calls"][0]["id"].startswith("fc_")
    assert first("anthropic")["content"][1]["id"].startswith("toolu_01")
    call = next(
        item for item in first("openai-responses")["output"] if item["type"] == "function_call"
    )
    assert (call["id"][:3], call["call_id"][:5]) == ("fc_", "call_")


def test_a_stored_response_stands_for_its_history() -> None:
    async def use(server: StrictServer, good: Good) -> None:
        good.body |= {"store": True, "input": "Rome?"}
        first = (await good.send(server)).json()
        call = next(item["call_id"] for item in first["output"] if item["type"] == "function_call")
        good.body |= {
            "previous_response_id": first["id"],
            "input": [{"type": "function_call_output", "call_id": call, "output": "x"}],
        }
        assert (await good.send(server)).status_code == 200, server.refused

    run("openai-responses", [Answer(calls=CALLS[:1]), Answer(text="hi")], use)


@pytest.mark.parametrize("dialect", list(GOODS))
def test_the_same_script_gives_the_same_bytes(dialect: str) -> None:
    def once(slices: int) -> Any:
        answer = Answer(text=TEXT, thinking=THOUGHT, calls=CALLS, slices=slices)
        return run(
            dialect, [answer], lambda server, good: good.send(server, stream=True), asking(dialect)
        ).content

    assert once(0) == once(0) == once(1) == once(13)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", list(GOODS))
def test_a_connection_is_cut_after_so_many_bytes(dialect: str, stream: bool) -> None:
    async def use(server: StrictServer, good: Good) -> bytes:
        got = bytearray()
        body = {**good.body} if good.streamed else {**good.body, "stream": stream}
        path = good.streamed if stream and good.streamed else good.path

        async def read() -> None:
            async with (
                httpx.AsyncClient(verify=False, trust_env=False) as client,
                client.stream(
                    "POST", server.url + path, json=body, headers=good.headers
                ) as response,
            ):
                async for chunk in response.aiter_raw():
                    got.extend(chunk)

        with pytest.raises(httpx.RemoteProtocolError):
            await read()
        return bytes(got)

    assert len(run(dialect, [Answer(text=TEXT, cut_at=100)], use)) == 100


def test_raw_bytes_go_out_as_they_are() -> None:
    raw = Answer(raw=(b"<html>Bad Gateway</html>", "text/html"), status=502)
    response = run("openai-chat", [raw], lambda server, good: good.send(server, stream=True))
    assert (response.status_code, response.content) == (502, b"<html>Bad Gateway</html>")
    assert response.headers["content-type"] == "text/html"
    raw = Answer(raw=(b"data: x\n\n", "text/event-stream"), slices=1)
    response = run("openai-chat", [raw], lambda server, good: good.send(server, stream=True))
    assert response.headers["transfer-encoding"] == "chunked"


def test_deltas_take_their_time() -> None:
    begun = time.perf_counter()
    run(
        "anthropic",
        [Answer(text="abc", pieces=1, delay_s=0.01)],
        lambda server, good: good.send(server, stream=True),
    )
    assert time.perf_counter() - begun > 0.05


def test_connections_stay_open_and_are_counted() -> None:
    async def use(server: StrictServer, good: Good) -> None:
        path, body = server.url + good.path, {**good.body, "stream": True}
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            for _ in range(3):
                assert (await client.post(path, json=body, headers=good.headers)).status_code == 200
            assert server.connections == 1
            headers = {**good.headers, "connection": "close"}
            assert (await client.post(path, json=body, headers=headers)).status_code == 200
            assert (await client.post(path, json=body, headers=good.headers)).status_code == 200
            assert server.connections == 2

    run("groq", [Answer(text="hi")] * 5, use)


def test_requests_are_recorded() -> None:
    async def use(server: StrictServer, good: Good) -> None:
        await good.send(server)
        request = server.requests[0]
        assert (request.method, request.path, request.refusal) == ("POST", "/api/chat", "")
        assert request.json == {**good.body, "stream": False}
        assert request.headers["content-type"] == "application/json"

    run("ollama", lambda body: Answer(text=str(len(body["messages"]))), use)


def test_a_chunked_request_is_read() -> None:
    async def use(server: StrictServer, good: Good) -> None:
        data = json.dumps(good.body).encode()

        async def pieces() -> Any:
            for at in range(0, len(data), 100):
                yield data[at : at + 100]

        headers = {**good.headers, "content-type": "application/json; charset=utf-8"}
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            response = await client.post(server.url + good.path, content=pieces(), headers=headers)
        assert response.status_code == 200

    run("mistral", [Answer(text="hi")], use)


def test_many_clients_at_once_are_served() -> None:
    async def use(server: StrictServer, good: Good) -> None:
        answers = await asyncio.gather(*[good.send(server, stream=True) for _ in range(10)])
        assert {answer.status_code for answer in answers} == {200}
        assert server.connections == 10

    run("openai-chat", [Answer(text=TEXT, delay_s=0.001)] * 10, use)


def test_code_without_a_loop_may_use_it_too() -> None:
    good = GOODS["anthropic"]()
    with StrictServer("anthropic", [Answer(text="hi")]) as server:
        response = httpx.post(
            server.url + good.path,
            json=good.body,
            headers=good.headers,
            verify=False,
            trust_env=False,
        )
        assert response.json()["content"] == [{"type": "text", "text": "hi"}]
    assert server.refused == []


def test_a_client_that_hangs_up_harms_nobody() -> None:
    async def use(server: StrictServer, good: Good) -> None:
        body = {**good.body, "stream": True}
        async with (
            httpx.AsyncClient(verify=False, trust_env=False) as client,
            client.stream(
                "POST", server.url + good.path, json=body, headers=good.headers
            ) as response,
        ):
            assert response.status_code == 200
        assert (await good.send(server)).status_code == 200

    run("groq", [Answer(text=TEXT * 1000, pieces=1, delay_s=0.001), Answer(text="hi")], use)
