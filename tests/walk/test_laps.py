"""Laps are counted on every edge that leads back, alike on both paths, and a loop costs no more the longer it goes on."""

from __future__ import annotations

import random
from typing import Any, Literal

import pytest

from graphflow import END, START, Failure, Graph, GraphError, LimitReached, Limits, Router, node
from graphflow.errors import LimitExceeded
from graphflow.events import NodeStarted
from tests.blocks import Jitter
from tests.conftest import A, B, Msg, walk

BOTH = pytest.mark.parametrize("plain", [True, False])


def count(run: Any, name: str) -> int:
    return sum(step.node == name for step in run.steps)


# -- edges for failures and for used-up laps -------------------------------------------------------
@node
async def broken(m: Msg | Failure) -> Msg:
    raise ValueError("broken")


@node
async def fallback(r: LimitReached) -> Msg:
    return Msg(n=int(r.value), tag=f"after {type(r.message).__name__}")


@BOTH
def test_an_edge_that_leads_back_from_a_failure_is_limited(plain: bool) -> None:
    graph = Graph("g", START >> broken >> END, broken[Failure].limit(3) >> broken)
    run = walk(graph, Msg(), plain=plain)
    assert isinstance(run.error, LimitExceeded)
    assert str(run.error) == (
        "laps limit of 3 reached in 'g': the edge broken >> broken was taken 3 times; "
        "take broken[LimitReached] >> a node to go on, or raise its .limit(3)"
    )
    assert count(run, "broken") == 4
    assert graph.bounds().activations["broken"].times >= 4


@BOTH
def test_a_failure_whose_laps_are_used_up_goes_on_as_limit_reached(plain: bool) -> None:
    graph = Graph(
        "g",
        START >> broken >> END,
        broken[Failure].limit(2) >> broken,
        broken[LimitReached] >> fallback >> END,
    )
    run = walk(graph, Msg(), plain=plain)
    assert run.output == Msg(n=2, tag="after Failure")
    assert count(run, "broken") == 3


@BOTH
def test_the_laps_of_the_whole_walk_limit_failures_too(plain: bool) -> None:
    graph = Graph("g", START >> broken >> END, broken[Failure] >> broken)
    run = walk(graph, Msg(), plain=plain, limits=Limits(laps=5))
    assert getattr(run.error, "limit", "") == "laps"
    assert count(run, "broken") == 6


def test_a_failure_goes_back_and_elsewhere_at_once() -> None:
    seen: list[str] = []

    @node
    async def log(f: Failure) -> Msg:
        seen.append(f.kind)
        return Msg()

    graph = Graph(
        "g",
        START >> broken >> END,
        broken[Failure].limit(2) >> broken,
        broken[Failure] >> log >> END,
        broken[LimitReached] >> fallback >> END,
        ends="all",
    )
    run = walk(graph, Msg())
    assert seen == ["ValueError"] * 3
    assert [m.n for m in run.output] == [0, 0, 0, 2]


@BOTH
def test_an_edge_for_used_up_laps_that_leads_back_is_counted_itself(plain: bool) -> None:
    @node
    async def again(m: Msg | LimitReached) -> Msg | A:
        return Msg()

    graph = Graph(
        "g",
        START >> again,
        again[A] >> END,
        again[Msg].limit(3) >> again,
        again[LimitReached].limit(2) >> again,
    )
    run = walk(graph, Msg(), plain=plain)
    assert getattr(run.error, "limit", "") == "laps"
    assert count(run, "again") == 6


def test_used_up_laps_need_laps_to_use_up() -> None:
    @node
    async def again(m: Msg | LimitReached) -> Msg:
        return Msg()

    with pytest.raises(GraphError, match="no limited edge leaves 'again'"):
        Graph("g", START >> again >> END, again[LimitReached].limit(2) >> again)


# -- loops within loops ----------------------------------------------------------------------------
def nested(*, through: bool) -> Graph[Any, Any]:
    """`write` and `judge` go round within the loop that `edit` closes, with or without a node that only passes on."""
    plan: list[str] = ["again", "again", "up", "again", "again", "up", "again", "again", "again"]
    verdicts = iter(plan)

    @node
    async def write(m: Msg) -> Msg:
        return m

    def judged(m: Msg) -> Literal["again", "up", "done"]:
        return next(verdicts)  # type: ignore[return-value]

    judge: Any = Router("judge", judged)
    edit, passing = write.named("edit"), write.named("passing")
    back = [edit.limit(2) >> passing >> write] if through else [edit.limit(2) >> write]
    first = START >> passing if through else START >> write
    return Graph(
        "g",
        first,
        write >> judge,
        judge["again"].limit(2) >> write,
        judge["up"] >> edit,
        *back,
        judge["done"] >> END,
    )


