"""Events of questions to models: asked, answered, failed, and what was left out so that they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from graphflow.event import Event
from graphflow.model.sources import Source


@dataclass(slots=True)
class ModelStarted(Event):
    """A model was asked (fact). `question` is the same in all events of one question; no other of the run has it."""

    kind: ClassVar[str] = "model.start"
    activation: int
    node: str
    model: str
    question: int = 0
    turns_shown: int = 0
    """How many turns it was shown."""
    shown: str = ""
    """What it was shown (turns, instructions, tools, schema, settings; secrets masked): the beginning of the SHA-256 of it. The
    same in two questions if and only if they are the same. Of runs that a store keeps; else "", as nobody else needs it."""


@dataclass(slots=True)
class FirstToken(Event):
    """The first piece of a model's answer has come (told only to a live listener; `model.end` has `first_at`)."""

    kind: ClassVar[str] = "model.first"
    passing: ClassVar[bool] = True
    activation: int
    node: str
    model: str
    started: float
    question: int = 0


@dataclass(slots=True)
class ModelDelta(Event):
    """A piece of a model's answer (told only to a live listener; not a fact)."""

    kind: ClassVar[str] = "model.delta"
    passing: ClassVar[bool] = True
    activation: int
    node: str
    channel: Literal["text", "thinking", "arguments", "restart"]
    """ "restart": what was told of this answer so far is void, it begins again."""
    text: str
    question: int = 0


@dataclass(slots=True)
class ModelPartial(Event):
    """An object that a model is still writing, as far as it can be read (told only to a live listener; not a fact)."""

    kind: ClassVar[str] = "model.partial"
    passing: ClassVar[bool] = True
    activation: int
    node: str
    value: Any
    question: int = 0


@dataclass(slots=True)
class ModelRetried(Event):
    """A model failed before it said anything, and is asked again after a while (fact)."""

    kind: ClassVar[str] = "model.retry"
    activation: int
    node: str
    attempt: int
    wait_s: float
    error: str


@dataclass(slots=True)
class ModelSwitched(Event):
    """Another model, or another key of the same one, took over (fact)."""

    kind: ClassVar[str] = "model.switch"
    activation: int
    node: str
    source: str
    target: str
    error: str


@dataclass(slots=True)
class ModelFinished(Event):
    """A model answered (fact)."""

    kind: ClassVar[str] = "model.end"
    activation: int
    node: str
    model: str
    text: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    finish: str
    started: float
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    answered_by: str = ""
    """The model that really answered, by the provider's own name for it, where it says one."""
    thinking: str = ""
    question: int = 0
    sources: tuple[Source, ...] = ()
    """What it says that its answer rests on."""
    first_at: float | None = None
    """When its first piece came: of text, of thinking, or of a call."""


@dataclass(slots=True)
class ModelFailed(Event):
    """A model did not answer (fact)."""

    kind: ClassVar[str] = "model.error"
    activation: int
    node: str
    model: str
    error: BaseException
    started: float
    question: int = 0
    spent: bool = False
    """Whether something was spent all the same: a `model.end` of the same question tells what."""


@dataclass(slots=True)
class CompactionStarted(Event):
    """A request of about so many tokens is too long, and a context policy looks for what to leave out (fact)."""

    kind: ClassVar[str] = "compaction.start"
    activation: int
    node: str
    model: str
    policy: str
    why: Literal["full", "overflow", "before", "demand"]
    """ "overflow": the provider has refused it; "before": earlier runs of the conversation have left it out; "demand": somebody
    has had the conversation compacted."""
    turns_shown: int
    tokens: int
    room: int | None = None


@dataclass(slots=True)
class CompactionFinished(Event):
    """A context policy has left something out of what a model is shown: what stands before these places (fact)."""

    kind: ClassVar[str] = "compaction.end"
    activation: int
    node: str
    policy: str
    turns_shown: int
    tokens: int
    left_out: Mapping[str, Any]


@dataclass(slots=True)
class BudgetWarning(Event):
    """80 % of what runs may spend together are spent, by whichever of them (fact). Told once of each budget of a run."""

    kind: ClassVar[str] = "budget.warning"
    budget: str
    limit: str
    """"tokens" or "usd"."""
    used: float
    value: float
    resets_at: float | None = None
    """When its account begins anew, in seconds since 1970; None: it does not."""


@dataclass(slots=True)
class CostUnknown(Event):
    """A model has answered, nobody knows what that cost, and a limit in dollars counts it as nothing (fact).

    Told once of each model of a run.
    """

    kind: ClassVar[str] = "cost.unknown"
    activation: int
    node: str
    model: str
