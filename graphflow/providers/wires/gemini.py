"""Gemini generateContent and streamGenerateContent.

Reference: https://ai.google.dev/api/generate-content
Calls come whole and may lack ids; signatures sit on any part and go back in place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from pydantic_core import from_json

from graphflow.errors import MalformedReply
from graphflow.messages.media import Media
from graphflow.model.seam import (
    CallDelta,
    Cited,
    Finish,
    Finished,
    Kept,
    Likely,
    LogprobsDelta,
    ModelEvent,
    Opened,
    Request,
    TextDelta,
    ThinkingDelta,
    ToolSpec,
    UsageDelta,
)
from graphflow.model.turns import Block, CacheMark, Part, TextPart, Thinking, ToolCall, ToolResult, Turn
from graphflow.providers.faults import fault
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
    finish_of,
    hosted_tools,
    one_at_a_time,
    present,
)

NAME = "gemini"
UNSIGNED = "skip_thought_signature_validator"
"""What stands for a signature on a call that another provider's model made: Gemini 3 refuses calls without one
(ai.google.dev/gemini-api/docs/thought-signatures)."""

FINISH: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MALFORMED_RESPONSE": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
}
MADE = "gf_"
"""How ids begin that we made because the API gave none: they are not sent back."""
BUDGETS = {"minimal": 512, "low": 2048, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
"""Tokens of reasoning for an effort; 24,576 is the most that all models of 2.5 take."""
HIGHEST = {"xhigh": "HIGH", "max": "HIGH"}
MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


# -- rendering -------------------------------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A generateContent request without its contents; whether it streams is said by the path."""
    one_at_a_time(NAME, request)
    body: Json = {}
    texts = [text for text in request.system_parts if isinstance(text, str)]
    if texts:
        body["systemInstruction"] = {"parts": [{"text": text} for text in texts]}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [render_tool(tool) for tool in request.tools]}]
    if request.settings.tool_choice is not None and chooses(request):
        mode = MODES.get(request.settings.tool_choice)
        config = {"mode": mode} if mode else {"mode": "ANY", "allowedFunctionNames": [request.settings.tool_choice]}
        body["toolConfig"] = {"functionCallingConfig": config}
    generation = present(
        temperature=request.settings.temperature,
        topP=request.settings.top_p,
        topK=request.settings.top_k,
        maxOutputTokens=request.settings.max_tokens,
        stopSequences=list(request.settings.stop) or None,
        seed=request.settings.seed,
        presencePenalty=request.settings.presence_penalty,
        frequencyPenalty=request.settings.frequency_penalty,
        thinkingConfig=render_thinking(request.settings.thinking, model),
        responseLogprobs=True if request.top_logprobs else None,
        logprobs=request.top_logprobs or None,
    )
    if request.output_schema is not None or request.json_mode:
        generation["responseMimeType"] = "application/json"
    if request.output_schema is not None:
        generation["responseJsonSchema"] = request.output_schema
    if generation:
        body["generationConfig"] = generation
    return body


def chooses(request: Request) -> bool:
    """Whether a choice can be sent: it is made among functions only, and Google's own tools know none.

    Raises:
        BadRequest: a choice among Google's own tools was asked for.
    """
    if request.tools:
        return True
    if hosted_tools(request) and request.settings.tool_choice != "auto":
        raise cannot(NAME, f"tool_choice={request.settings.tool_choice!r} for its own tools", "leave it out")
    return False


def render_thinking(thinking: bool | int | str | None, model: str) -> Json | None:
    """How much a model reasons: a budget up to Gemini 2.5, a level from 3 on (ai.google.dev/gemini-api/docs/thinking)."""
    if thinking is None:
        return None
    levels = re.search(r"gemini-([3-9]|\d\d)", model) is not None
    pro = "pro" in model
    if thinking is False:  # the Pro models cannot stop reasoning altogether
        return {"thinkingLevel": "LOW" if pro else "MINIMAL"} if levels else {"thinkingBudget": 128 if pro else 0}
    if thinking is True:
        return {"includeThoughts": True}
    if isinstance(thinking, str):
        amount: Json = (
            {"thinkingLevel": HIGHEST.get(thinking, thinking.upper())}
            if levels
            else {"thinkingBudget": BUDGETS[thinking]}
        )
    else:
        amount = {"thinkingBudget": thinking}
    return {**amount, "includeThoughts": True}


