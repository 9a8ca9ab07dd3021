"""The tools by which an agent writes states: `Agent(adds=[notes], sets=[plan])` gives it `add_to_notes` and `set_plan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphflow.declaration.context import Context
from graphflow.declaration.options import NodeOptions
from graphflow.errors import DeclarationError
from graphflow.kinds.tool import Tool
from graphflow.messages.state import AnyState, State

AnyTool = Tool[Any, Any]


def state_tools(agent: str, options: NodeOptions) -> list[AnyTool]:
    """The tools for the states that an agent declares to write.

    Raises:
        DeclarationError: one of them cannot be added to.
    """
    tools: list[AnyTool] = []
    for state in _states(options.get("adds")):
        _check_merge(agent, state)
        tools.append(_adding(state))
    for state in _states(options.get("sets")):
        tools.append(_setting(state))
    return tools


def _states(given: object) -> list[AnyState]:
    """The states of an option. What is none is refused with the other options."""
    if not isinstance(given, (list, tuple)):
        return []
    return [state for state in given if isinstance(state, State)]


def _check_merge(agent: str, state: AnyState) -> None:
    if state.merge is not None:
        return
    raise DeclarationError(
        f"agent {agent!r} adds to state {state.name!r}, which has no merge; give it State(..., merge=...)"
    )


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