@BOTH
@pytest.mark.parametrize("through", [True, False])
def test_the_laps_of_an_inner_loop_begin_anew_with_each_lap_of_the_outer(
    through: bool, plain: bool
) -> None:
    run = walk(nested(through=through), Msg(), plain=plain)
    assert "judge >> write was taken 2 times" in str(run.error)
    assert count(run, "write") == 9
    assert count(run, "edit") == 2


@BOTH
def test_edges_that_go_round_the_same_nodes_are_counted_side_by_side(plain: bool) -> None:
    verdicts = iter(["a", "b", "a", "b", "a"])

    @node
    async def write(m: Msg) -> Msg:
        return m

    def judged(m: Msg) -> Literal["a", "b", "done"]:
        return next(verdicts)  # type: ignore[return-value]

    judge: Any = Router("judge", judged)
    graph = Graph(
        "g",
        START >> write >> judge,
        judge["a"].limit(2) >> write.into("m"),
        judge["b"].limit(2) >> write,
        judge["done"] >> END,
    )
    run = walk(graph, Msg(), plain=plain)
    assert getattr(run.error, "limit", "") == "laps"
    assert count(run, "write") == 5


def test_what_several_laps_of_an_inner_loop_send_goes_round_the_outer_one_apart() -> None:
    @node
    async def write(m: Msg | B) -> Msg:
        await Jitter.wait()
        return Msg(n=m.n + 1)

    @node
    async def judge(m: Msg) -> Msg | B:
        await Jitter.wait()
        return B(n=m.n)

    over = fallback.named("over")
    graph = Graph(
        "g",
        START >> write >> judge,
        write.limit(3) >> write,
        write[LimitReached] >> fallback >> END,
        judge[B].limit(1) >> write,
        judge[Msg] >> END,
        judge[LimitReached] >> over >> END,
        input=Msg,
        ends="all",
    )
    answers = set()
    for seed in range(6):
        Jitter.random = random.Random(seed)
        run = walk(graph, Msg())
        starts = [(e.node, e.scope) for e in run.events if isinstance(e, NodeStarted)]
        assert len(starts) == len(set(starts))
        answers.add(repr(run.output))
    assert len(answers) == 1


# -- shapes that never end -------------------------------------------------------------------------
def test_a_loop_that_every_message_goes_round_is_refused() -> None:
    @node
    async def a(m: Msg) -> Msg:
        return m

    b = a.named("b")
    with pytest.raises(
        GraphError, match=r"b\.limit\(3\) >> a leads back every time, also when b >> END is taken"
    ):
        Graph("g", START >> a >> b, b.limit(3) >> a, b >> END, ends="all")

    @node
    async def collect(ms: list[Msg]) -> Msg:
        return ms[0]

    with pytest.raises(GraphError, match="leads back every time"):
        Graph(
            "g",
            START >> (a, a.named("c")),
            a >> b,
            b.limit(3) >> a,
            (b, a.named("c")) >> collect >> END,
        )


def test_a_loop_that_something_else_may_end_is_not_refused() -> None:
    @node
    async def a(m: Msg) -> Msg:
        return m

    b = a.named("b")
    Graph("g", START >> a >> b, b.limit(3) >> a, b >> END, ends="first")
    Graph(
        "g",
        START >> a >> b,
        b.limit(3) >> a,
        b >> END,
        b[LimitReached] >> fallback >> END,
        ends="all",
    )
    Graph("g", START >> a >> b, b.when(bool).limit(3) >> a, b.otherwise >> END, ends="all")


# -- what a lap costs ------------------------------------------------------------------------------
def test_scopes_do_not_grow_with_the_laps() -> None:
    @node
    async def head(m: Msg) -> Msg:
        return Msg(n=m.n + 1)

    @node
    async def log(m: Msg) -> A:
        return A(n=m.n)

    @node
    async def judge(m: Msg) -> Msg | B:
        return m if m.n < 300 else B(n=m.n)

    graph = Graph(
        "g",
        START >> head >> (log, judge),
        judge[Msg].limit(1000) >> head,
        judge[B] >> END,
        log >> END,
        ends="all",
    )
    run = walk(graph, Msg(), observed=True)
    scopes = [e.scope for e in run.events if isinstance(e, NodeStarted)]
    assert max(map(len, scopes)) == 2
    assert len({(e.node, e.scope) for e in run.events if isinstance(e, NodeStarted)}) == 900
    assert [m.n for m in run.output] == [*range(1, 300), 300, 300]
