"""Replies of Gemini: candidates with parts, which have no numbers, and why they ended."""

from __future__ import annotations

import json
from secrets import token_hex
from typing import Any, Literal

from graphflow.errors import MalformedReply
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
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from graphflow.providers.faults import fault
from graphflow.providers.wires.demands import cannot
from graphflow.providers.wires.json_object import Json
from graphflow.providers.wires.reply_fields import finish_of
from graphflow.providers.wires.wire import Dialect

NAME = "gemini"
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


_IN_EVERY_CHUNK = frozenset({"content", "index"})
_Kind = Literal["text", "thinking", "call", "block"]


class GeminiParser:
    """Reads one reply. Every chunk is a candidate with some parts; parts of one kind in a row are one part."""

    def __init__(self, dialect: Dialect) -> None:
        self.done = False
        self.opened = False
        self.raw: str | None = None
        self.explanation = ""
        self.blocked = False
        self.grounding: Json = {}
        self.texts: list[str] = []
        self.usage: Json = {}
        self.index = 0
        self.kind = ""
        self.called = False

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens counted so far."""
        return parse_usage(self.usage) if self.usage else None

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One chunk."""
        if data.get("error"):
            raise fault(NAME, None, data)
        events: list[ModelEvent] = []
        if not self.opened:
            self.opened = True
            events.append(_opened_event(data))
        usage = data.get("usageMetadata")
        if usage and (not self.usage or any(_counts(usage))):  # a chunk of zeros at the end is none
            self.usage = usage
        for candidate in data.get("candidates") or ():
            if candidate.get("index"):  # several candidates interleave; only the first is read
                continue
            content = candidate.get("content") or {}
            for part in content.get("parts") or ():
                self._part(part, events)
            if not candidate.keys() <= _IN_EVERY_CHUNK:
                self._end_of_candidate(candidate, events)
        feedback = data.get("promptFeedback")
        if feedback:
            self._read_feedback(feedback)
        return events

    def _read_feedback(self, feedback: Json) -> None:
        """A prompt that is refused has no candidates: why stands beside them."""
        reason = feedback.get("blockReason")
        if reason:
            self.raw = f"blockReason:{reason}"
            self.blocked = True

    def _end_of_candidate(self, candidate: Json, events: list[ModelEvent]) -> None:
        """What stands beside the parts, which is nearly always in the last chunk only."""
        self.raw = candidate.get("finishReason") or self.raw
        self.explanation = str(candidate.get("finishMessage") or self.explanation)
        self.grounding |= candidate.get("groundingMetadata") or {}
        likely = candidate.get("logprobsResult")
        if likely:
            events.append(LogprobsDelta(_likely(likely)))

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole reply; a list is a stream that was not asked for as server-sent events."""
        events: list[ModelEvent] = []
        chunks = data if isinstance(data, list) else [data]
        for chunk in chunks:
            if not isinstance(chunk, dict):
                start = str(chunk)[:200]
                raise MalformedReply(f"not a chunk of a reply: {start}")
            events += self.event(chunk, "")
        return events

    def end(self) -> list[ModelEvent]:
        """Usage and finish."""
        if self.raw is None:
            raise MalformedReply("the stream ended without a finishReason")
        events: list[ModelEvent] = [*parse_grounding(self.grounding, "".join(self.texts))]
        spent = self.spent
        if spent is not None:
            events.append(spent)
        events.append(Finished(self._reason(self.raw), self.raw))
        return events

    def _reason(self, raw: str) -> Finish:
        if self.blocked:
            return "content_filter"
        reason = finish_of(FINISH, raw, NAME, self.explanation)
        return "tool_calls" if reason == "stop" and self.called else reason

    # Parts have no numbers: those of one kind in a row are one part, and each call is one of its own.
    #   text text thinking text call call   ->   1 1 2 3 4 5
    def _at(self, kind: str) -> int:
        if kind != self.kind or kind == "call":
            self.kind = kind
            self.index += 1
        return self.index

    def _part(self, part: Json, events: list[ModelEvent]) -> None:
        """The events of one part. Text is nearly all that comes, and is looked for first."""
        signature = part.get("thoughtSignature")
        if "text" in part and not part.get("functionCall"):
            text = part["text"]
            kind: _Kind = "thinking" if part.get("thought") else "text"
            if signature and not text:
                self.kind = ""  # a signature on an empty part stays on a part of its own
            index = self._at(kind)
            if not text:
                pass
            elif kind == "thinking":
                events.append(ThinkingDelta(text, index))
            else:
                self.texts.append(text)
                events.append(TextDelta(text, index))
        elif part.get("functionCall"):
            kind = "call"
            index = self._at(kind)
            self._call(part["functionCall"], index, events)
        else:
            self._block(part, events)
            return
        if signature:
            events.append(Kept(kind, index, {"signature": signature}))
            self.kind = ""

    def _call(self, call: Json, index: int, events: list[ModelEvent]) -> None:
        if "partialArgs" in call or call.get("willContinue"):
            raise cannot(NAME, "calls piece by piece", "leave out streamFunctionCallArguments")
        self.called = True
        id = call.get("id")
        name = call.get("name") or ""
        arguments = json.dumps(call.get("args") or {})
        if id:
            events.append(CallDelta(index, id, name, arguments))
            return
        made_id = MADE + token_hex(5)
        events.append(CallDelta(index, made_id, name, arguments))
        events.append(Kept("call", index, {"made_id": True}))

    def _block(self, part: Json, events: list[ModelEvent]) -> None:
        self.kind = ""
        index = self._at("block")
        hosted_tool = "code_execution" if "executableCode" in part else ""
        events.append(Kept("block", index, {"name": hosted_tool, "item": part}))


def _opened_event(chunk: Json) -> Opened:
    model = chunk.get("modelVersion") or ""
    id = chunk.get("responseId") or ""
    return Opened(NAME, model, id)


def parse_grounding(grounding: Json, text: str) -> list[Cited]:
    """The sources of an answer (ai.google.dev/gemini-api/docs/google-search): which chunks support which stretch of it."""
    pages = dict(enumerate(map(_only_value, grounding.get("groundingChunks") or ())))
    cited: list[Cited] = []
    used: set[int] = set()
    for support in grounding.get("groundingSupports") or ():
        start, end = _stretch(support.get("segment") or {}, text)
        for number in support.get("groundingChunkIndices") or ():
            page = pages.get(number)
            if page is not None:
                used.add(number)
                cited.append(_source(page, start, end))
    for number, page in pages.items():
        if number not in used:
            cited.append(_source(page))
    return cited


def _only_value(chunk: Json) -> Json:
    """The page in a chunk, under the one key that says what kind of page it is: {"web": {"uri": ..., "title": ...}}."""
    return next(iter(chunk.values()), {})


def _source(page: Json, start: int | None = None, end: int | None = None) -> Cited:
    url = page.get("uri") or ""
    title = page.get("title") or ""
    return Cited(url, title, start, end)


def _stretch(segment: Json, text: str) -> tuple[int | None, int | None]:
    """The characters of a segment. Its places are counted in bytes, and its own words show whether they are right.

    In "Où? Là." the second sentence begins at character 4 and at byte 5.
    """
    words = segment.get("text") or ""
    raw = text.encode("utf-8", "surrogatepass")
    start = _characters(raw, segment.get("startIndex") or 0)
    last = segment.get("endIndex")
    if words:
        end = start + len(words)
    elif last is not None:
        end = _characters(raw, last)
    else:
        return None, None
    if words and text[start:end] != words:  # counted in one part of several, and they were joined
        start = text.find(words)
        end = start + len(words)
    return (None, None) if start < 0 else (start, end)


def _characters(raw: bytes, size: int) -> int:
    """How many characters so many bytes are."""
    return len(raw[:size].decode("utf-8", "ignore"))


def _likely(result: Json) -> tuple[Likely, ...]:
    """Tokens and what else was likely in their places (ai.google.dev/api/generate-content#LogprobsResult)."""
    tokens: list[Likely] = []
    chosen = result.get("chosenCandidates") or ()
    tops = result.get("topCandidates") or ()
    for candidate, top in zip(chosen, tops, strict=False):
        likeliest: list[tuple[str, float]] = []
        for other in top.get("candidates") or ():
            likeliest.append((other["token"], other["logProbability"]))
        token = candidate["token"]
        tokens.append(Likely(token, tuple(likeliest)))
    return tuple(tokens)


def _counts(usage: Json) -> list[int]:
    counts = [count for name, count in usage.items() if name.endswith("Count")]
    return [count for count in counts if isinstance(count, int)]


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts: thoughts and what hosted tools read are counted beside the rest here."""
    thoughts = usage.get("thoughtsTokenCount")
    prompt = usage.get("promptTokenCount") or 0
    read_by_tools = usage.get("toolUsePromptTokenCount") or 0
    answer = usage.get("candidatesTokenCount") or 0
    return UsageDelta(
        prompt + read_by_tools,
        answer + (thoughts or 0),
        cache_read_tokens=usage.get("cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )
