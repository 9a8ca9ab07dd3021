"""`graphflow mcp`: graphs of a project as tools, called by the official client and by an agent of our own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters
from pydantic import BaseModel

from graphflow import END, MCP, START, Agent, Graph, Media, node
from graphflow.errors import DeclarationError
from graphflow.model.turns import ToolTurn
from graphflow.server.mcp import GraphServer, output_schema_of
from graphflow.testing import ScriptedModel, calls
from tests.mcp.servers import TOKEN, free_port, listens
from tests.toolbox import inside
from tests.waiting import eventually, until

PROJECT = """
import asyncio
from pathlib import Path
from pydantic import BaseModel
from graphflow import END, START, Context, Graph, node

print("printed while it is loaded")

class Ask(BaseModel):
    text: str
    times: int = 1

class Said(BaseModel):
    lines: list[str]

@node
async def say(ask: Ask) -> Said:
    print("printed while it walks")
    if ask.text == "fail":
        raise ValueError("it holds sk-abcdefghijklmnopqrstuvwx")
    return Said(lines=[ask.text] * ask.times)

here = []
six = asyncio.Event()

@node
async def wait(text: str) -> str:
    if text == "for six":
        here.append(text)
        if len(here) == 6:
            six.set()
        await six.wait()
        return "waited"
    try:
        await asyncio.sleep(float(text))
    except asyncio.CancelledError:
        Path("cancelled").write_text("yes")
        raise
    return "waited"

@node
async def count(text: str) -> list[int]:
    return [len(word) for word in text.split()]

say_it = Graph("say it", START >> say >> END, description="Says it as often as you like.")
wait_a_bit = Graph("wait", START >> wait >> END)
lengths = Graph("lengths", START >> count >> END)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "said.py").write_text(PROJECT)
    return tmp_path


NAMES = ["graphs/said.py:say_it", "graphs/said.py:wait_a_bit", "graphs/said.py:lengths"]


@asynccontextmanager
async def connected(project: Path, **options: Any) -> AsyncIterator[Client]:
    arguments = ["-m", "graphflow", "mcp", *NAMES]
    server = StdioServerParameters(command=sys.executable, args=arguments, cwd=project)
    async with Client(server, **options) as client:
        yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_typed_in_and_out_with_progress(project: Path, mode: str) -> None:
    progress: list[Any] = []

    async def note(done: float, total: float | None, message: str | None) -> None:
        progress.append((done, total, message))

    async def main() -> None:
        async with connected(project, mode=mode) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert list(tools) == ["say_it", "wait", "lengths"]
            assert tools["say_it"].description == "Says it as often as you like."
            assert tools["say_it"].input_schema["required"] == ["text"]
            assert tools["say_it"].output_schema is not None
            assert tools["say_it"].output_schema["properties"]["lines"]["type"] == "array"
            result = await client.call_tool(
                "say_it", {"text": "hi", "times": 2}, progress_callback=note
            )
            assert (result.is_error, result.structured_content) == (False, {"lines": ["hi", "hi"]})
            assert result.content[0].text == '{"lines":["hi","hi"]}'  # type: ignore[union-attr]  # text
            assert progress == [(1, None, "say answered")]
            result = await client.call_tool("lengths", {"input": "bees make honey"})
            assert result.structured_content == {"result": [4, 4, 5]}

    asyncio.run(main())


def test_what_goes_wrong_is_an_error_result_and_the_server_goes_on(project: Path) -> None:
    async def main() -> None:
        async with connected(project) as client:
            for name, given, told in (
                (
                    "say_it",
                    {"times": 2},
                    "ArgumentsInvalid: arguments of 'say it' do not fit: text: Field required",
                ),
                ("say_it", {"text": "x", "times": "two"}, "times: Input should be a valid integer"),
                ("say_it", {"text": "fail"}, "it holds [secret]"),
                ("brew", {}, "there is no tool 'brew'; there are: say_it, wait, lengths"),
            ):
                result = await client.call_tool(name, given)
                assert result.is_error
                assert told in result.content[0].text  # type: ignore[union-attr]  # text
            assert not (await client.call_tool("say_it", {"text": "fine"})).is_error

    asyncio.run(main())


def test_calls_run_at_once_and_a_cancelled_one_cancels_its_walk(project: Path) -> None:
    async def main() -> None:
        async with connected(project) as client:
            long = asyncio.ensure_future(client.call_tool("wait", {"input": "600"}))
            several = await asyncio.gather(
                *(client.call_tool("wait", {"input": "for six"}) for _ in range(6))
            )
            assert [r.structured_content for r in several] == [{"result": "waited"}] * 6
            long.cancel()
            with pytest.raises(asyncio.CancelledError):
                await long
            await eventually((project / "cancelled").exists)

    asyncio.run(main())


def test_an_agent_of_ours_calls_a_graph_of_ours_across_processes(project: Path) -> None:
    server = MCP("served", [sys.executable, "-m", "graphflow", "mcp", *NAMES], cwd=str(project))
    model = ScriptedModel(calls("say_it", text="hi"), "done")
    graph = Graph("g", START >> Agent("agent", input=str, mcp=[server]) >> END)
    assert graph.run_sync("go", model=model).output == "done"
    turn = model.requests[-1].turns[-1]
    assert isinstance(turn, ToolTurn)
    assert inside(turn.results[0]).content == '{"lines":["hi"]}'


