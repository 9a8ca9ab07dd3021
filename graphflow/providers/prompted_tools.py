"""Tools in words, for models that have none of their own: they answer with JSON that is either a call or the answer."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from graphflow.messages.message import to_json_value
from graphflow.model.reply import fenced_blocks
from graphflow.model.seam import CallDelta, ModelEvent, Request, TextDelta, ToolSpec
from graphflow.model.turns import AssistantTurn, ToolResult, ToolTurn, Turn, UserTurn
from graphflow.providers.wires.demands import cannot
from graphflow.providers.wires.json_object import arguments_of

Json = dict[str, Any]

# The two forms of an answer, as the model reads them and as `read_call_or_answer` reads them back:
#   {"tool": "add", "arguments": {"a": 1, "b": 2}}
#   {"answer": "three"}
_EXPLANATION = 'Call a tool with {"tool": ..., "arguments": {...}} or answer with {"answer": ...}. The tools are:'


def render_tools(tools: tuple[ToolSpec, ...]) -> str:
    """The paragraph that tells a model about its tools; empty if it has none."""
    if not tools:
        return ""
    return "\n".join([_EXPLANATION, *map(_render_tool, tools)])


def _render_tool(tool: ToolSpec) -> str:
    parameters = ", ".join(tool.parameters.get("properties", {}))
    return f"- {tool.name}({parameters}): {tool.description}"


def render_call(name: str, arguments: str) -> str:
    """A call as the model is to write it."""
    value = to_json_value(arguments_of(arguments))
    return json.dumps({"tool": name, "arguments": value})


# -- the schema of an answer -----------------------------------------------------------------------
def schema_of(request: Request, longest: int | None = None) -> Json | None:
    """The schema that the answer must fit: the output's, or one call of a tool or an answer.

    Args:
        request: the question.
        longest: characters of a free answer beside tools, where a grammar has to end it.
    """
    if not request.tools:
        return request.output_schema
    answer = _answer_schema(request, longest)
    definitions: Json = {**answer.pop("$defs", {})}
    forms: list[Json] = []
    for tool in _tools_of_choice(request):
        parameters = _with_own_definitions(tool)
        definitions |= parameters.pop("$defs", {})
        forms.append(_call_schema(tool.name, parameters))
    may_answer = request.settings.tool_choice in (None, "auto", "none")
    if may_answer or not forms:
        forms.append(_object({"answer": answer}))
    schema: Json = {"anyOf": forms}
    if definitions:
        schema["$defs"] = definitions
    return schema


def _answer_schema(request: Request, longest: int | None) -> Json:
    if request.output_schema:
        return dict(request.output_schema)
    if longest is None:
        return {"type": "string"}
    return {"type": "string", "maxLength": longest}


def _tools_of_choice(request: Request) -> list[ToolSpec]:
    """The tools that `tool_choice` leaves to the model."""
    match request.settings.tool_choice:
        case None | "auto" | "required":
            return list(request.tools)
        case "none":
            return []
        case name:
            return [tool for tool in request.tools if tool.name == name]


def _call_schema(name: str, parameters: Json) -> Json:
    arguments = {"additionalProperties": False, **parameters}
    return _object({"tool": {"const": name}, "arguments": arguments})


def _with_own_definitions(tool: ToolSpec) -> Json:
    """The parameters with definitions under names of the tool's own: two tools may mean different things by one name."""
    parameters = dict(tool.parameters)
    definitions = parameters.pop("$defs", None)
    if definitions is None:
        return parameters
    text = json.dumps(parameters)
    defined = json.dumps(definitions)
    for name in definitions:
        reference = f'"#/$defs/{name}"'
        own_reference = f'"#/$defs/{tool.name}.{name}"'
        text = text.replace(reference, own_reference)
        defined = defined.replace(reference, own_reference)
    own: Json = {}
    for name, shape in json.loads(defined).items():
        own[f"{tool.name}.{name}"] = shape
    parameters = dict(json.loads(text))
    parameters["$defs"] = own
    return parameters


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# -- reading it back -------------------------------------------------------------------------------
def read_call_or_answer(text: str, id: str = "call_0") -> ModelEvent:
    """The call that the text spells, or the answer. What is neither is the answer itself."""
    try:
        value = _json_in(text.strip())
    except ValueError:
        return TextDelta(text)  # cut off, or plain words: the agent sees whether they fit
    if not isinstance(value, dict):
        return _answer(value)
    name = value.get("tool")
    if isinstance(name, str):
        arguments = json.dumps(value.get("arguments") or {})
        return CallDelta(0, id=id, name=name, arguments=arguments)
    return _answer(value.get("answer", value))


def _json_in(text: str) -> Any:
    """The JSON of a text, also of one that stands in a Markdown block.

    Raises:
        ValueError: there is none.
    """
    candidates = [text]
    if text.startswith("```"):
        candidates += fenced_blocks(text)
    for candidate in candidates:
        try:
            return from_json(candidate)
        except ValueError:
            continue
    raise ValueError("no JSON")


def _answer(value: object) -> TextDelta:
    return TextDelta(value if isinstance(value, str) else json.dumps(value))


# -- the conversation in words ---------------------------------------------------------------------
def transcript(turns: tuple[Turn, ...], wire: str) -> str:
    """A conversation as one text, for a model that takes no turns. A single question is just its text."""
    only = turns[0] if len(turns) == 1 else None
    if isinstance(only, UserTurn):
        return _user_text(only, wire)
    paragraphs = [_paragraph(turn, wire) for turn in turns]
    paragraphs.insert(0, "The conversation so far:")
    paragraphs.append("Go on as the assistant, with its next turn only.")
    return "\n\n".join(paragraphs)


def _paragraph(turn: Turn, wire: str) -> str:
    match turn:
        case UserTurn():
            return f"User: {_user_text(turn, wire)}"
        case AssistantTurn():
            lines = [turn.text] if turn.text else []
            lines += [render_call(call.name, call.arguments) for call in turn.calls]
            return "Assistant: " + "\n".join(lines)
        case ToolTurn():
            return "\n".join(map(_result_line, turn.results))


def _result_line(result: ToolResult) -> str:
    outcome = "answered" if result.ok else "failed"
    return f"Tool {result.name} {outcome}: {result.text}"


def _user_text(turn: UserTurn, wire: str) -> str:
    for part in turn.parts:
        # A cache mark has none, and says nothing here.
        is_media = not isinstance(part, str) and hasattr(part, "kind")
        if is_media:
            raise cannot(wire, "pictures or files", "use a provider that takes them")
    return turn.text
