"""OpenAI Responses.

Reference: https://platform.openai.com/docs/api-reference/responses
The terminal event repeats all output and is the truth; deltas are for display. Items go back with both of their ids, and
reasoning goes back, encrypted, before the call it led to.
"""

from __future__ import annotations

from typing import Any

from graphflow.errors import MalformedReply
from graphflow.media import Media
from graphflow.model import (
    CallDelta,
    Finish,
    Finished,
    Kept,
    ModelEvent,
    Opened,
    RefusalDelta,
    Request,
    Restarted,
    TextDelta,
    ThinkingDelta,
    ToolSpec,
    UsageDelta,
)
from graphflow.providers.faults import fault
from graphflow.providers.wires.openai_chat import REASONS
from graphflow.providers.wires.wire import (
    AssistantTurn,
    Dialect,
    Json,
    ToolTurn,
    UserTurn,
    Wire,
    arguments_of,
    cannot,
    effort_of,
    present,
    read_logprobs,
    refuse,
)
from graphflow.turns import Block, CacheMark, Part, Said, Thinking, ToolCall, Turn

NAME = "openai-responses"

LEAST = 16
"""Tokens of an answer that the API takes as a bound at least (platform.openai.com/docs/api-reference/responses/create)."""
INCOMPLETE: dict[str, Finish] = {"max_output_tokens": "length", "content_filter": "content_filter"}


