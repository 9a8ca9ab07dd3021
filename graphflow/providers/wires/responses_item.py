"""An item of a reply of OpenAI Responses: a message, a call, reasoning, or a block of the provider's own."""

from __future__ import annotations

from graphflow.model.seam import (
    CallDelta,
    Cited,
    Kept,
    ModelEvent,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
)
from graphflow.providers.wires.json_object import Json, present

PARTS = {"message": "text", "function_call": "call", "reasoning": "thinking"}
"""Which kind of part an item is; all others are blocks of the provider's own."""
TYPES = {part: type_ for type_, part in PARTS.items()}
BETWEEN_THOUGHTS = "\n\n"
"""What stands between two texts of reasoning."""


def part_of(full: Json) -> str:
    """Which kind of part an item becomes."""
    type_ = full.get("type") or ""
    return PARTS.get(type_, "block")


class Item:
    """One item of the output, as far as it has come.

    Attributes:
        index: the index of its events.
        part: "text", "call", "thinking" or "block".
        full: its last form that the API gave as a whole, or nothing.
        closed: whether it was given whole, so that events about its single texts bring nothing new.
        call: the id and name of a call, as far as the caller has them.
        texts: the pieces of each of its texts, by the text's number.
        refusal: the words in which it declines.
        stored: whether the provider keeps it, so that its id alone can go back.
    """

    __slots__ = ("call", "closed", "full", "index", "part", "refusal", "stored", "texts")

    def __init__(self, index: int, part: str, stored: bool) -> None:
        self.index = index
        self.part = part
        self.full: Json = {}
        self.closed = False
        self.call = ("", "")
        self.texts: dict[int, list[str]] = {}
        self.refusal = ""
        self.stored = stored

    @property
    def text(self) -> str:
        """Its text, arguments or reasoning so far."""
        texts = ["".join(pieces) for pieces in self.texts.values()]
        between = BETWEEN_THOUGHTS if self.part == "thinking" else ""
        return between.join(texts)

    @property
    def is_cut(self) -> bool:
        """Whether its own status says that it is not whole, or nothing but its beginning has come."""
        if self.full.get("status") == "incomplete":
            return True
        if self.closed:
            return False
        return not self.texts

    def add(self, piece: str, number: int = 0) -> list[ModelEvent]:
        """The event of a further piece of one of its texts."""
        gap = ""
        pieces = self.texts.get(number)
        if pieces is None:
            if self.texts and self.part == "thinking":
                gap = BETWEEN_THOUGHTS
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

    def name_call(self, full: Json) -> list[ModelEvent]:
        """The event of a call's id and name, if the caller does not have them yet."""
        if self.part != "call":
            return []
        known_id, known_name = self.call
        id = full.get("call_id") or known_id
        name = full.get("name") or known_name
        if (id, name) == self.call:
            return []
        self.call = (id, name)
        return [CallDelta(self.index, id, name)]

    def complete(self, full: Json) -> list[ModelEvent] | None:
        """The events of what its full form says beyond what has come; None if it says something else.

        The full form is right: where it contradicts what was streamed, the item holds its words from then on, and the
        answer has to begin again with them.
        """
        before = self.text
        text = text_of(full)
        refusal = refusal_of(full)
        self.full = full
        self.closed = True
        events = self.name_call(full)
        # An empty text contradicts nothing: some servers leave out of the full form what they have streamed.
        text_agrees = not text or text.startswith(before)
        refusal_agrees = not refusal or refusal.startswith(self.refusal)
        if not text_agrees or not refusal_agrees:
            self.texts = {0: [text]}
            self.refusal = refusal
            return None
        further = text[len(before) :]
        if further:
            last = max(self.texts, default=0)
            events += self.add(further, last)
        further_refusal = refusal[len(self.refusal) :]
        if further_refusal:
            events.append(RefusalDelta(further_refusal))
            self.refusal = refusal
        return events + self.kept()

    def from_start(self) -> list[ModelEvent]:
        """All its events again, for an answer that begins again."""
        text = self.text
        id, name = self.call
        self.texts = {}
        self.call = ("", "")
        events = self.name_call({"call_id": id, "name": name})
        if text:
            events += self.add(text)
        if self.refusal:
            events.append(RefusalDelta(self.refusal))
        return events + self.kept()

    def kept(self) -> list[ModelEvent]:
        """What has to go back with it."""
        full = self.full
        match full.get("type"):
            case None:
                return []
            case "message":
                keep = present(id=full.get("id"), phase=full.get("phase"))
                return [Kept("text", self.index, keep)] if keep and self.text else []
            case "function_call":
                id = full.get("id")
                return [Kept("call", self.index, {"id": id})] if id else []
            case "reasoning":
                return [Kept("thinking", self.index, self._kept_reasoning())]
            case kind:
                # "web_search_call", "code_interpreter_call": a hosted tool at work.
                type_ = str(kind)
                hosted_tool = type_ if type_.endswith("_call") else ""
                keep = {"name": hosted_tool, "item": full}
                return [Kept("block", self.index, keep)]

    def _kept_reasoning(self) -> Json:
        full = self.full
        keep = present(
            id=full.get("id"),
            encrypted_content=full.get("encrypted_content"),
            stored=self.stored or None,
        )
        keep["summary"] = full.get("summary") or []
        return keep

    def sources(self) -> list[ModelEvent]:
        """The sources of its text, their places counted in the whole of it."""
        if self.part != "text":
            return []
        events: list[ModelEvent] = []
        start = 0
        for part in _content(self.full):
            if part.get("type") != "output_text":
                continue
            for annotation in part.get("annotations") or ():
                source = _source(annotation, start, self.index)
                events.append(source)
            start += len(_text(part))
        return events

    def has_id_of(self, full: Json) -> bool:
        """Whether an item of the terminal output is this one, by its ids."""
        call_id = full.get("call_id")
        if call_id:
            return bool(call_id == self.call[0])
        id = full.get("id")
        if not id:
            return False
        return bool(id == self.full.get("id"))

    def may_be(self, full: Json, position: int) -> bool:
        """Whether an item of the terminal output can be this one, where ids say nothing."""
        type_ = self.full.get("type") or TYPES.get(self.part)
        if type_ != full.get("type"):
            return False
        if self.part == "call":
            call_id, _ = self.call
            return not (call_id and full.get("call_id"))
        own_id = self.full.get("id")
        differ = own_id and full.get("id")  # both have ids, and they are not the same
        if self.index == position or not differ:
            return True
        return text_of(full).startswith(self.text)


