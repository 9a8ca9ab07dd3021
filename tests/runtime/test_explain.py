"""Explanations: why a node ran, or why it did not, of live, finished and loaded runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

from graphflow import END, START, Agent, Failure, Graph, Human, Limits, Store, Take, node, tool
from graphflow.errors import PlaceUnknown
from graphflow.testing import ScriptedModel, calls
from tests.conftest import A, B, Msg, walk
from tests.runtime.test_replay import Gate, looped

pytestmark = pytest.mark.usefixtures("jumping_clock")


@node(effects=[])
async def up(m: Msg) -> Msg:
    return Msg(n=m.n + 1)


@node(effects=[])
async def judge(m: Msg) -> A | B:
    return A(n=m.n) if m.n > 2 else B(n=m.n)


@node(effects=[])
async def again(b: B) -> Msg:
    return Msg(n=b.n)


@node(effects=[])
async def done(a: A) -> Msg:
    return Msg(n=a.n)


def looping() -> Graph[Any, Any]:
    return Graph("g", START >> up >> judge, judge[B] >> again >> up, judge[A] >> done >> END)


def test_what_ran_says_what_it_got_from_where_and_in_which_lap() -> None:
    explained = walk(looping(), Msg(n=1)).explain("up")
    assert explained.ran == 2
    first, second = explained.lines
    assert (
        first
        == "'up' ran as activation 1 (lap 0): it got Msg(n=1, tag='') from the start; it answered Msg(n=2, tag='')"
    )
    assert second.startswith(
        "'up' ran as activation 4 (lap 1): it got Msg(n=2, tag='') from again;"
    )
    assert str(explained) == f"{first}\n{second}"


def test_an_arm_that_was_not_taken_says_what_was_answered_and_where_it_went() -> None:
    explained = walk(looping(), Msg(n=5)).explain("again")
    assert (explained.node, explained.ran) == ("again", 0)
    assert explained.lines == (
        "'again' did not run",
        "judge[B] was not taken: 'judge' answered A(n=6), which went to 'done'",
    )


def test_what_lies_behind_what_did_not_run_names_the_first_reason() -> None:
    late = up.named("late")
    graph = Graph(
        "g",
        START >> up >> judge,
        judge[B] >> again >> late >> END,
        judge[A] >> done >> END,
        ends="all",
    )
    explained = walk(graph, Msg(n=5)).explain("late")
    assert "nothing came from again, as 'again' did not run: judge[B] was not taken" in str(
        explained
    )


def test_a_join_that_was_skipped_names_the_port() -> None:
    @node(effects=[])
    async def both(a: A, m: Msg) -> Msg:
        return m

    @node(effects=[])
    async def fallback(b: B) -> Msg:
        return Msg(n=b.n)

    graph = Graph(
        "g",
        START >> (judge, up),
        (judge[A], up) >> both >> END,
        judge[B] >> fallback >> END,
        ends="all",
    )
    explained = walk(graph, Msg(n=0)).explain("both")
    assert explained.lines == (
        "'both' was skipped: port 'a' never got a message (from judge >> both)",
    )


def test_what_was_stopped_says_by_whom() -> None:
    gate = Gate()

    async def first(ms: Annotated[list[Msg], Take(1)]) -> Msg:
        return ms[0]

    @node(effects=[])
    async def fast(m: Msg) -> Msg:
        await gate.reached.wait()
        return m

    graph = Graph("g", START >> (fast, gate.step("slow")) >> node(effects=[])(first) >> END)
    explained = walk(graph, Msg()).explain("slow")
    assert explained.lines[0].endswith(
        "it was stopped: with the answer of 'fast' nobody wanted it any more"
    )

    @node(effects=[])
    async def weak(m: Msg) -> Msg:
        await gate.reached.wait()
        raise ValueError("no")

    @node(effects=[])
    async def collect(ms: list[Msg]) -> Msg:
        return ms[0]

    gate = Gate()
    graph = Graph("g", START >> (weak, gate.step("slow")) >> collect >> END)
    run = walk(graph, Msg())
    assert "'weak' failed, and its fork was cancelled with it (ValueError: no)" in str(
        run.explain("slow")
    )
    assert "it failed: ValueError: no" in str(run.explain("weak"))
    assert "nothing came from weak: 'weak' ran, and it failed: ValueError: no" in str(
        run.explain("collect")
    )


def test_a_limit_is_named() -> None:
    run = walk(looping(), Msg(n=-9), limits=Limits(steps=2))
    assert (
        "it was refused before it began: the walk was limited (LimitExceeded: steps limit of 2"
        in str(run.explain("again"))
    )


def test_a_failure_edge_that_was_not_needed_says_so() -> None:
    @node(effects=[])
    async def mend(f: Failure) -> Msg:
        return Msg()

    graph = Graph("g", START >> up >> END, up[Failure] >> mend >> END)
    explained = walk(graph, Msg()).explain("mend")
    assert explained.lines[0] == "'mend' did not run"
    assert "'up'" in explained.lines[1]


def test_graphs_within_are_named_by_their_path() -> None:
    inner = Graph("inner", START >> judge, judge[B] >> again >> END, judge[A] >> done >> END)
    run = walk(Graph("g", START >> inner >> up >> END), Msg(n=5))
    assert "judge[B] was not taken" in str(run.explain("inner > again"))
    assert run.explain("inner > done").ran == 1
    with pytest.raises(PlaceUnknown, match="no node 'again' is in 'g'; there are 'inner'"):
        run.explain("again")
    with pytest.raises(PlaceUnknown, match="'nowhere' was not entered"):
        run.explain("nowhere > again")


def test_calls_that_were_made_and_those_that_were_not() -> None:
    @tool
    async def look(what: str) -> str:
        """Looks."""
        return f"found {what}"

    @tool
    async def pay(amount: int) -> str:
        """Pays."""
        return "paid"

    boss = Agent("boss", input=str, tools=[look, pay])
    run = walk(
        Graph("g", START >> boss >> END),
        "go",
        model=ScriptedModel(calls("look", what="bees"), "done"),
    )
    [line] = run.explain("look").lines
    assert line.startswith("'look' was called by 'boss' with ")
    assert line.endswith("it answered 'found bees'")
    assert run.explain("pay").lines == (
        "'pay' did not run",
        "'boss' may call it, and did not; 'boss' itself ran 1 time",
    )


@looped
async def test_a_run_that_waits_is_loaded_or_goes_on() -> None:
    store = Store.open("memory:")
    graph = Graph(
        "g", START >> up >> Human("editor", input=Msg, output=Msg) >> up.named("last") >> END
    )
    run = await graph.run(Msg(), store=store, id="r")
    for each in (run, await store.load("r", graph)):
        assert "it waits for an answer to 'editor-" in str(each.explain("editor"))
        assert "nothing came from editor: 'editor' ran, and it waits" in str(each.explain("last"))
    with pytest.raises(PlaceUnknown, match="load it with its graph"):
        (await store.load("r")).explain("editor")
    gate = Gate()
    live = Graph("live", START >> gate.step() >> up >> END).start(Msg())
    await gate.reached.wait()
    assert "it has not answered yet" in str(live.explain("wait"))
    assert "nothing came from wait" in str(live.explain("up"))
    gate.opened.set()
    await live
    await asyncio.sleep(0)


def test_of_a_long_loop_the_newest_laps_are_explained() -> None:
    @node(effects=[])
    async def far(m: Msg) -> A | B:
        return A(n=m.n) if m.n >= 9_000 else B(n=m.n)

    graph = Graph(
        "g", START >> up >> far, far[B].limit(10**6) >> again >> up, far[A] >> done >> END
    )
    run = walk(graph, Msg(), keep_steps=10)
    assert run.dropped > 0
    explained = run.explain("up")
    assert 0 < explained.ran < 9_000
    assert explained.lines[-1].endswith("it answered Msg(n=9000, tag='')")
    assert run.explain("done").ran == 1
