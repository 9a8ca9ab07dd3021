"""OpenAI Responses.

Reference: https://platform.openai.com/docs/api-reference/responses
The terminal event repeats all output and is the truth; deltas are for display. Items go back with both of their ids, and
reasoning goes back, encrypted, before the call it led to.
"""

from __future__ import annotations

from graphflow.messages.media import Media
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import Block, CacheMark, Part, TextPart, Thinking, ToolCall, Turn
from graphflow.providers.wires.openai_chat import REASONS
from graphflow.providers.wires.responses_reply import NAME, ResponsesParser
from graphflow.providers.wires.wire import (
    AssistantTurn,
    Dialect,
    Json,
    ToolTurn,
    UserTurn,
    Wire,
    arguments_of,
    bounded,
    cannot,
    effort_of,
    hosted_tools,
    present,
    refuse,
)

LEAST = 16
"""Tokens of an answer that the API takes as a bound at least (platform.openai.com/docs/api-reference/responses/create)."""


# -- rendering -------------------------------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A Responses request without its input. Nothing is stored at the provider unless `extra` asks for it."""
    refuse(NAME, request, ("stop", "seed", "top_k", "presence_penalty", "frequency_penalty"))
    if dialect.lean:
        refuse("ChatGPT's backend", request, ("temperature", "top_p", "max_tokens"))
    body: Json = {"model": model, "stream": stream}
    if "previous_response_id" not in request.settings.extra:
        body["store"] = False
        if dialect.lean or REASONS.search(model):  # only they know encrypted reasoning
            body["include"] = ["reasoning.encrypted_content"]
    if request.top_logprobs:
        body["include"] = [*body.get("include", ()), "message.output_text.logprobs"]
        body["top_logprobs"] = request.top_logprobs
    if isinstance(request.system, str) and request.system:
        body["instructions"] = request.system
    elif dialect.lean:
        body["instructions"] = "You are a helpful assistant."
    if request.tools:
        body["tools"] = [render_tool(tool) for tool in request.tools]
    if request.settings.tool_choice is not None and (request.tools or hosted_tools(request)):
        body["tool_choice"] = render_tool_choice(request)
    if request.output_schema is not None:
        shape = {"type": "json_schema", "name": request.output_name, "schema": request.output_schema}
        body["text"] = {"format": shape | present(strict=dialect.strict or None)}
    elif request.json_mode:
        body["text"] = {"format": {"type": "json_object"}}
    if request.settings.thinking is not None and (request.settings.thinking is not False or REASONS.search(model)):
        body["reasoning"] = {"effort": effort_of(request.settings.thinking, model), "summary": "auto"}
    return body | present(
        temperature=request.settings.temperature,
        top_p=request.settings.top_p,
        max_output_tokens=request.settings.max_tokens
        if not request.top_logprobs
        else max(LEAST, request.settings.max_tokens or LEAST),
        parallel_tool_calls=request.settings.parallel_calls if request.tools or hosted_tools(request) else None,
    )


def render_tool(tool: ToolSpec) -> Json:
    """One tool, flat."""
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": bool(tool.strict),  # absent would mean true here, unlike in chat completions
    }


def render_tool_choice(request: Request) -> str | Json:
    """Which tool it is to call: one of ours by its name, one of OpenAI's own by its type."""
    choice = request.settings.tool_choice or "auto"
    if choice in ("auto", "none", "required"):
        return choice
    ours = any(tool.name == choice for tool in request.tools)
    hosted = any(tool.get("type") == choice for tool in hosted_tools(request))
    return {"type": choice} if hosted and not ours else {"type": "function", "name": choice}


def render_system(request: Request, dialect: Dialect) -> list[Json]:
    """Standing instructions of several parts as messages; one text travels as `instructions`."""
    if isinstance(request.system, str):
        return []
    return [{"role": "developer", "content": text} for text in request.system if isinstance(text, str)]


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as items."""
    match turn:
        case UserTurn():
            content = turn.content if isinstance(turn.content, str) else render_content(turn.content)
            return [{"role": "user", "content": content}]
        case AssistantTurn():
            own = turn.wire == NAME
            lost = own and any(_is_lost(part) for part in turn.parts)
            return [item for part in turn.in_order if (item := _item(part, own, lost))]
        case ToolTurn():
            return [
                {
                    "type": "function_call_output",
                    "call_id": result.id,
                    "output": result.content if isinstance(result.content, str) else render_content(result.content),
                }
                for result in turn.results
            ]


def _is_lost(part: Part) -> bool:
    """Whether it is reasoning that cannot go back: it came without its encrypted form, and nobody has stored it."""
    return type(part) is Thinking and bool(part.keep) and not (part.keep.get("encrypted_content") or _stored(part))


def _stored(part: Part) -> bool:
    return bool(part.keep.get("stored"))


def _item(part: Part, own: bool, lost: bool) -> Json | None:
    """One part as an item. Where reasoning is lost, what followed it goes back without the ids that point to it."""
    keep = {name: value for name, value in part.keep.items() if name != "stored"} if own else {}
    if lost and type(part) is not Thinking:
        keep.pop("id", None)
    match part:
        case TextPart():
            if not part.text:
                return None
            if not keep.get("id"):
                return {"role": "assistant", "content": part.text}
            content = [{"type": "output_text", "text": part.text, "annotations": []}]
            return {"type": "message", "role": "assistant", "status": "completed", **keep, "content": content}
        case Thinking():
            return {"type": "reasoning", "summary": [], **keep} if keep and not _is_lost(part) else None
        case ToolCall():
            arguments = part.arguments if arguments_of(part.arguments) else "{}"
            call = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": arguments}
            return call | present(id=keep.get("id"))
        case Block():
            return dict(keep["item"]) if keep else None


def render_content(content: tuple[str | Media | CacheMark, ...]) -> list[Json]:
    """The parts of a user's message, or of a tool's result."""
    parts = [part for part in content if not isinstance(part, CacheMark)]
    return [{"type": "input_text", "text": part} if isinstance(part, str) else render_media(part) for part in parts]


def render_media(media: Media) -> Json:
    """A picture or document."""
    match media.kind:
        case "image":
            where = {"file_id": media.file_id} if media.file_id else {"image_url": media.data_url}
            return {"type": "input_image", "detail": media.detail or "auto"} | where
        case "document" if media.url:
            return {"type": "input_file", "file_url": media.url}
        case "document" if media.file_id:
            return {"type": "input_file", "file_id": media.file_id}
        case "document":
            return {"type": "input_file", "filename": media.name or "document", "file_data": media.data_url}
        case _:
            raise cannot(NAME, media.kind, "use openai: (chat completions)")


WIRE = Wire(
    name=NAME,
    turns="input",
    framing="sse",
    path=lambda model, stream: "/responses",
    render_head=render_head,
    render_system=render_system,
    render_turn=render_turn,
    parser=ResponsesParser,
    limits=lambda extra: bounded(extra, "max_output_tokens"),
)
