"""The nine rules of the walk, one behaviour a test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from graphflow import END, START, Context, Failure, Graph, LimitReached, Limits, Router, Take, node
from graphflow.errors import NoOutput, OutputInvalid, Stuck
from graphflow.events import NodeSkipped
from tests.conftest import A, B, C, Msg, ended, heard, kinds, walk

pytestmark = [
    pytest.mark.usefixtures("jumping_clock"),
    pytest.mark.filterwarnings("ignore:session=:DeprecationWarning"),
]


@node
async def first(m: Msg) -> Msg:
    return Msg(n=m.n + 1, tag=m.tag)


@node
async def to_a(m: Msg) -> A:
    return A(n=m.n)


@node
async def to_b(m: Msg) -> B:
    return B(n=m.n)


@node
async def spread(m: Msg) -> list[Msg]:
    return [Msg(n=i) for i in range(m.n)]


@node
async def shuffle(m: Msg) -> Msg:
    """The later items are the faster ones."""
    await asyncio.sleep(0.02 / (1 + m.n))
    return m


@node
async def gather(ms: list[Msg]) -> list[int]:
    return [m.n for m in ms]


@pytest.fixture(params=[True, False], ids=["plain", "general"])
def plain(request: Any) -> bool:
    return bool(request.param)


# -- rule 1: eager ---------------------------------------------------------------------------------
def test_a_slow_sibling_does_not_delay_a_fast_branch() -> None:
    times: dict[str, float] = {}

    @node
    async def slow(m: Msg) -> A:
        await asyncio.sleep(20)
        return A(n=1)

    @node
    async def fast(m: Msg) -> Msg:
        return m

    @node
    async def after(m: Msg) -> B:
        times["after"] = asyncio.get_running_loop().time()
        return B(n=2)

    @node
    async def both(a: A, b: B) -> int:
        times["both"] = asyncio.get_running_loop().time()
        return a.n + b.n

    graph = Graph("g", START >> (slow, fast >> after), (slow, after) >> both >> END)
    assert walk(graph, Msg()).output == 3
    assert times == {"after": 0, "both": 20}


# -- rule 2: ports ---------------------------------------------------------------------------------
def test_one_port_takes_every_message() -> None:
    @node
    async def twice(m: Msg) -> Msg:
        return Msg(n=m.n * 10)

    graph = Graph("g", START >> (first, first.named("other")) >> twice >> gather >> END)
    assert walk(graph, Msg(n=1)).output == [20, 20]


def test_several_ports_take_one_message_each() -> None:
    @node
    async def join(a: A, b: B) -> str:
        return f"{a!r} {b!r}"

    graph = Graph("g", START >> (to_a, to_b) >> join >> END)
    assert walk(graph, Msg(n=4)).output == "A(n=4) B(n=4)"


def test_into_names_the_port_where_types_do_not_tell() -> None:
    @node
    async def minus(left: int, right: int) -> int:
        return left - right

    @node
    async def ten(m: Msg) -> int:
        return 10

    @node
    async def three(m: Msg) -> int:
        return 3

    graph = Graph(
        "g", START >> (ten, three), ten >> minus.into("left"), three >> minus.into("right") >> END
    )
    assert walk(graph, Msg()).output == 7


@pytest.mark.parametrize("count", [0, 1, 3, 1000])
def test_a_map_is_collected_in_list_order(count: int) -> None:
    graph = Graph("g", START >> spread.each >> shuffle >> gather >> END)
    run = walk(graph, Msg(n=count))
    assert run.output == list(range(count))


def test_first_of_k_cancels_the_rest_and_waits_for_it() -> None:
    stopped: list[int] = []

    @node
    async def racer(m: Msg) -> Msg:
        try:
            await asyncio.sleep(0.01 if m.n in (1, 3) else 30)
        except asyncio.CancelledError:
            stopped.append(m.n)
            raise
        return m

    @node
    async def two(ms: Annotated[list[Msg], Take(2)]) -> list[int]:
        return [m.n for m in ms]

    graph = Graph("g", START >> spread.each >> racer >> two >> END)
    run = walk(graph, Msg(n=5))
    assert run.output == [1, 3]
    assert sorted(stopped) == [0, 2, 4]
    assert kinds(run).count("node.cancel") == 3


def test_first_of_k_with_fewer_than_k() -> None:
    @node
    async def two(ms: Annotated[list[Msg], Take(5)]) -> list[int]:
        return [m.n for m in ms]

    assert walk(Graph("g", START >> spread.each >> first >> two >> END), Msg(n=2)).output == [1, 2]


def test_an_optional_port_gets_none_when_its_branch_is_not_taken() -> None:
    route: Router[Msg, Msg] = Router("route", _odd_or_even)

    @node
    async def join(a: A | None, b: B | None) -> str:
        return f"{a} {b}"

    graph = Graph(
        "g",
        START >> route,
        route["odd"] >> to_a,
        route["even"] >> to_b,
        (to_a, to_b) >> join >> END,
    )
    assert walk(graph, Msg(n=1)).output == "n=1 None"
    assert walk(graph, Msg(n=2)).output == "None n=2"


def test_a_default_stands_in_for_a_message() -> None:
    @node
    async def add(m: Msg, extra: A = A(n=100)) -> int:
        return m.n + extra.n

    @node
    async def some(m: Msg) -> A | B:
        return A(n=1) if m.n else B()

    assert walk(Graph("g", START >> add >> END), Msg(n=1)).output == 101
    graph = Graph(
        "g",
        START >> (first, some),
        first >> add,
        some[A] >> add.into("extra"),
        some[B] >> _drop(),
        add >> END,
        ends="first",
    )
    assert walk(graph, Msg(n=1)).output == 3


def _drop() -> Any:
    @node
    async def late(b: B) -> int:
        await asyncio.sleep(1)
        return -1

    return late >> END


def _odd_or_even(m: Msg) -> Literal["odd", "even"]:
    return "odd" if m.n % 2 else "even"


# -- rule 3: nothing is lost in silence ------------------------------------------------------------
def test_the_four_node_graph_with_one_branch_not_taken() -> None:
    """Router to A or B, both into a join: the join collects what there is."""
    route: Router[Msg, Msg] = Router("route", _odd_or_even)
    other = first.named("other")
    graph = Graph(
        "g",
        START >> route,
        route["odd"] >> first,
        route["even"] >> other,
        (first, other) >> gather >> END,
    )
    assert walk(graph, Msg(n=1)).output == [2]
    assert walk(graph, Msg(n=2)).output == [3]


def test_a_required_port_without_a_message_skips_its_node_and_says_why() -> None:
    @node
    async def maybe(m: Msg) -> A | B:
        return A() if m.n else B()

    @node
    async def pair(m: Msg, a: A) -> str:
        return "pair"

    @node
    async def alone(b: B) -> str:
        return "alone"

    graph = Graph(
        "g",
        START >> (first, maybe),
        maybe[A] >> pair,
        first >> pair,
        maybe[B] >> alone,
        [pair >> END, alone >> END],
        ends="first",
    )
    run = walk(graph, Msg(n=0), observed=True)
    assert run.output == "alone"
    skip = next(e for e in run.events if isinstance(e, NodeSkipped))
    assert (skip.node, skip.port) == ("pair", "a")


def test_stuck_names_port_edges_and_scope() -> None:
    @node
    async def maybe(m: Msg) -> A | B:
        return B()

    @node
    async def pair(m: Msg, a: A) -> str:
        return "pair"

    @node
    async def never(b: B) -> list[Msg]:
        return []

    graph = Graph(
        "g",
        START >> (first, maybe),
        first >> pair,
        maybe[A] >> pair >> END,
        maybe[B] >> never.each >> first.named("x") >> _text() >> END,
        ends="first",
    )
    run = walk(graph, Msg())
    assert isinstance(run.error, Stuck)
    assert run.error.node == "pair"
    assert run.error.port == "a"
    assert run.error.edges == ("maybe >> pair",)
    assert run.status == "failed"


def _text() -> Any:
    @node
    async def text(m: Msg) -> str:
        return "x"

    return text


def test_no_output_says_where_messages_ended() -> None:
    graph = Graph("g", START >> spread.each >> first >> END, ends="first")
    run = walk(graph, Msg(n=0))
    assert isinstance(run.error, NoOutput)
    assert "mapped an empty list" in str(run.error)


def test_nested_forks_keep_their_own_items() -> None:
    @node
    async def inner(m: Msg) -> list[Msg]:
        return [Msg(n=m.n * 10 + i) for i in range(m.n)]

    @node
    async def row(ms: list[Msg]) -> list[int]:
        return [m.n for m in ms]

    @node
    async def rows(lists: list[list[int]]) -> list[list[int]]:
        return lists

    graph = Graph("g", START >> spread.each >> inner.each >> shuffle >> row >> rows >> END)
    assert walk(graph, Msg(n=4)).output == [[], [10], [20, 21], [30, 31, 32]]


def test_a_dying_branch_is_left_out() -> None:
    @node
    async def picky(m: Msg) -> Msg:
        if m.n == 1:
            raise ValueError("no ones")
        return m

    graph = Graph("g", START >> spread.each.fork("isolate") >> picky >> gather >> END)
    assert walk(graph, Msg(n=3)).output == [0, 2]


def test_all_branches_dying_still_collects() -> None:
    @node
    async def never(m: Msg) -> Msg:
        raise ValueError("no")

    graph = Graph("g", START >> spread.each.fork("isolate") >> never >> gather >> END)
    assert walk(graph, Msg(n=3)).output == []


def test_a_router_inside_a_map() -> None:
    route: Router[Msg, Msg] = Router("route", _odd_or_even)

    @node
    async def double(m: Msg) -> Msg:
        await asyncio.sleep(0.001)
        return Msg(n=m.n * 100)

    graph = Graph(
        "g",
        START >> spread.each >> route,
        route["odd"] >> double,
        route["even"] >> first,
        (double, first) >> gather >> END,
    )
    assert walk(graph, Msg(n=5)).output == [1, 100, 3, 300, 5]


def test_a_partial_join_feeds_a_whole_one() -> None:
    @node
    async def pair(a: A, b: B) -> Msg:
        return Msg(n=a.n + b.n)

    graph = Graph(
        "g",
        START >> first >> (to_a, to_b, shuffle),
        (to_a, to_b) >> pair,
        (pair, shuffle) >> gather >> END,
    )
    assert walk(graph, Msg(n=1)).output == [4, 2]


# -- rule 4: logical order -------------------------------------------------------------------------
def test_fan_out_is_collected_in_wiring_order() -> None:
    def slow(name: str, wait: float) -> Any:
        async def body(m: Msg) -> str:
            await asyncio.sleep(wait)
            return name

        return node(name=name)(body)

    @node
    async def names(ns: list[str]) -> list[str]:
        return ns

    graph = Graph("g", START >> (slow("c", 0.03), slow("a", 0.0), slow("b", 0.01)) >> names >> END)
    assert walk(graph, Msg()).output == ["c", "a", "b"]


# -- loops -----------------------------------------------------------------------------------------
def test_a_loop_ends_by_its_own_arm(plain: bool) -> None:
    @node
    async def judge(m: Msg) -> A | Msg:
        return A(n=m.n) if m.n >= 3 else m

    graph = Graph("g", START >> first >> judge, judge[Msg].limit(10) >> first, judge[A] >> END)
    assert walk(graph, Msg(), plain=plain).output == A(n=3)


def test_used_up_laps_go_along_the_limit_edge(plain: bool) -> None:
    @node
    async def judge(m: Msg) -> A | Msg:
        return m

    @node
    async def give_up(reached: LimitReached) -> A:
        return A(n=reached.message.n * 100 + int(reached.value))

    graph = Graph(
        "g",
        START >> first >> judge,
        judge[Msg].limit(3) >> first,
        judge[A] >> END,
        judge[LimitReached] >> give_up >> END,
    )
    run = walk(graph, Msg(), plain=plain)
    assert run.output == A(n=403)
    assert ended(run).count("first") == 4  # once, and three laps


def test_used_up_laps_without_a_limit_edge_end_the_walk_limited(plain: bool) -> None:
    @node
    async def judge(m: Msg) -> A | Msg:
        return m

    graph = Graph(
        "g", START >> first >> judge, judge[Msg] >> first, judge[A] >> END, limits=Limits(laps=2)
    )
    run = walk(graph, Msg(), plain=plain)
    assert run.status == "limited"
    assert getattr(run.error, "limit", "") == "laps"
    assert "judge >> first" in str(run.error)


def test_two_loops_of_unequal_length_through_one_node(plain: bool) -> None:
    @node
    async def hub(m: Msg) -> A | B | C:
        return A(n=m.n) if m.n < 3 else B(n=m.n) if m.n < 6 else C(n=m.n)

    @node
    async def short(a: A) -> Msg:
        return Msg(n=a.n + 1)

    @node
    async def long1(b: B) -> B:
        return B(n=b.n + 1)

    @node
    async def long2(b: B) -> Msg:
        return Msg(n=b.n + 1)

    graph = Graph(
        "g",
        START >> hub,
        hub[A].limit(5) >> short >> hub,
        hub[B].limit(2) >> long1 >> long2 >> hub,
        hub[C] >> END,
    )
    run = walk(graph, Msg(), plain=plain)
    assert run.output == C(n=7)
    assert ended(run) == ["hub", "short"] * 3 + ["hub", "long1", "long2"] * 2 + ["hub"]


def test_a_hub_with_two_cycles_counts_each_alone(plain: bool) -> None:
    @node
    async def hub(m: Msg) -> A | B | C:
        return A(n=m.n) if m.n % 2 else B(n=m.n) if m.n < 8 else C(n=m.n)

    @node
    async def left(a: A) -> Msg:
        return Msg(n=a.n + 1)

    @node
    async def right(b: B) -> Msg:
        return Msg(n=b.n + 1)

    graph = Graph(
        "g",
        START >> hub,
        hub[A].limit(4) >> left >> hub,
        hub[B].limit(4) >> right >> hub,
        hub[C] >> END,
    )
    assert walk(graph, Msg(), plain=plain).output == C(n=8)
    tight = Graph(
        "g",
        START >> hub,
        hub[A].limit(3) >> left >> hub,
        hub[B].limit(4) >> right >> hub,
        hub[C] >> END,
    )
    assert walk(tight, Msg(), plain=plain).status == "limited"


def test_inner_laps_begin_again_with_each_outer_lap(plain: bool) -> None:
    @node
    async def outer(m: Msg) -> Msg | C:
        return C(n=m.n) if m.n >= 6 else m

    @node
    async def inner(m: Msg) -> A | Msg:
        return Msg(n=m.n + 1) if (m.n + 1) % 2 else A(n=m.n + 1)

    @node
    async def back(a: A) -> Msg:
        return Msg(n=a.n)

    graph = Graph(
        "g",
        START >> outer,
        outer[Msg] >> inner,
        inner[Msg].limit(1) >> inner,
        inner[A] >> back,
        back.limit(5) >> outer,
        outer[C] >> END,
    )
    assert walk(graph, Msg(), plain=plain).output == C(n=6)


def test_a_join_inside_a_loop_waits_anew_each_lap() -> None:
    seen: list[tuple[int, int]] = []

    @node
    async def left(m: Msg) -> A:
        await asyncio.sleep(0.002)
        return A(n=m.n)

    @node
    async def right(m: Msg) -> B:
        return B(n=m.n)

    @node
    async def both(a: A, b: B) -> Msg | C:
        seen.append((a.n, b.n))
        return Msg(n=a.n + 1) if a.n < 3 else C(n=a.n)

    graph = Graph(
        "g", START >> first >> (left, right) >> both, both[Msg].limit(9) >> first, both[C] >> END
    )
    assert walk(graph, Msg()).output == C(n=3)
    assert seen == [(1, 1), (3, 3)]


def test_a_collect_inside_a_loop_inside_a_map() -> None:
    @node
    async def split(m: Msg) -> list[Msg]:
        return [m, m]

    @node
    async def pair(ms: list[Msg]) -> Msg | C:
        total = sum(m.n for m in ms)
        return Msg(n=total) if total < 10 else C(n=total)

    @node
    async def all_of(cs: list[C]) -> list[int]:
        return [c.n for c in cs]

    graph = Graph(
        "g",
        START >> spread.each >> first >> split.each >> shuffle >> pair,
        pair[Msg].limit(9) >> split,
        pair[C] >> all_of >> END,
    )
    assert walk(graph, Msg(n=3)).output == [16, 16, 12]


def test_guards_are_tried_in_order_and_otherwise_takes_the_rest(plain: bool) -> None:
    names = [node(name=f"n{i}")(_name(i)) for i in range(3)]
    graph = Graph(
        "g",
        START >> first,
        [
            first.otherwise >> names[2],
            first.when(lambda m: m.n > 10) >> names[0],
            first.when(lambda m: m.n > 5) >> names[1],
        ],
        names >> END,
    )
    assert [walk(graph, Msg(n=n), plain=plain).output for n in (20, 7, 0)] == ["0", "1", "2"]


def _name(i: int) -> Any:
    async def body(m: Msg) -> str:
        return str(i)

    return body


# -- rule 7: errors --------------------------------------------------------------------------------
def test_a_failure_edge_takes_the_error_as_a_message(plain: bool) -> None:
    @node
    async def bad(m: Msg) -> Msg:
        raise ValueError("broken")

    @node
    async def mend(f: Failure) -> Msg:
        return Msg(n=7, tag=f"{f.node} {f.kind} {f.error} {f.input.n}")

    graph = Graph("g", START >> bad, bad >> END, bad[Failure] >> mend >> END)
    assert walk(graph, Msg(n=5), plain=plain).output == Msg(n=7, tag="bad ValueError broken 5")


def test_retries_come_before_the_failure(plain: bool) -> None:
    tries: list[int] = []

    from graphflow import Retry

    @node(retry=Retry(attempts=3, wait_s=0))
    async def flaky(m: Msg) -> Msg:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("again")
        return m

    run = walk(Graph("g", START >> flaky >> END), Msg(n=5), plain=plain)
    assert run.output == Msg(n=5)
    assert kinds(run).count("node.retry") == 2


def test_the_caller_gets_the_nodes_own_exception_with_the_run_attached(plain: bool) -> None:
    @node
    async def bad(m: Msg) -> Msg:
        raise KeyError("mine")

    run = walk(Graph("g", START >> first >> bad >> END), Msg(), plain=plain)
    assert type(run.error) is KeyError
    assert run.error.run is run  # type: ignore[attr-defined]
    assert ended(run) == ["first"]
    assert run.status == "failed"


def test_an_exception_class_with_slots_can_be_raised() -> None:
    class Tight(Exception):
        __slots__ = ()

    @node
    async def bad(m: Msg) -> Msg:
        raise Tight("x")

    assert type(walk(Graph("g", START >> bad >> END), Msg()).error) is Tight


def test_cancel_stops_the_siblings_of_that_fork_only() -> None:
    stopped: list[str] = []

    @node
    async def outer(m: Msg) -> Msg:
        return m

    @node
    async def slow(m: Msg) -> Msg:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            stopped.append("slow")
            raise
        return Msg(n=100)

    @node
    async def item(m: Msg) -> Msg:
        if m.n == 0:
            await asyncio.sleep(0.005)
            raise ValueError("zero")
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            stopped.append(f"item {m.n}")
            raise
        return m

    @node
    async def total(xs: list[int]) -> Msg:
        return Msg(n=sum(xs))

    graph = Graph(
        "g",
        START >> outer,
        outer.fork("isolate") >> [spread, slow],
        spread.each >> item >> gather.named("inner") >> total,
        (total, slow) >> gather >> END,
    )
    run = walk(graph, Msg(n=3))
    assert run.output == [100]
    assert sorted(stopped) == ["item 1", "item 2"]


def test_finish_lets_siblings_end_and_then_fails() -> None:
    done: list[int] = []

    @node
    async def item(m: Msg) -> Msg:
        if m.n == 0:
            raise ValueError("zero")
        await asyncio.sleep(0.01)
        done.append(m.n)
        return m

    run = walk(Graph("g", START >> spread.each.fork("finish") >> item >> gather >> END), Msg(n=4))
    assert isinstance(run.error, ValueError)
    assert sorted(done) == [1, 2, 3]


def test_a_wrong_return_type_is_a_failure_that_names_all_three(plain: bool) -> None:
    @node
    async def liar(m: Msg) -> A:
        return m  # type: ignore[return-value]

    run = walk(Graph("g", START >> liar >> END), Msg(n=3), plain=plain)
    assert isinstance(run.error, OutputInvalid)
    for word in ("liar", "A", "Msg"):
        assert word in str(run.error)


# -- rule 8 and ends -------------------------------------------------------------------------------
def test_ends_first_cancels_the_rest() -> None:
    @node
    async def slow(m: Msg) -> str:
        await asyncio.sleep(30)
        return "slow"

    run = walk(Graph("g", START >> (slow, _text()) >> END, ends="first"), Msg())
    assert run.output == "x"
    assert kinds(run).count("run.end") == 1
    assert kinds(run).count("node.cancel") == 1


def test_ends_all_returns_them_in_wiring_order() -> None:
    graph = Graph("g", START >> (shuffle, first) >> END, ends="all")
    assert walk(graph, Msg(n=1)).output == [Msg(n=1), Msg(n=2)]


def test_ends_all_of_a_map() -> None:
    graph = Graph("g", START >> spread.each >> shuffle >> END, ends="all")
    assert [m.n for m in walk(graph, Msg(n=4)).output] == [0, 1, 2, 3]
    assert walk(graph, Msg(n=0)).output == []


def test_a_node_may_emit_and_see_its_frame(plain: bool) -> None:
    @node
    async def teller(m: Msg, ctx: Context) -> str:
        ctx.emit("note", {"depth": ctx.depth})
        return f"{ctx.path} {ctx.deps} {ctx.session}"

    run = walk(Graph("g", START >> teller >> END), Msg(), plain=plain, deps=5, session="s")
    assert run.output == "('g',) 5 s"
    assert [e.value for e in run.events if e.kind == "emit"] == [{"depth": 0}]  # type: ignore[attr-defined]


def test_plain_functions_run_off_the_loop(plain: bool) -> None:
    import threading

    @node
    def where(m: Msg) -> str:
        return threading.current_thread().name

    assert walk(Graph("g", START >> where >> END), Msg(), plain=plain).output == "graphflow:where"


def test_concurrency_is_bounded() -> None:
    now = 0
    most = 0

    @node
    async def busy(m: Msg) -> Msg:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return m

    graph = Graph("g", START >> spread.each >> busy >> gather >> END, limits=Limits(concurrency=3))
    assert walk(graph, Msg(n=20)).output == list(range(20))
    assert most == 3


# -- nothing is lost in silence --------------------------------------------------------------------
@node
async def early(m: Msg) -> A:
    return A(n=m.n)


@node
async def late(m: Msg) -> B:
    await asyncio.sleep(0.05)
    if m.n == 1:
        raise ValueError("no ones")
    return B(n=m.n)


@node
async def pair_of(a: A, b: B) -> Msg:
    return Msg(n=a.n)


def _skips(run: Any) -> list[tuple[str, str, str]]:
    return [
        (event.node, event.port, event.why)
        for event in run.events
        if isinstance(event, NodeSkipped)
    ]


@pytest.mark.parametrize("observed", [False, True], ids=["derived", "observed"])
@pytest.mark.parametrize(
    ("policy", "why"),
    [("cancel", "its fork was cancelled"), ("finish", "a branch of its fork failed")],
)
def test_a_join_that_is_dropped_with_messages_says_why(
    policy: Any, why: str, observed: bool, tmp_path: Path
) -> None:
    graph = Graph(
        "g",
        START >> spread.each.fork("isolate") >> first,
        first.fork(policy) >> (early, late) >> pair_of >> gather >> END,
    )
    run = walk(graph, Msg(n=2), observed=observed)
    assert run.output == [2]
    assert _skips(run) == [("pair_of", "", why)]
    if observed:
        assert [event for event in heard(run) if isinstance(event, NodeSkipped)]
    picture = Path(run.draw(tmp_path / "run.svg")).read_text()
    assert "1 skipped" in picture


@pytest.mark.parametrize("observed", [False, True], ids=["derived", "observed"])
def test_a_join_that_only_a_full_join_wants_says_so(observed: bool) -> None:
    @node
    async def fast(m: Msg) -> Msg:
        await asyncio.sleep(0.01)
        return Msg(n=7)

    @node
    async def fastest(ms: Annotated[list[Msg], Take(1)]) -> int:
        return ms[0].n

    @node
    async def slow(m: Msg) -> Msg:
        await asyncio.sleep(30)
        return m

    graph = Graph(
        "g",
        START >> (first, fast, slow),
        first >> (early, late) >> pair_of >> fastest,
        (fast, slow) >> fastest >> END,
    )
    run = walk(graph, Msg(n=5), observed=observed)
    assert run.output == 7
    assert _skips(run) == [("pair_of", "", "'fastest' has all it takes")]
