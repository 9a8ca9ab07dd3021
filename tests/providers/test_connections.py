"""Connections to models: which are used again, and that each of them is kept alive by the system."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, connect, keepalive
from tests.providers.raw_server import RawServer, Step, head

CHAT = json.dumps({
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}).encode()  # fmt: skip
ANSWER: list[Step] = [head(200, "application/json", len(CHAT)) + CHAT]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The connections for which it was set: from where, and whether it was."""
    seen: list[tuple[str, int]] = []
    plain = keepalive.set_keep_alive

    def noted(sock: socket.socket) -> None:
        plain(sock)
        seen.append(
            (str(sock.getsockname()), sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        )

    monkeypatch.setattr(keepalive, "set_keep_alive", noted)
    return seen


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up-for-this-test")


def asked(server: RawServer, times: int) -> None:
    model = connect("openai:m", base_url=server.url)
    graph: Graph[Any, Any] = Graph("g", START >> Agent("a", input=str) >> END, model=model)

    async def ask() -> None:
        for _ in range(times):
            assert (await graph.run("x")).output == "ok"

    asyncio.run(ask())
    assert len(server.requests) == times


def test_a_connection_is_used_again_and_set_once(kept: list[tuple[str, int]]) -> None:
    with RawServer(ANSWER) as server:
        asked(server, 4)
    assert len(kept) == 1
    assert all(is_set for _, is_set in kept)


def test_a_connection_in_place_of_one_that_was_closed_is_set_too(
    kept: list[tuple[str, int]],
) -> None:
    """Nobody is told that it is opened: the request counted on the one before."""
    with RawServer([*ANSWER, "close"]) as server:
        asked(server, 3)
    assert len(set(kept)) == 3
    assert all(is_set for _, is_set in kept)


def test_idle_connections_are_counted_by_address_and_expire() -> None:
    idle = keepalive.Idle(60)
    assert not idle.take("a", 0)
    idle.give("a", 1)
    idle.give("a", 2)
    assert not idle.take("b", 3)
    assert idle.take("a", 3)
    assert idle.take("a", 60)
    assert not idle.take("a", 60)
    idle.give("a", 100)
    idle.give("a", 110)
    assert not idle.take("a", 170)
    assert not idle.take("a", 111)


def names_and_values(request: bytes) -> list[tuple[str, str]]:
    head_lines = request.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    pairs = [line.split(": ", 1) for line in head_lines]
    return [(name.lower(), value) for name, value in pairs]


def test_a_header_of_the_users_stands_in_place_of_the_default_one() -> None:
    headers = {"User-Agent": "shop/1", "Accept": "application/json", "X-Team": "a"}
    with RawServer(ANSWER) as server:
        model = connect("openai:m", base_url=server.url, headers=headers)
        graph: Graph[Any, Any] = Graph("g", START >> Agent("a", input=str) >> END, model=model)
        graph.run_sync("x")
    sent = names_and_values(server.requests[0])
    assert len(sent) == len(dict(sent))
    assert {"user-agent": "shop/1", "accept": "application/json", "x-team": "a"}.items() <= dict(
        sent
    ).items()
    assert {"host", "accept-encoding", "connection", "content-length", "content-type"} <= {
        name for name, _ in sent
    }


def test_a_cookie_that_a_server_sets_comes_back_to_it_and_goes_to_no_other() -> None:
    """Gateways keep a client at one of their machines by a cookie."""
    first: list[Step] = [
        head(200, "application/json", len(CHAT), set_cookie="lane=7; Path=/") + CHAT
    ]

    async def ask(graph: Graph[Any, Any]) -> None:
        await graph.run("x")

    def graph_for(url: str) -> Graph[Any, Any]:
        model = connect("openai:m", base_url=url)
        return Graph("g", START >> Agent("a", input=str) >> END, model=model)

    with RawServer(first, ANSWER) as server, RawServer(ANSWER) as other:

        async def main() -> None:
            await ask(graph_for(server.url))
            await ask(graph_for(server.url))
            await ask(graph_for(other.url.replace("127.0.0.1", "localhost")))

        asyncio.run(main())
        cookies = [dict(names_and_values(request)).get("cookie") for request in server.requests]
        assert cookies == [None, "lane=7"]
        assert "cookie" not in dict(names_and_values(other.requests[0]))
