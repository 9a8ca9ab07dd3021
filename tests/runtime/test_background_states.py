"""States and calls in the background: they may only add, and what they add counts where their answer is looked at, once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Graph,
    GraphError,
    State,
    Store,
    SubAgent,
    node,
    tool,
)
from graphflow.declaration.background import Background
from graphflow.errors import BackgroundFailed, MergeFailed, WalkError
from graphflow.events import BackgroundFinished
from graphflow.merges import extend, plus
from graphflow.model import Request
from graphflow.model.turns import ToolTurn
from graphflow.run import Run
from graphflow.security import Secrets
from graphflow.testing import ComputedModel, both, calls, check_crash_safety, says
from tests.blocks import Jitter
from tests.looped import looped

NOTES = State("notes", list[str], start=[], merge=extend)
TOTAL = State("total", int, start=0, merge=plus)


@node(adds=[NOTES, TOTAL])
async def jot(text: str, ctx: Context) -> str:
    await Jitter.wait()
    ctx.add(NOTES, [f"{text} after {len(ctx.read(NOTES))}"])
    ctx.add(TOTAL, len(text))
    return text.upper()


helper = Graph("helper", START >> jot >> END, uses=[NOTES, TOTAL])
aside = SubAgent(helper, background=True, name="aside")


def desk(work: Any, **options: Any) -> Graph[Any, Any]:
    return Graph("desk", START >> work >> END, state=[NOTES, TOTAL], **options)


def seen(run: Run[Any]) -> tuple[Any, ...]:
    return run.output, run.state[NOTES], run.state[TOTAL]


def run_of(work: Any, message: str = "x", **options: Any) -> Run[Any]:
    """The run, which comes to the same whoever is faster."""
    runs: list[Run[Any]] = []
    for seed in range(6):
        Jitter.random.seed(seed)
        runs.append(desk(work).run_sync(message, **options))
    assert all(seen(run) == seen(runs[0]) for run in runs)
    return runs[0]


# -- code ------------------------------------------------------------------------------------------
@node(calls=[aside], adds=[NOTES])
async def patient(text: str, ctx: Context) -> str:
    first = await ctx.call(aside, "one")
    second = await ctx.call(aside, "three")
    ctx.add(NOTES, ["mine"])
    before = list(ctx.read(NOTES))
    answers = [await second, await first, await second]
    return f"{answers} {before} {ctx.read(NOTES)}"


def test_what_it_adds_stands_where_its_answer_is_looked_at_and_once() -> None:
    run = run_of(patient)
    notes = ["mine", "three after 0", "one after 0"]
    assert run.state[NOTES] == notes
    assert run.state[TOTAL] == 8
    assert run.output == f"['THREE', 'ONE', 'THREE'] ['mine'] {notes}"


def test_what_nobody_looks_at_adds_nothing() -> None:
    @node(calls=[aside])
    async def hasty(text: str, ctx: Context) -> str:
        handle = await ctx.call(aside, "one")
        await handle.wait()
        return str(handle.status)

    run = run_of(hasty)
    assert seen(run) == ("completed", [], 0)
    (ended,) = [event for event in run.events if isinstance(event, BackgroundFinished)]
    assert [write.state.name for write in ended.writes] == ["notes", "total"]


def test_an_attempt_that_failed_has_looked_at_nothing() -> None:
    tries = 0

    @node(calls=[aside], retry=2)
    async def weak(text: str, ctx: Context) -> str:
        nonlocal tries
        tries += 1
        handle = await ctx.call(aside, "one")
        answer: str = await handle
        if tries % 2:
            raise ValueError("not yet")
        return answer

    assert seen(run_of(weak)) == ("ONE", ["one after 0"], 3)


def test_what_was_called_elsewhere_is_not_lost_in_silence() -> None:
    @node(calls=[aside])
    async def begin(text: str, ctx: Context) -> Background:
        handle: Background = await ctx.call(aside, "one")
        return handle

    @node
    async def look(handle: Background) -> str:
        return str(await handle)

    graph = Graph("g", START >> begin >> look >> END, state=[NOTES, TOTAL])
    with pytest.raises(
        BackgroundFailed, match="counts where it was called: await its handle there"
    ):
        graph.run_sync("x")


def test_what_cannot_be_merged_fails_where_it_is_looked_at() -> None:
    def cautious(value: list[str], added: list[str]) -> list[str]:
        if value and added:
            raise ValueError("one is enough")
        return [*value, *added]

    few = State("few", list[str], start=[], merge=cautious)

    @node(adds=[few])
    async def add(text: str, ctx: Context) -> str:
        ctx.add(few, [text])
        return text

    inner = SubAgent(Graph("inner", START >> add >> END, uses=[few]), background=True, name="b")

    @node(calls=[inner], adds=[few])
    async def work(text: str, ctx: Context) -> str:
        handle = await ctx.call(inner, "one")
        ctx.add(few, ["mine"])
        with pytest.raises(MergeFailed, match="'few'"):
            await handle
        return str(ctx.read(few))

    graph = Graph("g", START >> work >> END, state=[few])
    assert graph.run_sync("x").output == "['mine']"


# -- models ----------------------------------------------------------------------------------------
clerk = Agent("clerk", input=str, adds=[NOTES], system="You are the clerk.")
boss = Agent("boss", input=str, adds=[NOTES], sub_agents=[SubAgent(clerk, background=True)])


def reply(request: Request) -> object:
    turns = sum(isinstance(turn, ToolTurn) for turn in request.turns)
    if "clerk" in str(request.system):
        return says("noted") if turns else calls("add_to_notes", value=["the clerk's"])
    look = calls("background", handle="clerk-1", action="await")
    rounds = [
        both(calls("clerk", input="x"), calls("add_to_notes", value=["first"])),
        both(calls("add_to_notes", value=["second"]), look, look),
        both(look, calls("add_to_notes", value=["third"])),
    ]
    return rounds[turns] if turns < len(rounds) else says("end")


def test_a_model_that_looks_at_the_answer_often_has_it_once() -> None:
    graph = Graph("g", START >> boss >> END, state=[NOTES])
    run = graph.run_sync("x", model=ComputedModel(reply))
    assert run.state[NOTES] == ["first", "second", "the clerk's", "third"]
    hidden = graph.run_sync("x", model=ComputedModel(reply), secrets=Secrets({"key": "s3cr3t-17"}))
    assert hidden.state[NOTES] == run.state[NOTES]


# -- proofs and records ----------------------------------------------------------------------------
def test_it_may_not_set() -> None:
    plan = State("plan", str)

    @tool(sets=[plan])
    async def decide(text: str, ctx: Context) -> str:
        """Decides."""
        ctx.set(plan, text)
        return text

    setter = Agent("setter", tools=[decide], input=str)
    caller = Agent("caller", sub_agents=[SubAgent(setter, background=True)], input=str)
    why = r"'decide' sets state 'plan', and is called in the background \('setter'\)"
    with pytest.raises(GraphError, match=why):
        Graph("g", START >> caller >> END, state=[plan])
    by_arrow = Graph("arrow", START >> jot >> plan, jot >> END, uses=[plan, NOTES, TOTAL])
    caller = Agent("caller", sub_agents=[SubAgent(by_arrow, background=True)], input=str)
    with pytest.raises(GraphError, match="where one may only add"):
        Graph("g", START >> caller >> END, state=[plan, NOTES, TOTAL])


def test_it_stands_beside_what_others_set_as_its_caller_does() -> None:
    count = State("count", int, start=0, merge=plus)

    @node(adds=[count])
    async def more(text: str, ctx: Context) -> str:
        ctx.add(count, 1)
        return text

    inner = SubAgent(Graph("inner", START >> more >> END, uses=[count]), background=True, name="b")

    @node(calls=[inner])
    async def work(text: str, ctx: Context) -> str:
        return str(await (await ctx.call(inner, text)))

    @node(sets=[count])
    async def reset(text: str, ctx: Context) -> str:
        ctx.set(count, 7)
        return text

    @node
    async def fork(text: str) -> str:
        return text

    @node
    async def gather(texts: list[str]) -> int:
        return len(texts)

    with pytest.raises(GraphError, match="only one of them would count"):
        Graph("g", START >> fork >> (work, reset) >> gather >> END, state=[count])


@looped
async def test_it_goes_on_from_every_row() -> None:
    @node(reads=[NOTES, TOTAL])
    async def told(text: str, ctx: Context) -> str:
        return f"{text} {ctx.read(NOTES)} {ctx.read(TOTAL)}"

    graph = Graph("g", START >> patient >> told >> END, state=[NOTES, TOTAL])
    report = await check_crash_safety(graph, "x", seeds=(0, 1))
    assert report.cuts > 5

    @node(reads=[NOTES])
    async def noted(text: str, ctx: Context) -> str:
        return f"{text} {ctx.read(NOTES)}"

    agents = Graph("agents", START >> boss >> noted >> END, state=[NOTES])
    report = await check_crash_safety(agents, "x", model=ComputedModel(reply), seeds=(0, 1))
    assert report.cuts > 10


@looped
async def test_a_run_that_was_stopped_has_what_had_ended() -> None:
    held = True

    @node(calls=[aside])
    async def slow(text: str, ctx: Context) -> str:
        handle = await ctx.call(aside, "one")
        await handle.wait()
        if held:
            await asyncio.Event().wait()
        return str(await handle)

    graph = desk(slow)
    store = Store.open("memory:")
    run = graph.start("x", store=store, id="r")
    async for event in run:
        if isinstance(event, BackgroundFinished):
            run.cancel()
    with pytest.raises(WalkError):
        await run
    held = False
    again = await graph.resume("r", store=store)
    assert seen(again) == ("ONE", ["one after 0"], 3)
    replayed = await graph.replay("r", store=store)
    assert seen(replayed) == seen(again)
