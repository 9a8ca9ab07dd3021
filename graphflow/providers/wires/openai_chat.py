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

from graphflow.errors import MalformedReply, ModelError
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
from graphflow.model.turns import CacheMark, Thinking, ToolCall, Turn
from graphflow.providers.faults import fault
from graphflow.providers.wires.call_pieces import CallPieces
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
    finish_of,
    hosted_tools,
    later_usage,
    present,
    read_logprobs,
    refuse,
)

NAME = "openai-chat"

AUDIO = frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/mpeg", "audio/mp3"})
"""The sounds that OpenAI takes: wav and mp3."""
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
"""By the word in small letters. What is not here is no end of a whole answer."""


# -- rendering -------------------------------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A chat completion request without its messages."""
    refuse(NAME, request, ("top_k",) if dialect.name in (NAME, "groq", "mistral") else ())
    body = {"model": model, "stream": stream}
    if stream and dialect.stream_usage:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [render_tool(tool, dialect) for tool in request.tools]
    has_tools = bool(request.tools or hosted_tools(request))  # without any, words about them are refused
    if request.settings.tool_choice is not None and has_tools:
        body["tool_choice"] = render_tool_choice(request.settings.tool_choice, dialect)
    if request.output_schema is not None and dialect.schema:
        shape = present(name=request.output_name, schema=request.output_schema, strict=dialect.strict or None)
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    elif request.json_mode or request.output_schema is not None:
        body["response_format"] = {"type": "json_object"}
    if request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.settings.thinking is not None:
        body |= render_thinking(request.settings.thinking, model, dialect)
    return body | present(
        temperature=request.settings.temperature,
        top_p=request.settings.top_p,
        top_k=request.settings.top_k,
        presence_penalty=request.settings.presence_penalty,
        frequency_penalty=request.settings.frequency_penalty,
        parallel_tool_calls=request.settings.parallel_calls if has_tools else None,
        stop=list(request.settings.stop) or None,
        **{dialect.max_tokens: request.settings.max_tokens, dialect.seed: request.settings.seed},
    )


def render_thinking(thinking: bool | int | str, model: str, dialect: Dialect) -> Json:
    """How much a model reasons, in the dialect's words."""
    off = thinking is False or thinking == "none"
    match dialect.effort:
        case "reasoning_effort" if off and dialect.name == NAME and not REASONS.search(model):
            return {}  # it does not reason, and refuses the word
        case "reasoning_effort":
            return {"reasoning_effort": effort_of(thinking, model)}
        case "high or none":  # docs.mistral.ai/capabilities/reasoning
            return {"reasoning_effort": "none" if off or thinking == "minimal" else "high"}
        case "type":  # api-docs.deepseek.com/guides/thinking_mode
            return {"thinking": {"type": "disabled" if off else "enabled"}}
        case "reasoning":  # openrouter.ai/docs/use-cases/reasoning-tokens
            if isinstance(thinking, bool):
                return {"reasoning": {"enabled": thinking}}
            return {"reasoning": {"effort": thinking} if isinstance(thinking, str) else {"max_tokens": thinking}}


def render_tool(tool: ToolSpec, dialect: Dialect) -> Json:
    """One tool."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function | present(strict=tool.strict)}


def render_tool_choice(choice: str, dialect: Dialect) -> str | Json:
    """Which tool it is to call."""
    if choice == "required":
        return dialect.required
    return choice if choice in ("auto", "none") else {"type": "function", "function": {"name": choice}}


def render_system(request: Request, dialect: Dialect) -> list[Json]:
    """Standing instructions as messages."""
    return [{"role": "system", "content": text} for text in request.system_parts if isinstance(text, str)]


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as messages."""
    match turn:
        case UserTurn():
            bridge: list[Json] = [{"role": "assistant", "content": "OK"}]
            return [
                *(bridge if dialect.bridge and isinstance(before, ToolTurn) else ()),
                {"role": "user", "content": render_content(turn.content, dialect)},
            ]
        case AssistantTurn():
            return [_assistant(turn, dialect)]
        case ToolTurn():
            return _results(turn, dialect)


