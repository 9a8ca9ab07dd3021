"""Replies of OpenAI Responses: items that stream in, and a terminal event that tells them again.

Rules:
1. An item of the terminal event is the streamed one with the same id or `call_id`, wherever it stands: the terminal output
   may lack items that were streamed, and places shift then.
2. What only a `*.done` event tells counts as much as what deltas tell; what was streamed stays when the terminal output
   lacks it.
3. Where two of them contradict each other, the later one is right, and the answer begins again with it (`Restarted`).
"""

from __future__ import annotations

from collections.abc import Iterable
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
    RefusalDelta,
    Restarted,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from graphflow.providers.faults import fault
from graphflow.providers.wires.wire import Dialect, Json, finish_of, present, read_logprobs

NAME = "openai-responses"
FINISH: dict[str, Finish] = {
    "completed": "stop",
    "incomplete:max_output_tokens": "length",
    "incomplete:content_filter": "content_filter",
}
UNMADE = ("queued", "in_progress")
PARTS = {"message": "text", "function_call": "call", "reasoning": "thinking"}
"""Which kind of part an item is; all others are blocks of the provider's own."""
DELTAS = {
    "response.output_text.delta": ("text", "content_index"),
    "response.function_call_arguments.delta": ("call", ""),
    "response.reasoning_summary_text.delta": ("thinking", "summary_index"),
    "response.reasoning_text.delta": ("thinking", "content_index"),
}
"""Events that bring a piece: of which kind of part, and which field numbers the texts in it."""
WHOLES = {
    "response.output_text.done": ("text", "content_index", "text"),
    "response.function_call_arguments.done": ("call", "", "arguments"),
    "response.reasoning_summary_text.done": ("thinking", "summary_index", "text"),
    "response.reasoning_text.done": ("thinking", "content_index", "text"),
}
"""Events that tell a text again as a whole: the same, and the field that holds it."""


class Item:
    """One item of the output, as far as it was told.

    Attributes:
        index: the index of its events.
        part: "text", "call", "thinking" or "block".
        full: its last form that the API gave as a whole, or nothing.
        closed: whether it was given whole, so that its texts are not told again one by one.
        stored: whether the provider keeps it, so that its id alone can go back.
    """

    __slots__ = ("closed", "full", "header", "index", "part", "refused", "stored", "texts")

    def __init__(self, index: int, part: str) -> None:
        self.index = index
        self.part = part
        self.full: Json = {}
        self.closed = False
        self.header = ("", "")
        self.texts: dict[int, list[str]] = {}
        self.refused = ""
        self.stored = False

    @property
    def told(self) -> str:
        """Its text, arguments or reasoning, as told so far."""
        between = "\n\n" if self.part == "thinking" else ""
        return between.join("".join(pieces) for pieces in self.texts.values())

    @property
    def broken_off(self) -> bool:
        """Whether its own status says that it is not whole, or nothing but its beginning has come."""
        return self.full.get("status") == "incomplete" or not (self.closed or self.texts)

    def say(self, piece: str, number: int = 0) -> list[ModelEvent]:
        """The event of a further piece of one of its texts."""
        pieces = self.texts.get(number)
        gap = "\n\n" if pieces is None and self.texts and self.part == "thinking" else ""
        if pieces is None:
            pieces = self.texts[number] = []
        pieces.append(piece)
        match self.part:
            case "text":
                return [TextDelta(piece, self.index)]
            case "call":
                return [CallDelta(self.index, arguments=piece)]
            case "thinking":
                return [ThinkingDelta(gap + piece, self.index)]
            case _:
                return []

    def name(self, full: Json) -> list[ModelEvent]:
        """The event of a call's id and name, if they were not told yet."""
        header = (full.get("call_id") or self.header[0], full.get("name") or self.header[1])
        if self.part != "call" or header == self.header:
            return []
        self.header = header
        return [CallDelta(self.index, *header)]

    def cited(self) -> list[ModelEvent]:
        """The sources of its text, each counted in the whole of it."""
        events: list[ModelEvent] = []
        before = 0
        for part in self.full.get("content") or () if self.part == "text" else ():
            if part.get("type") == "output_text":
                events += [_cited(told, before, self.index) for told in part.get("annotations") or ()]
                before += len(part.get("text") or "")
        return events

    def keep(self) -> list[ModelEvent]:
        """What has to go back with it."""
        full = self.full
        match full.get("type"):
            case None:
                return []
            case "message":
                kept = present(id=full.get("id"), phase=full.get("phase"))
                return [Kept("text", self.index, kept)] if kept and self.told else []
            case "function_call":
                return [Kept("call", self.index, {"id": full["id"]})] if full.get("id") else []
            case "reasoning":
                kept = present(id=full.get("id"), encrypted_content=full.get("encrypted_content"))
                kept |= present(stored=True if self.stored else None)
                return [Kept("thinking", self.index, {**kept, "summary": full.get("summary") or []})]
            case kind:
                hosted = str(kind) if str(kind).endswith("_call") else ""
                return [Kept("block", self.index, {"name": hosted, "item": full})]

    def complete(self, full: Json) -> list[ModelEvent] | None:
        """The events of what its full form says beyond what was told; None if it says something else."""
        said, refusal = text_of(full), "".join(refusals_of(full))
        told = self.told
        agrees = said.startswith(told) or not said
        agrees = agrees and (refusal.startswith(self.refused) or not refusal)
        self.full, self.closed = full, True
        events = self.name(full)
        if not agrees:
            self.texts, self.refused = {0: [said]}, refusal
            return None
        if len(said) > len(told):
            rest = said[len(told) :]
            last = max(self.texts, default=0)
            events += self.say(rest, last)
        if len(refusal) > len(self.refused):
            events.append(RefusalDelta(refusal[len(self.refused) :]))
            self.refused = refusal
        return [*events, *self.keep()]

    def again(self) -> list[ModelEvent]:
        """All that was told of it, from the beginning."""
        told, header = self.told, self.header
        self.texts, self.header = {}, ("", "")
        events = self.name({"call_id": header[0], "name": header[1]})
        if told:
            events += self.say(told)
        if self.refused:
            events.append(RefusalDelta(self.refused))
        return [*events, *self.keep()]


