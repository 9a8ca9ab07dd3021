"""What is read of functions is kept as long as they are: whatever was made for one request goes with it."""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any, Literal

import pytest

from graphflow import END, START, Agent, Context, Graph, Router, SubAgent, node, tool
from graphflow.declaration.ports import read_signature
from graphflow.kinds.docstrings import read_docstring
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk


class Service:
    """What a server makes for a request: its methods are nodes."""

    async def step(self, n: int) -> int:
        """Add one.

        Args:
            n: a number.
        """
        return n + 1

    def plain(self, n: int) -> int:
        return n + 1

    def choose(self, n: int) -> bool:
        return n > 1

    async def __call__(self, n: int) -> int:
        return n + 1


def of_a_method(service: Service) -> Any:
    return walk(Graph("g", START >> node(service.step) >> END), 1)


def of_a_plain_method(service: Service) -> Any:
    return walk(Graph("g", START >> node(service.plain) >> END), 1)


def of_an_object(service: Service) -> Any:
    return walk(Graph("g", START >> node(name="call")(service) >> END), 1)


def of_a_partial(service: Service) -> Any:
    return walk(Graph("g", START >> node(name="part")(functools.partial(service.step)) >> END), 1)


def of_a_closure(service: Service) -> Any:
    @node
    async def step(n: int) -> int:
        return await service.step(n)

    return walk(Graph("g", START >> step >> END), 1)


def of_a_tool(service: Service) -> Any:
    model = ScriptedModel(calls("step", n=1), "end")
    return walk(
        Graph("g", START >> Agent("a", input=str, tools=[tool(service.step)]) >> END),
        "x",
        model=model,
    )


def of_a_sub_agent(service: Service) -> Any:
    """An agent alone in its frame is a graph of its own."""
    clerk = Agent("clerk", input=str, tools=[tool(service.step)])
    boss = Agent("boss", input=str, sub_agents=[SubAgent(clerk)])
    model = ScriptedModel(calls("clerk", input="x"), calls("step", n=1), "2", "end")
    return walk(Graph("g", START >> boss >> END), "x", model=model)


def of_a_guard(service: Service) -> Any:
    @node
    async def same(n: int) -> int:
        return n

    return walk(
        Graph(
            "g",
            START >> same,
            same.when(service.choose) >> END,
            same.otherwise >> node(service.step) >> END,
        ),
        1,
    )


def of_a_rule(service: Service) -> Any:
    def rule(n: int) -> Literal["up", "down"]:
        return "up" if service.choose(n) else "down"

    router: Any = Router("r", rule)
    up, down = node(service.step), node(name="down")(service.step)
    return walk(
        Graph("g", START >> router, router["up"] >> up >> END, router["down"] >> down >> END), 1
    )


@pytest.mark.parametrize(
    "use",
    [
        of_a_method,
        of_a_plain_method,
        of_an_object,
        of_a_partial,
        of_a_closure,
        of_a_tool,
        of_a_sub_agent,
        of_a_guard,
        of_a_rule,
    ],
)
def test_what_was_made_for_a_request_goes_with_it(use: Callable[[Service], Any]) -> None:
    service = Service()
    gone = weakref.ref(service)
    run = use(service)
    assert run.status == "completed", run.error
    del run, service
    for _ in range(500):
        gc.collect()
        if gone() is None:
            return
        threading.Event().wait(0.01)  # a thread that has told its answer lets go a moment later
    raise AssertionError(f"kept by {[type(each).__name__ for each in gc.get_referrers(gone())]}")


def test_what_was_read_of_a_function_is_kept_with_it_and_with_no_other() -> None:
    async def step(n: int, ctx: Context) -> int:
        """Add."""
        return n

    @functools.wraps(step)
    async def wrapper(text: str) -> str:
        return text

    first = read_signature(step, Context)
    assert read_signature(step, Context) is first
    assert read_docstring(step) is read_docstring(step)
    wrapper = functools.wraps(step)(wrapper)  # copies what is kept with `step`, too
    del wrapper.__wrapped__
    wrapper.__annotations__ = {"text": str, "return": str}
    assert [port.name for port in read_signature(wrapper, Context).ports] == ["text"]


def test_a_method_and_its_function_are_read_apart() -> None:
    assert [port.name for port in read_signature(Service().step, Context).ports] == ["n"]
    assert [port.name for port in read_signature(Service.step, Context).ports] == ["self", "n"]
    assert read_signature(Service().step, Context) is read_signature(Service().step, Context)


def test_a_callable_that_cannot_be_hashed_can_be_a_node() -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        async def __call__(self, n: int) -> int:
            return n

    assert walk(Graph("g", START >> node(name="odd")(Odd()) >> END), 3).output == 3
