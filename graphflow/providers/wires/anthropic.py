"""Anthropic Messages.

Reference: https://platform.claude.com/docs/en/api/messages
Thinking blocks go back unchanged and first in their turn; all results of a turn stand in one user message.
"""

from __future__ import annotations

import hashlib
import re

from graphflow.messages.media import Media
from graphflow.model.seam import Request, ToolSpec
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
from graphflow.providers.wires.anthropic_reply import NAME, MessagesParser
from graphflow.providers.wires.demands import cannot, effort_of, is_bounded, offers_tools, refuse
from graphflow.providers.wires.json_object import Json, arguments_of, present
from graphflow.providers.wires.wire import Dialect, Wire

VERSION = "2023-06-01"
MAX_TOKENS = 32000
"""Tokens of an answer when the request does not say: the API wants a number, and every model since 4 allows this one."""
_OLDER = (
    (re.compile(r"claude-3-(opus|sonnet|haiku)|claude-(2|instant)"), 4096),
    (re.compile(r"claude-3"), 8192),
)
"""What older models may write at most (platform.claude.com/docs/en/about-claude/models)."""
THINKING = 4096
"""Tokens of reasoning when thinking is just switched on."""
LEAST_BUDGET = 1024
"""Tokens of reasoning that the API takes as a budget at least."""
BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 31999,
}
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
    body |= _render_answer_fields(request, model, max_tokens)
    if settings.prompt_cache:
        body["cache_control"] = render_mark(CACHE)
    return body | present(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        stop_sequences=list(settings.stop) or None,
    )


def _render_answer_fields(request: Request, model: str, max_tokens: int) -> Json:
    """How the answer is to be, and how much is thought before it."""
    body: Json = {}
    # Format and effort share one object: how the answer is to be, not how it is sampled.
    output: Json = {}
    if request.output_schema is not None:
        output["format"] = {"type": "json_schema", "schema": request.output_schema}
    amount = request.settings.thinking
    if amount is not None and _may_think(request):
        thinking, effort = render_thinking(amount, model)
        body["thinking"] = thinking
        budget = thinking.get("budget_tokens", 0)
        if max_tokens <= budget:  # the budget is part of what may be written
            body["max_tokens"] = max_tokens + budget
        if effort is not None:
            output["effort"] = effort
    if output:
        body["output_config"] = output
    return body


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
            return {
                "type": "thinking",
                "thinking": part.text,
                "signature": keep.get("signature", ""),
            }
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
        raise cannot(
            NAME, f"{media.kind} bytes of {media.mime}", f"it takes {', '.join(sorted(known))}"
        )
    return {"type": "base64", "media_type": media.mime, "data": media.base64}


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
