"""Corners of the walk that were once wrong: one test each."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import Annotated, Any
from typing import TypedDict as OldTypedDict

import pytest
from typing_extensions import TypedDict

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    GraphError,
    LimitReached,
    Limits,
    Take,
    ToolError,
    node,
    tool,
)
from graphflow.errors import NodeTimeout, NotReachable
from graphflow.events import NodeAbandoned, NodeStarted
from graphflow.testing import ScriptedModel, calls
from tests.conftest import A, B, Msg, ended, kinds, refuses_to_end, walk
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("jumping_clock")


@node
async def same(m: Msg) -> Msg:
    return m


@node
async def up(m: Msg) -> Msg:
    return Msg(n=m.n + 1)


@node
async def rescue(f: Failure) -> Msg:
    return Msg(n=-1, tag=f.kind)


@node
async def count(ms: list[Msg]) -> int:
    return len(ms)


@pytest.fixture(params=[True, False], ids=["plain", "general"])
def plain(request: Any) -> bool:
    return bool(request.param)


def test_a_fork_may_stand_where_a_loop_is_left() -> None:
    @node
    async def critic(m: Msg) -> A | Msg:
        return A(n=m.n) if m.n > 2 else m

    @node
    async def x(a: A) -> Msg:
        return Msg(n=a.n)

    @node
    async def plan(m: Msg) -> list[A] | Msg:
        return [A(n=i) for i in range(m.n)] if m.n > 2 else m

    y = x.named("y")
    graph = Graph(
        "g",
        START >> critic,
        critic[Msg].limit(5) >> up >> critic,
        critic[A] >> (x, y),
        (x, y) >> count >> END,
    )
    assert walk(graph, Msg()).output == 2
    graph = Graph(
        "g",
        START >> plan,
        plan[Msg].limit(5) >> up >> plan,
        plan[list[A]].each >> x >> count >> END,
    )
    assert walk(graph, Msg()).output == 3
    assert graph.bounds().activations["count"].times == 1


def test_a_port_that_a_loop_may_fill_more_than_once_is_refused() -> None:
    @node
    async def z(m: Msg) -> B:
        return B()

    @node
    async def pair(m: Msg, b: B) -> Msg:
        return m

    @node
    async def last(r: LimitReached) -> Msg:
        return Msg()

    with pytest.raises(GraphError, match="may get several messages"):
        Graph(
            "g",
            START >> (up, z),
            up >> pair,
            up.limit(3) >> same >> up,
            up[LimitReached] >> last >> pair,
            z >> pair,
            pair >> END,
        )


def test_a_guard_that_raises_is_its_nodes_failure(plain: bool) -> None:
    def guard(m: Any) -> bool:
        return bool(m.nope)

    graph = Graph("g", START >> same, same.when(guard) >> up >> END, same.otherwise >> END)
    run = walk(graph, Msg(), plain=plain)
    assert isinstance(run.error, AttributeError)
    assert [s.node for s in run.steps] == ["same"]
    rescued = Graph(
        "g",
        START >> same,
        same.when(guard) >> up >> END,
        same.otherwise >> END,
        same[Failure] >> rescue >> END,
    )
    assert walk(rescued, Msg(), plain=plain).output == Msg(n=-1, tag="AttributeError")


def test_a_guard_that_raises_cancels_its_siblings() -> None:
    @node
    async def slow(m: Msg) -> Msg:
        await asyncio.sleep(30)
        return m

    def guard(m: Any) -> bool:
        raise KeyError("guard")

    graph = Graph(
        "g",
        START >> (same, slow),
        same.when(guard) >> up,
        same.otherwise >> count,
        (up, slow) >> count >> END,
    )
    run = walk(graph, Msg())
    assert isinstance(run.error, KeyError)
    assert "slow" not in ended(run)


@node
async def converts(m: Msg) -> Msg:
    """A client that turns a cancellation into its own error."""
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        raise ConnectionError("closed") from None
    return m


@node
async def swallows(m: Msg) -> Msg:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        pass
    return m


@pytest.mark.parametrize(
    "bad",
    [converts, swallows, node(retry=3)(converts.function)],
    ids=["converts", "swallows", "retries"],
)
def test_no_node_can_swallow_a_deadline(bad: Any, plain: bool) -> None:
    graph = Graph("g", START >> bad >> up >> END, bad[Failure] >> rescue >> END)
    run = walk(graph, Msg(), limits=Limits(seconds=0.05), plain=plain)
    assert run.status == "limited"
    assert ended(run) == []


def test_a_cancellation_from_somewhere_else_is_the_nodes_failure(plain: bool) -> None:
    @node
    async def victim(m: Msg) -> Msg:
        task = asyncio.ensure_future(asyncio.sleep(1))
        task.cancel()
        await task
        return m

    graph = Graph("g", START >> victim >> END, victim[Failure] >> rescue >> END)
    assert walk(graph, Msg(), plain=plain).output.n == -1


def test_a_tool_that_is_cancelled_from_somewhere_else_is_an_error_result() -> None:
    @tool
    async def victim() -> str:
        """Victim."""
        raise asyncio.CancelledError

    model = ScriptedModel(calls("victim"), "done")
    assert (
        walk(Graph("g", START >> Agent("a", tools=[victim]) >> END), "x", model=model).output
        == "done"
    )


def test_an_empty_list_takes_the_first_arm_only(plain: bool) -> None:
    @node
    async def two(m: Msg) -> list[A] | list[B]:
        return []

    @node
    async def ra(x: list[A]) -> str:
        return "a"

    @node
    async def rb(x: list[B]) -> str:
        return "b"

    graph = Graph("g", START >> two, two[list[A]] >> ra >> END, two[list[B]] >> rb >> END)
    run = walk(graph, Msg(), plain=plain)
    assert (run.output, ended(run)) == ("a", ["two", "ra"])


def test_events_derived_later_know_the_limits() -> None:
    @node
    async def give(r: LimitReached) -> Msg:
        return Msg(n=99)

    graph = Graph(
        "g",
        START >> up,
        up.when(lambda m: m.n < 50) >> up,
        up.otherwise >> END,
        up[LimitReached] >> give >> END,
        limits=Limits(laps=2),
    )
    run = walk(graph, Msg())
    assert [s.node for s in run.steps] == ["up", "up", "up", "give"]


def test_observed_runs_give_others_their_turn() -> None:
    graph = Graph(
        "g", START >> up, up.when(lambda m: m.n < 10**6).limit(10**6) >> up, up.otherwise >> END
    )

    async def main() -> Any:
        run = graph.start(Msg())
        for _ in range(20):
            await asyncio.sleep(0)
        assert run.status == "running"
        run.cancel()
        await run.settled()
        return run

    assert asyncio.run(main()).status == "cancelled"


def test_what_refuses_to_end_is_abandoned_whoever_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphflow.runtime.general_walk.GRACE_S", 0.05)

    released = asyncio.Event()

    stubborn = refuses_to_end(released)

    @node
    async def soon(m: Msg) -> Msg:
        await asyncio.sleep(0.01)
        return m

    async def main() -> Any:
        run = await Graph("g", START >> (soon, stubborn) >> END, ends="first").run(Msg(n=3))
        assert [e.node for e in run.events if isinstance(e, NodeAbandoned)] == ["stubborn"]
        assert not released.is_set()
        released.set()
        await eventually(lambda: len(asyncio.all_tasks()) == 1)
        return run

    run = asyncio.run(main())
    assert run.output == Msg(n=3)
    assert kinds(run)[-1] == "run.end"


def test_a_join_fires_once_when_one_way_is_used_up() -> None:
    @node
    async def f(m: Msg) -> B:
        return B(n=m.n)

    @node
    async def over(r: LimitReached) -> B:
        return B(n=1000)

    @node
    async def join(bs: list[B]) -> A | Msg:
        return A(n=sum(b.n for b in bs))

    graph = Graph(
        "g",
        START >> up,
        up >> f >> join,
        up.limit(2) >> up,
        up[LimitReached] >> over >> join,
        join[A] >> END,
        join[Msg] >> up,
        ends="all",
    )
    run = walk(graph, Msg(), observed=True)
    starts = [(e.node, e.scope) for e in run.events if isinstance(e, NodeStarted)]
    assert len(starts) == len(set(starts))
    assert [a.n for a in run.output] == [1, 2, 1003]


def test_cancel_holds_for_a_fork_whose_branch_left_a_loop() -> None:
    @node
    async def items(m: Msg) -> list[Msg]:
        return [Msg()]

    @node
    async def lap(m: Msg) -> Msg:
        await asyncio.sleep(0.02)
        return Msg(n=m.n + 1)

    @node
    async def failer(m: Msg) -> Msg:
        raise ValueError

    @node
    async def over(r: LimitReached) -> Msg:
        return Msg(n=99)

    graph = Graph(
        "g",
        START >> items,
        items.each.fork("isolate") >> lap,
        lap >> failer >> END,
        lap.limit(4) >> same >> lap,
        lap[LimitReached] >> over >> END,
        ends="all",
    )
    assert walk(graph, Msg()).output == []


@pytest.mark.parametrize("policy", ["cancel", "finish"])
def test_a_failed_fork_with_two_joins_is_left_out_whole(policy: Any) -> None:
    @node
    async def outer(m: Msg) -> list[A]:
        return [A(n=1), A(n=2)]

    @node
    async def inner(a: A) -> list[B]:
        return [B(n=a.n * 10 + i) for i in range(3)]

    @node
    async def p(b: B) -> A:
        if b.n == 11:
            raise ValueError
        return A(n=b.n)

    @node
    async def q(b: B) -> B:
        await asyncio.sleep(0.01)
        return b

    @node
    async def ja(xs: list[A]) -> A:
        return A(n=len(xs))

    @node
    async def jb(xs: list[B]) -> B:
        return B(n=len(xs))

    @node
    async def pair(a: A | None, b: B | None) -> Msg:
        return Msg(tag=f"{a} {b}")

    each = inner.each.fork(policy)
    graph = Graph(
        "g",
        START >> outer,
        outer.each.fork("isolate") >> inner,
        each >> p >> ja >> pair,
        each >> q >> jb >> pair,
        pair >> count >> END,
    )
    assert walk(graph, Msg()).output == 1


def test_a_finish_fork_without_a_join_asks_the_forks_around_it() -> None:
    @node
    async def outer(m: Msg) -> list[Msg]:
        return [Msg(n=1), Msg(n=2)]

    @node
    async def inner(m: Msg) -> list[Msg]:
        return [m]

    @node
    async def picky(m: Msg) -> Msg:
        if m.n == 1:
            raise ValueError
        return m

    graph = Graph(
        "g",
        START >> outer,
        outer.each.fork("isolate") >> inner,
        inner.each.fork("finish") >> picky >> END,
        ends="all",
    )
    assert walk(graph, Msg()).output == [Msg(n=2)]


def test_a_cancelled_forks_joins_never_fire_on_part_of_it() -> None:
    fired: list[int] = []

    @node
    async def one(m: Msg) -> list[A]:
        return [A()]

    @node
    async def groups(a: A) -> list[A]:
        return [A(n=2), A(n=1)]

    @node
    async def f(a: A) -> A:
        if a.n == 1:
            raise ValueError
        return a

    @node
    async def sub(a: A) -> list[B]:
        return [B(n=0), B(n=1)]

    @node
    async def s(b: B) -> B:
        return b

    @node
    async def sc(bs: list[B]) -> Msg:
        fired.append(len(bs))
        return Msg()

    @node
    async def total(ns: list[int]) -> int:
        return len(ns)

    graph = Graph(
        "g",
        START >> one,
        one.each.fork("isolate") >> groups,
        groups.each >> f >> sub,
        sub.each >> s >> sc >> count >> total >> END,
        limits=Limits(concurrency=1),
    )
    assert walk(graph, Msg()).output == 0
    assert fired in ([], [2])


def test_a_called_graph_keeps_its_options() -> None:
    @node
    async def hang(m: Msg) -> Msg:
        await asyncio.sleep(30)
        return m

    sub = Graph("sub", START >> hang >> END, timeout_s=0.05)

    @node(calls=[sub])
    async def caller(m: Msg, ctx: Context) -> Msg:
        return await ctx.call(sub, m)

    assert isinstance(walk(Graph("g", START >> caller >> END), Msg()).error, NodeTimeout)


def test_take_stands_alone_and_limit_edges_need_laps() -> None:
    @node
    async def two(ms: Annotated[list[Msg], Take(2)], a: A) -> int:
        return 2

    @node
    async def items(m: Msg) -> list[Msg]:
        return [m]

    @node
    async def to_a(m: Msg) -> A:
        return A()

    @node
    async def over(r: LimitReached) -> Msg:
        return Msg()

    with pytest.raises(GraphError, match="takes the first few of a fork beside other ports"):
        Graph("g", START >> (items, to_a), items.each >> same >> two, to_a >> two >> END)
    with pytest.raises(GraphError, match="LimitReached never comes"):
        Graph("g", START >> same >> END, same[LimitReached] >> over >> END)


def test_a_callee_is_the_node_that_was_declared() -> None:
    @tool(name="t")
    async def one() -> str:
        """One."""
        return "one"

    @tool(name="t")
    async def other() -> str:
        """Other."""
        return "other"

    @node(calls=[one])
    async def caller(m: Msg, ctx: Context) -> str:
        try:
            return str(await ctx.call(other, {}))
        except NotReachable:
            return "not reachable"

    assert walk(Graph("g", START >> caller >> END), Msg()).output == "not reachable"


def test_an_error_without_a_text_can_still_be_told(plain: bool) -> None:
    class Mute(ToolError):
        def __str__(self) -> str:
            raise RuntimeError

    @node
    async def bad(m: Msg) -> Msg:
        raise Mute

    graph = Graph("g", START >> bad >> END, bad[Failure] >> rescue >> END)
    assert walk(graph, Msg(), plain=plain).output.tag == "Mute"


class Late(TypedDict):
    n: int


def test_typed_dicts_are_messages(plain: bool) -> None:
    @node
    async def make(m: Msg) -> Late | A:
        return {"n": m.n} if m.n else A()

    @node
    async def take(d: Late) -> int:
        return d["n"]

    graph = Graph("g", START >> make, make[Late] >> take >> END, make[A] >> END)
    assert walk(graph, Msg(n=4), plain=plain).output == 4
    assert walk(graph, Msg(n=0), plain=plain).output == A()


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="pydantic reads typing.TypedDict from 3.12 on"
)
def test_a_typed_dict_that_cannot_be_checked_is_refused_at_build() -> None:
    class Old(OldTypedDict):
        n: int

    @node
    async def make(m: Msg) -> Old:
        return {"n": 1}

    with pytest.raises(GraphError, match="typing_extensions"):
        Graph("g", START >> make >> END)


def test_a_class_may_stand_below_the_node_that_names_it() -> None:
    module = types.ModuleType("below")
    source = """
