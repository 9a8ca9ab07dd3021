"""What is proven of states when a graph is built, where nodes stand in other graphs, on arrows and behind joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest

from graphflow import END, START, Agent, Context, Graph, GraphError, State, node, tool
from graphflow.errors import DeclarationError
from graphflow.merges import extend

PLAN = State("plan", str)
NOTES = State("notes", list[str], start=[], merge=extend)
GROWN = State("grown", list[str], merge=extend)


@node(effects=[])
async def start(text: str) -> str:
    return text


@node(effects=[])
async def other(text: str) -> str:
    return text


@node(sets=[PLAN], effects=[])
async def plan(text: str, ctx: Context) -> str:
    ctx.set(PLAN, text)
    return text


@node(reads=[PLAN], effects=[])
async def use(text: str, ctx: Context) -> str:
    return ctx.read(PLAN)


@node(reads=[PLAN], effects=[])
async def gather(parts: list[str], ctx: Context) -> str:
    return ctx.read(PLAN)


@node(effects=[])
async def split(text: str) -> list[str]:
    return text.split()


# -- set on every way ------------------------------------------------------------------------------
def test_a_branch_that_always_comes_sets_for_the_join_that_collects_it() -> None:
    graph = Graph("g", START >> start >> (plan, other) >> gather >> END, state=[PLAN])
    assert graph.run_sync("x").output == "x"


def at_a_test() -> Graph[Any, Any]:
    paths = (
        START >> start,
        start.when(str.isupper) >> plan,
        start >> other,
        (plan, other) >> gather,
    )
    return Graph("g", *paths, gather >> END, state=[PLAN])


def in_a_map() -> Graph[Any, Any]:
    return Graph("g", START >> split, split.each >> plan >> gather >> END, state=[PLAN])


def read_within() -> Graph[Any, Any]:
    inner = Graph("inner", START >> use >> END, uses=[PLAN])
    return Graph("g", START >> start >> inner >> END, state=[PLAN])


def read_two_within() -> Graph[Any, Any]:
    innermost = Graph("innermost", START >> use >> END, uses=[PLAN])
    inner = Graph("inner", START >> innermost >> END, uses=[PLAN])
    return Graph("g", START >> start >> inner >> END, state=[PLAN])


def added_by_an_arrow() -> Graph[Any, Any]:
    return Graph("g", START >> split >> END, split >> GROWN, state=[GROWN])


@pytest.mark.parametrize(
    "make", [at_a_test, in_a_map, read_within, read_two_within, added_by_an_arrow]
)
def test_where_a_state_may_be_unset_is_refused(make: Callable[[], Graph[Any, Any]]) -> None:
    with pytest.raises(GraphError, match="has no start and is not set on every way there"):
        make()


def test_a_graph_within_may_set_it_itself_or_find_it_set() -> None:
    sets = Graph("sets", START >> plan >> use >> END, uses=[PLAN])
    assert Graph("g", START >> start >> sets >> END, state=[PLAN]).run_sync("x").output == "x"
    reads = Graph("reads", START >> use >> END, uses=[PLAN])
    assert Graph("g", START >> plan >> reads >> END, state=[PLAN]).run_sync("x").output == "x"


# -- kept answers ----------------------------------------------------------------------------------
@tool(adds=[NOTES])
async def note(text: str, ctx: Context) -> str:
    """Notes."""
    ctx.add(NOTES, [text])
    return text


def kept_reader() -> Any:
    @node(name="kept", reads=[NOTES], effects=[], cache=True)
    async def kept(text: str, ctx: Context) -> str:
        return str(ctx.read(NOTES))

    return kept


def kept_agent() -> Any:
    return Agent("kept", tools=[note], input=str, cache=True)


def kept_graph() -> Any:
    inner = Agent("agent", tools=[note], input=str)
    return Graph("kept", START >> inner >> END, uses=[NOTES], cache=True)


def kept_caller() -> Any:
    @node(name="kept", calls=[note], effects=[], cache=True)
    async def kept(text: str, ctx: Context) -> str:
        return str(await ctx.call(note, {"text": text}))

    return kept


@pytest.mark.parametrize("make", [kept_reader, kept_agent, kept_graph, kept_caller])
def test_a_kept_answer_and_a_state_do_not_go_together(make: Callable[[], Any]) -> None:
    with pytest.raises(GraphError, match="'kept' has cache="):
        Graph("g", START >> make() >> END, state=[NOTES])


# -- declarations ----------------------------------------------------------------------------------
def test_what_is_added_to_needs_a_merge() -> None:
    with pytest.raises(DeclarationError, match="'plan', which has no merge"):

        @node(adds=[PLAN], effects=[])
        async def adds(text: str, ctx: Context) -> str:
            return text

    with pytest.raises(DeclarationError, match="'plan', which has no merge"):
        Agent("agent", adds=[PLAN])


def test_a_parameter_is_of_the_type_of_its_state() -> None:
    @node(effects=[])
    async def wrong(text: str, notes: Annotated[int, NOTES]) -> str:
        return text

    with pytest.raises(
        GraphError, match=r"'notes' of 'wrong' is int, and state 'notes' is list\[str\]"
    ):
        Graph("g", START >> wrong >> END, state=[NOTES])

    @node(effects=[])
    async def wider(text: str, notes: Annotated[list[str] | None, NOTES]) -> str:
        return str(notes)

    graph = Graph("g", START >> wider >> END, state=[NOTES])
    assert graph.run_sync("x").output == "[]"


def test_an_arrow_that_writes_leaves_one_node() -> None:
    with pytest.raises(DeclarationError, match="leaves one node"):
        (start, other) >> NOTES


@pytest.mark.parametrize("given", [3, "list[str]", ["a"], (1,)])
def test_the_type_of_a_state_must_be_a_type(given: Any) -> None:
    with pytest.raises(DeclarationError, match="must be a type"):
        State("notes", given)


def test_two_states_of_one_name_say_what_they_differ_in() -> None:
    again = State("notes", list[str], start=[], merge=lambda value, added: value + added)

    @node(reads=[again], effects=[])
    async def reader(text: str, ctx: Context) -> str:
        return text

    with pytest.raises(GraphError, match="their merges are two functions"):
        Graph("g", START >> reader >> END, state=[NOTES])
