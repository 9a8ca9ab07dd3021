"""Claims of runs that go on: after a crash, a stop, a limit, in a replay and in a fork they are what they would have been."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphflow import (
    END,
    MCP,
    START,
    Agent,
    AtMost,
    Before,
    Context,
    Failure,
    Graph,
    Limits,
    State,
    Store,
    SubAgent,
    node,
    tool,
)
from graphflow.errors import ClaimRefused, WalkCancelled
from graphflow.events import CallFailed, CallFinished
from graphflow.journal.stores.memory import MemoryStore
from graphflow.merges import extend, plus
from graphflow.model import Request
from graphflow.model.turns import ToolTurn
from graphflow.run import Run
from graphflow.testing import ComputedModel, both, calls, check_crash_safety, says
from tests.agent_shapes import answer
from tests.claims.crowd import approve, refund
from tests.claims.shapes import claimed_graph
from tests.conftest import Msg
from tests.leftovers import children
from tests.looped import looped
from tests.mcp.servers import dynamic
from tests.runtime.test_every_stop import StoppingStore, outcome, settled
from tests.waiting import until


@tool
async def mail(order: int) -> int:
    """Writes."""
    return order


def refused(run: Run[Any]) -> list[str]:
    """Whose calls were refused by a claim, in order."""
    found: list[str] = []
    for event in run.events:
        if isinstance(event, CallFailed) and isinstance(event.error, ClaimRefused):
            found.append(event.node)
    return found


def answered(run: Run[Any], name: str) -> int:
    return sum(isinstance(event, CallFinished) and event.node == name for event in run.events)


# -- crashes ---------------------------------------------------------------------------------------
def patient_reply(request: Request) -> object:
    """Tries the same three things in every turn, and ends after four."""
    turns = sum(isinstance(turn, ToolTurn) for turn in request.turns)
    if turns == 3:
        return says("end")
    return both(calls("refund", order=turns), calls("approve", order=turns), calls("mail", order=7))


@looped
async def test_claims_are_alive_after_a_crash_at_every_row() -> None:
    clerk = Agent("clerk", input=str, tools=[approve, refund, mail])
    claims = [Before("approve", "refund"), AtMost("refund", 1), AtMost("mail", 2)]
    graph = Graph("desk", START >> clerk >> END, claims=claims)
    report = await check_crash_safety(graph, "hi", model=ComputedModel(patient_reply), seeds=(0,))
    assert report


@looped
async def test_claims_on_arrows_are_alive_after_a_crash() -> None:
    @node
    async def split(text: str) -> list[str]:
        return ["a", "b", "c"]

    @node
    async def charge(text: str) -> str:
        return text

    @node
    async def skip(failure: Failure) -> str:
        return failure.kind

    @node
    async def gather(texts: list[str]) -> list[str]:
        return texts

    graph = Graph(
        "charging",
        START >> split,
        split.each >> charge >> gather,
        charge[Failure] >> skip >> gather >> END,
        claims=[AtMost("charge", 2)],
        limits=Limits(concurrency=1),
    )
    run = await graph.run("x")
    assert run.output == ["a", "b", "ClaimBroken"]
    await check_crash_safety(graph, "x", seeds=(0,))


def noted_reply(request: Request) -> object:
    """Notes, pays and asks the helper, twice: the second payment of a branch is refused."""
    turns = sum(isinstance(turn, ToolTurn) for turn in request.turns)
    if "helper" not in str(request.system):
        return says("end") if turns else calls("add_to_notes", value=["from the helper"])
    rounds = [
        both(calls("add_to_notes", value=["first"]), calls("pay", order=1)),
        both(calls("pay", order=2), calls("helper", input="x")),
        calls("add_to_notes", value=["last"]),
    ]
    return rounds[turns] if turns < len(rounds) else says("end")


@looped
async def test_state_and_claims_come_to_the_same_from_every_row() -> None:
    notes = State("notes", list[str], start=[], merge=extend)
    total = State("total", int, start=0, merge=plus)

    @tool(adds=[total], effects=["writes"])
    async def pay(order: int, ctx: Context) -> int:
        """Pays."""
        ctx.add(total, order)
        return order

    @node
    async def split(text: str) -> list[str]:
        return ["a", "b"]

    @node(reads=[notes, total])
    async def gather(texts: list[str], ctx: Context) -> str:
        return f"{ctx.read(notes)} {ctx.read(total)}"

    @node
    async def again(text: str) -> str | int:
        return text if len(text) < 120 else len(text)

    @node
    async def tell(length: int) -> int:
        return length

    helper = Agent("helper", input=str, adds=[notes])
    front = Agent(
        "front",
        input=str,
        system="You have a helper.",
        tools=[pay],
        adds=[notes],
        sub_agents=[SubAgent(helper)],
    )
    graph = Graph(
        "desk",
        START >> split,
        split.each >> front >> gather >> again,
        again[str].limit(2) >> split,
        again[int] >> tell >> END,
        state=[notes, total],
        claims=[
            AtMost("pay", 1, per="split"),
            AtMost("helper", 1, per="split"),
            Before("pay", "helper", per="split"),
        ],
    )
    model = ComputedModel(noted_reply)
    run = await graph.run("x", model=model)
    assert refused(run) == ["pay", "pay"] * 2
    assert (run.state[total], len(run.state[notes])) == (4, 12)
    report = await check_crash_safety(graph, "x", model=model, most=40)
    assert report.cuts > 30


@pytest.mark.parametrize("seed", [6, 11, 20, 25, 51, 59, 102, 113])
@looped
async def test_random_agents_with_claims_go_on_from_every_row(seed: int) -> None:
    graph = await claimed_graph(seed, MemoryStore())
    assert graph is not None
    sync = ("each", "effects")[seed % 2]
    await check_crash_safety(
        graph, Msg(n=seed % 7), answers=answer, sync=sync, seeds=(seed,), most=20
    )


# -- stops and limits ------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [6, 11, 20, 25, 51, 59, 102, 113])
@looped
async def test_a_run_with_claims_that_was_stopped_anywhere_comes_to_the_same_end(seed: int) -> None:
    graph = await claimed_graph(seed, MemoryStore())
    assert graph is not None
    store = MemoryStore()
    run = await settled(graph, store, seed)
    whole = outcome(run)
    rows = (await store.header("x")).rows
    for at in range(2, rows, max(1, rows // 10)):
        stopping = StoppingStore(at)
        await settled(graph, stopping, seed)
        assert outcome(await settled(graph, stopping, seed)) == whole, graph.claims
    for most in range(1, run.usage.steps, max(1, run.usage.steps // 6)):
        store = MemoryStore()
        assert (await settled(graph, store, seed, limits=Limits(steps=most))).status == "limited"
        again = await settled(graph, store, seed, limits=Limits())
        assert outcome(again) == whole, graph.claims


@looped
async def test_what_was_stopped_with_its_run_has_its_place_back() -> None:
    begun = 0

    @tool(effects=["reads"])
    async def slow(order: int) -> int:
        """Takes its time, at first."""
        nonlocal begun
        begun += 1
        if begun == 1:
            await asyncio.Event().wait()
        return order

    clerk = Agent("clerk", input=str, tools=[slow])
    graph = Graph("g", START >> clerk >> END, claims=[AtMost("slow", 1)])
    model = ComputedModel(
        lambda request: [calls("slow", order=1), calls("slow", order=2), says("end")][
            sum(isinstance(turn, ToolTurn) for turn in request.turns)
        ]
    )
    store = Store.open("memory:")
    run = graph.start("go", model=model, store=store, id="r")
    async for event in run:
        if event.kind == "call.start":
            run.cancel()
    with pytest.raises(WalkCancelled):
        await run
    again = await graph.resume("r", model=model, store=store)
    assert (again.output, answered(again, "slow"), refused(again)) == ("end", 1, ["slow"])


@looped
async def test_what_has_called_and_was_refused_that_has_begun_all_the_same() -> None:
    """The tool has failed with the refusal of what it called: it counts, after a crash as well."""

    @tool(calls=[refund])
    async def errand(order: int, ctx: Context) -> int:
        """Calls another."""
        paid: int = await ctx.call(refund, {"order": order})
        return paid

    clerk = Agent("clerk", input=str, tools=[errand, mail])
    graph = Graph("g", START >> clerk >> END, claims=[AtMost("refund", 0), AtMost("errand", 1)])
    script = [calls("errand", order=1), calls("mail", order=1), calls("errand", order=2)]
    model = ComputedModel(
        lambda request: [*script, says("end")][
            sum(isinstance(turn, ToolTurn) for turn in request.turns)
        ]
    )
    run = await graph.run("go", model=model)
    assert refused(run) == ["refund", "errand", "errand"]
    await check_crash_safety(graph, "go", model=model, seeds=(0,))


@looped
async def test_a_node_that_failed_with_the_refusal_of_what_it_called_has_begun() -> None:
    @node(calls=[refund])
    async def work(order: int, ctx: Context) -> int:
        paid: int = await ctx.call(refund, {"order": order})
        return paid

    @node
    async def mend(failure: Failure) -> int:
        assert isinstance(failure.input, int)
        return failure.input + 1 if failure.kind == "ClaimRefused" else -1

    @node
    async def after(order: int) -> int:
        return order

    graph = Graph(
        "g",
        START >> work >> after,
        work[Failure] >> mend >> after,
        after.when(lambda order: order in (1, 2)).limit(3) >> work,
        after.otherwise >> END,
        claims=[AtMost("refund", 0), AtMost("work", 2)],
    )
    run = await graph.run(0)
    assert (run.output, refused(run)) == (-1, ["refund", "refund"])
    await check_crash_safety(graph, 0, seeds=(0,))


@looped
async def test_tools_of_a_server_are_counted_after_a_stop() -> None:
    agent = Agent("agent", input=str, mcp=[MCP("dynamic", dynamic())], tools=[approve])
    graph = Graph("g", START >> agent >> END, claims=[AtMost("ask", 1)])
    ask = calls("ask", q="what")
    script = [ask, calls("approve", order=1), says("never", wait_s=3600)]

    def reply(request: Request) -> object:
        return script[sum(isinstance(turn, ToolTurn) for turn in request.turns)]

    model = ComputedModel(reply)
    store = Store.open("memory:")
    run = graph.start("go", model=model, store=store, id="r")
    async for event in run:
        if event.kind == "call.end" and event.node == "approve":
            run.cancel()
    await run.settled()
    assert run.status == "cancelled"
    script[2:] = [ask, says("end")]
    again = await graph.resume("r", model=model, store=store)
    assert (again.output, answered(again, "ask"), refused(again)) == ("end", 1, ["ask"])
    until(lambda: not children())


# -- replays and forks -----------------------------------------------------------------------------
def paying(limit: int) -> tuple[Graph[Any, Any], ComputedModel]:
    clerk = Agent("clerk", input=str, tools=[approve, refund, mail])
    claims = [Before("approve", "refund"), AtMost("refund", limit)]
    graph = Graph("desk", START >> clerk >> END, claims=claims)
    return graph, ComputedModel(patient_reply)


@looped
async def test_a_replay_refuses_what_was_refused() -> None:
    graph, model = paying(1)
    store = Store.open("memory:")
    run = await graph.run("hi", model=model, store=store, id="r")
    again = await graph.replay("r", store=store)
    assert (again.output, refused(again)) == (run.output, refused(run))


@looped
async def test_a_fork_goes_on_with_what_was_counted_before_the_cut() -> None:
    graph, model = paying(1)
    store = Store.open("memory:")
    run = await graph.run("hi", model=model, store=store, id="r")
    assert refused(run) == ["refund", "refund"]
    for place in (3, 6, 9):
        fork = await graph.fork(
            "r", store=store, at=f"clerk > mail#{place}", new_id=f"f{place}", model=model
        )
        assert refused(fork) == refused(run), place
        assert answered(fork, "refund") == 1


@looped
async def test_a_fork_with_another_answer_counts_it() -> None:
    graph, model = paying(1)
    store = Store.open("memory:")
    await graph.run("hi", model=model, store=store, id="r")
    fork = await graph.fork(
        "r", store=store, edit={"clerk > approve#2": 9}, new_id="f", model=model
    )
    assert (answered(fork, "refund"), refused(fork)) == (1, ["refund", "refund"])
