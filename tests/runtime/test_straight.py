"""The straight path and the general one write the same journal."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from graphflow import END, START, Agent, Failure, Graph, LimitReached, Limits, Retry, node, tool
from graphflow.events import Event
from graphflow.testing import ScriptedModel, calls
from tests.conftest import A, Msg, walk


@node
async def up(m: Msg) -> Msg:
    return Msg(n=m.n + 1)


@node
def threaded(m: Msg) -> Msg:
    return m


@node(retry=Retry(2, wait_s=0.001, jitter=0))
async def flaky(m: Msg) -> Msg:
    raise ValueError("always")


@node
async def judge(m: Msg) -> Msg | A:
    return A(n=m.n) if m.n > 4 else m


@node
async def liar(m: Msg) -> A:
    return m  # type: ignore[return-value]


@node
async def mend(f: Failure) -> Msg:
    return Msg(n=99)


@node
async def give_up(r: LimitReached) -> A:
    return A(n=-1)


@tool
async def look(q: str) -> str:
    """Look."""
    return q * 2


way: ContextVar[int] = ContextVar("way", default=0)


@node
async def marks(m: Msg) -> Msg:
    way.set(way.get() + 1)
    return Msg(n=way.get())


@node(retry=2, timeout_s=60)
def marks_apart(m: Msg) -> Msg:
    way.set(way.get() + 10)
    return Msg(n=way.get())


@node
async def stray(m: Msg) -> Msg:
    raise asyncio.CancelledError("of a library")


@node(retry=Retry(2, wait_s=0.001, jitter=0))
async def stray_again(m: Msg) -> Msg:
    raise asyncio.CancelledError("of a library")


class Told(BaseException):
    pass


@node
async def told(m: Msg) -> Msg:
    raise Told("exit")


def tells(m: Msg) -> bool:
    raise Told("exit")


def fails(m: Msg) -> bool:
    raise ValueError("guard")


@node
async def ages(m: Msg) -> Msg:
    """Blocks for a minute, by the clock of the event loop."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + 60  # type: ignore[method-assign]
    return m


inner = Graph("inner", START >> up >> up.named("up2") >> END)
chat = Graph("chat", START >> Agent("a", tools=[look], retry=1) >> END)

