"""ChatGPT's backend: Responses with an access token, without sampling parameters, always streaming."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, connect, errors
from graphflow.model.reply import gather
from graphflow.model.seam import Request
from graphflow.model.turns import UserTurn
from tests.conftest import walk
from tests.providers.raw_server import RawServer, head, reply


def token(claims: Any) -> str:
    return ".".join(
        urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({}, claims, {})
    )


TOKEN = token({"https://api.openai.com/auth": {"chatgpt_account_id": "acc-123"}})
ITEM = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello"}],
}
DONE = {
    "id": "resp_1",
    "model": "gpt-6-sol",
    "status": "completed",
    "output": [ITEM],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}
STREAM = "".join(
    f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
    for event in (
        {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-6-sol"}},
        {"type": "codex.rate_limits", "anything": 1},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Hello"},
        {"type": "response.completed", "response": DONE},
    )
).encode()  # fmt: skip


def test_it_answers_and_is_told_whose_account_it_is() -> None:
    graph = Graph("g", START >> Agent("a", system="Be brief.") >> END)
    with RawServer([head(type="") + STREAM]) as raw:  # it has been seen to send no content type
        run = walk(graph, "Hi", model=connect("chatgpt:gpt-6-sol", key=TOKEN, base_url=raw.url))
    assert run.output == "Hello"
    [request] = raw.requests
    top, _, body = request.partition(b"\r\n\r\n")
    assert b"POST /responses" in top
    assert b"chatgpt-account-id: acc-123" in top.lower()
    sent = json.loads(body)
    assert (sent["store"], sent["stream"], sent["instructions"]) == (False, True, "Be brief.")
    assert sent["include"] == ["reasoning.encrypted_content"]
    assert isinstance(sent["input"], list)
    assert not {"temperature", "top_p", "max_output_tokens"} & sent.keys()


def test_what_it_refuses_is_refused_before_it_is_sent() -> None:
    model = connect("chatgpt:gpt-6-sol", key=TOKEN, base_url="http://127.0.0.1:9")
    with pytest.raises(errors.BadRequest, match="temperature=0"):
        asyncio.run(gather(model.stream(Request((UserTurn("Hi"),), temperature=0))))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"detail": "Unauthorized"}, errors.AuthError),
        (400, {"detail": "Store must be set to false"}, errors.BadRequest),
        (
            429,
            {
                "error": {
                    "type": "usage_limit_reached",
                    "message": "reached",
                    "resets_in_seconds": 9000,
                }
            },
            errors.QuotaExceeded,
        ),
        (503, {"error": {"code": "server_is_overloaded", "message": "busy"}}, errors.Overloaded),
    ],
)
def test_its_failures_are_typed(status: int, body: Any, kind: Any) -> None:
    with (
        RawServer(reply(json.dumps(body).encode(), status)) as raw,
        pytest.raises(errors.ModelError) as caught,
    ):
        asyncio.run(
            gather(
                connect("chatgpt:m", key=TOKEN, base_url=raw.url, retry=1).stream(
                    Request((UserTurn("x"),))
                )
            )
        )
    assert type(caught.value) is kind
    if kind is errors.QuotaExceeded:
        assert caught.value.retry_after == 9000


@pytest.mark.parametrize("odd", ["abc", "a.b.c", token({}), token([]), "a.%%.c"])
def test_a_token_without_an_account_is_sent_as_it_is(
    odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATGPT_ACCESS_TOKEN", odd)
    with RawServer([head() + STREAM]) as raw:
        asyncio.run(
            gather(connect("chatgpt:m", base_url=raw.url).stream(Request((UserTurn("x"),))))
        )
    assert b"chatgpt-account-id" not in raw.requests[0].lower()
