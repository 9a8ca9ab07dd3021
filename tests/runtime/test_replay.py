"""Replay: what is kept of a run is enough to make it again, bit for bit, and nobody is asked."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import (
    END,
    START,
    Agent,
    Failure,
    Graph,
    Human,
    Limits,
    Store,
    SubAgent,
    Take,
    node,
    tool,
)
from graphflow.errors import Diverged, RowDiffers, WalkError
from graphflow.journal.stored import StoredRow
from graphflow.model.seam import Request
from graphflow.testing import ScriptedModel, calls, says
from graphflow.testing.doubles import _last_text
from tests.blocks import Block, Jitter, build, nested
from tests.conftest import A, Msg
from tests.looped import looped


@pytest.fixture
def store() -> Store:
    return Store.open("memory:")


pytestmark = pytest.mark.usefixtures("jumping_clock")


def told(run: Any) -> list[tuple[Any, ...]]:
    return [
        (event.kind, event.frame, getattr(event, "activation", None), round(event.at, 6))
        for event in run.events
    ]


async def kept_and_replayed(
    graph: Graph[Any, Any], message: Any, store: Store, **options: Any
) -> tuple[Any, Any]:
    try:
        run = await graph.run(message, store=store, id="r", **options)
    except WalkError as error:
        run = error.run
    return run, await graph.replay("r", store=store)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(nested, st.integers(0, 1000), st.integers(0, 3))
def test_any_run_is_the_same_when_it_is_replayed(block: Block, n: int, seed: int) -> None:
    graph = build(block)

    async def go() -> None:
        Jitter.random = random.Random(seed)
        run, again = await kept_and_replayed(graph, Msg(n=n), Store.open("memory:"))
        assert (again.status, again.output) == (run.status, run.output)
        assert again.output == Msg(n=block.value(n))
        assert told(again) == told(run)
        assert again.usage.steps == run.usage.steps

    asyncio.run(go())


# -- agents, calls, people -------------------------------------------------------------------------
def desk() -> tuple[Graph[Any, Any], ScriptedModel]:
    """An agent with a tool and a sub-agent that has one of its own, mapped over a list; then a person."""

    @tool(effects=["reads"])
    async def look(what: str) -> str:
        """Looks something up."""
        await asyncio.sleep(0)
        return f"found {what}"

    @tool(effects=["writes"])
    async def note(text: str) -> int:
        """Notes something down."""
        return len(text)

    helper = Agent("helper", input=str, tools=[look])
    boss = Agent("boss", input=str, tools=[note], sub_agents=[helper])

    @node(effects=[])
    async def split(text: str) -> list[str]:
        return text.split()

    @node(effects=[])
    async def collect(answers: list[str]) -> str:
        return " + ".join(answers)

    graph = Graph(
        "desk", START >> split, split.each >> boss >> collect >> Human("editor", output=Msg) >> END
    )
    return graph, Desk()


class Desk(ScriptedModel):
    """Answers by what it is asked, as often as it is."""

    def _next(self, request: Request) -> Any:
        last = _last_text(request)
        if last in ("one", "two"):
            return calls("helper", input=f"ask {last}")
        if last.startswith("ask "):
            return calls("look", what=last.removeprefix("ask "))
        if last.startswith("found "):
            return says(f"it is {last.removeprefix('found ')}")
        if last.startswith("it is "):
            return calls("note", text=last)
        return says(f"done {last}")


@looped
async def test_a_run_with_agents_calls_and_people_is_the_same_when_it_is_replayed(
    store: Store,
) -> None:
    graph, model = desk()
    run = await graph.run("one two", model=model, store=store, id="r")
    assert run.status == "waiting"
    waiting = await graph.replay("r", store=store)
    assert (waiting.status, waiting.output) == ("waiting", None)
    run = await graph.resume("r", store=store, model=model, answers={"editor": {"n": 7}})
    assert run.output == Msg(n=7)
    again = await graph.replay("r", store=store)
    assert (again.status, again.output) == ("completed", Msg(n=7))
    assert len(again.steps) == len(run.steps)


@looped
async def test_a_run_that_was_killed_after_any_row_and_went_on_is_the_same_when_it_is_replayed() -> (
    None
):
    graph, model = desk()
    whole = Store.open("memory:")
    await graph.run("one two", model=model, store=whole, id="r")
    header = await whole.header("r")
    rows = [row async for row in whole.rows("r")]
    for count in range(1, len(rows)):
        store = Store.open("memory:")
        ownership = await store.create(
            replace(header, status="running", rows=0, lease=None), "somebody"
        )
        await store.append(ownership, rows[:count])
        await store.release(ownership)
        await graph.resume("r", store=store, model=desk()[1])
        run = await graph.resume("r", store=store, model=model, answers={"editor": {"n": 7}})
        again = await graph.replay("r", store=store)
        assert (again.status, again.output) == (run.status, run.output) == ("completed", Msg(n=7))


# -- what ends early -------------------------------------------------------------------------------
class Gate:
    """Where a step waits until it is let through."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    def step(self, name: str = "wait") -> Any:
        @node(name=name, effects=[])
        async def wait(m: Msg) -> Msg:
            self.reached.set()
            await self.opened.wait()
            return Msg(n=m.n + 1)

        return wait


