"""Tools in words, for models that have none of their own: they answer with JSON that is either a call or the answer."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from graphflow.messages.message import to_json_value
from graphflow.model.reply import fenced_blocks
from graphflow.model.seam import CallDelta, ModelEvent, Request, TextDelta, ToolSpec
from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn
from graphflow.providers.wires.wire import arguments_of, cannot

Json = dict[str, Any]


def render_tools(tools: tuple[ToolSpec, ...]) -> str:
    """What the model is told of its tools."""
    if not tools:
        return ""
    lines = [f"- {t.name}({', '.join(t.parameters.get('properties', {}))}): {t.description}" for t in tools]
    return (
        'Call a tool with {"tool": ..., "arguments": {...}} or answer with {"answer": ...}. The tools are:\n'
        + "\n".join(lines)
    )


def render_call(name: str, arguments: str) -> str:
    """A call as the model is to write it."""
    return json.dumps({"tool": name, "arguments": to_json_value(arguments_of(arguments))})


def schema_of(request: Request, longest: int | None = None) -> Json | None:
    """The schema that the answer must fit: the output's, or one call of a tool or an answer.

    Args:
        request: the question.
        longest: characters of a free answer beside tools, where a grammar has to end it.
    """
    if not request.tools:
        return request.output_schema
    free: Json = {"type": "string"} if longest is None else {"type": "string", "maxLength": longest}
    answer = {**(request.output_schema or free)}
    definitions: Json = {**answer.pop("$defs", {})}
    ways: list[Json] = []
    choice = request.settings.tool_choice
    for tool in request.tools if choice != "none" else ():
        if choice not in (None, "auto", "required", tool.name):
            continue
        parameters = _own_definitions(tool)
        definitions |= parameters.pop("$defs", {})
        ways.append(_object({"tool": {"const": tool.name}, "arguments": {"additionalProperties": False, **parameters}}))
    if choice in (None, "auto", "none") or not ways:
        ways.append(_object({"answer": answer}))
    return {"anyOf": ways} | ({"$defs": definitions} if definitions else {})


def _own_definitions(tool: ToolSpec) -> Json:
    """The parameters with definitions under names of the tool's own: two tools may mean different things by one name."""
    if "$defs" not in tool.parameters:
        return {**tool.parameters}
    text = json.dumps({key: value for key, value in tool.parameters.items() if key != "$defs"})
    defined = json.dumps(tool.parameters["$defs"])
    for name in tool.parameters["$defs"]:
        text = text.replace(f'"#/$defs/{name}"', f'"#/$defs/{tool.name}.{name}"')
        defined = defined.replace(f'"#/$defs/{name}"', f'"#/$defs/{tool.name}.{name}"')
    renamed = {f"{tool.name}.{name}": shape for name, shape in json.loads(defined).items()}
    return {**json.loads(text), "$defs": renamed}


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def read_call_or_answer(text: str, id: str = "call_0") -> ModelEvent:
    """The call that the text spells, or the answer. What is neither is the answer itself."""
    stripped = text.strip()
    said: Any = None
    for spelled in (stripped, *(fenced_blocks(stripped) if stripped.startswith("```") else ())):
        try:
            said = from_json(spelled)
            break
        except ValueError:
            continue
    else:
        return TextDelta(text)  # cut off, or plain words; the agent sees whether it fits
    if isinstance(said, dict) and isinstance(said.get("tool"), str):
        return CallDelta(0, id=id, name=said["tool"], arguments=json.dumps(said.get("arguments") or {}))
    answer = said.get("answer", said) if isinstance(said, dict) else said
    return TextDelta(answer if isinstance(answer, str) else json.dumps(answer))


def transcript(turns: tuple[Turn, ...], wire: str) -> str:
    """A conversation as one text, for a model that takes no turns. A single question is just its text."""
    if len(turns) == 1 and isinstance(turns[0], UserTurn):
        return _said(turns[0], wire)
    told = [_told(turn, wire) for turn in turns]
    return "\n\n".join(["The conversation so far:", *told, "Go on as the assistant, with its next turn only."])


def _told(turn: Turn, wire: str) -> str:
    match turn:
        case UserTurn():
            return f"User: {_said(turn, wire)}"
        case AssistantTurn():
            calls = [render_call(call.name, call.arguments) for call in turn.calls]
            return "Assistant: " + "\n".join([*([turn.text] if turn.text else []), *calls])
        case ToolTurn():
            return "\n".join(f"Tool {r.name} {'answered' if r.ok else 'failed'}: {r.text}" for r in turn.results)


def _said(turn: UserTurn, wire: str) -> str:
    if any(not isinstance(part, str) and hasattr(part, "kind") for part in turn.parts):
        raise cannot(wire, "pictures or files", "use a provider that takes them")
    return turn.text