def render_tool(tool: ToolSpec) -> Json:
    """One tool. `parametersJsonSchema` takes JSON Schema, `parameters` an OpenAPI subset only."""
    return {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters}


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as a content."""
    match turn:
        case UserTurn():
            parts = [p for p in turn.parts if not isinstance(p, CacheMark)]
            return [{"role": "user", "parts": [{"text": p} if isinstance(p, str) else render_media(p) for p in parts]}]
        case AssistantTurn():
            own = turn.wire == NAME
            rendered = [item for part in turn.in_order if (item := _part(part, own))]
            _sign_foreign(rendered, own)
            return [{"role": "model", "parts": rendered}] if rendered else []
        case ToolTurn():
            answers = [_result(result) for result in turn.results]
            files = [render_media(media) for result in turn.results for media in result.media]
            return [{"role": "user", "parts": [*answers, *files]}]


def _sign_foreign(parts: list[Json], own: bool) -> None:
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None and "thoughtSignature" not in first and not own:
        first["thoughtSignature"] = UNSIGNED


def _part(part: Part, own: bool) -> Json | None:
    signed = present(thoughtSignature=part.keep.get("signature")) if own else {}
    match part:
        case TextPart():
            return {"text": part.text, **signed} if part.text or signed else None
        case ToolCall():
            call: Json = {"name": part.name, "args": arguments_of(part.arguments)}
            if part.id and not part.id.startswith(MADE):
                call["id"] = part.id
            return {"functionCall": call, **signed}
        case Thinking():
            return {"text": part.text, "thought": True, **signed} if own and signed else None
        case Block():
            return dict(part.keep["item"]) if own else None


def _result(result: ToolResult) -> Json:
    """A tool's answer, always an object: its own if it is one, else under the key the API names for it."""
    text = result.text
    answer: Json = {"error": text} if not result.ok else {"output": text}
    if result.ok and text.startswith("{"):
        try:
            data = from_json(text)
            answer = data if isinstance(data, dict) else answer
        except ValueError:
            pass
    response: Json = {"name": result.name, "response": answer}
    if result.id and not result.id.startswith(MADE):
        response["id"] = result.id
    return {"functionResponse": response}


def render_media(media: Media) -> Json:
    """A picture, sound, film or document."""
    if media.data:
        return {"inlineData": {"mimeType": media.mime, "data": media.base64}}
    return {"fileData": {"fileUri": media.url or media.file_id} | present(mimeType=media.mime or None)}


