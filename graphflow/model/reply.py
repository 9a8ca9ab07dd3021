"""From the events of a stream to the whole reply: one function for all providers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

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

    `limited` is as in `Finished`: somebody set how long it may be at most; `asked` as in `Opened`: our name for who answered.
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
    asked: str = ""
    logprobs: tuple[Likely, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def turn(self) -> AssistantTurn:
        """This answer as a turn of the conversation that goes on, with everything its provider wants back."""
        text = self.text or self.refusal
        has_more = any(part.keep or type(part) is Thinking for part in self.parts)
        if has_more:
            return AssistantTurn(text, self.calls, self.parts, self.wire, self.asked)
        return AssistantTurn(text, self.calls)


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
        text = join_surrogates("".join(self.pieces))
        keep = self.keep or NOTHING
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
    fence = "```"
    start = text.find(fence)
    if start < 0:
        return []
    start += len(fence)
    ends = [end for end in (text.find(fence, start), text.rfind(fence)) if end >= start]
    if not ends:  # the last fence is missing: the text was cut
        return [_block(text[start:])]
    return [_block(text[start:end]) for end in dict.fromkeys(ends)]


def _block(text: str) -> str:
    return text.strip().removeprefix("json").strip()


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
    r"""Builds a reply from the events of a stream, as far as they have come.

    ```
    TextDelta("Hel")  TextDelta("lo")  CallDelta(1, "c7", "add")  CallDelta(1, arguments="{}")  Finished("tool_calls")
    \_ ("text", 0) _________________/  \_ ("call", 1) _________________________________________/
    ```

    Pieces of one kind and index are one part; parts stand in the order of their first pieces.
    """

    def __init__(self) -> None:
        self.before: list[UsageDelta] = []
        """What tries before this one have used: they were paid for, too."""
        self.first_at: float | None = None
        """When the first piece came, by the process clock; one that was void later counts."""
        self.hear_first: Callable[[], None] | None = None
        """What is called then."""
        self.clear()

    def clear(self) -> None:
        """Forgets all that has come: the answer begins again."""
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
        # Pieces of one part come in a row: nearly every event finds its part at once.
        if key != self._last_key:
            part = self.growing.get(key)
            if part is None:
                part = self.growing[key] = _Growing(kind)
                if self.first_at is None:
                    self._note_first()
            self._last, self._last_key = part, key
        return self._last  # type: ignore[return-value]  # set with its key

    def _note_first(self) -> None:
        self.first_at = perf_counter()
        if self.hear_first is not None:
            self.hear_first()

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
            # A second function, so that what comes with every token is decided by a few comparisons.
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
                self._open(event)
            case Finished():
                reply = self.reply
                reply.finish = event.reason
                reply.finish_raw = event.raw
                reply.limited = event.limited
                self.finished = True
            case Restarted():
                self._bank()
                self.clear()
            # Nothing of the answer is void, but what the try has used is spent.
            case Retried() | Switched():
                self._bank()
            case _:
                raise MalformedReply(
                    f"a model's stream yields events, and this one has yielded {event!r}; see graphflow.model.seam: "
                    "TextDelta, CallDelta, UsageDelta and, as the last one, Finished"
                )

    def _open(self, event: Opened) -> None:
        reply = self.reply
        reply.wire = event.wire
        reply.asked = event.asked
        reply.model = event.model or reply.model
        reply.response_id = event.response_id or reply.response_id

    # Later counts of one try replace the earlier ones; those of several tries add up. So the count of a try is put aside when
    # the next one begins.
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
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[ToolCall] = []
        for part in reply.parts:
            match part:
                case TextPart():
                    texts.append(part.text)
                case Thinking() if part.text:
                    thoughts.append(part.text)
                case ToolCall():
                    calls.append(part)
        reply.text = "".join(texts)
        reply.thinking = "\n\n".join(thoughts)
        reply.calls = tuple(calls)
        reply.refusal = "".join(self.refusal)
        reply.sources = self._sources(reply.parts) if self.cited else ()
        self._count_tokens(reply)
        return reply

    def _count_tokens(self, reply: Reply) -> None:
        """Sums up what all tries have used. One whose price is unknown makes the price of all unknown."""
        usages = [*self.before]
        if self.usage is not None:
            usages.append(self.usage)
        if not usages:
            if not self.finished:
                reply.usd = None  # it was stopped before its cost came
            return
        for name in _COUNTS:
            setattr(reply, name, _total(usages, name))
        if any(usage.usd is None for usage in usages):
            reply.usd = None

    def check_end(self) -> None:
        """Refuses an answer that may be cut: one without an end, or with an end of a kind that nobody here knows.

        Raises:
            ModelError: it is such a one.
        """
        if not self.finished:
            raise MalformedReply(
                "the model's stream ended without saying that it was finished; the answer may be cut, so it is refused"
            )
        raw = self.reply.finish_raw
        if raw and self.reply.finish == "other":
            text = (
                f"the model's answer ended in a way that nobody here knows ({raw}); it may be cut"
            )
            error = ServerError(text, provider_code=raw)
            error.retryable = False
            raise error

    def _sources(self, parts: tuple[Part, ...]) -> tuple[Source, ...]:
        """The sources, each with the stretch of the whole text that rests on it."""
        stretches: dict[int | None, tuple[int, int]] = {}
        length = 0
        # Sources are counted in their part, and users read the whole text:
        #   parts "Rain." "Sun."  ->  stretches (0, 5) (5, 9)
        for (kind, index), part in zip(self.growing, parts, strict=True):
            if kind == "text" and type(part) is TextPart:
                end = length + len(part.text)
                stretches[index] = (length, end)
                length = end
        stretches[None] = (0, length)
        sources = [_source(cited, stretches.get(cited.index)) for cited in self.cited]
        return tuple(dict.fromkeys(sources))


def _total(usages: list[UsageDelta], name: str) -> float | None:
    """The sum of a count over several tries; None if none of them has it."""
    counts = [getattr(usage, name) for usage in usages]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _source(cited: Cited, part: tuple[int, int] | None) -> Source:
    """A source with its stretch counted in the whole text.

    Args:
        cited: the source as it came, its places counted in a part.
        part: where that part begins and ends in the whole text; None if there is none of that index.
    """
    start, end = _stretch(cited, part)
    return Source(cited.url, cited.title, start, end, cited.quote)


def _stretch(cited: Cited, part: tuple[int, int] | None) -> tuple[int | None, int | None]:
    if part is None:
        return None, None
    first, last = part
    if cited.start is None:
        return (None, None) if cited.index is None else part
    if cited.end is None:
        return None, None
    start = first + cited.start
    end = first + cited.end
    if not start <= end <= last:  # it lies outside of the text
        return None, None
    return start, end


_NOTICES = frozenset({Retried, Switched})
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "usd",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


class EventMask(Protocol):
    """What takes secrets out of a stream (`graphflow.model.masking`)."""

    def clean(
        self, event: ModelEvent, deliver: Callable[[ModelEvent], None]
    ) -> ModelEvent | None: ...


async def gather(
    events: AsyncIterator[ModelEvent],
    listen: Callable[[ModelEvent], None] | None = None,
    notice: Callable[[Notice], None] | None = None,
    into: ReplyBuilder | None = None,
    mask: EventMask | None = None,
) -> Reply:
    """The whole reply that a stream spells.

    Args:
        events: what `Model.stream` gives.
        listen: gets each event as it comes.
        notice: gets retries and switches only.
        into: gathers the reply; what has come is there whatever happens.
        mask: takes secrets out of each event before anybody sees it.

    Raises:
        ModelError: whatever the stream raised, with what had come of the reply in `partial`; `MalformedReply` if the
            stream ended without `Finished`.
    """
    builder = into or ReplyBuilder()
    _check_stream(events)
    try:
        await _take_all(events, builder.add, listen, notice, mask)
        builder.check_end()
    except ModelError as error:
        if error.partial is None and not builder.empty:
            error.partial = builder.whole()
        raise
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            # A listener that raised must not leave the connection to the garbage collector.
            await close()
    return builder.whole()


async def _take_all(
    events: AsyncIterator[ModelEvent],
    add: Callable[[ModelEvent], None],
    listen: Callable[[ModelEvent], None] | None,
    notice: Callable[[Notice], None] | None,
    mask: EventMask | None,
) -> None:
    """Hands every event on to whoever listens, and adds it to the reply."""
    clean = None if mask is None else mask.clean

    def deliver(event: ModelEvent) -> None:
        if listen is not None:
            listen(event)
        add(event)

    async for came in events:
        event = came if clean is None else clean(came, deliver)
        if event is None:
            continue
        if listen is not None:
            listen(event)
        if notice is not None and type(event) in _NOTICES:
            notice(event)  # type: ignore[arg-type]  # it is one of the two
        add(event)


def _check_stream(events: object) -> None:
    if hasattr(events, "__aiter__"):
        return
    if hasattr(events, "close"):
        events.close()  # a coroutine that nobody will await
    raise MalformedReply(
        f"a model's stream gave {events!r}: write `async def stream(self, request)` with `yield` in it"
    )


__getattr__ = renamed(__name__, {"Gathering": "ReplyBuilder"})
