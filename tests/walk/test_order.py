"""No latency changes an order, or what is begun: tokens are told apart by forks, laps and joins, never by arrival."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from graphflow import END, START, Graph, Limits, Take, node
from graphflow.events import NodeStarted
from tests.blocks import Jitter
from tests.conftest import A, B, Msg, walk

SEEDS = range(12)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same latencies for each test, whichever ran before."""
    Jitter.random = random.Random(0)


def slow(name: str, add: int = 0) -> Any:
    """A node that waits a few turns of the event loop, how many depends on the seed."""

    async def body(m: Msg) -> Msg:
        await Jitter.wait()
        return Msg(n=m.n + add, tag=m.tag + name)

    return node(name=name)(body)


def outcomes(build: Callable[[], Graph[Any, Any]], message: Any, **options: Any) -> list[Any]:
    """What a graph answers under each seed, or the error, without what differs from seed to seed by right."""
    seen: list[Any] = []
    for seed in SEEDS:
        Jitter.random = random.Random(seed)
        run = walk(build(), message, **options)
        seen.append(repr(run.output) if run.error is None else repr(run.error))
    return seen


def alike(build: Callable[[], Graph[Any, Any]], message: Any, **options: Any) -> str:
    """The one outcome under all latencies."""
    seen = set(outcomes(build, message, **options))
    assert len(seen) == 1, seen
    return str(seen.pop())


@node
async def tags(ms: list[Msg]) -> str:
    return " ".join(m.tag for m in ms)


def gather(name: str) -> Any:
    async def body(ms: list[Msg]) -> Msg:
        await Jitter.wait()
        return Msg(n=len(ms), tag=f"{name}({' '.join(m.tag for m in ms)})")

    return node(name=name)(body)


# -- joins that share a fork -----------------------------------------------------------------------
def test_what_two_joins_of_one_fork_send_is_collected_in_the_order_of_the_wiring() -> None:
    def build() -> Graph[Any, Any]:
        a, b, s = slow("a"), slow("b"), slow("s")
        one, two = gather("one"), gather("two")
        return Graph(
            "g", START >> (a, b), (a, b) >> one, (a, b) >> two, (one, two) >> s >> tags >> END
        )

    assert alike(build, Msg()) == repr("one(a b)s two(a b)s")


def test_a_join_stands_where_the_first_branch_to_it_was_wired() -> None:
    def build() -> Graph[Any, Any]:
        a, b, c = slow("a"), slow("b"), slow("c")
        one = gather("one")
        return Graph("g", START >> (c, a, b), (a, b) >> one, (one, c) >> tags >> END)

    assert alike(build, Msg()) == repr("c one(a b)")


def test_all_ends_come_in_the_order_of_the_wiring() -> None:
    def build() -> Graph[Any, Any]:
        a, b, c = slow("a"), slow("b"), slow("c")
        one, two = gather("one"), gather("two")
        return Graph(
            "g",
            START >> (a, b, c),
            (a, b) >> one >> END,
            (a, b) >> two >> END,
            c >> END,
            input=Msg,
            ends="all",
        )

    assert (
        alike(build, Msg()).count("tag='one(a b)'), Msg(n=2, tag='two(a b)'), Msg(n=0, tag='c')")
        == 1
    )


def test_no_two_activations_of_a_node_have_one_scope() -> None:
    a, b, s = slow("a"), slow("b"), slow("s")
    one, two = gather("one"), gather("two")
    graph = Graph(
        "g", START >> (a, b), (a, b) >> one, (a, b) >> two, (one, two) >> s >> tags >> END
    )
    starts = [
        (e.node, e.scope)
        for e in walk(graph, Msg(), observed=True).events
        if isinstance(e, NodeStarted)
    ]
    assert len(starts) == len(set(starts))


# -- laps that feed something outside --------------------------------------------------------------
@pytest.mark.parametrize("log_first", [True, False])
@pytest.mark.parametrize("ends", ["collect", "all"])
def test_what_each_lap_sends_out_of_a_loop_comes_lap_by_lap(log_first: bool, ends: Any) -> None:
    def build() -> Graph[Any, Any]:
        @node
        async def head(m: Msg) -> Msg:
            return Msg(n=m.n + 1, tag=str(m.n + 1))

        @node
        async def log(m: Msg) -> Msg:
            await Jitter.wait()
            return Msg(tag=f"lap{m.tag}")

        @node
        async def judge(m: Msg) -> Msg | A:
            await Jitter.wait()
            return m if m.n < 4 else A()

        @node
        async def stop(a: A) -> Msg:
            return Msg(tag="stop")

        fan = head >> ((log, judge) if log_first else (judge, log))
        paths = [START >> head, fan, judge[Msg].limit(9) >> head, judge[A] >> stop]
        if ends == "all":
            return Graph("g", *paths, log >> END, stop >> END, ends="all")
        other = slow("other")
        return Graph("g", *paths, START >> other, (log, stop, other) >> tags >> END)

    answer = alike(build, Msg())
    places = [answer.index(f"lap{number}") for number in range(1, 5)]
    assert places == sorted(places)