def _assistant(turn: AssistantTurn, dialect: Dialect) -> Json:
    message: Json = {"role": "assistant", "content": turn.text or (None if turn.calls else "")}
    own = turn.wire == dialect.name
    thought = "".join(p.text for p in turn.parts if type(p) is Thinking) if own else ""
    details = next((p.keep["details"] for p in turn.parts if "details" in p.keep), None) if own else None
    if details:
        message["reasoning_details"] = details
    elif thought and dialect.effort == "high or none":  # Mistral: typed parts, as it sends them
        spoken = [{"type": "text", "text": turn.text}] if turn.text else []
        message["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}, *spoken]
    elif thought and dialect.reasoning_back:
        message[dialect.reasoning] = thought
    if turn.calls:
        message["tool_calls"] = [_call(call, dialect) for call in turn.calls]
    return message


def _call(call: ToolCall, dialect: Dialect) -> Json:
    arguments = call.arguments if arguments_of(call.arguments) else "{}"
    function = {"name": call.name, "arguments": arguments}
    return {"id": call_id(call.id, dialect), "type": "function", "function": function}


def call_id(id: str, dialect: Dialect) -> str:
    """An id of a call as the dialect spells it; another provider's id becomes one of nine letters where it must."""
    if not dialect.short_ids or (len(id) == 9 and id.isalnum()):
        return id
    return hashlib.sha256(id.encode()).hexdigest()[:9]


def _results(turn: ToolTurn, dialect: Dialect) -> list[Json]:
    messages: list[Json] = []
    media: list[Media] = []
    for result in turn.results:
        text = result.text or ("File attached" if result.media else "")
        messages.append({"role": "tool", "tool_call_id": call_id(result.id, dialect), "content": text})
        media += result.media
    if media:  # this wire format has no place for them in a tool's result: a user's message follows
        if dialect.bridge:
            messages.append({"role": "assistant", "content": "OK"})
        messages.append({"role": "user", "content": render_content(tuple(media), dialect)})
    return messages


def render_content(content: str | tuple[str | Media | CacheMark, ...], dialect: Dialect) -> str | list[Json]:
    """What a user said."""
    if isinstance(content, str):
        return content
    parts = [part for part in content if not isinstance(part, CacheMark)]
    return [{"type": "text", "text": p} if isinstance(p, str) else render_media(p, dialect) for p in parts]


def render_media(media: Media, dialect: Dialect) -> Json:
    """A picture, sound or document."""
    match media.kind:
        case "image" if not media.file_id:
            return {"type": "image_url", "image_url": {"url": media.data_url} | present(detail=media.detail or None)}
        case "audio" if media.data and (dialect.video or media.mime in AUDIO):
            format = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}.get(kind := media.mime.split("/")[-1], kind)
            audio = media.base64 if dialect.documents == "document_url" else {"data": media.base64, "format": format}
            return {"type": "input_audio", "input_audio": audio}  # Mistral takes the bytes alone
        case "video" if dialect.video and not media.file_id:
            return {"type": "video_url", "video_url": {"url": media.data_url}}
        case "document" if dialect.documents == "document_url" and not media.file_id:
            return {"type": "document_url", "document_url": media.data_url}
        case "document" if media.file_id:
            return {"type": "file", "file": {"file_id": media.file_id}}
        case "document" if media.data:
            return {"type": "file", "file": {"file_data": media.data_url, "filename": media.name or "document"}}
        case _:
            source = "an address" if media.url else "a file id" if media.file_id else f"bytes of {media.mime}"
            raise cannot(dialect.name, f"{media.kind} by {source}")


