"""Replies of Anthropic Messages: blocks that come by index, each with a beginning, pieces and an end."""

from __future__ import annotations

import json
from typing import Any

from graphflow.errors import MalformedReply
from graphflow.model.seam import (
    CallDelta,
    Cited,
    Finish,
    Finished,
    Kept,
    ModelEvent,
    Opened,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from graphflow.providers.faults import fault
from graphflow.providers.wires.json_object import Json, arguments_of
from graphflow.providers.wires.reply_fields import finish_of
from graphflow.providers.wires.wire import Dialect

NAME = "anthropic"
FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    "pause_turn": "pause",
    # A summary stands for the turns before it now, and the turn goes on from there.
    "compaction": "pause",
}


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
                return self._start_thinking(index, block)
            case "redacted_thinking":
                return [Kept("thinking", index, {"data": block.get("data", "")})]
            case "tool_use":
                return self._start_call(index, block)
            case kind:
                self.blocks[index] = block
                keep: Json = {"item": block}
                name = str(block.get("name") or "")
                # server_tool_use, mcp_tool_use: a hosted tool at work.
                if name and str(kind).endswith("_tool_use"):
                    keep["name"] = name
                return [Kept("block", index, keep)]

    def _start_thinking(self, index: int, block: Json) -> list[ModelEvent]:
        thought = block.get("thinking") or ""
        events: list[ModelEvent] = [ThinkingDelta(thought, index)]
        signature = block.get("signature")
        if signature:
            keep = {"signature": signature}
            events.append(Kept("thinking", index, keep))
        return events

    def _start_call(self, index: int, block: Json) -> list[ModelEvent]:
        self.called = True
        self.whole_inputs[index] = block.get("input") or {}
        call_id = block.get("id") or ""
        name = block.get("name") or ""
        return [CallDelta(index, call_id, name)]

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
        so_far = {"citations": list(citations)}
        return [source, Kept("text", index, so_far)]

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
    others = [
        each for each in usage.get("iterations") or () if each.get("type") not in ("message", None)
    ]

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