# -- rendering -------------------------------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A Responses request without its input. Nothing is stored at the provider unless `extra` asks for it."""
    refuse(NAME, request, ("stop", "seed", "top_k", "presence_penalty", "frequency_penalty"))
    if dialect.lean:
        refuse("ChatGPT's backend", request, ("temperature", "top_p", "max_tokens"))
    body: Json = {"model": model, "stream": stream}
    if "previous_response_id" not in request.extra:
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
    if request.tool_choice is not None:
        choice = request.tool_choice
        named = choice not in ("auto", "none", "required")
        body["tool_choice"] = {"type": "function", "name": choice} if named else choice
    if request.output_schema is not None:
        shape = {"type": "json_schema", "name": request.output_name, "schema": request.output_schema}
        body["text"] = {"format": shape | present(strict=dialect.strict or None)}
    elif request.json_mode:
        body["text"] = {"format": {"type": "json_object"}}
    if request.thinking is not None and (request.thinking is not False or REASONS.search(model)):
        body["reasoning"] = {"effort": effort_of(request.thinking, model), "summary": "auto"}
    return body | present(
        temperature=request.temperature,
        top_p=request.top_p,
        max_output_tokens=request.max_tokens if not request.top_logprobs else max(LEAST, request.max_tokens or LEAST),
        parallel_tool_calls=request.parallel_calls,
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
            return [item for part in turn.in_order if (item := _item(part, own))]
        case ToolTurn():
            return [
                {
                    "type": "function_call_output",
                    "call_id": result.id,
                    "output": result.content if isinstance(result.content, str) else render_content(result.content),
                }
                for result in turn.results
            ]


def _item(part: Part, own: bool) -> Json | None:
    keep = part.keep if own else {}
    match part:
        case Said():
            if not part.text:
                return None
            if not keep.get("id"):
                return {"role": "assistant", "content": part.text}
            content = [{"type": "output_text", "text": part.text, "annotations": []}]
            return {"type": "message", "role": "assistant", "status": "completed", **keep, "content": content}
        case Thinking():
            return {"type": "reasoning", "summary": [], **keep} if keep else None
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


# -- parsing ---------------------------------------------------------------------------------------------------------------
class ResponsesParser:
    """Reads one reply. Items come by output_index."""

    def __init__(self, dialect: Dialect) -> None:
        self.done = False
        self.told: dict[tuple[str, int], list[str]] = {}
        self.refused: list[str] = []
        self.final: Json | None = None

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens told so far."""
        usage = (self.final or {}).get("usage")
        return parse_usage(usage) if usage else None

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One event."""
        kind = data.get("type") or name
        match kind:
            case "response.output_text.delta":
                return self._tell("text", data)
            case "response.function_call_arguments.delta":
                return self._tell("call", data)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._tell("thinking", data)
            case "response.reasoning_summary_part.added":
                told = self.told.get(("thinking", data["output_index"]))
                return self._tell("thinking", {**data, "delta": "\n\n"}) if told else []
            case "response.refusal.delta":
                self.refused.append(data.get("delta") or "")
                return [RefusalDelta(data.get("delta") or "")]
            case "response.created":
                response = data.get("response") or {}
                return [Opened(NAME, response.get("model") or "", response.get("id") or "")]
            case "response.output_item.added":
                return self._added(data["output_index"], data["item"])
            case "response.output_item.done":
                return self._kept(data["output_index"], data["item"])
            case "response.completed" | "response.incomplete":
                self.done = True
                self.final = data["response"]
                return self._settled(data["response"])
            case "response.failed" | "error":
                self.final = data.get("response")
                raise fault(NAME, None, data)
            case _:
                return []

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole response."""
        if data.get("error") or data.get("status") == "failed":
            raise fault(NAME, None, data)
        if not isinstance(data.get("output"), list):
            raise MalformedReply(f"a response without output: {str(data)[:200]}")
        self.done, self.final = True, data
        opened = Opened(NAME, data.get("model") or "", data.get("id") or "")
        return [opened, *self._whole(data), *self.end()]

    def end(self) -> list[ModelEvent]:
        """Usage and finish."""
        if not self.done or self.final is None:
            raise MalformedReply("the stream ended without response.completed")
        status = str(self.final.get("status") or "")
        why = str((self.final.get("incomplete_details") or {}).get("reason") or "")
        called = any(item.get("type") == "function_call" for item in self.final.get("output") or ())
        reason: Finish = "tool_calls" if called else "stop"
        if status == "incomplete":
            reason = INCOMPLETE.get(why, "other")
        parts = (part for item in self.final.get("output") or () for part in item.get("content") or ())
        likely = [event for part in parts for event in read_logprobs(part.get("logprobs"))]
        return [*likely, *([self.spent] if self.spent else []), Finished(reason, f"{status}:{why}" if why else status)]

    def _tell(self, part: str, data: Json) -> list[ModelEvent]:
        delta, index = data.get("delta") or "", data["output_index"]
        self.told.setdefault((part, index), []).append(delta)
        if part == "text":
            return [TextDelta(delta, index)]
        return [CallDelta(index, arguments=delta)] if part == "call" else [ThinkingDelta(delta, index)]

    def _added(self, index: int, item: Json) -> list[ModelEvent]:
        if item.get("type") != "function_call":
            return []
        self.told.setdefault(("call", index), [])
        return [CallDelta(index, item.get("call_id") or "", item.get("name") or "")]

    def _kept(self, index: int, item: Json) -> list[ModelEvent]:
        """What has to go back with an item that is complete."""
        match item.get("type"):
            case "message":
                keep = present(id=item.get("id"), phase=item.get("phase"))
                return [Kept("text", index, keep)] if keep and _text_of(item) else []
            case "function_call":
                return [Kept("call", index, {"id": item["id"]})] if item.get("id") else []
            case "reasoning":
                keep = present(id=item.get("id"), encrypted_content=item.get("encrypted_content"))
                return [Kept("thinking", index, {**keep, "summary": item.get("summary") or []})]
            case kind:
                return [Kept("block", index, {"name": kind if str(kind).endswith("_call") else "", "item": item})]

    def _settled(self, response: Json) -> list[ModelEvent]:
        """What the terminal event says beyond the deltas. If it contradicts them, the answer begins again with it."""
        events: list[ModelEvent] = []
        for index, item in enumerate(response.get("output") or ()):
            part, said = _content(item)
            events += self._kept(index, item)
            refusal, told_refusal = "".join(_refusals(item)), "".join(self.refused)
            if refusal and not told_refusal:
                self.refused.append(refusal)
                events.append(RefusalDelta(refusal))
            if not part:
                continue
            told = "".join(self.told.get((part, index), ()))
            if not said.startswith(told):
                opened = Opened(NAME, response.get("model") or "", response.get("id") or "")
                return [Restarted(), opened, *self._whole(response)]
            if (part, index) not in self.told and part == "call":
                events += self._added(index, item)
            if said != told:
                events += self._tell(part, {"delta": said[len(told) :], "output_index": index})
        return events

    def _whole(self, response: Json) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        for index, item in enumerate(response["output"]):
            part, said = _content(item)
            events += self._added(index, item)
            if said:
                events += self._tell(part, {"delta": said, "output_index": index})
            events += [RefusalDelta(text) for text in _refusals(item)]
            events += self._kept(index, item)
        return events


def _content(item: Json) -> tuple[str, str]:
    """Which kind of part an item is, and what it says; "" for an item that says nothing."""
    match item.get("type"):
        case "message":
            return "text", _text_of(item)
        case "function_call":
            return "call", item.get("arguments") or ""
        case "reasoning":
            pieces = [piece.get("text") or "" for piece in item.get("summary") or item.get("content") or ()]
            return "thinking", "\n\n".join(pieces)
        case _:
            return "", ""


def _text_of(item: Json) -> str:
    return "".join(p.get("text") or "" for p in item.get("content") or () if p.get("type") == "output_text")


def _refusals(item: Json) -> list[str]:
    if item.get("type") != "message":
        return []
    return [part["refusal"] for part in item.get("content") or () if part.get("refusal")]


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts; cached ones are part of the input here."""
    read = usage.get("input_tokens_details") or {}
    return UsageDelta(
        usage.get("input_tokens") or 0,
        usage.get("output_tokens") or 0,
        cache_read_tokens=read.get("cached_tokens"),
        cache_write_tokens=read.get("cache_write_tokens"),
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )


WIRE = Wire(
    name=NAME,
    turns="input",
    framing="sse",
    path=lambda model, stream: "/responses",
    render_head=render_head,
    render_system=render_system,
    render_turn=render_turn,
    parser=ResponsesParser,
)
