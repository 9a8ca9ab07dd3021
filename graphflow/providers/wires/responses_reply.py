"""Replies of OpenAI Responses: items that stream in, and a terminal event that repeats them all.

Rules:
1. An item of the terminal event is the streamed one with the same id or `call_id`, wherever it stands: the terminal output
   may lack items that were streamed, and places shift then.
2. What only a `*.done` event says counts as much as what deltas say; what was streamed stays when the terminal output
   lacks it.
3. Where two of them contradict each other, the later one is right, and the answer begins again with it (`Restarted`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphflow.errors import MalformedReply
from graphflow.model.seam import (
    Finish,
    Finished,
    ModelEvent,
    Opened,
    RefusalDelta,
    Restarted,
    UsageDelta,
)
from graphflow.providers.faults import fault
from graphflow.providers.wires.json_object import Json
from graphflow.providers.wires.reply_fields import finish_of, read_logprobs
from graphflow.providers.wires.responses_item import Item, part_of
from graphflow.providers.wires.wire import Dialect

NAME = "openai-responses"
FINISH: dict[str, Finish] = {
    "completed": "stop",
    "incomplete:max_output_tokens": "length",
    "incomplete:content_filter": "content_filter",
}
UNFINISHED = ("queued", "in_progress")
DELTAS = {
    "response.output_text.delta": ("text", "content_index"),
    "response.function_call_arguments.delta": ("call", ""),
    "response.reasoning_summary_text.delta": ("thinking", "summary_index"),
    "response.reasoning_text.delta": ("thinking", "content_index"),
}
"""Events that bring a piece: of which kind of part, and which field numbers the texts in it."""
TEXTS = {
    "response.output_text.done": ("text", "content_index", "text"),
    "response.function_call_arguments.done": ("call", "", "arguments"),
    "response.reasoning_summary_text.done": ("thinking", "summary_index", "text"),
    "response.reasoning_text.done": ("thinking", "content_index", "text"),
}
"""Events that repeat a text as a whole: the same, and the field that holds it."""


class ResponsesParser:
    """Reads one reply."""

    def __init__(self, dialect: Dialect) -> None:
        self.done = False
        self.opened: Opened | None = None
        self.items: dict[int, Item] = {}
        self.final: Json | None = None
        self.kind = "response.completed"
        """The type of the event that is read, or of the last one."""
        self.stored = False

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens counted so far."""
        if self.final is None:
            return None
        usage = self.final.get("usage")
        return parse_usage(usage) if usage else None

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One event."""
        kind = data.get("type") or name
        if kind in DELTAS:  # nearly every event of a stream
            part, number = DELTAS[kind]
            item = self._item_at(data, part)
            return item.add(data.get("delta") or "", data.get(number) or 0)
        if kind in TEXTS:
            part, number, field = TEXTS[kind]
            item = self._item_at(data, part)
            return self._whole_text(item, data.get(number) or 0, data.get(field) or "")
        handler = _HANDLERS.get(kind)
        if handler is None:
            return []
        self.kind = kind
        return handler(self, data)

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole response."""
        if data.get("error") or data.get("status") == "failed":
            raise fault(NAME, None, data)
        output = data.get("output")
        if not isinstance(output, list):
            start = str(data)[:200]
            raise MalformedReply(f"a response without output: {start}")
        self.done = True
        self.final = data
        return self._open(data) + self._settle(output)

    def end(self) -> list[ModelEvent]:
        """Usage and finish."""
        if not self.done or self.final is None:
            raise MalformedReply("the stream ended without response.completed")
        events: list[ModelEvent] = []
        for item in self.items.values():
            for part in item.full.get("content") or ():
                events += read_logprobs(part.get("logprobs"))
        for item in self.items.values():
            events += item.sources()
        spent = self.spent
        if spent is not None:
            events.append(spent)
        events.append(self._finish(self.final))
        return events

    def _finish(self, final: Json) -> Finished:
        status = str(final.get("status") or self.kind.removeprefix("response."))
        raw = _raw_finish(status, final)
        hint = ""
        if status in UNFINISHED:
            hint = "it is made in the background, and nobody here waits for it"
        reason = finish_of(FINISH, raw, NAME, hint)
        if reason != "stop":
            return Finished(reason, raw)
        calls = [item for item in self.items.values() if item.part == "call"]
        # The reply claims to be whole, and a call in it says that it is not.
        if any(call.is_cut for call in calls):
            reason = "length"
        elif calls:
            reason = "tool_calls"
        return Finished(reason, raw)

    # -- events ------------------------------------------------------------------------------------
    def _response_began(self, data: Json) -> list[ModelEvent]:
        return self._open(data.get("response") or {})

    def _response_ended(self, data: Json) -> list[ModelEvent]:
        final: Json = data["response"]
        self.done = True
        self.final = final
        output = final.get("output") or []
        return self._open(final) + self._settle(output)

    def _response_failed(self, data: Json) -> list[ModelEvent]:
        self.final = data.get("response")
        raise fault(NAME, None, data)

    def _item_began(self, data: Json) -> list[ModelEvent]:
        full = data["item"]
        item = self._item_at(data, part_of(full))
        item.full = item.full or full
        return item.name_call(full)

    def _item_done(self, data: Json) -> list[ModelEvent]:
        full = data["item"]
        item = self._item_at(data, part_of(full))
        events = item.complete(full)
        return self._from_start() if events is None else events

    def _content_done(self, data: Json) -> list[ModelEvent]:
        content = data.get("part") or {}
        if content.get("type") != "output_text":
            return []
        item = self._item_at(data, "text")
        number = data.get("content_index") or 0
        text = content.get("text") or ""
        return self._whole_text(item, number, text)

    def _refusal_piece(self, data: Json) -> list[ModelEvent]:
        piece = data.get("delta") or ""
        self._item_at(data, "text").refusal += piece
        return [RefusalDelta(piece)]

    def _whole_refusal(self, data: Json) -> list[ModelEvent]:
        item = self._item_at(data, "text")
        refusal = data.get("refusal") or ""
        further = refusal[len(item.refusal) :]
        if item.closed or not further:
            return []
        if not refusal.startswith(item.refusal):
            return []
        item.refusal = refusal
        return [RefusalDelta(further)]

    def _whole_text(self, item: Item, number: int, text: str) -> list[ModelEvent]:
        """One text of an item as a whole: what no delta has brought of it comes now."""
        if item.closed or not text:
            return []
        before = "".join(item.texts.get(number, ()))
        if text == before:
            return []
        if text.startswith(before):
            further = text[len(before) :]
            return item.add(further, number)
        item.texts[number] = [text]
        return self._from_start()

    def _open(self, response: Json) -> list[ModelEvent]:
        if response.get("store") is True:
            self.stored = True
        if self.opened is not None:
            return []
        model = response.get("model") or ""
        id = response.get("id") or ""
        self.opened = Opened(NAME, model, id)
        return [self.opened]

    def _item_at(self, data: Json, part: str) -> Item:
        """The item that an event is about."""
        index = data["output_index"]
        item = self.items.get(index)
        if item is None:
            item = self.items[index] = Item(index, part, self.stored)
        return item

    # -- the terminal event ------------------------------------------------------------------------
    def _settle(self, output: list[Json]) -> list[ModelEvent]:
        """What the terminal output says beyond what was streamed."""
        streamed = self._matches(output)
        agrees = _in_order(streamed)
        events: list[ModelEvent] = []
        items: list[Item] = []
        # What the full forms say beyond the pieces may be handed on as it is only if no piece was wrong and none is missing
        # in the middle; else the answer begins again, in the output's order.
        for full, item in zip(output, streamed, strict=True):
            if item is None:
                item = self._new_item(part_of(full))
            items.append(item)
            further = item.complete(full)
            if further is None:
                agrees = False
            else:
                events += further
        if agrees:
            return events
        self._reorder(items)
        return self._from_start()

    def _new_item(self, part: str) -> Item:
        index = 1 + max(self.items, default=-1)
        item = Item(index, part, self.stored)
        self.items[index] = item
        return item

    def _matches(self, output: list[Json]) -> list[Item | None]:
        """The streamed item that each item of the output is, or None for one that was not streamed.

        Ids decide for all of them before anything else decides for one: else an item without an id could take the place of
        one that has it.
        """
        free = list(self.items.values())
        matches: dict[int, Item] = {}

        def take(position: int, candidates: list[Item]) -> None:
            if candidates:
                item = candidates[0]
                free.remove(item)
                matches[position] = item

        for position, full in enumerate(output):
            same = [item for item in free if item.has_id_of(full)]
            take(position, same)
        # Without ids, or with ids that change from event to event.
        for position, full in enumerate(output):
            if position in matches:
                continue
            alike = [item for item in free if item.may_be(full, position)]
            take(position, alike)
        return [matches.get(position) for position in range(len(output))]

    def _reorder(self, items: list[Item]) -> None:
        """Numbers the items anew: in the output's order, and those that it lacks where they stood."""
        order = list(items)
        lacking = [item for item in self.items.values() if item not in items]
        lacking.sort(key=lambda item: item.index)
        for item in lacking:
            place = 0
            while place < len(order) and order[place].index < item.index:
                place += 1
            order.insert(place, item)
        self.items = dict(enumerate(order))
        for index, item in self.items.items():
            item.index = index

    def _from_start(self) -> list[ModelEvent]:
        """The whole answer again, as it is now."""
        opened = self.opened or Opened(NAME)
        events: list[ModelEvent] = [Restarted(), opened]
        for index in sorted(self.items):
            item = self.items[index]
            events += item.from_start()
        return events


