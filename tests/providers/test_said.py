"""Failures by what they say: codes, numbers and words, in the body of a failure or inside a reply of status 200."""

from __future__ import annotations

import asyncio
import json
from secrets import token_hex
from typing import Any

import pytest

from graphflow import connect, errors
from graphflow.model.reply import Reply, gather
from graphflow.model.seam import Model, Request
from graphflow.model.turns import UserTurn
from graphflow.providers import RetryPolicy
from tests.providers.raw_server import RawServer, reply
from tests.providers.reach import TARGETS
from tests.providers.spelled import asked_at, says, streamed


def gathered(asked: Model) -> Reply:
    return asyncio.run(asyncio.wait_for(gather(asked.stream(Request((UserTurn("hi"),)))), 60))


SPENT = [
    (
        "openai",
        429,
        {"error": {"code": code, "type": "insufficient_quota", "message": "The limit is reached."}},
    )
    for code in (
        *(
            "project_spend_limit_exceeded",
            "organization_spend_limit_exceeded",
            "credit_balance_exhausted",
        ),
        *("organization_usage_limit_exceeded", "insufficient_quota", "billing_hard_limit_reached"),
    )
] + [
    (
        "anthropic",
        429,
        {
            "error": {
                "type": "rate_limit_error",
                "message": "Paused.",
                "details": {"error_code": "enforced_spend_limit_reached"},
            }
        },
    ),
    (
        "anthropic",
        429,
        {
            "error": {
                "type": "rate_limit_error",
                "message": "You have reached your API usage limits: ...",
            }
        },
    ),
    (
        "anthropic",
        400,
        {
            "error": {
                "type": "invalid_request_error",
                "message": "You have reached your specified API usage limits.",
            }
        },
    ),
    (
        "anthropic",
        400,
        {
            "error": {
                "type": "invalid_request_error",
                "message": "You have reached your specified workspace API usage limits.",
            }
        },
    ),
    ("anthropic", 402, {"error": {"type": "billing_error", "message": "Pay."}}),
]


@pytest.mark.parametrize(("provider", "status", "body"), SPENT)
def test_a_spent_budget_is_not_tried_again_and_its_key_is_dropped(
    provider: str, status: int, body: Any
) -> None:
    # A key that was refused is refused everywhere.
    spent, paid = f"sk-spent-{token_hex(8)}", f"sk-paid-{token_hex(8)}"
    refusal = reply(json.dumps(body).encode(), status)
    with RawServer(refusal) as raw:
        with pytest.raises(errors.QuotaExceeded) as caught:
            gathered(asked_at(provider, raw))
        assert not caught.value.retryable
        assert len(raw.requests) == 1
    with RawServer(refusal, says(provider, "one"), says(provider, "two")) as raw:
        _, name, path = TARGETS[provider]
        asked = connect(f"{provider}:{name}", keys=[spent, paid], base_url=raw.url + path)
        assert [gathered(asked).text, gathered(asked).text] == ["one", "two"]
        assert [spent.encode() in request for request in raw.requests] == [True, False, False]


