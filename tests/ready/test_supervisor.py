"""The supervisor: asks one specialist, both at once, is told of failures, and keeps its specialists within limits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from graphflow import ToolError
from graphflow.testing import ScriptedModel, both, calls, gives, says
from graphs.supervisor import Answer, supervisor, total
from tests.conftest import walk
from tests.ready.ways import called, from_file, ran, sound

ASK_ACCOUNTANT = calls("accountant", question="3 honey?")
ASK_LIBRARIAN = calls("librarian", question="returns?")
DONE = gives({"answer": "16.50 euros; 30 days.", "sources": ["3 x 5.50", "returns.md"]})


def test_it_is_sound_and_drawn() -> None:
    sound(
        supervisor,
        "START | str | boss",
        "boss |  | accountant",
        "boss |  | librarian",
        "accountant |  | total",
        "boss | Answer | END",
    )
    assert supervisor.bounds().depth == 1


def test_both_specialists_are_asked_at_once_and_answer_by_type() -> None:
    model = ScriptedModel(
        both(ASK_ACCOUNTANT, ASK_LIBRARIAN),
        calls("total", items={"honey": 3}, when="honey"),
        gives({"answer": "30 days", "files": ["returns.md"]}, when="returns"),
        gives({"reckoning": "3 x 5.50", "euros": 16.5}, when="16.50"),
        DONE,
    )
    run = walk(supervisor, "3 honey, and returns?", model=model)
    assert run.output == Answer(answer="16.50 euros; 30 days.", sources=["3 x 5.50", "returns.md"])
    assert sorted(called(run)) == ["accountant", "librarian"]
    assert ran(run) == ["boss"]
    answers = [r.text for r in model.requests[-1].turns[-1].results]  # type: ignore[union-attr]
    assert answers == [
        '{"reckoning":"3 x 5.50","euros":16.5}',
        '{"answer":"30 days","files":["returns.md"]}',
    ]
    assert len(model.requests[1].turns) == 1  # a specialist sees its task, not the conversation


def test_a_specialist_that_fails_is_an_error_of_that_call() -> None:
    model = ScriptedModel(ASK_LIBRARIAN, *["no JSON"] * 3, gives({"answer": "I do not know."}))
    run = walk(supervisor, "returns?", model=model)
    assert run.output == Answer(answer="I do not know.")
    [result] = model.requests[-1].turns[-1].results  # type: ignore[union-attr]
    assert not result.ok
    assert "OutputInvalid" in result.text


def test_a_specialist_in_circles_is_ended_by_its_own_limit() -> None:
    look = calls("search_handbook", query="x")
    model = ScriptedModel(ASK_LIBRARIAN, *[look] * 6, gives({"answer": "Nobody knows."}))
    run = walk(supervisor, "?", model=model)
    assert run.output == Answer(answer="Nobody knows.")
    assert not model.requests[-1].turns[-1].results[0].ok  # type: ignore[union-attr]


def test_the_price_list_adds_up() -> None:
    assert asyncio.run(total({"honey": 3, "Melon": 2})) == "22.50"
    with pytest.raises(ToolError, match="'rocket' is not in the price list"):
        asyncio.run(total({"rocket": 1}))


def test_answers_without_the_specialists_are_taken() -> None:
    assert walk(
        supervisor, "Hello", model=ScriptedModel(says('{"answer": "Hello!"}'))
    ).output == Answer(answer="Hello!")


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(supervisor, tmp_path)
    assert again.to_yaml() == supervisor.to_yaml()
    model = ScriptedModel(
        ASK_LIBRARIAN, gives({"answer": "30 days"}), gives({"answer": "30 days."})
    )
    assert walk(again, "returns?", model=model).output == Answer(answer="30 days.")
