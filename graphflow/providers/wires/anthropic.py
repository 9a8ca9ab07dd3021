"""Anthropic Messages.

Reference: https://platform.claude.com/docs/en/api/messages
Thinking blocks go back unchanged and first in their turn; all results of a turn stand in one user message.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from graphflow.errors import MalformedReply
from graphflow.messages.media import Media
from graphflow.model.seam import (
    CallDelta,
    Cited,
    Finish,
    Finished,
    Kept,
    ModelEvent,
    Opened,
    Request,
    TextDelta,
    ThinkingDelta,
    ToolSpec,
    UsageDelta,
)
from graphflow.model.turns import CACHE, Block, CacheMark, Part, TextPart, Thinking, ToolCall, ToolResult, Turn
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
    effort_of,
    finish_of,
    hosted_tools,
    present,
    refuse,
)

NAME = "anthropic"
VERSION = "2023-06-01"
MAX_TOKENS = 32000
"""Tokens of an answer when the request does not say: the API wants a number, and every model since 4 allows this one."""
_OLDER = ((re.compile(r"claude-3-(opus|sonnet|haiku)|claude-(2|instant)"), 4096), (re.compile(r"claude-3"), 8192))
"""What older models may write at most (platform.claude.com/docs/en/about-claude/models)."""
THINKING = 4096
"""Tokens of reasoning when thinking is just switched on."""
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 31999}
"""Tokens of reasoning for an effort, for models that only know budgets; all stay below what these may write at most."""
_ADAPTIVE = re.compile(r"opus-4-[7-9](?!\d)|(opus|sonnet|haiku|fable|mythos)-[5-9](?!\d)")
_EFFORT = re.compile(r"(opus|sonnet)-4-6(?!\d)")
EMPTY = "(empty)"
"""What stands for a user's turn without a word in it: the API refuses blank texts, and a turn must say something."""
TAKEN = {
    "image": frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
    "document": frozenset({"application/pdf", "text/plain"}),
}
"""The media types of bytes, by what they are."""

_ID = re.compile(r"[a-zA-Z0-9_-]+")
FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "pause",  # what was said before stands in a summary now, and the turn goes on from there
}


# -- rendering -------------------------------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A Messages request without its messages."""
    refuse(NAME, request, ("seed", "presence_penalty", "frequency_penalty", "top_logprobs"))
    if request.json_mode and request.output_schema is None:
        raise cannot(NAME, "json_mode", "give an output type")
    body: Json = {"model": model, "stream": stream, "max_tokens": request.settings.max_tokens or most_tokens(model)}
    system = render_standing(request)
    if system:
        body["system"] = system
    if request.tools:
        body["tools"] = render_tools(request)
    if request.tools or hosted_tools(request):
        choice = render_tool_choice(request)
        if choice:
            body["tool_choice"] = choice
    config: Json = {}
    if request.output_schema is not None:
        config["format"] = {"type": "json_schema", "schema": request.output_schema}
    if request.settings.thinking is not None and not (request.settings.thinking and begun_elsewhere(request)):
        thinking, effort = render_thinking(request.settings.thinking, model)
        body["thinking"] = thinking
        config |= present(effort=effort)
        if body["max_tokens"] <= thinking.get("budget_tokens", 0):  # the budget is part of what may be written
            body["max_tokens"] += thinking["budget_tokens"]
    if config:
        body["output_config"] = config
    if request.settings.prompt_cache:
        body["cache_control"] = render_mark(CACHE)
    return body | present(
        temperature=request.settings.temperature,
        top_p=request.settings.top_p,
        top_k=request.settings.top_k,
        stop_sequences=list(request.settings.stop) or None,
    )


def most_tokens(model: str) -> int:
    """Tokens of an answer when the request does not say."""
    return next((most for pattern, most in _OLDER if pattern.search(model)), MAX_TOKENS)


def render_thinking(thinking: bool | int | str, model: str) -> tuple[Json, str | None]:
    """How much a model reasons: a budget where it takes one, else an effort that it adapts to.

    From Opus 4.7 and the fifth generation on, budgets are refused and reasoning is hidden unless a summary is asked for;
    models before 4.6 know no effort (platform.claude.com/docs/en/build-with-claude/extended-thinking and .../effort).
    """
    if thinking is False:
        return {"type": "disabled"}, None
    if _ADAPTIVE.search(model):
        effort = None if thinking is True else effort_of(thinking, model)
        return {"type": "adaptive", "display": "summarized"}, "low" if effort == "minimal" else effort
    if isinstance(thinking, str) and _EFFORT.search(model):
        return {"type": "adaptive"}, "low" if thinking == "minimal" else thinking
    budget = THINKING if thinking is True else BUDGETS[thinking] if isinstance(thinking, str) else thinking
    return {"type": "enabled", "budget_tokens": max(1024, budget)}, None


