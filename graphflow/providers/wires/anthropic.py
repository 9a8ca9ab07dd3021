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
from graphflow.model.turns import (
    CACHE,
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
from graphflow.providers.faults import fault
from graphflow.providers.wires.demands import cannot, effort_of, is_bounded, offers_tools, refuse
from graphflow.providers.wires.json_object import Json, arguments_of, present
from graphflow.providers.wires.reply_fields import finish_of
from graphflow.providers.wires.wire import Dialect, Wire

NAME = "anthropic"
VERSION = "2023-06-01"
MAX_TOKENS = 32000
"""Tokens of an answer when the request does not say: the API wants a number, and every model since 4 allows this one."""
_OLDER = ((re.compile(r"claude-3-(opus|sonnet|haiku)|claude-(2|instant)"), 4096), (re.compile(r"claude-3"), 8192))
"""What older models may write at most (platform.claude.com/docs/en/about-claude/models)."""
THINKING = 4096
"""Tokens of reasoning when thinking is just switched on."""
LEAST_BUDGET = 1024
"""Tokens of reasoning that the API takes as a budget at least."""
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 31999}
"""Tokens of reasoning for an effort, for models that only know budgets; all stay below what these may write at most."""
_ADAPTIVE = re.compile(r"opus-4-[7-9](?!\d)|(opus|sonnet|haiku|fable|mythos)-[5-9](?!\d)")
_EFFORT = re.compile(r"(opus|sonnet)-4-6(?!\d)")
EMPTY = "(empty)"
"""What stands for a user's turn without a word in it: the API refuses blank texts, and a turn must say something."""
MIME_TYPES = {
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
    "compaction": "pause",  # a summary stands for the turns before it now, and the turn goes on from there
}


# -- rendering -------------------------------------------------------------------------------------------------------------
def render_head(request: Request, model: str, stream: bool, dialect: Dialect) -> Json:
    """A Messages request without its messages."""
    settings = request.settings
    refuse(NAME, request, ("seed", "presence_penalty", "frequency_penalty"))
    if request.top_logprobs:
        raise cannot(NAME, f"top_logprobs={request.top_logprobs}")
    if request.json_mode and request.output_schema is None:
        raise cannot(NAME, "json_mode", "give an output type")
    max_tokens = settings.max_tokens or max_tokens_of(model)
    body: Json = {"model": model, "stream": stream, "max_tokens": max_tokens}
    system = render_standing(request)
    if system:
        body["system"] = system
    body |= _render_tool_fields(request)
    # Format and effort share one object: how the answer is to be, not how it is sampled.
    output: Json = {}
    if request.output_schema is not None:
        output["format"] = {"type": "json_schema", "schema": request.output_schema}
    if settings.thinking is not None and _may_think(request):
        thinking, effort = render_thinking(settings.thinking, model)
        body["thinking"] = thinking
        budget = thinking.get("budget_tokens", 0)
        if max_tokens <= budget:  # the budget is part of what may be written
            body["max_tokens"] = max_tokens + budget
        if effort is not None:
            output["effort"] = effort
    if output:
        body["output_config"] = output
    if settings.prompt_cache:
        body["cache_control"] = render_mark(CACHE)
    return body | present(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        stop_sequences=list(settings.stop) or None,
    )


def max_tokens_of(model: str) -> int:
    """Tokens of an answer when the request does not say."""
    for pattern, limit in _OLDER:
        if pattern.search(model):
            return limit
    return MAX_TOKENS


def render_thinking(thinking: bool | int | str, model: str) -> tuple[Json, str | None]:
    """How much a model reasons: a budget where it takes one, else an effort that it adapts to.

    From Opus 4.7 and the fifth generation on, budgets are refused and reasoning is hidden unless a summary is asked for;
    models before 4.6 know no effort (platform.claude.com/docs/en/build-with-claude/extended-thinking and .../effort).
    """
    if thinking is False:
        return {"type": "disabled"}, None
    is_effort = isinstance(thinking, str)
    if _ADAPTIVE.search(model):
        effort = None if thinking is True else _effort(effort_of(thinking, model))
        return {"type": "adaptive", "display": "summarized"}, effort
    if is_effort and _EFFORT.search(model):
        return {"type": "adaptive"}, _effort(str(thinking))
    if thinking is True:
        budget = THINKING
    elif isinstance(thinking, str):
        budget = BUDGETS[thinking]
    else:
        budget = thinking
    return {"type": "enabled", "budget_tokens": max(LEAST_BUDGET, budget)}, None


