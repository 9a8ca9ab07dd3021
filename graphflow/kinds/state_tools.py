"""The tools by which an agent writes states: `Agent(adds=[notes], sets=[plan])` gives it `add_to_notes` and `set_plan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphflow.declaration.context import Context
from graphflow.declaration.options import NodeOptions
from graphflow.kinds.tool import Tool
from graphflow.messages.state import AnyState, State, WriteKind

AnyTool = Tool[Any, Any]


def state_tools(options: NodeOptions) -> list[AnyTool]:
    """The tools for the states that an agent declares to write."""
    tools: list[AnyTool] = []
    for state in _states(options.get("adds")):
        if state.merge is not None:  # else it is refused with the other options
            tools.append(_tool_of(state, "add", _adding))
    for state in _states(options.get("sets")):
        tools.append(_tool_of(state, "set", _setting))
    return tools


def _tool_of(state: AnyState, kind: WriteKind, make: Callable[[AnyState], AnyTool]) -> AnyTool:
    """The tool of a state. All agents have the same one: two of one name would be two nodes."""
    tool = state.tools.get(kind)
    if not isinstance(tool, Tool):
        tool = state.tools[kind] = make(state)
    return tool


def _states(given: object) -> list[AnyState]:
    """The states of an option. What is none is refused with the other options."""
    if not isinstance(given, (list, tuple)):
        return []
    return [state for state in given if isinstance(state, State)]


def _adding(state: AnyState) -> AnyTool:
    async def add(value: object, ctx: Context) -> str:
        ctx.add(state, value)
        return f"added to {state.name}"

    _annotate(add, state)
    return Tool(
        add,
        name=f"add_to_{state.name}",
        description=f"Adds to the {state.name}.",
        effects=[],
        adds=[state],
    )


def _setting(state: AnyState) -> AnyTool:
    async def replace(value: object, ctx: Context) -> str:
        ctx.set(state, value)
        return f"{state.name} is set"

    _annotate(replace, state)
    return Tool(
        replace,
        name=f"set_{state.name}",
        description=f"Replaces the {state.name}.",
        effects=[],
        sets=[state],
    )


def _annotate(function: Callable[..., object], state: AnyState) -> None:
    """Says which type of value a tool takes: its schema is made of that."""
    function.__annotations__ = {
        "value": state.type,
        "ctx": Context,
        "return": str,
    }