def begun_elsewhere(request: Request) -> bool:
    """Whether the tool calls that wait for an answer were made by another provider's model.

    A loop that begins without thinking blocks has to go on without: the API refuses to think in its middle.
    """
    for turn in reversed(request.turns):
        if isinstance(turn, UserTurn):
            return False
        if isinstance(turn, AssistantTurn) and turn.calls and turn.wire != NAME:
            return True
    return False


def render_standing(request: Request) -> str | list[Json]:
    """Standing instructions: text, or blocks with cache marks."""
    if isinstance(request.system, str):
        return request.system if request.system.strip() else ""
    return _blocks(request.system)


def _blocks(parts: tuple[str | Media | CacheMark, ...]) -> list[Json]:
    blocks: list[Json] = []
    for part in parts:
        if isinstance(part, CacheMark):
            if blocks:
                blocks[-1] = {**blocks[-1], "cache_control": render_mark(part)}
        elif not isinstance(part, str):
            blocks.append(render_media(part))
        elif part.strip():  # blank texts are refused
            blocks.append({"type": "text", "text": part})
    return blocks


def render_mark(mark: CacheMark) -> Json:
    """A mark for the prompt cache."""
    return {"type": "ephemeral"} | present(ttl=mark.ttl)


def marked(block: Json, mark: CacheMark | None) -> Json:
    """The block with its mark, if it has one."""
    return block if mark is None else {**block, "cache_control": render_mark(mark)}


def render_tools(request: Request) -> list[Json]:
    """All tools. They stand before the instructions: a mark that these begin with is a mark behind the last tool."""
    tools = [render_tool(tool) for tool in request.tools]
    first = next(iter(request.system_parts), None)
    if isinstance(first, CacheMark):
        tools[-1] = marked(tools[-1], first)
    return tools


def render_tool(tool: ToolSpec) -> Json:
    """One tool."""
    named = {"name": tool.name, "input_schema": tool.parameters}
    return marked(named | present(description=tool.description or None, strict=tool.strict), tool.cache)


def render_tool_choice(request: Request) -> Json:
    """Which tool it is to call, and whether several at once."""
    choice = request.settings.tool_choice
    single = request.settings.parallel_calls is False
    if choice is None and not single:
        return {}
    body: Json
    if choice is None or choice in ("auto", "none"):
        body = {"type": choice or "auto"}
    else:
        body = {"type": "any"} if choice == "required" else {"type": "tool", "name": choice}
    if request.settings.parallel_calls is not None and choice != "none":
        body["disable_parallel_tool_use"] = single
    return body


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as a message."""
    match turn:
        case UserTurn():
            return [{"role": "user", "content": _said(turn)}]
        case AssistantTurn():
            own = turn.wire == NAME
            blocks = [block for part in turn.in_order if (block := _part(part, own))]
            return [{"role": "assistant", "content": blocks}] if blocks else []
        case ToolTurn():
            return [{"role": "user", "content": [_result(result) for result in turn.results]}]


def _said(turn: UserTurn) -> str | list[Json]:
    if isinstance(turn.content, str):
        return turn.content if turn.content.strip() else EMPTY
    return _blocks(turn.content) or EMPTY


def call_id(id: str) -> str:
    """An id as the API takes it: another provider's may hold what it refuses."""
    return id if _ID.fullmatch(id) else "toolu_" + hashlib.sha256(id.encode()).hexdigest()[:24]


def _part(part: Part, own: bool) -> Json | None:
    match part:
        case TextPart():
            cited = present(citations=part.keep.get("citations")) if own else {}
            return {"type": "text", "text": part.text, **cited} if part.text.strip() else None
        case ToolCall():
            call = {"type": "tool_use", "id": call_id(part.id), "name": part.name}
            return marked({**call, "input": arguments_of(part.arguments)}, part.cache)
        case Thinking():
            if not own or not part.keep:
                return None
            if "data" in part.keep:
                return {"type": "redacted_thinking", "data": part.keep["data"]}
            return {"type": "thinking", "thinking": part.text, "signature": part.keep.get("signature", "")}
        case Block():
            return dict(part.keep["item"]) if own else None