WORDS = [
    ("openai", {"error": {"code": 429, "message": "slow"}}, errors.RateLimited),
    ("openai", {"error": {"code": "402", "message": "pay"}}, errors.QuotaExceeded),
    ("openai", {"error": {"code": 400, "message": "no such parameter"}}, errors.BadRequest),
    ("openai", {"error": {"code": 401, "message": "who?"}}, errors.AuthError),
    ("openai", {"error": {"code": 502, "message": "upstream"}}, errors.ServerError),
    ("openai", {"error": {"message": "nothing more is known"}}, errors.ServerError),
    ("openai", {"object": "error", "message": "bad", "code": 400}, errors.BadRequest),
    ("google", {"error": {"code": 429, "message": "slow"}}, errors.RateLimited),
    (
        "google",
        {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "x"}},
        errors.BadRequest,
    ),
    (
        "openai-responses",
        {"type": "error", "code": "invalid_prompt", "message": "Wrong."},
        errors.BadRequest,
    ),
    (
        "openai-responses",
        {
            "type": "error",
            "code": "invalid_prompt",
            "message": "Your prompt was flagged as potentially violating our usage policy.",
        },
        errors.ContentFiltered,
    ),
    (
        "openai-responses",
        {"type": "error", "code": "cyber_policy", "message": "Flagged."},
        errors.ContentFiltered,
    ),
    (
        "openai-responses",
        {"type": "error", "code": "invalid_image_url", "message": "x"},
        errors.BadRequest,
    ),
    (
        "openai-responses",
        {"type": "error", "code": "rate_limit_exceeded", "message": "x"},
        errors.RateLimited,
    ),
    (
        "anthropic",
        {"type": "error", "error": {"type": "invalid_request_error", "message": "x"}},
        errors.BadRequest,
    ),
    (
        "anthropic",
        {"type": "error", "error": {"type": "overloaded_error", "message": "x"}},
        errors.Overloaded,
    ),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("provider", "body", "kind"), WORDS)
def test_a_failure_inside_a_reply_is_read_for_what_it_says(
    provider: str, body: Any, kind: type[errors.ModelError], stream: bool
) -> None:
    if provider == "openai-responses" and not stream:
        body = {"status": "failed", "error": {key: body[key] for key in ("code", "message")}}
    steps = streamed(provider, body) if stream else reply(json.dumps(body).encode())
    with RawServer(steps) as raw, pytest.raises(errors.ModelError) as caught:
        gathered(asked_at(provider, raw, stream=stream, retry=1))
    assert type(caught.value) is kind


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_failure_of_a_choice_keeps_what_it_had_said(stream: bool) -> None:
    said = {"delta" if stream else "message": {"content": "half of"}, "finish_reason": "error"}
    broken = {"choices": [{**said, "error": {"code": 429, "message": "the upstream is slow"}}]}
    steps = streamed("openai", broken) if stream else reply(json.dumps(broken).encode())
    with (
        RawServer(steps) as raw,
        pytest.raises(errors.RateLimited, match="the upstream is slow") as caught,
    ):
        gathered(asked_at("openai", raw, stream=stream, retry=1))
    assert caught.value.partial is not None
    assert caught.value.partial.text == "half of"


@pytest.mark.parametrize(
    "text",
    [
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens`",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "This model's maximum context length is 8192 tokens.",
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
        "the request exceeds the available context size, try increasing it",
        "Invalid request: Your request exceeded model token limit: 131072",
    ],
)
def test_what_is_too_long_is_told_in_many_ways(text: str) -> None:
    with (
        RawServer(reply(json.dumps({"error": {"message": text}}).encode(), 400)) as raw,
        pytest.raises(errors.ContextOverflow),
    ):
        gathered(asked_at("openai", raw))


def test_a_failure_in_a_list_is_read() -> None:
    quota = [
        {
            "error": {
                "code": 429,
                "status": "RESOURCE_EXHAUSTED",
                "message": "slow",
                "details": [WAIT],
            }
        }
    ]
    for status, steps in (
        (429, reply(json.dumps(quota).encode(), 429)),
        (200, reply(json.dumps(quota).encode())),
    ):
        with RawServer(steps) as raw, pytest.raises(errors.RateLimited, match="slow") as caught:
            gathered(asked_at("google", raw, retry=1))
        assert caught.value.status == status
        assert caught.value.retry_after == 7


WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}


@pytest.mark.parametrize(("said", "tries"), [("false", 1), ("true", 2)])
def test_a_server_that_says_not_to_try_again_is_believed(said: str, tries: int) -> None:
    broken = reply(b'{"error": {"message": "x"}}', 500, x_should_retry=said)
    with RawServer(broken) as raw:
        with pytest.raises(errors.ServerError):
            gathered(asked_at("openai", raw, retry=RetryPolicy(attempts=2, wait_s=0.001)))
        assert len(raw.requests) == tries
