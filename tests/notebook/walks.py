"""A graph with parallel branches, a tool and a sub-agent, and the script that its models follow."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, Run, ToolError, node, tool
from graphflow.testing import ScriptedModel, calls, gives, says


class Question(BaseModel, frozen=True):
    text: str


class Finding(BaseModel, frozen=True):
    claim: str


@tool
async def search(query: str) -> list[str]:
    """Search the handbook.

    Args:
        query: words to look for.
    """
    await asyncio.sleep(0.01)
    if query == "nothing":
        raise ToolError("nothing of the kind")
    return [f"All about {query}."]


checker = Agent(
    "checker",
    input=Question,
    output=str,
    tools=[search],
    description="Checks.",
    prompt="Check: {{ text }}",
)
planner = Agent("planner", input=Question, output=list[Question], prompt="Split: {{ text }}")
researcher = Agent(
    "researcher",
    input=Question,
    output=Finding,
    tools=[search],
    sub_agents=[checker],
    prompt="Answer: {{ text }}",
)


@node
async def merge(findings: list[Finding]) -> str:
    return " ".join(finding.claim for finding in findings)


desk: Graph[Any, Any] = Graph("desk", START >> planner, planner.each >> researcher >> merge >> END)


def script(wait_s: float = 0.0) -> ScriptedModel:
    return ScriptedModel(
        gives([{"text": "snow"}, {"text": "ice"}]),
        calls("search", query="snow", when="Answer: snow"),
        calls("checker", text="ice?", when="Answer: ice"),
        says('{"claim": "Snow is cold."}', when="All about snow", wait_s=wait_s),
        calls("search", query="nothing", when="Check: ice?"),
        says("it is solid", when="nothing of the kind", wait_s=wait_s),
        gives({"claim": "Ice is hard."}, when="it is solid"),
    )


def walked(*, observed: bool = True) -> Run[Any]:
    """A run of the desk, to its end."""

    async def main() -> Run[Any]:
        if not observed:
            return await desk.run(Question(text="winter"), model=script())
        return await desk.start(Question(text="winter"), model=script())

    return asyncio.run(main())