GRAPHS: dict[str, tuple[Graph[Any, Any], Any, dict[str, Any]]] = {
    "chain": (Graph("g", START >> up >> up.named("b") >> threaded >> END), Msg(), {}),
    "loop": (
        Graph("g", START >> up >> judge, judge[Msg].limit(9) >> up, judge[A] >> END),
        Msg(),
        {},
    ),
    "laps used up": (
        Graph("g", START >> up >> judge, judge[Msg].limit(2) >> up, judge[A] >> END),
        Msg(),
        {},
    ),
    "laps taken over": (
        Graph(
            "g",
            START >> up >> judge,
            judge[Msg].limit(2) >> up,
            judge[A] >> END,
            judge[LimitReached] >> give_up >> END,
        ),
        Msg(),
        {},
    ),
    "frames": (Graph("g", START >> up >> inner >> up.named("c") >> END), Msg(), {}),
    "failing": (Graph("g", START >> up >> flaky >> END), Msg(), {}),
    "mended": (Graph("g", START >> flaky, flaky >> END, flaky[Failure] >> mend >> END), Msg(), {}),
    "wrong type": (Graph("g", START >> up >> liar >> END), Msg(), {}),
    "steps": (
        Graph("g", START >> up >> inner >> up.named("c") >> END),
        Msg(),
        {"limits": Limits(steps=3)},
    ),
    "agent": (chat, "go", {"model": lambda: ScriptedModel(calls("look", q="x"), "done")}),
    "no steps": (Graph("g", START >> up >> END), Msg(), {"limits": Limits(steps=0)}),
    "no time": (Graph("g", START >> up >> END), Msg(), {"limits": Limits(seconds=0)}),
    "deadline": (
        Graph("g", START >> ages >> ages.named("b") >> ages.named("c") >> END),
        Msg(),
        {"limits": Limits(seconds=100)},
    ),
    "deadline at the end": (
        Graph("g", START >> ages >> END),
        Msg(),
        {"limits": Limits(seconds=30)},
    ),
    "deadline within": (
        Graph(
            "g",
            START >> Graph("in", START >> ages >> ages.named("b") >> ages.named("c") >> END) >> END,
        ),
        Msg(),
        {"limits": Limits(seconds=100)},
    ),
    "variables": (
        Graph(
            "g",
            START
            >> marks
            >> Graph("in", START >> marks >> END)
            >> marks_apart
            >> marks.named("c")
            >> END,
        ),
        Msg(),
        {},
    ),
    "stray": (Graph("g", START >> stray >> END), Msg(), {}),
    "stray, tried again": (Graph("g", START >> stray_again >> END), Msg(), {}),
    "stray, mended": (
        Graph("g", START >> stray, stray >> END, stray[Failure] >> mend >> END),
        Msg(),
        {},
    ),
    "told to exit": (
        Graph("g", START >> told, told >> END, told[Failure] >> mend >> END),
        Msg(),
        {},
    ),
    "told to exit within": (
        Graph("g", START >> Graph("in", START >> told >> END) >> END),
        Msg(),
        {},
    ),
    "a guard that tells": (
        Graph(
            "g",
            START >> up,
            up.when(tells) >> END,
            up.otherwise >> threaded >> END,
            up[Failure] >> mend >> END,
        ),
        Msg(),
        {},
    ),
    "a guard that fails": (
        Graph(
            "g",
            START >> up,
            up.when(fails) >> END,
            up.otherwise >> threaded >> END,
            up[Failure] >> mend >> END,
        ),
        Msg(),
        {},
    ),
    "guards": (
        Graph("g", START >> up, up.when(lambda m: m.n > 5) >> END, up.otherwise >> inner >> END),
        Msg(),
        {},
    ),
}


def facts(name: str, *, plain: bool) -> list[Any]:
    graph, message, options = GRAPHS[name]
    made = {key: value() if callable(value) else value for key, value in options.items()}
    run = walk(graph, message, plain=plain, **made)
    return [(run.status, run.output, repr(run.error), run.usage.steps), *map(shown, run.facts)]


def shown(event: Event) -> Any:
    hidden = ("at", "first_at", "started", "wait_s")  # a wait has jitter
    return (
        event.kind,
        *(repr(getattr(event, f)) for f in type(event).__dataclass_fields__ if f not in hidden),
    )


@pytest.mark.parametrize("name", GRAPHS)
def test_both_paths_give_the_same_journal(name: str) -> None:
    assert GRAPHS[name][0].program.straight
    assert facts(name, plain=True) == facts(name, plain=False)


@pytest.mark.parametrize("name", GRAPHS)
def test_events_told_live_are_the_events_derived_later(name: str) -> None:
    graph, message, options = GRAPHS[name]

    def events(*, observed: bool) -> list[Any]:
        made = {key: value() if callable(value) else value for key, value in options.items()}
        run = walk(graph, message, observed=observed, **made)
        return [shown(e) for e in run.events if e.kind != "model.delta"]

    assert events(observed=True) == events(observed=False)


def test_the_straight_path_gives_others_their_turn() -> None:
    @node
    async def spin(m: Msg) -> Msg:
        return Msg(n=m.n + 1)

    graph = Graph(
        "g",
        START >> spin,
        spin.when(lambda m: m.n < 5000).limit(5000) >> spin,
        spin.otherwise >> END,
    )

    async def main() -> int:
        ticks = 0

        async def ticker() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(ticker())
        await graph.run(Msg())
        task.cancel()
        return ticks

    assert asyncio.run(main()) >= 9