# -- parsing ---------------------------------------------------------------------------------------------------------------
class GeminiParser:
    """Reads one reply. Every chunk is a candidate with some parts; parts of one kind in a row are one part."""

    def __init__(self, dialect: Dialect) -> None:
        self.done = False
        self.opened = False
        self.raw: str | None = None
        self.said = ""
        self.blocked = False
        self.grounding: Json = {}
        self.texts: list[str] = []
        self.usage: Json = {}
        self.index = 0
        self.kind = ""
        self.called = False

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens told so far."""
        return parse_usage(self.usage) if self.usage else None

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One chunk."""
        if data.get("error"):
            raise fault(NAME, None, data)
        events: list[ModelEvent] = []
        if not self.opened:
            self.opened = True
            events.append(Opened(NAME, data.get("modelVersion") or "", data.get("responseId") or ""))
        if data.get("usageMetadata"):
            told = data["usageMetadata"]
            self.usage = told if any(_counts(told)) or not self.usage else self.usage
        for candidate in data.get("candidates") or ():
            if candidate.get("index"):
                continue
            for part in (candidate.get("content") or {}).get("parts") or ():
                self._part(part, events)
            self.raw = candidate.get("finishReason") or self.raw
            self.said = str(candidate.get("finishMessage") or self.said)
            self.grounding |= candidate.get("groundingMetadata") or {}
            if candidate.get("logprobsResult"):
                events.append(LogprobsDelta(_likely(candidate["logprobsResult"])))
        blocked = (data.get("promptFeedback") or {}).get("blockReason")
        if blocked:
            self.raw, self.blocked = f"blockReason:{blocked}", True
        return events

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole reply; a list is a stream that was not asked for as server-sent events."""
        events: list[ModelEvent] = []
        for chunk in data if isinstance(data, list) else [data]:
            if not isinstance(chunk, dict):
                raise MalformedReply(f"no chunk of a reply: {str(chunk)[:200]}")
            events += self.event(chunk, "")
        return events

    def end(self) -> list[ModelEvent]:
        """Usage and finish."""
        if self.raw is None:
            raise MalformedReply("the stream ended without a finishReason")
        reason = finish_of(FINISH, self.raw, NAME, self.said) if not self.blocked else "content_filter"
        if reason == "stop" and self.called:
            reason = "tool_calls"
        cited = parse_grounding(self.grounding, "".join(self.texts))
        return [*cited, *([self.spent] if self.spent else []), Finished(reason, self.raw)]

    def _at(self, kind: str) -> int:
        if kind != self.kind or kind == "call":
            self.kind = kind
            self.index += 1
        return self.index

    def _part(self, part: Json, events: list[ModelEvent]) -> None:
        signature = part.get("thoughtSignature")
        if part.get("functionCall"):
            kind = "call"
            index = self._at(kind)
            call = part["functionCall"]
            if "partialArgs" in call or call.get("willContinue"):
                raise cannot(NAME, "calls piece by piece", "leave out streamFunctionCallArguments")
            self.called = True
            id = call.get("id") or ""
            arguments = json.dumps(call.get("args") or {})
            events.append(CallDelta(index, id or MADE + token_hex(5), call.get("name") or "", arguments))
            if not id:
                events.append(Kept("call", index, {"made_id": True}))
        elif "text" in part:
            kind = "thinking" if part.get("thought") else "text"
            if signature and not part["text"]:
                self.kind = ""  # a signature on an empty part of its own stays on a part of its own
            index = self._at(kind)
            if part["text"] and kind == "thinking":
                events.append(ThinkingDelta(part["text"], index))
            elif part["text"]:
                self.texts.append(part["text"])
                events.append(TextDelta(part["text"], index))
        else:
            kind = "block"
            self.kind = ""
            index = self._at(kind)
            hosted = "code_execution" if "executableCode" in part else ""
            events.append(Kept("block", index, {"name": hosted, "item": part}))
            return
        if signature:
            events.append(Kept(kind, index, {"signature": signature}))  # type: ignore[arg-type]  # one of its words
            self.kind = ""


def parse_grounding(grounding: Json, text: str) -> list[Cited]:
    """The sources of an answer (ai.google.dev/gemini-api/docs/google-search): which chunks support which stretch of it."""
    chunks: list[Json] = [next(iter(chunk.values()), {}) for chunk in grounding.get("groundingChunks") or ()]
    supports = grounding.get("groundingSupports") or ()
    cited: list[Cited] = []
    used: set[int] = set()
    for support in supports:
        start, end = _stretch(support.get("segment") or {}, text)
        for number in support.get("groundingChunkIndices") or ():
            if number < len(chunks):
                used.add(number)
                cited.append(Cited(*_page(chunks[number]), start, end))
    return [*cited, *(Cited(*_page(chunk)) for number, chunk in enumerate(chunks) if number not in used)]


def _page(chunk: Json) -> tuple[str, str]:
    return chunk.get("uri") or "", chunk.get("title") or ""


def _stretch(segment: Json, text: str) -> tuple[int | None, int | None]:
    """The characters of a segment, whose places are counted in bytes; its own words tell whether they are right."""
    said = segment.get("text") or ""
    raw = text.encode("utf-8", "surrogatepass")
    first, last = segment.get("startIndex") or 0, segment.get("endIndex")
    start = len(raw[:first].decode("utf-8", "ignore"))
    end = start + len(said) if said else None if last is None else len(raw[:last].decode("utf-8", "ignore"))
    if said and text[start:end] != said:  # counted in a part, and the parts were joined
        start = text.find(said)
        end = start + len(said)
    return (None, None) if start < 0 or end is None else (start, end)


def _likely(told: Json) -> tuple[Likely, ...]:
    """Tokens and what else was likely in their places (ai.google.dev/api/generate-content#LogprobsResult)."""
    places = zip(told.get("chosenCandidates") or (), told.get("topCandidates") or (), strict=False)
    return tuple(
        Likely(chosen["token"], tuple((c["token"], c["logProbability"]) for c in top.get("candidates") or ()))
        for chosen, top in places
    )


def _counts(usage: Json) -> list[int]:
    return [count for name, count in usage.items() if name.endswith("Count") and isinstance(count, int)]


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts: thoughts and what hosted tools read are counted beside the rest here."""
    thought = usage.get("thoughtsTokenCount")
    return UsageDelta(
        (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        (usage.get("candidatesTokenCount") or 0) + (thought or 0),
        cache_read_tokens=usage.get("cachedContentTokenCount"),
        reasoning_tokens=thought,
    )


def path(model: str, stream: bool) -> str:
    """Without `alt=sse` a stream is one JSON array."""
    return f"/models/{model}:streamGenerateContent?alt=sse" if stream else f"/models/{model}:generateContent"


def limits(extra: Mapping[str, Any]) -> bool:
    """Whether an answer's length is bounded; the API takes both spellings of its names."""
    bounds = ("maxOutputTokens", "max_output_tokens")
    return bounded(extra.get("generationConfig"), *bounds) or bounded(extra.get("generation_config"), *bounds)


WIRE = Wire(
    name=NAME,
    turns="contents",
    framing="sse",
    path=path,
    render_head=render_head,
    render_system=lambda request, dialect: [],
    render_turn=render_turn,
    parser=GeminiParser,
    limits=limits,
    listing="/models?pageSize=1000",
)