class ResponsesParser:
    """Reads one reply."""

    def __init__(self, dialect: Dialect) -> None:
        self.done = False
        self.opened: Opened | None = None
        self.items: dict[int, Item] = {}
        self.final: Json | None = None
        self.ended = "completed"
        self.stored = False

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens told so far."""
        usage = (self.final or {}).get("usage")
        return parse_usage(usage) if usage else None

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One event."""
        kind = data.get("type") or name
        if kind in DELTAS:
            part, number = DELTAS[kind]
            return self._at(data, part).say(data.get("delta") or "", data.get(number) or 0)
        if kind in WHOLES:
            part, number, field = WHOLES[kind]
            return self._text_done(self._at(data, part), data.get(number) or 0, data.get(field) or "")
        match kind:
            case "response.refusal.delta":
                self._at(data, "text").refused += data.get("delta") or ""
                return [RefusalDelta(data.get("delta") or "")]
            case "response.refusal.done":
                return self._refusal_done(self._at(data, "text"), data.get("refusal") or "")
            case "response.content_part.done" if (data.get("part") or {}).get("type") == "output_text":
                item = self._at(data, "text")
                return self._text_done(item, data.get("content_index") or 0, data["part"].get("text") or "")
            case "response.created" | "response.queued" | "response.in_progress":
                return self._open(data.get("response") or {})
            case "response.output_item.added":
                item = self._at(data, PARTS.get(data["item"].get("type"), "block"))
                item.full = item.full or data["item"]
                return item.name(data["item"])
            case "response.output_item.done":
                item = self._at(data, PARTS.get(data["item"].get("type"), "block"))
                events = item.complete(data["item"])
                return self._again() if events is None else events
            case "response.completed" | "response.incomplete" | "response.cancelled":
                self.done = True
                self.final, self.ended = data["response"], kind.removeprefix("response.")
                return [*self._open(self.final), *self._settled(self.final.get("output") or [])]
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
        return [*self._open(data), *self._settled(data["output"])]

    def end(self) -> list[ModelEvent]:
        """Usage and finish."""
        if not self.done or self.final is None:
            raise MalformedReply("the stream ended without response.completed")
        status = str(self.final.get("status") or self.ended)
        why = str((self.final.get("incomplete_details") or {}).get("reason") or "")
        raw = f"{status}:{why}" if why else status
        waits = "it is made in the background, and nobody here waits for it" if status in UNMADE else ""
        reason = finish_of(FINISH, raw, NAME, waits)
        calls = [item for item in self.items.values() if item.part == "call"]
        if calls and reason == "stop":  # the reply claims to be whole, but a call of it may say that it is not
            reason = "length" if any(item.broken_off for item in calls) else "tool_calls"
        parts = (part for item in self.items.values() for part in item.full.get("content") or ())
        likely = [event for part in parts for event in read_logprobs(part.get("logprobs"))]
        cited = [event for item in self.items.values() for event in item.cited()]
        return [*likely, *cited, *([self.spent] if self.spent else []), Finished(reason, raw)]

    def _open(self, response: Json) -> list[ModelEvent]:
        self.stored = self.stored or response.get("store") is True
        if self.opened is not None:
            return []
        self.opened = Opened(NAME, response.get("model") or "", response.get("id") or "")
        return [self.opened]

    def _at(self, data: Json, part: str) -> Item:
        """The item that an event is about."""
        index = data["output_index"]
        item = self.items.get(index)
        if item is None:
            item = self.items[index] = self._item(index, part)
        return item

    def _item(self, index: int, part: str) -> Item:
        item = Item(index, part)
        item.stored = self.stored
        return item

    def _text_done(self, item: Item, number: int, text: str) -> list[ModelEvent]:
        """One text of an item as a whole: what no delta told of it is told now."""
        told = "".join(item.texts.get(number, ()))
        if item.closed or text == told or not text:
            return []
        if text.startswith(told):
            return item.say(text[len(told) :], number)
        item.texts[number] = [text]
        return self._again()

    def _refusal_done(self, item: Item, refusal: str) -> list[ModelEvent]:
        if item.closed or not refusal.startswith(item.refused) or refusal == item.refused:
            return []
        rest, item.refused = refusal[len(item.refused) :], refusal
        return [RefusalDelta(rest)]

    # -- the terminal event ------------------------------------------------------------------------------------------------
    def _settled(self, output: list[Json]) -> list[ModelEvent]:
        """What the terminal event says beyond what was streamed."""
        streamed = self._matched(output)
        events: list[ModelEvent] = []
        agrees = self._in_order(streamed)
        found: list[Item] = []
        for full, item in zip(output, streamed, strict=True):
            if item is None:
                item = self._item(1 + max(self.items, default=-1), PARTS.get(full.get("type") or "", "block"))
                self.items[item.index] = item
            further = item.complete(full)
            agrees = agrees and further is not None
            events += further or []
            found.append(item)
        if agrees:
            return events
        self._reorder(found)
        return self._again()

    def _matched(self, output: list[Json]) -> list[Item | None]:
        """The streamed item that each item of the output is, or None for one that was not streamed."""
        free = dict(self.items)
        matched: list[Item | None] = [None] * len(output)

        def take(position: int, candidates: Iterable[Item]) -> None:
            item = next(iter(candidates), None)
            if item is not None:
                matched[position] = free.pop(item.index)

        for position, full in enumerate(output):
            take(position, [item for item in free.values() if _same(item, full)])
        for position, full in enumerate(output):  # without ids, or with ids that change from event to event
            if matched[position] is None:
                take(position, [item for item in free.values() if _alike(item, full, position)])
        return matched

    def _in_order(self, streamed: list[Item | None]) -> bool:
        """Whether what is new only follows, and what was streamed comes in its order: reasoning must precede its call."""
        told = [item.index for item in streamed if item is not None]
        first_new = next((n for n, item in enumerate(streamed) if item is None), len(streamed))
        return told == sorted(told) and first_new == len(told)

    def _reorder(self, found: list[Item]) -> None:
        """Numbers the items anew: in the output's order, and those that it lacks where they stood."""
        order = list(found)
        for item in sorted(self.items.values(), key=lambda each: each.index):
            if item not in order:
                after = (n for n, other in enumerate(order) if other.index > item.index)
                order.insert(next(after, len(order)), item)
        for index, item in enumerate(order):
            item.index = index
        self.items = {item.index: item for item in order}

    def _again(self) -> list[ModelEvent]:
        opened = self.opened or Opened(NAME)
        return [Restarted(), opened, *(event for n in sorted(self.items) for event in self.items[n].again())]