def _result(result: ToolResult) -> Json:
    body: Json = {"type": "tool_result", "tool_use_id": call_id(result.id)}
    content = result.content if isinstance(result.content, str) else _blocks(result.content)
    if not isinstance(content, str) or content.strip():  # one that says nothing just has none
        body["content"] = content
    return marked(body if result.ok else {**body, "is_error": True}, result.cache)


def render_media(media: Media) -> Json:
    """A picture or document."""
    if media.kind not in ("image", "document"):
        raise cannot(NAME, media.kind)
    source: Json
    if media.url:
        source = {"type": "url", "url": media.url}
    elif media.file_id:
        source = {"type": "file", "file_id": media.file_id}
    elif media.mime not in TAKEN[media.kind] and not media.mime.startswith("text/"):
        raise cannot(NAME, f"{media.kind} bytes of {media.mime}", f"it takes {', '.join(sorted(TAKEN[media.kind]))}")
    elif media.mime.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": media.data.decode("utf-8", "replace")}
    else:
        source = {"type": "base64", "media_type": media.mime, "data": media.base64}
    titled = present(title=media.name or None) if media.kind == "document" else {}
    return {"type": media.kind, "source": source} | titled


# -- parsing ---------------------------------------------------------------------------------------------------------------
class MessagesParser:
    """Reads one reply. Blocks come by index; usage is cumulative and merged."""

    def __init__(self, dialect: Dialect) -> None:
        self.done = False
        self.usage: Json = {}
        self.raw: str | None = None
        self.called = False
        self.whole_inputs: dict[int, Json] = {}
        """Inputs of calls that came with the beginning of their block, until pieces come instead."""
        self.blocks: dict[int, Json] = {}
        """Blocks that only go back, while their pieces come."""
        self.pieces: dict[int, list[str]] = {}
        self.citations: dict[int, list[Json]] = {}

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens told so far."""
        return parse_usage(self.usage) if self.usage else None

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One event."""
        match data.get("type") or name:
            case "content_block_delta":
                return self._delta(data["index"], data["delta"])
            case "content_block_start":
                return self._start(data["index"], data["content_block"])
            case "content_block_stop":
                return self._stop(data["index"])
            case "message_start":
                message = data.get("message") or {}
                self._merge(message.get("usage"))
                return [Opened(NAME, message.get("model") or "", message.get("id") or "")]
            case "message_delta":
                self.raw = (data.get("delta") or {}).get("stop_reason") or self.raw
                self._merge(data.get("usage"))
                return []
            case "message_stop":
                self.done = True
                return []
            case "error":
                raise fault(NAME, None, data)
            case _:  # ping, and whatever comes next year
                return []

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole message."""
        if data.get("type") == "error":
            raise fault(NAME, None, data)
        if not isinstance(data.get("content"), list):
            raise MalformedReply(f"a message without content: {str(data)[:200]}")
        events: list[ModelEvent] = [Opened(NAME, data.get("model") or "", data.get("id") or "")]
        for index, block in enumerate(data["content"]):
            events += [*self._start(index, block), *self._stop(index)]
        self.raw = data.get("stop_reason")
        self._merge(data.get("usage"))
        self.done = True
        return events

    def end(self) -> list[ModelEvent]:
        """Usage and finish."""
        if not self.done:
            raise MalformedReply("the stream ended without message_stop")
        unended = [event for index in (*self.whole_inputs, *self.blocks) for event in self._stop(index)]
        reason = finish_of(FINISH, self.raw, NAME)
        if reason == "stop" and self.called:
            reason = "tool_calls"
        return [*unended, *([self.spent] if self.spent else []), Finished(reason, self.raw or "")]

    def _merge(self, usage: Json | None) -> None:
        for name, value in (usage or {}).items():
            if value is not None and (value != 0 or name not in self.usage):  # counts grow: a zero at the end is none
                self.usage[name] = value

    def _start(self, index: int, block: Json) -> list[ModelEvent]:
        match block.get("type"):
            case "text":
                said: list[ModelEvent] = [TextDelta(block["text"], index)] if block.get("text") else []
                return [*said, *(event for cited in block.get("citations") or () for event in self._cite(index, cited))]
            case "thinking":
                events: list[ModelEvent] = [ThinkingDelta(block.get("thinking") or "", index)]
                signature = block.get("signature")
                return [*events, Kept("thinking", index, {"signature": signature})] if signature else events
            case "redacted_thinking":
                return [Kept("thinking", index, {"data": block.get("data", "")})]
            case "tool_use":
                self.called = True
                self.whole_inputs[index] = block.get("input") or {}
                return [CallDelta(index, block.get("id") or "", block.get("name") or "")]
            case kind:
                self.blocks[index] = block
                hosted = str(block.get("name") or "") if str(kind).endswith("_tool_use") else ""
                return [Kept("block", index, present(name=hosted or None, item=block))]

    def _delta(self, index: int, delta: Json) -> list[ModelEvent]:
        match delta.get("type"):
            case "text_delta":
                return [TextDelta(delta["text"], index)]
            case "input_json_delta":
                return self._input(index, delta.get("partial_json") or "")
            case "thinking_delta":
                return [ThinkingDelta(delta.get("thinking") or "", index)]
            case "signature_delta":
                return [Kept("thinking", index, {"signature": delta.get("signature") or ""})]
            case "citations_delta":
                return self._cite(index, delta.get("citation") or {})
            case "compaction_delta" if index in self.blocks:
                return self._summary(index, delta)
            case _:
                return []

    def _input(self, index: int, piece: str) -> list[ModelEvent]:
        """A piece of a call's arguments, or of what a hosted tool is given, which is nobody's call here."""
        if index in self.blocks:
            self.pieces.setdefault(index, []).append(piece)
            return []
        if index not in self.whole_inputs:
            raise MalformedReply(f"arguments of no call: nothing has begun at index {index}")
        if piece.strip():
            self.whole_inputs[index] = {}
        return [CallDelta(index, arguments=piece)]

    def _cite(self, index: int, citation: Json) -> list[ModelEvent]:
        """A source of a text, which goes back with it: the API finds it again by its own references."""
        cited = self.citations.setdefault(index, [])
        cited.append(citation)
        source = Cited(
            citation.get("url") or (citation.get("source") or ""),
            citation.get("title") or citation.get("document_title") or "",
            quote=citation.get("cited_text") or "",
            index=index,
        )
        return [source, Kept("text", index, {"citations": list(cited)})]

    def _summary(self, index: int, delta: Json) -> list[ModelEvent]:
        """A piece of the summary that stands for what was said before (.../build-with-claude/compaction)."""
        block = dict(self.blocks[index])
        if delta.get("content") is not None:
            block["content"] = (block.get("content") or "") + delta["content"]
        if delta.get("encrypted_content") is not None:
            block["encrypted_content"] = delta["encrypted_content"]
        self.blocks[index] = block
        return [Kept("block", index, {"item": block})]

    def _stop(self, index: int) -> list[ModelEvent]:
        given = self.whole_inputs.get(index)
        if given:
            self.whole_inputs[index] = {}
            return [CallDelta(index, arguments=json.dumps(given))]
        pieces = self.pieces.pop(index, None)
        if pieces is None:
            return []
        block = self.blocks[index]
        item = {**block, "input": arguments_of("".join(pieces)) or block.get("input") or {}}
        return [Kept("block", index, {"item": item})]


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts: what was read from or written to the cache is counted beside the input here.

    The totals leave out what was not the answer itself: summing up what was said before, asking another model for advice.
    `iterations` lists these beside the passes that the totals do count ("message").
    """
    besides = [each for each in usage.get("iterations") or () if each.get("type") not in ("message", None)]

    def total(name: str) -> int | None:
        counts = [count for each in (usage, *besides) if (count := each.get(name)) is not None]
        return sum(counts) if counts else None

    read, write = total("cache_read_input_tokens"), total("cache_creation_input_tokens")
    return UsageDelta(
        (total("input_tokens") or 0) + (read or 0) + (write or 0),
        total("output_tokens") or 0,
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    )


WIRE = Wire(
    name=NAME,
    turns="messages",
    framing="sse",
    path=lambda model, stream: "/v1/messages",
    render_head=render_head,
    render_system=lambda request, dialect: [],
    render_turn=render_turn,
    parser=MessagesParser,
    limits=lambda extra: bounded(extra, "max_tokens"),
    listing="/v1/models?limit=1000",
)
