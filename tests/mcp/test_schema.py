"""Schemas of servers that mean harm, and answers that the protocol does not know."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, MCP, START, Agent, Graph, GraphError
from graphflow.errors import ServerFailed
from graphflow.mcp.schema import MAX_COMPARED, MAX_WORK, check_schema, problems_of
from graphflow.model.turns import ToolResult
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.effort import soon
from tests.mcp.test_servers import asked, graph_of

RAW = str(Path(__file__).parent / "raw.py")
SLOW = "^(a+)+$"
ENDLESS = "a" * 60 + "!"
LAUGHS: dict[str, Any] = {
    f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]}
    for n in range(40)
}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "value", "wrong"),
    [
        (of(x={"pattern": SLOW}), {"x": ENDLESS}, "x: .* does not match"),
        (of(x={"pattern": SLOW}), {"x": "aaa"}, ""),
        (
            of(x={"pattern": SLOW, "$schema": "http://json-schema.org/draft-07/schema#"}),
            {"x": ENDLESS},
            "x: .* does not",
        ),
        (
            {**of(x={"pattern": SLOW}), "$schema": "http://json-schema.org/draft-07/schema#"},
            {"x": ENDLESS},
            "x: .* does",
        ),
        (of(x={"pattern": "^(?=b)b"}), {"x": "a"}, ""),  # left to the server
        (
            {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
            {"ab": "x"},
            "ab: 'x' is not",
        ),
        (
            {"patternProperties": {"^a": {}}, "additionalProperties": False},
            {"b": 1, "c": 1},
            "'b', 'c' were unexpected",
        ),
        (
            {"patternProperties": {SLOW: {}}, "additionalProperties": {"type": "null"}},
            {ENDLESS: 1},
            "is not of type",
        ),
        # Left to the server.
        ({"patternProperties": {SLOW: {}}, "unevaluatedProperties": False}, {ENDLESS: 1}, ""),
        (
            {"properties": {"$schema": {"type": "string"}}, "additionalProperties": False},
            {"$schema": "x"},
            "",
        ),
        (of(x={"additionalProperties": False}), {"x": 1}, ""),
        (of(x={"uniqueItems": True}), {"x": [1, 1]}, "x: .* non-unique"),
        (of(x={"uniqueItems": True}), {"x": [{}] * (MAX_COMPARED + 1)}, ""),
        ({"enum": ["a" * 40_000]}, "b" * (MAX_WORK // 40_000), ""),
        ({"type": "string"}, 1, "^1 is not of type"),
    ],
)
def test_what_does_not_fit_is_told_in_no_time(schema: Any, value: Any, wrong: str) -> None:
    with soon():  # for ever, by the rules of `re`; the first also loads the library
        found = problems_of(schema, value)
    assert [bool(re.search(wrong, each)) for each in found] == ([True] if wrong else [])


@pytest.mark.parametrize(
    "schema",
    [
        of(x={"$ref": "#/$defs/a0"}) | {"$defs": {**LAUGHS, "a40": {}}},
        {"$ref": "#"},
        of(x={"$ref": "http://127.0.0.1:9/"}),
    ],
)
def test_references_end(schema: Any) -> None:
    with pytest.raises(ValueError, match="cannot be followed"):
        problems_of(schema, {"x": 1})


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        check_schema(of(x={"type": "nonsense"}))


# -- in a walk -------------------------------------------------------------------------------------
def listed(name: str = "t", gives: Any = None, **properties: Any) -> dict[str, Any]:
    return {
        "name": name,
        "inputSchema": of(**properties),
        **({} if gives is None else {"outputSchema": gives}),
    }


def raw(tools: Any, result: Any = None) -> MCP:
    """A server that lists this and answers that."""
    return MCP(
        "raw",
        [sys.executable, RAW, json.dumps(tools), json.dumps(result)],
        handshake=True,
        timeout_s=60,
    )


def read(tools: Any, result: Any, **arguments: Any) -> ToolResult:
    [only], _, _ = asked(raw(tools, result), calls("t", **arguments))
    return only


def test_a_pattern_of_a_server_stops_nobody() -> None:
    answered = {"content": [], "structuredContent": {"a": ENDLESS}}
    assert "does not match" in read([listed(x={"pattern": SLOW})], answered, x=ENDLESS).text
    given = read([listed(gives=of(a={"pattern": SLOW}))], answered)
    assert "Invalid structured content from 't': a: " in given.text
    looped = read([listed(gives={"type": "object", "$ref": "#"})], answered)
    assert "cannot be followed" in looped.text
    none = read([listed(gives=of(a={}))], {"content": []})
    assert "its schema promises it" in none.text


@pytest.mark.parametrize("result", [{"content": "no"}, {"content": [{"type": "hologram"}]}])
def test_an_answer_that_the_protocol_does_not_know_is_a_typed_error(result: Any) -> None:
    only = read([listed()], result)
    assert not only.ok
    assert only.text.startswith(
        "ToolError: server 'raw' answered what the protocol does not know: content"
    )
    assert "pydantic.dev" not in only.text


def test_a_listing_that_the_protocol_does_not_know_says_so() -> None:
    run = walk(graph_of(raw([{"inputSchema": {"type": "object"}}])), "x", model=ScriptedModel())
    assert isinstance(run.error, ServerFailed)
    assert (
        "does not speak the protocol: it answered what the protocol does not know: tools.0.name"
        in str(run.error)
    )


def test_a_server_cannot_take_the_name_of_a_hand_over() -> None:
    other = Agent("other", input=str)
    agent = Agent("agent", input=str, mcp=[raw([listed("transfer_to_other")])], handoffs=[other])
    run = walk(Graph("g", START >> agent >> END), "x", model=ScriptedModel())
    assert isinstance(run.error, GraphError)
    assert (
        "'agent' can reach two nodes named 'transfer_to_other' (of its hand-overs and 'raw')"
        in str(run.error)
    )


async def longest_turn(count: int) -> float:
    """Seconds of computing in the longest turn of the loop while a server with so many tools is opened."""
    longest = 0.0
    server = MCP("raw", [sys.executable, "-c", MANY, str(count)], handshake=True)
    opening = asyncio.ensure_future(server.open("run"))
    while not opening.done():
        # What is computed between two turns, whoever else wants the cores.
        began = time.thread_time()
        await asyncio.sleep(0.005)
        longest = max(longest, time.thread_time() - began)
    tools = await opening
    assert len(tools.nodes) == count
    assert tools.nodes is tools.nodes
    await tools.close()
    return longest


def test_thousands_of_tools_stop_the_loop_no_longer_than_their_listing_takes() -> None:
    """A listing is read in one turn of the loop: the time that it takes must grow as the listing does, and not faster."""
    few, many = 500, 2000
    costs = {few: float("inf"), many: float("inf")}
    for _ in range(4):
        for count in (few, many):
            gc.collect()
            costs[count] = min(costs[count], asyncio.run(longest_turn(count)))
        if costs[many] < 10 * costs[few]:
            return
    raise AssertionError(
        f"{costs[many] / costs[few]:.1f} times as long for {many / few:.0f} times as many"
    )


MANY = f"""
import json, runpy, sys
tools = [{{"name": f"t{{n}}", "inputSchema": {{"type": "object"}}}} for n in range(int(sys.argv[1]))]
sys.argv[1:] = [json.dumps(tools), "{{}}"]
runpy.run_path({RAW!r}, run_name="__main__")
"""
