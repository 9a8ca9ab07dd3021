"""ReAct: the loop of thinking, calling and looking; its tools; and its end when it does not come to one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import ToolError
from graphflow.errors import LimitExceeded
from graphflow.testing import ScriptedModel, both, calls
from graphs.react import calculate, react, search_files
from tests.conftest import walk
from tests.ready.ways import called, from_file, ran, sound


def call(tool: Any, *args: Any) -> Any:
    return asyncio.run(tool(*args))


def test_it_is_sound_and_drawn() -> None:
    sound(react, "START | str | thinker", "thinker |  | calculate", "thinker |  | search_files", "thinker | str | END")
    assert react.bounds().model_calls["thinker"].times == 12


def test_it_calls_looks_and_calls_again() -> None:
    model = ScriptedModel(
        calls("days_between", first="2024-02-10", last="2024-03-01"),
        calls("calculate", expression="20 * 24"),
        "480 hours.",
    )
    run = walk(react, "How many hours?", model=model)
    assert run.output == "480 hours."
    assert called(run) == ["days_between", "calculate"]
    assert [r.text for r in model.requests[2].turns[-1].results] == ["480.0"]  # type: ignore[union-attr]
    assert ran(run) == ["thinker"]


def test_a_failing_tool_is_told_to_the_model_and_the_loop_goes_on() -> None:
    model = ScriptedModel(both(calls("calculate", expression="1 / 0"), calls("calculate", expression="2 + 2")), "4")
    run = walk(react, "?", model=model)
    results = model.requests[1].turns[-1].results  # type: ignore[union-attr]
    assert [(r.ok, r.text) for r in results] == [(False, "ToolError: 1 / 0: division by zero"), (True, "4.0")]
    assert run.output == "4"


def test_a_loop_without_end_is_ended() -> None:
    run = walk(react, "?", model=ScriptedModel(*[calls("calculate", expression="1 + 1")] * 12))
    assert run.status == "limited"
    assert isinstance(run.error, LimitExceeded)
    assert len(called(run)) == 12


@pytest.mark.parametrize(
    ("expression", "value"),
    [("17 * 23", 391), ("(3 + 4) * 2.5", 17.5), ("-7 // 2", -4), (" 10 % 4 ", 2), ("1e3", 1000)],
)
def test_arithmetic(expression: str, value: float) -> None:
    assert call(calculate, expression) == value


@pytest.mark.parametrize("expression", ["__import__('os')", "a + 1", "2 +", "True + 1", "9 ** 9", "1" * 201, "'a' * 3"])
def test_what_is_no_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(ToolError):
        call(calculate, expression)


def test_files_are_searched(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one\nThe Licence is MIT.\n")
    (tmp_path / "b.py").write_text("licence")
    assert call(search_files, "licence", str(tmp_path)) == ["a.md:2: The Licence is MIT."]
    with pytest.raises(ToolError, match="no folder"):
        call(search_files, "x", str(tmp_path / "nope"))


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(react, tmp_path)
    assert again.to_yaml() == react.to_yaml()
    model = ScriptedModel(calls("calculate", expression="1 + 1"), "2")
    assert walk(again, "?", model=model).output == "2"
