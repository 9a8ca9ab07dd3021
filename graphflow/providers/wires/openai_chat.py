"""OpenAI chat completions, and its dialects.

Reference: https://platform.openai.com/docs/api-reference/chat
Dialects differ by `Dialect` alone: Groq (console.groq.com/docs/api-reference), Mistral (docs.mistral.ai/api), DeepSeek
(api-docs.deepseek.com), OpenRouter (openrouter.ai/docs), xAI, Together, vLLM, llama.cpp, LM Studio.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from graphflow.errors import BadRequest, MalformedReply, ModelError
from graphflow.messages.media import Media
from graphflow.model.seam import (
    Cited,
    Finish,
    Finished,
    Kept,
    ModelEvent,
    Opened,
    RefusalDelta,
    Request,
    TextDelta,
    ThinkingDelta,
    ToolSpec,
    UsageDelta,
)
from graphflow.model.turns import AssistantTurn, CacheMark, Thinking, ToolCall, ToolTurn, Turn, UserTurn
from graphflow.providers.faults import fault
from graphflow.providers.wires.call_pieces import CallPieces
from graphflow.providers.wires.demands import cannot, effort_of, is_bounded, offers_tools, refuse
from graphflow.providers.wires.json_object import Json, arguments_of, present
from graphflow.providers.wires.reply_fields import finish_of, later_usage, read_logprobs
from graphflow.providers.wires.wire import Dialect, Wire

NAME = "openai-chat"

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
FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # words of other vendors that servers and gateways of this format let through
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",  # Z.AI
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "refusal",
}
"""By the word in small letters. What is not here does not end a whole answer."""


# -- rendering -------------------------------------------------------------------------------------------------------------
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
    function: Json = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
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
    return [{"role": "system", "content": text} for text in request.system_parts if isinstance(text, str)]


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as messages."""
    match turn:
        case UserTurn():
            message: Json = {"role": "user", "content": render_content(turn.content, dialect)}
            if dialect.bridge and isinstance(before, ToolTurn):
                return [BRIDGE, message]
            return [message]
        case AssistantTurn():
            return [_assistant(turn, dialect)]
        case ToolTurn():
            return _results(turn, dialect)


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
        messages.append({"role": "tool", "tool_call_id": call_id(result.id, dialect), "content": text})
        media += result.media
    if media:  # this wire format has no place for them in a tool's result: a user's message follows
        if dialect.bridge:
            messages.append(BRIDGE)
        messages.append({"role": "user", "content": render_content(tuple(media), dialect)})
    return messages


def render_content(content: str | tuple[str | Media | CacheMark, ...], dialect: Dialect) -> str | list[Json]:
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


# -- parsing ---------------------------------------------------------------------------------------------------------------
_CHUNK = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier", "choices"})
"""The keys of a chunk that only says what the model says, as nearly all do (platform.openai.com/docs/api-reference)."""
_CHOICE = frozenset({"index", "delta", "message", "finish_reason"})
"""The same of a choice in it."""

_IN_MOST_DELTAS = frozenset({"role", "content", "reasoning", "reasoning_content", "tool_calls"})


