"""The model seam: what is asked, what is answered, and how a model string becomes a model.

Rules:
1. `stream` is the only method of a model. A whole reply is what `gather` builds from its events, for every provider.
2. A stream ends with exactly one `Finished`; one that ends without is an error, never a short answer.
3. Nothing here knows a provider: a model string is `provider:model`, split at the first colon, and providers are found
   by name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol, runtime_checkable

from graphflow.errors import MalformedReply, ModelError, ModelUnset, UnknownProvider
from graphflow.turns import (
    NOTHING,
    AssistantTurn,
    Block,
    CacheMark,
    Part,
    Said,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
)

__all__ = [
    "AssistantTurn",
    "ToolCall",
    "ToolResult",
    "ToolTurn",
    "Turn",
    "UserTurn",
    "gather",
    "open_embedder",
    "open_model",
]

Finish = Literal["stop", "tool_calls", "length", "refusal", "content_filter", "pause", "error", "other"]
"""Why a reply ended, in one vocabulary for all providers. "pause": the provider wants the turn back to go on; "error":
the reply is unusable, by the provider's own word; "other": the provider never said."""
Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments, an object."""
    strict: bool | None = None
    """Whether the provider shall hold the model to the schema; None = its default."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model. `None` always means: the provider's default.

    Attributes:
        turns: the conversation so far; the last turn is the user's or the tools'.
        system: standing instructions; several texts, with `CACHE` marks among them, if given as a tuple.
        tools: what it may call.
        output_schema: JSON schema that its final text must fit, or None for free text.
        temperature: 0 = always the likeliest token.
        max_tokens: tokens it may write at most.
        stop: texts at which it stops.
        seed: for providers that sample reproducibly.
        top_p: only the likeliest tokens that make up this probability.
        top_k: only this many likeliest tokens.
        presence_penalty, frequency_penalty: -2 to 2; against what was said at all, or often.
        tool_choice: "auto", "none", "required", or the name of the tool to call.
        parallel_calls: whether it may ask for several calls in one turn.
        thinking: how much it reasons first: a budget in tokens, an effort ("low", "high"...), or on / off.
        json_mode: the text is to be some JSON object; `output_schema` says more.
        prompt_cache: the provider shall cache as much of the prompt as it can.
        output_name: what the schema is called, where a provider wants a name.
        extra: the provider's own parameters, merged into the request as they are (safety settings, hosted tools, ...).
    """

    turns: tuple[Turn, ...]
    system: str | tuple[str | CacheMark, ...] = ""
    tools: tuple[ToolSpec, ...] = ()
    output_schema: dict[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    tool_choice: str | None = None
    parallel_calls: bool | None = None
    thinking: bool | int | Effort | None = None
    json_mode: bool = False
    prompt_cache: bool = False
    output_name: str = "answer"
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def system_text(self) -> str:
        """The standing instructions as one text."""
        if isinstance(self.system, str):
            return self.system
        return "\n\n".join(part for part in self.system if isinstance(part, str))

    @property
    def system_parts(self) -> tuple[str | CacheMark, ...]:
        """The standing instructions, part by part."""
        return ((self.system,) if self.system else ()) if isinstance(self.system, str) else self.system


@dataclass(slots=True)
class TextDelta:
    """A piece of the answer; pieces with the same index are one part."""

    text: str
    index: int = 0


@dataclass(slots=True)
class ThinkingDelta:
    """A piece of the reasoning that precedes an answer."""

    text: str
    index: int = 0


@dataclass(slots=True)
class RefusalDelta:
    """A piece of the text in which the model declines."""

    text: str


@dataclass(slots=True)
class CallDelta:
    """A piece of a tool call; pieces with the same index belong together."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Kept:
    """What the provider wants back with a part: merged into the `keep` of the part of that kind and index."""

    part: Literal["text", "thinking", "call", "block"]
    index: int
    keep: dict[str, Any]


