"""What agents make of what models can do: pictures, partial objects, refusals, repairs, pauses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, Media, Router, errors, tool
from graphflow.events import ModelDelta, ModelPartial
from graphflow.model.seam import Finished, Kept, ModelEvent, RefusalDelta, Request, TextDelta
from graphflow.model.turns import UserTurn
from graphflow.testing import ScriptedModel, calls, fails, gives, says
from tests.conftest import heard, walk
from tests.providers.reach import model, server
from tests.strict import Answer

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000a49444154789c6360000002000154a24f1d0000000049454e44ae426082"
)


class Photo(BaseModel):
    title: str
    picture: Media


def image() -> Media:
    return Media(mime="image/png", data=PNG, name="dot.png")


# -- media -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "provider", ["openai", "openai-responses", "anthropic", "google", "groq", "mistral", "ollama"]
)
def test_a_picture_in_a_message_reaches_the_model(provider: str) -> None:
    graph = Graph("g", START >> Agent("looker", input=Photo) >> END)
    with server(provider, [Answer(text="a dot")]) as strict:
        run = walk(graph, Photo(title="Dot", picture=image()), model=model(provider, strict))
        assert strict.refused == []
        assert run.output == "a dot"
        body = json.dumps(strict.requests[0].json)
    assert image().base64 in body
    assert body.count(image().base64) == 1  # not in the text as well
    assert "[image dot.png]" in body


@pytest.mark.parametrize(
    "provider", ["openai", "openai-responses", "anthropic", "google", "mistral"]
)
def test_a_picture_in_a_tools_answer_reaches_the_model(provider: str) -> None:
    @tool
    async def screenshot() -> Media:
        """Take a picture."""
        return image()

    script = [Answer(calls=(("screenshot", {}),)), Answer(text="a dot")]
    graph = Graph("g", START >> Agent("looker", tools=[screenshot]) >> END)
    with server(provider, script) as strict:
        run = walk(graph, "look", model=model(provider, strict))
        assert strict.refused == []
        assert run.output == "a dot"
        assert image().base64 in json.dumps(strict.requests[1].json)


def test_media_is_read_from_files_and_travels_as_a_message(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(PNG)
    read = Media.read(tmp_path / "dot.png")
    assert (read.kind, read.mime, read.name) == ("image", "image/png", "dot.png")
    assert Media.model_validate_json(read.model_dump_json()) == read
    assert "data=" not in repr(read)
    with pytest.raises(errors.FileUnreadable):
        Media.read(tmp_path / "none.png")
    with pytest.raises(errors.FileUnreadable, match="does not show"):
        Media.read(tmp_path / "dot")
    for wrong in ({}, {"url": "http://x", "file_id": "f"}, {"data": b"x"}):
        with pytest.raises(ValueError, match=r"exactly one|media type"):
            Media(**wrong)  # type: ignore[arg-type]


def test_a_lone_picture_is_the_whole_message() -> None:
    asked = ScriptedModel(says("a dot"))
    walk(Graph("g", START >> Agent("a", input=Media) >> END), image(), model=asked)
    assert asked.requests[0].turns == (UserTurn((image(),)),)


# -- structured output -----------------------------------------------------------------------------
class City(BaseModel):
    name: str
    people: int
    sights: list[str] = []


def test_partial_objects_stream() -> None:
    answer = City(name="Oslo", people=700000, sights=["Opera House", "Vigeland Park"])
    run = walk(
        Graph("g", START >> Agent("a", output=City) >> END),
        "x",
        model=ScriptedModel(gives(answer)),
        observed=True,
    )
    partial = [event.value for event in heard(run) if isinstance(event, ModelPartial)]
    assert len(partial) > 1
    assert partial[-1] == answer.model_dump()
    for one, next_ in pairwise(partial):
        assert set(one) <= set(next_)


def test_a_model_that_never_fits_ends_with_all_its_attempts() -> None:
    graph = Graph("g", START >> Agent("a", output=City, repairs=2) >> END)
    asked = ScriptedModel(says("one"), says('{"name": 1}'), says('{"name": "Oslo"}'))
    run = walk(graph, "x", model=asked)
    assert isinstance(run.error, errors.OutputInvalid)
    assert run.error.attempts == ("one", '{"name": 1}', '{"name": "Oslo"}')
    assert "people" in asked.requests[2].turns[-1].text  # type: ignore[union-attr]  # the model was shown its own error


# -- what a model may do instead of answering ------------------------------------------------------
class Says:
    """A model that plays given events, one list an answer."""

    name = "plays"

    def __init__(self, *answers: list[ModelEvent]) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        for event in self.answers.pop(0):
            yield event


@pytest.mark.parametrize(
    ("events", "kind", "words"),
    [
        (
            [RefusalDelta("I can't "), RefusalDelta("help."), Finished("stop", "stop")],
            errors.Refused,
            "I can't help.",
        ),
        ([Finished("refusal", "refusal")], errors.Refused, "no reason"),
        ([Finished("content_filter", "SAFETY")], errors.ContentFiltered, "SAFETY"),
    ],
)
def test_a_refusal_is_its_own_error(events: list[ModelEvent], kind: Any, words: str) -> None:
    run = walk(Graph("g", START >> Agent("a") >> END), "x", model=Says(events))
    assert type(run.error) is kind
    assert words in str(run.error)
    assert not run.error.retryable
    router = Router("r", labels={"a": "A", "b": "B"})
    done = Graph("g", START >> router, router["a"] >> END, router["b"] >> END, ends="one")
    assert type(walk(done, "x", model=Says(events)).error) is kind


@tool
async def find(name: str) -> str:
    """Find."""
    return "found"


def test_a_call_that_the_provider_could_not_read_is_asked_for_again() -> None:
    broken = errors.ToolUseFailed("groq: the call does not fit: missing name")
    asked = ScriptedModel(fails(broken), calls("find", name="x"), says("done"))
    run = walk(Graph("g", START >> Agent("a", tools=[find]) >> END), "x", model=asked)
    assert run.output == "done"
    assert "missing name" in asked.requests[1].turns[-1].text  # type: ignore[union-attr]
    malformed: list[ModelEvent] = [Finished("error", "MALFORMED_FUNCTION_CALL")]
    run = walk(
        Graph("g", START >> Agent("a", tools=[find], repairs=1) >> END),
        "x",
        model=Says(malformed, malformed),
    )
    assert isinstance(run.error, errors.OutputInvalid)
    assert "MALFORMED_FUNCTION_CALL" in str(run.error)


def test_a_pause_is_sent_back_to_go_on() -> None:
    block = {
        "type": "server_tool_use",
        "id": "srv_1",
        "name": "web_search",
        "input": {"query": "x"},
    }
    paused: list[ModelEvent] = [
        Kept("block", 0, {"name": "web_search", "item": block}),
        Finished("pause", "pause_turn"),
    ]
    asked = Says(paused, [TextDelta("found"), Finished("stop")])
    run = walk(Graph("g", START >> Agent("a") >> END), "x", model=asked)
    assert run.output == "found"
    assert asked.requests[1].turns[-1].parts[0].keep["item"] == block  # type: ignore[union-attr]


def test_a_tool_choice_holds_for_the_first_question_only() -> None:
    asked = ScriptedModel(calls("find", name="x"), says("done"))
    walk(
        Graph(
            "g", START >> Agent("a", tools=[find], tool_choice="required", thinking="low") >> END
        ),
        "x",
        model=asked,
    )
    assert [r.settings.tool_choice for r in asked.requests] == ["required", None]
    assert asked.requests[1].settings.thinking == "low"


@pytest.mark.parametrize("arguments", ["", "null", "  "])
def test_no_arguments_are_spelled_in_many_ways(arguments: str) -> None:
    @tool
    async def now() -> str:
        """The time."""
        return "12:30"

    from graphflow.model.seam import CallDelta

    asked = Says(
        [CallDelta(0, "c", "now", arguments), Finished("tool_calls")],
        [TextDelta("ok"), Finished("stop")],
    )
    run = walk(Graph("g", START >> Agent("a", tools=[now]) >> END), "x", model=asked, observed=True)
    assert run.output == "ok"
    assert asked.requests[1].turns[-1].results[0].ok  # type: ignore[union-attr]
    assert not [e for e in heard(run) if isinstance(e, ModelDelta) and e.channel == "restart"]


def test_an_emoji_that_was_cut_in_two_is_whole_again() -> None:
    halves: list[ModelEvent] = [TextDelta("rain \ud83c"), TextDelta("\udf27"), Finished("stop")]
    run = walk(Graph("g", START >> Agent("a") >> END), "x", model=Says(halves), observed=True)
    assert run.output == "rain 🌧"
    assert [e.text for e in heard(run) if isinstance(e, ModelDelta)] == ["rain ", "🌧"]