# -- policies --------------------------------------------------------------------------------------
@pytest.mark.parametrize("fails_late", [True, False])
def test_no_join_of_a_fork_that_finishes_starts_if_a_branch_failed(fails_late: bool) -> None:
    begun: list[str] = []

    @node
    async def joined(ms: list[Msg]) -> Msg:
        begun.append("joined")
        return ms[0]

    @node
    async def broken(m: Msg) -> Msg:
        if fails_late:
            for _ in range(30):
                await asyncio.sleep(0)
        raise ValueError("broken")

    a, b = slow("a"), slow("b")
    source = slow("source")
    graph = Graph(
        "g",
        START >> source,
        source.fork("finish") >> (a, b, broken),
        (a, b) >> joined >> END,
        broken >> END,
        ends="all",
    )
    run = walk(graph, Msg())
    assert isinstance(run.error, ValueError)
    assert begun == []
    assert {step.node for step in run.steps} == {"source", "a", "b", "broken"}


def test_a_fork_that_finishes_starts_its_joins_when_all_branches_have_ended() -> None:
    def build() -> Graph[Any, Any]:
        source, a, b, c = slow("source"), slow("a"), slow("b"), slow("c")
        one = gather("one")
        return Graph(
            "g",
            START >> source,
            source.fork("finish") >> (a, b, c),
            (a, b) >> one,
            (one, c) >> tags >> END,
        )

    assert alike(build, Msg()) == repr("one(sourcea sourceb) sourcec")


def test_a_branch_that_ends_the_walk_is_one_of_those_that_finish() -> None:
    def build() -> Graph[Any, Any]:
        source, a, b, c = slow("source"), slow("a"), slow("b"), slow("c")
        one = gather("one")
        fork = source.fork("finish") >> (a, b, c)
        return Graph("g", START >> source, fork, (a, b) >> one >> END, c >> END, ends="all")

    assert "tag='one(sourcea sourceb)'), Msg(n=0, tag='sourcec')" in alike(build, Msg())


def test_of_several_failures_the_first_by_wiring_is_told() -> None:
    def build() -> Graph[Any, Any]:
        def broken(name: str) -> Any:
            async def body(m: Msg) -> Msg:
                await Jitter.wait()
                raise ValueError(name)

            return node(name=name)(body)

        source = slow("source")
        return Graph(
            "g", START >> source, source.fork("finish") >> (broken("a"), broken("b")) >> tags >> END
        )

    assert alike(build, Msg()) == repr(ValueError("a"))


def test_take_is_not_kept_from_starting_by_what_failed_before() -> None:
    @node
    async def items(m: Msg) -> list[Msg]:
        return [Msg(n=n) for n in range(3)]

    @node
    async def work(m: Msg) -> Msg:
        if m.n == 0:
            raise ValueError
        for _ in range(m.n * 5):
            await asyncio.sleep(0)
        return m

    @node
    async def first(ms: Annotated[list[Msg], Take(1)]) -> Msg:
        return ms[0]

    graph = Graph("g", START >> items, items.each.fork("finish") >> work >> first >> END)
    assert walk(graph, Msg()).output == Msg(n=1)


# -- Take ------------------------------------------------------------------------------------------
@node
async def first(ms: Annotated[list[Msg], Take(1)]) -> Msg:
    return ms[0]


