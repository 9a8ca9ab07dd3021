"""Calls of an answer that broke off: what is not whole is not done, and the model is told, on every wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Handoff, errors, tool
from graphflow.model.seam import CallDelta, Finish, Finished, ModelEvent, TextDelta
from tests.conftest import walk
from tests.providers.raw_server import RawServer
from tests.providers.reach import TARGETS
from tests.providers.spelled import asked_at, calls, says
from tests.providers.test_agents import Says

PROVIDERS = sorted(TARGETS)
done: list[Any] = []


@tool
async def wipe(path: str = "/", deep: bool = True) -> str:
    """Remove a folder."""
    done.append(("wipe", path))
    return "gone"


@tool
async def write(text: str) -> str:
    """Write a text."""
    done.append(("write", text))
    return "written"


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


def graph() -> Graph[Any, Any]:
    return Graph("g", START >> Agent("a", tools=[wipe, write]) >> END)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("cut", ["", "{", '{"path": "/tm', "null"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_call_that_was_cut_off_is_not_run(provider: str, cut: str, stream: bool) -> None:
    answers = [calls(provider, [("wipe", cut)], "length", stream=stream), says(provider, "done")]
    with RawServer(*answers) as raw:
        run = walk(graph(), "go", model=asked_at(provider, raw, stream=stream))
    assert done == []
    assert run.output == "done"
    assert b"cut off" in raw.requests[1]
    assert b"nothing was called" in raw.requests[1]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_call_before_the_one_that_was_cut_off_is_run(provider: str) -> None:
    made = [("write", json.dumps({"text": "a"})), ("wipe", "")]
    with RawServer(calls(provider, made, "length"), says(provider, "done")) as raw:
        assert walk(graph(), "go", model=asked_at(provider, raw)).output == "done"
    assert done == [("write", "a")]
    assert raw.requests[1].count(b"nothing was called") == 1


@pytest.mark.parametrize("provider", ["groq", "mistral", "openai", "openai-responses"])
def test_a_call_that_a_filter_cut_off_is_not_run(provider: str) -> None:
    with RawServer(
        calls(provider, [("wipe", "")], "content_filter"), says(provider, "done")
    ) as raw:
        assert walk(graph(), "go", model=asked_at(provider, raw)).output == "done"
    assert done == []
    assert b"cut off by a content filter" in raw.requests[1]


def test_calls_of_an_answer_that_ends_in_a_refusal_are_not_run() -> None:
    with RawServer(calls("anthropic", [("write", '{"text": "a"}')], "content_filter")) as raw:
        run = walk(graph(), "go", model=asked_at("anthropic", raw))
    assert isinstance(run.error, errors.Refused)
    assert done == []


def answer(finish: Finish, *made: tuple[str, str]) -> list[ModelEvent]:
    deltas: list[ModelEvent] = [
        CallDelta(n, f"c{n}", name, text) for n, (name, text) in enumerate(made)
    ]
    return [*deltas, Finished(finish)]


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_cut_turn_hands_nothing_over(finish: Finish) -> None:
    other = Agent("other", input=str)
    agent = Agent("a", input=str, tools=[write], handoffs=[Handoff(other, conversation=True)])
    whole, cut = (agent.handoffs[0].tool, '{"input": "go on"}'), (agent.handoffs[0].tool, '{"inp')
    said: list[ModelEvent] = [TextDelta("done"), Finished("stop")]
    for made in ([cut], [whole, ("write", "")], [("write", ""), whole]):
        asked = Says(answer(finish, *made), said)
        run = walk(Graph("g", START >> agent >> END, other >> END), "x", model=asked)
        assert (run.output, done) == ("done", [])
        results = asked.requests[1].turns[-1].results  # type: ignore[union-attr]
        assert not any(result.ok for result in results)
        assert [result.id for result in results] == [f"c{n}" for n in range(len(made))]
    handed = Says(answer("tool_calls", whole), said)
    assert walk(Graph("g", START >> agent >> END, other >> END), "x", model=handed).output == "done"
    assert handed.requests[1].turns[-1].text == "go on"  # type: ignore[union-attr]


def test_two_calls_with_one_id_have_a_result_each() -> None:
    asked = Says(
        [
            CallDelta(0, "c", "write", '{"text": "a"}'),
            CallDelta(1, "c", "write", '{"text": "b"}'),
            Finished("length"),
        ],
        [TextDelta("done"), Finished("stop")],
    )
    assert walk(graph(), "x", model=asked).output == "done"
    assert done == [("write", "a"), ("write", "b")]
    assert len(asked.requests[1].turns[-1].results) == 2  # type: ignore[union-attr]
