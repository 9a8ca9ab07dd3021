"""Hand-overs: the model moves the walk on, along an edge of the graph."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import (
    END,
    START,
    Agent,
    Failure,
    Graph,
    GraphError,
    Handoff,
    LimitReached,
    Limits,
    Policy,
    SubAgent,
    node,
    tool,
)
from graphflow.errors import DeclarationError, LimitExceeded
from graphflow.events import EdgeSent, FrameEntered, HandedOver
from graphflow.model.turns import AssistantTurn, UserTurn
from graphflow.testing import ScriptedModel, both, calls, fails, gives, says
from tests.conftest import ended, walk


class Case(BaseModel, frozen=True):
    customer: str
    amount: float


class Refund(BaseModel, frozen=True):
    paid: float


billing = Agent(
    "billing",
    input=Case,
    output=Refund,
    prompt="Pay {{ customer }} {{ amount }}",
    description="Pays money back.",
)


def desk(*handoffs: Any, **options: Any) -> Graph[Any, Any]:
    return Graph(
        "desk", START >> Agent("triage", input=str, handoffs=list(handoffs), **options) >> END
    )


@pytest.mark.parametrize("observed", [False, True])
def test_a_typed_message_travels_and_the_targets_answer_is_the_graphs(observed: bool) -> None:
    model = ScriptedModel(
        calls("transfer_to_billing", customer="Ida", amount=3), gives({"paid": 3})
    )
    run = walk(desk(billing), "money back!", model=model, observed=observed)
    assert run.output == Refund(paid=3.0)
    assert ended(run) == ["triage", "billing"]
    spec = model.requests[0].tools[0]
    assert spec.name == "transfer_to_billing"
    assert "Pays money back." in spec.description
    assert set(spec.parameters["properties"]) == {"customer", "amount"}
    assert isinstance(model.requests[1].turns[0], UserTurn)
    assert model.requests[1].turns[0].text == "Pay Ida 3.0"
    assert len(model.requests[1].turns) == 1
    [sent] = [e for e in run.events if isinstance(e, EdgeSent) and e.target == "billing"]
    assert sent.message == Case(customer="Ida", amount=3)
    assert [e.target for e in run.events if isinstance(e, HandedOver)] == ["billing"]
    # A tail call: no frame, no depth.
    assert not [e for e in run.events if isinstance(e, FrameEntered)]


def test_it_may_answer_by_itself() -> None:
    assert walk(desk(billing), "hello", model=ScriptedModel("hello you")).output == "hello you"


def test_the_graphs_type_knows_all_who_may_answer() -> None:
    assert desk(billing).output == str | Refund


def test_a_wrong_message_is_told_to_the_model_and_nothing_moves() -> None:
    model = ScriptedModel(calls("transfer_to_billing", customer="Ida"), "then I do it")
    run = walk(desk(billing), "x", model=model)
    assert run.output == "then I do it"
    result = model.requests[1].turns[-1].results[0]  # type: ignore[union-attr]
    assert (result.ok, "amount: Field required" in result.content) == (False, True)


def test_a_failing_target_is_a_failure() -> None:
    model = ScriptedModel(
        calls("transfer_to_billing", customer="Ida", amount=3),
        fails(RuntimeError("till is locked")),
    )
    run = walk(desk(billing), "x", model=model)
    assert run.status == "failed"
    assert str(run.error) == "till is locked"
    assert run.output is None
    assert [(f.node, str(f.error)) for f in run.failures] == [("billing", "till is locked")]


def test_other_calls_of_the_turn_are_carried_out_first_and_two_hand_overs_are_refused() -> None:
    done: list[str] = []

    @tool
    async def note(text: str) -> str:
        """Note."""
        done.append(text)
        return "noted"

    other = Agent("other", input=str)
    give = calls("transfer_to_billing", customer="Ida", amount=3)
    model = ScriptedModel(
        both(give, calls("transfer_to_other", input="y")),
        both(give, calls("note", text="n")),
        gives({"paid": 3}),
    )
    run = walk(desk(billing, other, tools=[note]), "x", model=model)
    assert run.output == Refund(paid=3)
    assert done == ["n"]
    first = model.requests[1].turns[-1].results  # type: ignore[union-attr]
    assert [r.ok for r in first] == [False, False]
    assert "hand over to one only" in first[0].content


def test_the_conversation_travels_if_asked() -> None:
    @tool
    async def look_up(order: int) -> str:
        """Look up."""
        return "delayed"

    helper = Agent("helper", input=str, prompt="You now: {{ message }}")
    model = ScriptedModel(
        calls("look_up", order=7), calls("transfer_to_helper", input="order 7"), "sorry"
    )
    walk(
        desk(Handoff(helper, conversation=True, description="Angry people."), tools=[look_up]),
        "where?",
        model=model,
    )
    turns = model.requests[2].turns
    assert isinstance(turns[1], AssistantTurn)
    assert [t.text for t in turns if isinstance(t, UserTurn)] == [
        "where?",
        "[look_up answered: delayed]",
        "You now: order 7",
    ]
    assert "Angry people." in model.requests[0].tools[1].description


def test_what_was_said_travels_once_and_without_examples() -> None:
    """However often it goes round, and where it began within the conversation of somebody else."""
    other = Agent("other", input=str, handoffs=[Handoff("triage", conversation=True)])
    triage = Agent(
        "triage",
        input=str,
        examples=[("like this", "so")],
        handoffs=[Handoff(other, conversation=True)],
    )
    pair = Graph("pair", START >> triage >> END, other >> END)
    boss = Agent("boss", input=str, sub_agents=[SubAgent(pair, isolation="forked")])
    there, back = (
        calls("transfer_to_other", input="there"),
        calls("transfer_to_triage", input="back"),
    )
    model = ScriptedModel(calls("pair", input="task"), there, back, there, "done", "end")
    walk(Graph("office", START >> boss >> END), "the story", model=model)
    said = [turn.text for turn in model.requests[4].turns if isinstance(turn, UserTurn)]
    assert said == ["the story", "task", "there", "back", "there"]


def test_they_hand_over_in_circles_within_laps_and_limits() -> None:
    support = Agent("support", input=str, handoffs=["triage"])
    graph = desk(Handoff(support, laps=2))
    assert any(
        "loop support > triage" in fact and "at most 2" in fact for fact in graph.check().facts
    )
    there, back = calls("transfer_to_support", input="a"), calls("transfer_to_triage", input="b")
    run = walk(graph, "x", model=ScriptedModel(there, back, there, back, "enough"))
    assert run.output == "enough"
    for observed in (False, True):
        run = walk(
            graph,
            "x",
            model=ScriptedModel(there, back, there, back, there, back),
            observed=observed,
        )
        assert run.status == "limited"
        assert isinstance(run.error, LimitExceeded)
        assert run.error.limit == "laps"
    assert (
        walk(graph, "x", model=ScriptedModel(there, back, there), limits=Limits(steps=2)).status
        == "limited"
    )


def test_used_up_laps_have_their_edge() -> None:
    @node
    async def give_up(reached: LimitReached) -> str:
        return f"gave up on {reached.message}"

    support = Agent("support", input=str, handoffs=[Handoff("triage", laps=1)])
    triage = Agent("triage", input=str, handoffs=[support])
    graph = Graph(
        "desk", START >> triage >> END, support >> END, support[LimitReached] >> give_up >> END
    )
    there, back = calls("transfer_to_support", input="a"), calls("transfer_to_triage", input="b")
    for observed in (False, True):
        run = walk(graph, "x", model=ScriptedModel(there, back, there, back), observed=observed)
        assert run.output == "gave up on b", run.error


def test_a_target_with_arrows_of_its_own_goes_on_along_them() -> None:
    @node
    async def receipt(refund: Refund) -> str:
        return f"receipt over {refund.paid}"

    triage = Agent("triage", input=str, handoffs=[billing])
    graph = Graph("desk", START >> triage >> END, billing >> receipt >> END)
    model = ScriptedModel(
        calls("transfer_to_billing", customer="Ida", amount=3), gives({"paid": 3})
    )
    assert walk(graph, "x", model=model).output == "receipt over 3.0"


def test_a_failure_edge_takes_what_the_target_lost() -> None:
    @node
    async def mend(failure: Failure) -> str:
        return f"mended {failure.node}"

    triage = Agent("triage", input=str, handoffs=[billing])
    graph = Graph("desk", START >> triage >> END, billing >> END, billing[Failure] >> mend >> END)
    model = ScriptedModel(
        calls("transfer_to_billing", customer="Ida", amount=3), fails(RuntimeError("x"))
    )
    assert walk(graph, "x", model=model).output == "mended billing"


def test_what_is_told_of_a_lost_hand_over_is_its_message_alone() -> None:
    @node
    async def tell(trouble: Failure | LimitReached) -> str:
        return repr(trouble.input if isinstance(trouble, Failure) else trouble.message)

    helper = Agent("helper", input=Case, handoffs=[Handoff("triage", conversation=True, laps=1)])
    triage = Agent("triage", input=str, handoffs=[Handoff(helper, conversation=True)])
    graph = Graph(
        "desk",
        START >> triage >> END,
        helper >> END,
        (helper[Failure], helper[LimitReached]) >> tell >> END,
    )
    there, back = (
        calls("transfer_to_helper", customer="Ida", amount=3),
        calls("transfer_to_triage", input="b"),
    )
    for observed in (False, True):
        run = walk(
            graph, "x", model=ScriptedModel(there, fails(RuntimeError("x"))), observed=observed
        )
        assert run.output == repr(Case(customer="Ida", amount=3))
        run = walk(graph, "x", model=ScriptedModel(there, back, there, back), observed=observed)
        assert run.output == repr("b")


def test_any_node_takes_over() -> None:
    @node
    async def count(case: Case) -> str:
        return f"{case.customer} gets {case.amount}"

    inner = Graph("inner", START >> count >> END, description="Counts.")
    model = ScriptedModel(calls("transfer_to_inner", customer="Ida", amount=3))
    assert walk(desk(inner), "x", model=model).output == "Ida gets 3.0"


def test_a_sub_agent_hands_over_within_its_own_frame() -> None:
    clerk = Agent("clerk", input=str, handoffs=[billing])
    boss = Agent("boss", input=str, sub_agents=[clerk])
    model = ScriptedModel(
        calls("clerk", input="x"),
        calls("transfer_to_billing", customer="Ida", amount=3),
        gives({"paid": 3}),
        "boss said",
    )
    run = walk(Graph("g", START >> boss >> END), "x", model=model)
    assert run.output == "boss said"
    assert '"paid":3.0' in model.requests[3].turns[-1].results[0].content  # type: ignore[union-attr]


def test_in_a_map_each_branch_hands_over_for_itself() -> None:
    other = Agent("other", input=str)
    worker = Agent("worker", input=str, handoffs=[other])

    @node
    async def split(text: str) -> list[str]:
        return text.split()

    @node
    async def gather(texts: list[str]) -> str:
        return " ".join(texts)

    graph = Graph("g", START >> split, split.each >> worker >> gather >> END, other >> gather)
    model = ScriptedModel(
        calls("transfer_to_other", input="B2", when="b"),
        says("A", when="a"),
        says("C", when="c"),
        says("B!", when="B2"),
    )
    assert walk(graph, "a b c", model=model).output == "A B! C"


def test_a_policy_hides_a_hand_over() -> None:
    model = ScriptedModel("alone")
    run = walk(desk(billing), "x", model=model, policy=Policy(deny=["billing"]))
    assert run.output == "alone"
    assert model.requests[0].tools == ()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: desk("nobody"), "hands over to 'nobody', and no node in the graph has that name"),
        (
            lambda: desk(
                Handoff(Graph("inner", START >> node(name="n")(_echo) >> END), conversation=True)
            ),
            "only agents read",
        ),
        (lambda: desk(node(name="two")(_two)), "takes several messages"),
        (
            lambda: Graph(
                "g",
                START >> billing >> Agent("triage", handoffs=[Agent("billing", input=str)]) >> END,
            ),
            "has the same name",
        ),
        (
            lambda: desk(billing, tools=[tool(name="transfer_to_billing")(_echo)]),
            "calls 'transfer_to_billing', which is how it hands over to 'billing', too",
        ),
    ],
)
def test_wrong_hand_overs_do_not_build(make: Any, told: str) -> None:
    with pytest.raises(GraphError, match=told):
        make()


def test_wrong_entries_are_refused() -> None:
    with pytest.raises(DeclarationError, match="which is not a node"):
        Agent("a", handoffs=[3])  # type: ignore[list-item]
    with pytest.raises(DeclarationError, match="two hand-overs to 'billing'"):
        Agent("a", handoffs=[billing, "billing"])


async def _echo(text: str) -> str:
    return text


async def _two(a: str, b: int) -> str:
    return a


def test_a_run_with_hand_overs_is_journaled_and_told_as_plain_data() -> None:
    from graphflow.events import to_record

    helper = Agent("helper", input=str)
    model = ScriptedModel(calls("transfer_to_helper", input="go on"), "done")
    run = walk(desk(Handoff(helper, conversation=True)), "x", model=model)
    records = [to_record(event) for event in run.events]
    assert {"handoff", "node.end"} <= {record["kind"] for record in records}
