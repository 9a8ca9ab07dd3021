"""OpenAI chat completions, and its dialects.

Reference: https://platform.openai.com/docs/api-reference/chat
Dialects differ by `Dialect` alone: Groq (console.groq.com/docs/api-reference), Mistral (docs.mistral.ai/api), DeepSeek
(api-docs.deepseek.com), OpenRouter (openrouter.ai/docs), xAI, Together, vLLM, llama.cpp, LM Studio.
"""

from __future__ import annotations

import hashlib
import re

from graphflow.errors import BadRequest
from graphflow.messages.media import Media
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import (
    AssistantTurn,
    CacheMark,
    Thinking,
    ToolCall,
    ToolTurn,
    Turn,
    UserTurn,
)
from graphflow.providers.wires.chat_reply import NAME, ChatParser
from graphflow.providers.wires.demands import cannot, effort_of, is_bounded, offers_tools, refuse
from graphflow.providers.wires.json_object import Json, arguments_of, present
from graphflow.providers.wires.wire import Dialect, Wire

AUDIO = frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/mpeg", "audio/mp3"})
"""The sounds that OpenAI takes: wav and mp3."""
AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}
"""What the API calls a format, where a media type calls it otherwise."""
WITHOUT_TOP_K = (NAME, "groq", "mistral")
"""Dialects that refuse the parameter."""
BRIDGE: Json = {"role": "assistant", "content": "OK"}
"""What stands between tool results and a user's message, where a dialect wants an assistant's there."""
REASONS = re.compile(r"(^|[/:])(o\d|gpt-[5-9]|codex)")
"""Names of OpenAI's models that reason, fine-tuned ones (`ft:o4-mini:...`) among them."""


def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A chat completion request without its messages."""
    if dialect.name in WITHOUT_TOP_K:
        refuse(NAME, request, ("top_k",))
    settings = request.settings
    body: Json = {"model": model, "stream": stream}
    if stream and dialect.stream_usage:
        body["stream_options"] = {"include_usage": True}
    body |= _render_tool_fields(request, dialect)
    body |= _render_format(request, dialect)
    if request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if settings.thinking is not None:
        body |= render_thinking(settings.thinking, model, dialect)
    body |= present(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        presence_penalty=settings.presence_penalty,
        frequency_penalty=settings.frequency_penalty,
        stop=list(settings.stop) or None,
    )
    if settings.max_tokens is not None:
        body[dialect.max_tokens] = settings.max_tokens
    if settings.seed is not None:
        body[dialect.seed] = settings.seed
    return body


def _render_tool_fields(request: Request, dialect: Dialect) -> Json:
    """The tools, and how they may be called; without any, the API refuses to hear of calls."""
    fields: Json = {}
    if request.tools:
        fields["tools"] = [render_tool(tool, dialect) for tool in request.tools]
    if not offers_tools(request):
        return fields
    settings = request.settings
    if settings.tool_choice is not None:
        fields["tool_choice"] = render_tool_choice(settings.tool_choice, dialect)
    if settings.parallel_calls is not None:
        fields["parallel_tool_calls"] = settings.parallel_calls
    return fields


def _render_format(request: Request, dialect: Dialect) -> Json:
    """The form of the answer; a dialect that takes no schema is asked for any JSON object."""
    schema = request.output_schema
    if schema is not None and dialect.schema:
        shape: Json = {"name": request.output_name, "schema": schema}
        if dialect.strict:
            shape["strict"] = True
        return {"response_format": {"type": "json_schema", "json_schema": shape}}
    if request.json_mode or schema is not None:
        return {"response_format": {"type": "json_object"}}
    return {}


def render_thinking(thinking: bool | int | str, model: str, dialect: Dialect) -> Json:
    """How much a model reasons, in the dialect's words."""
    is_off = thinking is False or thinking == "none"
    match dialect.effort:
        case "reasoning_effort":
            refuses_the_word = dialect.name == NAME and not REASONS.search(model)
            if is_off and refuses_the_word:  # it does not reason anyway
                return {}
            return {"reasoning_effort": effort_of(thinking, model)}
        case "high or none":  # docs.mistral.ai/capabilities/reasoning
            is_least = is_off or thinking == "minimal"
            return {"reasoning_effort": "none" if is_least else "high"}
        case "type":  # api-docs.deepseek.com/guides/thinking_mode
            return {"thinking": {"type": "disabled" if is_off else "enabled"}}
        case "reasoning":  # openrouter.ai/docs/use-cases/reasoning-tokens
            return {"reasoning": _render_reasoning(thinking)}


