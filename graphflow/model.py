"""The model seam: what is asked, what is answered, and how a model string becomes a model.

Rules:
1. `stream` is the only method of a model. A whole reply is what `gather` builds from its events, for every provider.
2. A stream ends with exactly one `Finished`; one that ends without is an error, never a short answer.
3. Nothing here knows a provider: a model string is `provider:model`, split at the first colon, and providers are found
   by name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol, runtime_checkable

from graphflow.errors import ModelError, ModelUnset, UnknownProvider

Finish = Literal["stop", "tool_calls", "length", "refusal", "content_filter", "other"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that a model asks for."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of one call."""

    id: str
    name: str
    content: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What a person (or the graph in their place) said."""

    text: str


@dataclass(frozen=True, slots=True)
class AssistantTurn:
    """What the model said, all its parallel calls in this one turn."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolTurn:
    """The results of all calls of the turn before, in the order of the calls."""

    results: tuple[ToolResult, ...]


Turn = UserTurn | AssistantTurn | ToolTurn


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments, an object."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model.

    Attributes:
        turns: the conversation so far; the last turn is the user's or the tools'.
        system: standing instructions.
        tools: what it may call.
        output_schema: JSON schema that its final text must fit, or None for free text.
        temperature: 0 = always the likeliest token; None = the provider's default.
        max_tokens: tokens it may write at most; None = the provider's default.
        stop: texts at which it stops.
        seed: for providers that sample reproducibly.
    """

    turns: tuple[Turn, ...]
    system: str = ""
    tools: tuple[ToolSpec, ...] = ()
    output_schema: dict[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(slots=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(slots=True)
class ThinkingDelta:
    """A piece of the reasoning that precedes an answer."""

    text: str


@dataclass(slots=True)
class CallDelta:
    """A piece of a tool call; pieces with the same index belong together."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class UsageDelta:
    """Tokens of this answer; the last one told counts."""

    input_tokens: int
    output_tokens: int
    usd: float | None = None


@dataclass(slots=True)
class Finished:
    """The end of a stream."""

    reason: Finish


ModelEvent = TextDelta | ThinkingDelta | CallDelta | UsageDelta | Finished


@dataclass(slots=True)
class Reply:
    """A whole answer."""

    text: str = ""
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    finish: Finish = "other"


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


@dataclass(slots=True)
class _Growing:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


async def gather(events: AsyncIterator[ModelEvent], listen: Callable[[ModelEvent], None] | None = None) -> Reply:
    """The whole reply that a stream spells; `listen` is told each event as it comes.

    Raises:
        ModelError: the stream ended without `Finished`.
    """
    text: list[str] = []
    thinking: list[str] = []
    calls: dict[int, _Growing] = {}
    reply = Reply()
    finished = False
    async for event in events:
        if listen is not None:
            listen(event)
        match event:
            case TextDelta():
                text.append(event.text)
            case ThinkingDelta():
                thinking.append(event.text)
            case CallDelta():
                call = calls.setdefault(event.index, _Growing())
                call.id = event.id or call.id
                call.name = event.name or call.name
                call.arguments.append(event.arguments)
            case UsageDelta():
                reply.input_tokens, reply.output_tokens, reply.usd = event.input_tokens, event.output_tokens, event.usd
            case Finished():
                reply.finish = event.reason
                finished = True
    if not finished:
        raise ModelError(
            "the model's stream ended without saying that it was finished; the answer may be cut, so it is refused"
        )
    reply.text = "".join(text)
    reply.thinking = "".join(thinking)
    reply.calls = tuple(ToolCall(c.id, c.name, "".join(c.arguments)) for _, c in sorted(calls.items()))
    return reply


# -- from a string to a model ----------------------------------------------------------------------------------------------
PROVIDERS = {"local": "graphflow.providers.local:open_model"}
"""Our own providers by name: where the function is that opens one. Others come by entry point `graphflow.providers`."""
EMBEDDERS = {"local": "graphflow.providers.embeddings:open_embedder"}


def open_model(named: str) -> Model:
    """The model that a string `provider:model` names.

    Raises:
        UnknownProvider: the text lists near names.
        MissingExtra: the provider needs packages that are not installed.
    """
    model: Model = _opener(named, PROVIDERS, "graphflow.providers")(named.split(":", 1)[1])
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
