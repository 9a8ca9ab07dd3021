"""Grounded, behind writers of other graphs: what holds is kept, the rest is said again once, or is the fact."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Failure, Graph, Limits, Message, node
from graphflow.run import Run
from graphflow.testing import ScriptedModel, fails
from nodes._support.grounding import verdicts
from nodes.steps.hold_to_facts import Grounded, Said
from nodes.subagents.grounded import grounded
from nodes.tools.search_documents import _sentences
from tests.conftest import walk
from tests.ready.ways import from_file

DATA = Path(__file__).resolve().parents[1] / "data"
MUSEUM = [
    sentence for path in sorted((DATA / "museum").glob("*.md")) for sentence in _sentences(path)
]
TICKET, MONDAY, CHILDREN = (
    "A ticket costs 12 euros.",
    "We are closed on Mondays.",
    "Children under 6 enter free.",
)
FACTS = (TICKET, MONDAY, CHILDREN)


def said(answer: str, *model: Any, **more: Any) -> Run[Grounded]:
    script = ScriptedModel(*model)
    run = walk(grounded, Said(**{"answer": answer, "facts": FACTS, **more}), model=script)
    assert run.error is None, run.error
    script.done()
    return run


def test_it_is_sound_and_asks_a_model_once_at_most() -> None:
    assert grounded.check().ok
    bounds = grounded.bounds()
    assert bounds.activations["retell_facts"].times == 1
    assert bounds.depth == 1


def test_what_holds_goes_out_without_another_call() -> None:
    output = said("Yes, a ticket costs €12. We're closed on Mondays.").output
    assert output == Grounded(
        answer="A ticket costs €12. We're closed on Mondays.",
        rests_on=(TICKET, MONDAY),
        left_out=(),
        by="model",
    )


def test_what_no_fact_is_near_to_is_left_out_without_another_call() -> None:
    output = said("What a fine question! A ticket costs 12 euros. Hope that helps!").output
    assert output.answer == TICKET
    assert output.left_out == ("What a fine question!", "Hope that helps!")


def test_what_does_not_hold_is_said_again_in_its_place() -> None:
    run = said("A ticket costs 10 euros. We are closed on Mondays.", "Sure, a ticket costs 12 EUR.")
    assert run.output.answer == "A ticket costs 12 EUR. We are closed on Mondays."
    assert run.output.left_out == ("A ticket costs 10 euros.",)
    assert (run.output.by, run.usage.model_calls) == ("model", 1)


def test_the_fact_stands_in_for_what_does_not_hold_twice() -> None:
    run = said("Children enter free. We are closed on Mondays.", "All children enter free.")
    assert run.output.answer == f"{CHILDREN} {MONDAY}"
    assert (run.output.by, run.usage.model_calls) == ("both", 1)


def test_only_what_waits_is_asked_for() -> None:
    script = ScriptedModel("A ticket costs 12 euros.")
    walk(
        grounded,
        Said(answer="A ticket costs $12. We are closed on Mondays.", facts=FACTS),
        model=script,
    )
    asked = script.requests[0].turns[-1].text  # type: ignore[union-attr]
    assert TICKET in asked
    assert MONDAY not in asked


def test_a_fact_that_is_said_already_is_not_said_again() -> None:
    assert said("We are closed on Mondays. Mondays we are never open.").output.answer == MONDAY


def test_without_rewriting_no_model_is_asked() -> None:
    run = said("A ticket costs 10 euros.", rewrite=False)
    assert (run.output.answer, run.output.by, run.usage.model_calls) == (TICKET, "facts", 0)


def test_a_model_that_fails_costs_the_wording_only() -> None:
    assert said("A ticket costs 10 euros.", fails(RuntimeError("down"))).output.answer == TICKET


@pytest.mark.parametrize("answer", ["", "Yes.", "I cannot help with that!", "…"])
def test_nothing_to_the_point_is_replaced_by_the_fact_nearest_to_the_question(answer: str) -> None:
    assert said(answer, rewrite=False, question="What is a ticket?").output.answer == TICKET
    assert said(answer, rewrite=False, facts=(MONDAY,)).output.answer == MONDAY
    nothing = said(answer, question="Who are you?").output
    assert (nothing.answer, nothing.by, nothing.rests_on) == ("I do not know that.", "nothing", ())
    assert said(answer, facts=(), otherwise="Ask at the desk.").output.answer == "Ask at the desk."


class Enquiry(Message):
    question: str
    facts: tuple[str, ...]


guide = Agent("guide", input=Enquiry, prompt="{{ question }}")


@node
async def with_facts(asked: Enquiry, told: str) -> Said:
    return Said(question=asked.question, answer=told, facts=asked.facts)


@node
async def sentence(answer: Grounded) -> str:
    return answer.answer


@node
async def no_guide(failure: Failure) -> Said:
    asked: Enquiry = failure.input
    return Said(question=asked.question, answer="", facts=asked.facts)


behind_a_writer: Graph[Enquiry, str] = Graph(
    "tour",
    START >> (guide, with_facts.into("asked")),
    guide >> with_facts.into("told"),
    with_facts >> grounded >> sentence >> END,
    limits=Limits(depth=2, steps=100),
)


def test_it_stands_behind_a_writer_in_another_graph(tmp_path: Path) -> None:
    asked = Enquiry(question="How many steps has the tower?", facts=tuple(MUSEUM))
    told = "Yes, the tower has 241 steps. The lift reaches the tower."
    again = (
        "The tower has 214 steps and is not suitable for wheelchairs. The lift reaches all floors."
    )
    for graph in (behind_a_writer, from_file(behind_a_writer, tmp_path)):
        run = walk(graph, asked, model=ScriptedModel(told, again))
        assert run.error is None, run.error
        assert run.output == (
            "The tower has 214 steps and is not suitable for wheelchairs. The lift reaches all floors except the tower."
        )
        assert run.usage.model_calls == 2


def test_sentences_of_another_house_are_judged_as_people_judge_them() -> None:
    """Every sentence that is false is seen; of those that are true, one that is the fact in other words may be lost."""
    with (DATA / "museum_said.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    passed = {
        row["sentence"]: all(v.holds for v in verdicts(row["sentence"], MUSEUM)) for row in rows
    }
    false = [row["sentence"] for row in rows if row["true"] == "no"]
    retold = [row["sentence"] for row in rows if row["true"] == "retold"]
    assert len(false) >= 40
    assert [sentence for sentence in false if passed[sentence]] == []
    assert [sentence for sentence in retold if not passed[sentence]] == []
