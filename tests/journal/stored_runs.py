"""The graph whose runs lie in `tests/data/runs`, written once by the version that had the first format of records."""

from __future__ import annotations

from typing import Any

from graphflow import END, START, Agent, Context, Failure, Graph, Human, SubAgent, node, tool
from graphflow.events import Status
from graphflow.journal.store import Store
from graphflow.model.seam import Request
from graphflow.model.turns import ToolTurn
from graphflow.testing import ComputedModel, both, calls, gives
from tests.conftest import Msg


@tool(effects=["writes"])
async def book(n: int, ctx: Context) -> str:
    """Books a number."""
    ctx.emit("booked", n)
    await ctx.once("stamp", lambda: n + 1)
    return f"booked {n}"


@tool(effects=["reads"], cache=True)
async def look(n: int, ctx: Context) -> int:
    """Looks something up."""
    ctx.keep("found.txt", "x" * 70_000)
    return n * 2


def reply(request: Request) -> object:
    """Asks its tools and its clerk once, then answers."""
    if isinstance(request.turns[-1], ToolTurn) or not request.tools:
        return gives(Msg(n=7))
    return both(calls("book", n=1), calls("look", n=2), calls("clerk", n=3))


@node(effects=[])
async def split(m: Msg) -> list[Msg]:
    return [m, Msg(n=m.n + 1)]


@node(effects=[])
async def fragile(m: Msg) -> Msg:
    if m.n % 2:
        raise ValueError(f"odd {m.n}")
    return m


@node(effects=[])
async def mend(failure: Failure) -> Msg:
    return Msg(n=0)


@node(effects=[])
async def collect(ms: list[Msg]) -> Msg:
    return Msg(n=sum(m.n for m in ms))


def desk() -> Graph[Any, Any]:
    """Forks, failures, an agent with tools and a sub-agent, and a person at the end."""
    model = ComputedModel(reply)
    clerk = Agent("clerk", input=Msg, output=Msg, model=model)
    agent = Agent(
        "agent",
        input=Msg,
        output=Msg,
        tools=[book, look],
        sub_agents=[SubAgent(clerk)],
        model=model,
    )
    person: Any = Human("person", input=Msg, output=Msg)
    return Graph(
        "desk",
        START >> split,
        split.each >> fragile,
        fragile[Failure] >> mend,
        (fragile, mend) >> collect >> agent >> person >> END,
        input=Msg,
    )


async def begin_all(address: str) -> list[Status]:
    """Writes a run that has ended and one that waits."""
    async with Store.open(address) as store:
        done = await desk().run(Msg(n=4), store=store, id="done")
        await done.answer("person", {"n": 9})
        done = await desk().resume("done", store=store)
        waiting = await desk().run(Msg(n=4), store=store, id="waiting")
        return [done.status, waiting.status]