def _effort(effort: str) -> str:
    """An effort in the API's words: its least is "low"."""
    return "low" if effort == "minimal" else effort


def _may_think(request: Request) -> bool:
    """Whether a request can say how much to think; in a loop of calls that another model began, only that it shall not."""
    return not request.settings.thinking or not begun_elsewhere(request)


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
    system = request.system
    if isinstance(system, str):
        return system if system.strip() else ""
    return _blocks(system)


def _blocks(parts: tuple[str | Media | CacheMark, ...]) -> list[Json]:
    blocks: list[Json] = []
    for part in parts:
        if isinstance(part, CacheMark):
            if blocks:
                blocks[-1] = with_mark(blocks[-1], part)
        elif not isinstance(part, str):
            blocks.append(render_media(part))
        elif part.strip():  # blank texts are refused
            blocks.append({"type": "text", "text": part})
    return blocks


def render_mark(mark: CacheMark) -> Json:
    """A mark for the prompt cache."""
    return {"type": "ephemeral"} | present(ttl=mark.ttl)


def with_mark(block: Json, mark: CacheMark | None) -> Json:
    """The block with its mark, if it has one."""
    if mark is None:
        return block
    return {**block, "cache_control": render_mark(mark)}


def _render_tool_fields(request: Request) -> Json:
    """The tools, and which of them it is to call."""
    fields: Json = {}
    if request.tools:
        fields["tools"] = render_tools(request)
    choice = render_tool_choice(request)
    if choice and offers_tools(request):
        fields["tool_choice"] = choice
    return fields


def render_tools(request: Request) -> list[Json]:
    """All tools. They stand before the instructions: a mark that these begin with is a mark behind the last tool."""
    tools = [render_tool(tool) for tool in request.tools]
    first = next(iter(request.system_parts), None)
    if isinstance(first, CacheMark):
        tools[-1] = with_mark(tools[-1], first)
    return tools


def render_tool(tool: ToolSpec) -> Json:
    """One tool."""
    rendered: Json = {"name": tool.name, "input_schema": tool.parameters}
    rendered |= present(description=tool.description or None, strict=tool.strict)
    return with_mark(rendered, tool.cache)


def render_tool_choice(request: Request) -> Json:
    """Which tool it is to call, and whether several at once."""
    choice = request.settings.tool_choice
    parallel = request.settings.parallel_calls
    body: Json
    match choice:
        case None if parallel is not False:
            return {}
        case None:
            body = {"type": "auto"}
        case "auto" | "none":
            body = {"type": choice}
        case "required":
            body = {"type": "any"}
        case name:
            body = {"type": "tool", "name": name}
    if parallel is not None and choice != "none":
        body["disable_parallel_tool_use"] = not parallel
    return body


def render_turn(turn: Turn, before: Turn | None, dialect: Dialect) -> list[Json]:
    """One turn as a message."""
    match turn:
        case UserTurn():
            return [{"role": "user", "content": _user_content(turn)}]
        case AssistantTurn():
            is_own = turn.wire == NAME
            parts = [_part(part, is_own) for part in turn.in_order]
            blocks = [block for block in parts if block]
            return [{"role": "assistant", "content": blocks}] if blocks else []
        case ToolTurn():
            results = [_result(result) for result in turn.results]
            return [{"role": "user", "content": results}]


def _user_content(turn: UserTurn) -> str | list[Json]:
    content = turn.content
    if isinstance(content, str):
        return content if content.strip() else EMPTY
    return _blocks(content) or EMPTY


