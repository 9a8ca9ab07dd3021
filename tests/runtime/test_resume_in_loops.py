"""Runs that go on in the middle of loops in graphs within graphs; and graphs that do not fit, which cost a run nothing."""

from __future__ import annotations

import asyncio

import pytest

from graphflow import END, START, Agent, Context, Failure, Graph, node
from graphflow.errors import Diverged, WalkCancelled
from graphflow.journal.stores.memory import MemoryStore
from graphflow.testing import ScriptedModel, says
from tests.runtime.test_events_of_sittings import Gate


class GatedModel(ScriptedModel):
    """Answers what it is let through with; the others wait."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.answered: list[str] = []

    async def stream(self, request):  # type: ignore[no-untyped-def]
        await self.gate.go()
        text = request.turns[-1].text
        self.answered.append(text)
        self.left.append(says(f"{text}!"))
        async for event in super().stream(request):
            yield event


def shop(model: GatedModel, composer: str = "compose") -> Graph[list[str], list[str]]:
    """Each mail is written by an agent in a loop, in a graph within a graph; what fails is apologised for."""
    writer = Agent("writer", input=str, prompt="{{ text }}")

    @node(calls=[writer])
    async def compose(text: str, ctx: Context) -> str:
        first: str = await ctx.call(writer, text)
        second: str = await ctx.call(writer, first)
        return second

    @node
    async def judge(text: str) -> str | int:
        return len(text) if text.endswith("!!!!") else text

    @node
    async def apologise(failure: Failure) -> str:
        return f"sorry: {failure.error}"

    @node
    async def done(length: int) -> str:
        return "x" * length

    @node
    async def mails(several: list[str]) -> list[str]:
        return several

    @node
    async def together(each: list[str]) -> list[str]:
        return each

    writes = compose.named(composer)
    answer: Graph[str, int] = Graph(
        "answer", START >> writes >> judge, judge[str].limit(5) >> writes, judge[int] >> END
    )
    orders: Graph[str, str] = Graph("orders", START >> answer >> done >> END)
    return Graph(
        "shop",
        START >> mails,
        mails.each >> orders >> together >> END,
        orders[Failure] >> apologise >> together,
        model=model,
    )


@pytest.mark.parametrize("passes", range(9))
def test_no_model_is_asked_twice_and_nothing_fails(passes: int) -> None:
    async def main() -> None:
        gate, store = Gate(passes), MemoryStore()
        model = GatedModel(gate)
        graph = shop(model)
        run = graph.start(["a", "bb"], store=store, id="x")
        if passes < 8:
            await gate.held.wait()
            run.cancel()
            with pytest.raises(WalkCancelled):
                await run
            gate.passes = 9
            run = await graph.resume("x", store=store)
        await run
        assert run.output == ["x" * 5, "x" * 6]
        assert run.failures == []
        assert sorted(model.answered) == sorted(
            text + "!" * n for text in ("a", "bb") for n in range(4)
        )
        assert run.usage.model_calls == 8

    asyncio.run(main())


@pytest.mark.parametrize("best_effort", [False, True])
def test_a_graph_that_does_not_fit_stops_the_run_and_not_a_node_and_the_old_one_still_fits(
    best_effort: bool,
) -> None:
    async def main() -> None:
        gate, store = Gate(3), MemoryStore()
        graph = shop(GatedModel(gate))
        run = graph.start(["a", "bb"], store=store, id="x")
        await gate.held.wait()
        run.cancel()
        await run.settled()
        rows = (await store.header("x")).rows

        gate.passes = 9
        changed = shop(GatedModel(gate), "compose_anew")
        with pytest.raises(Diverged):
            await changed.resume("x", store=store, best_effort=best_effort)
        header = await store.header("x")
        assert header.status == "cancelled", "as it was"
        assert header.rows <= rows + 1, "that somebody tried"
        run = await graph.resume("x", store=store)
        assert run.output == ["x" * 5, "x" * 6]

    asyncio.run(main())
