"""Reflexion: solved at once, solved with a lesson, given up with the best attempt; tested by code or by a judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphflow.testing import ScriptedModel, gives
from graphs.reflexion import Solved, Task, reflexion
from tests.conftest import walk
from tests.ready.ways import called, from_file, ran, sound

TASK = Task(task='Tell Ida that her "lamp" comes on "4 July".')
LAP = ["trial", "actor", "evaluate"]


def test_it_is_sound_and_drawn() -> None:
    sound(
        reflexion,
        "START | Task | trial",
        "evaluate | Failed, at most 3 laps | reflect",
        "reflect | Trial | trial",
        "evaluate |  | judge",
        "evaluate | LimitReached | give_up",
    )


def test_solved_at_once() -> None:
    run = walk(reflexion, TASK, model=ScriptedModel("Your lamp comes on 4 July."))
    assert run.output == Solved(
        answer="Your lamp comes on 4 July.", solved=True, attempts=1, lessons=()
    )
    assert ran(run) == LAP


def test_lessons_pile_up_and_are_shown_to_the_actor() -> None:
    model = ScriptedModel(
        "Hello.", "Say lamp.", "Your lamp.", "Say 4 July.", "Your lamp comes on 4 July."
    )
    run = walk(reflexion, TASK, model=model)
    assert run.output.lessons == ("Say lamp.", "Say 4 July.")
    assert (run.output.solved, run.output.attempts) == (True, 3)
    assert ran(run) == [*LAP, "reflect", *LAP, "reflect", *LAP]
    assert called(run) == ["reflector", "reflector"]
    shown = model.requests[-1].turns[-1].text  # type: ignore[union-attr]
    assert shown.endswith("\nRemember: Say lamp.\nRemember: Say 4 July.")
    assert "It lacks 'lamp'. It lacks '4 July'." in model.requests[1].turns[-1].text  # type: ignore[union-attr]


def test_given_up_with_the_best_attempt_after_four() -> None:
    model = ScriptedModel(
        "Hello.", "a", "Your lamp on 4 June.\nYour lamp on 4 June.", "b", "Your lamp.", "c", "Bye."
    )
    run = walk(reflexion, TASK, model=model)
    assert run.output == Solved(
        answer="Your lamp.", solved=False, attempts=4, lessons=("a", "b", "c")
    )
    assert ran(run)[-1] == "give_up"
    model.done()


def test_what_cannot_be_counted_is_judged() -> None:
    model = ScriptedModel(
        "A line.",
        gives({"why": "No rhyme.", "passed": False}),
        "Rhyme.",
        "Two.",
        gives({"why": "", "passed": True}),
    )
    run = walk(reflexion, Task(task="A limerick."), model=model)
    assert (run.output.answer, run.output.lessons) == ("Two.", ("Rhyme.",))
    assert called(run) == ["judge", "reflector", "judge"]


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(reflexion, tmp_path)
    assert again.to_yaml() == reflexion.to_yaml()
    assert walk(again, TASK, model=ScriptedModel("Your lamp comes on 4 July.")).output.solved


@pytest.mark.local_model
def test_the_embedded_model_comes_to_an_end() -> None:
    run = walk(reflexion, TASK)
    assert run.error is None, run.error
    assert run.output.attempts <= 4
    assert run.output.solved == (
        "lamp" in run.output.answer.lower() and "4 july" in run.output.answer.lower()
    )
