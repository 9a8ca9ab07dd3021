"""Annotations that name what is defined later: what the build has proven runs, with every kind of node that reads them."""

from __future__ import annotations

import enum
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal

import pytest

from graphflow import END, START, Agent, Context, Graph, Router, node, tool
from graphflow.declaration.node import Node
from graphflow.errors import GraphError
from graphflow.testing import ScriptedModel, calls
from tests.conftest import Msg, walk


@node
async def answers(m: Msg, ctx: Context) -> Late:
    return Late(n=m.n + ctx.depth)


@node
def answers_in_a_thread(m: Msg, ctx: Context) -> Late:
    return Late(n=m.n + ctx.depth)


@node(retry=2)
async def answers_with_options(m: Msg, ctx: Context) -> Late:
    return Late(n=m.n + ctx.depth)


@node
async def takes(m: Late, ctx: Context) -> Late:
    return Late(n=m.n + ctx.depth)


@node
async def takes_by_place(m: Late, /, ctx: Context) -> Late:
    return Late(n=m.n + ctx.depth)


@node
async def joins(a: Msg, b: Late, ctx: Context) -> int:
    return a.n + b.n + ctx.depth


class Callee:
    async def __call__(self, m: Msg, ctx: Context) -> Late:
        return Late(n=m.n + ctx.depth)

    async def method(self, m: Msg, ctx: Context) -> Late:
        return Late(n=m.n + ctx.depth)


async def more(m: Msg, by: int, ctx: Context) -> Late:
    return Late(n=m.n + by + ctx.depth)


called = node(name="called")(Callee())
bound = node(Callee().method)
partial = node(name="partial")(functools.partial(more, by=0))


@tool
async def weigh(item: Late, ctx: Context) -> int:
    return item.n + ctx.depth


@tool
def weigh_in_a_thread(item: Late, ctx: Context) -> int:
    return item.n + ctx.depth


@tool
async def tell(item: Late, ctx: Context) -> AsyncIterator[str]:
    yield str(item.n + ctx.depth)


@tool
def tell_in_a_thread(item: Late, ctx: Context) -> Iterator[str]:
    yield str(item.n + ctx.depth)


def chooses(m: Late, ctx: Context) -> Literal["low", "high"]:
    return "low" if m.n + ctx.depth < 5 else "high"


def leaves_it(m: Late, ctx: Context) -> Literal["low"] | None:
    return "low" if m.n + ctx.depth < 5 else None


def turns_into(m: Late, ctx: Context) -> Late | Later:
    return Later(n=m.n + ctx.depth)


def names_a_kind(m: Late) -> Kind:
    return Kind.HIGH


by_rule = Router("by_rule", chooses)
in_stages = Router("in_stages", cascade=[Router("first", leaves_it)], otherwise="high")
by_message = Router("by_message", turns_into)
by_kind = Router("by_kind", cascade=[Router("stage", names_a_kind)])


class Late(Msg, frozen=True): ...


class Later(Msg, frozen=True): ...


class Kind(enum.Enum):
    LOW = "low"
    HIGH = "high"


@pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])
@pytest.mark.parametrize(
    ("step", "message"),
    [
        (answers, Msg(n=3)),
        (answers_in_a_thread, Msg(n=3)),
        (answers_with_options, Msg(n=3)),
        (takes, Late(n=3)),
        (takes_by_place, Late(n=3)),
        (called, Msg(n=3)),
        (bound, Msg(n=3)),
        (partial, Msg(n=3)),
        (answers.named("twin"), Msg(n=3)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_step_gets_its_context(step: Node[Any, Any], message: Msg, plain: bool) -> None:
    run = walk(Graph("g", START >> step >> END), message, plain=plain)
    assert run.error is None
    assert run.output == Late(n=3)


def test_a_join_gets_its_context() -> None:
    @node
    async def same(m: Msg) -> Msg:
        return m

    assert walk(Graph("g", START >> (same, answers) >> joins >> END), Msg(n=2)).output == 4


@pytest.mark.parametrize(
    "called_tool", [weigh, weigh_in_a_thread, tell, tell_in_a_thread], ids=lambda t: t.name
)
def test_a_tool_gets_its_context_and_shows_none(called_tool: Any) -> None:
    model = ScriptedModel(calls(called_tool.name, item={"n": 4}), "done")
    run = walk(
        Graph("g", START >> Agent("a", input=str, tools=[called_tool]) >> END), "x", model=model
    )
    assert run.output == "done"
    assert [result.text for turn in model.requests[-1].turns[-1:] for result in turn.results] == [
        "4"
    ]  # type: ignore[union-attr]
    assert set(called_tool.spec.parameters["properties"]) == {"item"}


@pytest.mark.parametrize("router", [by_rule, in_stages, by_kind], ids=lambda router: router.name)
def test_a_router_by_labels_gets_its_context(router: Router[Any, Any]) -> None:
    low, high = takes.named("low"), takes.named("high")
    run = walk(
        Graph("g", START >> router, router["low"] >> low >> END, router["high"] >> high >> END),
        Late(n=5),
    )
    assert run.error is None
    assert [step.node for step in run.steps] == [router.name, "high"]


def test_a_router_by_messages_gets_its_context() -> None:
    @node
    async def later(m: Later) -> Later:
        return m

    graph = Graph(
        "g",
        START >> by_message,
        by_message[Late] >> takes >> END,
        by_message[Later] >> later >> END,
    )
    assert walk(graph, Late(n=5)).output == Later(n=5)


def test_a_class_of_a_function_may_stand_below_its_node() -> None:
    def made() -> Graph[Any, Any]:
        @node
        async def inner(m: Msg, ctx: Context) -> Below:
            return Below(n=m.n + ctx.depth)

        class Below(Msg, frozen=True): ...

        return Graph("g", START >> inner >> END)

    assert walk(made(), Msg(n=1)).output.n == 1


def test_what_is_never_defined_is_refused_at_build() -> None:
    def rule(m: Nowhere, ctx: Context) -> Literal["a", "b"]:  # type: ignore[name-defined]  # noqa: F821
        return "a"

    def stage(m: Msg) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        return "a"

    async def step(m: Msg, ctx: Context) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        return m

    lost: list[Callable[[], Node[Any, Any]]] = [
        lambda: node(step),
        lambda: Router("r", rule),
        lambda: Router("r", cascade=[Router("s", stage)], otherwise="b"),
    ]
    for make in lost:
        with pytest.raises(GraphError, match="'Nowhere', which is not defined"):
            Graph("g", START >> make() >> END)
