"""The straight path and the general one write the same journal."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import END, START, Agent, Failure, Graph, LimitReached, Limits, node, tool
from graphflow.events import Event
from graphflow.testing import ScriptedModel, calls
from tests.conftest import A, Msg, walk


@node
async def up(m: Msg) -> Msg:
    return Msg(n=m.n + 1)


@node
def threaded(m: Msg) -> Msg:
    return m


@node(retry=2)
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


inner = Graph("inner", START >> up >> up.named("up2") >> END)
chat = Graph("chat", START >> Agent("a", tools=[look], retry=1) >> END)

GRAPHS: dict[str, tuple[Graph[Any, Any], Any, dict[str, Any]]] = {
    "chain": (Graph("g", START >> up >> up.named("b") >> threaded >> END), Msg(), {}),
    "loop": (Graph("g", START >> up >> judge, judge[Msg].limit(9) >> up, judge[A] >> END), Msg(), {}),
    "laps used up": (Graph("g", START >> up >> judge, judge[Msg].limit(2) >> up, judge[A] >> END), Msg(), {}),
    "laps taken over": (
        Graph(
            "g", START >> up >> judge, judge[Msg].limit(2) >> up, judge[A] >> END, judge[LimitReached] >> give_up >> END
        ),
        Msg(),
        {},
    ),
    "frames": (Graph("g", START >> up >> inner >> up.named("c") >> END), Msg(), {}),
    "failing": (Graph("g", START >> up >> flaky >> END), Msg(), {}),
    "mended": (Graph("g", START >> flaky, flaky >> END, flaky[Failure] >> mend >> END), Msg(), {}),
    "wrong type": (Graph("g", START >> up >> liar >> END), Msg(), {}),
    "steps": (Graph("g", START >> up >> inner >> up.named("c") >> END), Msg(), {"limits": Limits(steps=3)}),
    "agent": (chat, "go", {"model": lambda: ScriptedModel(calls("look", q="x"), "done")}),
    "guards": (Graph("g", START >> up, up.when(lambda m: m.n > 5) >> END, up.otherwise >> inner >> END), Msg(), {}),
}


def facts(name: str, *, plain: bool) -> list[Any]:
    graph, message, options = GRAPHS[name]
    made = {key: value() if callable(value) else value for key, value in options.items()}
    run = walk(graph, message, plain=plain, **made)
    return [(run.status, run.output, repr(run.error), run.usage.steps), *map(shown, run.facts)]


def shown(event: Event) -> Any:
    hidden = ("at", "started")
    return (event.kind, *(repr(getattr(event, f)) for f in type(event).__dataclass_fields__ if f not in hidden))


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
    import asyncio

    @node
    async def spin(m: Msg) -> Msg:
        return Msg(n=m.n + 1)

    graph = Graph("g", START >> spin, spin.when(lambda m: m.n < 5000).limit(5000) >> spin, spin.otherwise >> END)

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
