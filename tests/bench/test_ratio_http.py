"""The cost of asking a model over HTTP as a ratio to bare httpx, against the same server: the goal doubled.

Goals: a turn at most 1.15 of bare httpx, a text delta at most 1.2 with each delivered as a typed event, and a turn that
costs the same however long the history is. `python -m tests.bench.test_ratio_http` prints the figures.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from graphflow.model.reply import gather
from graphflow.model.seam import Request, TextDelta, ToolSpec
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, Turn, UserTurn
from graphflow.providers import connect
from graphflow.providers.http_model import HttpModel
from tests.bench.beside import assert_costs, at_once
from tests.providers.raw_server import RawServer

ROUNDS = 15
TRIES = 6
"""What is too slow is measured again: noise only ever adds."""


def stream_of(deltas: int) -> bytes:
    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return (
            b"data: "
            + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()
            + b"\n\n"
        )

    pieces = [
        event({"role": "assistant", "content": ""}),
        *(event({"content": f"w{i} "}) for i in range(deltas)),
    ]
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
    return b"".join([*pieces, event({}, "stop"), usage, b"data: [DONE]\n\n"])


def served(body: bytes) -> list[Any]:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    return [head + body]


def history(turns: int) -> tuple[Turn, ...]:
    said: list[Turn] = [UserTurn("Look everything up.")]
    for number in range(turns):
        calls = tuple(
            ToolCall(f"call_{number}_{i}", "lookup", json.dumps({"key": f"k{i}"})) for i in range(3)
        )
        said.append(AssistantTurn("", calls))
        said.append(ToolTurn(tuple(ToolResult(c.id, c.name, f"value {c.id}") for c in calls)))
    return tuple(said)


TOOL = ToolSpec(
    "lookup", "Look a key up.", {"type": "object", "properties": {"key": {"type": "string"}}}
)


async def bare(client: httpx.AsyncClient, url: str, request: Request) -> str:
    """What a loop written by hand does: encode the whole history, read lines, join pieces."""
    messages: list[dict[str, Any]] = []
    for turn in request.turns:
        if isinstance(turn, UserTurn):
            messages.append({"role": "user", "content": turn.content})
        elif isinstance(turn, AssistantTurn):
            calls = [
                {
                    "id": c.id,
                    "type": "function",
                    "function": {"name": c.name, "arguments": c.arguments},
                }
                for c in turn.calls
            ]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        else:
            messages += [
                {"role": "tool", "tool_call_id": r.id, "content": r.content} for r in turn.results
            ]
    tools = [
        {"type": "function", "function": {"name": t.name, "parameters": t.parameters}}
        for t in request.tools
    ]
    body = {
        "model": "m",
        "messages": messages,
        "tools": tools,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    text: list[str] = []
    async with client.stream(
        "POST", f"{url}/chat/completions", json=body, headers={"authorization": "Bearer x"}
    ) as got:
        async for line in got.aiter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                for choice in json.loads(line[6:])["choices"]:
                    if choice["delta"].get("content"):
                        text.append(choice["delta"]["content"])
    return "".join(text)


async def ours(model: HttpModel, request: Request) -> str:
    heard: list[str] = []

    def listen(event: Any) -> None:
        if type(event) is TextDelta:
            heard.append(event.text)

    return (await gather(model.stream(request), listen)).text


async def fastest(works: list[Callable[[], Awaitable[str]]]) -> list[float]:
    """Seconds of each, in turn, the fastest of several rounds."""
    best = [1e9] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            begun = time.perf_counter()
            await work()
            best[number] = min(best[number], time.perf_counter() - begun)
    return best


def measure(deltas: int, turns: int) -> tuple[float, float]:
    """Seconds of bare httpx and of ours, for one question with that history and that answer."""
    with RawServer(served(stream_of(deltas))) as raw:

        async def main() -> list[float]:
            request = Request(history(turns), tools=(TOOL,))
            model = connect("compatible:m", base_url=raw.url, key="x")
            assert isinstance(model, HttpModel)
            async with httpx.AsyncClient(timeout=60) as client:
                assert await bare(client, raw.url, request) == await ours(model, request)
                return await fastest(
                    [lambda: bare(client, raw.url, request), lambda: ours(model, request)]
                )

        by_hand, our_own = asyncio.run(main())
        return by_hand, our_own


def test_a_turn_and_a_delta_cost_little_more_than_by_hand() -> None:
    turn = delta = 0.0
    for _ in range(TRIES):
        few, many = measure(1, 10), measure(2000, 10)
        turn, delta = few[1] / few[0], (many[1] - few[1]) / (many[0] - few[0])
        if turn < 2.3 and 0 < delta < 2.4:
            return
    raise AssertionError(
        f"a turn costs {turn:.2f} and a delta {delta:.2f} times what they cost by hand"
    )


def test_a_turn_costs_the_same_however_long_the_history_is() -> None:
    short, long = Request(history(5), tools=(TOOL,)), Request(history(400), tools=(TOOL,))
    model = connect("compatible:m", base_url="http://127.0.0.1:9")
    assert isinstance(model, HttpModel)

    results = [
        {"role": "tool", "tool_call_id": f"c{i}", "content": f"value {i}"} for i in range(1600)
    ]

    def both() -> None:
        """Joining 800 kept turns costs less than encoding as many once."""
        model.render(short)
        json.dumps(results)

    assert_costs(at_once(lambda: model.render(long)), at_once(both), 1)


def main() -> None:
    few, many, more = measure(1, 10), measure(2000, 10), measure(1, 100)
    print(
        f"a turn, 10 turns of history:  {few[0] * 1e3:.2f} ms by hand, ours {few[1] / few[0]:.2f} of it"
    )
    print(
        f"a turn, 100 turns of history: {more[0] * 1e3:.2f} ms by hand, ours {more[1] / more[0]:.2f} of it"
    )
    by_hand, our_own = (many[0] - few[0]) / 2000, (many[1] - few[1]) / 2000
    print(f"a delta: {by_hand * 1e6:.2f} us by hand, ours {our_own / by_hand:.2f} of it")


if __name__ == "__main__":
    main()