def call_id(id: str) -> str:
    """An id as the API takes it: another provider's may hold what it refuses."""
    if _ID.fullmatch(id):
        return id
    digest = hashlib.sha256(id.encode()).hexdigest()
    return "toolu_" + digest[:24]


def _part(part: Part, is_own: bool) -> Json | None:
    """A part as a block; None if there is nothing to send of it. What Anthropic wants back goes back to it alone."""
    keep = part.keep if is_own else {}
    match part:
        case TextPart():
            if not part.text.strip():
                return None
            return {"type": "text", "text": part.text} | present(citations=keep.get("citations"))
        case ToolCall():
            call = {
                "type": "tool_use",
                "id": call_id(part.id),
                "name": part.name,
                "input": arguments_of(part.arguments),
            }
            return with_mark(call, part.cache)
        case Thinking() if "data" in keep:
            return {"type": "redacted_thinking", "data": keep["data"]}
        case Thinking():
            if not keep:
                return None
            return {"type": "thinking", "thinking": part.text, "signature": keep.get("signature", "")}
        case Block():
            return dict(keep["item"]) if keep else None


def _result(result: ToolResult) -> Json:
    body: Json = {"type": "tool_result", "tool_use_id": call_id(result.id)}
    content = result.content
    if not isinstance(content, str):
        body["content"] = _blocks(content)
    elif content.strip():  # one that says nothing just has none
        body["content"] = content
    if not result.ok:
        body["is_error"] = True
    return with_mark(body, result.cache)


def render_media(media: Media) -> Json:
    """A picture or document."""
    if media.kind not in ("image", "document"):
        raise cannot(NAME, media.kind)
    block: Json = {"type": media.kind, "source": _source_of(media)}
    if media.kind == "document" and media.name:
        block["title"] = media.name
    return block


