"""From the events of a stream to the whole reply: one function for all providers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from graphflow._faces import renamed
from graphflow.errors import MalformedReply, ModelError, ServerError
from graphflow.model.seam import (
    CallDelta,
    Cited,
    Finish,
    Finished,
    Kept,
    Likely,
    LogprobsDelta,
    ModelEvent,
    Notice,
    Opened,
    RefusalDelta,
    Restarted,
    Retried,
    Switched,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from graphflow.model.sources import Source
from graphflow.model.turns import NOTHING, AssistantTurn, Block, Part, TextPart, Thinking, ToolCall


@dataclass(slots=True)
class Reply:
    """A whole answer. `thinking` joins separate blocks by a blank line; token counts are as in `UsageDelta`.

    `limited` is as in `Finished`: somebody set how long it may be at most.
    """

    text: str = ""
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    finish: Finish = "other"
    refusal: str = ""
    parts: tuple[Part, ...] = ()
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_raw: str = ""
    limited: bool = False
    model: str = ""
    response_id: str = ""
    wire: str = ""
    logprobs: tuple[Likely, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def turn(self) -> AssistantTurn:
        """This answer as a turn of the conversation that goes on, with everything its provider wants back."""
        kept = any(part.keep or type(part) is Thinking for part in self.parts)
        return AssistantTurn(
            self.text or self.refusal, self.calls, self.parts if kept else (), self.wire if kept else ""
        )


class _Growing:
    """A part while its pieces come."""

    __slots__ = ("id", "keep", "kind", "name", "pieces")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.keep: dict[str, Any] | None = None
        self.id = ""
        self.name = ""

    def whole(self) -> Part:
        text, keep = join_surrogates("".join(self.pieces)), self.keep or NOTHING
        match self.kind:
            case "text":
                return TextPart(text, keep)
            case "thinking":
                return Thinking(text, keep)
            case "call":
                return ToolCall(self.id, self.name, text, keep)
            case _:
                return Block(keep)


def fenced_blocks(text: str) -> list[str]:
    """What may stand in the Markdown block of a text (```json ... ```): up to the next fence, and up to the last one."""
    start = text.find("```")
    if start < 0:
        return []
    ends = dict.fromkeys(end for end in (text.find("```", start + 3), text.rfind("```")) if end > start)
    inner = [text[start + 3 : end] for end in ends] or [text[start + 3 :]]
    return [piece.strip().removeprefix("json").strip() for piece in inner]


def join_surrogates(text: str) -> str:
    """The text with characters whole again that two events had a half of; a half that stays alone is replaced."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class ReplyBuilder:
    """The reply that a stream has spelled so far."""

    def __init__(self) -> None:
        self.before: list[UsageDelta] = []
        """What tries before this one have used: they were paid for, too."""
        self.clear()

    def clear(self) -> None:
        """Nothing has been said yet."""
        self.reply = Reply()
        self.usage: UsageDelta | None = None
        self.growing: dict[tuple[str, int], _Growing] = {}
        self.refusal: list[str] = []
        self.cited: list[Cited] = []
        self.finished = False
        self._last: _Growing | None = None
        self._last_key = ("", -1)

    def _part(self, kind: str, index: int) -> _Growing:
        key = (kind, index)
        if key != self._last_key:
            part = self.growing.get(key)
            if part is None:
                part = self.growing[key] = _Growing(kind)
            self._last, self._last_key = part, key
        return self._last  # type: ignore[return-value]  # set with its key

    def add(self, event: ModelEvent) -> None:
        """Takes one event in."""
        match event:
            case TextDelta():
                self._part("text", event.index).pieces.append(event.text)
            case ThinkingDelta():
                self._part("thinking", event.index).pieces.append(event.text)
            case CallDelta():
                call = self._part("call", event.index)
                call.id = event.id or call.id
                call.name = event.name or call.name
                call.pieces.append(event.arguments)
            case Kept():
                part = self._part(event.part, event.index)
                part.keep = {**(part.keep or {}), **event.keep}
            case UsageDelta():
                self.usage = event
            case _:
                self._add_rare(event)

    def _add_rare(self, event: ModelEvent) -> None:
        match event:
            case RefusalDelta():
                self.refusal.append(event.text)
            case Cited():
                self.cited.append(event)
            case LogprobsDelta():
                self.reply.logprobs += event.tokens
            case Opened():
                self.reply.wire = event.wire
                self.reply.model = event.model or self.reply.model
                self.reply.response_id = event.response_id or self.reply.response_id
            case Finished():
                self.reply.finish, self.reply.finish_raw = event.reason, event.raw
                self.reply.limited = event.limited
                self.finished = True
            case Restarted():
                self._bank()
                self.clear()
            case Retried() | Switched():
                self._bank()
            case _:
                raise MalformedReply(
                    f"a model's stream yields events, and this one has yielded {event!r}; see graphflow.model.seam: "
                    "TextDelta, CallDelta, UsageDelta and, as the last one, Finished"
                )

    def _bank(self) -> None:
        if self.usage is not None:
            self.before.append(self.usage)
            self.usage = None

    @property
    def empty(self) -> bool:
        """Whether nothing worth keeping has come."""
        return not (self.growing or self.refusal or self.usage or self.before)

    def whole(self) -> Reply:
        """The reply as far as it has come."""
        reply = self.reply
        reply.parts = tuple(part.whole() for part in self.growing.values())
        reply.text = "".join(part.text for part in reply.parts if type(part) is TextPart)
        reply.thinking = "\n\n".join(part.text for part in reply.parts if type(part) is Thinking and part.text)
        reply.calls = tuple(part for part in reply.parts if type(part) is ToolCall)
        reply.refusal = "".join(self.refusal)
        reply.sources = self._sources(reply.parts) if self.cited else ()
        used = [*self.before, *([self.usage] if self.usage else [])]
        if not used and not self.finished:
            reply.usd = None  # it was stopped before it told what it cost
        for name in _COUNTS if used else ():
            told = [getattr(usage, name) for usage in used]
            known = [count for count in told if count is not None]
            total = sum(known) if known and (name != "usd" or len(known) == len(told)) else None
            setattr(reply, name, total)
        return reply

    def _sources(self, parts: tuple[Part, ...]) -> tuple[Source, ...]:
        """The sources, each with the stretch of the whole text that rests on it."""
        stretches: dict[int | None, tuple[int, int]] = {}
        length = 0
        for (kind, index), part in zip(self.growing, parts, strict=True):
            if kind == "text" and type(part) is TextPart:
                stretches[index] = (length, length + len(part.text))
                length += len(part.text)
        stretches[None] = (0, length)
        return tuple(dict.fromkeys(_source(cited, stretches.get(cited.index)) for cited in self.cited))


