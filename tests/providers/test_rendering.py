"""Requests that a vendor would refuse, or read otherwise, if they were written as they come: rendered as it takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphflow import CACHE, END, START, Agent, CacheMark, Graph, errors, tool
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, Turn, UserTurn
from graphflow.providers.wires.wire import render_request
from tests.conformance.dialects import WIRES
from tests.conftest import walk
from tests.providers.raw_server import RawServer
from tests.providers.reach import model, server
from tests.providers.spelled import Json, asked_at, says, streamed, whole
from tests.strict import Answer

HOSTED: Json = {"type": "web_search", "name": "web_search"}


@tool
async def look(name: str = "") -> str:
    """Look."""
    return " "


def body(dialect: str, *turns: Turn, **options: Any) -> Json:
    wire, spoken = WIRES[dialect]
    return render_request(
        wire, Request(turns or (UserTurn("hi"),), **options), "gpt-5", dialect=spoken
    )


@pytest.mark.parametrize("asked", ["", " ", "\n\t"])
def test_blank_texts_are_not_sent_to_anthropic(asked: str) -> None:
    script = [Answer(calls=(("look", {}),)), Answer(text="done")]
    blank = (" ", CACHE, "Be brief.", CACHE, "\n")
    for system in (asked, blank):
        with server("anthropic", script) as strict:
            agent = Agent("a", tools=[look], system=system)
            run = walk(Graph("g", START >> agent >> END), asked, model=model("anthropic", strict))
            assert strict.refused == []
            assert run.output == "done"
    [block] = body("anthropic", system=blank)["system"]
    assert block == {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}


def test_marks_for_the_prompt_cache_stand_where_they_were_put() -> None:
    hour = CacheMark("1h")
    marked = {"type": "ephemeral", "ttl": "1h"}
    turns = (
        UserTurn(("A long book.", hour, "And?")),
        AssistantTurn("", (ToolCall("toolu_1", "look", "{}", cache=CACHE),)),
        ToolTurn((ToolResult("toolu_1", "look", "seen", cache=CacheMark("5m")),)),
    )
    tools = (
        ToolSpec("look", "Look.", {"type": "object"}, cache=hour),
        ToolSpec("see", "See.", {"type": "object"}),
    )
    made = body("anthropic", *turns, tools=tools, system=("Standing.", hour))
    assert [each.get("cache_control") for each in made["tools"]] == [marked, None]
    assert made["system"][0]["cache_control"] == marked
    said, called, answered = (message["content"] for message in made["messages"])
    assert [block.get("cache_control") for block in said] == [marked, None]
    assert called[0]["cache_control"] == {"type": "ephemeral"}
    assert answered[0]["cache_control"] == {"type": "ephemeral", "ttl": "5m"}
    for dialect in WIRES:  # nobody else is sent a mark
        if dialect != "anthropic":
            assert "cache" not in json.dumps(
                body(dialect, *turns, tools=tools, system=("Standing.", hour))
            )
    assert repr((CACHE, hour)) == "(CACHE, CacheMark('1h'))"


def test_a_mark_that_instructions_begin_with_stands_behind_the_tools() -> None:
    agent = Agent("a", tools=[look], system=(CacheMark("1h"), "Be brief."))
    with server("anthropic", [Answer(text="done")]) as strict:
        assert (
            walk(Graph("g", START >> agent >> END), "x", model=model("anthropic", strict)).output
            == "done"
        )
        sent = strict.requests[0].json
    assert sent["tools"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert sent["system"] == [{"type": "text", "text": "Be brief."}]


def test_a_choice_among_hosted_tools_is_sent() -> None:
    hosted = {"tools": [HOSTED]}
    assert body("anthropic", extra=hosted, tool_choice="required")["tool_choice"] == {"type": "any"}
    assert (
        body("anthropic", extra=hosted, tool_choice="web_search")["tool_choice"]["name"]
        == "web_search"
    )
    assert (
        body("openai-responses", extra=hosted, tool_choice="required")["tool_choice"] == "required"
    )
    assert body("openai-responses", extra=hosted, tool_choice="web_search")["tool_choice"] == {
        "type": "web_search"
    }
    own = (ToolSpec("web_search", "", {"type": "object"}),)
    named = body("openai-responses", extra=hosted, tools=own, tool_choice="web_search")[
        "tool_choice"
    ]
    assert named == {"type": "function", "name": "web_search"}
    assert (
        body("groq", extra={"tools": [{"type": "browser_search"}]}, tool_choice="required")[
            "tool_choice"
        ]
        == "required"
    )
    search = {"tools": [{"google_search": {}}]}
    assert "toolConfig" not in body("gemini", extra=search, tool_choice="auto")
    with pytest.raises(errors.BadRequest, match="tool_choice"):
        body("gemini", extra=search, tool_choice="required")


@pytest.mark.parametrize("dialect", sorted(WIRES))
def test_a_choice_among_no_tools_is_not_sent(dialect: str) -> None:
    for choice in ("auto", "none"):
        made = body(dialect, tool_choice=choice)
        assert not {"tool_choice", "toolConfig", "tools"} & made.keys()


def test_an_answer_that_is_a_tool_does_not_shut_hosted_tools_out() -> None:
    agent = Agent("a", output=dict[str, int], extra={"tools": [HOSTED]})
    call = {"type": "tool_use", "id": "toolu_1", "name": "final_answer", "input": {"a": 1}}
    answer = {"type": "message", "content": [call], "stop_reason": "tool_use", "usage": {}}
    with RawServer(whole(answer)) as raw:
        asked = asked_at("anthropic", raw, output="tool", stream=False)
        assert walk(Graph("g", START >> agent >> END), "x", model=asked).output == {"a": 1}
    assert b'"tool_choice":{"type":"any"}' in raw.requests[0]


# -- reasoning that goes back ----------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["o4-mini", "ft:o4-mini-2025-04-16:org::id", "openai/o3", "ft:gpt-5-mini:org::id"]
)
def test_models_that_reason_are_asked_for_their_reasoning(name: str) -> None:
    wire, dialect = WIRES["openai-responses"]
    made = render_request(wire, Request((UserTurn("hi"),)), name, dialect=dialect)
    assert made["include"] == ["reasoning.encrypted_content"]


def answer(reasoning: Json, **more: Any) -> Json:
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "look",
        "arguments": "{}",
    }
    response = {
        "status": "completed",
        "output": [{"type": "reasoning", "id": "rs_1", **reasoning}, call],
        **more,
    }
    return {"type": "response.completed", "response": response}


@pytest.mark.parametrize(
    ("told", "goes_back"),
    [
        (answer({"summary": []}), False),
        (answer({"summary": []}, store=False), False),
        (answer({"summary": []}, store=True), True),
        (answer({"summary": [], "encrypted_content": "opaque"}), True),
    ],
)
def test_reasoning_that_nobody_could_find_again_does_not_go_back(
    told: Json, goes_back: bool
) -> None:
    with RawServer(streamed("openai-responses", told), says("openai-responses", "done")) as raw:
        graph = Graph("g", START >> Agent("a", tools=[look]) >> END)
        assert walk(graph, "x", model=asked_at("openai-responses", raw)).output == "done"
    sent = json.loads(raw.requests[1].partition(b"\r\n\r\n")[2])["input"]
    kinds = [item.get("type", item.get("role")) for item in sent]
    assert kinds == [
        "user",
        *(["reasoning"] if goes_back else []),
        "function_call",
        "function_call_output",
    ]
    assert all(
        ("id" in item) == goes_back
        for item in sent
        if item.get("type") in ("reasoning", "function_call")
    )
    assert "stored" not in json.dumps(sent)