@dataclass(slots=True)
class UsageDelta:
    """Tokens of this answer; the last one told counts.

    Attributes:
        input_tokens: the whole prompt, what was read from a cache included.
        output_tokens: everything generated, reasoning included.
        usd: cost, or None if the price is unknown.
        cache_read_tokens, cache_write_tokens, reasoning_tokens: as reported, None where not reported.
    """

    input_tokens: int
    output_tokens: int
    usd: float | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(slots=True)
class Opened:
    """Who answers: the provider's own name for the model and for this reply, and the wire format they came in."""

    wire: str
    model: str = ""
    response_id: str = ""


@dataclass(slots=True)
class Retried:
    """A try failed before anything was delivered, and another follows after `wait_s` seconds."""

    attempt: int
    wait_s: float
    error: ModelError


@dataclass(slots=True)
class Switched:
    """Another model, or another key of the same one, takes over."""

    source: str
    target: str
    error: ModelError


@dataclass(slots=True)
class Restarted:
    """What was delivered so far is void: the answer begins again (only where the caller asked for it)."""


@dataclass(slots=True)
class Finished:
    """The end of a stream: why, in our word and in the provider's."""

    reason: Finish
    raw: str = ""


Notice = Retried | Switched
ModelEvent = (
    TextDelta | ThinkingDelta | RefusalDelta | CallDelta | Kept | UsageDelta | Opened | Notice | Restarted | Finished
)


@dataclass(slots=True)
class Reply:
    """A whole answer. `thinking` joins separate blocks by a blank line; token counts are as in `UsageDelta`."""

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
    model: str = ""
    response_id: str = ""
    wire: str = ""

    @property
    def turn(self) -> AssistantTurn:
        """This answer as a turn of the conversation that goes on, with everything its provider wants back."""
        kept = any(part.keep or type(part) is Thinking for part in self.parts)
        return AssistantTurn(
            self.text or self.refusal, self.calls, self.parts if kept else (), self.wire if kept else ""
        )


@runtime_checkable
class Model(Protocol):
    """Anything that answers requests. Third parties implement this one method."""

    name: str

    def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields the answer piece by piece; the last event is `Finished`."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Anything that turns texts into vectors of one length, so that near meanings have near vectors."""

    name: str

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text."""
        ...


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
        text, keep = mended("".join(self.pieces)), self.keep or NOTHING
        match self.kind:
            case "text":
                return Said(text, keep)
            case "thinking":
                return Thinking(text, keep)
            case "call":
                return ToolCall(self.id, self.name, text, keep)
            case _:
                return Block(keep)


def mended(text: str) -> str:
    """The text with characters whole again that two events had a half of; a half that stays alone is replaced."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Gathering:
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
            case Opened():
                self.reply.wire = event.wire
                self.reply.model = event.model or self.reply.model
                self.reply.response_id = event.response_id or self.reply.response_id
            case Finished():
                self.reply.finish, self.reply.finish_raw = event.reason, event.raw
                self.finished = True
            case Restarted():
                self._bank()
                self.clear()
            case _:  # a retry or a switch
                self._bank()

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
        reply.text = "".join(part.text for part in reply.parts if type(part) is Said)
        reply.thinking = "\n\n".join(part.text for part in reply.parts if type(part) is Thinking and part.text)
        reply.calls = tuple(part for part in reply.parts if type(part) is ToolCall)
        reply.refusal = "".join(self.refusal)
        used = [*self.before, *([self.usage] if self.usage else [])]
        for name in _COUNTS if used else ():
            told = [getattr(usage, name) for usage in used]
            known = [count for count in told if count is not None]
            total = sum(known) if known and (name != "usd" or len(known) == len(told)) else None
            setattr(reply, name, total)
        return reply


