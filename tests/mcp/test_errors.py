"""What a server says when it fails or refuses reaches the model, or whoever began the run, in its own words."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, MCP, START, Agent, Graph, GraphError
from graphflow.errors import ServerFailed
from graphflow.model.turns import ToolResult, ToolTurn
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.mcp.replay_http import Replay
from tests.strict.base import Reply
from tests.toolbox import inside

pytest.importorskip("mcp")
RAW = Path(__file__).with_name("raw.py")
TOOL = {"name": "t", "inputSchema": {"type": "object"}}


def graph_of(server: MCP) -> Graph[Any, Any]:
    return Graph("g", START >> Agent("a", input=str, mcp=[server]) >> END)


def raw(tools: list[dict[str, Any]], result: dict[str, Any] | None = None, **options: Any) -> MCP:
    command = [sys.executable, str(RAW), json.dumps(tools), json.dumps(result or {"content": []})]
    return MCP("raw", command, handshake=True, **options)


def last_results(model: ScriptedModel) -> list[ToolResult]:
    turns = [turn for turn in model.requests[-1].turns if isinstance(turn, ToolTurn)]
    return [inside(result) for turn in turns for result in turn.results]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"content": [{"type": "text", "text": "no such row"}]}, ["no such row"]),
        ({"content": [], "structuredContent": {"code": "RATE", "retry_after": 30}}, ["RATE", "30"]),
        ({"content": [], "structuredContent": {"result": "try later"}}, ["ToolError", "try later"]),
        (
            {
                "content": [{"type": "text", "text": "refused"}],
                "structuredContent": {"field": "café"},
            },
            ["refused", "café"],
        ),
        ({"content": [], "structuredContent": {}}, ["does not say why"]),
        ({"content": []}, ["does not say why"]),
    ],
)
def test_a_failed_call_is_told_with_its_words_and_its_data(
    result: dict[str, Any], told: list[str]
) -> None:
    model = ScriptedModel(calls("t"), "done")
    run = walk(graph_of(raw([TOOL], {**result, "isError": True})), "x", model=model)
    assert run.output == "done"
    [read] = last_results(model)
    assert not read.ok
    assert all(word in read.text for word in told)


def test_data_that_says_the_same_as_the_text_is_told_once() -> None:
    failed = {
        "isError": True,
        "content": [{"type": "text", "text": '{"code": 7}'}],
        "structuredContent": {"code": 7},
    }
    model = ScriptedModel(calls("t"), "done")
    walk(graph_of(raw([TOOL], failed)), "x", model=model)
    assert last_results(model)[0].text.count("code") == 1


# -- tools that are tasks --------------------------------------------------------------------------
def tool_named(name: str, support: str | None) -> dict[str, Any]:
    return {
        **TOOL,
        "name": name,
        **({} if support is None else {"execution": {"taskSupport": support}}),
    }


def test_what_can_only_be_called_as_a_task_is_not_offered() -> None:
    tools = [
        tool_named("a", "required"),
        tool_named("b", "optional"),
        tool_named("c", "forbidden"),
        tool_named("d", None),
    ]
    model = ScriptedModel(calls("a"), "done")
    walk(graph_of(raw(tools)), "x", model=model)
    assert [spec.name for spec in model.requests[0].tools] == ["b", "c", "d"]
    assert "no tool named 'a'" in last_results(model)[0].text
    run = walk(graph_of(raw(tools, include=["a"])), "x", model=ScriptedModel())
    assert isinstance(run.error, GraphError)
    assert "as a task only" in str(run.error)


# -- HTTP ------------------------------------------------------------------------------------------
class Refusing(Replay):
    """Over HTTP: greets and lists, and answers a call with a status; or refuses at once."""

    def __init__(
        self, status: int, body: Any, kind: str = "application/json", *, greets: bool = True
    ) -> None:
        super().__init__(None)
        self.refusal = Reply(status, kind, [json.dumps(body).encode()])
        self.greets = greets
        self.sessions = 0
        self.calls = 0

    def _reply(self, said: dict[str, Any], recorded: Mapping[str, Any] | None) -> Reply:
        method = said.get("method")
        results: dict[str, Any] = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "r", "version": "1"},
            },
            "tools/list": {"tools": [TOOL]},
        }
        if not self.greets and "id" in said:
            return self.refusal
        if method in results:
            self.sessions += method == "initialize"
            headers = {"mcp-session-id": f"s{self.sessions}"} if method == "initialize" else {}
            answer = {"jsonrpc": "2.0", "id": said["id"], "result": results[method]}
            return Reply(200, "application/json", [json.dumps(answer).encode()], headers)
        if method == "tools/call":
            self.calls += 1
            return self.refusal
        return Reply(202 if method else 405, "application/json", [b""])


def refusal(message: str, code: int = -32602) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}


def over(server: Refusing) -> tuple[list[ToolResult], BaseException | None]:
    """What the model reads of one call, and how the run ended."""

    async def main() -> tuple[list[ToolResult], BaseException | None]:
        async with server as url:
            model = ScriptedModel(calls("t"), "done")
            run = graph_of(MCP("far", url, handshake=True)).start("x", model=model)
            await run.settled()
            return (last_results(model) if len(model.requests) > 1 else []), run.error

    return asyncio.run(main())


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500])
@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
def test_the_servers_own_message_stands_in_the_error_of_a_call(status: int, kind: str) -> None:
    [read], error = over(Refusing(status, refusal("the table 'x' is locked"), kind))
    assert error is None
    assert not read.ok
    assert "the table 'x' is locked" in read.text


@pytest.mark.parametrize("status", [400, 403, 429, 503])
def test_a_refusal_without_words_is_told_by_its_status(status: int) -> None:
    [read], _ = over(Refusing(status, {"oops": True}))
    assert f"HTTP {status}" in read.text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_the_servers_own_message_stands_in_the_error_of_opening(status: int) -> None:
    _, error = over(Refusing(status, refusal("this key is for reading only", -32000), greets=False))
    assert isinstance(error, ServerFailed)
    assert f"HTTP {status}: this key is for reading only" in str(error)


@pytest.mark.parametrize(
    "body", [refusal("Session not found", -32001), {"oops": True}], ids=["said", "not said"]
)
def test_a_forgotten_session_is_opened_again_once(body: dict[str, Any]) -> None:
    server = Refusing(404, body)
    over(server)
    assert (server.sessions, server.calls) == (2, 2)


def test_a_method_that_is_not_there_is_no_forgotten_session() -> None:
    server = Refusing(404, refusal("Method not found", -32601))
    [read], _ = over(server)
    assert "Method not found" in read.text
    assert server.calls == 1
