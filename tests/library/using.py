"""What the tests of the tools share: a tool asked along the way a model asks it, and an agent that has it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from graphflow import END, START, Agent, Graph, Tool
from graphflow.errors import ToolError
from graphflow.kinds.tool import result_text
from graphflow.model.turns import ToolTurn
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.toolbox import within_fences


def use(tool: Tool[Any, Any], **arguments: Any) -> Any:
    """The answer to validated arguments, without a walk."""
    checked = tool.read(json.loads(json.dumps(arguments)))

    async def main() -> Any:
        return await tool(**{name: getattr(checked, name) for name in type(checked).model_fields})

    return asyncio.run(main())


def refusal(tool: Tool[Any, Any], **arguments: Any) -> str:
    """The text of the error that a use of it ends with."""
    try:
        answer = use(tool, **arguments)
    except ToolError as error:
        return str(error)
    raise AssertionError(f"{tool.name} answered {answer!r}")


def asked(tools: Any, name: str, **arguments: Any) -> tuple[bool, str]:
    """Whether a call by a model went well, and what the model was told: through an agent, in a walk."""
    tools = tools if isinstance(tools, (tuple, list)) else (tools,)
    model = ScriptedModel(calls(name, **arguments), "done")
    agent = Agent("user", input=str, tools=tools)
    graph = Graph("g", START >> agent >> END, untrusted="warn")
    run = walk(graph, "go", model=model)
    assert run.output == "done", run.error
    offered = {spec.name: spec for spec in model.requests[0].tools}
    assert offered[name].description
    assert all(
        "description" in field for field in offered[name].parameters.get("properties", {}).values()
    )
    turn = model.requests[1].turns[-1]
    assert isinstance(turn, ToolTurn)
    [result] = turn.results
    assert result_text(name, result.content)
    if result.ok and named(tuple(tools))[name].untrusted:
        return result.ok, within_fences(result.text)
    return result.ok, result.text


def named(tools: tuple[Tool[Any, Any], ...]) -> dict[str, Tool[Any, Any]]:
    return {tool.name: tool for tool in tools}