def _render_reasoning(thinking: bool | int | str) -> Json:
    if isinstance(thinking, bool):
        return {"enabled": thinking}
    if isinstance(thinking, str):
        return {"effort": thinking}
    return {"max_tokens": thinking}


def render_tool(tool: ToolSpec, dialect: Dialect) -> Json:
    """One tool."""
    function: Json = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def render_tool_choice(choice: str, dialect: Dialect) -> str | Json:
    """Which tool it is to call."""
    if choice == "required":
        return dialect.required
    if choice in ("auto", "none"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def render_system(request: Request, dialect: Dialect) -> list[Json]:
    """Standing instructions as messages."""
    return [
        {"role": "system", "content": text}
        for text in request.system_parts
        if isinstance(text, str)
    ]


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as messages."""
    match turn:
        case UserTurn():
            message: Json = {"role": "user", "content": render_content(turn.content, dialect)}
            if dialect.bridge and isinstance(before, ToolTurn):
                return [BRIDGE, message]
            return [message]
        case AssistantTurn():
            answer = _assistant(turn, dialect)
            # OpenAI takes an empty one, and nobody knows what other servers do.
            is_refused = dialect.bridge and not says_something(answer)
            return [] if is_refused else [answer]
        case ToolTurn():
            return _results(turn, dialect)


def says_something(message: Json) -> bool:
    """Whether there is more to a message than who says it: Mistral and Ollama refuse one with nothing in it.

    Of a turn in which another provider has only summed up what stands before it, nothing is left.
    """
    return any(message[field] for field in message if field != "role")


def _assistant(turn: AssistantTurn, dialect: Dialect) -> Json:
    content: str | None = turn.text
    if not content and turn.calls:
        content = None
    message: Json = {"role": "assistant", "content": content}
    if turn.wire == dialect.name:  # what another provider's model thought is not for this one
        message |= _render_thoughts(turn, dialect)
    if turn.calls:
        message["tool_calls"] = [_call(call, dialect) for call in turn.calls]
    return message


def _render_thoughts(turn: AssistantTurn, dialect: Dialect) -> Json:
    """The reasoning of a turn, in the field where the dialect wants it back."""
    for part in turn.parts:
        if part.keep.get("details"):  # OpenRouter: signed or encrypted, as it came
            return {"reasoning_details": part.keep["details"]}
    thought = "".join([part.text for part in turn.parts if type(part) is Thinking])
    if not thought:
        return {}
    if dialect.effort == "high or none":  # Mistral: typed parts, as it sends them
        parts: list[Json] = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}]
        if turn.text:
            parts.append({"type": "text", "text": turn.text})
        return {"content": parts}
    if dialect.reasoning_back:
        return {dialect.reasoning: thought}
    return {}


def _call(call: ToolCall, dialect: Dialect) -> Json:
    arguments = call.arguments if arguments_of(call.arguments) else "{}"
    function = {"name": call.name, "arguments": arguments}
    return {"id": call_id(call.id, dialect), "type": "function", "function": function}


def call_id(id: str, dialect: Dialect) -> str:
    """An id of a call as the dialect spells it; another provider's id becomes one of nine letters where it must."""
    if not dialect.short_ids or (len(id) == 9 and id.isalnum()):
        return id
    digest = hashlib.sha256(id.encode()).hexdigest()
    return digest[:9]


def _results(turn: ToolTurn, dialect: Dialect) -> list[Json]:
    messages: list[Json] = []
    media: list[Media] = []
    for result in turn.results:
        text = result.text
        if not text and result.media:
            text = "File attached"
        messages.append(
            {"role": "tool", "tool_call_id": call_id(result.id, dialect), "content": text}
        )
        media += result.media
    if media:  # this wire format has no place for them in a tool's result: a user's message follows
        if dialect.bridge:
            messages.append(BRIDGE)
        messages.append({"role": "user", "content": render_content(tuple(media), dialect)})
    return messages


def render_content(
    content: str | tuple[str | Media | CacheMark, ...], dialect: Dialect
) -> str | list[Json]:
    """The content of a user's message: text, or parts."""
    if isinstance(content, str):
        return content
    return [_render_part(part, dialect) for part in content if not isinstance(part, CacheMark)]


def _render_part(part: str | Media, dialect: Dialect) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return render_media(part, dialect)


def render_media(media: Media, dialect: Dialect) -> Json:
    """A picture, sound or document."""
    match media.kind:
        case "image" if not media.file_id:
            image: Json = {"url": media.data_url}
            if media.detail:
                image["detail"] = media.detail
            return {"type": "image_url", "image_url": image}
        case "audio" if media.data and (dialect.video or media.mime in AUDIO):
            return {"type": "input_audio", "input_audio": _render_audio(media, dialect)}
        case "video" if dialect.video and not media.file_id:
            return {"type": "video_url", "video_url": {"url": media.data_url}}
        case "document" if media.data or media.file_id or dialect.documents == "document_url":
            return _render_document(media, dialect)
        case _:
            raise _no_place(media, dialect)


def _render_audio(media: Media, dialect: Dialect) -> str | Json:
    if dialect.documents == "document_url":  # Mistral takes the bytes alone
        return media.base64
    format = media.mime.rpartition("/")[2]
    return {"data": media.base64, "format": AUDIO_FORMATS.get(format, format)}


def _render_document(media: Media, dialect: Dialect) -> Json:
    if media.file_id:
        return {"type": "file", "file": {"file_id": media.file_id}}
    if dialect.documents == "document_url":
        return {"type": "document_url", "document_url": media.data_url}
    name = media.name or "document"
    return {"type": "file", "file": {"file_data": media.data_url, "filename": name}}


def _no_place(media: Media, dialect: Dialect) -> BadRequest:
    if media.url:
        source = "an address"
    elif media.file_id:
        source = "a file id"
    else:
        source = f"bytes of {media.mime}"
    return cannot(dialect.name, f"{media.kind} by {source}")


WIRE = Wire(
    name=NAME,
    turns="messages",
    framing="sse",
    path=lambda model, stream: "/chat/completions",
    render_head=render_head,
    render_system=render_system,
    render_turn=render_turn,
    parser=ChatParser,
    limits=lambda extra: is_bounded(extra, "max_tokens", "max_completion_tokens"),
)
OPENAI = Dialect()
GROQ = Dialect("groq", reasoning="reasoning", reasoning_back=True)
MISTRAL = Dialect(
    "mistral",
    max_tokens="max_tokens",
    effort="high or none",
    required="any",
    seed="random_seed",
    stream_usage=False,
    bridge=True,
    short_ids=True,
    documents="document_url",
)
DEEPSEEK = Dialect(
    "deepseek", max_tokens="max_tokens", reasoning_back=True, effort="type", schema=False
)
OPENROUTER = Dialect(
    "openrouter",
    video=True,
    max_tokens="max_tokens",
    reasoning="reasoning",
    reasoning_back=True,
    effort="reasoning",
)
XAI = Dialect("xai", max_tokens="max_completion_tokens")
TOGETHER = Dialect("together", max_tokens="max_tokens", reasoning="reasoning")
COMPATIBLE = Dialect("openai-compatible", video=True, max_tokens="max_tokens", marker=False)