@node(effects=[])
async def up(m: Msg) -> Msg:
    return Msg(n=m.n + 1)


@looped
async def test_a_cancelled_run_is_replayed_up_to_there_and_when_it_has_gone_on_as_well(
    store: Store,
) -> None:
    gate = Gate()
    inner = Graph("inner", START >> up >> gate.step() >> END)

    @node(effects=[])
    async def both(ms: list[Msg]) -> Msg:
        return Msg(n=sum(m.n for m in ms))

    graph = Graph("g", START >> (up.named("left"), inner) >> both >> END)
    run = graph.start(Msg(n=1), store=store, id="r")
    await gate.reached.wait()
    run.cancel()
    await run.settled()
    assert run.status == "cancelled"
    again = await graph.replay("r", store=store)
    assert (again.status, again.output) == ("cancelled", None)
    gate.opened.set()
    run = await graph.resume("r", store=store)
    again = await graph.replay("r", store=store)
    assert (again.status, again.output) == ("completed", Msg(n=5))


@pytest.mark.parametrize("limits", [Limits(steps=3), Limits(laps=2), Limits(seconds=0.05)])
@looped
async def test_a_limited_run_is_replayed_up_to_its_limit(store: Store, limits: Limits) -> None:
    @node(effects=[])
    async def judge(m: Msg) -> Msg | A:
        await asyncio.sleep(0.02)
        return A(n=m.n) if m.n > 9 else m

    graph = Graph("g", START >> up >> judge, judge[Msg] >> up, judge[A] >> END)
    run, again = await kept_and_replayed(graph, Msg(n=0), store, limits=limits)
    assert run.status == again.status == "limited"
    run = await graph.resume("r", store=store, limits=Limits())
    again = await graph.replay("r", store=store)
    assert (again.status, again.output) == (run.status, run.output) == ("completed", A(n=10))


@looped
async def test_a_fork_of_which_the_first_is_taken_is_the_same_when_it_is_replayed(
    store: Store,
) -> None:
    gate = Gate()
    slow = Graph("slow", START >> up >> gate.step() >> END)

    async def first(ms: Annotated[list[Msg], Take(1)]) -> Msg:
        return ms[0]

    fastest = node(effects=[])(first)
    graph = Graph("g", START >> (up.named("fast"), slow) >> fastest >> END)
    run, again = await kept_and_replayed(graph, Msg(n=1), store)
    assert again.output == run.output == Msg(n=2)
    assert told(again) == told(run)


