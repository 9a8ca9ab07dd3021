"""A whole agent loop for each provider, over a real socket, against a server that refuses what the vendor refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, tool
from graphflow.errors import OutputInvalid
from graphflow.events import ModelDelta, ModelFinished
from tests.conftest import heard, walk
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer

PROVIDERS = sorted(TARGETS)


@tool
async def weather(city: str, days: int = 1) -> str:
    """The weather of a city.

    Args:
        city: its name.
        days: how many days ahead.
    """
    if city == "Atlantis":
        raise ValueError("no such city")
    return f"{city}: rain for {days} days — ☔"


@tool
async def now() -> str:
    """The time."""
    return "12:30"


SCRIPT = (
    Answer(
        text="Let me look.",
        thinking="Two cities are asked for.",
        calls=(
            ("weather", {"city": "Oslo", "days": 2}),
            ("weather", {"city": "Atlantis"}),
            ("now", {}),
        ),
        usage=(50, 20, 10),
    ),
    Answer(
        thinking="One is missing.", calls=(("weather", {"city": "Bergen"}),), usage=(90, 10, 40)
    ),
    Answer(text="Rain in Oslo; Atlantis is lost. 🌧", usage=(120, 12, 80)),
)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_whole_agent_loop(provider: str, stream: bool) -> None:
    graph = Graph(
        "g",
        START >> Agent("guide", tools=[weather, now], system="Be brief.", prompt="Weather?") >> END,
    )
    with server(provider, SCRIPT) as strict:
        run = walk(graph, "go", model=model(provider, strict, stream=stream), observed=True)
        assert run.output == "Rain in Oslo; Atlantis is lost. 🌧"
        assert strict.refused == []
        assert len(strict.requests) == 3
        assert strict.connections == 1  # kept alive
    assert run.usage.model_calls == 3
    assert run.usage.tool_calls == 4
    assert run.usage.input_tokens == 260
    assert run.usage.output_tokens == 42
    if stream:
        spoken = "".join(
            e.text for e in heard(run) if isinstance(e, ModelDelta) and e.channel == "text"
        )
        assert spoken == "Let me look." + run.output
    results = str(strict.requests[-1].json)
    assert "Atlantis" in results
    assert "no such city" in results  # an error reaches the model
    assert [e.calls for e in run.events if isinstance(e, ModelFinished)] == [3, 1, 0]


class City(BaseModel):
    name: str
    people: int


class Nothing(BaseModel):
    why: str


@pytest.mark.parametrize("output", ["schema", "tool", "text"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output_of_a_union_with_one_repair(provider: str, output: str) -> None:
    if (provider, output) == ("ollama", "tool"):
        pytest.skip("Ollama has no tool choice")
    agent = Agent("reader", output=City | Nothing, system="Read.", prompt="Which city?")
    wrong, right = {"result": {"name": "Oslo"}}, {"result": {"name": "Oslo", "people": 700000}}
    if output == "tool":
        script = [
            Answer(calls=(("final_answer", wrong),)),
            Answer(calls=(("final_answer", right),)),
        ]
    else:
        script = [
            Answer(text='{"result": {"name": "Oslo"}}'),
            Answer(text='{"result": {"name": "Oslo", "people": 700000}}'),
        ]
    with server(provider, script) as strict:
        run = walk(
            Graph("g", START >> agent >> END), "x", model=model(provider, strict, output=output)
        )
        assert strict.refused == []
        assert run.output == City(name="Oslo", people=700000)
        assert "people" in str(strict.requests[1].json)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output_beside_tools(provider: str) -> None:
    agent = Agent("reader", output=City, tools=[weather], prompt="Which city?")
    right = {"name": "Oslo", "people": 700000}
    last = (
        Answer(calls=(("final_answer", right),))
        if provider == "groq"
        else Answer(text=json.dumps(right))
    )
    script = [Answer(calls=(("weather", {"city": "Oslo"}),)), last]
    with server(provider, script) as strict:
        run = walk(Graph("g", START >> agent >> END), "x", model=model(provider, strict))
        assert strict.refused == []
        assert run.output.people == 700000


@pytest.mark.parametrize("provider", ["anthropic", "google", "openai-responses"])
def test_thinking_goes_back_signed(provider: str) -> None:
    agent = Agent("thinker", tools=[weather], thinking=2048, max_tokens=4000)
    with server(provider, SCRIPT[1:]) as strict:
        run = walk(Graph("g", START >> agent >> END), "x", model=model(provider, strict))
        assert strict.refused == []
        assert run.output.startswith("Rain")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_cut_off_in_a_call_is_told_to_the_model(provider: str) -> None:
    script = [
        Answer(
            calls=(("weather", {"city": "a very long name of a city indeed"}),), finish="length"
        ),
        Answer(text="done"),
    ]
    agent = Agent("guide", tools=[weather], max_tokens=64)
    with server(provider, script) as strict:
        # Calls travel whole there: a cut one is lost, and nothing is left.
        if provider in ("google", "ollama"):
            run = walk(Graph("g", START >> agent >> END), "x", model=model(provider, strict))
            assert isinstance(run.error, OutputInvalid)
        else:
            run = walk(Graph("g", START >> agent >> END), "x", model=model(provider, strict))
            assert run.output == "done"
            assert "cut off" in str(strict.requests[1].json)
        assert strict.refused == []


MODELS = {
    "anthropic": (
        "claude-3-7-sonnet-latest",
        "claude-sonnet-4-5",
        "claude-opus-4-6",
        "claude-opus-4-7",
        "claude-opus-5",
    ),
    "google": ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-flash", "gemini-3.5-pro"),
    "openai": ("gpt-5-mini", "gpt-5.1", "o4-mini", "gpt-6-sol"),
    "openai-responses": ("gpt-5-mini", "gpt-5.1", "o4-mini", "gpt-6-sol"),
    "mistral": ("magistral-medium-latest", "mistral-small-latest"),
}


@pytest.mark.parametrize(
    "thinking", [True, False, 500, 2048, 20_000, "minimal", "low", "medium", "high", "max"]
)
@pytest.mark.parametrize(
    ("provider", "named"), [(p, m) for p, models in MODELS.items() for m in models]
)
def test_an_amount_of_reasoning_is_one_that_the_model_takes(
    provider: str, named: str, thinking: Any
) -> None:
    if provider.startswith("openai") and thinking in ("minimal", "max"):
        pytest.skip(
            "OpenAI's models differ in the efforts they know; a word is sent as it was given"
        )
    agent = Agent("thinker", tools=[weather], thinking=thinking)
    with server(provider, SCRIPT[1:]) as strict:
        run = walk(
            Graph("g", START >> agent >> END), "x", model=model(provider, strict, named=named)
        )
        assert strict.refused == []
        assert run.output.startswith("Rain")
