"""How likely tokens were, from each wire format that tells it; shapes as in the vendors' API pages named in the wires."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest

from graphflow import END, START, Failover, Graph, Router, connect
from graphflow.errors import BadRequest
from graphflow.events import RouteDecided
from graphflow.model.reply import Reply, gather
from graphflow.model.seam import Likely, Request
from graphflow.model.turns import UserTurn
from graphflow.providers.embedded import weights
from tests.conftest import walk
from tests.providers.raw_server import RawServer, reply

TEXT = '{"label":"two"}'
TOLD = [
    ('{"label":"', [('{"label":"', 0.0)]),
    ("two", [("two", -0.2231), ("one", -1.6094)]),
    ('"}', [('"}', 0.0)]),
]
SPELLED = [
    {"token": t, "logprob": top[0][1], "top_logprobs": [{"token": a, "logprob": p} for a, p in top]}
    for t, top in TOLD
]
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
REPLIES: dict[str, Any] = {
    "compatible": {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT},
                "logprobs": {"content": SPELLED},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    },
    "openai-responses": {
        "id": "r",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "m",
                "content": [
                    {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": SPELLED}
                ],
            }
        ],
        "usage": {"input_tokens": 9, "output_tokens": 3},
    },
    "google": {
        "candidates": [
            {
                "content": {"parts": [{"text": TEXT}]},
                "finishReason": "STOP",
                "logprobsResult": {
                    "chosenCandidates": [
                        {"token": t, "logProbability": top[0][1]} for t, top in TOLD
                    ],
                    "topCandidates": [
                        {"candidates": [{"token": a, "logProbability": p} for a, p in top]}
                        for _, top in TOLD
                    ],
                },
            }
        ],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3},
    },
    "ollama": {
        "message": {"role": "assistant", "content": TEXT},
        "logprobs": SPELLED,
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 9,
        "eval_count": 3,
    },
}
ASKED: dict[str, dict[str, Any]] = {
    "compatible": {"logprobs": True, "top_logprobs": 5},
    "openai-responses": {"top_logprobs": 5, "include": ["message.output_text.logprobs"]},
    "google": {"generationConfig": {"responseLogprobs": True, "logprobs": 5}},
    "ollama": {"logprobs": True, "top_logprobs": 5},
}


@pytest.mark.parametrize("provider", REPLIES)
def test_every_wire_that_tells_it(provider: str) -> None:
    with RawServer(reply(json.dumps(REPLIES[provider]).encode())) as server:
        model = connect(f"{provider}:m", base_url=server.url, key="k", stream=False, retry=1)

        async def main() -> Reply:
            return await gather(model.stream(Request((UserTurn("x"),), top_logprobs=5)))

        answer = asyncio.run(main())
        assert answer.text == TEXT
        assert answer.logprobs == tuple(Likely(t, tuple(top)) for t, top in TOLD)
        [request] = server.requests
        body = json.loads(request.split(b"\r\n\r\n", 1)[1])
        for key, value in ASKED[provider].items():
            assert body[key] == value


def streamed(two: float) -> list[Any]:
    """A stream in which the label "two" has that probability, and "one" the rest."""
    likely = [
        {"token": "two", "logprob": math.log(two)},
        {"token": "one", "logprob": math.log(1 - two)},
    ]
    places = [SPELLED[0], {"token": "two", "logprob": 0, "top_logprobs": likely}, SPELLED[2]]
    chunks: list[Any] = [
        {
            "choices": [
                {"index": 0, "delta": {"content": place["token"]}, "logprobs": {"content": [place]}}
            ]
        }
        for place in places
    ]
    chunks.append(
        {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]}
    )
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return reply(body.encode(), type="text/event-stream")


def test_a_router_over_a_stream() -> None:
    with RawServer(streamed(0.8), streamed(0.5)) as server:
        router: Router[str, str] = Router("r", input=str, labels=["one", "two"], probabilities=True)
        graph = Graph("g", START >> router, router["one"] >> END, router["two"] >> END)
        run = walk(graph, "x", model=connect("compatible:m", base_url=server.url, retry=1))
        [why] = [event for event in run.events if isinstance(event, RouteDecided)]
        assert why.choice == "two"
        assert why.scores == {"one": pytest.approx(0.2), "two": pytest.approx(0.8)}
        body = json.loads(server.requests[0].split(b"\r\n\r\n", 1)[1])
        assert (body["logprobs"], body["top_logprobs"], len(server.requests)) == (True, 20, 3)


def test_who_cannot_tell_says_so() -> None:
    groq = connect("groq:m", key="k")
    assert getattr(groq, "top_logprobs", 0) == 0

    async def main() -> Reply:
        return await gather(groq.stream(Request((UserTurn("x"),), top_logprobs=5)))

    with pytest.raises(BadRequest, match="no way to send top_logprobs=5; it gives none"):
        asyncio.run(main())
    assert (
        Failover(groq, connect("compatible:m", base_url="http://127.0.0.1:9/v1")).top_logprobs == 0
    )


@pytest.mark.local_model
def test_the_embedded_model_tells_probabilities() -> None:
    weights.pull("smollm2", say=print)
    labels = {"greeting": "Hello! Good morning!", "arithmetic": "What is 2 + 2?"}
    router: Router[str, str] = Router("r", input=str, labels=labels, probabilities=True)
    graph = Graph("g", START >> router, router["greeting"] >> END, router["arithmetic"] >> END)
    run = walk(graph, "Hello there!", model="local:smollm2")
    assert run.error is None
    [why] = [event for event in run.events if isinstance(event, RouteDecided)]
    assert set(why.scores) == set(labels)
    assert sum(why.scores.values()) == pytest.approx(1, abs=1e-3)
    assert "calibrated" in why.reason