_HANDLERS: dict[str, Callable[[ResponsesParser, Json], list[ModelEvent]]] = {
    "response.created": ResponsesParser._response_began,
    "response.queued": ResponsesParser._response_began,
    "response.in_progress": ResponsesParser._response_began,
    "response.output_item.added": ResponsesParser._item_began,
    "response.output_item.done": ResponsesParser._item_done,
    "response.content_part.done": ResponsesParser._content_done,
    "response.refusal.delta": ResponsesParser._refusal_piece,
    "response.refusal.done": ResponsesParser._whole_refusal,
    "response.completed": ResponsesParser._response_ended,
    "response.incomplete": ResponsesParser._response_ended,
    "response.cancelled": ResponsesParser._response_ended,
    "response.failed": ResponsesParser._response_failed,
    "error": ResponsesParser._response_failed,
}
"""What an event of each type does; all others are ignored."""


def _raw_finish(status: str, final: Json) -> str:
    """Why it ended, in the API's words: "completed", "incomplete:max_output_tokens"."""
    details = final.get("incomplete_details") or {}
    why = str(details.get("reason") or "")
    if not why:
        return status
    return f"{status}:{why}"


def _in_order(streamed: list[Item | None]) -> bool:
    """Whether what is new only follows, and what was streamed comes in its order: reasoning must precede its call."""
    indices = [item.index for item in streamed if item is not None]
    if indices != sorted(indices):
        return False
    leading = streamed[: len(indices)]
    return None not in leading


def parse_usage(usage: Json) -> UsageDelta:
    """Token counts; cached ones are part of the input here."""
    read = usage.get("input_tokens_details") or {}
    written = usage.get("output_tokens_details") or {}
    return UsageDelta(
        usage.get("input_tokens") or 0,
        usage.get("output_tokens") or 0,
        cache_read_tokens=read.get("cached_tokens"),
        cache_write_tokens=read.get("cache_write_tokens"),
        reasoning_tokens=written.get("reasoning_tokens"),
    )
