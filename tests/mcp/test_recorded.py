"""Recorded servers of both generations, over both transports: an agent in a walk reads what was said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, MCP, START, Agent, Graph
from graphflow.errors import ServerFailed, ToolError
from graphflow.events import ToolPartial
from graphflow.mcp import Elicitation
from graphflow.mcp.connection import Connection
from graphflow.model.turns import ToolTurn
from graphflow.testing import ScriptedModel, calls
from tests.conformance.corpus import WIRE, require_corpus
from tests.mcp.replay_http import Replay
from tests.mcp.servers import replayed
from tests.toolbox import inside

CASES = [
    "01-stdio-handshake",
    "02-http-handshake-session-sse",
    "03-http-handshake-stateless-json",
    "05-stdio-per-request-metadata",
    "06-stdio-input-required",
    "07-http-per-request-metadata",
    "08-http-handshake-client-on-newer-server",
]
ERRORS = ["04-http-handshake-errors", "09-http-newer-server-errors"]


@pytest.fixture(autouse=True)
def _corpus() -> None:
    require_corpus()


async def yes(name: str, question: Elicitation) -> dict[str, Any]:
    return {"ok": True}


def noting(told: list[list[Any]]) -> Any:
    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append([progress, total, message])

    return note


@asynccontextmanager
async def server_of(case: str, **options: Any) -> AsyncIterator[MCP]:
    path = WIRE / "mcp" / f"{case}.json"
    if "-stdio-" in case:
        yield MCP("recorded", replayed(path), **options)
        return
    replay = Replay(path)
    url = await replay.__aenter__()
    try:
        yield MCP("recorded", url, **options)
    finally:
        await replay.__aexit__()


def expected(case: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((WIRE / "expect" / "mcp" / f"{case}.json").read_text())
    return read


@pytest.mark.parametrize("case", CASES)
def test_the_connection_reads_what_was_recorded(case: str) -> None:
    """Tools, their schemas, and every recorded call, those that failed included."""
    wanted = expected(case)

    async def main() -> None:
        async with server_of(case, ask=yes) as server:
            connection = Connection(server)
            client = await connection.open()
            assert client.protocol_version == wanted["negotiated_version"]
            assert client.server_info is not None
            assert client.server_info.name == wanted["server"]
            assert client.instructions == wanted["instructions"]
            listed = {tool.name: tool.input_schema for tool in connection.listed}
            assert list(listed) == [name for page in wanted["tool_pages"] for name in page["names"]]
            required = {k: v for page in wanted["tool_pages"] for k, v in page["required"].items()}
            assert {name: schema.get("required", []) for name, schema in listed.items()} == required
            for call in wanted["calls"]:
                if call["outcome"] == "input_required":
                    continue  # the SDK answers it, and the next expected call is what comes of that
                if call["outcome"] == "error":
                    with pytest.raises(ToolError, match=call["message"][:30]):
                        await connection.call(call["name"], call["arguments"])
                    continue
                told: list[list[Any]] = []
                result = await connection.call(call["name"], call["arguments"], noting(told))
                assert bool(result.is_error) == call["is_error"]
                assert [block.type for block in result.content] == call["content_types"]
                text = "\n".join(block.text for block in result.content if block.type == "text")
                assert text == call["text"]
                assert result.structured_content == call["structured"]
                assert told == call.get("progress", [])
            await connection.close()

    asyncio.run(main())


@pytest.mark.parametrize("case", CASES)
def test_an_agent_walks_over_a_recorded_server(case: str) -> None:
    wanted = expected(case)
    names = {name for page in wanted["tool_pages"] for name in page["names"]}
    asked = [c for c in wanted["calls"] if c["outcome"] != "input_required"]

    async def main() -> None:
        async with server_of(case, ask=yes) as server:
            agent = Agent("agent", input=str, mcp=[server], max_turns=20)
            model = ScriptedModel(*(calls(c["name"], **c["arguments"]) for c in asked), "done")
            partial: list[Any] = []
            graph = Graph("g", START >> agent >> END)
            async for event in graph.stream("go", model=model):
                if isinstance(event, ToolPartial):
                    partial.append(event.piece["done"])
            assert {spec.name for spec in model.requests[0].tools} == names
            turns = [turn for turn in model.requests[-1].turns if isinstance(turn, ToolTurn)]
            for call, turn in zip(asked, turns, strict=True):
                [result] = turn.results
                whole = str(inside(result).content)
                if call["name"] not in names:
                    assert not result.ok
                    assert "NotReachable" in whole
                elif call["outcome"] == "error" or call["is_error"]:
                    assert not result.ok
                    assert (
                        call.get("text", call.get("message", ""))[:40] in whole
                        or "do not fit" in whole
                    )
                elif call["structured"] is not None:
                    value = call["structured"].get("result", call["structured"])
                    assert (
                        whole == str(value)
                        if isinstance(value, str)
                        else json.loads(whole) == value
                    )
                else:
                    assert result.ok
            steps = [step for call in asked for step, *_ in call.get("progress", [])]
            assert partial == steps

    asyncio.run(main())


def test_a_picture_is_kept_and_looked_at() -> None:
    async def main() -> None:
        async with server_of(CASES[0]) as server:
            agent = Agent("agent", input=str, mcp=[server])
            model = ScriptedModel(calls("pixel"), "done")
            run = await Graph("g", START >> agent >> END).run("go", model=model)
            [artifact] = run.artifacts
            assert (artifact.kind, artifact.mime) == ("image", "image/png")
            assert run.payload(artifact)[:4] == b"\x89PNG"
            turn = model.requests[-1].turns[-1]
            assert isinstance(turn, ToolTurn)
            [media] = turn.results[0].content
            assert media.data == run.payload(artifact)  # type: ignore[union-attr]  # the picture

    asyncio.run(main())


@pytest.mark.parametrize("case", ERRORS)
def test_recorded_refusals_are_typed(case: str) -> None:
    """A server that answers every request with one of the recorded errors cannot be opened, and says why."""
    exchanges = json.loads((WIRE / "mcp" / f"{case}.json").read_text())["exchanges"]
    refusals = [e["response"] for e in exchanges if e["response"]["status"] >= 400]
    assert refusals

    async def main() -> None:
        for refusal in refusals:
            replay = Replay(None, always=refusal)
            url = await replay.__aenter__()
            try:
                graph = Graph("g", START >> Agent("a", input=str, mcp=[MCP("bad", url)]) >> END)
                with pytest.raises(ServerFailed, match=r"bad.*(HTTP|protocol|opened)"):
                    await graph.run("x", model=ScriptedModel())
            finally:
                await replay.__aexit__()

    asyncio.run(main())


def test_the_recordings_are_where_they_are_said_to_be() -> None:
    assert sorted([*CASES, *ERRORS]) == sorted(p.stem for p in Path(WIRE / "mcp").glob("*.json"))
