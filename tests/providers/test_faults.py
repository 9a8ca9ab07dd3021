"""What can go wrong between here and there: each ends in the right typed error or a successful retry, and nothing hangs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from graphflow import errors
from graphflow.model.reply import Reply, ReplyBuilder, gather
from graphflow.model.seam import ModelEvent, Request, Restarted, Retried, TextDelta
from graphflow.model.turns import UserTurn
from graphflow.providers import RetryPolicy, Timeouts, connect
from graphflow.providers.reply_reader import ReplyReader
from tests.conformance.dialects import WIRES
from tests.providers.raw_server import RawServer, Step, head, reply
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer
from tests.waiting import LONG_S, eventually

ASKED = Request((UserTurn("Hi"),))
FAST = RetryPolicy(attempts=3, wait_s=0.001)
CHAT = (
    b'data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":" world"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    b"data: [DONE]\n\n"
)
HALF = CHAT[: CHAT.index(b'data: {"choices":[{"index":0,"delta":{"content":" world')]
WHOLE = json.dumps(
    {
        "id": "c1",
        "choices": [{"index": 0, "message": {"content": "Hello world"}, "finish_reason": "stop"}],
    }
).encode()


def ask(
    at: RawServer | str, *, listen: Any = None, request: Request = ASKED, **options: Any
) -> Reply:
    url = at if isinstance(at, str) else at.url
    options.setdefault("retry", FAST)

    async def main() -> Reply:
        asked = connect("openai:gpt-x", key="sk-secret-1234567890", base_url=url + "/v1", **options)
        async with asyncio.timeout(LONG_S):
            return await gather(asked.stream(request), listen)

    return asyncio.run(main())


def bodies() -> dict[str, bytes]:
    """A stream of each dialect with text, thinking and a call, as the strict servers send it."""
    found: dict[str, bytes] = {}
    answer = Answer(text="Grüße ☔", thinking="Hm.", calls=(("f", {"a": "ü", "n": 1}),))
    for provider, (dialect, _, _) in TARGETS.items():
        tools = {
            "name": "f",
            "description": "F.",
            "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
        }
        from graphflow.model.seam import ToolSpec

        request = Request((UserTurn("Hi"),), tools=(ToolSpec(**tools),))
        with server(provider, [answer]) as strict:
            sent: Any = model(provider, strict)
            call = sent.call(sent.render(request), sent.keys.take())
            got = httpx.post(call.url, headers=call.headers, content=call.body)
            assert got.status_code == 200, got.text
            found[dialect] = got.content
    return found


def test_a_stream_cut_at_every_byte_is_never_a_short_answer() -> None:
    for dialect, body in bodies().items():
        wire, spoken = WIRES[dialect]
        whole = ReplyBuilder()
        reader = ReplyReader(wire, spoken, dialect)
        for event in [*reader.feed(body), *reader.end()]:
            whole.add(event)
        complete = whole.whole()
        assert complete.text == "Grüße ☔"
        finished = 0
        for cut in range(len(body)):
            part = ReplyBuilder()
            reader = ReplyReader(wire, spoken, dialect)
            try:
                for event in reader.feed(body[:cut]):
                    part.add(event)
                for event in reader.end():
                    part.add(event)
            except errors.ModelError as error:
                assert isinstance(error, errors.MalformedReply), (dialect, cut, error)
            if reader.failure is None and part.finished:
                finished += 1  # only blank lines were cut off, or what follows the terminal event
                got = part.whole()
                assert (got.text, got.input_tokens, got.finish) == (
                    complete.text,
                    complete.input_tokens,
                    complete.finish,
                )
                assert [c.arguments for c in got.calls] == [c.arguments for c in complete.calls]
            else:
                assert complete.text.startswith(part.whole().text)  # what was received is there
        assert finished < 60, (dialect, finished)


@pytest.mark.parametrize("how", ["abort", "close"])
def test_a_connection_cut_anywhere_is_an_error_with_what_was_received(how: Step) -> None:
    for cut in range(0, len(CHAT) - 16, 37):
        heard: list[ModelEvent] = []
        with (
            RawServer([head() + CHAT[:cut], 0.002, how]) as raw,
            pytest.raises(errors.ModelError) as caught,
        ):
            ask(raw, listen=heard.append, retry=1)
        assert isinstance(caught.value, (errors.ConnectionFailed, errors.MalformedReply))
        assert caught.value.retryable
        text = "".join(e.text for e in heard if isinstance(e, TextDelta))
        assert "Hello world".startswith(text)
        if text:
            assert caught.value.partial.text == text


def test_a_chunked_reply_without_its_last_chunk_is_a_broken_connection() -> None:
    chunk = b"%x\r\n%s\r\n" % (len(HALF), HALF)
    start = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    with (
        RawServer([start + chunk, "close"]) as raw,
        pytest.raises(errors.ConnectionFailed, match="broke before"),
    ):
        ask(raw, retry=1)


def test_before_anything_was_delivered_it_is_asked_again() -> None:
    heard: list[ModelEvent] = []
    with RawServer(["abort"], reply(b"<html>502</html>", 502, "text/html"), [head() + CHAT]) as raw:
        assert ask(raw, listen=heard.append).text == "Hello world"
        assert len(raw.requests) == 3
    tries = [e for e in heard if isinstance(e, Retried)]
    assert [type(e.error) for e in tries] == [errors.ConnectionFailed, errors.ServerError]
    assert [e.attempt for e in tries] == [2, 3]


def test_after_something_was_delivered_it_is_not_unless_restart_is_asked_for() -> None:
    half = [head() + HALF, "abort"]
    with (
        RawServer(half, [head() + CHAT]) as raw,
        pytest.raises((errors.ConnectionFailed, errors.MalformedReply)),
    ):
        ask(raw)
    assert len(raw.requests) == 1
    heard: list[ModelEvent] = []
    with RawServer(half, [head() + CHAT]) as raw:
        got = ask(raw, listen=heard.append, retry=RetryPolicy(wait_s=0.001, restart=True))
    assert got.text == "Hello world"
    assert sum(isinstance(e, Restarted) for e in heard) == 1


RATE = json.dumps(
    {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
).encode()
QUOTA = json.dumps(
    {"error": {"message": "no money", "type": "insufficient_quota", "code": "insufficient_quota"}}
).encode()


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after_ms": "15"}, 0.015),
        ({"retry_after": "x"}, None),
    ],
)
def test_a_rate_limit_is_waited_for(headers: dict[str, str], wait: float | None) -> None:
    heard: list[Any] = []
    with RawServer(reply(RATE, 429, **headers), [head() + CHAT]) as raw:
        assert ask(raw, listen=heard.append).text == "Hello world"
    retried = next(e for e in heard if isinstance(e, Retried))
    assert isinstance(retried.error, errors.RateLimited)
    assert retried.error.retry_after == wait
    if wait is not None:
        assert wait <= retried.wait_s <= wait * 1.1 + 1e-9


def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    with (
        RawServer(reply(RATE, 429, retry_after="3600")) as raw,
        pytest.raises(errors.RateLimited) as caught,
    ):
        ask(raw)
    assert caught.value.retry_after == 3600
    assert len(raw.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "type", "kind", "sent"),
    [
        (429, QUOTA, "application/json", errors.QuotaExceeded, 1),
        (401, b'{"error":{"message":"Incorrect key: sk-...","code":"invalid_api_key"}}', "application/json", errors.AuthError, 1),
        (403, b"", "text/plain", errors.AuthError, 1),
        (404, b'{"error":{"message":"no such model","code":"model_not_found"}}', "application/json", errors.NotFound, 1),
        (400, b'{"error":{"message":"bad","code":"context_length_exceeded"}}', "application/json", errors.ContextOverflow, 1),
        (400, b"{half", "application/json", errors.BadRequest, 1),
        (418, b"teapot", "text/plain", errors.BadRequest, 1),
        (500, b"<html><body><h1>500</h1><p>oops</p></body></html>", "text/html", errors.ServerError, 3),
        (502, b"<html><title>Bad gateway</title></html>", "text/html", errors.ServerError, 3),
        (503, b"", "text/plain", errors.Overloaded, 3),
        (504, b"", "text/plain", errors.ModelTimeout, 3),
        (529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', "application/json", errors.Overloaded, 3),
        (302, b"", "text/html", errors.BadRequest, 1),
    ],
)  # fmt: skip
def test_each_status_is_its_own_error(
    status: int, body: bytes, type: str, kind: Any, sent: int
) -> None:
    with (
        RawServer(reply(body, status, type, x_request_id="req_1")) as raw,
        pytest.raises(errors.ModelError) as caught,
    ):
        ask(raw)
    error = caught.value
    assert builtin_type(error) is kind
    assert (error.status, error.provider, error.request_id) == (status, "openai", "req_1")
    assert error.retryable == (sent > 1)
    assert len(raw.requests) == sent
    assert "<" not in str(error)


def builtin_type(error: BaseException) -> Any:
    return type(error)


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"choices":[{"index":0,"delta":{"content":"He\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\ndata: {half\n\n',
        b"data: [1, 2]\n\n",
        b"data: hello\n\n",
    ],
)
def test_half_json_is_malformed(body: bytes) -> None:
    with RawServer([head() + body, "close"]) as raw, pytest.raises(errors.MalformedReply) as caught:
        ask(raw, retry=1)
    if b"Hello" in body:
        assert caught.value.partial.text == "Hello"


@pytest.mark.parametrize("type", ["text/plain", "application/json", "application/octet-stream", ""])
def test_a_wrong_content_type_does_not_matter_where_the_bytes_are_plain(type: str) -> None:
    with RawServer([head(type=type) + CHAT]) as raw:
        assert ask(raw).text == "Hello world"
    with RawServer([head(type="text/event-stream") + WHOLE]) as raw:
        assert ask(raw).text == "Hello world"


def test_a_page_instead_of_an_answer_is_malformed() -> None:
    for page, words in (
        (b"<html>Please log in</html>", "neither a stream nor JSON"),
        (b"", "empty"),
    ):
        with (
            RawServer([head(type="text/html") + page]) as raw,
            pytest.raises(errors.MalformedReply, match=words),
        ):
            ask(raw, retry=1)


def test_an_event_of_fifty_megabytes_is_refused_by_a_cap() -> None:
    piece = b"x" * 1_000_000
    for start in (
        b'data: {"choices":[{"index":0,"delta":{"content":"',
        b'{"choices":[{"message":{"content":"',
    ):
        huge: list[Step] = [head() + start, *[piece] * 50, b'"}}]}\n\n']
        with RawServer(huge) as raw, pytest.raises(errors.MalformedReply, match="larger than"):
            ask(raw, retry=1)


def test_stalls_end_at_their_timeouts() -> None:
    for steps, phase, seconds in (
        (["hang"], "first", 0.05),
        ([head(), "hang"], "first", 0.05),
        ([head() + HALF, "hang"], "idle", 0.05),
        ([head() + HALF, *[0.03, b": ping\n\n"] * 1000, "hang"], "whole", 2),
    ):
        quick = Timeouts(
            **{"connect_s": LONG_S, "first_s": LONG_S, "idle_s": LONG_S, f"{phase}_s": seconds}
        )
        with RawServer(steps) as raw:
            with pytest.raises(errors.ModelTimeout) as caught:
                ask(raw, timeouts=quick, retry=1)
            assert raw.gone.wait(LONG_S)  # the socket was closed
        assert caught.value.phase == phase
        if phase != "first":
            assert caught.value.partial.text == "Hello"


def test_a_server_that_keeps_the_connection_after_the_end_does_not_hold_us() -> None:
    with RawServer([head() + CHAT, "hang"]) as raw:
        assert ask(raw).text == "Hello world"


def test_nobody_there() -> None:
    with pytest.raises(errors.ConnectionFailed, match=r"no connection to http://127\.0\.0\.1:9"):
        ask("http://127.0.0.1:9", retry=1)


def test_cancelling_closes_the_socket_at_once() -> None:
    async def main(raw: RawServer) -> None:
        asked = connect("openai:gpt-x", key="k", base_url=raw.url)
        heard: list[Any] = []
        task = asyncio.create_task(gather(asked.stream(ASKED), heard.append))
        await eventually(lambda: heard)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(raw.gone.wait, LONG_S)

    with RawServer([head() + HALF, "hang"]) as raw:
        asyncio.run(main(raw))


def test_who_stops_listening_closes_the_socket() -> None:
    async def main(raw: RawServer) -> None:
        stream = connect("openai:gpt-x", key="k", base_url=raw.url).stream(ASKED)
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        await stream.aclose()  # type: ignore[attr-defined]
        assert await asyncio.to_thread(raw.gone.wait, LONG_S)

    with RawServer([head() + HALF, "hang"]) as raw:
        asyncio.run(main(raw))


def test_a_timeout_of_the_caller_stays_the_callers() -> None:
    async def main(raw: RawServer) -> None:
        asked = connect(
            "openai:gpt-x", key="k", base_url=raw.url, timeouts=Timeouts(first_s=LONG_S)
        )
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.02):
                await gather(asked.stream(ASKED))
        assert not isinstance(caught.value, errors.ModelTimeout)

    with RawServer(["hang"]) as raw:
        asyncio.run(main(raw))


@pytest.mark.parametrize("provider", sorted(set(TARGETS)))
def test_an_error_in_the_middle_of_a_stream(provider: str) -> None:
    script = [
        Answer(text="Hello world, this is long", error="overloaded", mid_stream_error=True)
    ] * 3
    with server(provider, script) as strict:

        async def main() -> None:
            await gather(model(provider, strict, retry=FAST).stream(ASKED))

        with pytest.raises(errors.ModelError) as caught:
            asyncio.run(main())
        assert caught.value.retryable
        assert caught.value.partial.text
        assert len(strict.requests) == 1


@pytest.mark.parametrize("provider", sorted(set(TARGETS)))
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("auth", errors.AuthError),
        ("rate_limit", errors.RateLimited),
        ("quota", errors.QuotaExceeded),
        ("overloaded", errors.Overloaded),
        ("server", errors.ServerError),
        ("context_length", errors.ContextOverflow),
        ("invalid_request", errors.BadRequest),
        ("not_found", errors.NotFound),
    ],
)
def test_each_vendors_spelling_of_each_failure(provider: str, kind: Any, expected: Any) -> None:
    with server(provider, [Answer(error=kind)]) as strict:

        async def main() -> None:
            await gather(model(provider, strict, retry=1).stream(ASKED))

        with pytest.raises(errors.ModelError) as caught:
            asyncio.run(main())
    if (provider, kind) in SAID_ALIKE:
        expected = SAID_ALIKE[provider, kind]
    assert type(caught.value) is expected, (provider, kind, caught.value)


SAID_ALIKE = {(name, "quota"): errors.RateLimited for name in ("google", "groq", "ollama")}
"""Failures for which a vendor has the same words as for another one, so that nobody can tell them apart."""
