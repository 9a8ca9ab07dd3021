"""Histories that somebody else keeps: given to a run, shown, mended or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphflow import END, START, Agent, Graph, Limits, Store, errors, tool
from graphflow.events import HistoryMended
from graphflow.model.history import UNANSWERED, read_history
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, Turn, UserTurn
from graphflow.testing import ScriptedModel, calls, says
from tests.conversations.test_talk import texts
from tests.journal.keeping import within


@tool(effects=[])
def look(what: str) -> str:
    """Looks something up."""
    return f"{what}: open"


desk = Graph("desk", START >> Agent("clerk", tools=[look]) >> END)


def test_a_run_is_shown_the_history_that_it_is_given_and_tells_the_next_one() -> None:
    model = ScriptedModel(calls("look", what="invoice"), says("It is open."), says("Yes."))
    first = desk.run_sync("My invoice?", model=model, history=[])
    second = desk.run_sync("Sure?", model=model, history=first.history)
    assert texts(tuple(first.history)) == [
        "user: My invoice?",
        'agent: look({"what":"invoice"})',
        "look: invoice: open",
        "agent: It is open.",
    ]
    assert texts(model.requests[-1].turns) == [*texts(tuple(first.history)), "user: Sure?"]
    assert texts(tuple(second.history))[-2:] == ["user: Sure?", "agent: Yes."]
    assert not any(isinstance(event, HistoryMended) for event in second.events)


def test_plain_messages_will_do() -> None:
    model = ScriptedModel(says("Anna."))
    history = [{"role": "user", "content": "I am Anna."}, {"role": "assistant", "content": "Hi."}]
    run = desk.run_sync("Who am I?", model=model, history=history)
    assert texts(model.requests[0].turns) == ["user: I am Anna.", "agent: Hi.", "user: Who am I?"]
    assert len(run.history) == 4


def test_without_a_history_a_run_tells_two_texts() -> None:
    run = desk.run_sync("Hi", model=ScriptedModel(says("Hello.")))
    assert texts(tuple(run.history)) == ["user: Hi", "agent: Hello."]


def test_orphaned_calls_are_mended_and_told() -> None:
    model = ScriptedModel(says("Yes."))
    orphaned = [UserTurn("My invoice?"), AssistantTurn("", (ToolCall("c1", "look", "{}"),))]
    answered = [*orphaned, UserTurn("Well?"), AssistantTurn("It is open.")]
    run = desk.run_sync("Sure?", model=model, history=answered)
    assert texts(model.requests[0].turns) == [
        "user: My invoice?",
        "agent: look({})",
        f"look: {UNANSWERED}",
        "user: Well?",
        "agent: It is open.",
        "user: Sure?",
    ]
    (mended,) = [event for event in run.events if isinstance(event, HistoryMended)]
    assert mended.problems == ("turn 2: the call of 'look' has no result",)


@pytest.mark.parametrize(
    ("history", "text"),
    [
        ("Hi", "history= is str; give a list"),
        ([UserTurn("Hi"), 7], "turn 1 of the history is int"),
        ([{"role": "robot", "content": "x"}], "turn 0 of the history is dict"),
    ],
)
def test_what_is_no_turn_is_refused(history: object, text: str) -> None:
    with pytest.raises(errors.HistoryInvalid, match=text):
        desk.run_sync("Hi", model=ScriptedModel(), history=history)  # type: ignore[arg-type]


def test_a_run_that_goes_on_is_shown_the_same_history() -> None:
    model = ScriptedModel(says("Anna."))

    async def work(store: Store) -> None:
        history = [UserTurn("I am Anna."), AssistantTurn("Hi.")]
        none = Limits(model_calls=0)
        with pytest.raises(errors.LimitExceeded):
            await desk.run(
                "Who am I?", id="1", store=store, model=model, history=history, limits=none
            )
        await desk.resume("1", store=store, model=model, limits=None)
        with pytest.raises(errors.DeclarationError, match="give one"):
            await desk.run("Hi", store=store, conversation="a", history=history)

    within("memory:", work)
    assert texts(model.requests[0].turns) == ["user: I am Anna.", "agent: Hi.", "user: Who am I?"]


ids = st.sampled_from(["a", "b"])
some_calls = st.lists(ids, max_size=2, unique=True).map(
    lambda names: AssistantTurn("said", tuple(ToolCall(id, "look", "{}") for id in names))
)
some_results = st.lists(ids, max_size=2, unique=True).map(
    lambda names: ToolTurn(tuple(ToolResult(id, "look", "open") for id in names))
)
any_turn: st.SearchStrategy[Turn] = st.one_of(st.just(UserTurn("asked")), some_calls, some_results)


@given(st.lists(any_turn, max_size=8))
def test_whatever_is_given_no_call_is_without_a_result_and_no_side_speaks_twice(
    given: list[Turn],
) -> None:
    turns, _ = read_history(given)
    again, problems = read_history(turns)
    assert (again, problems) == (turns, [])
    for position, turn in enumerate(turns):
        before = turns[position - 1] if position else None
        match turn:
            case UserTurn():
                assert before is None or isinstance(before, (AssistantTurn, ToolTurn))
            case AssistantTurn():
                assert isinstance(before, (UserTurn, ToolTurn))
            case ToolTurn():
                assert isinstance(before, AssistantTurn)
                assert [each.id for each in turn.results] == [call.id for call in before.calls]
