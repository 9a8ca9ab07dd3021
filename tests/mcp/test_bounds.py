"""What a server may send and how long it may take: no answer, list or silence holds up the loop that others walk on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from graphflow import END, MCP, START, Agent, Context, Graph, keepalive, node
from graphflow.errors import ResultInvalid, ServerFailed
from graphflow.mcp import connection, content
from graphflow.mcp.content import answer_of
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.effort import soon
from tests.mcp.servers import TOKEN, over_http
from tests.mcp.test_servers import asked
from tests.providers.reach import model as reached
from tests.providers.reach import server as provider
from tests.strict import Answer
from tests.waiting import patience

RAW = str(Path(__file__).with_name("raw.py"))
ANY = {"type": "object"}


def raw(tools: list[dict[str, Any]], result: dict[str, Any] | None = None, **options: Any) -> MCP:
    """A server that lists and answers that."""
    command = [sys.executable, RAW, json.dumps(tools), json.dumps(result or {"content": []})]
    return MCP("raw", command, handshake=True, **options)


def blocks(count: int) -> list[dict[str, str]]:
    return [{"type": "text", "text": f"{n}"} for n in range(count)]


# -- answers ---------------------------------------------------------------------------------------
def test_an_answer_of_many_pieces_is_refused() -> None:
    tools = [{"name": "t", "inputSchema": ANY}]
    [result], _, _ = asked(raw(tools, {"content": blocks(content.MAX_PIECES + 1)}), calls("t"))
    assert not result.ok
    assert f"{content.MAX_PIECES} are read at most" in str(result.content)


def told(count: int, structured: Any, *texts: str) -> Any:
    """What is made of an answer; no server is needed for that."""
    pieces = [
        SimpleNamespace(type="text", text=text)
        for text in (*texts, *(json.dumps({"n": n}) for n in range(count)))
    ]
    result = SimpleNamespace(content=pieces, is_error=False, structured_content=structured)
    ctx: Any = SimpleNamespace(node=SimpleNamespace(name="t"))
    return answer_of(result, ctx)


def test_hundreds_of_thousands_of_pieces_take_no_time() -> None:
    with soon(), pytest.raises(ResultInvalid, match="ask for less"):
        told(300_000, {"result": [{"n": n} for n in range(300_000)]})


def test_repeated_pieces_are_found_without_comparing_each_with_each() -> None:
    items = [{"n": n} for n in range(100_000)]
    with soon():
        found = told(content.MAX_PIECES, {"result": items})
    assert found == items, "each piece says what an item says"


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ('{"n": 1}', True),
        ('{"n": 1.0}', True),
        ('{"result": [{"n": 1}, "a.0, b", 2.5]}', True),
        ('[{"n": 1}, "a.0, b", 2.5]', True),
        ("a.0, b", True),
        ("a, b", False),
        ('"a, b"', False),
        ("2.5", True),
        ("2", False),
        ("more", False),
        ("[" * 100_000, False),
    ],
)
def test_a_text_that_says_something_else_is_kept(text: str, repeats: bool) -> None:
    structured = [{"n": 1}, "a.0, b", 2.5]
    assert told(0, {"result": structured}, text) == (structured if repeats else [structured, text])


def test_a_large_answer_is_checked_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[int] = []
    check = connection.problems_of

    def noted(schema: Any, value: Any) -> list[str]:
        where.append(threading.get_ident())
        return check(schema, value)

    monkeypatch.setattr(connection, "problems_of", noted)
    schema = {
        "type": "object",
        "properties": {"n": {"type": "array", "items": {"type": "integer"}}},
    }
    tools = [{"name": "t", "inputSchema": ANY, "outputSchema": schema}]
    for size, beside in ((10, False), (5_000, True)):
        where.clear()
        [result], _, _ = asked(
            raw(tools, {"content": [], "structuredContent": {"n": list(range(size))}}), calls("t")
        )
        assert result.ok, result
        assert [place != threading.get_ident() for place in where] == [beside]
    [result], _, _ = asked(
        raw(tools, {"content": [], "structuredContent": {"n": ["x"] * 5_000}}), calls("t")
    )
    assert "Invalid structured content" in str(result.content)


# -- lists -----------------------------------------------------------------------------------------
def test_a_server_of_thousands_of_tools_has_to_be_chosen_from() -> None:
    tools = [{"name": f"t{n}", "inputSchema": ANY} for n in range(2_001)]
    graph: Graph[Any, Any] = Graph("g", START >> Agent("a", input=str, mcp=[raw(tools)]) >> END)
    run = walk(graph, "x", model=ScriptedModel("done"))
    assert isinstance(run.error, ServerFailed)
    assert "lists 2001 tools, and 2000 can be offered at most" in str(run.error)
    assert "include=['t0', ...]" in str(run.error)
    _, _, model = asked(raw(tools, include=["t7", "t99*"]), calls("t7"))
    names = [spec.name for spec in model.requests[0].tools]
    assert names == ["t7", "t99", *(f"t99{n}" for n in range(10))]


def test_a_list_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphflow.mcp.session.MAX_LISTED", 50)
    tools = [{"name": f"t{n}", "inputSchema": ANY} for n in range(51)]
    graph: Graph[Any, Any] = Graph(
        "g", START >> Agent("a", input=str, mcp=[raw(tools, include=["t1"])]) >> END
    )
    run = walk(graph, "x", model=ScriptedModel("done"))
    assert "lists more than 50 tools" in str(run.error)


# -- silence ---------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name == "nt", reason="Windows stops no processes")
@pytest.mark.parametrize("handshake", [False, True])
def test_a_server_over_http_that_answers_no_more_is_left_within_seconds(handshake: bool) -> None:
    """It is asked to end the session, and says nothing: the run waited five minutes for that."""
    frozen: list[int] = []

    with over_http() as url:
        server = MCP("dynamic", url, token=TOKEN, handshake=handshake)

        @node(calls=[server])
        async def freeze(text: str, ctx: Context) -> str:
            frozen.append(int((await ctx.call("whoami", {})).split()[0]))
            os.kill(frozen[0], signal.SIGSTOP)
            return text

        try:
            with patience():  # once it was five minutes
                run = walk(Graph("g", START >> freeze >> END), "x")
        finally:
            os.kill(frozen[0], signal.SIGCONT)
    assert run.error is None


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """What is set for each new connection."""
    seen: list[dict[str, int]] = []
    plain = keepalive.set_keep_alive

    def noted(sock: socket.socket) -> None:
        plain(sock)
        options = {"on": sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}
        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"):
            if (number := getattr(socket, name, None)) is not None:
                options[name] = sock.getsockopt(socket.IPPROTO_TCP, number)
        seen.append(options)

    monkeypatch.setattr(keepalive, "set_keep_alive", noted)
    return seen


def test_connections_whose_other_end_vanished_are_found_out(
    connected: list[dict[str, int]],
) -> None:
    """The system asks after ten seconds of silence, and gives up within half a minute: without it nobody ever would."""
    with over_http() as url:
        asked(MCP("dynamic", url, token=TOKEN), calls("ask", q="why"))
    of_server = len(connected)
    assert of_server
    with provider("openai", [Answer(text="ok")]) as strict:
        graph: Graph[Any, Any] = Graph("g", START >> Agent("a", input=str) >> END)
        assert walk(graph, "x", model=reached("openai", strict)).output == "ok"
    assert len(connected) > of_server
    for options in connected:
        assert options["on"] != 0
        if "TCP_KEEPIDLE" in options:
            assert options["TCP_KEEPIDLE"] + options["TCP_KEEPINTVL"] * options["TCP_KEEPCNT"] <= 30
        if "TCP_USER_TIMEOUT" in options:
            assert options["TCP_USER_TIMEOUT"] <= 30_000


def test_what_is_no_socket_is_left_alone() -> None:
    asyncio.run(
        keepalive.keep_alive("connection.connect_tcp.complete", {"return_value": _NoStream()})
    )
    asyncio.run(keepalive.keep_alive("http11.send_request_headers.started", {}))


class _NoStream:
    def get_extra_info(self, name: str) -> None:
        return None