def _same(item: Item, full: Json) -> bool:
    """Whether an item of the output is this one, by its ids."""
    if full.get("call_id"):
        return bool(item.header[0] == full["call_id"])
    return bool(full.get("id")) and item.full.get("id") == full["id"]


def _alike(item: Item, full: Json, position: int) -> bool:
    """Whether an item of the output can be this one, where ids say nothing."""
    kind = item.full.get("type") or next((name for name, part in PARTS.items() if part == item.part), None)
    if kind != full.get("type"):
        return False
    if item.part == "call":
        return not (item.header[0] and full.get("call_id"))
    unnamed = not (item.full.get("id") and full.get("id"))
    continued = text_of(full).startswith(item.told)
    return bool(unnamed or item.index == position or continued)


def _cited(annotation: Json, before: int, index: int) -> Cited:
    """A source, and where it is told of in a text that begins after so many characters."""
    start, end = annotation.get("start_index"), annotation.get("end_index")
    if start is None or end is None:  # a file is cited at a point
        start = end = annotation.get("index")
    title = annotation.get("title") or annotation.get("filename") or annotation.get("file_id") or ""
    if start is None or end is None:
        return Cited(annotation.get("url") or "", title)
    return Cited(annotation.get("url") or "", title, before + start, before + end, index=index)


def text_of(full: Json) -> str:
    """What an item says."""
    match full.get("type"):
        case "message":
            parts = full.get("content") or ()
            return "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")
        case "function_call":
            return full.get("arguments") or ""
        case "reasoning":
            pieces = [piece.get("text") or "" for piece in full.get("summary") or full.get("content") or ()]
            return "\n\n".join(pieces)
        case _:
            return ""


def refusals_of(full: Json) -> list[str]:
    """The words in which an item declines."""
    if full.get("type") != "message":
        return []
    return [part["refusal"] for part in full.get("content") or () if part.get("refusal")]


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
