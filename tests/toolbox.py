"""What the tests of tools share: an agent with tools, walked to its end, and what its model was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from graphflow import END, START, Agent, Graph, Run
from graphflow.model.turns import ToolResult, ToolTurn
from graphflow.testing import Scripted, ScriptedModel
from tests.conftest import walk


def wrote(*pairs: tuple[str, str]) -> Scripted:
    """A turn with these calls, arguments letter by letter as the model wrote them."""
    return Scripted(calls=list(pairs))


def results_of(model: ScriptedModel) -> list[tuple[ToolResult, ...]]:
    """The results that the model was shown, turn by turn."""
    last = model.requests[-1].turns
    return [turn.results for turn in last if isinstance(turn, ToolTurn)]


def within_fences(text: str) -> str:
    """What stands between the fences of an answer from outside; a text without fences as it is."""
    opening, *rest = text.split("\n")
    if not opening.startswith("<untrusted "):
        return text
    _, *lines, closing = rest
    assert closing == opening.replace("<", "</")
    return "\n".join(lines)


def inside(result: ToolResult) -> ToolResult:
    """A result without its fences."""
    if isinstance(result.content, str):
        return replace(result, content=within_fences(result.content))
    parts = [within_fences(part) if isinstance(part, str) else part for part in result.content]
    return replace(result, content=tuple(parts))


def ask(
    tools: Sequence[Any],
    *replies: Any,
    observed: bool = False,
    agent: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Run[Any], list[ToolResult]]:
    """The run of an agent that makes these turns and then ends, and all results in the order of its calls."""
    model = ScriptedModel(*replies, "end")
    graph = Graph(
        "desk", START >> Agent("agent", input=str, tools=list(tools), **(agent or {})) >> END
    )
    run = walk(graph, "go", model=model, observed=observed, **options)
    assert run.output == "end", run.error
    model.done()
    return run, [result for turn in results_of(model) for result in turn]


def told(tool: Any, arguments: str, *, observed: bool = False, **options: Any) -> ToolResult:
    """The result of one call with these arguments."""
    _, [result] = ask([tool], wrote((tool.name, arguments)), observed=observed, **options)
    return result
