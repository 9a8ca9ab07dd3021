"""The desk that hands over: answers itself, hands over with the conversation, is handed back to, gives up, fails."""

from __future__ import annotations

from pathlib import Path

from graphflow.events import HandedOver
from graphflow.model.turns import UserTurn
from graphflow.run import Run
from graphflow.testing import ScriptedModel, calls, fails
from graphs.handoff_desk import Ticket, handoff_desk
from tests.conftest import walk
from tests.ready.ways import called, from_file, ran, sound

TO_SHIPPING = calls("transfer_to_shipping", summary="Where is it?", order_id="1187")
TO_REFUNDS = calls("transfer_to_refunds", summary="Money back.", order_id="1187")
BACK = calls("transfer_to_triage", text="wants money back")


def handed(run: Run[object]) -> list[tuple[str, str]]:
    return [(event.node, event.target) for event in run.events if isinstance(event, HandedOver)]


def test_it_is_sound_and_drawn() -> None:
    sound(
        handoff_desk,
        "triage | hand over Case, conversation | shipping",
        "refunds | hand over Enquiry, conversation, at most 2 laps | triage",
        "shipping | LimitReached | open_ticket",
        "refunds | str | END",
        "shipping |  | find_order",
    )


def test_triage_answers_small_talk_itself() -> None:
    run = walk(
        handoff_desk,
        {"text": "Good morning"},
        model=ScriptedModel("Good morning! What can I do for you?"),
    )
    assert run.output == "Good morning! What can I do for you?"
    assert ran(run) == ["triage"]


def test_a_specialist_takes_over_reads_what_was_said_and_looks_the_order_up() -> None:
    model = ScriptedModel(TO_SHIPPING, calls("find_order", order_id="1187"), "It arrives on 9 May.")
    run = walk(handoff_desk, {"text": "Order 1187?"}, model=model)
    assert run.output == "It arrives on 9 May."
    assert (ran(run), called(run)) == (["triage", "shipping"], ["find_order"])
    assert [turn.text for turn in model.requests[1].turns if isinstance(turn, UserTurn)] == [
        "Order 1187?",
        "You are in charge now. Where is it? Order 1187.",
    ]
    assert "bread knife" in model.requests[2].turns[-1].results[0].text  # type: ignore[union-attr]


def test_who_is_not_in_charge_hands_back() -> None:
    model = ScriptedModel(TO_SHIPPING, BACK, TO_REFUNDS, "You get your money back.")
    run = walk(handoff_desk, {"text": "Order 1187?"}, model=model)
    assert run.output == "You get your money back."
    assert handed(run) == [("triage", "shipping"), ("shipping", "triage"), ("triage", "refunds")]
    assert len(model.requests[3].turns) > len(model.requests[1].turns)


def test_round_in_circles_a_person_gets_the_case() -> None:
    run = walk(handoff_desk, {"text": "x"}, model=ScriptedModel(*[TO_SHIPPING, BACK] * 3))
    assert run.output == Ticket(
        summary="wants money back", why="nobody felt in charge after 2 hand-overs back"
    )
    assert ran(run) == [*["triage", "shipping"] * 3, "open_ticket"]


def test_who_fails_leaves_the_case_to_a_person() -> None:
    run = walk(
        handoff_desk,
        {"text": "x"},
        model=ScriptedModel(TO_REFUNDS, fails(RuntimeError("the till is locked"))),
    )
    assert run.output == Ticket(summary="Money back.", why="refunds failed: the till is locked")
    run = walk(handoff_desk, {"text": "hello"}, model=ScriptedModel(fails(RuntimeError("down"))))
    assert run.output == Ticket(summary="hello", why="triage failed: down")


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(handoff_desk, tmp_path)
    assert again.to_yaml() == handoff_desk.to_yaml()
    run = walk(
        again, {"text": "Where is order 1187?"}, model=ScriptedModel(TO_SHIPPING, "On its way.")
    )
    assert run.output == "On its way."
