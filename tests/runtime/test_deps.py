"""`Graph(deps=D)`: what a run is given is held against it before anything is done, in nested graphs as well."""

from __future__ import annotations

import re
from typing import Any, Protocol

import pytest

from graphflow import END, START, Agent, Context, Graph, SubAgent, node, tool
from graphflow.errors import DepsInvalid
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk


class Shop:
    open = True
    name = "corner"


class Bigger(Shop): ...


class Named(Protocol):
    name: str

    def greet(self) -> str: ...


class Greeter:
    name = "G"

    def greet(self) -> str:
        return "hello"


ran: list[str] = []


@node
async def look(n: int, ctx: Context) -> int:
    ran.append("look")
    return n


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


def graph_of(deps: Any, name: str = "g") -> Graph[Any, Any]:
    return Graph(name, START >> look >> END, deps=deps)


def spelled(value: object) -> str:
    """A name for a test that is the same in every process: no address of an object is in it."""
    return re.sub(r" object at 0x\w+", "", str(value))


@pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])
@pytest.mark.parametrize(
    ("declared", "given", "words"),
    [
        (Shop, None, "graph 'g' declares deps=Shop, and none were given"),
        (Shop, {"open": True}, "and dict was given"),
        (Shop, Shop, "and type was given"),
        (int, True, "bool was given"),
        (dict[str, int], {"a": "b"}, "dict was given"),
        (Shop | None, 3, "int was given"),
        (Named, Shop(), "Shop was given"),
    ],
    ids=spelled,
)
def test_what_does_not_fit_is_refused_before_anything_is_done(
    declared: Any, given: Any, words: str, plain: bool
) -> None:
    with pytest.raises(DepsInvalid, match=words.replace("(", r"\(")):
        walk(graph_of(declared), 1, deps=given, plain=plain)
    assert ran == []


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        (Shop, Shop()),
        (Shop, Bigger()),
        (Shop | None, None),
        (Any, 3),
        (None, 3),
        (dict[str, int], {"a": 1}),
        (Named, Greeter()),
    ],
    ids=spelled,
)
def test_what_fits_is_taken_as_it_is(declared: Any, given: Any) -> None:
    assert walk(graph_of(declared), 1, deps=given).output == 1


def test_a_graph_inside_is_looked_at_when_the_run_starts() -> None:
    @node
    async def before(n: int) -> int:
        ran.append("before")
        return n

    inner = graph_of(Shop, "inner")
    for outer in (
        Graph("outer", START >> before >> inner >> END),
        Graph("outer", START >> before >> SubAgent(inner, name="other") >> END),
        Graph(
            "outer", START >> before >> Agent("a", sub_agents=[inner], model=ScriptedModel()) >> END
        ),
        Graph("far", START >> before >> Graph("outer", START >> inner >> END) >> END),
    ):
        with pytest.raises(DepsInvalid, match="graph 'inner' declares deps=Shop"):
            walk(outer, 1)
        assert ran == []


@pytest.mark.parametrize(
    ("made", "fits"),
    [(lambda outer: Shop(), True), (Shop(), True), (lambda outer: outer, False), ("theirs", False)],
)
def test_what_a_sub_agent_gets_of_its_own_is_looked_at_when_it_is_entered(
    made: Any, fits: bool
) -> None:
    inner = graph_of(Shop, "inner")
    run = walk(Graph("outer", START >> SubAgent(inner, deps=made) >> END), 1, deps="ours")
    assert (run.error is None) == fits
    assert isinstance(run.error, DepsInvalid) != fits

    asked = ScriptedModel(calls("inner", input=1), "done")
    agent = Agent("a", input=str, sub_agents=[SubAgent(inner, deps=made)])
    walk(Graph("outer", START >> agent >> END), "x", deps="ours", model=asked)
    assert asked.requests[1].turns[-1].results[0].ok == fits  # type: ignore[union-attr]


@node
async def typed(n: int, ctx: Context[Shop]) -> str:
    ran.append("typed")
    return ctx.deps.name


@tool
async def typed_tool(n: int, ctx: Context[Shop]) -> str:
    """Look."""
    return ctx.deps.name


@node
async def untyped(n: int, ctx: Context[Any]) -> str:
    return str(ctx.deps)


def test_code_gets_the_dependencies_that_it_names() -> None:
    graph = Graph("g", START >> typed >> END)
    assert graph.run_sync(1, deps=Shop()).output == "corner"
    assert graph.run_sync(1, deps=Bigger()).output == "corner"
    assert Graph("g", START >> untyped >> END).run_sync(1).output == "None"


@pytest.mark.parametrize(
    ("deps", "given"), [(None, "none were given"), (7, "int was given"), (Shop, "type was given")]
)
def test_other_dependencies_than_code_names_are_refused_before_anything_runs(
    deps: Any, given: str
) -> None:
    ran.clear()
    told = (
        rf"node 'typed' takes Context\[Shop\], and {given}; pass run\(..., deps=...\) with a Shop"
    )
    with pytest.raises(DepsInvalid, match=told):
        Graph("g", START >> typed >> END).run_sync(1, deps=deps)
    inner = Graph("inner", START >> typed >> END)
    with pytest.raises(DepsInvalid, match=told):
        Graph("outer", START >> inner >> END).run_sync(1, deps=deps)
    assert ran == []


def test_a_tool_of_an_agent_names_what_it_gets() -> None:
    model = ScriptedModel(calls("typed_tool", n=1), "done")
    agent = Agent("clerk", tools=[typed_tool], model=model)
    with pytest.raises(DepsInvalid, match="node 'typed_tool' takes"):
        agent.run_sync("go")
    assert model.requests == []
    assert agent.run_sync("go", deps=Shop()).output == "done"