# -- parsing ---------------------------------------------------------------------------------------------------------------
_CHUNK = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier", "choices"})
"""The keys of a chunk that only says what the model says (platform.openai.com/docs/api-reference/chat-streaming)."""


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
        if name == "error" or data.get("error") or data.get("object") == "error":
            raise fault(self.dialect.name, None, data)
        events: list[ModelEvent] = []
        if not self.opened:
            self.opened = True
            events.append(Opened(self.dialect.name, data.get("model") or "", data.get("id") or ""))
        if not _CHUNK.issuperset(data):  # nearly every chunk of a stream has nothing else
            self._beside_choices(data)
        for choice in data.get("choices") or ():
            if not choice.get("index"):  # several choices interleave; only the first is read
                self._delta(choice.get("delta") or choice.get("message") or {}, events)
                self.raw = choice.get("finish_reason") or self.raw
                if choice.get("error"):  # OpenRouter: the model's own provider failed, after these words or before any
                    self.failure = fault(self.dialect.name, None, data)
                if choice.get("logprobs"):
                    events += read_logprobs(choice["logprobs"].get("content"))
        return events

    def _beside_choices(self, data: Json) -> None:
        """What a chunk has that is not said by the model."""
        groq = data.get("x_groq") or {}
        if groq.get("error"):  # why Groq has stopped early
            self.failure = fault(self.dialect.name, None, {"error": groq["error"]})
        usage = data.get("usage") or groq.get("usage")
        if usage:
            self.spent = later_usage(self.spent, parse_usage(usage))
        if isinstance(data.get("citations"), list):  # xAI, Perplexity: all of them, in every chunk that has any
            self.cited = [Cited(url) for url in data["citations"] if isinstance(url, str)]

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole chat completion."""
        if not data.get("choices") and not data.get("error") and data.get("object") != "error":
            raise MalformedReply(f"a chat completion without choices: {str(data)[:200]}")
        events = self.event(data, "")
        self.done = True
        return events

    def end(self) -> list[ModelEvent]:
        """Usage and finish, which may have come in any order."""
        if self.failure is not None:
            raise self.failure
        if not self.done and (self.dialect.marker or self.raw is None):
            raise MalformedReply("the stream ended without [DONE]")
        events: list[ModelEvent] = [*self.cited, *([self.spent] if self.spent else [])]
        reason = finish_of(FINISH, (self.raw or "").lower(), self.dialect.name)
        if reason in ("stop", "other") and self.calls.calls:
            reason = "tool_calls"
        return [*events, Finished(reason, self.raw or "")]

    def _delta(self, delta: Json, events: list[ModelEvent]) -> None:
        content = delta.get("content")
        if content:
            if isinstance(content, str):
                self._text(content, events)
                if len(delta) == 1:  # nearly every chunk of a stream
                    return
            else:
                self._typed(content, events)
        details = delta.get("reasoning_details")
        if isinstance(details, list) and details:  # OpenRouter: signed or encrypted reasoning, wanted back as it came
            self.details += details
            events.append(Kept("thinking", self.part, {"details": list(self.details)}))
        thought = delta.get("reasoning") or delta.get("reasoning_content")
        if thought and isinstance(thought, str):
            self.in_thought = True
            events.append(ThinkingDelta(thought, self.part))
        if delta.get("refusal"):
            events.append(RefusalDelta(delta["refusal"]))
        calls = delta.get("tool_calls")
        if calls:
            for position, call in enumerate(calls):
                self._call(call, position, events)
        elif delta.get("function_call"):
            self._call({"function": delta["function_call"]}, 0, events)
        for annotation in delta.get("annotations") or ():
            self.cited += parse_annotation(annotation)
        for position, tool in enumerate(delta.get("executed_tools") or ()):
            keep = {"name": tool.get("name") or tool.get("type") or "tool", "item": tool}
            events.append(Kept("block", tool.get("index", position), keep))

    def _text(self, text: str, events: list[ModelEvent]) -> None:
        if self.in_thought:
            self.in_thought = False
            self.part += 1
        events.append(TextDelta(text, self.part))

    def _typed(self, parts: list[Json], events: list[ModelEvent]) -> None:
        """Mistral's content while it thinks: a list of typed parts (docs.mistral.ai/capabilities/reasoning)."""
        for part in parts:
            if part.get("type") == "text" and part.get("text"):
                self._text(part["text"], events)
            elif part.get("type") == "thinking":
                self.in_thought = True
                for thought in _thoughts(part.get("thinking")):
                    events.append(ThinkingDelta(thought, self.part))

    def _call(self, call: Json, position: int, events: list[ModelEvent]) -> None:
        function = call.get("function") or {}
        raw = call.get("index")
        raw = position if raw is None else raw
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        events += self.calls.take(raw, call.get("id") or "", function.get("name") or "", arguments or "")


def parse_annotation(annotation: Json) -> list[Cited]:
    """A source of the text (OpenAI's search models, OpenRouter)."""
    told = annotation.get("url_citation")
    if not told:
        return []
    return [Cited(told.get("url") or "", told.get("title") or "", told.get("start_index"), told.get("end_index"))]


def _thoughts(told: Any) -> list[str]:
    """The texts of a part of thinking: a list of typed parts, or just a text."""
    pieces = [told] if isinstance(told, str) else told or ()
    texts = [piece if isinstance(piece, str) else piece.get("text") for piece in pieces]
    return [text for text in texts if text]


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts; cached ones are part of the input here."""
    read = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    return UsageDelta(
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
        usage.get("cost") if isinstance(usage.get("cost"), (int, float)) else None,  # OpenRouter, in US dollars
        cache_read_tokens=read,
        cache_write_tokens=(usage.get("prompt_tokens_details") or {}).get("cache_write_tokens"),
        reasoning_tokens=thought,
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
    limits=lambda extra: bounded(extra, "max_tokens", "max_completion_tokens"),
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
