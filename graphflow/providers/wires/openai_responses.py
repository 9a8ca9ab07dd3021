"""OpenAI Responses.

Reference: https://platform.openai.com/docs/api-reference/responses
The terminal event repeats all output and is the truth; deltas are for display. Items go back with both of their ids, and
reasoning goes back, encrypted, before the call it led to.
"""

from __future__ import annotations

from graphflow.messages.media import Media
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import (
    AssistantTurn,
    Block,
    CacheMark,
    Part,
    TextPart,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
)
from graphflow.providers.wires.demands import (
    cannot,
    effort_of,
    hosted_tools,
    is_bounded,
    offers_tools,
    refuse,
)
from graphflow.providers.wires.json_object import Json, arguments_of, present
from graphflow.providers.wires.openai_chat import REASONS
from graphflow.providers.wires.responses_reply import NAME, ResponsesParser
from graphflow.providers.wires.wire import Dialect, Wire

LEAST_TOKENS = 16
"""Tokens of an answer that the API takes as a bound at least (platform.openai.com/docs/api-reference/responses/create)."""


# -- rendering -------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A Responses request without its input. Nothing is stored at the provider unless `extra` asks for it."""
    settings = request.settings
    refuse(NAME, request, ("stop", "seed", "top_k", "presence_penalty", "frequency_penalty"))
    if dialect.lean:
        refuse("ChatGPT's backend", request, ("temperature", "top_p", "max_tokens"))
    # Reasoning goes back encrypted, since nothing is stored; models that do not reason refuse to hear of it.
    reasons = REASONS.search(model) is not None
    body: Json = {"model": model, "stream": stream}
    include: list[str] = []
    if "previous_response_id" not in settings.extra:
        body["store"] = False
        if dialect.lean or reasons:  # only they know encrypted reasoning
            include.append("reasoning.encrypted_content")
    max_tokens = settings.max_tokens
    if request.top_logprobs:
        include.append("message.output_text.logprobs")
        body["top_logprobs"] = request.top_logprobs
        max_tokens = max(LEAST_TOKENS, max_tokens or LEAST_TOKENS)
    if include:
        body["include"] = include
    body |= _render_instructions(request, dialect)
    body |= _render_tool_fields(request)
    body |= _render_format(request, dialect)
    if settings.thinking is not None and (reasons or settings.thinking is not False):
        body["reasoning"] = {"effort": effort_of(settings.thinking, model), "summary": "auto"}
    return body | present(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_output_tokens=max_tokens,
    )


def _render_instructions(request: Request, dialect: Dialect) -> Json:
    if isinstance(request.system, str) and request.system:
        return {"instructions": request.system}
    if dialect.lean:
        return {"instructions": "You are a helpful assistant."}
    return {}


def _render_tool_fields(request: Request) -> Json:
    """The tools, and how they may be called; without any, the API refuses to hear of calls."""
    settings = request.settings
    fields: Json = {}
    if request.tools:
        fields["tools"] = [render_tool(tool) for tool in request.tools]
    if not offers_tools(request):
        return fields
    if settings.tool_choice is not None:
        fields["tool_choice"] = render_tool_choice(request)
    if settings.parallel_calls is not None:
        fields["parallel_tool_calls"] = settings.parallel_calls
    return fields


def _render_format(request: Request, dialect: Dialect) -> Json:
    if request.output_schema is not None:
        shape: Json = {
            "type": "json_schema",
            "name": request.output_name,
            "schema": request.output_schema,
        }
        if dialect.strict:
            shape["strict"] = True
        return {"text": {"format": shape}}
    if request.json_mode:
        return {"text": {"format": {"type": "json_object"}}}
    return {}


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
    ours = [tool.name for tool in request.tools]
    hosted = [tool.get("type") for tool in hosted_tools(request)]
    if choice in hosted and choice not in ours:
        return {"type": choice}
    return {"type": "function", "name": choice}


def render_system(request: Request, dialect: Dialect) -> list[Json]:
    """Standing instructions of several parts as messages; one text travels as `instructions`."""
    if isinstance(request.system, str):
        return []
    return [
        {"role": "developer", "content": text} for text in request.system if isinstance(text, str)
    ]


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as items."""
    match turn:
        case UserTurn():
            return [{"role": "user", "content": render_content(turn.content)}]
        case AssistantTurn():
            is_own = turn.wire == NAME
            is_lost = is_own and any(map(_is_lost, turn.parts))
            items = [_item(part, is_own, is_lost) for part in turn.in_order]
            return [item for item in items if item]
        case ToolTurn():
            return [_output(result) for result in turn.results]


def _output(result: ToolResult) -> Json:
    return {
        "type": "function_call_output",
        "call_id": result.id,
        "output": render_content(result.content),
    }


def _is_lost(part: Part) -> bool:
    """Whether it is reasoning that cannot go back: it came without its encrypted form, and nobody has stored it."""
    if type(part) is not Thinking or not part.keep:
        return False
    return not (part.keep.get("encrypted_content") or part.keep.get("stored"))


def _item(part: Part, is_own: bool, is_lost: bool) -> Json | None:
    """One part as an item; None if there is nothing to send of it.

    Where reasoning of the turn is lost, what followed it goes back without the ids that point to it.
    """
    keep = dict(part.keep) if is_own else {}
    keep.pop("stored", None)
    if is_lost and type(part) is not Thinking:
        keep.pop("id", None)
    match part:
        case TextPart():
            return _message(part.text, keep) if part.text else None
        case ToolCall():
            return _call(part, keep)
        case Thinking():
            may_go_back = keep and not _is_lost(part)
            return {"type": "reasoning", "summary": [], **keep} if may_go_back else None
        case Block():
            return dict(keep["item"]) if keep else None


def _call(call: ToolCall, keep: Json) -> Json:
    arguments = call.arguments if arguments_of(call.arguments) else "{}"
    item: Json = {
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
    }
    return item | present(id=keep.get("id"))


def _message(text: str, keep: Json) -> Json:
    if not keep.get("id"):
        return {"role": "assistant", "content": text}
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        **keep,
        "content": content,
    }


def render_content(content: str | tuple[str | Media | CacheMark, ...]) -> str | list[Json]:
    """The content of a user's message, or of a tool's result: text, or parts."""
    if isinstance(content, str):
        return content
    return [_render_part(part) for part in content if not isinstance(part, CacheMark)]


def _render_part(part: str | Media) -> Json:
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    return render_media(part)


def render_media(media: Media) -> Json:
    """A picture or document."""
    match media.kind:
        case "image":
            image: Json = {"type": "input_image", "detail": media.detail or "auto"}
            if media.file_id:
                image["file_id"] = media.file_id
            else:
                image["image_url"] = media.data_url
            return image
        case "document" if media.url:
            return {"type": "input_file", "file_url": media.url}
        case "document" if media.file_id:
            return {"type": "input_file", "file_id": media.file_id}
        case "document":
            return {
                "type": "input_file",
                "filename": media.name or "document",
                "file_data": media.data_url,
            }
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
    limits=lambda extra: is_bounded(extra, "max_output_tokens"),
)
