"""A sitting of a run in a process of its own, whose spans go to a collector.

python -m tests.telemetry.traced_desk ENDPOINT STORE begin | resume | fork
"""

from __future__ import annotations

import asyncio
import sys

from graphflow import END, START, Agent, Graph, Store, tool
from graphflow.telemetry import OtelSink
from graphflow.testing import ScriptedModel, calls
from tests.conftest import Msg


@tool(effects=["writes"], approval=True)
async def charge(n: int) -> Msg:
    """Charges an amount."""
    return Msg(n=n)


@tool(effects=["reads"])
async def look(n: int) -> Msg:
    """Looks something up."""
    return Msg(n=n * 7)


def desk(sitting: str) -> Graph[Msg, str]:
    """A boss with a clerk, who looks something up, and then charges: that waits for approval."""
    asked = [calls("look", n=6), calls("charge", n=42)] if sitting == "begin" else []
    clerk = Agent(
        "clerk",
        input=Msg,
        output=str,
        tools=[look, charge],
        model=ScriptedModel(*asked, "it is charged"),
    )
    asked = [calls("clerk", n=1)] if sitting == "begin" else []
    boss = Agent(
        "boss", input=Msg, output=str, sub_agents=[clerk], model=ScriptedModel(*asked, "done")
    )
    return Graph("desk", START >> boss >> END)


async def main(endpoint: str, address: str, sitting: str) -> None:
    """Walks one sitting."""
    store = Store.open(address)
    graph = desk(sitting)
    async with graph.subscribe(to=OtelSink(endpoint, service="shop")):
        match sitting:
            case "begin":
                run = await graph.run(Msg(), store=store, id="r")
            case "resume":
                run = await graph.resume("r", store=store, answers={"charge": True})
            case _:
                run = await graph.fork("r", store=store, at="boss > clerk#4", new_id="f")
    print(run.status)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
