"""The evaluator and optimizer: good at once, sent back, out of laps; what is counted outweighs what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphflow.testing import ScriptedModel, gives
from graphs.evaluator_optimizer import Brief, Written, evaluator_optimizer
from nodes._support.demands import Demands, demands_of, unmet
from tests.conftest import walk
from tests.ready.ways import from_file, ran, sound

TASK = Brief(task='A slogan with "bread" in at most 5 words.')
LAP = ["turn", "generator", "draft", "evaluator", "decide"]


def graded(grade: int, feedback: str = "Good.") -> object:
    return gives({"feedback": feedback, "grade": grade})


def test_it_is_sound_and_drawn() -> None:
    sound(
        evaluator_optimizer,
        "START | Brief | turn",
        "evaluator | verdict: Verdict | decide",
        "decide | Round, at most 3 laps | turn",
        "decide | LimitReached | best_so_far",
        "decide | Written | END",
    )
    assert evaluator_optimizer.bounds().activations["generator"].times == 4


def test_a_good_text_goes_out_at_once() -> None:
    model = ScriptedModel("Our bread is warm.", graded(5))
    run = walk(evaluator_optimizer, TASK, model=model)
    assert run.output == Written(
        text="Our bread is warm.", good=True, grade=5, rounds=1, feedback="Good."
    )
    assert ran(run) == LAP
    model.done()


def test_what_the_evaluator_says_goes_back_to_the_generator() -> None:
    model = ScriptedModel("Bread.", graded(2, "Say more."), "Warm bread all day.", graded(4))
    run = walk(evaluator_optimizer, TASK, model=model)
    assert (run.output.text, run.output.rounds, run.output.good) == ("Warm bread all day.", 2, True)
    assert ran(run) == LAP * 2
    asked = model.requests[2].turns[-1].text  # type: ignore[union-attr]
    assert asked.endswith("Your last text: Bread.\nSay more. Write it again.")


def test_a_demand_that_is_counted_outweighs_the_grade() -> None:
    model = ScriptedModel("Warm rolls.", graded(5), "Warm bread.", graded(5))
    run = walk(evaluator_optimizer, TASK, model=model)
    assert (run.output.text, run.output.rounds) == ("Warm bread.", 2)
    assert "It lacks 'bread'." in model.requests[2].turns[-1].text  # type: ignore[union-attr]


def test_out_of_laps_the_best_goes_out_not_the_last() -> None:
    model = ScriptedModel(
        "Bread a.", graded(1), "Bread b.", graded(3, "Nearly."), "Rolls.", graded(5), "x", graded(1)
    )
    run = walk(evaluator_optimizer, TASK, model=model)
    assert run.output == Written(text="Bread b.", good=False, grade=3, rounds=4, feedback="Nearly.")
    assert ran(run) == [*LAP * 4, "best_so_far"]


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(evaluator_optimizer, tmp_path)
    assert again.to_yaml() == evaluator_optimizer.to_yaml()
    assert walk(again, TASK, model=ScriptedModel("Our bread.", graded(5))).output.good


@pytest.mark.parametrize(
    ("task", "words", "most"),
    [
        ('Say "a b" and "c" in at most 9 words', ("a b", "c"), 9),
        ("Say “milk”, no more than 12 words.", ("milk",), 12),
        ("Say something.", (), None),
    ],
)
def test_demands_are_read_from_a_task(task: str, words: tuple[str, ...], most: int | None) -> None:
    assert demands_of(task) == Demands(words=words, most=most)


def test_unmet_demands_are_sentences() -> None:
    demands = Demands(words=("Bread", "tea"), most=3)
    assert unmet("bread and tea", demands) == ()
    assert unmet("fresh bread for all", demands) == (
        "It lacks 'tea'.",
        "It has 4 words; at most 3 are allowed.",
    )
    assert unmet("tea bread\ntea bread", Demands()) == ("It says the same line twice.",)
    assert unmet(" ", demands) == ("There is no text.",)


@pytest.mark.local_model
def test_the_embedded_model_meets_what_is_counted() -> None:
    run = walk(
        evaluator_optimizer,
        Brief(task='Write a slogan for a bakery with "bread" and "morning" in at most 8 words.'),
    )
    assert run.error is None, run.error
    assert isinstance(run.output, Written)
    assert (
        not run.output.good
        or unmet(run.output.text, Demands(words=("bread", "morning"), most=8)) == ()
    )