_NOTICES = frozenset({Retried, Switched})
_COUNTS = ("input_tokens", "output_tokens", "usd", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


async def gather(
    events: AsyncIterator[ModelEvent],
    listen: Callable[[ModelEvent], None] | None = None,
    notice: Callable[[Notice], None] | None = None,
) -> Reply:
    """The whole reply that a stream spells.

    Args:
        events: what `Model.stream` gives.
        listen: is told each event as it comes.
        notice: is told only retries and switches.

    Raises:
        ModelError: whatever the stream raised, with what had come of the reply in `partial`; `MalformedReply` if the
            stream ended without `Finished`.
    """
    gathering = Gathering()
    add = gathering.add
    try:
        async for event in events:
            if listen is not None:
                listen(event)
            if notice is not None and type(event) in _NOTICES:
                notice(event)  # type: ignore[arg-type]  # it is one of the two
            add(event)
        if not gathering.finished:
            raise MalformedReply(
                "the model's stream ended without saying that it was finished; the answer may be cut, so it is refused"
            )
    except ModelError as error:
        if error.partial is None and not gathering.empty:
            error.partial = gathering.whole()
        raise
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()  # a listener that raised must not leave the connection to the garbage collector
    return gathering.whole()


# -- from a string to a model ----------------------------------------------------------------------------------------------
_ENDPOINTS = (
    *(
        "openai",
        "openai-responses",
        "anthropic",
        "google",
        "groq",
        "mistral",
        "ollama",
        "openrouter",
        "deepseek",
        "xai",
    ),
    *("together", "compatible", "vllm", "llamacpp", "lmstudio", "chatgpt"),
)
_COMMANDS = ("claude-code", "codex", "auggie")
PROVIDERS = {
    "local": "graphflow.providers.local:open_model",
    **{name: f"graphflow.providers.endpoints:open_{name.replace('-', '_')}" for name in _ENDPOINTS},
    **{name: f"graphflow.providers.commands.table:open_{name.replace('-', '_')}" for name in _COMMANDS},
}
"""Our own providers by name: where the function is that opens one. Others come by entry point `graphflow.providers`."""
EMBEDDERS = {"local": "graphflow.providers.embeddings:open_embedder"}


def open_model(named: str, **options: Any) -> Model:
    """The model that a string `provider:model` names; `options` are the provider's own.

    Raises:
        UnknownProvider: the text lists near names.
        KeyMissing: the provider needs a key and there is none.
        MissingExtra: the provider needs packages that are not installed.
    """
    opener = _opener(named, PROVIDERS, "graphflow.providers")
    model: Model = opener(named.split(":", 1)[1], **options)
    return model


def open_embedder(named: str) -> Embedder:
    """The embedder that a string `provider:model` names. Raises what `open_model` raises."""
    embedder: Embedder = _opener(named, EMBEDDERS, "graphflow.embedders")(named.split(":", 1)[1])
    return embedder


def known_problem(named: str) -> str:
    """What is wrong with a model string, as far as that can be told without opening the model; empty if nothing is."""
    try:
        _opener(named, PROVIDERS, "graphflow.providers")
    except (UnknownProvider, ImportError) as error:
        return str(error)
    return ""


def _opener(named: str, table: dict[str, str], group: str) -> Callable[[str], Any]:
    provider, colon, model = named.partition(":")
    if not colon or not provider or not model:
        raise UnknownProvider(f"{named!r} is no model string; write 'provider:model', for example 'local:smollm2'")
    place = table.get(provider)
    if place is None:
        for point in entry_points(group=group):
            if point.name == provider:
                opener: Callable[[str], Any] = point.load()
                return opener
        raise UnknownProvider(_unknown(provider, [*table, *(p.name for p in entry_points(group=group))]))
    module, _, function = place.partition(":")
    opener = getattr(import_module(module), function)
    return opener


def _unknown(provider: str, have: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(provider, have, n=2)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there is: {', '.join(sorted(have))}"
    return f"no provider is named {provider!r}; {hint}"


def unset(agent: str, graph: str) -> ModelUnset:
    """The error for an agent that nobody gave a model."""
    return ModelUnset(
        f"{agent!r} names no model, and neither graph {graph!r} nor this run gives a default; "
        "pass one: Agent(..., model='provider:model'), Graph(..., model=...) or run(..., model=...)"
    )