@contextmanager
def served(
    project: Path, token: str | None = TOKEN, *flags: str
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if k != "GRAPHFLOW_MCP_TOKEN"}
    if token is not None:
        environment["GRAPHFLOW_MCP_TOKEN"] = token
    command = [sys.executable, "-m", "graphflow", "mcp", *NAMES, "--http", str(port), *flags]
    process = subprocess.Popen(
        command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: process.poll() is not None or listens(port))
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield port, process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_a_client_that_goes_in_the_middle_of_a_call_is_no_error(project: Path) -> None:
    command = [sys.executable, "-m", "graphflow", "mcp", *NAMES]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=project, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        print(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
            file=process.stdin,
        )
        process.stdin.write("this is not JSON\n\n[1]\n")
        process.stdin.flush()
        assert '"graphflow"' in process.stdout.readline()
        asked = {"name": "wait", "arguments": {"input": "600"}}
        print(
            json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": asked}),
            file=process.stdin,
        )
        process.stdin.flush()
        process.stdout.close()
        process.stdin.close()
        told = process.stderr.read()
        assert process.wait(60) == 0, told
        assert "Traceback" not in told


def test_over_http_it_wants_the_token_and_the_right_host(project: Path) -> None:
    with served(project) as (port, process):
        url = f"http://127.0.0.1:{port}/mcp"
        ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        accept = {"accept": "application/json, text/event-stream"}
        assert httpx.post(url, json=ask, headers=accept).status_code == 401
        assert (
            httpx.post(
                url, json=ask, headers={**accept, "authorization": "Bearer guess"}
            ).status_code
            == 401
        )
        bearer = {**accept, "authorization": f"Bearer {TOKEN}"}
        assert httpx.post(
            url, json=ask, headers={**bearer, "host": "evil.example"}
        ).status_code in (403, 421)
        assert (
            httpx.post(
                url, json=ask, headers={**bearer, "origin": "http://evil.example"}
            ).status_code
            == 403
        )
        model = ScriptedModel(calls("lengths", input="bees make honey"), "done")
        agent = Agent("agent", input=str, mcp=[MCP("served", url, token=TOKEN)])
        Graph("g", START >> agent >> END).run_sync("go", model=model)
        turn = model.requests[-1].turns[-1]
        assert isinstance(turn, ToolTurn)
        assert inside(turn.results[0]).content == "[4,4,5]"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130, -signal.SIGINT)


def test_a_token_is_made_and_kept_from_others(project: Path) -> None:
    with served(project, None, "--token-file", "token") as (port, process):
        path = project / "token"
        assert path.stat().st_mode & 0o077 == 0
        token = path.read_text()
        assert len(token) > 30
        bearer = {
            "authorization": f"Bearer {token}",
            "accept": "application/json, text/event-stream",
        }
        ask = {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        assert (
            httpx.post(f"http://127.0.0.1:{port}/mcp", json=ask, headers=bearer).status_code != 401
        )
        process.kill()
        assert process.stderr is not None
        told = process.stderr.read()
        assert token not in told
        assert "made a token: token" in told
        assert f"http://127.0.0.1:{port}/mcp" in told


def test_wrong_names_end_with_one_line(project: Path) -> None:
    command = [sys.executable, "-m", "graphflow", "mcp", "nothing_of_that_name"]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "nothing_of_that_name" in done.stderr
    assert "Traceback" not in done.stderr


class Tree(BaseModel):
    name: str
    below: list[Tree] = []


def test_schemas_of_outputs() -> None:
    assert output_schema_of(Any) is None
    assert output_schema_of(Media) is None
    wrapped = output_schema_of(list[Tree])
    assert wrapped is not None
    assert (wrapped["type"], wrapped["required"], "Tree" in wrapped["$defs"]) == (
        "object",
        ["result"],
        True,
    )
    tree = output_schema_of(Tree)
    assert tree is not None
    assert tree["type"] == "object"


def test_names_are_unique_and_pictures_are_shown() -> None:
    @node
    async def paint(text: str) -> Media:
        return Media(mime="image/png", data=b"\x89PNG")

    graph = Graph("paint", START >> paint >> END)
    with pytest.raises(DeclarationError, match="have the same name"):
        GraphServer([graph, graph])

    async def main() -> None:
        async with Client(GraphServer([graph]).server) as client:
            result = await client.call_tool("paint", {"input": "a bee"})
            assert [block.type for block in result.content] == ["text", "image"]

    asyncio.run(main())


def test_what_json_has_no_word_for_is_an_error_result_and_no_broken_answer() -> None:
    @node
    async def measure(text: str) -> list[float]:
        return [float(text)]

    serving = GraphServer([Graph("measure", START >> measure >> END)])

    async def note(*told: Any) -> None: ...

    async def main() -> None:
        fine = await serving.call("measure", {"input": "1.5"}, note)
        assert fine.structured_content == {"result": [1.5]}
        for odd in ("nan", "inf"):
            failed = await serving.call("measure", {"input": odd}, note)
            assert failed.is_error
            assert "JSON has no such numbers" in failed.content[0].text  # type: ignore[union-attr]

    asyncio.run(main())