def _source_of(media: Media) -> Json:
    if media.url:
        return {"type": "url", "url": media.url}
    if media.file_id:
        return {"type": "file", "file_id": media.file_id}
    if media.mime.startswith("text/"):
        text = media.data.decode("utf-8", "replace")
        return {"type": "text", "media_type": "text/plain", "data": text}
    known = MIME_TYPES[media.kind]
    if media.mime not in known:
        raise cannot(NAME, f"{media.kind} bytes of {media.mime}", f"it takes {', '.join(sorted(known))}")
    return {"type": "base64", "media_type": media.mime, "data": media.base64}


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
        """The tokens counted so far."""
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
                return [_opened_event(message)]
            case "message_delta":
                delta = data.get("delta") or {}
                self.raw = delta.get("stop_reason") or self.raw
                self._merge(data.get("usage"))
            case "message_stop":
                self.done = True
            case "error":
                raise fault(NAME, None, data)
        return []  # ping, and whatever comes next year

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole message."""
        if data.get("type") == "error":
            raise fault(NAME, None, data)
        content = data.get("content")
        if not isinstance(content, list):
            start = str(data)[:200]
            raise MalformedReply(f"a message without content: {start}")
        events: list[ModelEvent] = [_opened_event(data)]
        for index, block in enumerate(content):
            events += self._start(index, block)
            events += self._stop(index)
        self.raw = data.get("stop_reason")
        self._merge(data.get("usage"))
        self.done = True
        return events

    def end(self) -> list[ModelEvent]:
        """Usage and finish."""
        if not self.done:
            raise MalformedReply("the stream ended without message_stop")
        events: list[ModelEvent] = []
        for index in (*self.whole_inputs, *self.blocks):  # those whose end was not announced
            events += self._stop(index)
        reason = finish_of(FINISH, self.raw, NAME)
        if reason == "stop" and self.called:
            reason = "tool_calls"
        spent = self.spent
        if spent is not None:
            events.append(spent)
        events.append(Finished(reason, self.raw or ""))
        return events

    def _merge(self, usage: Json | None) -> None:
        for name, value in (usage or {}).items():
            is_reset = value == 0 and name in self.usage  # counts grow: a zero at the end is none
            if value is not None and not is_reset:
                self.usage[name] = value

    def _start(self, index: int, block: Json) -> list[ModelEvent]:
        match block.get("type"):
            case "text":
                return self._start_text(index, block)
            case "thinking":
                events: list[ModelEvent] = [ThinkingDelta(block.get("thinking") or "", index)]
                signature = block.get("signature")
                if signature:
                    events.append(Kept("thinking", index, {"signature": signature}))
                return events
            case "redacted_thinking":
                return [Kept("thinking", index, {"data": block.get("data", "")})]
            case "tool_use":
                self.called = True
                self.whole_inputs[index] = block.get("input") or {}
                return [CallDelta(index, block.get("id") or "", block.get("name") or "")]
            case kind:
                self.blocks[index] = block
                keep: Json = {"item": block}
                name = str(block.get("name") or "")
                if name and str(kind).endswith("_tool_use"):  # server_tool_use, mcp_tool_use: a hosted tool at work
                    keep["name"] = name
                return [Kept("block", index, keep)]

    def _start_text(self, index: int, block: Json) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        if block.get("text"):
            events.append(TextDelta(block["text"], index))
        for citation in block.get("citations") or ():
            events += self._cite(index, citation)
        return events

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
            raise MalformedReply(f"arguments without a call: nothing has begun at index {index}")
        if piece.strip():
            self.whole_inputs[index] = {}
        return [CallDelta(index, arguments=piece)]

    def _cite(self, index: int, citation: Json) -> list[ModelEvent]:
        """A source of a text, which goes back with it: the API finds it again by its own references."""
        citations = self.citations.setdefault(index, [])
        citations.append(citation)
        url = citation.get("url") or citation.get("source") or ""
        title = citation.get("title") or citation.get("document_title") or ""
        quote = citation.get("cited_text") or ""
        source = Cited(url, title, quote=quote, index=index)
        return [source, Kept("text", index, {"citations": list(citations)})]

    def _summary(self, index: int, delta: Json) -> list[ModelEvent]:
        """A piece of the summary that stands for earlier turns (.../build-with-claude/compaction)."""
        block = dict(self.blocks[index])
        piece = delta.get("content")
        if piece is not None:
            before = block.get("content") or ""
            block["content"] = before + piece
        encrypted = delta.get("encrypted_content")
        if encrypted is not None:
            block["encrypted_content"] = encrypted
        self.blocks[index] = block
        return [Kept("block", index, {"item": block})]

    def _stop(self, index: int) -> list[ModelEvent]:
        # The input came whole with the block's beginning, and no piece has come since: it is handed on at the end.
        whole_input = self.whole_inputs.get(index)
        if whole_input:
            self.whole_inputs[index] = {}
            return [CallDelta(index, arguments=json.dumps(whole_input))]
        pieces = self.pieces.pop(index, None)
        if pieces is None:
            return []
        block = dict(self.blocks[index])
        block["input"] = arguments_of("".join(pieces)) or block.get("input") or {}
        return [Kept("block", index, {"item": block})]


def _opened_event(message: Json) -> Opened:
    model = message.get("model") or ""
    id = message.get("id") or ""
    return Opened(NAME, model, id)


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts: what was read from or written to the cache is counted beside the input here.

    The totals leave out what was not the answer itself: summing up earlier turns, asking another model for advice.
    `iterations` lists these beside the passes that the totals do count ("message").
    """
    others = [each for each in usage.get("iterations") or () if each.get("type") not in ("message", None)]

    def total(name: str) -> int | None:
        counts = [each.get(name) for each in (usage, *others)]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    read = total("cache_read_input_tokens")
    written = total("cache_creation_input_tokens")
    prompt = total("input_tokens") or 0
    output = total("output_tokens") or 0
    details = usage.get("output_tokens_details") or {}
    return UsageDelta(
        prompt + (read or 0) + (written or 0),
        output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=details.get("thinking_tokens"),
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
    limits=lambda extra: is_bounded(extra, "max_tokens"),
    listing="/v1/models?limit=1000",
)
