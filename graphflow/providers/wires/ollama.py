"""Ollama's own /api/chat.

Reference: https://docs.ollama.com/api/chat
One JSON object a line, the last one with `done`. Arguments are objects; every call has a line of its own.
"""

from __future__ import annotations

import json
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
from graphflow.model.turns import CacheMark, Thinking, Turn
from graphflow.providers.faults import fault
from graphflow.providers.wires.openai_chat import render_tool
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
    one_at_a_time,
    present,
    read_logprobs,
)

NAME = "ollama"
FINISH: dict[str, Finish] = {"stop": "stop", "length": "length"}


# -- rendering -------------------------------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A chat request without its messages."""
    if request.settings.tool_choice not in (None, "auto", "none"):
        raise cannot(NAME, f"tool_choice={request.settings.tool_choice!r}")
    one_at_a_time(NAME, request)
    body: Json = {"model": model, "stream": stream}
    if request.tools and request.settings.tool_choice != "none":
        body["tools"] = [render_tool(tool, dialect) for tool in request.tools]
    if request.output_schema is not None:
        body["format"] = request.output_schema
    elif request.json_mode:
        body["format"] = "json"
    if request.settings.thinking is not None:
        body["think"] = (
            request.settings.thinking
            if isinstance(request.settings.thinking, (bool, str))
            else request.settings.thinking > 0
        )
    if request.top_logprobs:  # docs.ollama.com/api/chat, from 0.12.11 on
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    options = present(
        temperature=request.settings.temperature,
        top_p=request.settings.top_p,
        top_k=request.settings.top_k,
        num_predict=request.settings.max_tokens,
        seed=request.settings.seed,
        presence_penalty=request.settings.presence_penalty,
        frequency_penalty=request.settings.frequency_penalty,
        stop=list(request.settings.stop) or None,
    )
    return body | ({"options": options} if options else {})


def render_system(request: Request, dialect: Dialect) -> list[Json]:
    """Standing instructions as messages."""
    return [{"role": "system", "content": text} for text in request.system_parts if isinstance(text, str)]


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as messages."""
    match turn:
        case UserTurn():
            return [_said("user", turn.text, [p for p in turn.parts if not isinstance(p, (str, CacheMark))])]
        case AssistantTurn():
            message: Json = {"role": "assistant", "content": turn.text}
            thought = "".join(p.text for p in turn.parts if type(p) is Thinking) if turn.wire == NAME else ""
            if thought:
                message["thinking"] = thought
            if turn.calls:
                message["tool_calls"] = [
                    {"function": {"name": call.name, "arguments": arguments_of(call.arguments)}} for call in turn.calls
                ]
            return [message]
        case ToolTurn():
            return [{**_said("tool", r.text, list(r.media)), "tool_name": r.name} for r in turn.results]


def _said(role: str, text: str, media: list[Media]) -> Json:
    for item in media:
        if item.kind != "image" or not item.data:
            raise cannot(NAME, f"{item.kind}{'' if item.data else ' by address'}", "give pictures by their bytes")
    return {"role": role, "content": text} | ({"images": [item.base64 for item in media]} if media else {})


# -- parsing ---------------------------------------------------------------------------------------------------------------
class OllamaParser:
    """Reads one reply."""

    def __init__(self, dialect: Dialect) -> None:
        self.done = False
        self.opened = False
        self.calls = 0
        self.last: Json = {}

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens told so far."""
        if "prompt_eval_count" not in self.last and "eval_count" not in self.last:
            return None
        return UsageDelta(self.last.get("prompt_eval_count") or 0, self.last.get("eval_count") or 0)

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
            function = call.get("function") or {}
            id, index = call.get("id") or "", self.calls
            self.calls += 1
            arguments = function.get("arguments")
            spelled = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
            events.append(CallDelta(index, id or token_hex(5)[:9], function.get("name") or "", spelled))
            if not id:
                events.append(Kept("call", index, {"made_id": True}))
        if data.get("done"):
            self.done = True
            self.last = data
        return events

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
        return [*([self.spent] if self.spent else []), Finished(reason, raw)]


WIRE = Wire(
    name=NAME,
    turns="messages",
    framing="ndjson",
    path=lambda model, stream: "/api/chat",
    render_head=render_head,
    render_system=render_system,
    render_turn=render_turn,
    parser=OllamaParser,
    limits=lambda extra: bounded(extra.get("options"), "num_predict"),
    listing="/api/tags",
)
