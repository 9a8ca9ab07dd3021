"""The embedded model served by a real OpenAI-compatible server, reached over the wire that everybody else's is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, connect
from graphflow.errors import AuthError, ContextOverflow
from graphflow.events import ModelDelta
from graphflow.model.reply import Reply, gather
from graphflow.model.seam import CallDelta, ModelEvent, Request, TextDelta, ToolSpec
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, Turn, UserTurn
from graphflow.providers.embedded import weights
from tests.conftest import heard, walk

pytestmark = pytest.mark.local_model
KEY = "sk-served-here"
WEATHER = ToolSpec(
    "weather",
    "The weather of a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    path = weights.pull("smollm2")
    script = Path(__file__).with_name("serve_local.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(path), KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip() + "/v1"
        server.stdin.close()
        server.wait(60)


def ask(url: str, request: Request, heard: list[ModelEvent] | None = None, key: str = KEY) -> Reply:
    model = connect("llamacpp:smollm2", base_url=url, key=key, retry=1)
    return asyncio.run(gather(model.stream(request), None if heard is None else heard.append))


def test_text_streams(url: str) -> None:
    heard: list[ModelEvent] = []
    reply = ask(url, Request((UserTurn("Say hello."),), max_tokens=16, temperature=0), heard)
    assert reply.text
    assert sum(isinstance(e, TextDelta) for e in heard) > 3
    assert (reply.finish, reply.output_tokens, reply.usd) == ("length", 16, 0.0)


class Person(BaseModel):
    name: str
    age: int


def test_a_schema_holds_in_a_whole_walk(url: str) -> None:
    reader = Agent(
        "reader", output=Person, prompt="Extract: {{ message }}", max_tokens=60, temperature=0
    )
    graph = Graph(
        "g", START >> reader >> END, model=connect("llamacpp:smollm2", base_url=url, key=KEY)
    )
    run = walk(graph, "John Smith is 42.", observed=True)
    assert run.output == Person(name="John Smith", age=42)
    assert len([e for e in heard(run) if isinstance(e, ModelDelta)]) > 5
    assert run.usage.usd == 0.0


def shown(city: str) -> tuple[Turn, ...]:
    return (
        UserTurn(f"What is the weather in {city}?"),
        AssistantTurn("", (ToolCall(f"call_{city}", "weather", f'{{"city":"{city}"}}'),)),
        ToolTurn((ToolResult(f"call_{city}", "weather", "It rains."),)),
        AssistantTurn(f"It rains in {city}."),
    )


def test_tools_are_called_and_answered(url: str) -> None:
    turns = (*shown("Rome"), *shown("Paris"), UserTurn("What is the weather in Oslo?"))
    heard: list[ModelEvent] = []
    reply = ask(url, Request(turns, tools=(WEATHER,), max_tokens=40, temperature=0), heard)
    assert [call.name for call in reply.calls] == ["weather"]
    assert "city" in reply.calls[0].arguments
    assert reply.finish == "tool_calls"
    assert sum(isinstance(e, CallDelta) for e in heard) > 3  # the arguments come piece by piece
    answered = (
        *turns,
        reply.turn,
        ToolTurn((ToolResult(reply.calls[0].id, "weather", "It snows."),)),
    )
    last = ask(url, Request(answered, tools=(WEATHER,), max_tokens=40, temperature=0))
    assert last.text
    assert not last.calls


def test_its_failures_are_typed(url: str) -> None:
    with pytest.raises(AuthError):
        ask(url, Request((UserTurn("Hi"),)), key="sk-wrong-key")
    with pytest.raises(ContextOverflow):
        ask(url, Request((UserTurn("word " * 3000),)))