def _source(cited: Cited, stretch: tuple[int, int] | None) -> Source:
    start, end = cited.start, cited.end
    if start is None and cited.index is not None and stretch is not None:
        start, end = stretch
    elif start is None or end is None or stretch is None or not start <= end <= stretch[1] - stretch[0]:
        start = end = None  # it lies outside of what was said
    else:
        start, end = start + stretch[0], end + stretch[0]
    return Source(cited.url, cited.title, start, end, cited.quote)


_NOTICES = frozenset({Retried, Switched})
_COUNTS = ("input_tokens", "output_tokens", "usd", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


async def gather(
    events: AsyncIterator[ModelEvent],
    listen: Callable[[ModelEvent], None] | None = None,
    notice: Callable[[Notice], None] | None = None,
    into: ReplyBuilder | None = None,
) -> Reply:
    """The whole reply that a stream spells.

    Args:
        events: what `Model.stream` gives.
        listen: is told each event as it comes.
        notice: is told only retries and switches.
        into: gathers the reply; what has come is there whatever happens.

    Raises:
        ModelError: whatever the stream raised, with what had come of the reply in `partial`; `MalformedReply` if the
            stream ended without `Finished`.
    """
    builder = into or ReplyBuilder()
    add = builder.add
    if not hasattr(events, "__aiter__"):
        if hasattr(events, "close"):
            events.close()  # a coroutine that nobody will await
        raise MalformedReply(
            f"a model's stream gave {events!r}: write `async def stream(self, request)` with `yield` in it"
        )
    try:
        async for event in events:
            if listen is not None:
                listen(event)
            if notice is not None and type(event) in _NOTICES:
                notice(event)  # type: ignore[arg-type]  # it is one of the two
            add(event)
        if not builder.finished:
            raise MalformedReply(
                "the model's stream ended without saying that it was finished; the answer may be cut, so it is refused"
            )
        raw = builder.reply.finish_raw
        if builder.reply.finish == "other" and raw:
            unknown = ServerError(
                f"the model's answer ended in a way that nobody here knows ({raw}); it may be cut", code=raw
            )
            unknown.retryable = False
            raise unknown
    except ModelError as error:
        if error.partial is None and not builder.empty:
            error.partial = builder.whole()
        raise
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()  # a listener that raised must not leave the connection to the garbage collector
    return builder.whole()


__getattr__ = renamed(__name__, {"Gathering": "ReplyBuilder"})
