"""ReAct: the loop of thinking, calling and looking; its tools; and its end when it does not come to one."""

from __future__ import annotations

from pathlib import Path

from graphflow.errors import LimitExceeded
from graphflow.testing import ScriptedModel, both, calls
from graphs.react import react
from tests.conftest import walk
from tests.ready.ways import called, from_file, ran, sound


def test_it_is_sound_and_drawn() -> None:
    sound(
        react,
        "START | str | thinker",
        "thinker |  | calculate",
        "thinker |  | grep_files",
        "thinker | str | END",
    )
    assert react.bounds().model_calls["thinker"].times == 12


def test_it_calls_looks_and_calls_again() -> None:
    model = ScriptedModel(
        calls("between_dates", first="2024-02-10", last="2024-03-01"),
        calls("calculate", expression="20 * 24"),
        "480 hours.",
    )
    run = walk(react, "How many hours?", model=model)
    assert run.output == "480 hours."
    assert called(run) == ["between_dates", "calculate"]
    assert '"value":"480"' in model.requests[2].turns[-1].results[0].text  # type: ignore[union-attr]
    assert ran(run) == ["thinker"]


def test_a_failing_tool_is_told_to_the_model_and_the_loop_goes_on() -> None:
    model = ScriptedModel(
        both(calls("calculate", expression="1 / 0"), calls("calculate", expression="2 + 2")), "4"
    )
    run = walk(react, "?", model=model)
    results = model.requests[1].turns[-1].results  # type: ignore[union-attr]
    assert [r.ok for r in results] == [False, True]
    assert "division by zero" in results[0].text
    assert run.output == "4"


def test_a_loop_without_end_is_ended() -> None:
    run = walk(react, "?", model=ScriptedModel(*[calls("calculate", expression="1 + 1")] * 12))
    assert run.status == "limited"
    assert isinstance(run.error, LimitExceeded)
    assert len(called(run)) == 12


def test_it_reads_the_files_of_the_folder_it_is_started_in() -> None:
    model = ScriptedModel(
        both(calls("grep_files", pattern="MIT License"), calls("read_file", path="../secret.txt")),
        "LICENSE",
    )
    assert walk(react, "Which licence?", model=model).output == "LICENSE"
    found, outside = model.requests[1].turns[-1].results  # type: ignore[union-attr]
    assert "LICENSE" in found.text
    assert not outside.ok


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(react, tmp_path)
    assert again.to_yaml() == react.to_yaml()
    model = ScriptedModel(calls("calculate", expression="1 + 1"), "2")
    assert walk(again, "?", model=model).output == "2"
