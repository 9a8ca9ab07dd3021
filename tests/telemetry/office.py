"""A desk of agents, graphs and tools whose models are scripted: what the tests of telemetry listen to."""

from __future__ import annotations

from graphflow import END, START, Agent, Graph, node, tool
from graphflow.testing import ScriptedModel, calls
from tests.conftest import Msg


@node
async def up(m: Msg) -> Msg:
    return Msg(n=m.n + 1, tag=m.tag)


@node
async def twice(m: Msg) -> Msg:
    return Msg(n=m.n * 2, tag=m.tag)


chain = Graph("chain", START >> up >> twice >> END)
inner = Graph("inner", START >> up >> twice >> END)
nested = Graph("nested", START >> up.named("first") >> inner >> twice.named("last") >> END)


@node
async def down(m: Msg) -> Msg:
    return Msg(n=m.n - 1, tag=m.tag)


@node
async def is_done(m: Msg) -> Msg:
    return m


loop = Graph(
    "loop",
    START >> down >> is_done,
    is_done.when(lambda m: m.n > 0).limit(100_000) >> down,
    is_done.otherwise >> END,
)


@tool(effects=["reads"])
async def look(n: int) -> Msg:
    """Looks something up."""
    return Msg(n=n * 7)


def desk(*, secret: str = "") -> Graph[Msg, str]:
    """A boss with a researcher below it, who has a tool: three models, two frames."""
    researcher = Agent(
        "researcher",
        input=Msg,
        output=str,
        tools=[look],
        model=ScriptedModel(calls("look", n=6), f"it is 42 {secret}"),
    )
    boss = Agent(
        "boss",
        input=Msg,
        output=str,
        sub_agents=[researcher],
        model=ScriptedModel(calls("researcher", n=1), f"the answer is 42 {secret}"),
    )
    return Graph("desk", START >> boss >> END)