class ChatParser:
    """Reads one reply."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.done = False
        self.opened = False
        self.raw: str | None = None
        self.failure: ModelError | None = None
        self.calls = CallPieces()
        self.spent: UsageDelta | None = None
        self.in_thought = False
        self.part = 0
        self.details: list[Any] = []
        self.cited: list[Cited] = []

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One chunk."""
        choices = data.get("choices")
        if name == "error" or not choices or not _CHUNK.issuperset(data):
            self._beside_choices(data, name)
        events: list[ModelEvent] = []
        if not self.opened:
            self.opened = True
            events.append(self._opened_event(data))
        for choice in choices or ():
            if not choice.get("index"):  # several choices interleave; only the first is read
                self._delta(choice.get("delta") or choice.get("message") or {}, events)
                self.raw = choice.get("finish_reason") or self.raw
                if not _CHOICE.issuperset(choice):
                    self._beside_delta(choice, data, events)
        return events

    def _opened_event(self, data: Json) -> Opened:
        model = data.get("model") or ""
        id = data.get("id") or ""
        return Opened(self.dialect.name, model, id)

    def _beside_choices(self, data: Json, name: str) -> None:
        """What stands in a chunk beside the model's own words."""
        if name == "error" or data.get("error") or data.get("object") == "error":
            raise fault(self.dialect.name, None, data)
        groq = data.get("x_groq") or {}
        if groq.get("error"):  # why Groq has stopped early
            self.failure = fault(self.dialect.name, None, {"error": groq["error"]})
        usage = data.get("usage") or groq.get("usage")
        if usage:
            self.spent = later_usage(self.spent, parse_usage(usage))
        citations = data.get("citations")
        if isinstance(citations, list):  # xAI, Perplexity: all of them, in every chunk that has any
            self.cited = [Cited(url) for url in citations if isinstance(url, str)]

    def _beside_delta(self, choice: Json, data: Json, events: list[ModelEvent]) -> None:
        """What stands in a choice beside the model's own words."""
        if choice.get("error"):  # OpenRouter: the model's own provider failed, after these words or before any
            self.failure = fault(self.dialect.name, None, data)
        if choice.get("logprobs"):
            events += read_logprobs(choice["logprobs"].get("content"))

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole chat completion."""
        if not data.get("choices") and not data.get("error") and data.get("object") != "error":
            start = str(data)[:200]
            raise MalformedReply(f"a chat completion without choices: {start}")
        events = self.event(data, "")
        self.done = True
        return events

    def end(self) -> list[ModelEvent]:
        """Usage and finish, which may have come in any order."""
        if self.failure is not None:
            raise self.failure
        if not self.done and (self.dialect.marker or self.raw is None):
            raise MalformedReply("the stream ended without [DONE]")
        raw = self.raw or ""
        reason = finish_of(FINISH, raw.lower(), self.dialect.name)
        if reason in ("stop", "other") and self.calls.calls:
            reason = "tool_calls"
        events: list[ModelEvent] = [*self.cited]
        if self.spent is not None:
            events.append(self.spent)
        events.append(Finished(reason, raw))
        return events

    def _delta(self, delta: Json, events: list[ModelEvent]) -> None:
        content = delta.get("content")
        if content:
            if isinstance(content, str):
                self._text(content, events)
                if len(delta) == 1:  # nearly every chunk of a stream
                    return
            else:
                self._typed_parts(content, events)
        details = delta.get("reasoning_details")
        if isinstance(details, list) and details:  # OpenRouter: signed or encrypted reasoning, wanted back as it came
            self.details += details
            events.append(Kept("thinking", self.part, {"details": list(self.details)}))
        thought = delta.get("reasoning") or delta.get("reasoning_content")
        if thought and isinstance(thought, str):
            self.in_thought = True
            events.append(ThinkingDelta(thought, self.part))
        for position, call in enumerate(delta.get("tool_calls") or ()):
            self._call(call, position, events)
        if not _IN_MOST_DELTAS.issuperset(delta):
            self._rare(delta, events)

    def _rare(self, delta: Json, events: list[ModelEvent]) -> None:
        """What few deltas hold, and most streams never."""
        refusal = delta.get("refusal")
        if refusal:
            events.append(RefusalDelta(refusal))
        function = delta.get("function_call")
        if function and not delta.get("tool_calls"):  # the old form of a call: one, and without an id
            self._call({"function": function}, 0, events)
        for annotation in delta.get("annotations") or ():
            self.cited += parse_annotation(annotation)
        for position, tool in enumerate(delta.get("executed_tools") or ()):  # Groq: tools that it has run itself
            name = tool.get("name") or tool.get("type") or "tool"
            keep = {"name": name, "item": tool}
            index = tool.get("index", position)
            events.append(Kept("block", index, keep))

    def _text(self, text: str, events: list[ModelEvent]) -> None:
        if self.in_thought:
            self.in_thought = False
            self.part += 1
        events.append(TextDelta(text, self.part))

    def _typed_parts(self, parts: list[Json], events: list[ModelEvent]) -> None:
        """Mistral's content while it thinks: a list of typed parts (docs.mistral.ai/capabilities/reasoning)."""
        for part in parts:
            text = part.get("text")
            if text and part.get("type") == "text":
                self._text(text, events)
            elif part.get("type") == "thinking":
                self.in_thought = True
                for thought in _thoughts(part.get("thinking")):
                    events.append(ThinkingDelta(thought, self.part))

    def _call(self, call: Json, position: int, events: list[ModelEvent]) -> None:
        function = call.get("function") or {}
        number = call.get("index")
        if number is None:
            number = position
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        id = call.get("id") or ""
        name = function.get("name") or ""
        events += self.calls.take(number, id, name, arguments or "")


def parse_annotation(annotation: Json) -> list[Cited]:
    """A source of the text (OpenAI's search models, OpenRouter)."""
    citation = annotation.get("url_citation")
    if not citation:
        return []
    url = citation.get("url") or ""
    title = citation.get("title") or ""
    return [Cited(url, title, citation.get("start_index"), citation.get("end_index"))]


def _thoughts(thinking: Any) -> list[str]:
    """The texts of a part of thinking: a list of typed parts, or just a text."""
    if isinstance(thinking, str):
        return [thinking] if thinking else []
    texts = [piece if isinstance(piece, str) else piece.get("text") for piece in thinking or ()]
    return [text for text in texts if text]


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts; cached ones are part of the input here."""
    read = usage.get("prompt_tokens_details") or {}
    written = usage.get("completion_tokens_details") or {}
    cost = usage.get("cost")  # OpenRouter, in US dollars
    return UsageDelta(
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
        cost if isinstance(cost, (int, float)) else None,
        cache_read_tokens=read.get("cached_tokens"),
        cache_write_tokens=read.get("cache_write_tokens"),
        reasoning_tokens=written.get("reasoning_tokens"),
    )


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
DEEPSEEK = Dialect("deepseek", max_tokens="max_tokens", reasoning_back=True, effort="type", schema=False)
OPENROUTER = Dialect(
    "openrouter", video=True, max_tokens="max_tokens", reasoning="reasoning", reasoning_back=True, effort="reasoning"
)
XAI = Dialect("xai", max_tokens="max_completion_tokens")
TOGETHER = Dialect("together", max_tokens="max_tokens", reasoning="reasoning")
COMPATIBLE = Dialect("openai-compatible", video=True, max_tokens="max_tokens", marker=False)