def _source(annotation: Json, start: int, index: int) -> Cited:
    """A source, and the stretch that rests on it in a text that begins after so many characters of its item."""
    url = annotation.get("url") or ""
    title = annotation.get("title") or ""
    for field in ("filename", "file_id"):  # a file that was sent along has no title
        title = title or annotation.get(field) or ""
    first = annotation.get("start_index")
    last = annotation.get("end_index")
    if first is None or last is None:  # a file is cited at a point
        first = last = annotation.get("index")
    source = Cited(url, title)
    if first is not None and last is not None:
        source.start = start + first
        source.end = start + last
        source.index = index
    return source


def text_of(full: Json) -> str:
    """The text of an item's full form."""
    match full.get("type"):
        case "message":
            parts = [part for part in _content(full) if part.get("type") == "output_text"]
            return "".join(map(_text, parts))
        case "function_call":
            return full.get("arguments") or ""
        case "reasoning":
            pieces = full.get("summary") or _content(full)
            return BETWEEN_THOUGHTS.join(map(_text, pieces))
        case _:
            return ""


def _text(part: Json) -> str:
    return part.get("text") or ""


def refusal_of(full: Json) -> str:
    """The words in which an item's full form declines."""
    if full.get("type") != "message":
        return ""
    refusals = [part.get("refusal") or "" for part in _content(full)]
    return "".join(refusals)


def _content(full: Json) -> list[Json]:
    return full.get("content") or []
