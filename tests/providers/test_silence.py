"""Replies without words: they are asked for again, and are never taken for an answer."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Failure,
    Graph,
    Handoff,
    Router,
    SubAgent,
    errors,
    node,
    tool,
)
from graphflow.model.seam import Finished, Kept, ModelEvent, TextDelta, ThinkingDelta
from graphflow.model.turns import AssistantTurn, UserTurn
from graphflow.testing import ScriptedModel, calls, says
from tests.conftest import walk
from tests.providers.reach import TARGETS, model, server
from tests.providers.test_agents import Says
from tests.strict import Answer

NOTHING: list[ModelEvent] = [Finished("stop", "stop")]
BLANK: list[ModelEvent] = [TextDelta(" \n\t "), Finished("stop", "stop")]
THOUGHT: list[ModelEvent] = [
    ThinkingDelta("Hm."),
    Kept(0, "thinking", {"signature": "s"}),
    Finished("stop", "stop"),
]
SILENT = {"nothing": NOTHING, "blank": BLANK, "only thoughts": THOUGHT}
WORDS: list[ModelEvent] = [TextDelta("Oslo."), Finished("stop", "stop")]
silent = pytest.mark.parametrize("silence", SILENT)


def graph_of(**options: Any) -> Graph[Any, Any]:
    return Graph("g", START >> Agent("a", input=str, **options) >> END)


@silent
def test_a_reply_without_words_is_asked_for_again(silence: str) -> None:
    asked = Says(SILENT[silence], WORDS)
    run = walk(graph_of(), "Capital?", model=asked)
    assert run.output == "Oslo."
    first, again = (request.turns for request in asked.requests)
    assert again[:-1] == first  # no turn without words is sent back
    assert "empty" in again[-1].text  # type: ignore[union-attr]
    assert ("reasoning" in again[-1].text) == (silence == "only thoughts")  # type: ignore[union-attr]


@silent
@pytest.mark.parametrize("output", [str, None, int, str | None], ids=str)
@pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])
def test_silence_for_ever_is_output_invalid(silence: str, output: Any, plain: bool) -> None:
    asked = Says(*[SILENT[silence]] * 3)
    run = walk(graph_of(output=output), "x", model=asked, plain=plain)
    assert isinstance(run.error, errors.OutputInvalid)
    assert "empty" in str(run.error)
    assert len(run.error.attempts) == len(asked.requests) == 3
    assert run.usage.model_calls == 3


def test_without_repairs_it_fails_at_once() -> None:
    asked = Says(NOTHING, WORDS)
    assert isinstance(walk(graph_of(repairs=0), "x", model=asked).error, errors.OutputInvalid)
    assert len(asked.requests) == 1


def test_silence_behind_a_tool_is_asked_for_again() -> None:
    @tool
    async def done() -> str:
        """Do it."""
        return "did"

    asked = ScriptedModel(calls("done"), says(""), "It is done.")
    run = walk(graph_of(tools=[done]), "x", model=asked)
    assert run.output == "It is done."
    assert run.usage.tool_calls == 1


def test_a_failure_edge_takes_it() -> None:
    @node
    async def instead(failed: Failure) -> str:
        return failed.error

    quiet = Agent("a", input=str, repairs=0)
    graph = Graph("g", START >> quiet >> END, quiet[Failure] >> instead >> END)
    assert "empty" in walk(graph, "x", model=Says(NOTHING)).output


def test_thoughts_that_took_all_the_tokens_are_not_asked_for_again() -> None:
    cut: list[ModelEvent] = [ThinkingDelta("Hm."), Finished("length", "length")]
    asked = Says(cut, WORDS)
    run = walk(graph_of(max_tokens=5), "x", model=asked)
    assert isinstance(run.error, errors.OutputInvalid)
    assert "max_tokens" in str(run.error)
    assert len(asked.requests) == 1


def test_a_sub_agent_and_a_hand_over_are_no_exceptions() -> None:
    child = Agent("child", input=str, repairs=1)
    asked = ScriptedModel(calls("child", input="x"), says(""), says(" "), "the child is silent")
    run = walk(graph_of(sub_agents=[SubAgent(child)]), "x", model=asked)
    assert run.output == "the child is silent"
    assert "OutputInvalid" in asked.requests[-1].turns[-1].results[0].text  # type: ignore[union-attr]

    other = Agent("other", input=str)
    asked = ScriptedModel(calls("transfer_to_other", input="x"), says(""), "here I am")
    run = walk(graph_of(handoffs=[Handoff(other, conversation=True)]), "x", model=asked)
    assert run.output == "here I am"


def test_a_router_asks_again_without_an_empty_turn() -> None:
    router: Router[str, Literal["a", "b"]] = Router("r", input=str, labels=["a", "b"])
    asked = ScriptedModel(says(" "), says('{"label": "b"}'))
    run = walk(
        Graph("g", START >> router, router["a"] >> END, router["b"] >> END), "x", model=asked
    )
    assert run.error is None
    assert not any(isinstance(turn, AssistantTurn) for turn in asked.requests[1].turns)
    assert all(isinstance(turn, UserTurn) and turn.text.strip() for turn in asked.requests[1].turns)


@pytest.mark.parametrize(
    "thinking", ["", "Let me think it over."], ids=["nothing", "only thoughts"]
)
@pytest.mark.parametrize("provider", TARGETS)
def test_every_wire_takes_the_second_question(provider: str, thinking: str) -> None:
    @tool
    async def look() -> str:
        """Look."""
        return "seen"

    script = [Answer(calls=(("look", {}),)), Answer(thinking=thinking), Answer(text="It was seen.")]
    with server(provider, script) as strict:
        run = walk(graph_of(tools=[look], thinking=2048), "x", model=model(provider, strict))
        assert strict.refused == []
        assert run.output == "It was seen."
