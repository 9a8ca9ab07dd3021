"""Replies of OpenAI chat completions, and of the servers that speak the same format."""

from __future__ import annotations

import json
from typing import Any

from graphflow.errors import MalformedReply, ModelError
from graphflow.model.seam import (
    Cited,
    Finish,
    Finished,
    Kept,
    ModelEvent,
    Opened,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from graphflow.providers.faults import fault
from graphflow.providers.wires.call_pieces import CallPieces
from graphflow.providers.wires.json_object import Json
from graphflow.providers.wires.reply_fields import finish_of, later_usage, read_logprobs
from graphflow.providers.wires.wire import Dialect

NAME = "openai-chat"
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


_CHUNK = frozenset(
    {"id", "object", "created", "model", "system_fingerprint", "service_tier", "choices"}
)
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
            if choice.get("index"):  # several choices interleave; only the first is read
                continue
            delta = choice.get("delta") or choice.get("message") or {}
            self._delta(delta, events)
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
        if name == "error" or _is_failure(data):
            raise fault(self.dialect.name, None, data)
        groq = data.get("x_groq") or {}
        error = groq.get("error")
        if error:  # why Groq has stopped early
            self.failure = fault(self.dialect.name, None, {"error": error})
        usage = data.get("usage") or groq.get("usage")
        if usage:
            now = parse_usage(usage)
            self.spent = later_usage(self.spent, now)
        citations = data.get("citations")
        if isinstance(citations, list):  # xAI, Perplexity: all of them, in every chunk that has any
            self.cited = [Cited(url) for url in citations if isinstance(url, str)]

    def _beside_delta(self, choice: Json, data: Json, events: list[ModelEvent]) -> None:
        """What stands in a choice beside the model's own words."""
        # OpenRouter: the model's own provider failed, after these words or before any.
        if choice.get("error"):
            self.failure = fault(self.dialect.name, None, data)
        logprobs = choice.get("logprobs")
        if logprobs:
            events += read_logprobs(logprobs.get("content"))

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole chat completion."""
        if not data.get("choices") and not _is_failure(data):
            start = str(data)[:200]
            raise MalformedReply(f"a chat completion without choices: {start}")
        events = self.event(data, "")
        self.done = True
        return events

    def end(self) -> list[ModelEvent]:
        """Usage and finish, which may have come in any order."""
        if self.failure is not None:
            raise self.failure
        # Without a marker, the reason to finish is what tells a whole answer from one that was cut off.
        needs_marker = self.dialect.marker or self.raw is None
        if needs_marker and not self.done:
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
        # OpenRouter: signed or encrypted reasoning, wanted back as it came.
        if isinstance(details, list) and details:
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
        # The old form of a call: one, and without an id.
        if function and not delta.get("tool_calls"):
            self._call({"function": function}, 0, events)
        for annotation in delta.get("annotations") or ():
            self.cited += parse_annotation(annotation)
        # Groq: tools that it has run itself.
        for position, tool in enumerate(delta.get("executed_tools") or ()):
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


def _is_failure(data: Json) -> bool:
    return bool(data.get("error")) or data.get("object") == "error"


def parse_annotation(annotation: Json) -> list[Cited]:
    """A source of the text (OpenAI's search models, OpenRouter)."""
    citation = annotation.get("url_citation")
    if not citation:
        return []
    url = citation.get("url") or ""
    title = citation.get("title") or ""
    start = citation.get("start_index")
    end = citation.get("end_index")
    return [Cited(url, title, start, end)]


def _thoughts(thinking: Any) -> list[str]:
    """The texts of a part of thinking: a list of typed parts, or just a text."""
    pieces = thinking or ()
    if isinstance(thinking, str):
        pieces = [thinking]
    texts: list[str] = []
    for piece in pieces:
        text = piece
        if not isinstance(piece, str):
            text = piece.get("text")
        if text:
            texts.append(text)
    return texts


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts; cached ones are part of the input here."""
    read = usage.get("prompt_tokens_details") or {}
    written = usage.get("completion_tokens_details") or {}
    input_tokens = usage.get("prompt_tokens") or 0
    output_tokens = usage.get("completion_tokens") or 0
    cost = usage.get("cost")  # OpenRouter, in US dollars
    if not isinstance(cost, (int, float)):
        cost = None
    return UsageDelta(
        input_tokens,
        output_tokens,
        cost,
        cache_read_tokens=read.get("cached_tokens"),
        cache_write_tokens=read.get("cache_write_tokens"),
        reasoning_tokens=written.get("reasoning_tokens"),
    )
