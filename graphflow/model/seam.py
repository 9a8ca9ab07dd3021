"""The model seam: what is asked, and what is answered, piece by piece.

Rules:
1. `stream` is the only method of a model. A whole reply is what `reply.gather` builds from its events, for every provider.
2. A stream ends with exactly one `Finished`; one that ends without is an error, never a short answer.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, Unpack, runtime_checkable

from graphflow.errors import ModelError
from graphflow.model.settings import DEFAULTS, SETTINGS, Settings, SettingsOptions
from graphflow.model.turns import CacheMark, Turn

Finish = Literal[
    "stop", "tool_calls", "length", "refusal", "content_filter", "pause", "error", "other"
]
"""Why a reply ended, in one vocabulary for all providers. "pause": the provider wants the turn back to go on; "error":
the reply is unusable, by the provider's own word; "other": the provider never said. A stream that says "other" with a
word of the provider's own has broken off: that is an error."""
JsonSchema: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it."""

    name: str
    description: str
    parameters: JsonSchema
    """JSON schema of the arguments, an object."""
    strict: bool | None = None
    """Whether the provider shall hold the model to the schema; None = its default."""
    cache: CacheMark | None = None
    """A mark for the provider's prompt cache: the tools up to this one are worth keeping."""


@dataclass(frozen=True, slots=True, init=False)
class Request:
    """One question to a model.

    Settings are given together, `Request(turns, settings=Settings(seed=7))`, or one by one, `Request(turns, seed=7)`.

    Attributes:
        turns: the conversation so far; the last turn is the user's or the tools'.
        system: standing instructions; several texts, with `CACHE` marks among them, if given as a tuple.
        tools: what it may call.
        output_schema: JSON schema that its final text must fit, or None for free text.
        settings: how it is asked: how it samples, how long it may answer, and so on.
        json_mode: the text is to be some JSON object; `output_schema` says more.
        restart: nobody sees the pieces of the answer, so that one that breaks off half way may be begun again.
        top_logprobs: of how many likeliest tokens at each place the probability is wanted; 0 = of none. Only for models
            whose `top_logprobs` says that they do.
        output_name: what the schema is called, where a provider wants a name.
    """

    turns: tuple[Turn, ...]
    system: str | tuple[str | CacheMark, ...] = ""
    tools: tuple[ToolSpec, ...] = ()
    output_schema: JsonSchema | None = None
    settings: Settings = DEFAULTS
    json_mode: bool = False
    restart: bool = False
    top_logprobs: int = 0
    output_name: str = "answer"

    def __init__(
        self,
        turns: tuple[Turn, ...],
        system: str | tuple[str | CacheMark, ...] = "",
        tools: tuple[ToolSpec, ...] = (),
        output_schema: JsonSchema | None = None,
        *,
        settings: Settings = DEFAULTS,
        json_mode: bool = False,
        restart: bool = False,
        top_logprobs: int = 0,
        output_name: str = "answer",
        **options: Unpack[SettingsOptions],
    ) -> None:
        if options:
            settings = replace(settings, **options)
        fill = object.__setattr__  # the class is frozen, for everybody else
        fill(self, "turns", turns)
        fill(self, "system", system)
        fill(self, "tools", tools)
        fill(self, "output_schema", output_schema)
        fill(self, "settings", settings)
        fill(self, "json_mode", json_mode)
        fill(self, "restart", restart)
        fill(self, "top_logprobs", top_logprobs)
        fill(self, "output_name", output_name)

    if not TYPE_CHECKING:  # type checkers know only `request.settings.seed`

        def __getattr__(self, name: str) -> Any:
            """A setting that is read from the request itself, as it was before 0.2."""
            if name not in SETTINGS:
                raise AttributeError(f"a Request has no attribute {name!r}")
            text = f"request.{name} is now request.settings.{name}; the old name goes with 0.3"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            return getattr(self.settings, name)

    @property
    def system_text(self) -> str:
        """The standing instructions as one text."""
        if isinstance(self.system, str):
            return self.system
        return "\n\n".join(part for part in self.system if isinstance(part, str))

    @property
    def system_parts(self) -> tuple[str | CacheMark, ...]:
        """The standing instructions, part by part."""
        return (
            ((self.system,) if self.system else ()) if isinstance(self.system, str) else self.system
        )


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
    """Tokens of this answer; the last event of this kind counts.

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


@dataclass(frozen=True, slots=True)
class Likely:
    """One place of an answer.

    Attributes:
        token: the text that stands there.
        top: the likeliest texts that could have, each with the natural logarithm of its probability.
    """

    token: str
    top: tuple[tuple[str, float], ...]


@dataclass(slots=True)
class LogprobsDelta:
    """How likely the tokens of the answer were, place by place; it comes only where `Request.top_logprobs` asks."""

    tokens: tuple[Likely, ...]


@dataclass(slots=True)
class Cited:
    """A source of the answer (`Reply.sources`).

    Attributes:
        url, title, quote: as in `Source`.
        start, end: the stretch of text that rests on it; with an `index` and without these, the whole part does.
        index: the part that they are counted in; None = they are counted in the whole text.
    """

    url: str = ""
    title: str = ""
    start: int | None = None
    end: int | None = None
    quote: str = ""
    index: int | None = None


@dataclass(slots=True)
class Opened:
    """Who answers: the provider's own name for the model and for this reply, and the wire format they came in.

    `asked` is our name for the model, "provider:model".
    """

    wire: str
    model: str = ""
    response_id: str = ""
    asked: str = ""


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
    """The end of a stream: why, in our word and in the provider's.

    `limited` says that somebody set how long the answer may be at most, in the request or where the model was opened: one
    that ends there is as long as it was to be, while one that ends at the model's own limit is cut.
    """

    reason: Finish
    raw: str = ""
    limited: bool = False


Notice = Retried | Switched
ModelEvent = (
    TextDelta
    | ThinkingDelta
    | RefusalDelta
    | CallDelta
    | Kept
    | UsageDelta
    | LogprobsDelta
    | Cited
    | Opened
    | Notice
    | Restarted
    | Finished
)


@runtime_checkable
class Model(Protocol):
    """Anything that answers requests. Third parties implement this one method.

    One that tells how likely its tokens are has an attribute `top_logprobs`, too: of how many at a place, at most. One that
    knows beforehand that it will not tell what its answers cost has `unpriced`: the names of the models of which nobody
    knows the price; a limit in dollars refuses them. One that knows how many tokens it reads and writes at most has
    `context_window`; else the table of prices is asked by its name. One that hands on to others has `readers`: their names.
    """

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
