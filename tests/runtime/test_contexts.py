"""Context variables: who sees what a node has set. No latency, and no way of carrying a node out, makes a difference."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from graphflow import END, START, Agent, Context, Failure, Graph, Limits, Retry, node, tool
from graphflow.errors import ToolError
from graphflow.testing import ScriptedModel, both, calls
from tests.conftest import walk

way: ContextVar[str] = ContextVar("way", default="")
fresh: ContextVar[str] = ContextVar("fresh", default="")

both_paths = pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])


def here(name: str) -> str:
    """Notes that it was here, and tells the way that led here."""
    way.set(f"{way.get()}>{name}")
    return way.get()


def step(name: str, turns: int = 0, **options: Any) -> Any:
    async def body(m: str) -> str:
        told = here(name)
        for _ in range(turns):
            await asyncio.sleep(0)
        return told

    return node(name=name, **options)(body)


@node
async def gather(ms: list[str]) -> str:
    return f"{ms} {way.get()}"


@node
async def tell(m: Any) -> str:
    return way.get()


@both_paths
def test_a_node_sees_what_was_set_on_the_way_to_it(plain: bool) -> None:
    graph = Graph("g", START >> step("a") >> step("b", 2) >> tell >> END)
    assert walk(graph, "", plain=plain).output == ">a>b"


def test_whoever_runs_a_graph_finds_its_variables_as_they_were() -> None:
    inner = Graph("inner", START >> step("c") >> END)
    chain = Graph("chain", START >> step("a") >> inner >> step("b") >> END)
    fork = Graph("fork", START >> (step("a"), step("b")) >> gather >> END)

    async def main() -> None:
        way.set("mine")
        for graph in (chain, fork):
            await graph.run("")
            assert way.get() == "mine"
            async for _ in graph.stream(""):
                assert way.get() == "mine"
            await graph.start("")
            assert way.get() == "mine"
            assert graph.run_sync("").status == "completed"
            assert way.get() == "mine"

    asyncio.run(main())


@both_paths
def test_what_is_set_within_a_graph_stays_within_it(plain: bool) -> None:
    inner = Graph("inner", START >> step("c") >> END)
    assert (
        walk(Graph("g", START >> step("a") >> inner >> tell >> END), "", plain=plain).output == ">a"
    )


def test_a_walk_in_a_loop_of_its_own_sees_the_variables_of_its_caller() -> None:
    async def main() -> str:
        way.set("mine")
        return str(Graph("g", START >> tell >> END).run_sync("").output)

    assert asyncio.run(main()) == "mine"


@pytest.mark.parametrize("turns", [(0, 3), (3, 0), (1, 1)])
def test_behind_a_join_stands_the_branch_that_comes_first_in_logical_order(
    turns: tuple[int, int],
) -> None:
    fork = (
        START >> (step("a", turns[0]), step("b", turns[1])) >> gather >> step("next") >> tell >> END
    )
    assert walk(Graph("g", fork), "").output == ">a>next"


@pytest.mark.parametrize("turns", [(0, 3), (3, 0)])
def test_behind_a_join_of_several_ports_too(turns: tuple[int, int]) -> None:
    @node
    async def long(m: str) -> int:
        here("long")
        for _ in range(turns[0]):
            await asyncio.sleep(0)
        return 1

    @node
    async def pair(text: str, number: int) -> str:
        return way.get()

    graph = Graph("g", START >> (long, step("short", turns[1])) >> pair >> END)
    assert walk(graph, "").output == ">long"


def test_a_join_that_got_nothing_sees_what_its_fork_has_set() -> None:
    @node
    async def split(m: str) -> list[str]:
        here("split")
        return []

    graph = Graph("g", START >> split, split.each >> step("item") >> gather >> END)
    assert walk(graph, "").output == "[] >split"


def test_branches_do_not_see_each_other_also_if_they_wait_for_their_turn() -> None:
    fork = START >> step("f") >> (step("a"), step("b", 1), step("c")) >> gather >> END
    for limits in (Limits(), Limits(concurrency=1), Limits(concurrency=2)):
        output = walk(Graph("g", fork), "", limits=limits).output
        assert output == "['>f>a', '>f>b', '>f>c'] >f>a"


@both_paths
@pytest.mark.parametrize(
    "options", [{}, {"timeout_s": 60}, {"retry": 2}], ids=["bare", "timed", "retried"]
)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "plain"])
def test_how_a_node_is_carried_out_makes_no_difference(
    plain: bool, options: Any, threaded: bool
) -> None:
    def blocking(m: str) -> str:
        return here("n")

    async def awaiting(m: str) -> str:
        return here("n")

    n = node(name="n", **options)(blocking if threaded else awaiting)
    run = walk(Graph("g", START >> step("a") >> n >> tell >> END), "", plain=plain)
    assert run.output == ">a>n"


@both_paths
def test_a_retry_begins_with_what_was_set_before_the_first_attempt(plain: bool) -> None:
    tries = []

    @node(retry=3)
    async def flaky(m: str) -> str:
        tries.append(here("flaky"))
        if len(tries) < 3:
            raise ValueError("again")
        return m

    graph = Graph("g", START >> step("a") >> flaky >> tell >> END)
    assert walk(graph, "", plain=plain).output == ">a>flaky"
    assert tries == [">a>flaky"] * 3


@both_paths
@pytest.mark.parametrize("called", [False, True], ids=["on an arrow", "called"])
@pytest.mark.parametrize(
    "options", [{}, {"timeout_s": 60}, {"retry": 2}], ids=["bare", "timed", "retried"]
)
def test_so_does_a_retry_that_the_tool_itself_asks_for(
    plain: bool, called: bool, options: Any
) -> None:
    tries = []
    unset: list[str] = []

    @tool(**options)
    async def flaky(m: str) -> str:
        """Fail twice."""
        unset.append(fresh.get())
        fresh.set("set")
        tries.append(here("flaky"))
        if len(tries) < 3:
            raise ToolError("again", retry=Retry(3, wait_s=0))
        return m

    if called:
        model = ScriptedModel(calls("flaky", m="x"), "end")
        graph = Graph(
            "g", START >> step("a") >> Agent("agent", input=str, tools=[flaky]) >> tell >> END
        )
        assert walk(graph, "", plain=plain, model=model).output == ">a"
    else:
        graph = Graph("g", START >> step("a") >> flaky >> tell >> END)
        assert walk(graph, "", plain=plain).output == ">a>flaky"
    assert tries == [">a>flaky"] * 3
    assert unset == [""] * 3


@both_paths
def test_behind_a_failure_edge_stands_what_the_failed_node_has_set(plain: bool) -> None:
    @node
    async def bad(m: str) -> str:
        here("bad")
        raise ValueError("bad")

    @node
    async def mend(f: Failure) -> str:
        return way.get()

    graph = Graph("g", START >> bad, bad >> END, bad[Failure] >> mend >> END)
    assert walk(graph, "", plain=plain).output == ">bad"


@both_paths
def test_what_is_called_changes_nothing_for_its_caller(plain: bool) -> None:
    @tool
    async def look() -> str:
        """Look."""
        return here("look")

    @tool
    def peek() -> str:
        """Peek."""
        return here("peek")

    @node(calls=[look, peek])
    async def caller(m: str, ctx: Context) -> str:
        told = [await ctx.call(look, {}), await ctx.call(peek, {})]
        return f"{told} {way.get()}"

    graph = Graph("g", START >> step("a") >> caller >> END)
    assert walk(graph, "", plain=plain).output == "['>a>look', '>a>peek'] >a"


def test_calls_of_one_turn_do_not_see_each_other_however_many_there_are() -> None:
    seen = []

    @tool
    async def look(n: int) -> str:
        """Look."""
        seen.append(here(f"look{n}"))
        return "seen"

    agent = Agent("agent", tools=[look])
    model = ScriptedModel(calls("look", n=1), both(calls("look", n=2), calls("look", n=3)), "done")
    walk(Graph("g", START >> agent >> END), "go", model=model)
    assert seen == [">look1", ">look2", ">look3"]