def test_take_stops_only_what_could_have_come_to_it() -> None:
    done: list[str] = []
    begun = asyncio.Event()

    @node
    async def patient(m: Msg) -> B:
        for _ in range(50):
            await asyncio.sleep(0)
        done.append("patient")
        return B(n=7)

    @node
    async def a(m: Msg) -> Msg:
        await begun.wait()  # else `late` might be cancelled before it is a step
        return Msg(n=m.n, tag="a")

    @node
    async def both(a: Msg, b: B) -> Msg:
        return Msg(n=b.n, tag=a.tag)

    @node
    async def late(m: Msg) -> Msg:
        begun.set()
        await asyncio.sleep(60)
        return m

    graph = Graph(
        "g", START >> (a, late, patient), (a, late) >> first, (first, patient) >> both >> END
    )
    run = walk(graph, Msg())
    assert run.output == Msg(n=7, tag="a")
    assert done == ["patient"]
    assert [s.node for s in run.steps if s.error is not None] == ["late"]


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_take_stops_what_could_only_have_come_to_it_through_another_join(
    nested: bool, observed: bool
) -> None:
    begun: list[str] = []
    all_begun = asyncio.Event()

    def endless(name: str) -> Any:
        @node(name=name)
        async def work(m: Msg) -> Msg:
            begun.append(name)
            if len(begun) == 2:
                all_begun.set()
            await asyncio.sleep(60)
            return m

        return work

    @node
    async def quick(m: Msg) -> Msg:
        await all_begun.wait()
        return Msg(tag="quick")

    @node
    async def part(m: Msg) -> Msg:
        return m

    @node
    async def pair(a: Msg, b: Msg) -> Msg:
        raise AssertionError("nobody wants it")

    a, b = endless("a"), endless("b")
    inside = [a >> pair.into("a"), b >> pair.into("b")]
    if nested:
        paths = [START >> (quick, part), part >> (a, b), *inside]
    else:
        paths = [START >> (quick, a, b), *inside]
    graph = Graph("g", *paths, (quick, pair) >> first >> END)
    run = walk(graph, Msg(), observed=observed)
    assert run.output == Msg(tag="quick")
    assert sorted(s.node for s in run.steps if s.error is not None) == ["a", "b"]


def test_two_takes_over_one_list_do_not_touch_each_other() -> None:
    @node
    async def items(m: Msg) -> list[Msg]:
        return [Msg(n=n) for n in range(4)]

    @node
    async def work(m: Msg) -> Msg:
        for _ in range(m.n * 3):
            await asyncio.sleep(0)
        return m

    @node
    async def three(ms: Annotated[list[Msg], Take(3)]) -> A:
        return A(n=len(ms))

    @node
    async def both(a: Msg, b: A) -> Msg:
        return Msg(n=b.n, tag=str(a.n))

    graph = Graph(
        "g",
        START >> items,
        items.each >> work,
        work >> first,
        work >> three,
        (first, three) >> both >> END,
    )
    run = walk(graph, Msg())
    assert run.output == Msg(n=3, tag="0")
    assert [s.input.n for s in run.steps if s.error is not None] == [3]


def test_what_a_take_does_not_want_any_more_is_not_begun_where_concurrency_is_bounded() -> None:
    @node
    async def items(m: Msg) -> list[Msg]:
        return [Msg(n=n) for n in range(100)]

    work = slow("work")
    graph = Graph("g", START >> items, items.each >> work >> first >> END)
    run = walk(graph, Msg(), limits=Limits(concurrency=2))
    assert run.output == Msg(tag="work")
    assert run.usage.steps < 10


# -- cost ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("policy", ["cancel", "isolate"])
def test_cancelling_costs_what_is_cancelled_and_no_more(policy: Any) -> None:
    """Counted in looks at activations: a clock would tell of the machine."""
    from graphflow.walk import joins

    looks = 0
    kept = joins.Gate.__init__

    def counted(size: int) -> int:
        nonlocal looks
        looks = 0

        @node
        async def items(m: Msg) -> list[Msg]:
            return [Msg(n=n) for n in range(size)]

        @node
        async def half(m: Msg) -> Msg:
            if m.n % 2:
                raise ValueError
            for _ in range(3):
                await asyncio.sleep(0)
            return m

        split, other, inner = slow("split"), half.named("other"), gather("inner")
        each = items.each.fork(policy) >> split
        graph = Graph("g", START >> items, each, split >> (half, other) >> inner >> tags >> END)

        class Counting(set[Any]):
            def __iter__(self) -> Any:
                nonlocal looks
                looks += len(self)
                return super().__iter__()

        def opened(self: Any, *given: Any) -> None:
            kept(self, *given)
            self.holders = Counting()

        joins.Gate.__init__ = opened  # type: ignore[method-assign]
        try:
            walk(graph, Msg())
        finally:
            joins.Gate.__init__ = kept  # type: ignore[method-assign]
        return looks

    small, large = counted(50), counted(400)
    assert large <= 10 * small


def test_a_row_of_skipped_joins_is_as_long_as_one_likes() -> None:
    @node
    async def judge(m: Msg) -> Msg | A:
        return A(n=5)

    @node
    async def out(a: A) -> Msg:
        return Msg(n=a.n)

    paths: list[Any] = [START >> judge, judge[A] >> out >> END]
    before: Any = judge[Msg]
    for number in range(1200):
        x, y = slow(f"x{number}"), slow(f"y{number}")

        async def pair(p: Msg, q: Msg) -> Msg:
            return p

        joined = node(name=f"pair{number}")(pair)
        paths += [before >> (x, y), x >> joined.into("p"), y >> joined.into("q")]
        before = joined
    assert walk(Graph("g", *paths, before >> END), Msg()).output == Msg(n=5)
