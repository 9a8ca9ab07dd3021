"""Demands of a request: what it asks for, and what a wire format has no way to ask."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from graphflow.errors import BadRequest
from graphflow.model.seam import Request
from graphflow.providers.wires.json_object import Json


def cannot(wire: str, what: str, instead: str = "") -> BadRequest:
    """The error for something that a wire format cannot say."""
    advice = instead or "leave it out, or use another provider"
    return BadRequest(f"there is no way to send {what}; {advice}", source=wire)


def hosted_tools(request: Request) -> list[Json]:
    """The provider's own tools, which `extra` asks for."""
    tools = request.settings.extra.get("tools")
    if not isinstance(tools, (list, tuple)):
        return []
    return [tool for tool in tools if isinstance(tool, dict)]


def offers_tools(request: Request) -> bool:
    """Whether a request has any tools, the provider's own included: without any, words about them are refused."""
    return bool(request.tools or hosted_tools(request))


_NOT_GIVEN = (None, (), "")


def refuse(wire: str, request: Request, names: Sequence[str]) -> None:
    """Raises `BadRequest` if the request uses one of these parameters."""
    for name in names:
        value = getattr(request.settings, name)
        if value not in _NOT_GIVEN:
            raise cannot(wire, f"{name}={value!r}")


_FIRST_REASONERS = re.compile(r"(^|[/:])o\d")
_FIRST_GPT_5 = re.compile(r"(^|[/:])gpt-5($|-)")


def effort_of(thinking: bool | int | str, model: str) -> str:
    """A budget in tokens, or yes or no, as the nearest effort (platform.openai.com/docs/guides/reasoning)."""
    if isinstance(thinking, str):
        return thinking
    if thinking is True:
        return "medium"
    if thinking is False:
        return _least_effort(model)
    if thinking <= 2048:
        return "low"
    if thinking <= 8192:
        return "medium"
    return "high"


def _least_effort(model: str) -> str:
    """What comes nearest to no reasoning: "none" came with gpt-5.1; before, the least was to reason a little."""
    if _FIRST_REASONERS.search(model):
        return "low"
    if _FIRST_GPT_5.search(model):
        return "minimal"
    return "none"


def one_at_a_time(wire: str, request: Request) -> None:
    """Raises `BadRequest` where a model cannot be kept from asking for several calls in one turn."""
    if request.tools and request.settings.parallel_calls is False:
        raise cannot(wire, "parallel_calls=False")


def is_bounded(parameters: object, *names: str) -> bool:
    """Whether one of these parameters is a bound; -1 is none, in the words of Ollama."""
    if not isinstance(parameters, Mapping):
        return False
    for name in names:
        value = parameters.get(name)
        if isinstance(value, int) and value > 0:
            return True
    return False
