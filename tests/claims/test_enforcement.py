"""Claims that are enforced: through every door by which something begins, after refusals of others. `test_doors.py` has more doors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Apart,
    AtLeast,
    AtMost,
    Before,
    Context,
    Exactly,
    Failure,
    Graph,
    Handoff,
    Limits,
    Never,
    Policy,
    SubAgent,
    ToolError,
    node,
    tool,
)
from graphflow.declaration.claims import Claim
from graphflow.errors import ClaimBroken, ClaimRefused
from graphflow.model import Request
from graphflow.model.turns import ToolTurn
from graphflow.testing import ComputedModel, ScriptedModel, both, calls, says
from tests.claims.crowd import CLAIMS, approve, broken_claims, crowded, refund
from tests.looped import looped


@tool
async def mail(order: int) -> int:
    """Writes."""
    return order


@tool(cache=True)
async def look(order: int) -> int:
    """Looks."""
    return order


@tool
async def leak(order: int) -> int:
    """Fails."""
    raise ToolError("it leaks")


def clerk(*tools: Any, **options: Any) -> Any:
    return Agent("clerk", input=str, tools=list(tools), **options)


def desk(agent: Any, *claims: Claim, **options: Any) -> Graph[Any, Any]:
    return Graph("desk", START >> agent >> END, claims=claims, **options)


def results(model: ScriptedModel | ComputedModel) -> list[str]:
    """What a model was told of its calls, at the end."""
    found: list[str] = []
    for turn in model.requests[-1].turns:
        if isinstance(turn, ToolTurn):
            found += [str(result.content) for result in turn.results]
    return found


def offered(model: ScriptedModel | ComputedModel) -> list[list[str]]:
    return [[spec.name for spec in request.tools] for request in model.requests]


def began(run: Any, name: str) -> int:
    """How many calls and activations of that name were carried out to an end."""
    count = 0
    for event in run.events:
        if event.kind in ("call.end", "node.end") and event.node == name:
            count += 1
    return count


# -- tools -----------------------------------------------------------------------------------------
def test_a_model_reads_what_must_come_first_and_goes_on() -> None:
    model = ScriptedModel(
        calls("refund", order=1), calls("approve", order=1), calls("refund", order=1), "paid"
    )
    run = desk(clerk(approve, refund), Before("approve", "refund")).run_sync("hi", model=model)
    assert run.output == "paid"
    refusal, *others = results(model)
    assert "call it first, then 'refund'" in refusal
    assert others == ["1", "1"]


def test_what_a_model_may_not_call_now_is_not_offered() -> None:
    model = ScriptedModel(calls("approve", order=1), calls("refund", order=1), "paid")
    graph = desk(clerk(approve, refund), Before("approve", "refund"), AtMost("refund", 1))
    graph.run_sync("hi", model=model)
    assert offered(model) == [["approve"], ["approve", "refund"], ["approve"]]


def test_of_two_calls_of_one_turn_only_one_gets_the_last_place() -> None:
    twice = both(calls("refund", order=1), calls("refund", order=2))
    model = ScriptedModel(twice, "paid")
    run = desk(clerk(refund), AtMost("refund", 1)).run_sync("hi", model=model)
    assert began(run, "refund") == 1
    assert sum("that is used up" in text for text in results(model)) == 1


def test_two_calls_of_one_turn_are_kept_apart() -> None:
    model = ScriptedModel(both(calls("refund", order=1), calls("approve", order=2)), "done")
    desk(clerk(refund, approve), Apart("refund", "approve")).run_sync("hi", model=model)
    assert any("is under way" in text for text in results(model))


def test_nothing_begins_after_what_forbids_it() -> None:
    model = ScriptedModel(
        calls("mail", order=1), calls("look", order=1), calls("mail", order=2), "end"
    )
    run = desk(clerk(mail, look), Never("mail", after="look")).run_sync("hi", model=model)
    assert began(run, "mail") == 1
    assert "has answered" in results(model)[-1]


def test_an_answer_from_a_cache_is_an_answer_and_counts() -> None:
    again = [calls("look", order=1) for _ in range(3)]
    model = ScriptedModel(*again, "done")
    run = desk(clerk(look), AtMost("look", 2)).run_sync("hi", model=model)
    assert began(run, "look") == 2


def test_a_call_that_fails_has_begun_and_counts() -> None:
    model = ScriptedModel(calls("leak", order=1), calls("leak", order=1), "done")
    desk(clerk(leak), AtMost("leak", 1)).run_sync("hi", model=model)
    first, second = results(model)
    assert "it leaks" in first
    assert "used up" in second


def test_what_has_failed_has_not_answered() -> None:
    model = ScriptedModel(calls("leak", order=1), calls("mail", order=1), "done")
    run = desk(clerk(leak, mail), Before("leak", "mail")).run_sync("hi", model=model)
    assert began(run, "mail") == 0


def test_a_call_that_a_policy_or_a_person_refuses_gives_its_place_back() -> None:
    answers = iter([False, True])

    async def ask(use: Any) -> bool:
        return next(answers)

    def check(use: Any) -> str | None:
        return "not today" if use.arguments.order == 0 else None

    @tool(name="refund", approval=True)
    async def asked(order: int) -> int:
        """Pays back, if somebody agrees."""
        return order

    model = ScriptedModel(
        calls("refund", order=0), calls("refund", order=1), calls("refund", order=1), "done"
    )
    graph = desk(clerk(asked), AtMost("refund", 1))
    run = graph.run_sync("hi", model=model, approve=ask, policy=Policy(check=check))
    assert "not today" in results(model)[0]
    assert began(run, "refund") == 1


def test_a_call_that_does_not_fit_gives_its_place_back() -> None:
    model = ScriptedModel(calls("refund", wrong=1), calls("refund", order=1), "done")
    run = desk(clerk(refund), AtMost("refund", 1)).run_sync("hi", model=model)
    assert began(run, "refund") == 1


# -- other doors -----------------------------------------------------------------------------------
def test_code_that_calls_is_refused_too() -> None:
    @node(calls=[approve, refund])
    async def work(order: int, ctx: Context) -> str:
        with pytest.raises(ClaimRefused) as refused:
            await ctx.call("refund", {"order": order})
        assert refused.value.node == "refund"
        await ctx.call("approve", {"order": order})
        await ctx.call("refund", {"order": order})
        with pytest.raises(ClaimRefused):
            await asyncio.gather(*(ctx.call("refund", {"order": order}) for _ in range(3)))
        return "done"

    graph = desk(work, Before("approve", "refund"), AtMost("refund", 2))
    assert graph.run_sync(1).output == "done"


def test_calls_count_over_all_frames() -> None:
    inner = Agent("helper", input=str, tools=[refund])
    boss = Agent("boss", input=str, tools=[refund], sub_agents=[SubAgent(inner)])

    def reply(request: Request) -> object:
        names = {spec.name for spec in request.tools}
        turns = sum(isinstance(turn, ToolTurn) for turn in request.turns)
        if "helper" in names:
            return [both(calls("refund", order=1), calls("helper", input="x")), says("end")][
                min(turns, 1)
            ]
        return [calls("refund", order=2), says("inner end")][min(turns, 1)]

    run = desk(boss, AtMost("refund", 1)).run_sync("hi", model=ComputedModel(reply))
    assert began(run, "refund") == 1
    assert began(desk(boss).run_sync("hi", model=ComputedModel(reply)), "refund") == 2
    inner_only = desk(boss, AtMost("helper > refund", 0))
    assert began(inner_only.run_sync("hi", model=ComputedModel(reply)), "refund") == 1


def test_a_call_in_the_background_is_counted_until_it_ends() -> None:
    inner = Agent("helper", input=str)
    boss = Agent("boss", input=str, tools=[refund], sub_agents=[SubAgent(inner, background=True)])

    def reply(request: Request) -> object:
        if not request.tools:
            return says("inner", wait_s=0.01)
        turns = sum(isinstance(turn, ToolTurn) for turn in request.turns)
        return [calls("helper", input="x"), calls("refund", order=1), says("end")][min(turns, 2)]

    model = ComputedModel(reply)
    run = desk(boss, Apart("helper", "refund")).run_sync("hi", model=model)
    assert began(run, "refund") == 0
    assert any("is under way" in str(request.turns[-1]) for request in model.requests)


def handing() -> tuple[Any, Any]:
    support = Agent("support", input=str, tools=[mail])
    front = Agent("front", input=str, tools=[approve], handoffs=[Handoff(support)])
    return front, support


def test_a_hand_over_is_refused_and_not_offered() -> None:
    front, _ = handing()
    model = ScriptedModel(
        calls("transfer_to_support", input="x"),
        calls("approve", order=1),
        calls("transfer_to_support", input="x"),
        "answered",
    )
    run = desk(front, Before("approve", "support")).run_sync("hi", model=model)
    assert run.output == "answered"
    assert offered(model)[0] == ["approve"]
    assert "transfer_to_support" in offered(model)[2]
    assert began(run, "support") == 1


def test_a_node_on_an_arrow_does_not_begin_and_its_failure_edge_takes_it() -> None:
    @node
    async def check(text: str) -> str:
        return text

    @node
    async def publish(text: str) -> str:
        return "published"

    @node
    async def hold(failure: Failure) -> str:
        return failure.kind

    plain = Graph("plain", START >> check >> publish >> END, claims=[AtMost("publish", 0)])
    with pytest.raises(ClaimBroken) as broken:
        plain.run_sync("x")
    assert broken.value.claim == "AtMost('publish', 0)"
    assert began(broken.value.run, "publish") == 0
    held = Graph(
        "held",
        START >> check >> publish >> END,
        publish[Failure] >> hold >> END,
        claims=[AtMost("publish", 0)],
    )
    assert held.run_sync("x").output == "ClaimBroken"


def test_a_walk_that_lacks_something_does_not_complete() -> None:
    model = ScriptedModel("I know it already")
    with pytest.raises(ClaimBroken, match="has answered 0 of 1 times"):
        desk(clerk(look), AtLeast("look", 1)).run_sync("hi", model=model)
    looked = ScriptedModel(calls("look", order=1), "found")
    assert desk(clerk(look), Exactly("look", 1)).run_sync("hi", model=looked).output == "found"


def test_each_branch_of_a_fork_is_counted_alone() -> None:
    @node
    async def split(text: str) -> list[str]:
        return [text, text, text]

    @node
    async def gather(texts: list[str]) -> int:
        return len(texts)

    def reply(request: Request) -> object:
        turns = sum(isinstance(turn, ToolTurn) for turn in request.turns)
        return [calls("refund", order=1), calls("refund", order=2), says("end")][min(turns, 2)]

    agent = clerk(refund)
    path = [START >> split, split.each >> agent >> gather >> END]
    alone = Graph("alone", *path, claims=[AtMost("refund", 1, per="fork")])
    together = Graph("together", *path, claims=[AtMost("refund", 1)])
    assert began(alone.run_sync("hi", model=ComputedModel(reply)), "refund") == 3
    assert began(together.run_sync("hi", model=ComputedModel(reply)), "refund") == 1


def test_a_graph_is_judged_anew_in_each_of_its_frames() -> None:
    inner = desk(clerk(refund), AtMost("refund", 1))
    outer = Graph("outer", START >> inner.named("one") >> inner.named("two") >> END)
    model = ComputedModel(
        lambda request: [calls("refund", order=1), calls("refund", order=2), says("end")][
            min(2, sum(isinstance(turn, ToolTurn) for turn in request.turns))
        ]
    )
    assert began(outer.run_sync("hi", model=model), "refund") == 2


def test_graphs_without_claims_are_watched_by_nobody() -> None:
    graph = desk(clerk(refund))
    assert graph.run_sync("hi", model=ScriptedModel("end")).output == "end"
    assert "_claim_proofs" not in graph.__dict__


def test_a_limit_that_refuses_gives_the_place_back() -> None:
    inner = Agent("helper", input=str, tools=[mail])
    boss = Agent("boss", input=str, sub_agents=[SubAgent(inner)])
    model = ScriptedModel(calls("helper", input="x"), "end")
    graph = desk(boss, Exactly("helper", 0), limits=Limits(depth=1))
    assert graph.run_sync("hi", model=model).output == "end"


# -- models that try everything --------------------------------------------------------------------
@pytest.mark.parametrize("first", range(0, 200, 25))
@looped
async def test_models_that_try_every_door_break_nothing(first: int) -> None:
    graph = crowded()
    for seed in range(first, first + 25):
        assert not await broken_claims(graph, seed), seed


@looped
async def test_without_claims_the_same_models_break_every_one_of_them() -> None:
    graph = crowded(claims=())
    broken: set[Claim] = set()
    for seed in range(60):
        broken |= await broken_claims(graph, seed)
    assert broken == set(CLAIMS)