@looped
async def test_a_failed_run_is_the_same_when_it_is_replayed(store: Store) -> None:
    @node(effects=[])
    async def weak(m: Msg) -> Msg:
        raise ValueError("no")

    graph = Graph("g", START >> up >> weak >> END)
    with pytest.raises(ValueError, match="no"):
        await graph.run(Msg(), store=store, id="r")
    again = await graph.replay("r", store=store)
    assert again.status == "failed"
    assert "no" in str(again.error)


@looped
async def test_calls_in_the_background_are_replayed(store: Store) -> None:
    child = Agent("child", input=str)
    boss = Agent("boss", input=str, sub_agents=[SubAgent(child, background=True)])
    graph = Graph("g", START >> boss >> END)
    model = ScriptedModel(
        calls("child", input="work", when="go"),
        says("worked", when="work"),
        calls("background", action="await", handle="child-1", when="child-1"),
        says("done", when="worked"),
    )
    run = await graph.run("go", store=store, id="r", model=model)
    again = await graph.replay("r", store=store)
    assert again.output == run.output


@looped
async def test_a_hand_over_is_kept_replayed_and_forked(store: Store) -> None:
    billing = Agent("billing", input=str, output=int)
    front = Agent("front", input=str, handoffs=[billing])
    graph = Graph("g", START >> up.named("first") >> words >> front, (front, billing) >> END)
    model = ScriptedModel(calls("transfer_to_billing", input="pay", when="2"), "7", "8")
    run = await graph.run(Msg(n=1), store=store, id="r", model=model)
    assert run.output == 7
    again = await graph.replay("r", store=store)
    assert again.output == 7
    assert told(again) == told(run)
    fork = await graph.fork("r", store=store, at="billing", new_id="f", model=model)
    assert fork.output == 8
    assert (await graph.replay("f", store=store)).output == 8


@node(effects=[])
async def words(m: Msg) -> str:
    return str(m.n)


# -- what is not the same --------------------------------------------------------------------------
def tampered(row: StoredRow, old: str, new: str) -> StoredRow:
    return StoredRow.of(row.number, row.kind, row.place, row.body.replace(old, new))


@looped
async def test_a_row_that_would_be_written_in_another_way_is_named(store: Store) -> None:
    @node(effects=["writes"])
    async def double(m: Msg) -> Msg:
        return Msg(n=2 * m.n)

    graph = Graph("g", START >> up >> double >> END)
    await graph.run(Msg(n=1), store=store, id="r")
    header = replace(await store.header("r"), rows=0, lease=None)
    rows = [row async for row in store.rows("r")]
    other = Store.open("memory:")
    ownership = await other.create(header, "somebody")
    await other.append(ownership, [tampered(row, '"n":4', '"n": 4') for row in rows])
    with pytest.raises(RowDiffers) as caught:
        await graph.replay("r", store=other)
    assert caught.value.row > 0
    third = Store.open("memory:")
    ownership = await third.create(header, "somebody")
    await third.append(ownership, [*rows[:-1], tampered(rows[-1], '"n":4', '"n":5')])
    with pytest.raises(Diverged, match="another answer"):
        await graph.replay("r", store=third)


@looped
async def test_a_record_does_not_fit_another_graph(store: Store) -> None:
    more = up.named("more")
    await Graph("g", START >> up >> END).run(Msg(n=1), store=store, id="r")
    with pytest.raises(Diverged) as caught:
        await Graph("g", START >> more >> END).replay("r", store=store)
    assert caught.value.node == "up"
    with pytest.raises(Diverged, match="that it was over"):
        await Graph("g", START >> up >> more >> END).replay("r", store=store)

    @node(effects=[])
    async def weak(m: Msg) -> Msg:
        raise ValueError("no")

    @node(effects=[])
    async def mend(f: Failure) -> Msg:
        return Msg()

    with pytest.raises(ValueError, match="no"):
        await Graph("h", START >> weak >> END).run(Msg(), store=store, id="h")
    with pytest.raises(Diverged, match="that it failed"):
        await Graph("h", START >> weak >> END, weak[Failure] >> mend >> END).replay(
            "h", store=store
        )
