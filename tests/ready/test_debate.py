"""The debate: agreed at once, after a round, not at all; the judge reads everything."""

from __future__ import annotations

from pathlib import Path

from graphflow.testing import Scripted, ScriptedModel, gives
from graphs.debate import Question, Verdict, debate
from tests.conftest import walk
from tests.ready.ways import from_file, ran, sound

ASKED = Question(question="Is 2027 prime?")
FLOOR = ["ada", "ben", "hear"]


def position(answer: str, reason: str = "r") -> Scripted:
    return gives({"reason": reason, "answer": answer})


def verdict(winner: str, answer: str) -> Scripted:
    return gives({"reason": "because", "winner": winner, "answer": answer})


def test_it_is_sound_and_drawn() -> None:
    sound(
        debate,
        "floor | Debate | ada",
        "floor | Debate | ben",
        "hear | Debate, at most 2 laps | floor",
        "hear | LimitReached | close",
        "close | Closed | judge",
        "judge | Verdict | END",
    )
    assert debate.bounds().activations["ada"].times == 3


def test_who_agrees_needs_no_second_round() -> None:
    run = walk(
        debate,
        ASKED,
        model=ScriptedModel(position("Yes."), position("yes"), verdict("both", "yes")),
    )
    assert run.output == Verdict(reason="because", winner="both", answer="yes")
    assert ran(run) == ["floor", *FLOOR, "judge"]


def test_they_read_each_other_before_the_next_round() -> None:
    model = ScriptedModel(
        position("yes", "no divisor"),
        position("no", "odd"),
        position("yes"),
        position("yes"),
        verdict("ada", "yes"),
    )
    run = walk(debate, ASKED, model=model)
    assert ran(run) == ["floor", *FLOOR, "floor", *FLOOR, "judge"]
    assert run.output.winner == "ada"
    for request in model.requests[2:4]:
        assert "Ada: yes, because no divisor\nBen: no, because odd" in request.turns[-1].text  # type: ignore[union-attr]


def test_after_three_rounds_the_judge_decides() -> None:
    rounds = [position("yes"), position("no")] * 3
    model = ScriptedModel(*rounds, verdict("ben", "no"))
    run = walk(debate, ASKED, model=model)
    assert ran(run) == [*["floor", *FLOOR] * 3, "close", "judge"]
    assert run.output.answer == "no"
    assert "Round 3" in model.requests[-1].turns[-1].text  # type: ignore[union-attr]


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(debate, tmp_path)
    assert again.to_yaml() == debate.to_yaml()
    model = ScriptedModel(position("a"), position("a"), verdict("both", "a"))
    assert walk(again, ASKED, model=model).output.answer == "a"
