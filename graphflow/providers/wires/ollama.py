"""Ollama's own /api/chat.

Reference: https://docs.ollama.com/api/chat
One JSON object a line, the last one with `done`. Arguments are objects; every call has a line of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

from graphflow.errors import MalformedReply
from graphflow.messages.media import Media
from graphflow.model.seam import (
    CallDelta,
    Finish,
    Finished,
    Kept,
    ModelEvent,
    Opened,
    Request,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from graphflow.model.settings import Settings
from graphflow.model.turns import (
    AssistantTurn,
    CacheMark,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
)
from graphflow.providers.faults import fault
from graphflow.providers.wires.demands import cannot, is_bounded, one_at_a_time
from graphflow.providers.wires.json_object import Json, arguments_of, present
from graphflow.providers.wires.openai_chat import render_tool, says_something
from graphflow.providers.wires.reply_fields import finish_of, read_logprobs
from graphflow.providers.wires.wire import Dialect, Wire

NAME = "ollama"
FINISH: dict[str, Finish] = {"stop": "stop", "length": "length"}


# -- rendering -------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A chat request without its messages."""
    settings = request.settings
    if settings.tool_choice not in (None, "auto", "none"):
        raise cannot(NAME, f"tool_choice={settings.tool_choice!r}")
    one_at_a_time(NAME, request)
    body: Json = {"model": model, "stream": stream}
    # It knows no choice: without tools it calls none.
    if request.tools and settings.tool_choice != "none":
        body["tools"] = [render_tool(tool, dialect) for tool in request.tools]
    if request.output_schema is not None:
        body["format"] = request.output_schema
    elif request.json_mode:
        body["format"] = "json"
    if settings.thinking is not None:
        body["think"] = render_thinking(settings.thinking)
    if request.top_logprobs:  # docs.ollama.com/api/chat, from 0.12.11 on
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    options = _render_options(settings)
    if options:
        body["options"] = options
    return body


def _render_options(settings: Settings) -> Json:
    return present(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        num_predict=settings.max_tokens,
        seed=settings.seed,
        presence_penalty=settings.presence_penalty,
        frequency_penalty=settings.frequency_penalty,
        stop=list(settings.stop) or None,
    )


def render_thinking(thinking: bool | int | str) -> bool | str:
    """Whether it reasons, or how much; a budget in tokens only says whether."""
    if isinstance(thinking, (bool, str)):
        return thinking
    return thinking > 0


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
            media = [part for part in turn.parts if not isinstance(part, (str, CacheMark))]
            return [_message("user", turn.text, media)]
        case AssistantTurn():
            message = _assistant(turn)
            return [message] if says_something(message) else []
        case ToolTurn():
            return [_result(result) for result in turn.results]


def _assistant(turn: AssistantTurn) -> Json:
    message: Json = {"role": "assistant", "content": turn.text}
    thoughts = [part.text for part in turn.parts if type(part) is Thinking]
    thinking = "".join(thoughts)
    if thinking and turn.wire == NAME:
        message["thinking"] = thinking
    if turn.calls:
        message["tool_calls"] = [_call(call) for call in turn.calls]
    return message


def _call(call: ToolCall) -> Json:
    arguments = arguments_of(call.arguments)
    return {"function": {"name": call.name, "arguments": arguments}}


def _result(result: ToolResult) -> Json:
    message = _message("tool", result.text, result.media)
    message["tool_name"] = result.name
    return message


def _message(role: str, text: str, media: Sequence[Media]) -> Json:
    message: Json = {"role": role, "content": text}
    for item in media:
        if item.kind != "image" or not item.data:
            way = "" if item.data else " by address"
            raise cannot(NAME, f"{item.kind}{way}", "give pictures by their bytes")
    if media:
        message["images"] = [item.base64 for item in media]
    return message


# -- parsing ---------------------------------------------------------------------------------------
class OllamaParser:
    """Reads one reply."""

    def __init__(self, dialect: Dialect) -> None:
        self.done = False
        self.opened = False
        self.calls = 0
        self.last: Json = {}

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens counted so far."""
        last = self.last
        if "prompt_eval_count" not in last and "eval_count" not in last:
            return None
        read = last.get("prompt_eval_count") or 0
        written = last.get("eval_count") or 0
        return UsageDelta(read, written)

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One line."""
        if data.get("error"):
            raise fault(NAME, None, data)
        events: list[ModelEvent] = []
        if not self.opened:
            self.opened = True
            events.append(Opened(NAME, data.get("model") or ""))
        message = data.get("message") or {}
        if message.get("thinking"):
            events.append(ThinkingDelta(message["thinking"]))
        if message.get("content"):
            events.append(TextDelta(message["content"]))
        if data.get("logprobs"):
            events += read_logprobs(data["logprobs"])
        for call in message.get("tool_calls") or ():
            events += self._call(call)
        if data.get("done"):  # the last line holds the counts and why it ended
            self.done = True
            self.last = data
        return events

    def _call(self, call: Json) -> list[ModelEvent]:
        """A call, which comes whole; older servers give no id, and then we make one."""
        index = self.calls
        self.calls += 1
        function = call.get("function") or {}
        name = function.get("name") or ""
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments or {})
        id = call.get("id")
        if id:
            return [CallDelta(index, id, name, arguments)]
        made_id = token_hex(5)[:9]
        return [CallDelta(index, made_id, name, arguments), Kept("call", index, {"made_id": True})]

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole answer."""
        return self.event(data, "")

    def end(self) -> list[ModelEvent]:
        """Usage and finish."""
        if not self.done:
            raise MalformedReply("the stream ended without a line that is done")
        raw = str(self.last.get("done_reason") or "")
        reason = finish_of(FINISH, raw or "stop", NAME)  # older servers do not say
        if reason == "stop" and self.calls:
            reason = "tool_calls"
        end = Finished(reason, raw)
        spent = self.spent
        return [end] if spent is None else [spent, end]


WIRE = Wire(
    name=NAME,
    turns="messages",
    framing="ndjson",
    path=lambda model, stream: "/api/chat",
    render_head=render_head,
    render_system=render_system,
    render_turn=render_turn,
    parser=OllamaParser,
    limits=lambda extra: is_bounded(extra.get("options"), "num_predict"),
    listing="/api/tags",
)