from __future__ import annotations
from graphflow import END, START, Graph, node
@node
async def f(n: int) -> Below:
    return Below()
class Below(dict): ...
graph = Graph("g", START >> f >> END)
"""
    sys.modules["below"] = module
    code = compile(source, "below.py", "exec")
    types.FunctionType(code, module.__dict__)()
    assert walk(module.graph, 1).output == {}


def test_a_forgotten_await_is_told() -> None:
    async def inner() -> int:
        return 1

    @node
    async def f(n: int) -> int:
        return inner()  # type: ignore[return-value]

    assert "return await" in str(walk(Graph("g", START >> f >> END), 1).error)


def test_an_answer_that_was_cut_is_said_to_be() -> None:
    from graphflow.model.seam import Finished, Request, TextDelta

    class Cut:
        name = "cut"

        async def stream(self, request: Request) -> Any:
            yield TextDelta('{"result": [1, 2')
            yield Finished("length")

    run = walk(
        Graph("g", START >> Agent("a", output=list[int], repairs=0) >> END), "x", model=Cut()
    )
    assert "max_tokens" in str(run.error)


def test_failures_that_were_isolated_can_be_seen() -> None:
    @node
    async def items(m: Msg) -> list[Msg]:
        return [Msg(n=0), Msg(n=1)]

    @node
    async def picky(m: Msg) -> Msg:
        if not m.n:
            raise ValueError("zero")
        return m

    run = walk(
        Graph("g", START >> items, items.each.fork("isolate") >> picky >> count >> END), Msg()
    )
    assert run.output == 1
    assert [(f.node, str(f.error)) for f in run.failures] == [("picky", "zero")]
